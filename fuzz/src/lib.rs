//! What takes bytes from outside, each as a function that panics when a promise is broken.
//!
//! The engine (`src/engine.rs`) looks for inputs that go new ways through them, the tests feed them what is kept in `corpus/`
//! and `findings/`, and docs/fuzzing.md says what each promises.

mod codec;
mod events;
pub mod kept;
mod targets;

use targets::{analytics, avro, json, keys, learning, ledger, record, schema, shipment, token, tracking};

/// Something to be fed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its folder in `corpus/` and `findings/`.
    pub name: &'static str,
    /// The longest input that is tried, in bytes.
    pub longest: usize,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! target {
    ($module:ident, $longest:literal) => {
        Target {
            name: stringify!($module),
            longest: $longest,
            run: $module::run,
            seeds: $module::seeds,
        }
    };
}

/// All targets.
pub const TARGETS: [Target; 11] = [
    target!(avro, 1024),
    target!(schema, 4096),
    target!(json, 2048),
    target!(record, 1024),
    target!(token, 1024),
    target!(keys, 2048),
    target!(shipment, 1024),
    target!(tracking, 4096),
    target!(analytics, 256),
    target!(ledger, 160),
    target!(learning, 512),
];

impl Target {
    /// The target of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Feeds it.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn run(&self, input: &[u8]) {
        (self.run)(input);
    }

    /// Inputs of each kind, to begin with.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }
}
