//! What goes into an image: a list that can be hashed without copying anything, and then be copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::command::output;

/// The user of every image: in `/etc/passwd`, owner of nothing.
pub(crate) const NONROOT: u32 = 65532;

/// One thing at one place of the image.
#[derive(Debug, Clone)]
enum Source {
    /// A file of this machine; its content counts.
    File(PathBuf),
    /// A folder; its path counts, which names a version.
    Tree(PathBuf),
    /// A text.
    Text(String),
}

/// The root file system of an image, by place.
#[derive(Debug, Clone, Default)]
pub(crate) struct RootFs {
    entries: BTreeMap<String, Source>,
}

impl RootFs {
    /// The files that every program may expect: the user, the name service and public certificates.
    pub(crate) fn base() -> Self {
        let passwd = format!(
            "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{NONROOT}:{NONROOT}:nonroot:/tmp:/sbin/nologin\n"
        );
        Self::default()
            .text("etc/passwd", &passwd)
            .text("etc/group", &format!("root:x:0:\nnonroot:x:{NONROOT}:\n"))
            .text("etc/nsswitch.conf", "hosts: files dns\n")
            .file(
                "/etc/ssl/certs/ca-certificates.crt",
                "etc/ssl/certs/ca-certificates.crt",
            )
            .text("tmp/.keep", "")
    }

    /// A text file.
    pub(crate) fn text(mut self, at: &str, text: &str) -> Self {
        self.entries.insert(at.to_owned(), Source::Text(text.to_owned()));
        self
    }

    /// One file of this machine, links followed.
    pub(crate) fn file(mut self, from: impl Into<PathBuf>, at: &str) -> Self {
        self.entries.insert(at.to_owned(), Source::File(from.into()));
        self
    }

    /// A whole folder of an installed version.
    pub(crate) fn tree(mut self, from: impl Into<PathBuf>, at: &str) -> Self {
        self.entries.insert(at.to_owned(), Source::Tree(from.into()));
        self
    }

    /// A program and its libraries.
    pub(crate) fn program(self, from: &Path, at: &str) -> Result<Self> {
        Ok(self.libraries_of(from)?.file(from, at))
    }

    /// The libraries of a program or of a library, and theirs, at the places where its loader looks for them.
    pub(crate) fn libraries_of(self, program: &Path) -> Result<Self> {
        self.libraries_except(program, Path::new("/proc"))
    }

    /// The same, without those below a folder that is copied as a whole.
    pub(crate) fn libraries_except(mut self, program: &Path, copied: &Path) -> Result<Self> {
        for library in libraries(program)? {
            if library.starts_with(copied) {
                continue;
            }
            let at = library.to_string_lossy().trim_start_matches('/').to_owned();
            self.entries.insert(at, Source::File(library));
        }
        Ok(self)
    }

    /// A digest of all that goes in.
    pub(crate) fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for (at, source) in &self.entries {
            hash.update(at);
            match source {
                Source::File(path) => {
                    hash.update(fs::read(path).with_context(|| {
                        format!("cannot read {}, which goes into an image", path.display())
                    })?);
                }
                Source::Tree(path) => hash.update(path.as_os_str().as_encoded_bytes()),
                Source::Text(text) => hash.update(text),
            }
            hash.update([0]);
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// Copies everything below `dir`.
    pub(crate) fn stage(&self, dir: &Path) -> Result<()> {
        for (at, source) in &self.entries {
            let target = dir.join(at);
            let parent = target.parent().context("a file without a folder")?;
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            match source {
                Source::File(path) => fs::copy(path, &target).map(drop),
                Source::Text(text) => fs::write(&target, text),
                Source::Tree(path) => {
                    output(
                        Command::new("cp")
                            .args(["-a", "--no-target-directory"])
                            .arg(path)
                            .arg(&target),
                    )?;
                    Ok(())
                }
            }
            .with_context(|| format!("cannot make {}", target.display()))?;
            if at.starts_with("tmp/") {
                fs::set_permissions(parent, fs::Permissions::from_mode(0o1777))
                    .context("cannot open /tmp to all")?;
            }
        }
        Ok(())
    }
}

/// What the loader would load, the loader itself included; nothing for a static program.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let listed = output(Command::new("ldd").arg(program));
    let text = match listed {
        Ok(text) => text,
        Err(error) if error.to_string().contains("not a dynamic executable") => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    parse_libraries(&text).with_context(|| format!("the libraries of {}", program.display()))
}

fn parse_libraries(text: &str) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("{line}; install the package that has it");
        }
        // `name => /path (address)`, or `/path (address)` for the loader; the kernel's own has no path.
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        if path.starts_with('/') {
            found.insert(PathBuf::from(path.split(' ').next().unwrap_or(path)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_loaders_list() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x1)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x2)\n\tstatically linked\n";
        let found = parse_libraries(text).expect("list");
        let expected = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_missing_library_is_an_error() {
        let error = parse_libraries("\tlibx.so.1 => not found\n").expect_err("missing");
        assert!(error.to_string().contains("libx.so.1"), "{error}");
    }

    #[test]
    fn the_digest_follows_content_and_place() {
        let one = RootFs::default().text("a", "1").digest().expect("digest");
        assert_eq!(one, RootFs::default().text("a", "1").digest().expect("digest"));
        assert_ne!(one, RootFs::default().text("a", "2").digest().expect("digest"));
        assert_ne!(one, RootFs::default().text("b", "1").digest().expect("digest"));
    }

    #[test]
    fn a_program_is_staged_with_its_loader() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let shell = Path::new("/bin/sh").canonicalize().expect("a shell");
        RootFs::base()
            .program(&shell, "bin/sh")
            .expect("libraries")
            .stage(folder.path())
            .expect("staged");
        assert!(folder.path().join("bin/sh").is_file());
        assert!(folder.path().join("etc/passwd").is_file());
        let mode = fs::metadata(folder.path().join("tmp"))
            .expect("tmp")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o1777);
    }
}
