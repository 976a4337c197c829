//! The bundle as a `.tar.gz`, with a manifest.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::Request;
use super::collect::{Collected, Unreadable};

/// What is in the bundle, and what is not.
#[derive(Debug, Serialize)]
pub struct Manifest {
    /// What made it.
    pub made_by: String,
    /// When.
    pub made_at: String,
    /// The platform, as namespace and name.
    pub platform: String,
    /// What was taken out of all files.
    pub redacted: &'static [&'static str],
    /// The files.
    pub files: Vec<Entry>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// A file of the bundle.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: usize,
}

const REDACTED: &[&str] = &[
    "values of Secrets: never read, only their metadata was asked for",
    "values in ConfigMaps: only keys and sizes are kept",
    "values of environment variables, but for those of the platform's own settings",
    "arguments, fields and annotations whose name says that they are secret",
    "last-applied-configuration and managedFields",
    "authorization headers, tokens, private keys, users and passwords in URLs, and assignments to names of secrets, in logs and messages",
    "wherever else they occur: values that were taken out of a place above",
];

/// Why the file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written: {source}; choose another file with -o")]
pub struct ArchiveError {
    path: PathBuf,
    source: io::Error,
}

/// A file that is being written.
pub(super) struct Archive {
    path: PathBuf,
    file: File,
}

impl Archive {
    /// Makes the file, for its owner only; one that is there is not overwritten.
    pub(super) fn create(path: &Path) -> Result<Self, ArchiveError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(|source| ArchiveError {
                path: path.to_owned(),
                source,
            })?,
        })
    }

    /// Writes all files, the manifest first.
    pub(super) fn write(
        self,
        request: &Request,
        collected: &Collected,
        now: Timestamp,
    ) -> Result<Manifest, ArchiveError> {
        let manifest = Manifest {
            made_by: format!("kubectl-logistics {}", env!("CARGO_PKG_VERSION")),
            made_at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            platform: format!("{}/{}", request.cluster.namespace, request.name),
            redacted: REDACTED,
            files: collected
                .files
                .iter()
                .map(|(path, content)| Entry {
                    path: path.clone(),
                    bytes: content.len(),
                })
                .collect(),
            unreadable: collected.unreadable.clone(),
        };
        let Self { path, file } = self;
        pack(file, &manifest, collected, now).map_err(|source| ArchiveError { path, source })?;
        Ok(manifest)
    }
}

fn pack(file: File, manifest: &Manifest, collected: &Collected, now: Timestamp) -> io::Result<()> {
    let encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    let mut tar = tar::Builder::new(encoder);
    let text = serde_json::to_string_pretty(manifest)?;
    let first = ("manifest.json".to_owned(), text);
    for (path, content) in std::iter::once(&first).chain(&collected.files) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now.as_second().unsigned_abs());
        tar.append_data(&mut header, path, content.as_bytes())?;
    }
    tar.into_inner()?.finish()?.flush()
}
