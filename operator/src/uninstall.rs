//! Before the operator is uninstalled: nobody will carry out deletions any more, so the finalizers that wait for them are
//! taken away. Deleting a platform, or its namespace, then never hangs; topics and subjects stay.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use tracing::info;

use crate::api::LogisticsPlatform;
use crate::deletion;
use crate::leader::Timing;
use crate::names::MANAGER;
use crate::observe::Scope;

/// Who holds the Lease then.
const HOLDER: &str = "uninstall";

/// For how long others leave the Lease alone: an uninstallation ends the operators within it.
const LEASE_SECONDS: i32 = 60;

/// How often something is tried that changed at the same time.
const TRIES: u32 = 5;

/// Why the finalizers were not taken away.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// The Lease could not be taken.
    #[error("Lease {name} in namespace {namespace} was not taken: {source}; is it the operator's?")]
    Lease {
        /// Where it is.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server says.
        source: Box<kube::Error>,
    },
    /// Platforms could not be listed.
    #[error("platforms were not listed: {0}")]
    List(#[source] Box<kube::Error>),
    /// A platform could not be changed.
    #[error("LogisticsPlatform {platform} keeps its finalizer: {source}; take it off with kubectl edit")]
    Patch {
        /// Namespace and name.
        platform: String,
        /// What the API server says.
        source: Box<kube::Error>,
    },
}

/// Takes the operator's finalizer off all platforms; returns off how many.
///
/// # Errors
/// When the API server refuses; what was done stays done, and it may be repeated.
pub async fn uninstall(
    client: Client,
    scope: &Scope,
    namespace: &str,
    lease: &str,
    timing: &Timing,
) -> Result<usize, UninstallError> {
    let mut released = 0;
    let mut stopped = false;
    for area in scope.areas() {
        let api: Api<LogisticsPlatform> = match &area {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let platforms = match api.list(&ListParams::default()).await {
            Ok(platforms) => platforms,
            // The definition is gone, and all platforms with it.
            Err(kube::Error::Api(answer)) if answer.code == 404 => continue,
            Err(error) => return Err(UninstallError::List(Box::new(error))),
        };
        for platform in platforms.into_iter().filter(deletion::is_held) {
            // An operator that still leads would put it back.
            if !stopped {
                take_lease(&client, namespace, lease, timing).await?;
                stopped = true;
            }
            release(&client, platform).await?;
            released += 1;
        }
    }
    Ok(released)
}

/// Takes the Lease away from whoever leads, and waits until that operator has noticed.
async fn take_lease(
    client: &Client,
    namespace: &str,
    name: &str,
    timing: &Timing,
) -> Result<(), UninstallError> {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let failed = |source| UninstallError::Lease {
        namespace: namespace.into(),
        name: name.into(),
        source: Box::new(source),
    };
    for left in (0..TRIES).rev() {
        // Where no operator has ever led, none has to be stopped.
        let Some(mut taken) = api.get_opt(name).await.map_err(failed)? else {
            return Ok(());
        };
        let spec = taken.spec.get_or_insert_default();
        spec.holder_identity = Some(HOLDER.into());
        spec.lease_duration_seconds = Some(LEASE_SECONDS);
        match api.replace(name, &PostParams::default(), &taken).await {
            Ok(_) => break,
            Err(kube::Error::Api(answer)) if answer.code == 409 && left > 0 => {}
            Err(error) => return Err(failed(error)),
        }
    }
    info!(lease = name, "no operator leads any more");
    // There is nothing to await: a leader that does not see the Lease stops writing by itself at this time at the latest.
    tokio::time::sleep(timing.renew_deadline).await;
    Ok(())
}

async fn release(client: &Client, mut platform: LogisticsPlatform) -> Result<(), UninstallError> {
    let namespace = platform.namespace().unwrap_or_default();
    let name = platform.name_any();
    let api: Api<LogisticsPlatform> = Api::namespaced(client.clone(), &namespace);
    let parameters = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    for left in (0..TRIES).rev() {
        let Some(patch) = deletion::finalizer_patch(&platform, false) else {
            return Ok(());
        };
        match api.patch(&name, &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => {
                info!(
                    platform = format!("{namespace}/{name}"),
                    "its topics and subjects stay when it is deleted"
                );
                return Ok(());
            }
            Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(()),
            Err(kube::Error::Api(answer)) if answer.code == 409 && left > 0 => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                match api.get_opt(&name).await {
                    Ok(Some(newer)) => platform = newer,
                    Ok(None) => return Ok(()),
                    Err(error) => return Err(refused(&namespace, &name, error)),
                }
            }
            Err(error) => return Err(refused(&namespace, &name, error)),
        }
    }
    Ok(())
}

fn refused(namespace: &str, name: &str, source: kube::Error) -> UninstallError {
    UninstallError::Patch {
        platform: format!("{namespace}/{name}"),
        source: Box::new(source),
    }
}
