//! The plugin against a real API server.

mod bundle;
mod kubelet;
mod lint;
#[path = "../../../operator/tests/testbed/platforms.rs"]
mod platforms;
mod site;
mod status;
