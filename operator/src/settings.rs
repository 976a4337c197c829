//! Settings of the whole operator, which a cluster's administrator writes: `--settings FILE`. What a namespace may have is
//! among them, so that whoever may create platforms there gets no more than that.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("--settings {}: {source}; name a file that the operator may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// The text is not what settings look like.
    #[error("--settings {}: {source}; the fields are described in docs/tenancy.md", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_norway::Error,
    },
    /// Some values make no sense.
    #[error("--settings {}: {}", path.display(), .wrong.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Each with its field, value and remedy.
        wrong: Vec<String>,
    },
}

/// Settings of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// What platforms of a namespace may have.
    pub tenancy: Tenancy,
}

/// Who shares the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TenancyMode {
    /// One team: a platform may have any topics and any database.
    #[default]
    SingleTenant,
    /// Several teams, each with namespaces of its own: a platform may have what its namespace may have.
    MultiTenant,
}

/// What platforms of a namespace may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tenancy {
    /// Who shares the cluster.
    pub mode: TenancyMode,
    /// Rules for some namespaces; the first that fits a namespace counts.
    pub namespaces: Vec<NamespaceRule>,
}

/// What platforms of some namespaces may have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceRule {
    /// A namespace, or the beginning of several with `*` at the end: `team-*`.
    pub namespace: String,
    /// What `spec.kafka.topicPrefix` may begin with; by default the namespace's name and a dot or a hyphen.
    pub topic_prefixes: Option<Vec<String>>,
    /// Databases as `host/name`, each part with `*` at the end for several; by default any.
    pub databases: Option<Vec<String>>,
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says what makes no sense.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
            path: path.into(),
            source,
        })?;
        // An empty file is the same as none.
        let settings: Option<Self> =
            serde_norway::from_str(&text).map_err(|source| SettingsError::Malformed {
                path: path.into(),
                source,
            })?;
        let settings = settings.unwrap_or_default();
        let wrong = settings.tenancy.wrong();
        if wrong.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError::Invalid {
                path: path.into(),
                wrong,
            })
        }
    }
}

impl Tenancy {
    /// What `spec.kafka.topicPrefix` of a namespace's platforms must begin with one of; `None` where all is allowed.
    #[must_use]
    pub fn topic_prefixes(&self, namespace: &str) -> Option<Vec<String>> {
        if self.mode == TenancyMode::SingleTenant {
            return None;
        }
        let ruled = self.rule(namespace).and_then(|rule| rule.topic_prefixes.clone());
        Some(ruled.unwrap_or_else(|| vec![format!("{namespace}."), format!("{namespace}-")]))
    }

    /// Which databases a namespace's platforms may have, as patterns; `None` where all are allowed.
    #[must_use]
    pub fn databases(&self, namespace: &str) -> Option<&[String]> {
        match self.mode {
            TenancyMode::SingleTenant => None,
            TenancyMode::MultiTenant => self.rule(namespace)?.databases.as_deref(),
        }
    }

    /// Whether a namespace's platforms may have a database.
    #[must_use]
    pub fn allows_database(&self, namespace: &str, host: &str, name: &str) -> bool {
        self.databases(namespace).is_none_or(|patterns| {
            patterns
                .iter()
                .filter_map(|pattern| pattern.split_once('/'))
                .any(|(hosts, names)| fits(hosts, host) && fits(names, name))
        })
    }

    fn rule(&self, namespace: &str) -> Option<&NamespaceRule> {
        self.namespaces
            .iter()
            .find(|rule| fits(&rule.namespace, namespace))
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (index, rule) in self.namespaces.iter().enumerate() {
            let field = format!("tenancy.namespaces[{index}]");
            if self.mode == TenancyMode::SingleTenant {
                wrong.push(format!(
                    "{field}: {:?} has no effect with tenancy.mode SingleTenant; write MultiTenant, or take the rule out",
                    rule.namespace
                ));
            }
            if !is_namespace_pattern(&rule.namespace) {
                wrong.push(format!(
                    "{field}.namespace: {:?} is not a namespace; use a-z, 0-9 and '-', with '*' at the end for several, for example team-*",
                    rule.namespace
                ));
            }
            for prefix in rule.topic_prefixes.iter().flatten() {
                if !is_topic_prefix(prefix) {
                    wrong.push(format!(
                        "{field}.topicPrefixes: {prefix:?} is not the beginning of a topic's name; use letters, digits, '.', '_' and '-', for example team-a."
                    ));
                }
            }
            for database in rule.databases.iter().flatten() {
                if !is_database_pattern(database) {
                    wrong.push(format!(
                        "{field}.databases: {database:?} is not a host and a name; write for example postgres.team-a.svc/* or */team_a"
                    ));
                }
            }
        }
        wrong
    }
}

/// Whether a text is what a pattern says: the same, or with the same beginning before a `*` at its end.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => text == pattern,
    }
}

fn is_namespace_pattern(pattern: &str) -> bool {
    let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !pattern.is_empty() && pattern.len() <= 63 && !beginning.starts_with('-') && beginning.chars().all(name)
}

fn is_topic_prefix(prefix: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !prefix.is_empty() && prefix.len() <= 249 && prefix.chars().all(name)
}

fn is_database_pattern(pattern: &str) -> bool {
    pattern.split_once('/').is_some_and(|(host, name)| {
        let inner = |part: &str| part.strip_suffix('*').unwrap_or(part).contains(['*', '/']);
        !host.is_empty() && !name.is_empty() && !inner(host) && !inner(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let name = format!(
            "settings-{}-{}",
            std::process::id(),
            crate::names::digest(&[text])
        );
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let loaded = Settings::load(&path);
        std::fs::remove_file(&path).unwrap();
        loaded.map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_allows_everything() {
        for text in ["", "{}", "tenancy: {}", "tenancy: {mode: SingleTenant}"] {
            let tenancy = load(text).unwrap().tenancy;
            assert_eq!(tenancy.topic_prefixes("team-a"), None, "{text:?}");
            assert!(tenancy.allows_database("team-a", "postgres", "acme"), "{text:?}");
        }
    }

    #[test]
    fn a_namespace_has_its_own_topics_unless_a_rule_says_otherwise() {
        let tenancy = load(
            "tenancy:
               mode: MultiTenant
               namespaces:
                 - {namespace: team-a, topicPrefixes: [shared., a.], databases: [postgres.a.svc/*, '*/team_a']}
                 - {namespace: team-*, databases: []}",
        )
        .unwrap()
        .tenancy;
        let prefixes = |namespace| tenancy.topic_prefixes(namespace).unwrap();
        assert_eq!(prefixes("team-a"), ["shared.", "a."]);
        assert_eq!(prefixes("team-b"), ["team-b.", "team-b-"]);
        assert_eq!(prefixes("other"), ["other.", "other-"]);
        for (namespace, host, name, allowed) in [
            ("team-a", "postgres.a.svc", "any", true),
            ("team-a", "elsewhere", "team_a", true),
            ("team-a", "elsewhere", "any", false),
            ("team-b", "postgres.a.svc", "any", false),
            ("other", "elsewhere", "any", true),
        ] {
            let found = tenancy.allows_database(namespace, host, name);
            assert_eq!(found, allowed, "{namespace} {host} {name}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_field_value_and_remedy() {
        for (text, expected) in [
            ("tenant: {}", "unknown field `tenant`"),
            ("tenancy: {mode: Many}", "unknown variant `Many`"),
            (
                "tenancy: {namespaces: [{namespace: a}]}",
                "\"a\" has no effect with tenancy.mode SingleTenant; write MultiTenant",
            ),
            (
                "tenancy: {mode: MultiTenant, namespaces: [{namespace: '*-a'}]}",
                "tenancy.namespaces[0].namespace: \"*-a\" is not a namespace",
            ),
            (
                "tenancy: {mode: MultiTenant, namespaces: [{namespace: a, topicPrefixes: ['']}]}",
                "tenancy.namespaces[0].topicPrefixes: \"\" is not the beginning of a topic's name",
            ),
            (
                "tenancy: {mode: MultiTenant, namespaces: [{namespace: a, databases: [acme]}]}",
                "tenancy.namespaces[0].databases: \"acme\" is not a host and a name",
            ),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let missing = Settings::load(Path::new("/nonexistent/settings.yaml")).unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("name a file that the operator may read"),
            "{missing}"
        );
    }
}
