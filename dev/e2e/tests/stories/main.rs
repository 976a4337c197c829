//! End-to-end stories on the development cluster. They share one platform and take turns on it.

mod api_server;
mod autoscaling;
mod backends;
mod cached;
mod conflicts;
mod copies;
mod crashes;
mod dead_letters;
mod deletion;
mod drift;
mod fights;
mod interrupted;
mod leaders;
mod lifecycle;
mod optional;
mod refusals;
mod rest;
mod rollout;
mod rotation;
mod side_by_side;
mod sidecar;
mod topics;
mod trace;
