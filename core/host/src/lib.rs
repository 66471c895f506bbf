//! What Ant-Cache needs of an operating system but not of a scheduler.
//!
//! A runtime moves bytes between sockets and [`Link`]s; everything it shares with the other runtimes is here.
#![forbid(unsafe_code)]

pub mod config;
mod link;

pub use link::{Buffers, Link, Next};
