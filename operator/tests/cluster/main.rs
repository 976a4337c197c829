//! The operator against a real API server, broker and registry. Nothing schedules pods there: the tests play the Job and
//! Deployment controllers.

mod backends;
mod children;
mod credentials;
mod definition;
mod faults;
mod leader;
mod manners;
mod namespaces;
#[path = "../testbed/platforms.rs"]
mod platforms;
mod support;
mod verdicts;
mod webhook;
