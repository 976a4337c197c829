//! The plugin against a real API server.

mod bundle;
#[path = "../testbed/guide.rs"]
mod guide;
mod kubelet;
mod lint;
#[path = "../../../operator/tests/testbed/platforms.rs"]
mod platforms;
mod site;
mod status;
