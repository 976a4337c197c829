//! Secrets are rotated: no pod restarts, no call is lost, and the new value is in use.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::orders::{Traffic, all_arrived};
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{crash, secrets, wait};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use logistics_operator::names::path;
use logistics_schemas::Workload;

const QUIET: Duration = Duration::from_secs(1);
const REST_LIMIT: Duration = Duration::from_secs(20);
/// The kubelet looks at mounted Secrets every ten seconds, and has a cache before it.
const MOUNT_LIMIT: Duration = Duration::from_mins(2);
const SETTLE_LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn rotated_secrets_come_into_use_without_a_restart() -> Result<()> {
    let stage = Stage::ready().await?;
    let pods = stage.pod_states(MAIN).await?;
    let account = stage.new_account("rotation");
    let callers = stage.callers(&account)?;
    let traffic = Traffic::start(stage.services(), stage.callers(&account)?, PAUSE);

    // The user's own Secret: only the next migration reads it, so it costs nothing.
    let mark = Mark::now(&stage.facts.audit_log)?;
    let former = credentials(&stage, &MAIN.owner_secret()).await?;
    let backing = stage.facts.backing.postgres.clone();
    let owner = MAIN
        .new_owner_password(&stage.client, &stage.facts, &backing)
        .await?;
    ensure!(
        !stage.logs_in(&former.0, &former.1).await?,
        "the owner's former password still works"
    );
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    ensure!(
        writes.is_empty(),
        "the user's Secret made the operator write {writes:?}"
    );

    // The services' own: made anew, and given to their roles by a migration that needs the owner's new password.
    let start = Instant::now();
    let mut former = Vec::new();
    for workload in Workload::ALL {
        let name = format!("{}-{workload}-db", MAIN.name);
        former.push(credentials(&stage, &name).await?);
        let delete = ["delete", "secret", "-n", MAIN.namespace, &name];
        stage.kubectl.run(&delete).await?;
    }
    let mut current = Vec::new();
    for (workload, former) in Workload::ALL.into_iter().zip(&former) {
        let name = format!("{}-{workload}-db", MAIN.name);
        let (now, _) = wait::until("new credentials", REST_LIMIT, || async {
            Ok(credentials(&stage, &name).await.ok().filter(|now| now != former))
        })
        .await?;
        current.push(now);
    }
    stage.wait_ready().await?;
    for (user, password) in &current {
        wait::until("the new password of the role", SETTLE_LIMIT, || async {
            Ok(stage.logs_in(user, password).await?.then_some(()))
        })
        .await?;
    }
    for (user, password) in &former {
        ensure!(
            !stage.logs_in(user, password).await?,
            "the former password of {user} still works"
        );
    }
    println!("new passwords are the roles' own after {:.1?}", start.elapsed());

    // What is open stays open with the former password; so everything is closed once the pods have the new one.
    for (workload, (_, password)) in Workload::ALL.into_iter().zip(&current) {
        let file = format!("{}/password", path::DATABASE);
        wait::until("the new password in the pods", MOUNT_LIMIT, || async {
            let pods = stage.workload_pods(MAIN).await?;
            let of = |pod: &&k8s_openapi::api::core::v1::Pod| {
                kube::ResourceExt::labels(*pod)
                    .get("app.kubernetes.io/component")
                    .is_some_and(|component| component == workload.name())
            };
            let seen = |pod| crash::read_file(pod, &file).is_ok_and(|text| text.trim_end() == password);
            Ok(pods.iter().filter(of).all(seen).then_some(()))
        })
        .await?;
    }
    println!("all pods have them after {:.1?}", start.elapsed());
    for (user, _) in &current {
        let sql =
            format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{user}'");
        let closed = stage.sql(&sql).await?;
        ensure!(closed != "0", "{user} had no session: this shows nothing");
    }
    for (user, _) in &current {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'");
        wait::until(&format!("a new session of {user}"), SETTLE_LIMIT, || async {
            Ok((stage.sql(&sql).await? != "0").then_some(()))
        })
        .await?;
    }
    let sent = traffic.stop().await.context("traffic during the rotation")?;
    all_arrived(&stage.services(), &callers, sent, SETTLE_LIMIT).await?;
    println!("rotated after {:.1?}, nothing lost: {sent:?}", start.elapsed());
    ensure!(sent.shipments > 0, "no traffic: this shows nothing");
    ensure!(
        stage.logs_in(MAIN.database, &owner).await?,
        "the owner's new password does not work"
    );
    let after = stage.pod_states(MAIN).await?;
    ensure!(pods == after, "pods were restarted: {pods:?} {after:?}");
    Ok(())
}

/// User name and password of a Secret, noted as such.
async fn credentials(stage: &Stage, name: &str) -> Result<(String, String)> {
    let secret: Secret = Api::namespaced(stage.client.clone(), MAIN.namespace)
        .get(name)
        .await?;
    let data = secret.data.unwrap_or_default();
    let value = |key: &str| -> Result<String> {
        let bytes = data
            .get(key)
            .with_context(|| format!("Secret {name}: no {key}"))?;
        Ok(String::from_utf8(bytes.0.clone())?)
    };
    let (user, password) = (value("username")?, value("password")?);
    secrets::note(&password)?;
    Ok((user, password))
}
