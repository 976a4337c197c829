//! Many orders in one stream: each is decided by itself, and they share transactions as they come.

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use logistics_chassis::errors::{ServiceError, refusal};
use logistics_chassis::identity::Principal;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::write::Writer;

/// Most orders of a stream: what is answered fits into one message, and is done in the time that a request has.
const MOST: usize = 5_000;
/// Most bytes of a refusal's message, so that the answer fits into the 4 MiB that clients take by default, even if all
/// orders are wrong.
const MESSAGE: usize = 700;
/// Orders of one stream that are decided at the same time: enough to fill a transaction, not the queue.
const AT_ONCE: usize = 128;

/// Creates shipments until the stream ends.
pub(crate) async fn create<S>(
    writer: &Writer,
    principal: &Principal,
    orders: S,
) -> Result<proto::CreateShipmentsResponse, Status>
where
    S: Stream<Item = Result<proto::CreateShipmentsRequest, Status>> + Send,
{
    let numbered = orders.enumerate().map(|(at, order)| match order {
        Ok(_) if at >= MOST => Err(too_many()),
        other => other,
    });
    let results = numbered
        .map_ok(|message| async move {
            let order = message.order.unwrap_or_default();
            Ok(result(writer.create(principal, &order).await))
        })
        .try_buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(proto::CreateShipmentsResponse { results })
}

fn result(outcome: Result<proto::CreateShipmentResponse, ServiceError>) -> proto::CreateShipmentsResult {
    match outcome {
        Ok(answer) => proto::CreateShipmentsResult {
            shipment_id: answer.shipment.unwrap_or_default().shipment_id,
            refusal: None,
        },
        Err(error) => {
            let status = Status::from(error);
            let info = status.get_error_details().error_info().cloned();
            proto::CreateShipmentsResult {
                shipment_id: String::new(),
                refusal: Some(proto::Refusal {
                    code: status.code().into(),
                    reason: info.map(|info| info.reason).unwrap_or_default(),
                    message: status.message()[..status.message().floor_char_boundary(MESSAGE)].to_owned(),
                }),
            }
        }
    }
}

fn too_many() -> Status {
    refusal(
        Code::ResourceExhausted,
        "TOO_MANY_ORDERS",
        &format!(
            "a stream may hold {MOST} orders; send what follows in another one, with the same idempotency keys"
        ),
    )
}
