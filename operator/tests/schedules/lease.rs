//! Who may write: what an instance of the operator was told about the Lease, and what follows from it.

use std::time::Duration;

use logistics_operator::leader::{Election, Timing};
use tokio::time::Instant;

use crate::acts::NAMESPACE;

/// Name of the Lease.
pub(crate) const LEASE: &str = "operator";

/// How an instance of the operator takes part.
pub(crate) fn election(instance: u32) -> Election {
    Election {
        namespace: NAMESPACE.into(),
        name: LEASE.into(),
        identity: identity(instance),
        timing: Timing::default(),
    }
}

fn identity(instance: u32) -> String {
    format!("operator-{instance}")
}

/// What an instance was told of the Lease.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LeaseNews {
    /// Who holds it, if anybody does.
    pub holder: Option<String>,
    /// Its version, 0 when there is none.
    pub version: u64,
}

/// The time in which an instance may write.
#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    identity: String,
    timing: Timing,
    version: u64,
    /// Until when writes may begin.
    until: Option<Instant>,
    /// When it was told that the Lease is not its own any more.
    lost: Option<Instant>,
}

impl Tenure {
    pub(crate) fn new(instance: u32) -> Self {
        Self {
            identity: identity(instance),
            timing: Timing::default(),
            version: 0,
            until: None,
            lost: None,
        }
    }

    /// It was answered that it has written the Lease, by a request that was begun then.
    pub(crate) fn renewed(&mut self, news: &LeaseNews, begun: Instant) {
        self.version = news.version;
        if news.holder.as_ref() == Some(&self.identity) {
            (self.until, self.lost) = (Some(begun + self.timing.renew_deadline), None);
        } else {
            // Given up.
            self.until = None;
        }
    }

    /// It was told who holds the Lease; what is older than what it knows tells nothing.
    pub(crate) fn told(&mut self, news: &LeaseNews, now: Instant) {
        if news.version != 0 && news.version <= self.version {
            return;
        }
        self.version = news.version.max(self.version);
        if news.holder.as_ref() != Some(&self.identity) && self.until.is_some() && self.lost.is_none() {
            self.lost = Some(now);
        }
    }

    /// What is wrong with beginning a write now. What is done in the very moment of the news was begun before.
    pub(crate) fn forbids(&self, now: Instant) -> Option<String> {
        match (self.until, self.lost) {
            (None, _) => Some("written without the Lease".into()),
            (_, Some(lost)) if now > lost => Some(format!(
                "written {:.3} s after the news that the Lease is lost",
                seconds(now - lost)
            )),
            (Some(until), _) if now >= until => Some(format!(
                "written {:.3} s after the Lease should have been renewed",
                seconds(now - until)
            )),
            _ => None,
        }
    }

    /// What is wrong with a step of a write that consists of several, the first of which was begun in time: others may
    /// lead by now.
    pub(crate) fn forbids_to_end(&self, now: Instant) -> Option<String> {
        let end = self.until? + self.timing.duration.saturating_sub(self.timing.renew_deadline);
        (now >= end).then(|| format!("written {:.3} s after the Lease's end", seconds(now - end)))
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn news(holder: Option<&str>, version: u64) -> LeaseNews {
        LeaseNews {
            holder: holder.map(str::to_owned),
            version,
        }
    }

    #[test]
    fn writes_are_allowed_from_a_renewal_to_its_deadline_or_the_news_of_a_loss() {
        let start = Instant::now();
        let mut tenure = Tenure::new(1);
        assert!(tenure.forbids(start).is_some(), "it never led");
        tenure.renewed(&news(Some("operator-1"), 5), start);
        assert_eq!(tenure.forbids(start + SECOND * 5), None);
        assert!(tenure.forbids(start + SECOND * 6).is_some(), "not renewed");
        assert_eq!(tenure.forbids_to_end(start + SECOND * 9), None);
        assert!(tenure.forbids_to_end(start + SECOND * 10).is_some());
        tenure.told(&news(Some("thief"), 4), start + SECOND);
        assert_eq!(tenure.forbids(start + SECOND * 2), None, "old news");
        tenure.told(&news(Some("thief"), 6), start + SECOND);
        assert_eq!(tenure.forbids(start + SECOND), None, "in the same moment");
        assert!(tenure.forbids(start + SECOND * 2).is_some());
        tenure.renewed(&news(Some("operator-1"), 7), start + SECOND * 3);
        assert_eq!(tenure.forbids(start + SECOND * 4), None, "regained");
    }
}
