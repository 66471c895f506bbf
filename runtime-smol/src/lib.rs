//! Ant-Cache on executors: a task a connection.
//!
//! [`Single`] and [`Pooled`] are whole servers, with executors and pollers of their own; [`SmolRuntime`] serves inside a
//! program that has an executor already. A connection is the same task in all of them.
//!
//! Each executor has a poller of its own instead of smol's one reactor a process: what happens to a socket is told to
//! the thread that runs its task, once, so a wake-up is a push to a queue that no other thread touches, and nothing is
//! re-armed in the kernel. The lanes, the workers that lead them and the rules are those of every pooled runtime
//! ([`ant_cache_host::pool`]). Linux only: the poller is epoll.
//!
//! [`client`] is the other end: a connection and a pool for any executor.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

pub mod client;
mod connection;
mod embedded;
mod servers;
mod tasks;

pub use connection::Serving;
pub use embedded::SmolRuntime;
pub use servers::{Pooled, Single};
