use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ToolError;

/// The folder outside the checkout that holds built tools, logs and the state of clusters.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds (and makes) the cache: `LOGISTICS_CACHE`, else `XDG_CACHE_HOME/logistics-platform`, else
    /// `HOME/.cache/logistics-platform`.
    pub fn locate() -> Result<Self, ToolError> {
        let dir = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = dir("LOGISTICS_CACHE")
            .or_else(|| Some(dir("XDG_CACHE_HOME")?.join("logistics-platform")))
            .or_else(|| Some(dir("HOME")?.join(".cache/logistics-platform")))
            .ok_or(ToolError::NoCache)?;
        Self::at(&root)
    }

    /// The cache in a given folder, which is made when missing.
    pub fn at(root: &Path) -> Result<Self, ToolError> {
        fs::create_dir_all(root).map_err(ToolError::at(root))?;
        let root = root.canonicalize().map_err(ToolError::at(root))?;
        let cache = Self { root };
        for dir in [cache.tools(), cache.logs(), cache.clusters()] {
            fs::create_dir_all(&dir).map_err(ToolError::at(&dir))?;
        }
        Ok(cache)
    }

    /// The cache's own folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// One folder for each installed tool.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// One log file for each build step, overwritten by the next run of that step.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    /// One folder for each cluster, named after it.
    #[must_use]
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// Compilers' own caches while tools are built; removed afterwards, because they reach 20 GB.
    pub(crate) fn build(&self) -> PathBuf {
        self.root.join("build")
    }
}
