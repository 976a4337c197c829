//! Which cluster belongs to this checkout, and where everything of it is.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dev_tools::Cache;
use sha2::{Digest, Sha256};

/// Unix socket paths end at 107 characters, and the kubelet adds about 60 to the cache's.
const LONGEST_CACHE_PATH: usize = 45;

/// The checkout that a command was started in.
#[derive(Debug, Clone)]
pub struct Checkout(PathBuf);

impl Checkout {
    /// Looks for the checkout in the current folder and above.
    pub fn locate() -> Result<Self> {
        let here = env::current_dir().context("cannot read the current folder")?;
        let here = here.canonicalize().context("cannot resolve the current folder")?;
        here.ancestors()
            .find(|dir| dir.join("dev/cluster/Cargo.toml").is_file())
            .map(|dir| Self(dir.to_path_buf()))
            .with_context(|| format!("{} is not inside a checkout; run this from one", here.display()))
    }

    /// The checkout's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// One checkout's cluster: its name and its folders, whether it runs or not.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    state: PathBuf,
    run: PathBuf,
    kubeconfig: PathBuf,
    checkout: Checkout,
}

impl Cluster {
    /// The cluster of the checkout around the current folder.
    pub fn locate() -> Result<Self> {
        Self::of(&Checkout::locate()?, &Cache::locate()?)
    }

    /// The cluster of one checkout in one cache.
    pub fn of(checkout: &Checkout, cache: &Cache) -> Result<Self> {
        let length = cache.root().as_os_str().len();
        if length > LONGEST_CACHE_PATH {
            bail!(
                "the cache's path {} has {length} characters, more than the {LONGEST_CACHE_PATH} that leave room \
                 for the kubelet's sockets; set LOGISTICS_CACHE to a shorter one",
                cache.root().display()
            );
        }
        let mut cluster = Self::named(&format!("lp-{}", short_hash(checkout.path())), checkout, cache);
        cluster.kubeconfig = cluster.file("admin.kubeconfig");
        Ok(cluster)
    }

    /// Somebody's own cluster, which exists already: only keys and records are kept for it here.
    pub fn own(kubeconfig: &Path, checkout: &Checkout, cache: &Cache) -> Result<Self> {
        let kubeconfig = kubeconfig
            .canonicalize()
            .with_context(|| format!("cannot read the kubeconfig {}", kubeconfig.display()))?;
        let mut cluster = Self::named(&format!("own-{}", short_hash(&kubeconfig)), checkout, cache);
        cluster.kubeconfig = kubeconfig;
        Ok(cluster)
    }

    fn named(name: &str, checkout: &Checkout, cache: &Cache) -> Self {
        Self {
            name: name.to_owned(),
            state: cache.clusters().join(name),
            run: Path::new("/run/logistics-platform").join(name),
            kubeconfig: PathBuf::new(),
            checkout: checkout.clone(),
        }
    }

    /// The name of the cluster, of its network namespace, its host-side interface and its control groups.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The checkout it belongs to.
    #[must_use]
    pub fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// Keys, configuration, logs and data.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Sockets and what only lives as long as the processes.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The network namespace's file.
    #[must_use]
    pub fn netns(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// A file or folder of the state.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// What `dev up` found out, for tests and demos.
    #[must_use]
    pub fn facts(&self) -> PathBuf {
        self.file("facts.json")
    }

    /// The certificate of the authority that backing services are verified with.
    #[must_use]
    pub fn backing_ca(&self) -> PathBuf {
        self.file("backing-ca.crt")
    }

    /// The private key that signs tokens for the demo and the tests, as PEM.
    #[must_use]
    pub fn issuer_key(&self) -> PathBuf {
        self.file("issuer/issuer.key")
    }

    /// The key set that services check tokens with.
    #[must_use]
    pub fn jwks(&self) -> PathBuf {
        self.file("issuer/jwks.json")
    }

    /// The product's images that were last loaded: repository and tags.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.file("images.json")
    }

    /// The API server's audit log: one JSON object per line, at level Metadata.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.file("audit/audit.log")
    }

    /// One log for each process of the cluster.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.file("log")
    }

    /// What the containers wrote, as the kubelet keeps it: a folder for each pod.
    #[must_use]
    pub fn pod_logs(&self) -> PathBuf {
        self.file("pod-logs")
    }

    /// etcd's address inside the network namespace.
    #[must_use]
    pub fn etcd(&self) -> &'static str {
        crate::control_plane::ETCD
    }

    /// containerd's content and snapshots: kept after a clean stop, so that images need not be imported again.
    #[must_use]
    pub fn image_store(&self) -> PathBuf {
        self.file("containerd")
    }

    /// There while the image store holds images and nothing else.
    #[must_use]
    pub fn image_store_clean(&self) -> PathBuf {
        self.file("containerd.clean")
    }

    /// containerd's socket.
    #[must_use]
    pub fn containerd_socket(&self) -> PathBuf {
        self.run.join("containerd.sock")
    }
}

fn short_hash(path: &Path) -> String {
    let mut hash = hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes()));
    hash.truncate(8);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_an_interface_and_differ_by_checkout() {
        let folder = tempfile::Builder::new()
            .prefix("c")
            .tempdir_in("/tmp")
            .expect("temporary folder");
        let cache = Cache::at(folder.path()).expect("cache");
        let of = |path: &str| Cluster::of(&Checkout(path.into()), &cache).expect("cluster");
        let (one, other) = (of("/a"), of("/b"));
        assert_ne!(one.name(), other.name());
        // The kernel's limit for an interface's name.
        assert!(one.name().len() <= 15);
    }

    #[test]
    fn a_cache_path_too_long_for_sockets_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let cache = Cache::at(&folder.path().join("x".repeat(LONGEST_CACHE_PATH))).expect("cache");
        let error = Cluster::of(&Checkout("/a".into()), &cache).expect_err("too long");
        assert!(error.to_string().contains("LOGISTICS_CACHE"), "{error}");
    }
}
