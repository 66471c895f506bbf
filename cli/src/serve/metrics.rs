//! The metrics listener of a server.

use std::io;
use std::sync::Arc;

use ant_cache_host::config::{Access, Settings};
use ant_cache_host::{Host, Metrics, MetricsListener, Shutdown};

/// A listener that is yet to answer.
pub(super) struct Listening(MetricsListener);

/// Listens where the settings say; `None` where they say nowhere.
pub(super) fn listen(settings: &Settings) -> Result<Option<Listening>, String> {
    let Some(address) = &settings.metrics_addr else {
        return Ok(None);
    };
    let listener = MetricsListener::bind(address)
        .map_err(|error| format!("cannot listen on {address} for metrics: {error}"))?;
    Ok(Some(Listening(listener)))
}

impl Listening {
    /// Answers until what is returned is dropped.
    pub(super) fn serve(
        self,
        settings: &Settings,
        host: &Arc<Host>,
        shutdown: &Shutdown,
    ) -> io::Result<Metrics> {
        // The system may have chosen the port.
        let address = self.0.address()?;
        let guarded = settings.metrics_access == Access::Password;
        let metrics = self.0.serve(Arc::clone(host), guarded, shutdown.clone())?;
        tracing::info!("metrics on http://{address}/");
        Ok(metrics)
    }
}
