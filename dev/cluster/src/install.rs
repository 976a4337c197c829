//! Puts the operator and the demo on a cluster: the one of this checkout, or somebody's own.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use dev_tools::{Cache, Step, Tool, Toolbox, install as install_tools};

use crate::backing::{self, Place};
use crate::images::{self, Builder, ProductImages};
use crate::up::{load, recorded_images};
use crate::{Checkout, Cluster, Kubectl, wait};

const NAMESPACE: &str = "logistics-system";
const CHART: &str = "charts/logistics-operator";
const READY_LIMIT: &str = "--timeout=180s";
/// Somebody's own cluster must also pull the images.
const OWN_LIMIT: Duration = Duration::from_mins(10);

/// Where the product goes.
#[derive(Debug)]
pub struct Target {
    cluster: Cluster,
    own: bool,
    cache: Cache,
}

impl Target {
    /// The cluster of this checkout, or the one of a kubeconfig.
    pub fn locate(kubeconfig: Option<&Path>) -> Result<Self> {
        let (checkout, cache) = (Checkout::locate()?, Cache::locate()?);
        let cluster = match kubeconfig {
            Some(path) => Cluster::own(path, &checkout, &cache)?,
            None => Cluster::of(&checkout, &cache)?,
        };
        Ok(Self {
            cluster,
            own: kubeconfig.is_some(),
            cache,
        })
    }

    fn images(&self) -> Result<ProductImages> {
        let here = Cluster::of(self.cluster.checkout(), &self.cache)?;
        let path = recorded_images(&here, &self.cache);
        ProductImages::read(&path)?.context("no images were built yet; run `make images`")
    }

    /// Installs the operator by its chart, or upgrades it, and waits until it is ready.
    pub fn install(&self) -> Result<()> {
        let tools = install_tools(&[Tool::Kubernetes, Tool::Helm])?;
        let images = self.images()?;
        if !self.own {
            load(&self.cluster, &images)?;
        }
        let step = Step::start("install the operator", &self.cache.logs())?;
        let crds = self.cluster.checkout().path().join("crds");
        let kubectl = Kubectl::new(&tools, self.cluster.kubeconfig());
        // Helm installs definitions once and never again; these follow the checkout.
        kubectl.apply_files(&crds)?;
        step.run(
            Command::new(tools.helm())
                .args([
                    "upgrade",
                    "--install",
                    "logistics-operator",
                    CHART,
                    "--create-namespace",
                    "--wait",
                    READY_LIMIT,
                ])
                .arg(format!("--namespace={NAMESPACE}"))
                .arg("--kubeconfig")
                .arg(self.cluster.kubeconfig())
                .arg(format!(
                    "--set-string=image.repository={}/operator",
                    images.repository
                ))
                .arg(format!("--set-string=image.tag={}", images.operator))
                .env("HELM_CACHE_HOME", self.cache.root().join("helm"))
                .env("HELM_CONFIG_HOME", self.cache.root().join("helm"))
                .env("HELM_DATA_HOME", self.cache.root().join("helm"))
                .current_dir(self.cluster.checkout().path()),
        )?;
        step.done();
        Ok(())
    }

    /// Runs the demo with the last built images; `args` go to it.
    pub fn demo(&self, args: &[String]) -> Result<ExitStatus> {
        let images = self.images()?;
        Command::new("cargo")
            .args([
                "run",
                "--quiet",
                "--package=dev-demo",
                "--",
                "run",
                "--kubeconfig",
            ])
            .arg(self.cluster.kubeconfig())
            .arg("--issuer-key")
            .arg(self.cluster.issuer_key())
            .args([
                "--image-repository",
                &images.repository,
                "--image-version",
                &images.workloads,
            ])
            .args(args)
            .current_dir(self.cluster.checkout().path())
            .status()
            .context("cannot start cargo for the demo")
    }

    /// Brings the backing services of the demo to somebody's own cluster, from images pushed to `repository`.
    pub fn back(&self, builder: &Builder, repository: &str) -> Result<()> {
        let tools = install_tools(&Tool::CLUSTER)?;
        let images = images::backing(
            builder,
            &tools,
            &self.cluster.checkout().path().join("dev/cluster/images"),
        )?;
        for archive in images.services() {
            let remote = archive.remote(repository);
            let step = Step::start(&format!("push {remote}"), &self.cache.logs())?;
            builder.push(archive, &remote, &step)?;
            step.done();
        }
        let step = Step::start(
            "PostgreSQL, Kafka, Redis and the schema registry",
            &self.cache.logs(),
        )?;
        let kubectl = Kubectl::new(&tools, self.cluster.kubeconfig());
        self.apply_backing(&tools, repository, &images, &kubectl)?;
        for (namespace, workload) in backing::services() {
            wait::until(workload, OWN_LIMIT, || {
                kubectl.run(&[
                    "rollout",
                    "status",
                    workload,
                    "--timeout=5s",
                    &format!("--namespace={namespace}"),
                ])
            })
            .with_context(|| format!("see `kubectl --namespace={namespace} describe {workload}`"))?;
        }
        step.done();
        Ok(())
    }

    fn apply_backing(
        &self,
        tools: &Toolbox,
        repository: &str,
        images: &images::BackingImages,
        kubectl: &Kubectl,
    ) -> Result<()> {
        let postgres_bin = tools.postgres_bin()?;
        let place = Place::Own {
            repository,
            postgres_bin: &postgres_bin,
        };
        backing::apply_namespaces(kubectl)?;
        backing::apply(&self.cluster, &place, images, kubectl)
    }
}
