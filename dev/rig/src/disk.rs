//! A small disk, which can be full: a file system in memory, in a mount namespace that only its processes see. It needs
//! no rights that an ordinary user does not have.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::process::{Process, Spec, User, log_tail};

/// How long the file system may take to be there.
const START: Duration = Duration::from_secs(10);
/// Is there once the file system is.
const MARK: &str = "mounted";
const BALLAST: &str = "ballast";
/// Makes the file system and keeps the namespace.
const HOLD: &str = r#"mount -t tmpfs -o "$1" none "$2" && : > "$2/mounted" && exec sleep infinity"#;

/// A disk of a fixed size. What is on it is gone when this value is.
#[derive(Debug)]
pub(crate) struct Disk {
    holder: Process,
    /// Where its processes find it; for others, an empty folder.
    pub(crate) folder: PathBuf,
}

impl Disk {
    /// Makes a disk of so many MiB that `user` may write to; `folder` is an empty one.
    pub(crate) async fn start(
        folder: PathBuf,
        mebibytes: u32,
        user: Option<User>,
        log: PathBuf,
    ) -> Result<Self> {
        let owner = user.map(|User { uid, gid }| format!(",uid={uid},gid={gid}"));
        let options = format!("size={mebibytes}m,mode=0700{}", owner.unwrap_or_default());
        let mut args: Vec<String> = vec!["--mount".into()];
        if !rustix::process::getuid().is_root() {
            args.extend(["--user", "--map-current-user", "--keep-caps"].map(str::to_owned));
        }
        args.extend(["sh", "-c", HOLD, "sh", &options].map(str::to_owned));
        args.push(folder.to_string_lossy().into_owned());
        let holder = Process::start(Spec {
            name: "disk",
            program: "unshare".into(),
            args,
            env: Vec::new(),
            user: None,
            within: Vec::new(),
            stop: Signal::KILL,
            log,
        })?;
        let disk = Self { holder, folder };
        disk.mounted().await?;
        Ok(disk)
    }

    async fn mounted(&self) -> Result<()> {
        let mounted = async {
            while !self.outside(MARK)?.exists() {
                if let Some(end) = self.holder.ended() {
                    bail!("`unshare` or `mount`: {end}{}", log_tail(&self.holder.spec().log));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        };
        tokio::time::timeout(START, mounted)
            .await
            .context("the disk is not there in time")?
    }

    /// What a command starts with to see the disk.
    pub(crate) fn within(&self) -> Result<Vec<String>> {
        let mut command: Vec<String> = vec![
            "nsenter".into(),
            format!("--target={}", self.id()?),
            "--mount".into(),
        ];
        if !rustix::process::getuid().is_root() {
            command.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        command.push("--".into());
        Ok(command)
    }

    /// Takes all that is free.
    pub(crate) fn fill(&self) -> Result<()> {
        let path = self.outside(BALLAST)?;
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        let mut file: File = open(&path).with_context(|| format!("open {}", path.display()))?;
        let mut piece = 1 << 20;
        let zeros = vec![0; piece];
        while piece > 0 {
            match file.write(&zeros[..piece]) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece /= 2,
                Err(error) => return Err(error).context("fill the disk"),
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    pub(crate) fn free(&self) -> Result<()> {
        std::fs::remove_file(self.outside(BALLAST)?).context("empty the disk")
    }

    /// The path of a file of the disk for those who do not see it.
    fn outside(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.strip_prefix("/").unwrap_or(&self.folder);
        Ok(Path::new("/proc")
            .join(self.id()?.to_string())
            .join("root")
            .join(folder)
            .join(name))
    }

    fn id(&self) -> Result<u32> {
        self.holder.id().context("the disk is gone")
    }
}
