//! The last lines of containers' logs.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};

use super::Request;
use super::collect::Collected;

/// Most bytes of one log.
const LIMIT: i64 = 2 << 20;

/// Adds the logs of pods, also those of containers that were started again.
pub(super) async fn of_pods(
    request: &Request,
    api: &Api<Pod>,
    parameters: &ListParams,
    folder: &str,
    collected: &mut Collected,
) {
    let pods = match api.list(parameters).await {
        Ok(pods) => pods,
        Err(error) => return collected.failed(&format!("pods for {folder}"), &error),
    };
    for pod in pods {
        for (container, status) in containers(&pod) {
            let restarted = status.is_some_and(|status| status.restart_count > 0);
            for previous in [false, true]
                .into_iter()
                .filter(|previous| !previous || restarted)
            {
                of_container(
                    request,
                    api,
                    &pod.name_any(),
                    &container,
                    previous,
                    folder,
                    collected,
                )
                .await;
            }
        }
    }
}

async fn of_container(
    request: &Request,
    api: &Api<Pod>,
    pod: &str,
    container: &str,
    previous: bool,
    folder: &str,
    collected: &mut Collected,
) {
    let parameters = LogParams {
        container: Some(container.into()),
        previous,
        tail_lines: Some(request.log_lines),
        limit_bytes: Some(LIMIT),
        timestamps: true,
        ..LogParams::default()
    };
    let which = if previous { ".previous" } else { "" };
    match api.logs(pod, &parameters).await {
        Ok(text) => collected.text(format!("{folder}/logs/{pod}/{container}{which}.log"), &text),
        Err(error) => collected.failed(&format!("log of {pod}/{container}{which}"), &error),
    }
}

/// All containers of a pod, each with its status where there is one.
fn containers(pod: &Pod) -> Vec<(String, Option<&ContainerStatus>)> {
    let spec = pod.spec.iter();
    let inits = spec
        .clone()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    let names = inits
        .chain(spec.flat_map(|spec| &spec.containers))
        .map(|container| container.name.clone());
    let statuses: Vec<_> = pod
        .status
        .iter()
        .flat_map(|status| {
            status
                .init_container_statuses
                .iter()
                .flatten()
                .chain(status.container_statuses.iter().flatten())
        })
        .collect();
    names
        .map(|name| {
            let status = statuses.iter().find(|status| status.name == name).copied();
            (name, status)
        })
        .collect()
}
