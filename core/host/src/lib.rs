//! What Ant-Cache needs of an operating system but not of a scheduler.
//!
//! A runtime moves bytes between sockets and [`Link`]s; everything it shares with the other runtimes is here.
//! It is a [`Runtime`]: it gets a [`Host`] (the service and the clock), the [`Listeners`] and a [`Shutdown`], accepts
//! connections, makes a [`Link`] of each and says how it is woken ([`Link::set_waker`]). It calls [`Link::pump`] whenever
//! the last call's [`Next`] says so, or gives whole turns ([`Workbench::turn`]). [`lane`] has the rules of what the pooled
//! runtimes share besides, [`pool`] the threads that obey them.
#![forbid(unsafe_code)]

mod accept;
mod alarm;
mod buffers;
mod busy_poll;
pub mod client;
mod clock;
pub mod config;
mod facts;
mod host;
mod housekeeping;
pub mod lane;
mod link;
mod listener;
pub mod memory;
mod metrics;
mod overhead;
mod patience;
pub mod persist;
#[cfg(target_os = "linux")]
pub mod poller;
#[cfg(target_os = "linux")]
pub mod pool;
pub mod process;
mod runtime;
mod shutdown;
mod stream;
mod turn;

pub use accept::{Admitted, Entrance, accept};
pub use alarm::{Alarm, Woken};
pub use buffers::Buffers;
pub use busy_poll::BusyPoll;
pub use clock::Clock;
pub use host::Host;
pub use housekeeping::Housekeeper;
#[cfg(feature = "faults")]
pub use link::Fault;
pub use link::{Ending, Link, Next, Received};
pub use listener::{BindError, Listener, Listeners};
pub use metrics::{Metrics, MetricsListener};
pub use patience::timespec;
pub use runtime::{Runtime, STACK};
pub use shutdown::Shutdown;
pub use stream::{Ready, Stream, Wire};
pub use turn::{Begin, Turned, Workbench};
