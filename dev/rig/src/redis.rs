//! Redis with TLS, and a user who may do what a platform's cache needs and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::pki::Authority;
use crate::process::{Process, Spec};
use crate::{scratch, tool, wait};

const USER: &str = "logistics";
/// All that a platform's cache does, on its own keys: docs/workloads.md names the same.
const RIGHTS: &str = "~logistics:* +time +mget +script|load +evalsha +getrange +set";

/// A running Redis, in memory only.
#[derive(Debug)]
pub struct Redis {
    /// Address; 127.0.0.2 leads there too.
    pub host: String,
    /// TCP port; TLS only.
    pub port: u16,
    /// Name of the user with the rights of a platform.
    pub username: String,
    /// PEM file of the authority of the server's certificate, which is valid for 127.0.0.1 and localhost.
    pub ca_file: PathBuf,
    password: Mutex<String>,
    admin_password: String,
    process: Process,
    folder: TempDir,
}

/// Starts a server.
pub async fn redis() -> Result<Redis> {
    let folder = scratch::folder("redis")?;
    let authority = Authority::new("dev-rig redis")?;
    let identity = authority.server(&["localhost", "127.0.0.1"])?;
    let file = |name: &str| folder.path().join(name);
    write_private(&file("server.key"), &identity.key)?;
    std::fs::write(file("server.crt"), &identity.certificate)?;
    std::fs::write(file("ca.crt"), authority.certificate())?;
    let redis = Redis {
        host: "127.0.0.1".into(),
        port: scratch::free_port()?,
        username: USER.into(),
        ca_file: file("ca.crt"),
        password: Mutex::new(scratch::secret()),
        admin_password: scratch::secret(),
        process: Process::stopped(Spec {
            name: "Redis",
            program: tool::redis_server()?,
            args: vec![file("redis.conf").to_string_lossy().into_owned()],
            env: Vec::new(),
            user: None,
            within: Vec::new(),
            stop: Signal::KILL,
            log: file("redis.log"),
        }),
        folder,
    };
    redis.start_again().await?;
    Ok(redis)
}

impl Redis {
    /// The password of the platform's user.
    #[must_use]
    pub fn password(&self) -> String {
        self.password
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Runs a command as administrator and gives what `redis-cli` prints.
    pub async fn execute(&self, command: &[&str]) -> Result<String> {
        let asked = tokio::process::Command::new(tool::redis_cli()?)
            .args([
                "-h",
                &self.host,
                "-p",
                &self.port.to_string(),
                "--tls",
                "--cacert",
            ])
            .arg(&self.ca_file)
            .args(["-e", "--no-auth-warning"])
            .args(command)
            .env("REDISCLI_AUTH", &self.admin_password)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(wait::PROBE_LIMIT, asked)
            .await
            .context("Redis does not answer redis-cli")?
            .context("run redis-cli")?;
        let (text, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success(),
            "redis-cli {}: {}{}",
            command.first().unwrap_or(&""),
            text.trim(),
            errors.trim()
        );
        Ok(text.trim_end().to_owned())
    }

    /// Gives the platform's user another password and closes its connections.
    pub async fn change_password(&self) -> Result<String> {
        let password = scratch::secret();
        self.execute(&["ACL", "SETUSER", USER, "resetpass", &format!(">{password}")])
            .await?;
        self.execute(&["CLIENT", "KILL", "USER", USER]).await?;
        self.password
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&password);
        Ok(password)
    }

    /// Kills the server, as a crash does; what it held is lost.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts the server again after [`Self::kill`], empty and at the same address.
    pub async fn start_again(&self) -> Result<()> {
        let file = |name: &str| self.folder.path().join(name);
        let config = [
            "bind 127.0.0.1 127.0.0.2".to_owned(),
            "port 0".into(),
            format!("tls-port {}", self.port),
            format!("tls-cert-file {}", file("server.crt").display()),
            format!("tls-key-file {}", file("server.key").display()),
            format!("tls-ca-cert-file {}", self.ca_file.display()),
            "tls-auth-clients no".into(),
            "save \"\"".into(),
            "appendonly no".into(),
            format!("dir {}", self.folder.path().display()),
            format!("user default on >{} ~* &* +@all", self.admin_password),
            format!("user {USER} on >{} {RIGHTS}", self.password()),
            String::new(),
        ];
        write_private(&file("redis.conf"), &config.join("\n"))?;
        self.process.start_again()?;
        wait::until_ready(&self.process, || self.execute(&["PING"]))
            .await
            .map(drop)
    }

    /// Has the server stand still, as on a machine that hangs, until [`Self::resume`].
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has the server go on after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}
