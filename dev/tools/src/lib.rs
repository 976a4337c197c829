//! Finds, builds and pins the tools of the development cluster in a cache outside the checkout.
//!
//! Every version has one home: the pin files beside this crate (`<family>/go.mod`, `maven/*/pom.xml`,
//! `python/*.txt`, `cargo/*`, `asyncapi/package*.json`). A tool is installed into `<cache>/tools/<name>-<version>-<hash of its pins>/`
//! once, and never built again while that folder is there.
//!
//! ```no_run
//! use dev_tools::{Tool, install};
//! let tools = install(&[Tool::Kubernetes, Tool::Kafka, Tool::Jdk])?;
//! println!("{}", tools.kube_apiserver().display());
//! # Ok::<(), dev_tools::ToolError>(())
//! ```

mod cache;
mod error;
mod install;
mod lock;
mod pins;
pub mod prerequisites;
mod recipe;
mod step;
mod toolbox;

pub use cache::Cache;
pub use error::ToolError;
pub use install::install;
pub use lock::FileLock;
pub use pins::Tool;
pub use step::{Step, elapsed};
pub use toolbox::Toolbox;
