//! The metrics listener of a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ant_cache_host::config::{Access, Settings};
use ant_cache_host::{Host, Metrics, MetricsListener, Shutdown};

/// A listener that is yet to answer.
pub(super) struct Listening {
    listener: MetricsListener,
    /// The system may have chosen the port.
    address: SocketAddr,
}

/// Listens where the settings say; `None` where they say nowhere.
pub(super) fn listen(settings: &Settings) -> Result<Option<Listening>, String> {
    let Some(address) = &settings.metrics_addr else {
        return Ok(None);
    };
    let listening = MetricsListener::bind(address).and_then(|listener| {
        let address = listener.address()?;
        Ok(Listening { listener, address })
    });
    listening
        .map(Some)
        .map_err(|error| format!("cannot listen on {address} for metrics: {error}"))
}

impl Listening {
    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until what is returned is dropped.
    pub(super) fn serve(
        self,
        settings: &Settings,
        host: &Arc<Host>,
        shutdown: &Shutdown,
    ) -> io::Result<Metrics> {
        let Self { listener, address } = self;
        let guarded = settings.metrics_access == Access::Password;
        let metrics = listener.serve(Arc::clone(host), guarded, shutdown.clone())?;
        tracing::info!("metrics on http://{address}/");
        Ok(metrics)
    }
}
