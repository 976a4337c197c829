//! Tracking numbers: carriers give them out again, so a number names a shipment only at a time.

use chrono::{DateTime, TimeDelta, Utc};

/// How long before its plan a shipment may be scanned for the first time.
const AHEAD: TimeDelta = TimeDelta::days(7);
/// How long after its end a shipment is still asked for, and scans of it still come.
const AFTER: TimeDelta = TimeDelta::days(90);

/// When a shipment has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
}

impl Window {
    /// The window of a shipment: from when it was ordered, or a week before the carrier means to leave if that is
    /// earlier, until 90 days after it `ended`.
    #[must_use]
    pub fn new(
        ordered: DateTime<Utc>,
        planned_departure: DateTime<Utc>,
        ended: Option<DateTime<Utc>>,
    ) -> Self {
        let ahead = planned_departure
            .checked_sub_signed(AHEAD)
            .unwrap_or(planned_departure);
        Self {
            from: ordered.min(ahead),
            until: ended.map(|ended| ended.checked_add_signed(AFTER).unwrap_or(ended)),
        }
    }

    fn holds(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && self.until.is_none_or(|until| at <= until)
    }
}

/// Which of the shipments that have ever had a number has it at a time: the one that began last. `windows` are in the
/// order in which the shipments were ordered.
#[must_use]
pub fn holder(windows: &[Window], at: DateTime<Utc>) -> Option<usize> {
    let holding = windows.iter().enumerate().filter(|(_, window)| window.holds(at));
    holding
        .max_by_key(|(index, window)| (window.from, *index))
        .map(|(index, _)| index)
}
