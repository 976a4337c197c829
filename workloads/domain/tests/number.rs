//! Recycled tracking numbers.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::number::{Window, holder};
use proptest::prelude::*;

fn day(day: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(day)
}

#[test]
fn a_recycled_number_is_the_shipment_of_the_time_that_is_asked_for() {
    let first = Window::new(day(0), day(10), Some(day(14)));
    let second = Window::new(day(60), day(80), None);
    let all = [first, second];
    assert_eq!(holder(&all, day(-1)), None);
    assert_eq!(holder(&all, day(12)), Some(0));
    // Over, but still asked for.
    assert_eq!(holder(&all, day(59)), Some(0));
    // The newer one has it, as soon as it is ordered.
    assert_eq!(holder(&all, day(60)), Some(1));
    assert_eq!(holder(&all, day(9_999)), Some(1));
    assert_eq!(holder(&all[..1], day(104)), Some(0));
    assert_eq!(holder(&all[..1], day(105)), None);
}

#[test]
fn what_was_ordered_after_it_left_has_its_number_from_before() {
    let late = Window::new(day(50), day(10), None);
    assert_eq!(holder(&[late], day(3)), Some(0));
    assert_eq!(holder(&[late], day(2)), None);
}

#[test]
fn of_two_that_began_together_the_one_ordered_later_has_it() {
    let window = Window::new(day(0), day(10), None);
    assert_eq!(holder(&[window, window], day(1)), Some(1));
    assert_eq!(holder(&[], day(1)), None);
}

proptest! {
    /// Whoever is not found has it neither alone, and who has it alone is found where nobody else has it.
    #[test]
    fn the_holder_holds_it_alone_too(
        shipments in proptest::collection::vec((0..200_i64, 0..40_i64, proptest::option::of(0..60_i64)), 0..8),
        at in -20..400_i64,
    ) {
        let windows: Vec<Window> = shipments
            .iter()
            .map(|(ordered, plan, end)| {
                let planned = ordered + plan;
                Window::new(day(*ordered), day(planned), end.map(|end| day(planned + end)))
            })
            .collect();
        let alone: Vec<bool> = windows.iter().map(|window| holder(&[*window], day(at)).is_some()).collect();
        match holder(&windows, day(at)) {
            Some(index) => prop_assert!(alone[index]),
            None => prop_assert!(!alone.contains(&true)),
        }
    }
}
