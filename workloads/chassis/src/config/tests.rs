use std::io::Write as _;

use logistics_schemas::config::Streams;

use super::*;

const SERVICE: &str = "
platform: {namespace: logistics, name: acme}
workload: shipment
grpc: {listen: '[::]:8080'}
admin: {listen: '[::]:9090'}
database:
  host: postgres.backing.svc
  port: 5432
  name: acme
  tls: {mode: Verify, caFile: /etc/logistics/ca/database/ca.crt}
  usernameFile: /etc/logistics/database/username
  passwordFile: /etc/logistics/database/password
  maxConnections: 8
kafka:
  bootstrapServers: kafka.backing.svc:9093
  tls: {mode: Verify}
  sasl: {mechanism: SCRAM-SHA-512, usernameFile: /etc/logistics/kafka/username, passwordFile: /etc/logistics/kafka/password}
  topicPrefix: ''
  groupId: logistics.acme.shipment
schemaRegistry:
  {url: 'https://registry.backing.svc:8443/apis/ccompat/v7', tls: {mode: Verify}, credentials: {
    usernameFile: /etc/logistics/registry/username, passwordFile: /etc/logistics/registry/password}}
cache: {redis: {host: redis.backing.svc, port: 6379, tls: {mode: Verify, caFile: /etc/logistics/ca/cache/ca.crt}}}
auth: {issuer: 'https://issuer.example', audience: logistics, jwksFile: /etc/logistics/auth/jwks.json}
otlp: {endpoint: 'http://collector:4317', samplingRatio: 1.0}
logLevel: info
";

fn load(text: &str) -> Result<ServiceConfig, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load_service(file.path(), Workload::Shipment, &Overrides::default())
}

#[test]
fn the_operators_file_is_taken() {
    let config = load(SERVICE).unwrap();
    assert_eq!(config.platform.name, "acme");
    assert_eq!(config.log_level, LogLevel::Info);
}

#[test]
fn flags_stand_above_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(SERVICE.as_bytes()).unwrap();
    let overrides = Overrides {
        log_level: Some(LogLevel::Debug),
        grpc_listen: Some(([127, 0, 0, 1], 1).into()),
        admin_listen: None,
        stream_max_seconds: Some(60),
    };
    let config = load_service(file.path(), Workload::Shipment, &overrides).unwrap();
    assert_eq!(
        config.streams,
        Streams {
            max_seconds: 60,
            ..Streams::default()
        }
    );
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.grpc.listen.port(), 1);
    assert_eq!(config.admin.listen.port(), 9090);
}

#[test]
fn what_is_wrong_is_named_with_its_value() {
    let cases = [
        (
            "workload: shipment",
            "workload: tracking",
            "workload: \"tracking\"",
        ),
        ("'[::]:9090'", "'[::]:8080'", "admin.listen: \"[::]:8080\""),
        (
            "maxConnections: 8",
            "maxConnections: 1",
            "database.maxConnections: \"1\"",
        ),
        ("kafka.backing.svc:9093", "''", "kafka.bootstrapServers: \"\""),
        (
            "'https://registry",
            "'http://registry",
            "schemaRegistry.url: \"http://registry",
        ),
        (
            "mode: Verify, caFile: /etc/logistics/ca/database",
            "mode: Disabled, caFile: /etc/logistics/ca/database",
            "database.tls: \"/etc/logistics/ca/database/ca.crt\"",
        ),
        (
            "tls: {mode: Verify}\n  sasl: {mechanism: SCRAM-SHA-512",
            "tls: {mode: Disabled}\n  sasl: {mechanism: PLAIN",
            "kafka.sasl.mechanism: \"PLAIN\" sends the password as it is",
        ),
        (
            "mechanism: SCRAM-SHA-512",
            "mechanism: GSSAPI",
            "unknown variant `GSSAPI`",
        ),
        (
            "'https://registry.backing.svc:8443/apis/ccompat/v7', tls: {mode: Verify}",
            "'http://registry.backing.svc:8080/apis/ccompat/v7', tls: {mode: Disabled}",
            "schemaRegistry.credentials: \"/etc/logistics/registry/password\" would be sent as they are",
        ),
        ("host: redis.backing.svc", "host: ''", "cache.redis.host: \"\""),
        (
            "mode: Verify, caFile: /etc/logistics/ca/cache",
            "mode: Disabled, caFile: /etc/logistics/ca/cache",
            "cache.redis.tls: \"/etc/logistics/ca/cache/ca.crt\"",
        ),
        (
            "samplingRatio: 1.0",
            "samplingRatio: 1.5",
            "otlp.samplingRatio: \"1.5\"",
        ),
        (
            "'http://collector:4317'",
            "collector:4317",
            "otlp.endpoint: \"collector:4317\"",
        ),
        (
            "issuer: 'https://issuer.example'",
            "issuer: ''",
            "auth.issuer: \"\"",
        ),
        (
            "logLevel: info",
            "logLevel: loud",
            "logLevel: unknown variant `loud`",
        ),
        (
            "logLevel: info",
            "logLevel: info\nlogLeval: info",
            "unknown field `logLeval`",
        ),
    ];
    for (right, wrong, message) in cases {
        assert!(SERVICE.contains(right), "{right}");
        let error = load(&SERVICE.replace(right, wrong)).unwrap_err().to_string();
        assert!(error.contains(message), "{wrong}: {error}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_remedy() {
    let error = load_service(
        Path::new("/nowhere/config.yaml"),
        Workload::Shipment,
        &Overrides::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/config.yaml") && error.contains("--config"),
        "{error}"
    );
}
