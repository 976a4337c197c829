//! Real flight legs as shipments ([`legs`]), and what is told of each, in which order ([`story`]). The input of the demo
//! and of the backtest.

pub mod legs;
pub mod story;

pub use legs::Leg;
