//! What every pooled runtime shares: who leads a lane, how others reach it, how large the pool is, which lane a
//! connection goes to. No input or output, no threads, no clock: a runtime asks, and does what the answers say.
//!
//! A **lane** is a poller with the connections that are registered with it. One worker leads it: it polls, and gives
//! each ready connection its turn. The others are spares. Turns are bounded, so one leader a core serves any number
//! of connections; a spare takes a lane over only if its leader is stuck in one turn.

mod accept;
mod lease;
mod mailbox;
mod slots;
mod stats;
mod sync;
mod timers;

pub use accept::{Acceptor, Verdict};
pub use lease::{Hold, Lease, Phase};
pub use mailbox::Mailbox;
pub use slots::{Slots, Token};
pub use stats::{PoolNumbers, PoolStats};
pub use timers::{Due, Timers};
