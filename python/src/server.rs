//! The real server, on threads of this process.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ant_cache_core::Eviction;
use ant_cache_core::facts::{Fact, Section};
use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings;
use ant_cache_core::store::Store;
use ant_cache_host::process::random_bits;
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::errors::{Class, Place};
use crate::pool::forks;

/// Workers of the architecture *pooled*: few programs that test or tool have more requests in flight.
const WORKERS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// A server in this process, and the native base of `antcache.Server`. It serves from its making on.
#[pyclass(frozen, subclass, module = "antcache._antcache")]
pub(crate) struct Server {
    host: String,
    port: u16,
    unix_socket: Option<PathBuf>,
    forks: u64,
    shutdown: Shutdown,
    /// Until it is stopped.
    thread: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
}

/// What serves, by its two names.
#[derive(Clone, Copy)]
struct Engine {
    smol: bool,
    pooled: bool,
}

impl Engine {
    fn new(runtime: &str, architecture: &str) -> PyResult<Self> {
        let smol = match runtime {
            "std" => false,
            "smol" => true,
            _ => return Err(PyValueError::new_err("runtime must be \"std\" or \"smol\"")),
        };
        let pooled = match architecture {
            "single" => false,
            "pooled" => true,
            _ => {
                return Err(PyValueError::new_err(
                    "architecture must be \"single\" or \"pooled\"",
                ));
            }
        };
        Ok(Self { smol, pooled })
    }

    fn serve(
        self,
        host: Arc<Host>,
        listeners: Listeners,
        shutdown: Shutdown,
    ) -> std::io::Result<()> {
        use ant_cache_runtime_smol as smol;
        use ant_cache_runtime_std as threads;
        match (self.smol, self.pooled) {
            (false, false) => threads::Single::default().serve(host, listeners, shutdown),
            (false, true) => threads::Pooled::new(WORKERS).serve(host, listeners, shutdown),
            (true, false) => smol::Single::default().serve(host, listeners, shutdown),
            (true, true) => smol::Pooled::new(WORKERS).serve(host, listeners, shutdown),
        }
    }
}

impl Server {
    fn stop_here(&self, py: Python<'_>) -> PyResult<()> {
        self.shutdown.trigger();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let ended = thread.map(|thread| py.detach(|| thread.join()));
        match ended {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(PyOSError::new_err(error.to_string())),
            Some(Err(_)) => Err(PyOSError::new_err("the server panicked")),
        }
    }
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (
        host="127.0.0.1", port=0, *, unix_socket=None, password=None, runtime="std", architecture="pooled",
        max_memory=None, eviction="adaptive",
    ))]
    #[expect(clippy::too_many_arguments, reason = "settings, by name in Python")]
    fn new(
        host: &str,
        port: u16,
        unix_socket: Option<PathBuf>,
        password: Option<String>,
        runtime: &str,
        architecture: &str,
        max_memory: Option<u64>,
        eviction: &str,
    ) -> PyResult<Self> {
        let engine = Engine::new(runtime, architecture)?;
        let Some(eviction) = Eviction::from_name(eviction) else {
            let message = format!("there is no eviction '{eviction}'");
            return Err(PyValueError::new_err(message));
        };
        let refuse = |error: &dyn std::error::Error| PyOSError::new_err(error.to_string());
        let mut listeners = Listeners::new();
        listeners.tcp(host, port).map_err(|error| refuse(&error))?;
        if let Some(path) = &unix_socket {
            listeners.unix(path).map_err(|error| refuse(&error))?;
        }
        let port = listeners.port();
        let settings = Settings::default();
        settings.set_password(password.map(String::into_bytes));
        settings.set_max_memory(max_memory.unwrap_or(u64::MAX));
        settings.set_eviction(eviction);
        let options = Options {
            seed: random_bits(),
            shards: max_memory.map_or(Store::SHARDS, Store::shards_for),
            settings,
            facts: vec![
                Fact::new(Section::Server, "tcp_port", port),
                Fact::new(Section::Antcache, "runtime", runtime),
                Fact::new(Section::Antcache, "architecture", architecture),
            ],
            ..Options::default()
        };
        let service = Arc::new(Host::new(options, Clock::system()));
        let shutdown = Shutdown::new()?;
        let flag = shutdown.clone();
        let thread = std::thread::Builder::new()
            .name("antcache-server".to_owned())
            .spawn(move || engine.serve(service, listeners, flag))?;
        Ok(Self {
            host: host.to_owned(),
            port,
            unix_socket,
            forks: forks(),
            shutdown,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The host that it listens on.
    #[getter]
    fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port that it listens on.
    #[getter]
    fn port(&self) -> u16 {
        self.port
    }

    /// The path of its Unix socket, if it has one.
    #[getter]
    fn unix_socket(&self) -> Option<&PathBuf> {
        self.unix_socket.as_ref()
    }

    /// Whether it was stopped.
    #[getter]
    fn stopped(&self) -> bool {
        self.shutdown.is_triggered()
    }

    /// Stops it: what was received is answered, then connections are closed. Returns when it is done.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        if self.forks != forks() {
            let place = Place {
                node: "server",
                command: "stop",
            };
            let message = "the server runs in the process that this one was forked from";
            return Err(place.error(py, Class::Fork, message));
        }
        self.stop_here(py)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In the child of a fork it is not this process's to stop.
        if self.forks == forks() {
            self.shutdown.trigger();
        }
    }
}
