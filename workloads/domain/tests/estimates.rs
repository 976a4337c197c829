//! Estimates and risk: what they say before, while and after they have learned, and what must hold for any stream.

#![expect(clippy::expect_used, reason = "a test's own arrangement")]

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::book::Book;
use logistics_domain::eta::{self, Estimate};
use logistics_domain::history::{History, Outcome, Surroundings};
use logistics_domain::journey::{Journey, Milestone};
use logistics_domain::quantile::Sketch;
use logistics_domain::risk::{self, Risk};
use logistics_domain::scope::{self, Level, PerLevel, Scope};
use logistics_domain::status::{Classifier, Disposition, Status};
use logistics_domain::transit::Departure;
use proptest::prelude::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

/// One lane, and what it belongs to. A shipment leaves every ten minutes.
struct World {
    book: Book<Scope>,
    lane: PerLevel<Scope>,
    minute: i64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            book: Book::default(),
            lane: scope::of("UA", "EWR", "IAH"),
            minute: 0,
        }
    }
}

impl World {
    fn around(&self) -> Surroundings<'_> {
        self.book.around(&self.lane)
    }

    fn history(&self, level: Level) -> &History {
        self.around().at(level)
    }

    fn departure(&self, delay: f64) -> Departure {
        Departure {
            delay,
            planned: 60.0,
            at: at(self.minute),
        }
    }

    fn in_transit(&self, delay: f64) -> Estimate {
        eta::in_transit(&self.around(), &self.departure(delay))
    }

    fn risk_in_transit(&self, delay: f64) -> Risk {
        risk::in_transit(&self.around(), delay, self.in_transit(delay).delay)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.book.learn(&self.lane, outcome);
    }

    /// One shipment from creation to arrival, an hour planned; gives its outcome.
    fn ship(&mut self, departure_delay: i64, arrival_delay: i64) -> Outcome {
        self.minute += 10;
        let start = self.minute;
        let mut journey = Journey::new(at(start), at(start + 60));
        journey.assess(&self.around());
        actual(&mut journey, Status::InTransit, start + departure_delay);
        journey.assess(&self.around());
        actual(
            &mut journey,
            Status::AvailableForPickup,
            start + 60 + arrival_delay,
        );
        let outcome = journey.outcome().expect("it has arrived");
        self.learn(&outcome);
        outcome
    }
}

fn actual(journey: &mut Journey, status: Status, minute: i64) -> Option<Milestone> {
    journey.observe(status, Classifier::Actual, Disposition::Applied, at(minute))
}

#[test]
fn without_any_arrival_the_promise_is_the_estimate() {
    let world = World::default();
    let assessment = Journey::new(at(0), at(60)).assess(&world.around());
    assert_eq!(assessment.estimated, at(60));
    assert!(assessment.earliest < at(60) && at(60) < assessment.latest);
    assert!((assessment.risk.probability - risk::PRIOR_LATE_SHARE).abs() < 1e-9);
}

#[test]
fn a_lane_that_is_always_late_is_estimated_late_and_scored_risky() {
    let mut world = World::default();
    for _ in 0..200 {
        world.ship(30, 40);
    }
    let estimate = eta::at_creation(&world.around());
    assert!((estimate.delay - 40.0).abs() < 6.0, "{estimate:?}");
    let risk = risk::at_creation(&world.around(), at(0), 60.0);
    assert!(risk.probability > 0.9, "{risk:?}");
}

#[test]
fn one_late_arrival_on_a_lane_is_outweighed_by_the_many_elsewhere() {
    let mut world = World::default();
    let elsewhere = scope::of("DL", "JFK", "ATL");
    let here = std::mem::replace(&mut world.lane, elsewhere);
    for _ in 0..300 {
        world.ship(0, 0);
    }
    world.lane = here;
    world.ship(60, 60);
    let risk = risk::at_creation(&world.around(), at(0), 60.0);
    assert!(risk.probability < 0.5, "{risk:?}");
    assert!(eta::at_creation(&world.around()).delay < 30.0);
}

#[test]
fn leaving_late_raises_the_risk_and_leaving_early_lowers_it() {
    let mut world = World::default();
    for round in 0..400 {
        let departure = [-5, 0, 20, 60][round % 4];
        world.ship(departure, departure - 5);
    }
    let unknown = risk::at_creation(&world.around(), at(0), 60.0).probability;
    let (late, early) = (world.risk_in_transit(60.0), world.risk_in_transit(-5.0));
    assert!(late.probability > 0.9, "{late:?}");
    assert!(early.probability < 0.1, "{early:?}");
    assert!(early.probability < unknown && unknown < late.probability);
}

#[test]
fn in_transit_the_departure_corrects_the_estimate() {
    let mut world = World::default();
    for round in 0..2_000 {
        let departure = i64::from(round % 50);
        let noise = i64::from(round % 7) - 3;
        world.ship(departure, departure - 8 + noise);
    }
    let estimate = world.in_transit(33.0);
    assert!((estimate.delay - 25.0).abs() < 1.5, "{estimate:?}");
    let blind = eta::at_creation(&world.around());
    assert!(
        estimate.high - estimate.low < blind.high - blind.low,
        "{estimate:?} is no narrower than {blind:?}"
    );
}

#[test]
fn a_tighter_promise_than_usual_is_a_reason() {
    let mut world = World::default();
    for _ in 0..100 {
        world.ship(0, 0);
    }
    let risk = risk::at_creation(&world.around(), at(0), 40.0);
    let slack = risk
        .reasons
        .iter()
        .find(|reason| reason.factor == "promised_slack")
        .unwrap();
    assert!(slack.contribution > 0.0);
    assert_eq!(
        slack.text,
        "The promise leaves 20 minutes less than usual on this lane."
    );
    let usual = risk::at_creation(&world.around(), at(0), 60.0);
    assert!(
        usual
            .reasons
            .iter()
            .all(|reason| reason.factor != "promised_slack")
    );
}

#[test]
fn only_what_happened_and_moved_the_status_is_a_milestone() {
    use Disposition::{Applied, Conflict, Late};
    let cases = [
        (
            "departure",
            Status::InTransit,
            Classifier::Actual,
            Applied,
            Some(Milestone::Departed),
        ),
        (
            "planned departure",
            Status::InTransit,
            Classifier::Planned,
            Applied,
            None,
        ),
        ("late scan", Status::InTransit, Classifier::Actual, Late, None),
        (
            "illegal scan",
            Status::Delivered,
            Classifier::Actual,
            Conflict,
            None,
        ),
        ("pickup", Status::PickedUp, Classifier::Actual, Applied, None),
        ("cancelled", Status::Cancelled, Classifier::Actual, Applied, None),
        (
            "arrival",
            Status::AvailableForPickup,
            Classifier::Actual,
            Applied,
            Some(Milestone::Arrived),
        ),
    ];
    for (name, status, classifier, disposition, expected) in cases {
        let mut journey = Journey::new(at(0), at(60));
        assert_eq!(
            journey.observe(status, classifier, disposition, at(5)),
            expected,
            "{name}"
        );
        assert_eq!(
            journey.outcome().is_some(),
            expected == Some(Milestone::Arrived),
            "{name}"
        );
    }
}

#[test]
fn each_milestone_is_passed_once() {
    let mut journey = Journey::new(at(0), at(60));
    assert_eq!(
        actual(&mut journey, Status::InTransit, 1),
        Some(Milestone::Departed)
    );
    assert_eq!(actual(&mut journey, Status::InTransit, 9), None);
    assert_eq!(
        actual(&mut journey, Status::AvailableForPickup, 70),
        Some(Milestone::Arrived)
    );
    assert_eq!(actual(&mut journey, Status::Delivered, 99), None);
    let outcome = journey.outcome().unwrap();
    let departure = outcome.departure.map(|departure| departure.delay);
    assert_eq!((departure, outcome.delay), (Some(1.0), 10.0));
    assert_eq!(outcome.error_in_transit, None, "no estimate was made");
}

proptest! {
    #[test]
    fn reasons_add_up_to_the_score(
        arrivals in prop::collection::vec((-60..240_i64, -60..300_i64), 0..80),
        departure in prop::option::of(-60.0..300.0_f64),
    ) {
        let mut world = World::default();
        for (departure, arrival) in arrivals {
            world.ship(departure, arrival);
        }
        let risk = match departure {
            Some(delay) => world.risk_in_transit(delay),
            None => risk::at_creation(&world.around(), at(0), 75.0),
        };
        let sum: f64 = risk.reasons.iter().map(|reason| reason.contribution).sum();
        prop_assert!((risk.probability - 1.0 / (1.0 + (-sum).exp())).abs() < 1e-9);
        prop_assert!(risk.probability > 0.0 && risk.probability < 1.0);
        prop_assert!(risk.reasons.iter().all(|reason| !reason.text.is_empty() && reason.contribution.is_finite()));
    }

    #[test]
    fn an_interval_holds_its_estimate_and_the_state_survives_storage(
        arrivals in prop::collection::vec((-100_000..100_000_i64, -100_000..100_000_i64), 0..60),
    ) {
        let mut world = World::default();
        for (departure, arrival) in arrivals {
            world.ship(departure, arrival);
        }
        for estimate in [eta::at_creation(&world.around()), world.in_transit(12.0)] {
            prop_assert!(estimate.low <= estimate.delay && estimate.delay <= estimate.high, "{estimate:?}");
            prop_assert!(estimate.delay.is_finite());
        }
        for level in Level::ALL {
            let history = world.history(level);
            let text = serde_json::to_string(history).unwrap();
            prop_assert!(text.len() < 8192, "{level:?}: {} bytes", text.len());
            let back: History = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back.counts, &history.counts);
            prop_assert_eq!(&back.delay, &history.delay);
        }
    }

    #[test]
    fn a_sketch_is_off_by_at_most_a_bin(mut values in prop::collection::vec(-2_000.0..2_000.0_f64, 1..900), q in 0.0..1.0_f64) {
        let mut sketch = Sketch::default();
        for value in &values {
            sketch.add(*value);
        }
        values.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1;
        let (exact, about) = (values[rank], sketch.quantile(q).unwrap());
        prop_assert!((exact - about).abs() <= 1.1 + 0.26 * exact.abs().max(about.abs()), "{exact} {about}");
    }
}

/// A stream whose errors triple halfway: a fixed interval would under-cover, this one follows.
#[test]
fn nine_of_ten_arrivals_are_within_the_interval_also_after_a_drift() {
    let mut world = World::default();
    let (mut covered, mut all) = (0, 0);
    let mut seed = 7_u64;
    for round in 0..4_000 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let noise = i64::try_from((seed >> 33) % 41).unwrap() - 20;
        let spread = if round < 2_000 { 1 } else { 3 };
        let departure = i64::from(round % 30);
        let estimate = world.in_transit(f64::from(round % 30));
        let outcome = world.ship(departure, departure + noise * spread);
        if round >= 500 {
            all += 1;
            covered += i32::from(estimate.covers(outcome.delay));
        }
    }
    let share = f64::from(covered) / f64::from(all);
    assert!((0.87..=0.94).contains(&share), "{share}");
}

#[test]
fn a_sketch_of_another_size_is_refused() {
    let error = serde_json::from_str::<Sketch>("[1,2,3]").unwrap_err().to_string();
    assert!(error.contains("96 bins"), "{error}");
}

#[test]
fn what_another_release_has_stored_is_read() {
    // Without the fields that came later, and with one that is gone.
    let stored = r#"{"counts":{"arrivals":7,"late":2},"residual":{"mean":-3.5,"count":7}}"#;
    let history: History = serde_json::from_str(stored).unwrap();
    assert_eq!((history.counts.arrivals, history.counts.late), (7, 2));
}

/// Trouble on the way passes: what is lost lately is expected again, and a day later hardly any more.
#[test]
fn what_goes_wrong_lately_is_expected_for_some_hours() {
    let mut world = World::default();
    for _ in 0..1_000 {
        world.ship(0, 0);
    }
    for _ in 0..12 {
        world.ship(0, 25);
    }
    let now = world.in_transit(0.0).delay;
    world.minute += 24 * 60;
    let tomorrow = world.in_transit(0.0).delay;
    assert!(now > 8.0, "{now}");
    assert!(tomorrow < 0.5 * now, "{tomorrow}, just after it {now}");
}

/// A lane that nothing is known of is estimated as its destination, its carrier and its origin are.
#[test]
fn a_new_lane_profits_from_what_it_shares_with_others() {
    let mut world = World::default();
    let lanes = [
        ("UA", "EWR", "SFO", 0),
        ("UA", "JFK", "SFO", 0),
        ("DL", "EWR", "BOS", 20),
        ("DL", "JFK", "BOS", 20),
    ];
    for round in 0..2_000 {
        let (carrier, origin, destination, loss) = lanes[round % 4];
        world.lane = scope::of(carrier, origin, destination);
        world.ship(0, loss);
    }
    world.lane = scope::of("UA", "LGA", "BOS");
    let to_boston = world.in_transit(0.0).delay;
    world.lane = scope::of("UA", "LGA", "SFO");
    let to_san_francisco = world.in_transit(0.0).delay;
    assert!(
        to_boston > to_san_francisco + 5.0,
        "{to_boston} {to_san_francisco}"
    );
}

#[test]
fn a_stay_begins_with_a_scan_and_ends_with_another_status() {
    let mut journey = Journey::new(at(0), at(60));
    assert_eq!(
        journey.reach(Status::InTransit, at(5)),
        None,
        "it was ordered at any time"
    );
    assert_eq!(journey.reach(Status::InTransit, at(30)), None, "a checkpoint");
    let stay = journey.reach(Status::OutForDelivery, at(50)).unwrap();
    assert_eq!(stay.status, Status::InTransit);
    assert!((stay.minutes - 45.0).abs() < 1e-9, "{stay:?}");
    assert_eq!(journey.reach(Status::InTransit, at(40)), None, "taken back");
}

#[test]
fn travel_is_the_time_between_departure_and_arrival() {
    let mut world = World::default();
    let outcome = world.ship(10, 25);
    assert!((outcome.travel().unwrap() - 75.0).abs() < 1e-9, "{outcome:?}");
    assert_eq!(world.history(Level::Lane).travel.weight(), 1);
    assert!(world.history(Level::Route).travel.is_empty(), "of lanes only");
}
