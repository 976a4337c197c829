//! The cache over a real Redis: what is there is never older than it may be, and nobody waits for it.

use std::time::Duration;

use anyhow::{Result, ensure};
use dev_rig::Redis;
use logistics_chassis::cache::{Cache, Item, Lease, TTL};
use logistics_chassis::crypto::install_provider;
use logistics_chassis::metrics::Metrics;
use logistics_schemas::config::{self, TlsMode};
use logistics_testbed::{Numbers, cache_config, eventually, write_cache_password};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A cache with what connects it.
struct Bench {
    cache: Cache,
    metrics: Metrics,
    _stop: DropGuard,
}

impl Bench {
    fn open(config: &config::Cache) -> Self {
        install_provider();
        let (metrics, stop) = (Metrics::new("test"), CancellationToken::new());
        let (cache, keeper) = Cache::open(config, &metrics);
        tokio::spawn(keeper.run(stop.clone()));
        Self {
            cache,
            metrics,
            _stop: stop.drop_guard(),
        }
    }

    async fn lease(&self) -> Result<Lease> {
        eventually("the cache is connected", || async {
            Ok(self.cache.look(&[key("lease")]).await.lease)
        })
        .await
    }

    /// Keeps a value that is read now; on a busy machine Redis may need a second try for its answer.
    async fn keep(&self, name: &str, seq: i64) -> Result<()> {
        self.until_answered(async |lease| self.cache.keep(lease, vec![item(name, seq)]).await)
            .await
    }

    /// Says that an event is committed; with a second try, as before.
    async fn supersede(&self, name: &str, seq: i64) -> Result<()> {
        self.until_answered(async |_| self.cache.supersede(vec![(key(name), seq)]).await)
            .await
    }

    async fn until_answered(&self, write: impl AsyncFn(Lease)) -> Result<()> {
        eventually("Redis answers", || async {
            let before = self.answers()?;
            write(self.lease().await?).await;
            Ok((self.answers()? > before).then_some(()))
        })
        .await
    }

    /// Writes that Redis has answered.
    fn answers(&self) -> Result<f64> {
        Ok(self.metric("writes", "stored")? + self.metric("writes", "outdated")?)
    }

    /// The position that the value at a key tells of, as Redis says.
    async fn seq(&self, name: &str) -> Result<Option<i64>> {
        eventually("Redis answers", || async {
            let mut found = self.cache.look(&[key(name)]).await;
            Ok(found.lease.map(|_| found.values.pop().flatten()))
        })
        .await?
        .map(|value| Ok(String::from_utf8(value)?.parse()?))
        .transpose()
    }

    /// Waits for the value at a key.
    async fn becomes(&self, name: &str, wanted: Option<i64>) -> Result<()> {
        let what = format!("{name} is {wanted:?}");
        eventually(&what, || async {
            Ok((self.seq(name).await? == wanted).then_some(()))
        })
        .await
    }

    /// How many lookups or writes have ended like this.
    fn metric(&self, of: &str, result: &str) -> Result<f64> {
        self.line(&format!(
            "logistics_cache_{of}_total{{revision=\"test\",result=\"{result}\"}}"
        ))
    }

    fn is_open(&self) -> Result<bool> {
        Ok(self.line("logistics_cache_circuit_open{revision=\"test\"}")? > 0.0)
    }

    /// The value of a metric with its labels; 0 when it is not there yet.
    fn line(&self, name: &str) -> Result<f64> {
        let all = self.metrics.encode()?;
        let value = all
            .lines()
            .find_map(|one| one.strip_prefix(name)?.trim().parse().ok());
        Ok(value.unwrap_or_default())
    }
}

fn key(name: &str) -> String {
    format!("logistics:test:{name}")
}

fn item(name: &str, seq: i64) -> Item {
    Item {
        key: key(name),
        seq,
        value: seq.to_string().into_bytes(),
    }
}

async fn connected(redis: &Redis) -> Result<(Bench, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let bench = Bench::open(&cache_config(redis, folder.path())?);
    bench.lease().await?;
    Ok((bench, folder))
}

#[tokio::test]
async fn only_what_is_newer_takes_the_place_of_what_is_there() -> Result<()> {
    let redis = dev_rig::redis().await?;
    let (bench, _folder) = connected(&redis).await?;
    bench.keep("a", 2).await?;
    assert_eq!(bench.seq("a").await?, Some(2));
    bench.keep("a", 1).await?;
    assert_eq!(bench.seq("a").await?, Some(2), "an older value");

    bench.supersede("a", 3).await?;
    assert_eq!(bench.seq("a").await?, None, "an event was committed");
    bench.keep("a", 2).await?;
    assert_eq!(bench.seq("a").await?, None, "a value from before it");
    bench.keep("a", 3).await?;
    assert_eq!(bench.seq("a").await?, Some(3));
    bench.supersede("a", 3).await?;
    bench.supersede("a", 2).await?;
    assert_eq!(bench.seq("a").await?, Some(3), "events that were delivered again");

    // A value of ten digits is newer than one of nine, also in their texts.
    bench.keep("a", 10).await?;
    bench.keep("a", 9).await?;
    assert_eq!(bench.seq("a").await?, Some(10));

    let large = Item {
        value: vec![b'1'; 128 * 1024 + 1],
        ..item("large", 1)
    };
    bench
        .until_answered(async |lease| {
            let both = vec![large.clone(), item("small", 1)];
            bench.cache.keep(lease, both).await;
        })
        .await?;
    assert_eq!(
        (bench.seq("large").await?, bench.seq("small").await?),
        (None, Some(1))
    );
    let key = key("small");
    let life: i64 = redis.execute(&["PTTL", &key]).await?.parse()?;
    ensure!(i128::from(life) <= TTL.as_millis().cast_signed(), "{life} ms");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_in_any_order_never_bring_an_older_value_back() -> Result<()> {
    let redis = dev_rig::redis().await?;
    let (bench, _folder) = connected(&redis).await?;
    let mut numbers = Numbers::new(7);
    let mut orders: Vec<(i64, bool)> = (1..=1000).flat_map(|seq| [(seq, true), (seq, false)]).collect();
    // Out of order, but not so much that the highest comes first.
    for some in orders.chunks_mut(16) {
        numbers.shuffle(some);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let cache = bench.cache.clone();
        let some: Vec<_> = orders.iter().skip(writer).step_by(4).copied().collect();
        tasks.spawn(async move {
            for (seq, is_value) in some {
                if is_value {
                    // On a busy machine it may have none for a moment.
                    if let Some(lease) = cache.look(&[key("lease")]).await.lease {
                        cache.keep(lease, vec![item("a", seq)]).await;
                    }
                } else {
                    cache.supersede(vec![(key("a"), seq)]).await;
                }
            }
        });
    }
    let (mut highest, mut looks) = (0, 0);
    while !tasks.is_empty() {
        if let Some(seq) = bench.seq("a").await? {
            ensure!(seq >= highest, "{seq} after {highest}");
            highest = seq;
            looks += 1;
        }
        while tasks.try_join_next().is_some() {}
    }
    assert!(looks > 1, "{looks} looks have found a value");
    assert!(bench.metric("writes", "outdated")? > 0.0);
    bench.keep("a", 1000).await?;
    assert_eq!(bench.seq("a").await?, Some(1000));
    Ok(())
}

#[tokio::test]
async fn what_was_held_up_is_taken_only_while_it_is_believed() -> Result<()> {
    let redis = dev_rig::redis().await?;
    let (bench, _folder) = connected(&redis).await?;

    let lease = bench.lease().await?;
    redis.pause();
    bench.cache.keep(lease, vec![item("soon", 1)]).await;
    redis.resume();
    // It was given up, and Redis does it all the same.
    bench.becomes("soon", Some(1)).await?;

    let lease = bench.lease().await?;
    redis.pause();
    bench.cache.keep(lease, vec![item("late", 1)]).await;
    // The time itself is what is awaited.
    tokio::time::sleep(TTL).await;
    redis.resume();
    bench.becomes("soon", None).await?;
    assert_eq!(bench.seq("late").await?, None);
    bench.cache.keep(lease, vec![item("late", 1)]).await;
    assert_eq!(bench.seq("late").await?, None, "the lease is over");
    bench.keep("late", 1).await?;
    assert_eq!(bench.seq("late").await?, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() -> Result<()> {
    let redis = dev_rig::redis().await?;
    let (bench, _folder) = connected(&redis).await?;
    bench.keep("a", 1).await?;
    redis.pause();
    let began = Instant::now();
    for _ in 0..200 {
        let found = bench.cache.look(&[key("a")]).await;
        assert!(found.lease.is_none() && found.values == [None]);
    }
    let took = began.elapsed();
    println!("200 looks at a Redis that hangs: {took:?}");
    // Three deadlines of 30 ms; without the breaker it would be 6 s.
    ensure!(took < Duration::from_secs(1), "{took:?}");
    let errors = bench.metric("lookups", "error")?;
    let skipped = bench.metric("lookups", "skipped")?;
    assert!(
        (3.0..=6.0).contains(&errors) && skipped > 190.0,
        "{errors} errors, {skipped} skipped"
    );
    assert!(bench.is_open()?);
    redis.resume();
    bench.keep("b", 1).await?;
    assert_eq!(bench.seq("b").await?, Some(1));
    assert!(!bench.is_open()?);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_died_is_found_again() -> Result<()> {
    let redis = dev_rig::redis().await?;
    let (bench, _folder) = connected(&redis).await?;
    bench.keep("a", 7).await?;
    let former = bench.lease().await?;
    redis.kill();
    assert!(bench.cache.look(&[key("a")]).await.lease.is_none());
    redis.start_again().await?;
    assert_eq!(bench.seq("a").await?, None, "it was lost");
    // The clock of the server before is not the one of this server.
    bench.cache.keep(former, vec![item("a", 7)]).await;
    assert_eq!(bench.seq("a").await?, None);
    bench.keep("a", 8).await?;
    assert_eq!(bench.seq("a").await?, Some(8));
    Ok(())
}

#[tokio::test]
async fn credentials_that_change_are_taken_up_without_a_restart() -> Result<()> {
    let redis = dev_rig::redis().await?;
    let folder = tempfile::tempdir()?;
    let config = cache_config(&redis, folder.path())?;
    write_cache_password(folder.path(), "wrong")?;
    let bench = Bench::open(&config);
    eventually("the wrong password is refused", || async {
        Ok((bench.metric("connects", "error")? > 0.0).then_some(()))
    })
    .await?;
    assert!(bench.cache.look(&[key("a")]).await.lease.is_none());
    write_cache_password(folder.path(), &redis.password())?;
    bench.keep("a", 1).await?;

    // Wrong ones in the files do not end a connection that works.
    let errors = bench.metric("connects", "error")?;
    write_cache_password(folder.path(), "wrong again")?;
    eventually("the wrong password is tried", || async {
        Ok((bench.metric("connects", "error")? > errors).then_some(()))
    })
    .await?;
    assert_eq!(bench.seq("a").await?, Some(1));

    let password = redis.change_password().await?;
    write_cache_password(folder.path(), &password)?;
    bench.lease().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_show_who_it_is_gets_nothing() -> Result<()> {
    let (redis, other) = (dev_rig::redis().await?, dev_rig::redis().await?);
    let folder = tempfile::tempdir()?;
    let right = cache_config(&redis, folder.path())?;
    let (mut stranger, mut wrong_name, mut plain) = (right.clone(), right.clone(), right.clone());
    stranger.redis.tls.ca_file = Some(other.ca_file.clone());
    // The same server by a name that its certificate does not have.
    "127.0.0.2".clone_into(&mut wrong_name.redis.host);
    plain.redis.tls.mode = TlsMode::Disabled;
    plain.redis.tls.ca_file = None;
    let wrong = [stranger, wrong_name, plain].map(|config| Bench::open(&config));
    let bench = Bench::open(&right);
    bench.lease().await?;
    for bench in wrong {
        eventually("two attempts have failed", || async {
            Ok((bench.metric("connects", "error")? > 1.0).then_some(()))
        })
        .await?;
        assert!(bench.metric("connects", "ok")? < 1.0);
        assert!(bench.cache.look(&[key("a")]).await.lease.is_none());
    }
    Ok(())
}
