//! What is done to the Lease.

use serde_json::{Value, json};

use super::Others;
use crate::api::Deletion;
use crate::dice::Dice;
use crate::lease::LEASE;

impl Others {
    /// Somebody takes the Lease from the operator: it is another one's until it runs out, or nobody's.
    pub(crate) fn take_lease(&self, dice: &mut Dice) {
        let key = Self::key("leases", LEASE);
        match dice.below(5) {
            0 => {
                self.note("the Lease is deleted");
                let _ = self.world.store.delete(&key, &Deletion::default());
            }
            1 => self.edit(&key, "empty", |lease| {
                lease["spec"]["holderIdentity"] = Value::Null;
            }),
            _ => {
                let (thief, seconds) = (format!("thief-{}", dice.below(1000)), 5 + dice.below(20));
                self.edit(&key, &format!("{thief} steals for {seconds} s"), |lease| {
                    let transitions = lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0);
                    lease["spec"] = json!({
                        "holderIdentity": thief, "leaseDurationSeconds": seconds, "leaseTransitions": transitions + 1,
                    });
                });
            }
        }
    }
}
