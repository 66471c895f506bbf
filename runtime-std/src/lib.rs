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

/// Bytes of stack of a thread that serves connections, by default. Serving touches 12 KiB of it, whatever the command;
/// the rest is room for a panic's backtrace, and costs nothing while it is not touched.
const STACK: usize = 128 << 10;
