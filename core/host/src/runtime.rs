//! What a runtime is.

use std::io;
use std::sync::Arc;

use crate::{Host, Listeners, Shutdown};

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
