//! How good the estimates and the risk of the analytics service are, told by a year of real flights.
//!
//! The year is replayed in the order of time through the models of the service themselves ([`replay`]): each leg is assessed
//! when it is ordered and when it leaves, and its outcome is learned when it arrives, never sooner. What was foretold is then
//! compared with what happened ([`score`]), next to what one knows without a model.

pub mod plot;
pub mod replay;
pub mod report;
pub mod score;
