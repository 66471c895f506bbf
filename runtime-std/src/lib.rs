//! Ant-Cache on threads.
#![forbid(unsafe_code)]

mod accept;
pub mod client;
mod single;
mod turn;

pub use single::Single;
