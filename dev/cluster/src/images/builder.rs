//! From a staged root file system to an image archive, by buildah or by Docker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use dev_tools::{Cache, FileLock, Step};
use serde::{Deserialize, Serialize};

/// Which program builds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Buildah,
    Docker,
}

/// An image with the archive that a node imports it from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Archive {
    /// The full name with its tag.
    pub(crate) reference: String,
    /// More tags for the same image.
    pub(crate) also: Vec<String>,
    /// The file.
    pub(crate) file: PathBuf,
}

impl Archive {
    /// The image's name in a registry's repository: `<repository>/<last part of its name>:<tag>`.
    pub(crate) fn remote(&self, repository: &str) -> String {
        let last = self.reference.rsplit('/').next().unwrap_or(&self.reference);
        format!("{repository}/{last}")
    }
}

/// What to build: a Containerfile's target from a context folder.
pub(crate) struct Recipe<'a> {
    pub(crate) containerfile: &'a Path,
    pub(crate) target: Option<&'a str>,
    pub(crate) context: &'a Path,
    pub(crate) reference: &'a str,
}

/// Builds, saves and pushes images.
#[derive(Debug)]
pub struct Builder {
    engine: Engine,
    /// Archives, and buildah's own storage.
    dir: PathBuf,
    logs: PathBuf,
}

impl Builder {
    /// A builder by the name of its program: `buildah` or `docker`.
    pub fn new(cache: &Cache, program: &str) -> Result<Self> {
        let engine = match program {
            "buildah" => Engine::Buildah,
            "docker" => Engine::Docker,
            other => bail!("cannot build images with `{other}`; use CONTAINER=buildah or CONTAINER=docker"),
        };
        let dir = cache.root().join("images");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self {
            engine,
            dir,
            logs: cache.logs(),
        })
    }

    /// Deletes all archives, records and buildah's storage.
    pub fn forget(cache: &Cache) -> Result<()> {
        let dir = cache.root().join("images");
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot delete {}", dir.display()))?;
        }
        Ok(())
    }

    /// Held while images are built: contexts and storage are shared by all checkouts.
    pub(crate) fn lock(&self) -> Result<FileLock> {
        Ok(FileLock::acquire(&self.dir.join("lock"), || {
            eprintln!("• another run builds images; waiting for it …");
        })?)
    }

    /// Empties buildah's storage, which serves to share layers between the images of one run.
    pub(crate) fn tidy(&self, step: &Step) -> Result<()> {
        match self.engine {
            Engine::Buildah => Ok(step.run(self.buildah().args(["rmi", "--all", "--force"]))?),
            Engine::Docker => Ok(()),
        }
    }

    /// Where the archive of an image with this digest belongs.
    pub(crate) fn archive_file(&self, name: &str, digest: &str) -> PathBuf {
        self.dir.join(format!("{name}-{}.tar", &digest[..12]))
    }

    /// An empty folder for a build context.
    pub(crate) fn context(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(format!("context-{name}"));
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }

    /// Starts a step that logs beside the tools' logs.
    pub(crate) fn step(&self, name: &str) -> Result<Step> {
        Ok(Step::start(name, &self.logs)?)
    }

    /// Builds one image.
    pub(crate) fn build(&self, recipe: &Recipe<'_>, step: &Step) -> Result<()> {
        let mut command = match self.engine {
            Engine::Buildah => {
                let mut command = self.buildah();
                // The same files give the same layers, whenever they were staged.
                command.args(["bud", "--isolation", "chroot", "--layers", "--timestamp", "0"]);
                command
            }
            Engine::Docker => {
                let mut command = Command::new("docker");
                command.arg("build");
                command
            }
        };
        command
            .arg("--file")
            .arg(recipe.containerfile)
            .args(["--tag", recipe.reference]);
        if let Some(target) = recipe.target {
            command.args(["--target", target]);
        }
        Ok(step.run(command.arg(recipe.context))?)
    }

    /// Writes a built image into an archive: whole, or not at all.
    pub(crate) fn save(&self, reference: &str, file: &Path, step: &Step) -> Result<()> {
        let partial = file.with_extension("partial");
        let _ = fs::remove_file(&partial);
        match self.engine {
            Engine::Buildah => {
                // Its layers are not compressed, which saves time here and on the node.
                let target = format!("docker-archive:{}:{reference}", partial.display());
                step.run(self.buildah().args(["push", reference, &target]))?;
            }
            Engine::Docker => step.run(
                Command::new("docker")
                    .args(["save", "--output"])
                    .arg(&partial)
                    .arg(reference),
            )?,
        }
        fs::rename(&partial, file).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Pushes an archived image to a registry under another name.
    pub(crate) fn push(&self, archive: &Archive, remote: &str, step: &Step) -> Result<()> {
        match self.engine {
            Engine::Buildah => {
                let (from, to) = (
                    format!("docker-archive:{}", archive.file.display()),
                    format!("docker://{remote}"),
                );
                step.run(Command::new("skopeo").args(["copy", &from, &to]))?;
            }
            Engine::Docker => {
                step.run(
                    Command::new("docker")
                        .args(["load", "--input"])
                        .arg(&archive.file),
                )?;
                step.run(Command::new("docker").args(["tag", &archive.reference, remote]))?;
                step.run(Command::new("docker").args(["push", remote]))?;
            }
        }
        Ok(())
    }

    /// Removes archives of the same image that were built from something else.
    pub(crate) fn forget_others(&self, name: &str, keep: &Path) {
        let prefix = format!("{name}-");
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let file = entry.file_name().to_string_lossy().into_owned();
            // Twelve hexadecimal digits and the extension: `tracking-…` is no `tracking`-something.
            let digest = file
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(".tar"));
            if path != keep && digest.is_some_and(|digest| digest.len() == 12) {
                // An archive that stays costs space only.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn buildah(&self) -> Command {
        let mut command = Command::new("buildah");
        command
            .arg("--root")
            .arg(self.dir.join("storage"))
            .arg("--runroot")
            .arg("/run/logistics-platform/buildah")
            .args(["--storage-driver", "overlay"]);
        command
    }
}
