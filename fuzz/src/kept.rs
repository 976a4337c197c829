//! What is kept in the repository: inputs that go different ways, and those that once broke a promise.

use std::io;
use std::path::{Path, PathBuf};

use crate::Target;

/// The inputs that together go all ways that are known.
#[must_use]
pub fn corpus(target: &Target) -> PathBuf {
    folder("corpus", target)
}

/// The inputs that broke a promise; the promise is kept since.
#[must_use]
pub fn findings(target: &Target) -> PathBuf {
    folder("findings", target)
}

fn folder(name: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join(target.name)
}

/// The files of a folder, by name; none where there is no folder.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}
