//! Mistakes on purpose, each behind a feature of its own, so that `make faults` can show that it would find them. Builds
//! for release refuse these features: no image has them.

#[cfg(all(
    not(debug_assertions),
    any(
        feature = "broken-skip-last-seq",
        feature = "broken-offset-early",
        feature = "broken-claim-rows"
    )
))]
compile_error!("a feature broken-… is only for `make faults`: leave it out of a release");

/// A projection applies what it gets without a look at what it has applied before.
pub(crate) const SKIP_LAST_SEQ: bool = cfg!(feature = "broken-skip-last-seq");

/// A consumer stores offsets before the database has committed what the records do.
pub(crate) const OFFSET_EARLY: bool = cfg!(feature = "broken-offset-early");

/// Relays claim rows of the outbox, whichever are free, instead of shards.
pub(crate) const CLAIM_ROWS: bool = cfg!(feature = "broken-claim-rows");

/// Says in the log what is wrong with this build, if something is.
pub(crate) fn confess() {
    for (mistake, made) in [
        ("broken-skip-last-seq", SKIP_LAST_SEQ),
        ("broken-offset-early", OFFSET_EARLY),
        ("broken-claim-rows", CLAIM_ROWS),
    ] {
        if made {
            tracing::error!(mistake, "this build is broken on purpose; do not run it");
        }
    }
}
