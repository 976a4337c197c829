//! The real input, read whole.

use chrono::Duration;
use dev_flights::{legs::first_legs, story};

/// Legs in the data.
const ALL: usize = 336_776;

#[test]
fn every_leg_takes_a_plausible_time_and_the_first_ones_are_known() {
    let data = dev_tools::install(&[dev_tools::Tool::Flights])
        .unwrap()
        .flights_data();
    let mut legs = first_legs(&data, ALL).unwrap();
    for leg in &legs {
        // A wrong time zone or a wrong day would put some of 336,776 outside.
        let scheduled = leg.promised_arrival - leg.planned_departure;
        let plausible = Duration::minutes(40)..Duration::minutes(13 * 60);
        assert!(plausible.contains(&scheduled), "{leg:?}");
        if let (Some(departure), Some(arrival)) = (leg.actual_departure, leg.actual_arrival) {
            assert!(arrival - departure > Duration::minutes(20), "{leg:?}");
        }
    }
    let more = first_legs(&data, ALL + 1).unwrap_err().to_string();
    assert!(more.contains("336777") && more.contains("336776"), "{more}");

    legs.truncate(2000);
    let totals = story::totals(&legs);
    assert_eq!(
        (totals.shipments, totals.cancelled, totals.arrivals, totals.events),
        (2000, 17, 1969, 5969)
    );
    assert_eq!(legs[0].identity(), "UA1545-EWR-IAH-20130101T1015Z");
}
