//! Ant-Cache on threads.
#![forbid(unsafe_code)]

pub mod client;
#[cfg(target_os = "linux")]
mod pooled;
mod single;

#[cfg(target_os = "linux")]
pub use pooled::Pooled;
pub use single::Single;
