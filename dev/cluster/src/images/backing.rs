//! The images of the cluster's own parts and of the backing services.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use dev_tools::{Tool, Toolbox, prerequisites};

use super::builder::{Archive, Builder, Recipe};
use super::rootfs::RootFs;
use crate::command::output;

/// What the cluster runs besides the product.
#[derive(Debug)]
pub struct BackingImages {
    pub(crate) pause: Archive,
    pub(crate) coredns: Archive,
    pub(crate) metrics_server: Archive,
    pub(crate) postgres: Archive,
    pub(crate) kafka: Archive,
    pub(crate) registry: Archive,
    pub(crate) redis: Archive,
}

impl BackingImages {
    pub(crate) fn archives(&self) -> [&Archive; 7] {
        [
            &self.pause,
            &self.coredns,
            &self.metrics_server,
            &self.postgres,
            &self.kafka,
            &self.registry,
            &self.redis,
        ]
    }

    /// What goes to somebody's own cluster too.
    pub(crate) fn services(&self) -> [&Archive; 4] {
        [&self.postgres, &self.kafka, &self.registry, &self.redis]
    }
}

/// Builds what is missing. `sources` is the folder of this crate's image files.
pub fn backing(builder: &Builder, tools: &Toolbox, sources: &Path) -> Result<BackingImages> {
    let _lock = builder.lock()?;
    let build = |name: &str, root: &RootFs| build(builder, sources, name, root);
    Ok(BackingImages {
        pause: build("pause", &pause(builder, sources)?)?,
        coredns: build(
            "coredns",
            &RootFs::base().file(tools.coredns(), "usr/bin/coredns"),
        )?,
        metrics_server: build(
            "metrics-server",
            &RootFs::base().file(tools.metrics_server(), "usr/bin/metrics-server"),
        )?,
        postgres: build("postgres", &postgres(tools, sources)?)?,
        kafka: build("kafka", &kafka(tools, sources)?)?,
        registry: build("registry", &java(tools)?.tree(tools.apicurio(), "opt/registry"))?,
        redis: build(
            "redis",
            &RootFs::base().program(&tools.redis_server()?, "usr/bin/redis-server")?,
        )?,
    })
}

fn build(builder: &Builder, sources: &Path, name: &str, root: &RootFs) -> Result<Archive> {
    let own = sources.join(name).join("Containerfile");
    let containerfile = if own.exists() {
        own
    } else {
        sources.join("Containerfile")
    };
    let digest = root.clone().file(&containerfile, "Containerfile").digest()?;
    let reference = format!("localhost/dev/{name}:{}", &digest[..12]);
    let file = builder.archive_file(&format!("dev-{name}"), &digest);
    if !file.exists() {
        let step = builder.step(&format!("image {name}"))?;
        let context = builder.context(name)?;
        root.stage(&context.join("rootfs"))?;
        let recipe = Recipe {
            containerfile: &containerfile,
            target: None,
            context: &context,
            reference: &reference,
        };
        builder.build(&recipe, &step)?;
        builder.save(&reference, &file, &step)?;
        builder.forget_others(&format!("dev-{name}"), &file);
        builder.tidy(&step)?;
        std::fs::remove_dir_all(&context).context("cannot remove a build context")?;
        step.done();
    }
    Ok(Archive {
        reference,
        also: Vec::new(),
        file,
    })
}

/// Holds a pod's namespaces: a static program of a few lines.
fn pause(builder: &Builder, sources: &Path) -> Result<RootFs> {
    let program = builder.context("pause-program")?.join("pause");
    output(
        Command::new("cc")
            .args([
                "-static",
                "-Os",
                "-s",
                "-Wall",
                "-Werror",
                "-Wl,--build-id=none",
                "-o",
            ])
            .arg(&program)
            .arg(sources.join("pause/pause.c")),
    )?;
    Ok(RootFs::default().file(program, "pause"))
}

fn postgres(tools: &Toolbox, sources: &Path) -> Result<RootFs> {
    let bin = tools.postgres_bin()?;
    // /usr/lib/postgresql/15/bin → 15
    let home = bin.parent().context("PostgreSQL without a home")?;
    let version = home
        .file_name()
        .context("PostgreSQL without a version")?
        .to_string_lossy()
        .into_owned();
    let share = PathBuf::from("/usr/share/postgresql").join(&version);
    let at = |path: &Path| path.to_string_lossy().trim_start_matches('/').to_owned();
    let mut root = RootFs::base();
    for name in ["postgres", "initdb", "pg_isready", "psql"] {
        let program = bin.join(name);
        root = root.program(&program, &at(&program))?;
    }
    // `initdb` starts the server by a shell, and the start script is one.
    for name in ["sh", "mv", "rm", "sleep"] {
        let program = prerequisites::find(name)?
            .canonicalize()
            .with_context(|| format!("{name} is missing"))?;
        root = root.program(&program, &format!("bin/{name}"))?;
    }
    Ok(root
        .tree(home.join("lib"), &at(&home.join("lib")))
        .tree(share, &format!("usr/share/postgresql/{version}"))
        .tree("/usr/share/zoneinfo", "usr/share/zoneinfo")
        .text("etc/postgresql-bin", &bin.to_string_lossy())
        .file(sources.join("postgres/start.sh"), "usr/local/bin/start.sh"))
}

/// The Java runtime at `/opt/java`.
fn java(tools: &Toolbox) -> Result<RootFs> {
    let home = tools.jdk_home();
    let root = RootFs::base().tree(&home, "opt/java");
    // The other libraries of the runtime find the system's parts among these.
    root.libraries_except(&home.join("bin/java"), &home)?
        .libraries_except(&home.join("lib/server/libjvm.so"), &home)
}

fn kafka(tools: &Toolbox, sources: &Path) -> Result<RootFs> {
    Ok(java(tools)?
        .tree(tools.kafka_libs(), "opt/kafka/lib")
        .text("opt/kafka/VERSION", &Tool::Kafka.version()?)
        .file(
            sources.join("kafka/log4j2.properties"),
            "opt/kafka/log4j2.properties",
        ))
}
