use std::fs::{self, File};
use std::path::Path;

use crate::ToolError;

/// A lock on a file, held until dropped: by one process at a time, given up by the system when it dies.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock on `path`, which is made when missing. `waiting` is called once if another process
    /// holds it.
    pub fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self, ToolError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ToolError::at(parent))?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(ToolError::at(path))?;
        if file.try_lock().is_err() {
            waiting();
            file.lock().map_err(ToolError::at(path))?;
        }
        Ok(Self { _file: file })
    }
}
