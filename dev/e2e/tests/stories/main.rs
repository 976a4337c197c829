//! End-to-end stories on the development cluster. They share one platform and take turns on it.

mod crashes;
mod deletion;
mod drift;
mod interrupted;
mod refusals;
mod rollout;
mod topics;
mod trace;
