//! The kubectl plugin of the platform: `kubectl logistics lint`, `status`, `dlq` and `support-bundle`.
//!
//! Each command is a module: its arguments, and a function that does it and gives the exit code.

pub mod bundle;
pub mod connect;
pub mod dlq;
pub mod lint;
pub mod redact;
pub mod status;
