//! A writer's schema, as a registry may answer, and a value that names it.
//!
//! Input: the schema's text; a zero byte; bytes that the value repeats. A value of such a schema is long, so that whatever grows faster
//! than it does shows.

use futures::FutureExt as _;
use logistics_chassis::codec::{Codec, ShipmentCreated};
use logistics_schemas::topics::SHIPMENT_CREATED;
use serde_json::json;

const ID: u32 = 7;
const LENGTH: usize = 64 * 1024;

pub(crate) fn run(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (text, fill) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = String::from_utf8_lossy(text);
    let Ok(codec) = Codec::offline(&[SHIPMENT_CREATED], &[(ID, &text)]) else {
        return;
    };
    let mut value = vec![0];
    value.extend(ID.to_be_bytes());
    value.extend(fill.iter().cycle().take(LENGTH));
    let read = codec.decode::<ShipmentCreated>(&value).now_or_never();
    assert!(read.is_some(), "a codec without a registry waits");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let own = SHIPMENT_CREATED.schema.unwrap_or_default();
    let with = |field: serde_json::Value| {
        let mut schema: serde_json::Value = serde_json::from_str(own).unwrap_or_default();
        if let Some(fields) = schema["fields"].as_array_mut() {
            fields.insert(0, json!({"name": "x", "type": field}));
        }
        schema.to_string()
    };
    // Deep, endless, and doubled with each level.
    let node =
        json!({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]});
    let list = json!({"type": "array", "items": {"type": "array", "items": "null"}});
    let mut twice = json!({"type": "record", "name": "L", "fields": []});
    for level in 0..25 {
        let again = if level == 0 {
            "L".to_owned()
        } else {
            format!("L{}", level - 1)
        };
        twice = json!({"type": "record", "name": format!("L{level}"),
                       "fields": [{"name": "a", "type": twice}, {"name": "b", "type": again}]});
    }
    [
        own.to_owned(),
        with(node),
        with(list),
        with(twice),
        "\"string\"".to_owned(),
    ]
    .into_iter()
    .flat_map(|text| [0_u8, 2, 0x7f].map(|fill| [text.as_bytes(), &[0, fill]].concat()))
    .collect()
}
