//! The year, replayed in the order of time: each leg is assessed when it is ordered and when it leaves, and teaches when it
//! arrives.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;

use chrono::{DateTime, Datelike as _, Utc};
use dev_flights::Leg;
use dev_flights::story::{self, Step, What};
use logistics_domain::book::Book;
use logistics_domain::eta::Estimate;
use logistics_domain::history::Outcome;
use logistics_domain::journey::{Assessment, Journey, Milestone};
use logistics_domain::scope::{self, Scope};
use logistics_domain::status::{Classifier, Disposition, Status};

/// What was foretold of a leg at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foretold {
    /// The estimated delay, in minutes, with its interval.
    pub estimate: Estimate,
    /// The probability of being late.
    pub risk: f64,
}

/// A leg that arrived: what was foretold, and what happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flown {
    /// Its index among the legs.
    pub leg: usize,
    /// Month of the scheduled departure, 1 to 12, where it departed.
    pub month: u32,
    /// When it arrived.
    pub arrived: DateTime<Utc>,
    /// Minutes late at departure.
    pub departure_delay: f64,
    /// Minutes late at arrival.
    pub delay: f64,
    /// Foretold when it was ordered.
    pub at_creation: Foretold,
    /// Foretold when it left.
    pub in_transit: Foretold,
}

impl Flown {
    /// Whether it arrived late.
    #[must_use]
    pub fn is_late(&self) -> bool {
        Outcome::late(self.delay)
    }
}

/// Replays legs; gives those that arrived, in the order of their arrivals. The service has one owner of what an account
/// has learned; with more of them, lanes are spread over as many that know nothing of each other.
#[must_use]
pub fn replay(legs: &[Leg], owners: NonZeroUsize) -> Vec<Flown> {
    let mut world = World {
        books: vec![Book::default(); owners.get()],
        under_way: HashMap::new(),
    };
    in_time(legs)
        .into_iter()
        .filter_map(|step| world.take(legs, step))
        .collect()
}

/// All that happens, in the order of time. Data has minutes: of what happens in the same one, arrivals come last, so that no
/// leg that leaves profits from a leg that arrives in the same minute.
fn in_time(legs: &[Leg]) -> Vec<Step> {
    let mut steps = story::steps(legs);
    steps.sort_by_key(|step| (step.at, step.what));
    steps
}

/// What a leg under way has been told so far.
struct UnderWay {
    journey: Journey,
    at_creation: Foretold,
    in_transit: Option<Foretold>,
}

/// What is known at one moment.
struct World {
    /// By owner.
    books: Vec<Book<Scope>>,
    under_way: HashMap<usize, UnderWay>,
}

impl World {
    /// Takes one step; gives the leg when it has arrived.
    fn take(&mut self, legs: &[Leg], step: Step) -> Option<Flown> {
        let leg = legs.get(step.leg)?;
        let scopes = scope::of(&leg.carrier, &leg.origin, &leg.destination);
        let owner = owner(leg, self.books.len());
        let book = self.books.get_mut(owner)?;
        match step.what {
            What::Created => {
                let mut journey = Journey::new(leg.planned_departure, leg.promised_arrival);
                let assessment = journey.assess(&book.around(&scopes));
                let at_creation = foretold(journey.at_creation?, &assessment);
                let new = UnderWay {
                    journey,
                    at_creation,
                    in_transit: None,
                };
                self.under_way.insert(step.leg, new);
                None
            }
            What::Departed => {
                let one = self.under_way.get_mut(&step.leg)?;
                let around = book.around(&scopes);
                if observe(&mut one.journey, Status::InTransit, step.at) == Some(Milestone::Departed) {
                    let assessment = one.journey.assess(&around);
                    one.in_transit = Some(foretold(one.journey.in_transit?, &assessment));
                }
                None
            }
            What::Cancelled => {
                self.under_way.remove(&step.leg);
                None
            }
            What::Arrived => {
                let mut one = self.under_way.remove(&step.leg)?;
                observe(&mut one.journey, Status::AvailableForPickup, step.at);
                let outcome = one.journey.outcome()?;
                book.learn(&scopes, &outcome);
                Some(Flown {
                    leg: step.leg,
                    month: leg.local_date().month(),
                    arrived: step.at,
                    departure_delay: outcome.departure?.delay,
                    delay: outcome.delay,
                    at_creation: one.at_creation,
                    in_transit: one.in_transit?,
                })
            }
        }
    }
}

fn owner(leg: &Leg, owners: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (&leg.carrier, &leg.origin, &leg.destination).hash(&mut hasher);
    let owners = owners as u64;
    usize::try_from(hasher.finish() % owners).unwrap_or_default()
}

fn observe(journey: &mut Journey, status: Status, at: DateTime<Utc>) -> Option<Milestone> {
    journey.observe(status, Classifier::Actual, Disposition::Applied, at)
}

fn foretold(estimate: Estimate, assessment: &Assessment) -> Foretold {
    Foretold {
        estimate,
        risk: assessment.risk.probability,
    }
}
