//! A record as it was read.

use logistics_schemas::topics::Topic;
use rdkafka::message::{BorrowedMessage, Message as _};

/// A record, with nothing but its own bytes.
#[derive(Clone, Debug)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The topic's name in the cluster.
    pub full_topic: String,
    /// The partition.
    pub partition: i32,
    /// The place in the partition.
    pub offset: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order; names may repeat.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// Copies a message; `None` when it is of none of these topics.
    pub(crate) fn read(message: &BorrowedMessage<'_>, topics: &[(Topic, String)]) -> Option<Self> {
        let (topic, full_topic) = topics.iter().find(|(_, name)| name == message.topic())?;
        Some(Self {
            topic: *topic,
            full_topic: full_topic.clone(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: logistics_kafka_native::headers::of(message),
        })
    }

    /// The last header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// How many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}

/// The last of `headers` with this name, if it is text.
pub(crate) fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().rev().find(|(one, _)| one == name)?;
    std::str::from_utf8(value).ok()
}
