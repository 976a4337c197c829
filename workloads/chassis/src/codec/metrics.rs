//! What a codec counts.

use logistics_schemas::headers::{AVRO, JSON};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::metrics::Metrics;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Encoding {
    /// Avro in the registry's wire format.
    Avro,
    /// JSON: where the configuration says so, and the fallback while the registry never told a schema's id.
    Json,
}

impl Encoding {
    /// The value of the header `content-type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Avro => AVRO,
            Self::Json => JSON,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    topic: &'static str,
    encoding: Encoding,
}

/// The metrics of a codec; clones share them.
#[derive(Clone, Debug, Default)]
pub struct CodecMetrics {
    encoded: Family<Labels, Counter>,
    decoded: Family<Labels, Counter>,
}

impl CodecMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            registry.register(
                "logistics_events_encoded",
                "Events written; in JSON while the schema registry never told the schema's id",
                own.encoded.clone(),
            );
            registry.register("logistics_events_decoded", "Events read", own.decoded.clone());
        });
        own
    }

    pub(super) fn encoded(&self, topic: &'static str, encoding: Encoding) {
        self.encoded.get_or_create(&Labels { topic, encoding }).inc();
    }

    pub(super) fn decoded(&self, topic: &'static str, encoding: Encoding) {
        self.decoded.get_or_create(&Labels { topic, encoding }).inc();
    }
}
