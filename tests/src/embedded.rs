//! A smol program around a server, as a runtime.

use std::io;
use std::sync::Arc;

use ant_cache_host::{Host, Listeners, Runtime, Shutdown};
use ant_cache_runtime_smol::SmolRuntime;
use smol::{Executor, channel, future, unblock};

/// Runs an executor with two threads, and [`SmolRuntime`] in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedded;

impl Runtime for Embedded {
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()> {
        let executor = Arc::new(Executor::new());
        let (running, ended) = channel::bounded::<()>(1);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                // An error says that the sender is gone, which ends the thread.
                scope.spawn(|| future::block_on(executor.run(ended.recv())));
            }
            let tasks = Arc::clone(&executor);
            let server = SmolRuntime::new(host, listeners).serve(
                move |connection| tasks.spawn(connection).detach(),
                unblock(move || shutdown.wait()),
            );
            let served = future::block_on(server);
            drop(running);
            served
        })
    }
}
