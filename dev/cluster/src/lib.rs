//! A real Kubernetes cluster with its backing services on one Linux machine.
//!
//! One cluster belongs to one checkout. Everything runs in a network namespace and control groups of its own, so
//! that clusters do not see each other and tear-down finds all that was started, also after a kill.

mod backing;
mod cgroup;
mod cluster;
mod command;
mod control_plane;
mod credentials;
mod down;
pub mod images;
mod install;
mod kubectl;
pub mod leftovers;
mod metrics_server;
mod network;
mod node;
mod pki;
pub mod prerequisites;
mod process;
mod restart;
mod service_starts;
mod status;
mod up;
mod wait;

pub use backing::{NODE_PORTS, NodePorts};
pub use cluster::{Checkout, Cluster};
pub use down::down;
pub use install::Target;
pub use kubectl::Kubectl;
pub use network::Network;
pub use restart::restart;
pub use status::status;
pub use up::{load, load_recorded, recorded_images, up};
