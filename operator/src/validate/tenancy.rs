//! What a platform may have by the settings of the cluster's administrator.

use kube::ResourceExt;

use super::Findings;
use crate::api::LogisticsPlatform;
use crate::settings::Tenancy;

/// Notes what the platform's namespace may not have.
pub(super) fn check(platform: &LogisticsPlatform, tenancy: &Tenancy, findings: &mut Findings) {
    let namespace = platform.namespace().unwrap_or_default();
    let prefix = &platform.spec.kafka.topic_prefix;
    if let Some(allowed) = tenancy.topic_prefixes(&namespace)
        && !allowed.iter().any(|allowed| prefix.starts_with(allowed.as_str()))
    {
        let remedy = match allowed.as_slice() {
            [] => format!(
                "is not allowed, as platforms in namespace {namespace} may have no topics; ask the cluster's administrator"
            ),
            allowed => format!(
                "is not allowed in namespace {namespace}; begin with {}, or ask the cluster's administrator",
                allowed.join(" or ")
            ),
        };
        findings.add("spec.kafka.topicPrefix", prefix, remedy);
    }
    let (host, name) = (&platform.spec.database.host, &platform.spec.database.name);
    if !tenancy.allows_database(&namespace, host, name) {
        let allowed = tenancy.databases(&namespace).unwrap_or_default().join(" or ");
        let remedy = if allowed.is_empty() {
            format!(
                "is not allowed, as platforms in namespace {namespace} may have no database; ask the cluster's administrator"
            )
        } else {
            format!(
                "is not allowed in namespace {namespace}; use {allowed} (host/name), or ask the cluster's administrator"
            )
        };
        findings.add("spec.database", format!("{host}/{name}"), remedy);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;
    use crate::settings::{NamespaceRule, Settings, Tenancy, TenancyMode};
    use crate::validate::{validate, validate_within};

    fn settings(databases: Option<&[&str]>) -> Settings {
        let namespace = fixture::platform().metadata.namespace.unwrap_or_default();
        Settings {
            tenancy: Tenancy {
                mode: TenancyMode::MultiTenant,
                namespaces: vec![NamespaceRule {
                    namespace,
                    topic_prefixes: None,
                    databases: databases.map(|all| all.iter().map(ToString::to_string).collect()),
                }],
            },
        }
    }

    #[test]
    fn a_namespace_gets_no_more_than_it_may_have() {
        let mut platform = fixture::platform();
        let namespace = platform.metadata.namespace.clone().unwrap_or_default();
        let database = format!("{}/{}", platform.spec.database.host, platform.spec.database.name);
        platform.spec.kafka.topic_prefix = "other.".into();
        assert!(validate(&platform).is_ok() && validate_within(&platform, &Settings::default()).is_ok());
        for (databases, fields) in [
            (None, vec!["spec.kafka.topicPrefix"]),
            (
                Some(&["elsewhere/*"][..]),
                vec!["spec.kafka.topicPrefix", "spec.database"],
            ),
            (Some(&[][..]), vec!["spec.kafka.topicPrefix", "spec.database"]),
        ] {
            let wrong = validate_within(&platform, &settings(databases)).unwrap_err();
            let found: Vec<_> = wrong.0.iter().map(|wrong| wrong.field.as_str()).collect();
            assert_eq!(found, fields);
            let text = wrong.to_string();
            assert!(
                text.contains(&format!(
                    "spec.kafka.topicPrefix: \"other.\" is not allowed in namespace {namespace}; begin with {namespace}. or {namespace}-"
                )),
                "{text}"
            );
        }
        platform.spec.kafka.topic_prefix = format!("{namespace}-acme.");
        assert!(validate_within(&platform, &settings(Some(&[&database]))).is_ok());
    }

    /// What is wrong in itself and what is not allowed are told together.
    #[test]
    fn everything_is_told_at_once() {
        let mut platform = fixture::platform();
        platform.spec.version = "not a tag".into();
        platform.spec.kafka.topic_prefix = "other.".into();
        let wrong = validate_within(&platform, &settings(None)).unwrap_err();
        assert_eq!(wrong.0.len(), 2, "{wrong}");
    }
}
