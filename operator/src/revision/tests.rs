use super::*;
use crate::api::{LogisticsPlatform, SaslMechanism};
use crate::fixture;
use crate::validate::validate;

type Edit = fn(&mut LogisticsPlatform);

fn of(edit: Edit) -> Revisions {
    let mut platform = fixture::platform();
    edit(&mut platform);
    revisions(&validate(&platform).unwrap())
}

/// When this fails, an upgrade of the operator would restart every pod of every platform: see the module's text.
#[test]
fn the_hashes_of_the_sample_are_pinned() {
    let revisions = of(|_| {});
    assert_eq!(revisions.of(Workload::Shipment), "32f2810a");
    assert_eq!(revisions.of(Workload::Tracking), "2c588d88");
    assert_eq!(revisions.of(Workload::Analytics), "a162da47");
}

#[test]
fn what_changes_pods_changes_the_revision() {
    let cases: [(&str, Edit); 11] = [
        ("version", |p| p.spec.version = "0.2.0".into()),
        ("repository", |p| {
            p.spec.image.repository = "localhost/other".into();
        }),
        ("pull policy", |p| p.spec.image.pull_policy = PullPolicy::Always),
        ("topic prefix", |p| p.spec.kafka.topic_prefix = "x.".into()),
        ("authority", |p| p.spec.kafka.tls.ca_config_map_ref = None),
        ("who connects to Kafka", |p| {
            p.spec.kafka.sasl = Some(fixture::sasl(SaslMechanism::default(), "acme-kafka"));
        }),
        ("who asks the registry", |p| {
            p.spec.schema_registry.credentials = Some(fixture::credentials("acme-registry"));
        }),
        ("database", |p| p.spec.database.name = "other".into()),
        ("issuer", |p| p.spec.auth.issuer = "https://other".into()),
        ("encoding", |p| {
            p.spec.schema_registry.encoding = crate::api::Encoding::Json;
        }),
        ("log level", |p| {
            p.spec.observability.log_level = crate::api::LogLevel::Debug;
        }),
    ];
    let before = of(|_| {});
    for (what, edit) in cases {
        let after = of(edit);
        for workload in Workload::ALL {
            assert_ne!(before.of(workload), after.of(workload), "{what} {workload}");
        }
        assert_ne!(before.platform, after.platform, "{what}");
    }
}

#[test]
fn what_does_not_change_pods_does_not_change_their_revision() {
    let cases: [(&str, Edit, bool); 4] = [
        ("replicas", |p| p.spec.workloads.shipment.replicas = 5, false),
        ("resync", |p| p.spec.kafka.resync = "60s".into(), false),
        (
            "retention",
            |p| p.spec.kafka.topics.retention = "24h".into(),
            true,
        ),
        (
            "compatibility",
            |p| p.spec.schema_registry.compatibility = crate::api::Compatibility::Full,
            true,
        ),
    ];
    let before = of(|_| {});
    for (what, edit, platform_changes) in cases {
        let after = of(edit);
        assert_eq!(before.workloads, after.workloads, "{what}");
        assert_eq!(before.platform != after.platform, platform_changes, "{what}");
    }
}

#[test]
fn resources_of_one_workload_are_its_own() {
    let before = of(|_| {});
    let after = of(|p| p.spec.workloads.tracking.resources = Resources::default());
    assert_eq!(before.of(Workload::Shipment), after.of(Workload::Shipment));
    assert_ne!(before.of(Workload::Tracking), after.of(Workload::Tracking));
}

#[test]
fn a_cache_is_that_of_tracking() {
    let with = |port: i32| {
        let mut platform = fixture::platform();
        platform.spec.cache = Some(fixture::cache("redis.backing.svc", port));
        revisions(&validate(&platform).unwrap())
    };
    let (before, after) = (of(|_| {}), with(6379));
    assert_eq!(before.of(Workload::Shipment), after.of(Workload::Shipment));
    assert_eq!(before.of(Workload::Analytics), after.of(Workload::Analytics));
    assert_ne!(before.of(Workload::Tracking), after.of(Workload::Tracking));
    assert_ne!(with(6380).of(Workload::Tracking), after.of(Workload::Tracking));
}

#[test]
fn a_migration_depends_on_the_credentials() {
    let valid = fixture::valid();
    assert_ne!(migration(&valid, &["a".into()]), migration(&valid, &["b".into()]));
}
