//! Anomalies: what is told, and what is not.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::anomaly::{self, Kind};
use logistics_domain::book::Book;
use logistics_domain::journey::Journey;
use logistics_domain::quantile::Sketch;
use logistics_domain::scope::{self, Level, Scope};
use logistics_domain::status::{Classifier, Disposition, Status};
use proptest::prelude::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn sketch(values: impl IntoIterator<Item = f64>) -> Sketch {
    let mut sketch = Sketch::default();
    for value in values {
        sketch.add(value);
    }
    sketch
}

/// Two hundred values around a middle, evenly within this distance.
fn around(middle: f64, reach: f64) -> Sketch {
    sketch((0..200).map(|step| middle + reach * (f64::from(step) - 99.5) / 100.0))
}

#[test]
fn a_delay_is_unusual_by_its_robust_z_score() {
    let usual = around(10.0, 20.0);
    // The deviation is about 10: 3.5 of them, over 0.6745, are some 52 minutes.
    for (delay, told) in [(10.0, false), (45.0, false), (80.0, true), (-60.0, true)] {
        let found = anomaly::unusual_delay(&usual, delay);
        assert_eq!(found.is_some(), told, "{delay}: {found:?}");
    }
    let late = anomaly::unusual_delay(&usual, 310.0).unwrap();
    assert_eq!(late.kind, Kind::UnusualDelay);
    assert!(late.severity > 4.0, "{late:?}");
    assert!(
        late.text.contains("minutes later than is usual on its lane"),
        "{late:?}"
    );
    let early = anomaly::unusual_delay(&usual, -310.0).unwrap();
    assert!(early.text.contains("earlier"), "{early:?}");
}

#[test]
fn one_bad_day_does_not_hide_the_next() {
    // A tenth of wild values moves a mean and its standard deviation, but not the median and the deviation around it.
    let spoilt = sketch((0..200).map(|step| {
        if step % 10 == 0 {
            2_000.0
        } else {
            f64::from(step % 21) - 10.0
        }
    }));
    assert!(anomaly::unusual_delay(&spoilt, 120.0).is_some());
    assert!(anomaly::unusual_delay(&spoilt, 10.0).is_none());
}

#[test]
fn a_lane_that_never_varies_still_accepts_a_minute() {
    let constant = sketch(std::iter::repeat_n(0.0, 200));
    assert!(anomaly::unusual_delay(&constant, 5.0).is_none());
    assert!(anomaly::unusual_delay(&constant, 60.0).is_some());
}

#[test]
fn few_values_say_nothing() {
    let few = sketch(std::iter::repeat_n(0.0, 29));
    assert!(anomaly::unusual_delay(&few, 10_000.0).is_none());
    assert!(anomaly::dwell(&few, Status::OutForDelivery, 10_000.0).is_none());
    assert!(anomaly::impossible_speed(&few, 0.0).is_none());
    assert!(anomaly::unusual_delay(&Sketch::default(), 10_000.0).is_none());
}

#[test]
fn a_stay_beyond_the_longest_hundredth_is_told_with_both_times() {
    let stays = around(200.0, 100.0);
    assert!(anomaly::dwell(&stays, Status::AvailableForPickup, 250.0).is_none());
    let found = anomaly::dwell(&stays, Status::AvailableForPickup, 3.0 * 24.0 * 60.0).unwrap();
    assert_eq!(found.kind, Kind::Dwell);
    assert!(
        found
            .text
            .starts_with("It was AVAILABLE_FOR_PICKUP for 3 days; on its lane 99 of 100 go on within "),
        "{found:?}"
    );
    assert!(found.severity > 10.0, "{found:?}");
}

#[test]
fn a_journey_in_half_the_shortest_time_is_impossible() {
    let journeys = around(360.0, 60.0);
    assert!(anomaly::impossible_speed(&journeys, 290.0).is_none());
    assert!(anomaly::impossible_speed(&journeys, 200.0).is_none());
    let found = anomaly::impossible_speed(&journeys, 30.0).unwrap();
    assert_eq!(found.kind, Kind::ImpossibleSpeed);
    assert!(
        found
            .text
            .starts_with("It took 30 minutes from departure to arrival"),
        "{found:?}"
    );
    // A scan before the departure.
    assert!(anomaly::impossible_speed(&journeys, -10.0).is_some_and(|found| found.severity.is_finite()));
}

#[test]
fn a_step_that_cannot_follow_is_told_and_weighs_more_after_the_end() {
    let found = anomaly::illegal_transition(Status::Created, Status::Delivered);
    assert_eq!(
        found.text,
        "It was reported DELIVERED while it was CREATED, which cannot follow."
    );
    let after = anomaly::illegal_transition(Status::Cancelled, Status::InTransit);
    assert!(after.severity > found.severity);
}

#[test]
fn silence_is_measured_by_the_events_of_others() {
    let grace = TimeDelta::minutes(30);
    let silence = |watermark| anomaly::silence(Status::InTransit, at(100), grace, watermark);
    for (name, watermark, told) in [
        ("not due yet", at(90), false),
        ("due, within the grace", at(130), false),
        ("over it", at(131), true),
    ] {
        assert_eq!(silence(watermark).is_some(), told, "{name}");
    }
    let found = silence(at(100 + 5 * 60)).unwrap();
    assert_eq!(found.kind, Kind::Silence);
    assert!((found.severity - 10.0).abs() < 1e-9, "{found:?}");
    assert_eq!(
        found.text,
        "It is IN_TRANSIT, and what should have followed is 5 hours overdue."
    );
}

#[test]
fn names_of_kinds_are_their_own() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        assert_eq!(
            serde_json::to_string(&kind).unwrap(),
            format!("{:?}", kind.as_str())
        );
    }
    assert_eq!(Kind::from_name("BOREDOM"), None);
}

proptest! {
    #[test]
    fn whatever_is_told_is_beyond_its_bound(
        values in prop::collection::vec(-5_000.0..5_000.0_f64, 0..400),
        value in -100_000.0..100_000.0_f64,
    ) {
        let sketch = sketch(values);
        let found = [
            anomaly::unusual_delay(&sketch, value),
            anomaly::dwell(&sketch, Status::PickedUp, value),
            anomaly::impossible_speed(&sketch, value),
        ];
        for one in found.into_iter().flatten() {
            prop_assert!(one.severity.is_finite() && !one.text.is_empty(), "{one:?}");
            prop_assert!(one.severity >= 1.0 || one.kind == Kind::ImpossibleSpeed, "{one:?}");
        }
    }

    #[test]
    fn a_deviation_is_off_by_at_most_a_bin(mut values in prop::collection::vec(-300.0..300.0_f64, 50..900)) {
        let sketch = sketch(values.iter().copied());
        let middle = sketch.quantile(0.5).unwrap();
        for value in &mut values {
            *value = (*value - middle).abs();
        }
        values.sort_by(f64::total_cmp);
        let (exact, about) = (values[values.len() / 2], sketch.deviation(middle).unwrap());
        // Bins are up to a quarter of their value wide, on both sides of the middle.
        prop_assert!((exact - about).abs() <= 2.0 + 0.26 * (exact + middle.abs()), "{exact} {about}");
    }
}

/// What the service asks of each arrival, with the history of a lane that it has stored in between.
#[test]
fn an_arrival_is_compared_with_its_lane() {
    let lane = scope::of("UA", "EWR", "IAH");
    let mut book: Book<Scope> = Book::default();
    let fly = |book: &mut Book<Scope>, start: i64, travel: i64| {
        let mut journey = Journey::new(at(start), at(start + 120));
        let actual = (Classifier::Actual, Disposition::Applied);
        journey.observe(Status::InTransit, actual.0, actual.1, at(start));
        journey.observe(Status::AvailableForPickup, actual.0, actual.1, at(start + travel));
        let outcome = journey.outcome().unwrap();
        let found: Vec<Kind> = anomaly::of_arrival(book.around(&lane).at(Level::Lane), &outcome)
            .map(|found| found.kind)
            .collect();
        book.learn(&lane, &outcome);
        found
    };
    for number in 0..120 {
        assert_eq!(fly(&mut book, number * 10, 110 + number % 20), []);
    }
    assert_eq!(
        fly(&mut book, 2_000, 5),
        [Kind::UnusualDelay, Kind::ImpossibleSpeed]
    );
    assert_eq!(fly(&mut book, 3_000, 700), [Kind::UnusualDelay]);
}
