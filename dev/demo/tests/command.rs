//! The command's exit codes, and what it says when it cannot go on.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::Result;
use dev_rig::issuer::Issuer;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/samples/acme.yaml");
const CRD: &str = include_str!("../../../crds/logisticsplatforms.yaml");

fn demo(kubeconfig: &Path, sample: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev-demo"));
    command
        .args(["run", "--legs", "10", "--sample", sample, "--kubeconfig"])
        .arg(kubeconfig);
    Ok(command.args(arguments).output()?)
}

fn says(output: &Output, code: i32, parts: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for part in parts {
        assert!(errors.contains(part), "{part:?} is not in {errors}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let none = folder.path().join("none");
    says(
        &demo(&none, SAMPLE, &["--concurrency", "0"])?,
        2,
        &["--concurrency", "0"],
    );
    says(
        &demo(&none, SAMPLE, &["--issuer-key", "/nonexistent"])?,
        1,
        &["--issuer-key", "/nonexistent"],
    );
    let key = folder.path().join("key.pem");
    std::fs::write(&key, Issuer::generate("i", "a")?.pem())?;
    let key = key.to_string_lossy();
    says(
        &demo(&none, SAMPLE, &["--issuer-key", &key])?,
        1,
        &["--kubeconfig", "none"],
    );
    says(
        &demo(&none, "/nonexistent.yaml", &[])?,
        1,
        &["--sample", "/nonexistent.yaml"],
    );
    Ok(())
}

#[tokio::test]
async fn without_an_operator_the_platform_is_not_ready() -> Result<()> {
    let server = dev_rig::api_server().await?;
    let namespace = server.make_namespace("demo").await?;
    let crds: Api<CustomResourceDefinition> = Api::all(server.client().await?);
    let crd: CustomResourceDefinition = serde_norway::from_str(CRD)?;
    crds.patch(&crd.name_any(), &PatchParams::apply("test"), &Patch::Apply(&crd))
        .await?;
    let key = server.kubeconfig.with_file_name("issuer.pem");
    std::fs::write(&key, Issuer::generate("i", "a")?.pem())?;
    let key = key.to_string_lossy().into_owned();
    let arguments = [
        "--namespace",
        &namespace,
        "--issuer-key",
        &key,
        "--ready-timeout",
        "1",
    ];
    let established = kube::runtime::wait::conditions::is_crd_established();
    kube::runtime::wait::await_condition(crds, &crd.name_any(), established).await?;
    let output = demo(&server.kubeconfig, SAMPLE, &arguments)?;
    says(&output, 3, &["not Ready after 1 s", "does the operator run?"]);
    Ok(())
}
