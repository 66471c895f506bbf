//! Shared parts of the test suites.
//!
//! [`macro@suite`] is the common suite: each line of it names a runtime and an architecture, and makes every test of
//! [`mod@suite`] a test of that shape. [`Peer`] is a connection in memory, [`Client`] one through a socket, to a [`Server`]
//! in this process or to a [`Child`].

mod child;
mod client;
mod embedded;
mod peer;
mod random;
mod server;
pub mod suite;
pub mod traces;

pub use child::Child;
pub use client::Client;
pub use embedded::Embedded;
pub use peer::{Peer, request};
pub use random::Random;
pub use server::{Server, Shape};
