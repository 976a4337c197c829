//! One transaction over a batch.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::dead_letter::{self, Letter};
use super::intake::{self, Intake, Read};
use super::plan::{Candidate, Plan, Source, plan, plan_without_last_seq};
use super::sql::{self, Held, Locked, Parking};
use super::{Failure, Head, Place, Poison, Projection, ProjectionError, Projector, Sequenced};
use crate::{broken, outbox};

/// What a transaction did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) applied: u64,
    pub(super) repeated: u64,
    pub(super) parked: u64,
    pub(super) poisoned: u64,
}

/// The same, and how far the shipments are of which an event was applied, now or before.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counts: Counts,
    pub(super) heads: Vec<Head>,
}

pub(super) struct Batch<'a, P> {
    pub(super) projection: &'a Projection<P>,
    pub(super) intake: &'a Intake<'a>,
    pub(super) poisoned: &'a HashMap<Place, Poison>,
    pub(super) one_by_one: bool,
    /// Whether parked records are tried though they were found poisoned before.
    pub(super) forgiving: bool,
}

impl<P: Projector> Batch<'_, P> {
    pub(super) async fn run(&self, connection: &mut PgConnection) -> Result<Done, Failure> {
        let shipments: Vec<Uuid> = self.intake.by_shipment.keys().copied().collect();
        let created: Vec<Uuid> = shipments
            .iter()
            .copied()
            .filter(|id| self.is_created(*id))
            .collect();
        let Locked { last_seqs, known } = sql::lock(connection, &shipments, &created).await?;
        let held = sql::held(connection, &known).await?;

        let mut plans: Vec<(Uuid, Plan)> = Vec::with_capacity(shipments.len());
        for shipment in &shipments {
            let waiting = held.get(shipment).map(Vec::as_slice).unwrap_or_default();
            let last_seq = last_seqs.get(shipment).copied().unwrap_or_default();
            let (parked, came) = (self.parked(*shipment, waiting), self.came(*shipment));
            let plan = if broken::SKIP_LAST_SEQ {
                plan_without_last_seq(last_seq, &came)
            } else {
                plan(last_seq, &parked, &came)
            };
            plans.push((*shipment, plan));
        }
        let released = self.released(connection, &plans).await?;
        let events = self.in_order(&plans, &released);

        self.apply(connection, &events).await?;
        let accounts = self.accounts(&plans);
        sql::advance(
            connection,
            plans.iter().map(|(id, plan)| (*id, plan.last_seq)),
            &accounts,
        )
        .await?;
        sql::release(connection, places(&plans, |plan| plan.release.clone())).await?;
        let poisoned = self.park(connection, &plans, &held).await?;
        let total = |count: fn(&Plan) -> usize| plans.iter().map(|(_, plan)| count(plan) as u64).sum::<u64>();
        let counts = Counts {
            applied: events.len() as u64,
            repeated: total(|plan| plan.repeated.len()),
            parked: total(|plan| plan.park.len()),
            poisoned,
        };
        let heads = plans
            .iter()
            .filter(|(_, plan)| !(plan.apply.is_empty() && plan.repeated.is_empty()) && plan.last_seq > 0)
            .map(|(shipment, plan)| (*shipment, plan.last_seq));
        Ok(Done {
            counts,
            heads: heads.collect(),
        })
    }

    /// Whether the shipment's first event is among them.
    fn is_created(&self, shipment: Uuid) -> bool {
        let first = |index: &usize| matches!(&self.intake.read[*index], Read::Event(event) if event.seq == 1);
        self.intake
            .by_shipment
            .get(&shipment)
            .is_some_and(|indexes| indexes.iter().any(first))
    }

    fn came(&self, shipment: Uuid) -> Vec<Candidate> {
        let indexes = self
            .intake
            .by_shipment
            .get(&shipment)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let candidate = |index: usize| {
            let (seq, unreadable) = match &self.intake.read[index] {
                Read::Event(event) => (event.seq, false),
                Read::Poison(_, seq) => ((*seq)?, true),
            };
            let poisoned = unreadable || self.poisoned.contains_key(&(shipment, seq));
            Some(Candidate {
                seq,
                source: Source::Batch(index),
                poisoned,
            })
        };
        indexes.iter().filter_map(|index| candidate(*index)).collect()
    }

    fn parked(&self, shipment: Uuid, held: &[Held]) -> Vec<Candidate> {
        let candidate = |one: &Held| Candidate {
            seq: one.seq,
            source: Source::Parked,
            poisoned: (one.poisoned && !self.forgiving) || self.poisoned.contains_key(&(shipment, one.seq)),
        };
        held.iter().map(candidate).collect()
    }

    /// Reads the parked records whose turn has come.
    async fn released(
        &self,
        connection: &mut PgConnection,
        plans: &[(Uuid, Plan)],
    ) -> Result<HashMap<Place, Sequenced>, Failure> {
        let wanted = places(plans, |plan| {
            plan.apply
                .iter()
                .filter(|(_, source)| *source == Source::Parked)
                .map(|(seq, _)| *seq)
                .collect()
        });
        let mut released = HashMap::new();
        for row in sql::parked_records(connection, wanted).await? {
            let place = (row.shipment_id, row.seq);
            let value = row.value.as_deref().unwrap_or_default();
            let headers = outbox::headers_from_json(&row.headers);
            let codec = &self.projection.codec;
            let read = intake::read_parked(codec, &row.topic, row.shipment_id, value, &headers)
                .await
                .map_err(|error| Failure::Transient(ProjectionError::Registry(error)))?;
            let event = read.map_err(|poison| Failure::Poisoned(place, poison))?;
            released.insert(place, event);
        }
        Ok(released)
    }

    /// The events to apply: shipments in the order in which they came, each one's events by position.
    fn in_order(&self, plans: &[(Uuid, Plan)], released: &HashMap<Place, Sequenced>) -> Vec<Sequenced> {
        let first_index = |shipment: &Uuid| self.intake.by_shipment.get(shipment).and_then(|all| all.first());
        let mut plans: Vec<&(Uuid, Plan)> = plans.iter().collect();
        plans.sort_by_key(|(shipment, _)| first_index(shipment));
        let find = |shipment: &Uuid, (seq, source): &(i64, Source)| match source {
            Source::Parked => released.get(&(*shipment, *seq)).cloned(),
            Source::Batch(index) => match &self.intake.read[*index] {
                Read::Event(event) => Some((**event).clone()),
                Read::Poison(..) => None,
            },
        };
        plans
            .into_iter()
            .flat_map(|(shipment, plan)| plan.apply.iter().filter_map(move |one| find(shipment, one)))
            .collect()
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Sequenced]) -> Result<(), Failure> {
        let size = if self.one_by_one { 1 } else { events.len().max(1) };
        for some in events.chunks(size) {
            if let Err(error) = self.projection.projector.apply(connection, some).await {
                return Err(match some {
                    _ if !error.is_of_the_event() => Failure::Transient(ProjectionError::Apply(error)),
                    [one] => {
                        Failure::Poisoned((one.shipment_id, one.seq), Poison::new("not_applicable", &error))
                    }
                    _ => Failure::Somewhere,
                });
            }
        }
        Ok(())
    }

    /// The account of each shipment of which an event could be read.
    fn accounts(&self, plans: &[(Uuid, Plan)]) -> HashMap<Uuid, String> {
        let account = |shipment: &Uuid| {
            let indexes = self.intake.by_shipment.get(shipment)?;
            indexes.iter().find_map(|index| match &self.intake.read[*index] {
                Read::Event(event) => Some(event.event.account_id().to_owned()),
                Read::Poison(..) => None,
            })
        };
        plans
            .iter()
            .filter_map(|(shipment, _)| Some((*shipment, account(shipment)?)))
            .collect()
    }

    /// Parks what waits and what is poisoned; poison is also told to the dead letter topic, once. Gives the number of
    /// new dead letters.
    async fn park(
        &self,
        connection: &mut PgConnection,
        plans: &[(Uuid, Plan)],
        held: &HashMap<Uuid, Vec<Held>>,
    ) -> Result<u64, Failure> {
        let mut parkings = Vec::new();
        for (shipment, plan) in plans {
            for index in &plan.park {
                parkings.push(self.parking(*index, Some(*shipment)));
            }
        }
        parkings.extend(self.intake.nowhere.iter().map(|index| self.parking(*index, None)));
        let fresh = sql::park(connection, &parkings).await?;

        let mut letters: Vec<Letter> = parkings
            .iter()
            .filter(|parking| fresh.contains(&parking.log_place()))
            .filter_map(Letter::of)
            .collect();
        // Parked as readable before, and found poisoned now that their turn has come.
        for ((shipment, seq), poison) in self.poisoned {
            let waited = held
                .get(shipment)
                .is_some_and(|all| all.iter().any(|one| one.seq == *seq && !one.poisoned));
            if waited && let Some(row) = sql::condemn(connection, *shipment, *seq, poison).await? {
                letters.push(Letter::of_parked(row, &self.projection.topic_prefix, poison));
            }
        }
        let count = letters.len() as u64;
        dead_letter::send(connection, &self.projection.group, letters).await?;
        Ok(count)
    }

    fn parking(&self, index: usize, shipment: Option<Uuid>) -> Parking<'_> {
        let (seq, poison) = match &self.intake.read[index] {
            Read::Event(event) => (
                Some(event.seq),
                self.poisoned.get(&(event.shipment_id, event.seq)),
            ),
            Read::Poison(poison, seq) => (*seq, Some(poison)),
        };
        Parking {
            record: &self.intake.records[index],
            shipment,
            seq,
            poison,
        }
    }
}

fn places(plans: &[(Uuid, Plan)], seqs: fn(&Plan) -> Vec<i64>) -> Vec<Place> {
    plans
        .iter()
        .flat_map(|(shipment, plan)| seqs(plan).into_iter().map(|seq| (*shipment, seq)))
        .collect()
}
