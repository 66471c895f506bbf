//! What a runtime is.

use std::io;
use std::sync::Arc;

use crate::{Host, Listeners, Shutdown};

/// Bytes of stack of a thread that serves connections, by default. Serving touches 12 KiB of it, whatever the command;
/// the rest is room for a panic's backtrace, and costs nothing while it is not touched.
pub const STACK: usize = 128 << 10;

/// A way to bring connections and sessions together: threads or tasks, one a connection or a pool.
pub trait Runtime {
    /// Accepts connections and serves them until `shutdown` is triggered; then answers what was received and
    /// returns, within [`Shutdown::GRACE`]. The listeners are closed, and their files gone, when this returns.
    ///
    /// # Errors
    /// The system refuses what the runtime needs to begin with (threads, pollers). Once it serves, errors concern
    /// single connections and are counted and logged.
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()>;
}
