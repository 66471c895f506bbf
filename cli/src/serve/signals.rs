//! SIGTERM and SIGINT: the first stops the server in good order, a second one at once.

use std::io;
use std::thread;
use std::time::Duration;

use ant_cache_host::Shutdown;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{exit, signal_name};

/// How long after the grace of [`Shutdown`] a server that still runs is taken to be stuck.
const PATIENCE: Duration = Duration::from_millis(500);

/// Lets signals trigger `shutdown` from here on.
///
/// # Errors
/// What the system reports; it has no descriptors or threads left.
pub(super) fn trigger(shutdown: &Shutdown) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shutdown = shutdown.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if shutdown.is_triggered() {
                    // As a shell reports a process that the signal killed.
                    exit(128 + signal);
                }
                watch();
                tracing::info!(signal = signal_name(signal), "stopping");
                shutdown.trigger();
            }
        })?;
    Ok(())
}

/// Ends the process where stopping in good order does not.
fn watch() {
    let watcher = thread::Builder::new().name("watch".to_owned()).spawn(|| {
        thread::sleep(Shutdown::GRACE + PATIENCE);
        tracing::error!("the server did not stop in time");
        exit(1);
    });
    if let Err(error) = watcher {
        tracing::warn!(%error, "nobody watches whether the server stops");
    }
}
