//! Credentials in files, as Secrets are mounted.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often credential files are looked at.
pub(crate) const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// Longest credential, in bytes.
const MAX_CREDENTIAL: usize = 1024;

/// A credential file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {path}: {reason}; mount the Secret with the credentials there")]
pub struct CredentialError {
    /// The configuration field.
    pub field: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

/// Reads a credential file; a line break at its end does not count.
pub(crate) fn credential(field: &'static str, path: &Path) -> Result<String, CredentialError> {
    let refuse = |reason: String| CredentialError {
        field,
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let value = text.trim_end_matches(['\r', '\n']);
    match value.len() {
        0 => Err(refuse("is empty".to_owned())),
        1..=MAX_CREDENTIAL => Ok(value.to_owned()),
        length => Err(refuse(format!(
            "has {length} bytes, at most {MAX_CREDENTIAL} are allowed"
        ))),
    }
}
