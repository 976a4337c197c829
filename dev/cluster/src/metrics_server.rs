//! metrics-server: CPU and memory of pods, for autoscalers and `kubectl top`. Every real cluster has its own.

use std::fs;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::backing::render;
use crate::images::BackingImages;
use crate::pki::Authority;
use crate::{Cluster, Kubectl};

/// The manifest as it is in the checkout.
pub(crate) const MANIFEST: &str = include_str!("../manifests/metrics-server.yaml");
/// The name by which the API server's proxy calls it.
const HOST: &str = "metrics-server.kube-system.svc";
const KEY_NAME: &str = "metrics-server";

/// Makes its certificate, by the cluster's own authority.
pub(crate) fn keys(cluster: &Cluster, authority: &Authority) -> Result<()> {
    let identity = authority.issue(KEY_NAME, None, &[HOST])?;
    identity.write(&cluster.file("pki"), KEY_NAME)
}

/// Applies it; its start is not waited for.
pub(crate) fn apply(cluster: &Cluster, images: &BackingImages, kubectl: &Kubectl) -> Result<()> {
    let values = [
        ("image.metrics-server", images.metrics_server.reference.clone()),
        ("tls.authority", encoded(cluster, "ca.crt")?),
        ("tls.certificate", encoded(cluster, "metrics-server.crt")?),
        ("tls.key", encoded(cluster, "metrics-server.key")?),
    ];
    kubectl.apply(&render(MANIFEST, &values)?)
}

/// Waits a moment until the API server can serve `metrics.k8s.io`, which takes a first round of measurements.
pub(crate) fn available(kubectl: &Kubectl) -> Result<String> {
    kubectl.run(&[
        "wait",
        "apiservice",
        "v1beta1.metrics.k8s.io",
        "--for=condition=Available",
        "--timeout=5s",
    ])
}

fn encoded(cluster: &Cluster, name: &str) -> Result<String> {
    let path = cluster.file("pki").join(name);
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use dev_tools::Cache;

    use super::*;
    use crate::Checkout;
    use crate::pki::write;

    #[test]
    fn its_certificate_goes_into_the_manifest() {
        let folder = tempfile::Builder::new()
            .prefix("c")
            .tempdir_in("/tmp")
            .expect("temporary folder");
        let cache = Cache::at(folder.path()).expect("cache");
        let checkout = Checkout::locate().expect("the checkout of this test");
        let cluster = Cluster::of(&checkout, &cache).expect("cluster");
        let error = encoded(&cluster, "ca.crt").expect_err("not made yet");
        assert!(format!("{error:#}").contains("pki/ca.crt"), "{error:#}");
        let authority = Authority::new("test").expect("authority");
        write(&cluster.file("pki/ca.crt"), &authority.identity.certificate).expect("written");
        keys(&cluster, &authority).expect("keys");
        let values = ["ca.crt", "metrics-server.crt", "metrics-server.key"]
            .map(|name| encoded(&cluster, name).expect("encoded"));
        let names = ["tls.authority", "tls.certificate", "tls.key"];
        let mut values: Vec<_> = names.into_iter().zip(values).collect();
        values.push((
            "image.metrics-server",
            "localhost/dev/metrics-server:1".to_owned(),
        ));
        let text = render(MANIFEST, &values).expect("rendered");
        assert!(text.contains(&STANDARD.encode(&authority.identity.certificate)));
    }
}
