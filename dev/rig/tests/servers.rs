//! Each server starts, answers, survives a crash where it keeps data, and ends.

use std::net::TcpStream;

fn listens(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

#[tokio::test]
async fn postgres_keeps_its_data_over_a_crash_and_ends_when_dropped() {
    let server = dev_rig::postgres().await.unwrap();
    let database = server.make_database("orders").await.unwrap();
    server
        .execute(&database.name, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
        .await
        .unwrap();
    server.kill();
    assert!(server.execute(&database.name, "SELECT 1").await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(
        server.execute(&database.name, "SELECT n FROM t").await.unwrap(),
        "7"
    );

    let wrong = server.make_database("No Name").await.unwrap_err().to_string();
    assert!(wrong.contains("No Name"), "{wrong}");

    let address = format!("{}:{}", server.host, server.port);
    assert!(listens(&address));
    drop(server);
    assert!(!listens(&address));
}

#[tokio::test]
async fn kafka_starts_again_after_a_crash_and_ends_when_dropped() {
    let kafka = dev_rig::kafka().await.unwrap();
    let address = kafka.bootstrap_servers.clone();
    kafka.kill();
    assert!(!listens(&address));
    kafka.start_again().await.unwrap();
    assert!(listens(&address));
    drop(kafka);
    assert!(!listens(&address));
}

#[tokio::test]
async fn redis_is_empty_after_a_crash_and_lets_a_platform_do_little() {
    let server = dev_rig::redis().await.unwrap();
    let logistics = |command: &'static [&'static str]| {
        let password = server.password();
        let server = &server;
        async move {
            let user = ["--user", &server.username, "--pass", &password];
            server.execute(&[&user, command].concat()).await
        }
    };
    logistics(&["SET", "logistics:a", "1"]).await.unwrap();
    for refused in [
        ["GET", "logistics:a"].as_slice(),
        &["SET", "a", "1"],
        &["FLUSHALL"],
    ] {
        let error = logistics(refused).await.unwrap_err().to_string();
        assert!(error.contains("NOPERM"), "{error}");
    }
    assert_eq!(server.execute(&["GET", "logistics:a"]).await.unwrap(), "1");
    server.change_password().await.unwrap();
    server.kill();
    server.start_again().await.unwrap();
    assert_eq!(server.execute(&["DBSIZE"]).await.unwrap(), "0");
    logistics(&["SET", "logistics:a", "1"]).await.unwrap();
    let address = format!("{}:{}", server.host, server.port);
    drop(server);
    assert!(!listens(&address));
}

#[tokio::test]
async fn the_registry_answers_and_ends_when_dropped() {
    let registry = dev_rig::schema_registry().await.unwrap();
    let address = registry
        .url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    assert!(listens(&address));
    drop(registry);
    assert!(!listens(&address));
}

#[cfg(feature = "kubernetes")]
#[tokio::test]
async fn the_api_server_keeps_its_objects_over_a_crash_and_ends_when_dropped() {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;

    let server = dev_rig::api_server().await.unwrap();
    let name = server.make_namespace("orders").await.unwrap();
    server.kill();
    server.start_again().await.unwrap();
    let namespace = Api::<Namespace>::all(server.client().await.unwrap())
        .get(&name)
        .await
        .unwrap();
    assert_eq!(namespace.metadata.name, Some(name));
    let address = server.url.trim_start_matches("https://").to_owned();
    drop(server);
    assert!(!listens(&address));
}
