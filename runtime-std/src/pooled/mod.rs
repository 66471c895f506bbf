//! The architecture *pooled*: a fixed number of workers, any number of connections. See [`ant_cache_host::pool`] for
//! lanes and workers; what is here is how a lane's leader serves its connections by itself.

mod places;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ant_cache_host::pool::{self, Size};
use ant_cache_host::process::cores;
use ant_cache_host::{Host, Listeners, Runtime, STACK, Shutdown};

use places::Places;

/// A pool of workers over a few lanes. Linux only: it is built on epoll.
#[derive(Clone, Copy, Debug)]
pub struct Pooled {
    /// Worker threads to begin with. While the server runs there are between a quarter of this and twice as many, and
    /// never fewer than lanes.
    pub workers: NonZeroUsize,
    /// Lanes: one a core is best. At most `workers` are used.
    pub lanes: NonZeroUsize,
    /// Bytes of stack of each worker. Pages that are never touched cost nothing.
    pub stack_size: usize,
}

impl Pooled {
    /// A pool of `workers` with a lane for each core that the process may use.
    #[must_use]
    pub fn new(workers: NonZeroUsize) -> Self {
        Self {
            workers,
            lanes: cores(),
            stack_size: STACK,
        }
    }
}

impl Runtime for Pooled {
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()> {
        let size = Size {
            lanes: self.lanes.min(self.workers),
            workers: Some(self.workers),
            stack_size: self.stack_size,
        };
        pool::serve(size, Places::default, host, listeners, &shutdown)
    }
}
