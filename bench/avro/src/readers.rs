//! The crates, each as a function from two schemas and a datum to a value.

use anyhow::{Result, anyhow};
use apache_avro::Schema;
use serde::Deserialize;

use crate::datum::{self, Prepared, Unreadable};
use crate::{columns, trees};

/// What is read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Probe {
    pub(crate) id: String,
    pub(crate) seq: i64,
    pub(crate) share: f64,
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    pub(crate) tags: Vec<String>,
    pub(crate) channel: String,
    pub(crate) note: Option<String>,
    pub(crate) at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Kind {
    Scan,
    Order,
    Delay,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Place {
    pub(crate) code: String,
    pub(crate) facility: String,
}

/// A way of reading.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    pub(crate) licence: &'static str,
    pub(crate) read: fn(writer: &'static str, reader: &str, datum: &[u8]) -> Result<Probe>,
}

/// All ways. The services have the first two: the second where the writer's schema is theirs.
pub(crate) const READERS: [Reader; 6] = [
    Reader {
        name: "apache-avro",
        licence: "Apache-2.0",
        read: resolved,
    },
    Reader {
        name: "apache-avro, straight",
        licence: "Apache-2.0",
        read: straight,
    },
    Reader {
        name: "serde_avro_fast",
        licence: "MPL-2.0, LGPL-3.0 below",
        read: fast,
    },
    Reader {
        name: "serde_avro_fast, serde attributes",
        licence: "MPL-2.0, LGPL-3.0 below",
        read: fast_with_attributes,
    },
    Reader {
        name: "babbel_avro",
        licence: "MIT",
        read: trees::read,
    },
    Reader {
        name: "arrow-avro",
        licence: "Apache-2.0",
        read: columns::read,
    },
];

fn resolved(writer: &str, reader: &str, datum: &[u8]) -> Result<Probe> {
    let (writer, reader) = (Schema::parse_str(writer)?, Schema::parse_str(reader)?);
    told(datum::resolved(&writer, &reader, datum))
}

fn straight(writer: &'static str, _: &str, datum: &[u8]) -> Result<Probe> {
    let own = Prepared::of(writer)?;
    told(own.decode(own.schema, datum))
}

/// What the codec's own functions say.
pub(crate) fn told<T>(read: Result<T, Unreadable>) -> Result<T> {
    read.map_err(|error| match error {
        Unreadable::CutOff => anyhow!("the bytes end too early"),
        Unreadable::Trailing(left) => anyhow!("{left} bytes are left over"),
        Unreadable::Misfit(source) => (*source).into(),
    })
}

fn fast(writer: &str, _: &str, datum: &[u8]) -> Result<Probe> {
    let writer: serde_avro_fast::Schema = writer.parse()?;
    Ok(serde_avro_fast::from_datum_slice(datum, &writer)?)
}

/// The reader's schema once more, in words of serde.
fn fast_with_attributes(writer: &str, _: &str, datum: &[u8]) -> Result<Probe> {
    #[derive(Deserialize)]
    struct Helped {
        id: String,
        #[serde(default = "seven")]
        seq: i64,
        #[serde(default = "half")]
        share: f64,
        #[serde(default = "order")]
        kind: HelpedKind,
        #[serde(default = "here")]
        place: HelpedPlace,
        #[serde(default = "one_tag")]
        tags: Vec<String>,
        #[serde(default = "none", alias = "source")]
        channel: String,
        #[serde(default)]
        note: Option<String>,
        at: i64,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum HelpedKind {
        Order,
        Delay,
        #[serde(other)]
        Scan,
    }
    #[derive(Deserialize)]
    struct HelpedPlace {
        code: String,
        #[serde(default = "gate")]
        facility: String,
    }
    const fn seven() -> i64 {
        7
    }
    const fn half() -> f64 {
        0.5
    }
    const fn order() -> HelpedKind {
        HelpedKind::Order
    }
    fn here() -> HelpedPlace {
        HelpedPlace {
            code: "EWR".to_owned(),
            facility: "here".to_owned(),
        }
    }
    fn one_tag() -> Vec<String> {
        vec!["a".to_owned()]
    }
    fn none() -> String {
        "none".to_owned()
    }
    fn gate() -> String {
        "gate".to_owned()
    }
    let writer: serde_avro_fast::Schema = writer.parse()?;
    let helped: Helped = serde_avro_fast::from_datum_slice(datum, &writer)?;
    Ok(Probe {
        id: helped.id,
        seq: helped.seq,
        share: helped.share,
        kind: match helped.kind {
            HelpedKind::Scan => Kind::Scan,
            HelpedKind::Order => Kind::Order,
            HelpedKind::Delay => Kind::Delay,
        },
        place: Place {
            code: helped.place.code,
            facility: helped.place.facility,
        },
        tags: helped.tags,
        channel: helped.channel,
        note: helped.note,
        at: helped.at,
    })
}
