//! The `CustomResourceDefinition` as text.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::LogisticsPlatform;

/// The definition that is installed in a cluster.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    LogisticsPlatform::crd()
}

/// The definition as the YAML text of `crds/logisticsplatforms.yaml`.
///
/// # Errors
/// When a value cannot be written as YAML, which is a defect of the types.
pub fn to_yaml() -> Result<String, serde_norway::Error> {
    let yaml = serde_norway::to_string(&definition())?;
    Ok(format!(
        "# Made by `logistics-operator crd`; do not edit.\n{yaml}"
    ))
}
