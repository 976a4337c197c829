use std::io;
use std::path::{Path, PathBuf};

/// Why a tool could not be found or installed; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Neither of the variables that tell where the cache may live is set.
    #[error("no place for the tools cache: set LOGISTICS_CACHE, XDG_CACHE_HOME or HOME to a writable folder")]
    NoCache,
    /// A file or folder of the cache could not be read or written.
    #[error("{path}: {source}; check the rights and the free space of the tools cache", path = path.display())]
    Io {
        /// The path concerned.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A program could not be started at all.
    #[error("{step}: cannot start `{program}`: {source}; run `make prerequisites`")]
    Start {
        /// The step that needed it.
        step: String,
        /// The program's name or path.
        program: String,
        /// What the system answered.
        source: io::Error,
    },
    /// A program ended with a failure; its output is in the log.
    #[error("{step}: failed ({status}); read {log}\n{tail}", log = log.display())]
    Failed {
        /// The step that failed.
        step: String,
        /// How the program ended.
        status: String,
        /// The file with the whole output.
        log: PathBuf,
        /// The last lines of that output.
        tail: String,
    },
    /// A pin file does not name the version it is the home of.
    #[error("{file}: names no version; it must contain {expected}")]
    NoVersion {
        /// The pin file.
        file: &'static str,
        /// What a line of it should look like.
        expected: &'static str,
    },
    /// A program of the system is missing.
    #[error("{program} is missing; install it with `{remedy}`")]
    Missing {
        /// The program or file looked for.
        program: String,
        /// The command that installs it.
        remedy: String,
    },
}

impl ToolError {
    /// Wraps an I/O error with the path it happened at; to be used with `map_err`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}
