//! Whether a session can begin on a real PostgreSQL: asked without a password, and told apart why not.

#[path = "testbed/unreachable.rs"]
mod unreachable;

use anyhow::{Context as _, Result, ensure};
use dev_rig::Postgres;
use logistics_kafka_admin::Trust;
use logistics_operator::backend::postgres::{Connection, Session, Target};
use logistics_operator::backend::{Backend as _, BackendError, postgres};
use logistics_operator::reason::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use unreachable::within_the_limit;

fn connect(address: &str, trust: Trust) -> Result<Connection, BackendError> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    postgres::Postgres::default().connect(&Target {
        host: host.to_owned(),
        port: port.parse().unwrap_or(5432),
        trust,
    })
}

async fn ask(address: &str, trust: Trust) -> Result<Session, BackendError> {
    let connection = connect(address, trust)?;
    postgres::Postgres::default()
        .observe(&connection, &[Session])
        .await
}

async fn refusal(address: &str, trust: Trust) -> Result<String> {
    let error = within_the_limit(ask(address, trust)).await?;
    println!("{error}");
    ensure!(error.reason == Reason::Unreachable, "{error:?}");
    ensure!(
        error.message.contains(&format!("PostgreSQL {address}: ")),
        "{error}"
    );
    Ok(error.message)
}

fn address(server: &Postgres) -> String {
    format!("{}:{}", server.host, server.port)
}

#[tokio::test]
async fn a_server_that_asks_for_a_password_is_there_and_notes_nothing() -> Result<()> {
    let server = dev_rig::postgres().await?;
    let address = address(&server);
    let authority = Trust::Pem(std::fs::read_to_string(&server.ca_file)?);
    let before = server.log()?;
    for trust in [Trust::Disabled, authority] {
        ask(&address, trust).await?;
    }
    // The server works through its connections in order: whatever it notes of the former is there by now.
    server.execute("postgres", "SELECT 1").await?;
    assert_eq!(server.log()?, before);
    Ok(())
}

#[tokio::test]
async fn a_server_with_a_wrong_certificate_is_not_believed() -> Result<()> {
    let server = dev_rig::shared::postgres().await?;
    let address = address(server);
    let other = std::fs::read_to_string(&dev_rig::postgres().await?.ca_file)?;
    for trust in [Trust::System, Trust::Pem(other)] {
        let told = refusal(&address, trust).await?;
        ensure!(told.contains("TLS failed: invalid peer certificate"), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nobody_is_away() -> Result<()> {
    let server = dev_rig::postgres().await?;
    let address = address(&server);
    // It begins to shut down and waits for the one session that is open.
    let sleep = server.execute("postgres", "SELECT pg_sleep(60)");
    let shut_down = async {
        let open =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND state = 'active'";
        while server.execute("postgres", open).await? != "1" {}
        let stop = "COPY (SELECT 1) TO PROGRAM 'kill -TERM $(head -n 1 postmaster.pid)'";
        server.execute("postgres", stop).await?;
        while ask(&address, Trust::Disabled).await.is_ok() {}
        refusal(&address, Trust::Disabled).await
    };
    let told = tokio::select! {
        told = shut_down => told?,
        ended = sleep => return Err(ended.err().context("the session ended")?),
    };
    ensure!(told.contains("shutting down (SQLSTATE 57P03)"), "{told}");

    server.kill();
    let told = refusal(&address, Trust::Disabled).await?;
    ensure!(told.contains("no connection: "), "{told}");
    server.start_again().await?;
    ask(&address, Trust::Disabled).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_full_is_away() -> Result<()> {
    let server = dev_rig::postgres().await?;
    let address = address(&server);
    let limit: usize = server
        .execute("postgres", "SHOW max_connections")
        .await?
        .parse()?;
    let mut guests = Vec::new();
    for _ in 0..limit {
        let mut guest = TcpStream::connect(&address).await?;
        let start = b"\0\0\0\x14\0\x03\0\0user\0guest\0\0";
        guest.write_all(start).await?;
        // Each has its place when it is asked for its password.
        guest.read_u8().await?;
        guests.push(guest);
    }
    let told = refusal(&address, Trust::Disabled).await?;
    ensure!(
        told.contains("too many clients already (SQLSTATE 53300)"),
        "{told}"
    );
    Ok(())
}

/// A server that answers each connection with some bytes.
async fn answers(bytes: &'static [u8]) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut guest, _)) = listener.accept().await {
            let mut wish = [0; 8];
            let _ = guest.read_exact(&mut wish).await;
            let _ = guest.write_all(bytes).await;
        }
    });
    Ok(address)
}

#[tokio::test]
async fn a_server_without_tls_and_one_that_is_no_postgresql_are_told() -> Result<()> {
    let told = refusal(&answers(b"N").await?, Trust::System).await?;
    ensure!(told.contains("spec.database.tls.mode to Disabled"), "{told}");
    let http = answers(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
    for trust in [Trust::System, Trust::Disabled] {
        let told = refusal(&http, trust).await?;
        ensure!(told.contains("is not PostgreSQL's"), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn an_address_from_which_no_answer_comes_is_an_error_in_time() -> Result<()> {
    refusal(&unreachable::closed()?, Trust::Disabled).await?;
    refusal("postgres.invalid:5432", Trust::Disabled).await?;
    let silent = unreachable::silent()?;
    for trust in [Trust::Disabled, Trust::System] {
        let told = refusal(&silent.address, trust).await?;
        ensure!(told.contains("no answer within 10 s"), "{told}");
    }
    Ok(())
}

#[test]
fn an_authority_that_is_no_certificate_is_told() -> Result<()> {
    for pem in [
        "no certificate",
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = connect("postgres:5432", Trust::Pem(pem.to_owned())).map(drop);
        let error = error.err().context("it was accepted")?;
        println!("{error}");
        assert_eq!(error.reason, Reason::InvalidAuthority);
    }
    Ok(())
}
