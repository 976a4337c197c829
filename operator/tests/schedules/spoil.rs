//! What goes wrong with watches.

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use crate::api::{Key, Refusal, Told};
use crate::faults::WatchFault;

/// The events of a watch with what goes wrong until a time.
pub(crate) fn spoil(
    told: impl Stream<Item = Told> + Send + 'static,
    fault: WatchFault,
    until: Instant,
) -> BoxStream<'static, std::io::Result<Told>> {
    let told = told.map(Ok);
    let broken = || Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    match fault {
        WatchFault::None => told.boxed(),
        WatchFault::End(after) => told.take(after).boxed(),
        WatchFault::Break(after) => told.take(after).chain(stream::iter([broken()])).boxed(),
        WatchFault::Gone(after) => {
            let line = format!(
                "{}\n",
                json!({"type": "ERROR", "object": Refusal::expired().to_json()})
            );
            let key = Key {
                plural: String::new(),
                namespace: String::new(),
                name: String::new(),
            };
            let gone = Told {
                event: "ERROR",
                key,
                version: 0,
                line,
            };
            told.take(after).chain(stream::iter([Ok(gone)])).boxed()
        }
        WatchFault::Stall(after) => told.take(after).chain(stream::pending()).boxed(),
        WatchFault::Lag(pause) => told
            .then(move |told| async move {
                // What is behind in the end is told at once, or it would be told long after all is quiet.
                tokio::time::sleep_until((Instant::now() + pause).min(until.max(Instant::now()))).await;
                told
            })
            .boxed(),
        WatchFault::Twice => told
            .flat_map(|told: std::io::Result<Told>| {
                let again = told.as_ref().ok().cloned();
                stream::iter([Some(told), again.map(Ok)].into_iter().flatten())
            })
            .boxed(),
    }
}
