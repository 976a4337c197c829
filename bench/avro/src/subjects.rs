//! What is measured: our own events, written and read by each crate.

use std::hint::black_box;

use anyhow::{Context as _, Result, bail, ensure};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_avro_fast::ser::SerializerConfig;

use crate::datum::{self, Prepared};
use crate::event::{Event, ShipmentStatusChanged};
use crate::readers::told;
use crate::{columns, events, trees};

/// The schema of the last release.
const BEFORE: &str = include_str!("../../../schemas/baseline/avro/shipment.status_changed.avsc");
/// Rows of a batch, where there are many.
const ROWS: usize = 64;

/// Does it for one record.
pub(crate) type Work = Box<dyn FnMut() -> Result<usize>>;

/// One way of doing one thing.
pub(crate) struct Subject {
    pub(crate) task: String,
    pub(crate) by: &'static str,
    /// Or why it cannot be done.
    pub(crate) work: Result<Work, String>,
}

/// All ways of doing all things; the plain way of apache-avro is the first of each.
pub(crate) fn all() -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    one(&events::created(), "a creation", &mut subjects)?;
    one(&events::changed(), "a change", &mut subjects)?;
    one(&events::assessed(), "an assessment", &mut subjects)?;
    Ok(subjects)
}

fn one<E>(event: &E, name: &str, subjects: &mut Vec<Subject>) -> Result<()>
where
    E: Event + Clone + PartialEq + 'static,
{
    let text = E::TOPIC.schema.context("the topic has no schema")?;
    let datum = Prepared::of(text)?.encode(event)?;
    write(&format!("write {name}"), event, text, &datum, subjects)?;
    read(&format!("read {name}"), event, [text, text], &datum, subjects)?;
    if E::TOPIC.name == ShipmentStatusChanged::TOPIC.name {
        let (event, datum) = of_the_last_release()?;
        let task = format!("read {name} of the last release");
        read(&task, &event, [BEFORE, text], &datum, subjects)?;
    }
    Ok(())
}

/// What the last release has written, and what is to be read of it.
fn of_the_last_release() -> Result<(ShipmentStatusChanged, Vec<u8>)> {
    let event = events::changed();
    let writer = Schema::parse_str(BEFORE)?;
    let (Value::Record(mut fields), Schema::Record(record)) = (apache_avro::to_value(&event)?, &writer)
    else {
        bail!("an event is no record");
    };
    fields.retain(|(name, _)| record.fields.iter().any(|field| field.name == *name));
    let value = Value::Record(fields).resolve(&writer)?;
    let datum = GenericDatumWriter::builder(&writer)
        .build()?
        .write_value_to_vec(value)?;
    let right = ShipmentStatusChanged { proof: None, ..event };
    Ok((right, datum))
}

fn write<E: Event + Clone + 'static>(
    task: &str,
    event: &E,
    text: &'static str,
    datum: &[u8],
    subjects: &mut Vec<Subject>,
) -> Result<()> {
    let own = Prepared::of(text)?;
    let fast: &'static serde_avro_fast::Schema = Box::leak(Box::new(text.parse()?));
    let mut add = |by, mut work: Box<dyn FnMut() -> Result<Vec<u8>>>| -> Result<()> {
        ensure!(work()? == datum, "{task}: {by} writes something else");
        subjects.push(Subject {
            task: task.to_owned(),
            by,
            work: Ok(Box::new(move || Ok(work()?.len()))),
        });
        Ok(())
    };
    let written = event.clone();
    add(
        "apache-avro",
        Box::new(move || {
            let writer = GenericDatumWriter::builder(own.schema).build()?;
            Ok(writer.write_ser_to_vec(&written)?)
        }),
    )?;
    let written = event.clone();
    add(
        "apache-avro, writer kept: the services",
        Box::new(move || Ok(own.encode(&written)?)),
    )?;
    let written = event.clone();
    add(
        "serde_avro_fast",
        Box::new(move || {
            let mut config = SerializerConfig::new(fast);
            Ok(serde_avro_fast::to_datum_vec(&written, &mut config)?)
        }),
    )?;
    for (by, reason) in [
        ("babbel_avro", "it writes trees of its own, no types of others"),
        ("arrow-avro", "it writes columns, no types of others"),
    ] {
        subjects.push(Subject {
            task: task.to_owned(),
            by,
            work: Err(reason.to_owned()),
        });
    }
    Ok(())
}

fn read<E: Event + PartialEq + 'static>(
    task: &str,
    right: &E,
    [before, today]: [&'static str; 2],
    datum: &[u8],
    subjects: &mut Vec<Subject>,
) -> Result<()> {
    let writer: &'static Schema = Box::leak(Box::new(Schema::parse_str(before)?));
    let reader: &'static Schema = Box::leak(Box::new(Schema::parse_str(today)?));
    let fast: &'static serde_avro_fast::Schema = Box::leak(Box::new(before.parse()?));
    let bytes: &'static [u8] = Box::leak(datum.into());
    let mut add = |by, work| {
        subjects.push(Subject {
            task: task.to_owned(),
            by,
            work,
        });
    };
    let same = before == today;
    add(
        if same {
            "apache-avro"
        } else {
            "apache-avro: the services"
        },
        events_of(right, move || told(datum::resolved(writer, reader, bytes))),
    );
    if same {
        add(
            "apache-avro, straight",
            events_of(right, move || {
                let reader = GenericDatumReader::builder(writer).build()?;
                Ok(reader.read_deser(&mut &*bytes)?)
            }),
        );
        let own = Prepared::of(today)?;
        add(
            "apache-avro, straight, reader kept: the services",
            events_of(right, move || told(own.decode(own.schema, bytes))),
        );
    } else {
        add(
            "apache-avro, straight",
            Err("it does not know the reader's schema".to_owned()),
        );
    }
    add(
        "serde_avro_fast",
        events_of(right, move || Ok(serde_avro_fast::from_datum_slice(bytes, fast)?)),
    );
    let (from, to) = (trees::schema(before)?, trees::schema(today)?);
    add(
        "babbel_avro, trees only",
        others(move || {
            black_box(trees::tree(&from, &to, bytes)?);
            Ok(1)
        }),
    );
    let mut single = columns::decoder(before, today, 1)?;
    add(
        "arrow-avro, columns of one",
        others(move || {
            single.decode(bytes)?;
            Ok(single.flush()?.context("no row")?.num_rows())
        }),
    );
    let mut many = columns::decoder(before, today, ROWS)?;
    add(
        "arrow-avro, columns of 64",
        others(move || {
            many.decode(bytes)?;
            if many.batch_is_full() {
                return Ok(many.flush()?.context("no row")?.num_rows());
            }
            Ok(0)
        }),
    );
    Ok(())
}

/// What reads our events, if it reads them rightly.
fn events_of<E: Event + PartialEq>(
    right: &E,
    read: impl Fn() -> Result<E> + 'static,
) -> Result<Work, String> {
    match read() {
        Ok(read) if read == *right => {}
        Ok(_) => return Err("it reads something else".to_owned()),
        Err(error) => return Err(format!("it refuses: {error:#}")),
    }
    Ok(Box::new(move || size(&read()?)))
}

/// What reads something of its own.
fn others(mut read: impl FnMut() -> Result<usize> + 'static) -> Result<Work, String> {
    match read() {
        Ok(_) => Ok(Box::new(read)),
        Err(error) => Err(format!("it refuses: {error:#}")),
    }
}

/// Something of the event, so that it is made.
fn size<E: Event>(event: &E) -> Result<usize> {
    Ok(usize::try_from(black_box(event).seq())?)
}
