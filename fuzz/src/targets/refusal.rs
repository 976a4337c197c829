//! What every refusal of a request promises.

use logistics_chassis::errors::ServiceError;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Clients of gRPC for Java and for C (and so for Python and Ruby) take this many bytes of trailers by default; a refusal that
/// is longer reaches them as another error.
const MOST_TRAILERS: usize = 8 * 1024;
/// What HTTP/2 counts for each trailer beside its name and value.
const PER_TRAILER: usize = 32;

/// Which of so many methods an input is for, whether its message is laid over a good one, and the message.
pub(crate) fn call(input: &[u8], methods: u8) -> Option<(u8, bool, &[u8])> {
    let (head, message) = input.split_first()?;
    Some(((head & 0x7f) % methods, head & 0x80 != 0, message))
}

/// The request in `message`, if it is one: what was sent, laid over `template` where `on` says so.
///
/// Protobuf merges: fields that come later replace those before. So a template with one field replaced needs few bytes.
pub(crate) fn request<M: Message + Default>(template: Option<&M>, message: &[u8]) -> Option<M> {
    let mut bytes = template.map(M::encode_to_vec).unwrap_or_default();
    bytes.extend_from_slice(message);
    let request = M::decode(bytes.as_slice()).ok()?;
    assert_eq!(
        M::decode(request.encode_to_vec().as_slice())
            .ok()
            .map(|again| again.encode_to_vec()),
        Some(request.encode_to_vec()),
        "a request is not what was sent"
    );
    Some(request)
}

/// What was accepted; a refusal names the fields, and reaches the caller.
pub(crate) fn accepted<T>(outcome: Result<T, ServiceError>) -> Option<T> {
    let error = match outcome {
        Ok(checked) => return Some(checked),
        Err(error) => error,
    };
    let status = Status::from(error);
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let fields = status.get_details_bad_request();
    assert!(
        fields.is_some_and(|fields| !fields.field_violations.is_empty()),
        "a refusal without fields"
    );
    let response = status.into_http::<()>();
    let trailers: usize = response
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + PER_TRAILER)
        .sum();
    assert!(
        trailers <= MOST_TRAILERS,
        "a refusal has {trailers} bytes of trailers"
    );
    None
}

/// Whether a text has a length within bounds, in characters, and each is as it should be.
pub(crate) fn is_text(
    text: &str,
    length: std::ops::RangeInclusive<usize>,
    is_right: fn(char) -> bool,
) -> bool {
    length.contains(&text.chars().count()) && text.chars().all(is_right)
}

pub(crate) fn is_printable(one: char) -> bool {
    !one.is_control()
}
