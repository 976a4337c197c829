//! Which of several operators writes: the one that holds a Lease. The others keep their caches warm and write nothing.
//!
//! [`Candidate`] decides, and is pure; [`elect`] reads and writes the Lease; [`Leadership`] is what every write asks first.
//! Time is that of the local monotonic clock only: clocks of other machines are never compared with it. What makes two
//! writers impossible:
//!
//! - a holder counts its time from *before* the request that prolonged it, and writes for the renew deadline only;
//! - another candidate counts from when it *saw* the Lease change, which is later, and waits for the Lease's duration,
//!   which is longer;
//! - each write of the Lease names the version that was seen, so that of two that reach for it one fails;
//! - a write that was begun in time ends before the Lease does, or is given up.

mod candidate;
mod elect;
mod gate;

pub use candidate::{Candidate, Loss, Step, Timing};
pub use elect::{Election, elect};
pub use gate::{Leadership, NotLeading, Permit};

#[cfg(test)]
mod tests;
