//! The binary as Kubernetes runs it: real processes over real backing servers.

mod command_line;
mod crash;
mod projection;
mod stream;
mod support;
mod trace;
