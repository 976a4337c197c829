//! End-to-end stories on the development cluster. They share one platform, so they run one after another:
//! `cargo test -p dev-e2e -- --test-threads=1`.

mod crashes;
mod deletion;
mod drift;
mod interrupted;
mod refusals;
mod rollout;
mod topics;
mod trace;
