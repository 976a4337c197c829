//! What each crate makes of every change.

use anyhow::{Context as _, Result, ensure};
use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;

use crate::changes::{self, RENAMED};
use crate::readers::READERS;

/// What one change comes to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judgement {
    /// What was changed.
    pub(crate) change: &'static str,
    /// What each of [`READERS`] makes of it, in their order.
    pub(crate) crates: Vec<Given>,
}

/// What one crate makes of it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Given {
    /// The crate, and how it is used.
    pub(crate) by: &'static str,
    /// What came out.
    pub(crate) verdict: Verdict,
}

fn given(verdicts: &[Verdict]) -> Vec<Given> {
    let crates = READERS.iter().zip(verdicts);
    crates
        .map(|(reader, verdict)| Given {
            by: reader.name,
            verdict: *verdict,
        })
        .collect()
}

/// What a crate makes of what another release has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// It reads what is right.
    Right,
    /// It says that it cannot.
    Refused,
    /// It reads something else, and does not say so.
    Wrong,
}

/// Lets every reader read what every writer of before has written; and what was cut off somewhere, which nobody may take.
pub(crate) fn judge() -> Result<Vec<Judgement>> {
    let today = changes::reader().to_string();
    let mut judgements = Vec::new();
    let mut cut = vec![Verdict::Right; READERS.len()];
    for change in changes::all() {
        let schema: &'static str = Box::leak(change.schema.to_string().into());
        let writer = Schema::parse_str(schema).with_context(|| change.name)?;
        let verdict = SchemaCompatibility::can_read(&writer, &Schema::parse_str(&today)?);
        ensure!(
            matches!(verdict, Ok(Compatibility::Full)),
            "{}: the rule does not allow it: {verdict:?}",
            change.name
        );
        let datum = GenericDatumWriter::builder(&writer)
            .build()?
            .write_value_to_vec(Value::Record(change.value))
            .with_context(|| change.name)?;
        let mut verdicts = Vec::new();
        for (reader, cut) in READERS.iter().zip(&mut cut) {
            verdicts.push(match (reader.read)(schema, &today, &datum) {
                Ok(read) if read == change.right => Verdict::Right,
                Ok(_) => Verdict::Wrong,
                Err(_) => Verdict::Refused,
            });
            if (0..datum.len()).any(|length| (reader.read)(schema, &today, &datum[..length]).is_ok()) {
                *cut = Verdict::Wrong;
            }
        }
        judgements.push(Judgement {
            change: change.name,
            crates: given(&verdicts),
        });
    }
    judgements.push(Judgement {
        change: "a value that was cut off is refused",
        crates: given(&cut),
    });
    // The services' own ways: by a value for all that we allow, and straight for what is theirs.
    let right = |judgement: &Judgement, place: usize| {
        let given = judgement.crates.get(place);
        given.is_some_and(|given| given.verdict == Verdict::Right)
    };
    for judgement in judgements.iter().filter(|one| one.change != RENAMED) {
        ensure!(
            right(judgement, 0),
            "{}: the services do not read it rightly",
            judgement.change
        );
    }
    ensure!(
        judgements.first().is_some_and(|none| right(none, 1)),
        "the services do not read what they have written"
    );
    Ok(judgements)
}
