//! Which certificates are made when. Pure.
//!
//! An authority is replaced in three steps, so that whoever calls the webhook always trusts what it shows: the next
//! authority is made and trusted beside the current one; when the webhook's configuration has had it for a while, it
//! becomes the current one and signs the certificate; the previous one is trusted until it ends by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::certificate::{CertificateError, Dates, Identity, authority, read, serving};

/// How long certificates hold. They are replaced after two thirds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of an authority.
    pub authority: Duration,
    /// Of the certificate that is shown.
    pub serving: Duration,
    /// How long the webhook's configuration has a new authority before a certificate of it is shown: API servers learn
    /// of it within this time.
    pub settle: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            authority: DAY * 365,
            serving: DAY * 90,
            settle: Duration::from_mins(1),
        }
    }
}

/// Longest time until the next look.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Shortest time until the next look.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// Keys in the Secret.
mod key {
    pub(super) const AUTHORITY: (&str, &str) = ("ca.crt", "ca.key");
    pub(super) const SERVING: (&str, &str) = ("tls.crt", "tls.key");
    pub(super) const NEXT: (&str, &str) = ("next-ca.crt", "next-ca.key");
    pub(super) const PREVIOUS: &str = "previous-ca.crt";
}

/// All certificates, as they are kept in the Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The authority that signs.
    pub authority: Identity,
    /// What the webhook shows.
    pub serving: Identity,
    /// The authority that is trusted already and will sign.
    pub next: Option<Identity>,
    /// The authority that signed before, without its key.
    pub previous: Option<String>,
}

/// The data of a Secret.
pub type Data = BTreeMap<String, ByteString>;

impl Certificates {
    /// All new ones.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn make(names: &[String], lifetimes: &Lifetimes, now: Timestamp) -> Result<Self, CertificateError> {
        let authority = authority(now, lifetimes.authority)?;
        Ok(Self {
            serving: serving(&authority, names, now, lifetimes.serving)?,
            authority,
            next: None,
            previous: None,
        })
    }

    /// Reads a Secret; `None` when something is not there.
    #[must_use]
    pub fn from_data(data: &Data) -> Option<Self> {
        let text = |key: &str| Some(String::from_utf8_lossy(&data.get(key)?.0).into_owned());
        let identity = |(certificate, key)| {
            Some(Identity {
                certificate: text(certificate)?,
                key: text(key)?,
            })
        };
        Some(Self {
            authority: identity(key::AUTHORITY)?,
            serving: identity(key::SERVING)?,
            next: identity(key::NEXT),
            previous: text(key::PREVIOUS),
        })
    }

    /// What is written to the Secret.
    #[must_use]
    pub fn to_data(&self) -> Data {
        let pair = |names: (&str, &str), identity: &Identity| {
            [
                (
                    names.0.to_owned(),
                    ByteString(identity.certificate.clone().into_bytes()),
                ),
                (names.1.to_owned(), ByteString(identity.key.clone().into_bytes())),
            ]
        };
        let mut data = Data::from(pair(key::AUTHORITY, &self.authority));
        data.extend(pair(key::SERVING, &self.serving));
        data.extend(self.next.iter().flat_map(|next| pair(key::NEXT, next)));
        if let Some(previous) = &self.previous {
            data.insert(
                key::PREVIOUS.to_owned(),
                ByteString(previous.clone().into_bytes()),
            );
        }
        data
    }

    /// The authorities that are trusted, PEM.
    #[must_use]
    pub fn bundle(&self) -> String {
        let next = self.next.as_ref().map(|next| next.certificate.as_str());
        let all = [
            Some(self.authority.certificate.as_str()),
            next,
            self.previous.as_deref(),
        ];
        let lines: Vec<&str> = all.into_iter().flatten().map(str::trim_end).collect();
        lines.join("\n") + "\n"
    }

    /// When each ends, and whether they belong together and to the names.
    fn facts(&self, names: &[String]) -> Result<Facts, CertificateError> {
        let (authority, serving) = (
            read(&self.authority.certificate)?,
            read(&self.serving.certificate)?,
        );
        let next = self
            .next
            .as_ref()
            .map(|next| read(&next.certificate))
            .transpose()?;
        let previous = self.previous.as_deref().map(read).transpose()?;
        Ok(Facts {
            fits: serving.issuer == authority.subject
                && names.iter().all(|name| serving.names.contains(name)),
            authority: authority.dates,
            serving: serving.dates,
            next: next.map(|next| next.dates),
            previous: previous.map(|previous| previous.dates),
        })
    }

    /// Takes a step.
    ///
    /// # Errors
    /// When a certificate cannot be made.
    pub fn after(
        &self,
        step: Step,
        names: &[String],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let mut after = self.clone();
        match step {
            Step::Make => return Self::make(names, lifetimes, now),
            Step::Stage => after.next = Some(authority(now, lifetimes.authority)?),
            Step::Promote => {
                if let Some(next) = after.next.take() {
                    after.serving = serving(&next, names, now, lifetimes.serving)?;
                    after.previous = Some(after.authority.certificate);
                    after.authority = next;
                }
            }
            Step::Renew => after.serving = serving(&after.authority, names, now, lifetimes.serving)?,
            Step::Forget => after.previous = None,
            Step::Keep(_) => {}
        }
        Ok(after)
    }

    /// Decides on the next step; what cannot be read is made anew.
    #[must_use]
    pub fn step(
        &self,
        names: &[String],
        published: Option<Duration>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Step {
        match self.facts(names) {
            Ok(facts) => decide(&facts, published, lifetimes, now),
            Err(_) => Step::Make,
        }
    }
}

struct Facts {
    authority: Dates,
    serving: Dates,
    fits: bool,
    next: Option<Dates>,
    previous: Option<Dates>,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make an authority and a certificate: what is there cannot be used.
    Make,
    /// Make the next authority, to be trusted beside the current one.
    Stage,
    /// Let the next authority sign.
    Promote,
    /// Make a certificate by the current authority.
    Renew,
    /// Trust the previous authority no more.
    Forget,
    /// Nothing for this long.
    Keep(Duration),
}

/// When two thirds of the time are over.
fn due(dates: Dates) -> Timestamp {
    dates.from + dates.until.duration_since(dates.from) * 2 / 3
}

/// `published` is for how long the webhook's configuration has been seen to have all authorities that are trusted.
fn decide(facts: &Facts, published: Option<Duration>, lifetimes: &Lifetimes, now: Timestamp) -> Step {
    let settled = published.is_some_and(|published| published >= lifetimes.settle);
    match facts.next {
        Some(next) if next.until > now && (settled || facts.authority.until <= now) => return Step::Promote,
        None if facts.authority.until > now && due(facts.authority) <= now => return Step::Stage,
        _ if facts.authority.until <= now => return Step::Make,
        _ => {}
    }
    if !facts.fits || due(facts.serving) <= now {
        return Step::Renew;
    }
    if facts.previous.is_some_and(|previous| previous.until <= now) {
        return Step::Forget;
    }
    let rest = published.map(|published| lifetimes.settle.saturating_sub(published));
    let rest = rest
        .and_then(|rest| SignedDuration::try_from(rest).ok())
        .map(|rest| now + rest);
    let moments = [
        Some(due(facts.serving)),
        Some(if facts.next.is_some() {
            facts.authority.until
        } else {
            due(facts.authority)
        }),
        facts.next.and(rest),
        facts.previous.map(|previous| previous.until),
    ];
    let next = moments.into_iter().flatten().min().unwrap_or(now);
    let wait = Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO);
    Step::Keep(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * DAY).unwrap()
    }

    fn dates(from: i64, until: i64) -> Dates {
        Dates {
            from: day(from),
            until: day(until),
        }
    }

    #[test]
    fn each_certificate_is_replaced_well_before_it_ends() {
        let minute = Some(Duration::from_mins(1));
        let hour = Step::Keep(LONGEST_WAIT);
        let cases = [
            ("all is new", (0, 365), (0, 90), None, None, 1, hour),
            (
                "the certificate is due",
                (0, 365),
                (0, 90),
                None,
                None,
                60,
                Step::Renew,
            ),
            ("it is renewed", (0, 365), (60, 150), None, None, 60, hour),
            (
                "the authority is due",
                (0, 365),
                (210, 300),
                None,
                None,
                244,
                Step::Stage,
            ),
            (
                "the next one is not trusted yet",
                (0, 365),
                (210, 300),
                Some((244, 609)),
                None,
                244,
                hour,
            ),
            (
                "meanwhile the certificate is due",
                (0, 365),
                (210, 300),
                Some((244, 609)),
                None,
                270,
                Step::Renew,
            ),
            (
                "nobody ever trusted the next one",
                (0, 365),
                (335, 365),
                Some((244, 609)),
                None,
                365,
                Step::Promote,
            ),
            (
                "the authority has ended",
                (0, 365),
                (300, 365),
                None,
                None,
                365,
                Step::Make,
            ),
        ];
        for (name, authority, serving, next, previous, now, expected) in cases {
            let previous: Option<(i64, i64)> = previous;
            let facts = Facts {
                authority: dates(authority.0, authority.1),
                serving: dates(serving.0, serving.1),
                fits: true,
                next: next.map(|(from, until)| dates(from, until)),
                previous: previous.map(|(from, until)| dates(from, until)),
            };
            assert_eq!(
                decide(&facts, None, &Lifetimes::default(), day(now)),
                expected,
                "{name}"
            );
        }
        let mut facts = Facts {
            authority: dates(0, 365),
            serving: dates(210, 300),
            fits: true,
            next: Some(dates(244, 609)),
            previous: None,
        };
        let lifetimes = Lifetimes::default();
        let second = Duration::from_secs(1);
        let soon = decide(&facts, Some(second * 20), &lifetimes, day(244));
        assert_eq!(soon, Step::Keep(second * 40));
        assert_eq!(decide(&facts, minute, &lifetimes, day(244)), Step::Promote);
        facts.next = None;
        facts.authority = dates(244, 609);
        facts.fits = false;
        assert_eq!(
            decide(&facts, minute, &lifetimes, day(245)),
            Step::Renew,
            "it is for another name"
        );
        facts.fits = true;
        facts.previous = Some(dates(0, 365));
        facts.serving = dates(244, 500);
        assert_eq!(decide(&facts, minute, &lifetimes, day(245)), hour);
        assert_eq!(decide(&facts, minute, &lifetimes, day(365)), Step::Forget);
    }

    /// At any time of two years, whoever trusts what the configuration had a minute ago trusts what is shown.
    #[test]
    fn what_is_shown_is_always_trusted() {
        let (names, lifetimes) = (["webhook.svc".to_owned()], Lifetimes::default());
        let mut now = day(0);
        let mut certificates = Certificates::make(&names, &lifetimes, now).unwrap();
        let mut trusted = certificates.bundle();
        let mut steps = Vec::new();
        while now < day(730) {
            // The configuration follows; a minute later all API servers know.
            let published = (certificates.bundle() == trusted).then_some(lifetimes.settle);
            trusted = certificates.bundle();
            let step = certificates.step(&names, published, &lifetimes, now);
            certificates = certificates.after(step, &names, &lifetimes, now).unwrap();
            let again = Certificates::from_data(&certificates.to_data());
            assert!(again.as_ref() == Some(&certificates), "it is kept as it is");
            let facts = certificates.facts(&names).unwrap();
            assert!(
                facts.fits
                    && facts.serving.from <= now
                    && facts.serving.until > now + SignedDuration::from_hours(24 * 7)
            );
            assert!(
                trusted.contains(certificates.authority.certificate.trim_end()),
                "{now}"
            );
            if !matches!(step, Step::Keep(_)) {
                steps.push(step);
            }
            now += SignedDuration::from_hours(6);
        }
        let count = |wanted: Step| steps.iter().filter(|step| **step == wanted).count();
        assert_eq!(count(Step::Make), 0);
        assert_eq!((count(Step::Stage), count(Step::Promote)), (2, 2));
        assert!(count(Step::Renew) >= 8 && count(Step::Forget) >= 1, "{steps:?}");
    }

    #[test]
    fn what_cannot_be_read_is_made_anew() {
        let (names, lifetimes) = (["webhook.svc".to_owned()], Lifetimes::default());
        let made = Certificates::make(&names, &lifetimes, day(0)).unwrap();
        assert!(matches!(
            made.step(&names, None, &lifetimes, day(1)),
            Step::Keep(_)
        ));
        let other = ["other.svc".to_owned()];
        assert_eq!(made.step(&other, None, &lifetimes, day(1)), Step::Renew);
        let mut broken = made.clone();
        broken.authority.certificate = "nothing".into();
        assert_eq!(broken.step(&names, None, &lifetimes, day(1)), Step::Make);
        let mut data = made.to_data();
        data.remove("tls.key");
        assert!(Certificates::from_data(&data).is_none());
    }
}
