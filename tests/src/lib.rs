//! Shared parts of the test suites.

mod peer;

pub use peer::{Peer, request};
