//! Ant-Cache on threads.
#![forbid(unsafe_code)]

mod accept;
pub mod client;
#[cfg(target_os = "linux")]
mod pooled;
mod single;
mod turn;

#[cfg(target_os = "linux")]
pub use pooled::Pooled;
pub use single::Single;

/// Bytes of stack of a thread that serves connections, by default.
const STACK: usize = 128 << 10;
