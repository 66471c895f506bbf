//! The engine of Ant-Cache: protocol, commands and store, without I/O and without a clock.
//!
//! [`Service`] is one server: its store, its settings and its counters. [`Session`] is one connection to it.
//! Bytes flow one way:
//!
//! ```text
//! bytes → Input → Session (dialect, framing, auth) → command → Exec → Shard → Reply → Output → bytes
//! ```
//!
//! Whoever drives a session (a runtime, a C event loop, a test) owns its [`Input`] and [`Output`], moves bytes
//! between them and the wire, and calls [`Session::turn`] when bytes have arrived or a [`Wants`] asked for it.
//! Each turn does a bounded amount of work ([`Budget`]) and says what the session wants next: to read, to be called
//! again at once, to be called at a deadline, to be closed when the output is flushed. Nothing here blocks, performs
//! I/O or reads a clock: the time is a parameter ([`Turn::now`]).
//!
//! A program that wants the store without the protocol uses a [`Cache`]; see [`cache`].
#![no_std]
// Hosted crates may name either.
#![warn(clippy::std_instead_of_core)]

extern crate alloc;

mod buffer;
pub mod cache;
pub mod client;
pub mod command;
pub mod eviction;
pub mod exec;
pub mod facts;
pub mod glob;
mod held;
mod histogram;
pub mod journal;
pub mod ledger;
pub mod limits;
mod monitor;
pub mod number;
mod prefetch;
pub mod protocol;
pub mod reply;
pub mod ring;
pub mod service;
pub mod session;
pub mod settings;
pub mod size;
pub mod stats;
pub mod store;
mod sync;
pub mod time;
pub mod ttl;

pub use buffer::{Blob, Input, Output};
pub use cache::Cache;
pub use eviction::Eviction;
pub use histogram::Histogram;
pub use ledger::Ledger;
pub use monitor::Origin;
pub use service::Service;
pub use session::{Budget, Cause, Session, Turn, Wants};
pub use time::Millis;
