//! One schedule: an operator, a cluster with faults, and others who do things; then everybody goes home, and what is there
//! then is checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use logistics_operator::controller::{self, Parts};
use logistics_operator::observe::Scope;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actors;
use crate::acts::{NAMESPACE, Others};
use crate::api::Store;
use crate::check;
use crate::dice::Dice;
use crate::faults::Faults;
use crate::lease::election;
use crate::monitor::Monitor;
use crate::mutant::Mutant;
use crate::outside::Systems;
use crate::wire::{Wire, World};

/// Time of faults and acts.
const TROUBLE: usize = 180_000;

/// Longest time until a settled operator has nothing more to do: the longest silence of a watch that stalled, and twice the longest
/// back-off.
const SETTLE: Duration = Duration::from_mins(5 + 5);

/// How long nothing is written then.
const QUIET: Duration = Duration::from_mins(15);

/// Of a thousand schedules, those whose operator has to hold a Lease to write.
const ELECTING: usize = 300;

/// What came of a schedule.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What must not have been.
    pub findings: Vec<String>,
    /// What happened.
    pub trace: Vec<String>,
    /// Requests of the operator, and faults.
    pub counts: (usize, usize),
}

/// Runs a schedule on a clock that passes only while everybody waits.
pub(crate) fn run(seed: u64, mutant: Mutant) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    fastrand::seed(seed);
    let outcome = runtime.block_on(play(seed, mutant));
    runtime.shutdown_background();
    outcome
}

/// An operator.
struct Operator {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Operator {
    fn start(world: &Arc<World>, systems: &Arc<Systems>, instance: u32, all: bool, elects: bool) -> Self {
        world.monitor.note(format_args!("operator {instance} starts"));
        world.monitor.started(instance, elects);
        let stop = CancellationToken::new();
        let client = Wire::new(world.clone(), instance).client();
        let parts = Parts {
            outside: systems.reached(world, instance),
            election: elects.then(|| election(instance)),
            scope: if all {
                Scope::default()
            } else {
                Scope::one(NAMESPACE)
            },
            ..Parts::new(client)
        };
        let run = controller::run(parts, stop.clone());
        Self {
            stop,
            task: tokio::spawn(run),
        }
    }

    /// Ends it, or kills it at whatever it is doing.
    async fn end(self, world: &World, kill: bool) {
        if kill {
            world.monitor.note("the operator is killed");
            self.task.abort();
        } else {
            world.monitor.note("the operator is stopped");
            self.stop.cancel();
        }
        match self.task.await {
            Err(error) if error.is_panic() => world.monitor.find("the operator panicked"),
            _ => {}
        }
    }
}

async fn play(seed: u64, mutant: Mutant) -> Outcome {
    let mut dice = Dice::new(seed, "schedule");
    let trouble = dice.millis(TROUBLE / 6, TROUBLE);
    let over = Instant::now() + trouble;
    let world = Arc::new(World {
        store: Store::new(),
        faults: Faults::new(seed, over),
        monitor: Monitor::new(),
        mutant,
    });
    let systems = Arc::new(Systems::default());
    let platforms = if dice.per_mille(200) {
        vec!["acme".to_owned(), "beta".to_owned()]
    } else {
        vec!["acme".to_owned()]
    };
    let others = Others::new(world.clone(), systems.clone(), platforms);
    world.monitor.note(format_args!(
        "seed {seed}: {} for {} s, {}",
        world.faults.weather.name,
        trouble.as_secs(),
        others.platforms.join(" and ")
    ));
    others.prepare();
    let actors = tokio::spawn(actors::play(world.clone(), seed));
    let mut instance = 1;
    let all = dice.per_mille(300);
    let elects = dice.per_mille(ELECTING) || mutant == Mutant::IgnoresLoss;
    let mut operator = Operator::start(&world, &systems, instance, all, elects);
    for name in &others.platforms {
        tokio::time::sleep(dice.millis(0, 2000)).await;
        others.create_platform(name);
    }
    let rewriting = (mutant == Mutant::WritesAlways).then(|| tokio::spawn(rewrite(world.clone())));
    let acts = dice.below(14);
    let mut times: Vec<Duration> = (0..acts)
        .map(|_| dice.millis(100, trouble.as_millis() as usize))
        .collect();
    times.sort_unstable();
    let start = over - trouble;
    for time in times {
        tokio::time::sleep_until(start + time).await;
        if dice.per_mille(120) {
            operator.end(&world, dice.per_mille(600)).await;
            tokio::time::sleep(dice.millis(0, 5000)).await;
            instance += 1;
            operator = Operator::start(&world, &systems, instance, all, elects);
        } else if elects && dice.per_mille(300) {
            others.take_lease(&mut dice);
        } else {
            others.act(&mut dice);
        }
    }
    tokio::time::sleep_until(over).await;
    others.settle().await;
    tokio::time::sleep(SETTLE).await;
    world.monitor.note("nothing may happen any more");
    let settled = Instant::now();
    tokio::time::sleep(QUIET).await;
    for write in summed(&world.monitor.writes_since(settled)) {
        world
            .monitor
            .find(format_args!("written though all is quiet: {write}"));
    }
    check::all(&world, &systems, &others);
    operator.end(&world, false).await;
    actors.abort();
    if let Some(task) = rewriting {
        task.abort();
    }
    Outcome {
        findings: world.monitor.findings(),
        trace: world.monitor.trace(),
        counts: world.monitor.counts(),
    }
}

/// What an operator does that writes every minute though nothing differs.
async fn rewrite(world: Arc<World>) {
    let client = Wire::new(world, 0).client();
    let api: kube::Api<logistics_operator::api::LogisticsPlatform> = kube::Api::namespaced(client, NAMESPACE);
    loop {
        tokio::time::sleep(Duration::from_mins(1)).await;
        if let Ok(platform) = api.get("acme").await {
            let _ = api
                .replace_status("acme", &kube::api::PostParams::default(), &platform)
                .await;
        }
    }
}

fn summed(writes: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for write in writes {
        *counts.entry(write).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(what, count)| format!("{what}, {count} times"))
        .collect()
}
