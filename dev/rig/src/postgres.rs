//! PostgreSQL with passwords (SCRAM) and TLS, as in production; without fsync, unless it is asked for.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::pki::Authority;
use crate::process::{Process, Spec, User};
use crate::{scratch, tool, wait};

const SUPERUSER: &str = "postgres";

/// A running database server. It takes plain connections and TLS.
#[derive(Debug)]
pub struct Postgres {
    /// Address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the superuser.
    pub superuser: String,
    /// The superuser's password.
    pub password: String,
    /// URL of the database `postgres`, as superuser.
    pub url: String,
    /// PEM file of the authority of the server's certificate, which is valid for 127.0.0.1 and localhost.
    pub ca_file: PathBuf,
    process: Process,
    /// After the server's process: that ends first.
    disk: Option<Disk>,
    bin: PathBuf,
    folder: TempDir,
}

/// A database and the role that owns it, which is no superuser but may create roles: what a platform is given.
#[derive(Clone, Debug)]
pub struct Database {
    /// Name of the database.
    pub name: String,
    /// Name of its owner.
    pub username: String,
    /// The owner's password.
    pub password: String,
    /// URL of the database, as its owner.
    pub url: String,
    /// URL of the database, as superuser.
    pub superuser_url: String,
}

/// Starts a server of its own; see [`crate::shared::postgres`] for one that costs its start only once.
pub async fn postgres() -> Result<Postgres> {
    start(None, "off").await
}

/// Starts a server of its own on a disk of so many MiB, which can be filled: [`Postgres::fill_disk`].
pub async fn postgres_on_small_disk(mebibytes: u32) -> Result<Postgres> {
    start(Some(mebibytes), "off").await
}

/// Starts a server whose commits wait for the disk, as in production.
pub async fn durable_postgres() -> Result<Postgres> {
    start(None, "on").await
}

async fn start(small_disk: Option<u32>, fsync: &str) -> Result<Postgres> {
    let bin = tool::postgres_bin()?;
    let folder = scratch::folder("postgres")?;
    let user = unprivileged_user()?;
    let home = folder.path().join("server");
    std::fs::create_dir(&home)?;
    let password = scratch::secret();
    write_private(&home.join("password"), &password, user)?;
    let authority = Authority::new("dev-rig postgres")?;
    let identity = authority.server(&["localhost", "127.0.0.1"])?;
    write_private(&home.join("server.key"), &identity.key, user)?;
    write_private(&home.join("server.crt"), &identity.certificate, user)?;
    let ca_file = folder.path().join("ca.crt");
    std::fs::write(&ca_file, authority.certificate())?;
    if let Some(user) = user {
        chown(&home, Some(user.uid), Some(user.gid)).context("give the database's folder to its user")?;
    }

    let mut disk = None;
    let mut data = home.join("data");
    if let Some(mebibytes) = small_disk {
        let mount = home.join("disk");
        std::fs::create_dir(&mount)?;
        let made = Disk::start(mount, mebibytes, user, folder.path().join("disk.log")).await?;
        data = made.folder.join("data");
        disk = Some(made);
    }
    let within = disk.as_ref().map(Disk::within).transpose()?.unwrap_or_default();
    let data = data.to_string_lossy().into_owned();

    let spec = |name, program: &str, args: Vec<String>| Spec {
        name,
        program: bin.join(program),
        args,
        env: vec![("LC_ALL", "C.UTF-8".into()), ("TZ", "UTC".into())],
        user,
        within: within.clone(),
        // Ends at once, with its children and its shared memory.
        stop: Signal::QUIT,
        log: folder.path().join("postgres.log"),
    };
    let file = |name: &str| home.join(name).to_string_lossy().into_owned();
    let initdb = [
        format!("--pgdata={data}"),
        format!("--username={SUPERUSER}"),
        format!("--pwfile={}", file("password")),
        "--auth=scram-sha-256".into(),
        "--encoding=UTF8".into(),
        "--no-sync".into(),
    ];
    spec("initdb", "initdb", initdb.into()).run().await?;
    let port = scratch::free_port()?;
    let mut args = vec!["-D".into(), data];
    for setting in [
        "listen_addresses=127.0.0.1".into(),
        format!("port={port}"),
        format!("unix_socket_directories={}", home.display()),
        format!("fsync={fsync}"),
        "max_connections=300".into(),
        "ssl=on".into(),
        format!("ssl_cert_file={}", file("server.crt")),
        format!("ssl_key_file={}", file("server.key")),
    ] {
        args.extend(["-c".into(), setting]);
    }
    if small_disk.is_some() {
        // It should hold more than the log.
        args.extend(["-c", "min_wal_size=32MB", "-c", "max_wal_size=96MB"].map(String::from));
    }
    let process = Process::start(spec("PostgreSQL", "postgres", args))?;
    let pass_file = folder.path().join("pgpass");
    write_private(&pass_file, &format!("*:*:*:{SUPERUSER}:{password}\n"), None)?;
    let postgres = Postgres {
        host: "127.0.0.1".into(),
        port,
        superuser: SUPERUSER.into(),
        url: url(port, "postgres", SUPERUSER, &password),
        password,
        ca_file,
        process,
        disk,
        bin,
        folder,
    };
    postgres.ready().await?;
    Ok(postgres)
}

impl Postgres {
    /// Creates a database whose name starts with `name`, owned by a new role of the same name.
    pub async fn make_database(&self, name: &str) -> Result<Database> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        ensure!(
            !name.is_empty() && name.len() <= 30 && name.chars().all(plain),
            "database name {name:?}: give 1 to 30 characters of a-z, 0-9 and _"
        );
        let password = scratch::secret();
        let name = format!("{name}_{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        self.execute(
            "postgres",
            &format!("CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{password}'"),
        )
        .await?;
        self.execute("postgres", &format!("CREATE DATABASE {name} OWNER {name}"))
            .await?;
        Ok(Database {
            url: url(self.port, &name, &name, &password),
            superuser_url: url(self.port, &name, &self.superuser, &self.password),
            username: name.clone(),
            password,
            name,
        })
    }

    /// Runs SQL as superuser in a database and gives what `psql` prints: a line per row, columns divided by `|`.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<String> {
        let output = tokio::process::Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-w"])
            .args([
                "-h",
                &self.host,
                "-p",
                &self.port.to_string(),
                "-U",
                &self.superuser,
            ])
            .args(["-d", database, "-c", sql])
            .env("PGPASSFILE", self.folder.path().join("pgpass"))
            .env("PGCONNECT_TIMEOUT", wait::PROBE_LIMIT.as_secs().to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("run psql")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "psql: {}", errors.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// The id of its first process, the parent of those that serve connections; unless it was killed.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What the server has noted so far.
    pub fn log(&self) -> Result<String> {
        let path = self.folder.path().join("postgres.log");
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }

    /// Kills the server, as a crash does.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts the server again after [`Self::kill`], with its data and at the same address.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    /// Takes all that is free on the server's disk, if it has one of its own.
    pub fn fill_disk(&self) -> Result<()> {
        self.disk().and_then(Disk::fill)
    }

    /// Gives back what [`Self::fill_disk`] took; a server that has ended by it is started again.
    pub async fn free_disk(&self) -> Result<()> {
        self.disk()?.free()?;
        if self.process.ended().is_some() {
            self.process.start_again()?;
        }
        self.ready().await
    }

    fn disk(&self) -> Result<&Disk> {
        self.disk
            .as_ref()
            .context("this server has no disk of its own: start it with postgres_on_small_disk")
    }

    async fn ready(&self) -> Result<()> {
        wait::until_ready(&self.process, || self.execute("postgres", "SELECT 1"))
            .await
            .map(drop)
    }
}

fn url(port: u16, database: &str, user: &str, password: &str) -> String {
    format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}")
}

/// PostgreSQL refuses to run as root: then, Debian's user for it, or nobody.
fn unprivileged_user() -> Result<Option<User>> {
    if !rustix::process::getuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    let find = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find(|fields| fields.clone().next() == Some(name))?;
        let uid = fields.nth(2)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.context(
        "/etc/passwd has neither the user postgres nor nobody, and PostgreSQL refuses to run as root",
    )
    .map(Some)
}

fn write_private(path: &Path, text: &str, user: Option<User>) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}
