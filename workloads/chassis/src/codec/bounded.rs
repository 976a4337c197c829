//! Whether a schema that somebody else has registered may be decoded at all.
//!
//! A value names its schema, and a registry has those of others too: whoever writes to a topic may name any of them. One that
//! holds itself makes a value as deep as it is long, and lists of nothing make it as large as it says.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{FixedSchema, Name};

/// Most parts of a value, beside its lists. Our own events have under fifty.
const MOST_PARTS: usize = 1_000;

/// What makes the size of a value unlike that of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbounded {
    /// A record is somewhere within itself.
    #[error("a record holds itself")]
    Recursive,
    /// The items of a list, or the values of a map, may have no bytes.
    #[error("a list has items of no bytes")]
    Nothing,
    /// Too many fields.
    #[error("a value has over {MOST_PARTS} parts")]
    Parts,
}

/// The size of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    parts: usize,
    /// At least.
    bytes: usize,
}

/// Checks that a value is about as large as its bytes.
pub(super) fn check(schema: &Schema) -> Result<(), Unbounded> {
    size(schema, None, &mut HashMap::new()).map(drop)
}

/// `known` are the records that came before; `None` while one is open.
fn size(
    schema: &Schema,
    namespace: Option<&str>,
    known: &mut HashMap<String, Option<Size>>,
) -> Result<Size, Unbounded> {
    let size = match schema {
        Schema::Null => Size { parts: 1, bytes: 0 },
        Schema::Record(record) => {
            let name = full(&record.name, namespace);
            let namespace = record.name.namespace().or(namespace);
            known.insert(name.clone(), None);
            let mut sum = Size { parts: 1, bytes: 0 };
            for field in &record.fields {
                let one = self::size(&field.schema, namespace, known)?;
                sum.parts = sum.parts.saturating_add(one.parts);
                sum.bytes = sum.bytes.saturating_add(one.bytes);
                if sum.parts > MOST_PARTS {
                    return Err(Unbounded::Parts);
                }
            }
            known.insert(name, Some(sum));
            sum
        }
        Schema::Ref { name } => match known.get(&full(name, namespace)) {
            Some(None) => return Err(Unbounded::Recursive),
            Some(Some(size)) => *size,
            // An enum, or bytes of a fixed length.
            None => Size { parts: 1, bytes: 0 },
        },
        Schema::Array(array) => list(self::size(&array.items, namespace, known)?)?,
        Schema::Map(map) => {
            self::size(&map.types, namespace, known)?;
            // Each has a key.
            Size { parts: 1, bytes: 1 }
        }
        Schema::Union(union) => {
            let mut most = Size { parts: 1, bytes: 1 };
            for variant in union.variants() {
                most.parts = most.parts.max(1 + self::size(variant, namespace, known)?.parts);
            }
            most
        }
        Schema::Fixed(FixedSchema { size: bytes, .. }) => Size {
            parts: 1,
            bytes: *bytes,
        },
        _ => Size { parts: 1, bytes: 1 },
    };
    Ok(size)
}

fn list(item: Size) -> Result<Size, Unbounded> {
    if item.bytes == 0 {
        return Err(Unbounded::Nothing);
    }
    Ok(Size { parts: 1, bytes: 1 })
}

fn full(name: &Name, namespace: Option<&str>) -> String {
    name.fullname(namespace)
}

#[cfg(test)]
mod tests {
    use logistics_schemas::topics;

    use super::*;

    fn checked(text: &str) -> Result<(), Unbounded> {
        check(&Schema::parse_str(text).unwrap())
    }

    fn with_field(kind: &str) -> Result<(), Unbounded> {
        checked(&format!(
            r#"{{"type": "record", "name": "Event", "namespace": "a", "fields": [{{"name": "x", "type": {kind}}}]}}"#
        ))
    }

    #[test]
    fn our_own_schemas_are_bounded() {
        for topic in topics::ALL {
            if let Some(schema) = topic.schema {
                assert_eq!(checked(schema), Ok(()), "{}", topic.name);
            }
        }
    }

    #[test]
    fn a_record_within_itself_is_refused() {
        assert_eq!(with_field(r#"["null", "Event"]"#), Err(Unbounded::Recursive));
        assert_eq!(with_field(r#"["null", "a.Event"]"#), Err(Unbounded::Recursive));
        let through_another = r#"{"type": "record", "name": "Other", "fields": [{"name": "y", "type": {"type": "map", "values": "Event"}}]}"#;
        assert_eq!(with_field(through_another), Err(Unbounded::Recursive));
    }

    #[test]
    fn a_record_of_this_name_elsewhere_is_another_one() {
        let other = r#"{"type": "record", "name": "b.Event", "fields": [{"name": "y", "type": "string"}]}"#;
        assert_eq!(with_field(other), Ok(()));
    }

    #[test]
    fn lists_of_nothing_are_refused() {
        assert_eq!(
            with_field(r#"{"type": "array", "items": "null"}"#),
            Err(Unbounded::Nothing)
        );
        let empty = r#"{"type": "record", "name": "Empty", "fields": []}"#;
        assert_eq!(
            with_field(&format!(r#"{{"type": "array", "items": {empty}}}"#)),
            Err(Unbounded::Nothing)
        );
        assert_eq!(with_field(r#"{"type": "map", "values": "null"}"#), Ok(()));
    }

    /// Each level has the one before it twice.
    #[test]
    fn a_value_that_doubles_is_refused() {
        let mut inner = r#""null""#.to_owned();
        for level in 0..12 {
            let again = if level == 0 {
                r#""null""#.to_owned()
            } else {
                format!(r#""L{}""#, level - 1)
            };
            inner = format!(
                r#"{{"type": "record", "name": "L{level}", "fields": [{{"name": "a", "type": {inner}}}, {{"name": "b", "type": {again}}}]}}"#
            );
        }
        assert_eq!(checked(&inner), Err(Unbounded::Parts));
    }
}
