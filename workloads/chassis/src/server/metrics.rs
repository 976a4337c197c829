//! Metrics of the gRPC server, under the names that gRPC dashboards know.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tonic::Code;

use crate::metrics::{DURATION_BUCKETS, Metrics};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Method {
    grpc_service: String,
    grpc_method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(clippy::struct_field_names, reason = "the names are those of the labels")]
struct Handled {
    grpc_service: String,
    grpc_method: String,
    grpc_code: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct RpcMetrics {
    handled: Family<Handled, Counter>,
    seconds: Family<Method, Histogram>,
    in_flight: Gauge,
}

impl RpcMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let new = Self {
            handled: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            in_flight: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "grpc_server_handled",
                "RPCs answered, by status code",
                new.handled.clone(),
            );
            registry.register(
                "grpc_server_handling_seconds",
                "Time from the request to its answer",
                new.seconds.clone(),
            );
            registry.register(
                "grpc_server_in_flight",
                "RPCs being worked on",
                new.in_flight.clone(),
            );
        });
        new
    }

    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self, method: &Method, code: Code, took: Duration) {
        self.in_flight.dec();
        self.handled
            .get_or_create(&Handled {
                grpc_service: method.grpc_service.clone(),
                grpc_method: method.grpc_method.clone(),
                grpc_code: code_name(code),
            })
            .inc();
        self.seconds.get_or_create(method).observe(took.as_secs_f64());
    }
}

impl Method {
    /// The method of a path that is known to exist: labels are bounded by the contract, not by what callers send.
    pub(super) fn of(path: &str, known: bool) -> Self {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        if known {
            Self {
                grpc_service: service.to_owned(),
                grpc_method: method.to_owned(),
            }
        } else {
            Self {
                grpc_service: "unknown".to_owned(),
                grpc_method: "unknown".to_owned(),
            }
        }
    }
}

/// The name of a code as dashboards spell it, for example `InvalidArgument`.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
