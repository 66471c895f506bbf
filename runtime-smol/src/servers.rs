//! The two architectures as servers of their own.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ant_cache_host::pool::{self, Size};
use ant_cache_host::process::cores;
use ant_cache_host::{Host, Listeners, Runtime, STACK, Shutdown};

use crate::tasks::Tasks;

/// The architecture *single*: a task a connection, on an executor a core.
///
/// Each executor has a thread and a poller. Turns of connections are bounded, so those of one executor wait for each
/// other no longer than that; a connection stays where it was put.
#[derive(Clone, Copy, Debug)]
pub struct Single {
    /// Executors, and threads: one a core is best.
    pub executors: NonZeroUsize,
    /// Bytes of stack of each thread. Pages that are never touched cost nothing.
    pub stack_size: usize,
}

impl Single {
    /// So many executors.
    #[must_use]
    pub const fn new(executors: NonZeroUsize) -> Self {
        Self {
            executors,
            stack_size: STACK,
        }
    }
}

impl Default for Single {
    /// An executor for each core that the process may use.
    fn default() -> Self {
        Self::new(cores())
    }
}

impl Runtime for Single {
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()> {
        let size = Size {
            lanes: self.executors,
            workers: None,
            stack_size: self.stack_size,
        };
        pool::serve(size, Tasks::new, host, listeners, &shutdown)
    }
}

/// The architecture *pooled*: tasks on an executor a lane, and workers that run executors or are spares.
///
/// A worker leads a lane: it waits at the lane's poller and runs the lane's executor. So the number of workers bounds
/// how many turns are in flight, and how many can be stuck before a lane stands still; not the number of connections.
#[derive(Clone, Copy, Debug)]
pub struct Pooled {
    /// Worker threads to begin with. While the server runs there are between a quarter of this and twice as many, and
    /// never fewer than lanes.
    pub workers: NonZeroUsize,
    /// Lanes, each with an executor and a poller: one a core is best. At most `workers` are used.
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
        pool::serve(size, Tasks::new, host, listeners, &shutdown)
    }
}
