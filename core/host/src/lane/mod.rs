//! What every pooled runtime shares: who leads a lane, how others reach it, how large the pool is, which lane a
//! connection goes to. No input or output, no threads, no clock: a runtime asks, and does what the answers say.
//!
//! A **lane** is a poller with the connections that are registered with it. One worker leads it: it polls, and gives
//! each ready connection its turn. The others are spares. Turns are bounded, so one leader a core serves any number
//! of connections; a spare takes a lane over only if its leader is stuck in one turn.

mod accept;
mod balance;
mod interest;
mod lease;
mod mailbox;
#[cfg(all(test, loom))]
mod model;
mod sizing;
mod slots;
mod stats;
mod stuck;
pub(crate) mod sync;
mod timers;
mod watch;
mod whereabouts;

pub use accept::{Acceptor, Verdict};
pub use balance::{Advice, Balance, Load, choose, select};
pub use interest::Interest;
pub use lease::{Hold, Lease, Phase};
pub use mailbox::Mailbox;
pub use sizing::{LOOKS, Sizing, Step};
pub use slots::{Slots, Token};
pub use stats::{Number, PoolNumbers, PoolStats};
pub use stuck::{Evidence, PERIOD, SUSPENSE, Suspect};
pub use timers::{Due, Timers};
pub use watch::{Muster, Seen, Sight, Watch, Window};
pub use whereabouts::Whereabouts;
