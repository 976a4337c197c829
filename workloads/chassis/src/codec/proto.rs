//! The names of the domain in Protobuf.

use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::grpc::logistics::r#type::v1 as proto;

use super::event::{Location, ProofOfDelivery};

/// The status as Protobuf has it.
#[must_use]
pub const fn status_to_proto(status: Status) -> proto::Status {
    match status {
        Status::Created => proto::Status::Created,
        Status::PickedUp => proto::Status::PickedUp,
        Status::InTransit => proto::Status::InTransit,
        Status::OutForDelivery => proto::Status::OutForDelivery,
        Status::AttemptFailed => proto::Status::AttemptFailed,
        Status::AvailableForPickup => proto::Status::AvailableForPickup,
        Status::Exception => proto::Status::Exception,
        Status::Returning => proto::Status::Returning,
        Status::Delivered => proto::Status::Delivered,
        Status::Returned => proto::Status::Returned,
        Status::Lost => proto::Status::Lost,
        Status::Cancelled => proto::Status::Cancelled,
    }
}

/// The status that Protobuf names; `None` for `STATUS_UNSPECIFIED`.
#[must_use]
pub const fn status_from_proto(status: proto::Status) -> Option<Status> {
    Some(match status {
        proto::Status::Unspecified => return None,
        proto::Status::Created => Status::Created,
        proto::Status::PickedUp => Status::PickedUp,
        proto::Status::InTransit => Status::InTransit,
        proto::Status::OutForDelivery => Status::OutForDelivery,
        proto::Status::AttemptFailed => Status::AttemptFailed,
        proto::Status::AvailableForPickup => Status::AvailableForPickup,
        proto::Status::Exception => Status::Exception,
        proto::Status::Returning => Status::Returning,
        proto::Status::Delivered => Status::Delivered,
        proto::Status::Returned => Status::Returned,
        proto::Status::Lost => Status::Lost,
        proto::Status::Cancelled => Status::Cancelled,
    })
}

/// The classifier as Protobuf has it.
#[must_use]
pub const fn classifier_to_proto(classifier: Classifier) -> proto::Classifier {
    match classifier {
        Classifier::Actual => proto::Classifier::Actual,
        Classifier::Estimated => proto::Classifier::Estimated,
        Classifier::Planned => proto::Classifier::Planned,
    }
}

/// The classifier that Protobuf names; unset means [`Classifier::Actual`].
#[must_use]
pub const fn classifier_from_proto(classifier: proto::Classifier) -> Classifier {
    match classifier {
        proto::Classifier::Unspecified | proto::Classifier::Actual => Classifier::Actual,
        proto::Classifier::Estimated => Classifier::Estimated,
        proto::Classifier::Planned => Classifier::Planned,
    }
}

/// The disposition as Protobuf has it.
#[must_use]
pub const fn disposition_to_proto(disposition: Disposition) -> proto::Disposition {
    match disposition {
        Disposition::Applied => proto::Disposition::Applied,
        Disposition::Late => proto::Disposition::Late,
        Disposition::Conflict => proto::Disposition::Conflict,
        Disposition::Informational => proto::Disposition::Informational,
    }
}

/// The kind as Protobuf has it.
#[must_use]
pub const fn kind_to_proto(kind: Kind) -> proto::EventKind {
    match kind {
        Kind::Scan => proto::EventKind::Scan,
        Kind::Order => proto::EventKind::Order,
        Kind::Delay => proto::EventKind::Delay,
        Kind::Retraction => proto::EventKind::Retraction,
        Kind::Assignment => proto::EventKind::Assignment,
    }
}

/// The delay as Protobuf has it; none is `DELAY_REASON_UNSPECIFIED`.
#[must_use]
pub const fn delay_to_proto(delay: Option<DelayReason>) -> proto::DelayReason {
    match delay {
        None => proto::DelayReason::Unspecified,
        Some(DelayReason::Carrier) => proto::DelayReason::Carrier,
        Some(DelayReason::Weather) => proto::DelayReason::Weather,
        Some(DelayReason::Customs) => proto::DelayReason::Customs,
        Some(DelayReason::Consignee) => proto::DelayReason::Consignee,
        Some(DelayReason::Sender) => proto::DelayReason::Sender,
        Some(DelayReason::Address) => proto::DelayReason::Address,
        Some(DelayReason::Incident) => proto::DelayReason::Incident,
        Some(DelayReason::Other) => proto::DelayReason::Other,
    }
}

/// The delay that Protobuf names; `None` for `DELAY_REASON_UNSPECIFIED`.
#[must_use]
pub const fn delay_from_proto(delay: proto::DelayReason) -> Option<DelayReason> {
    Some(match delay {
        proto::DelayReason::Unspecified => return None,
        proto::DelayReason::Carrier => DelayReason::Carrier,
        proto::DelayReason::Weather => DelayReason::Weather,
        proto::DelayReason::Customs => DelayReason::Customs,
        proto::DelayReason::Consignee => DelayReason::Consignee,
        proto::DelayReason::Sender => DelayReason::Sender,
        proto::DelayReason::Address => DelayReason::Address,
        proto::DelayReason::Incident => DelayReason::Incident,
        proto::DelayReason::Other => DelayReason::Other,
    })
}

/// The proof as Protobuf has it.
#[must_use]
pub fn proof_to_proto(proof: &ProofOfDelivery) -> proto::ProofOfDelivery {
    proto::ProofOfDelivery {
        signer: proof.signer.clone(),
        image_ref: proof.image_ref.clone(),
        signature_ref: proof.signature_ref.clone(),
    }
}

/// The place as Protobuf has it.
#[must_use]
pub fn location_to_proto(location: &Location) -> proto::Location {
    proto::Location {
        code: location.code.clone(),
        facility: location.facility.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_same_name_on_both_sides() {
        for status in Status::ALL {
            let proto = status_to_proto(status);
            assert_eq!(proto.as_str_name(), format!("STATUS_{status}"));
            assert_eq!(status_from_proto(proto), Some(status));
        }
        assert_eq!(status_from_proto(proto::Status::Unspecified), None);
    }

    #[test]
    fn every_kind_and_every_delay_has_the_same_name_on_both_sides() {
        for kind in Kind::ALL {
            assert_eq!(
                kind_to_proto(kind).as_str_name(),
                format!("EVENT_KIND_{}", kind.as_str())
            );
        }
        for reason in DelayReason::ALL {
            let proto = delay_to_proto(Some(reason));
            assert_eq!(proto.as_str_name(), format!("DELAY_REASON_{}", reason.as_str()));
            assert_eq!(delay_from_proto(proto), Some(reason));
        }
        assert_eq!(delay_from_proto(delay_to_proto(None)), None);
    }

    #[test]
    fn every_classifier_and_disposition_has_the_same_name_on_both_sides() {
        for classifier in Classifier::ALL {
            let proto = classifier_to_proto(classifier);
            assert_eq!(proto.as_str_name(), format!("CLASSIFIER_{}", classifier.as_str()));
            assert_eq!(classifier_from_proto(proto), classifier);
        }
        for disposition in Disposition::ALL {
            let name = format!("DISPOSITION_{}", disposition.as_str());
            assert_eq!(disposition_to_proto(disposition).as_str_name(), name);
        }
    }
}
