//! The images that users get: the operator and the three workloads, from the same Containerfile as with Docker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use dev_tools::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::builder::{Archive, Builder, Recipe};
use super::rootfs::RootFs;
use crate::Checkout;
use crate::command::output;

/// The workloads' images, which are targets of the Containerfile.
pub const WORKLOADS: [&str; 3] = ["shipment", "tracking", "analytics"];
const OPERATOR: &str = "operator";
/// Where images live that no registry has.
const REPOSITORY: &str = "localhost/logistics";

/// The product's images and their tags: the version, and a part that changes with the content.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductImages {
    /// Where the images are: `<repository>/<workload>:<tag>`.
    pub repository: String,
    /// The tag of the three workloads.
    pub workloads: String,
    /// The operator's tag.
    pub operator: String,
    /// What a node imports.
    archives: Vec<Archive>,
}

impl ProductImages {
    /// The images of the last `dev images`, if any.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("{} is damaged; delete it", path.display()))
    }

    /// Records the images for `dev up` and `dev load`.
    pub fn write(&self, path: &Path) -> Result<()> {
        crate::pki::write(path, &serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn archives(&self) -> &[Archive] {
        &self.archives
    }
}

/// One image to build.
struct Image {
    target: &'static str,
    tag: String,
    digest: String,
}

/// Compiles the programs (or takes those in the folder `compiled`), builds what is missing, and pushes to `registry`
/// when one is given.
pub fn product(
    builder: &Builder,
    checkout: &Checkout,
    compiled: Option<&Path>,
    registry: Option<&str>,
) -> Result<ProductImages> {
    let workspace = Workspace::describe(checkout)?;
    let target = match compiled {
        Some(dir) => dir.to_path_buf(),
        None => compile(builder, checkout, &workspace)?,
    };
    let version = workspace.version;
    let programs = [("logistics", "workload"), ("logistics-operator", OPERATOR)];
    let mut base = RootFs::base();
    for (program, _) in programs {
        base = base.libraries_of(&target.join(program))?;
    }
    let containerfile = checkout.path().join("Containerfile");
    let common = base.clone().file(&containerfile, "Containerfile");
    let roots = programs
        .map(|(program, _)| RootFs::default().file(target.join(program), &format!("usr/bin/{program}")));
    let digest = |program: &RootFs| -> Result<String> {
        let parts = RootFs::default()
            .text("base", &common.digest()?)
            .text("program", &program.digest()?);
        parts.digest()
    };
    let [workloads, operator] = [digest(&roots[0])?, digest(&roots[1])?];
    let tag = |digest: &str| format!("{version}-g{}", &digest[..8]);
    let images: Vec<Image> = WORKLOADS
        .into_iter()
        .map(|target| Image {
            target,
            tag: tag(&workloads),
            digest: workloads.clone(),
        })
        .chain([Image {
            target: OPERATOR,
            tag: tag(&operator),
            digest: operator.clone(),
        }])
        .collect();

    let _lock = builder.lock()?;
    let built = |image: &Image| builder.archive_file(image.target, &image.digest).exists();
    if !images.iter().all(built) {
        let step = builder.step("images of the operator and the workloads")?;
        let context = builder.context("product")?;
        base.stage(&context.join("base"))?;
        for ((_, folder), root) in programs.iter().zip(&roots) {
            root.stage(&context.join(folder))?;
        }
        for image in &images {
            build(builder, image, &containerfile, &context, &step)?;
        }
        builder.tidy(&step)?;
        fs::remove_dir_all(&context).context("cannot remove a build context")?;
        step.done();
    }
    let archives: Vec<_> = images
        .iter()
        .map(|image| Archive {
            reference: reference(image),
            also: vec![format!("{REPOSITORY}/{}:{version}", image.target)],
            file: builder.archive_file(image.target, &image.digest),
        })
        .collect();
    if let Some(registry) = registry {
        push(builder, &archives, registry)?;
    }
    Ok(ProductImages {
        repository: registry.unwrap_or(REPOSITORY).to_owned(),
        workloads: tag(&workloads),
        operator: tag(&operator),
        archives,
    })
}

fn reference(image: &Image) -> String {
    format!("{REPOSITORY}/{}:{}", image.target, image.tag)
}

fn build(builder: &Builder, image: &Image, containerfile: &Path, context: &Path, step: &Step) -> Result<()> {
    let reference = reference(image);
    let recipe = Recipe {
        containerfile,
        target: Some(image.target),
        context,
        reference: &reference,
    };
    builder.build(&recipe, step)?;
    let file = builder.archive_file(image.target, &image.digest);
    builder.save(&reference, &file, step)?;
    builder.forget_others(image.target, &file);
    Ok(())
}

fn push(builder: &Builder, archives: &[Archive], registry: &str) -> Result<()> {
    for archive in archives {
        let step = builder.step(&format!("push {}", archive.remote(registry)))?;
        builder.push(archive, &archive.remote(registry), &step)?;
        for tag in &archive.also {
            let tagged = Archive {
                reference: tag.clone(),
                ..archive.clone()
            };
            builder.push(archive, &tagged.remote(registry), &step)?;
        }
        step.done();
    }
    Ok(())
}

/// What cargo says of the checkout.
struct Workspace {
    version: String,
    target: PathBuf,
}

impl Workspace {
    fn describe(checkout: &Checkout) -> Result<Self> {
        let metadata = output(
            Command::new("cargo")
                .args(["metadata", "--no-deps", "--format-version=1"])
                .current_dir(checkout.path()),
        )?;
        let metadata: Value =
            serde_json::from_str(&metadata).context("cargo's description of the workspace")?;
        let target = metadata["target_directory"]
            .as_str()
            .context("the workspace has no target folder")?;
        let packages = metadata["packages"]
            .as_array()
            .context("the workspace has no packages")?;
        let version = packages
            .iter()
            .find(|package| package["name"] == "logistics")
            .and_then(|package| package["version"].as_str())
            .context("the workspace has no package `logistics`")?;
        Ok(Self {
            version: version.to_owned(),
            target: PathBuf::from(target),
        })
    }
}

/// Builds the release programs; returns their folder.
fn compile(builder: &Builder, checkout: &Checkout, workspace: &Workspace) -> Result<PathBuf> {
    let step = builder.step("compile the operator and the workloads")?;
    step.run(
        Command::new("cargo")
            .args([
                "build",
                "--release",
                "--locked",
                "--package=logistics",
                "--package=logistics-operator",
            ])
            .current_dir(checkout.path()),
    )?;
    step.done();
    Ok(workspace.target.join("release"))
}
