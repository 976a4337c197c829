//! Objects as compact bytes. Objects of one kind are much alike, so each is compressed against the first of its kind
//! that was seen.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use serde_json::Value;

use crate::child::ChildKind;

/// A compressed object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    bytes: Box<[u8]>,
    /// Length of the text.
    length: usize,
}

/// Packs and unpacks. What one codec packed, only the same one unpacks.
#[derive(Default)]
pub(super) struct Codec {
    /// The first object of each kind.
    dictionaries: RwLock<HashMap<ChildKind, Arc<[u8]>>>,
}

impl Codec {
    /// Packs an object. Equal objects give equal bytes.
    pub(super) fn pack(&self, kind: ChildKind, object: &Value) -> Packed {
        let text = object.to_string().into_bytes();
        let dictionary = self.dictionary(kind).unwrap_or_else(|| self.begin(kind, &text));
        Packed {
            bytes: compress_with_dict(&text, &dictionary).into_boxed_slice(),
            length: text.len(),
        }
    }

    /// The object that was packed.
    #[expect(
        clippy::expect_used,
        reason = "the bytes never left this process, and were packed by the same codec"
    )]
    pub(super) fn unpack(&self, kind: ChildKind, packed: &Packed) -> Value {
        let dictionary = self.dictionary(kind).unwrap_or_default();
        let text = decompress_with_dict(&packed.bytes, packed.length, &dictionary).expect("compressed here");
        serde_json::from_slice(&text).expect("written here")
    }

    fn dictionary(&self, kind: ChildKind) -> Option<Arc<[u8]>> {
        let dictionaries = self.dictionaries.read().unwrap_or_else(PoisonError::into_inner);
        dictionaries.get(&kind).cloned()
    }

    fn begin(&self, kind: ChildKind, text: &[u8]) -> Arc<[u8]> {
        let mut dictionaries = self.dictionaries.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(dictionaries.entry(kind).or_insert_with(|| text.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str) -> Value {
        let labels: Vec<_> = (0..40).map(|n| format!("label-{n}")).collect();
        json!({"metadata": {"name": name, "labels": labels}})
    }

    #[test]
    fn what_is_packed_comes_back() {
        let codec = Codec::default();
        for name in ["a", "b", "a much longer name"] {
            let packed = codec.pack(ChildKind::Service, &object(name));
            assert_eq!(codec.unpack(ChildKind::Service, &packed), object(name));
        }
    }

    #[test]
    fn an_object_like_the_first_takes_little() {
        let codec = Codec::default();
        let first = codec.pack(ChildKind::Service, &object("a"));
        let second = codec.pack(ChildKind::Service, &object("b"));
        assert!(second.bytes.len() * 8 < second.length, "{second:?}");
        assert_eq!(first, codec.pack(ChildKind::Service, &object("a")));
        assert_ne!(first, second);
    }
}
