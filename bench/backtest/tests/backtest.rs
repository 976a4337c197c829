//! The real year: the models stay as good as they were, and know nothing before it happens.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use bench_backtest::replay::{Flown, replay};
use bench_backtest::report::Report;
use chrono::Duration;
use dev_flights::Leg;
use dev_flights::legs::all_legs;

#[expect(clippy::unwrap_used, reason = "a test's own arrangement")]
static LEGS: LazyLock<Vec<Leg>> = LazyLock::new(|| {
    let data = dev_tools::install(&[dev_tools::Tool::Flights])
        .unwrap()
        .flights_data();
    all_legs(&data).unwrap()
});

#[test]
fn every_target_is_met() {
    let report = Report::of(LEGS.len(), &replay(&LEGS, NonZeroUsize::MIN));
    println!("{report}");
    assert_eq!((report.legs, report.arrivals), (336_776, 327_346));
    // October to December count.
    assert!(report.forecasts.iter().all(|row| row.score.arrivals == 82_609));
    for target in &report.targets {
        assert!(target.met, "{target:?}");
    }
    // What is foretold happens about as often.
    for class in &report.risk_in_transit {
        assert!((class.foretold - class.late).abs() < 0.05, "{class:?}");
    }
    let mae = |wanted: &str| {
        let row = report.forecasts.iter().find(|row| row.forecast == wanted);
        row.map(|row| row.score.mae_minutes).unwrap()
    };
    assert!(mae("at creation: the service") < mae("at creation: the promise"));
}

/// Another outcome of a leg changes what is foretold after its arrival, and nothing that was foretold before.
#[test]
fn nothing_is_known_before_it_happens() {
    let legs = &LEGS[..3_000];
    let before = replay(legs, NonZeroUsize::MIN);
    let mut changed = 0;
    for leg in [100, 900, 1_700, 2_500] {
        let mut other = legs.to_vec();
        let known = other[leg].actual_arrival.unwrap();
        other[leg].actual_arrival = Some(known + Duration::hours(5));
        let after = replay(&other, NonZeroUsize::MIN);
        let at_creation = |one: &Flown| one.at_creation;
        let in_transit = |one: &Flown| one.in_transit;
        for one in &before {
            let same = after.iter().find(|after| after.leg == one.leg).unwrap();
            let data = &legs[one.leg];
            if data.actual_departure.unwrap() <= known {
                assert_eq!(in_transit(one), in_transit(same), "{data:?}");
                assert_eq!(at_creation(one), at_creation(same), "{data:?}");
            } else {
                changed += usize::from(in_transit(one) != in_transit(same));
            }
        }
    }
    assert!(changed > 1_000, "only {changed} later forecasts differ");
}
