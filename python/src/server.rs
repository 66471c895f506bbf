//! The real server, on threads of this process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ant_cache_host::config::{self, Architecture, Runtime as RuntimeName, Settings};
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};
use ant_cache_runtime_smol as smol;
use ant_cache_runtime_std as threads;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::errors::{Class, Place};
use crate::pool::forks;

/// Workers of the architecture *pooled*: few programs that test or tool have more requests in flight.
const WORKERS: u32 = 8;

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

/// Serves until it is told to stop.
fn serve(
    settings: &Settings,
    host: Arc<Host>,
    listeners: Listeners,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let &Settings {
        workers,
        stack_size,
        ..
    } = settings;
    let (executors, lanes) = (settings.executor_count(), settings.lane_count());
    match (settings.runtime, settings.architecture) {
        (RuntimeName::Std, Architecture::Single) => {
            threads::Single { stack_size }.serve(host, listeners, shutdown)
        }
        (RuntimeName::Std, Architecture::Pooled) => threads::Pooled {
            workers,
            lanes,
            stack_size,
        }
        .serve(host, listeners, shutdown),
        (RuntimeName::Smol, Architecture::Single) => smol::Single {
            executors,
            stack_size,
        }
        .serve(host, listeners, shutdown),
        (RuntimeName::Smol, Architecture::Pooled) => smol::Pooled {
            workers,
            lanes,
            stack_size,
        }
        .serve(host, listeners, shutdown),
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
        if max_memory == Some(0) {
            let message = "max_memory must be positive, or None for no bound";
            return Err(PyValueError::new_err(message));
        }
        let mut pairs = vec![
            ("host", host.to_owned()),
            ("port", port.to_string()),
            ("runtime", runtime.to_owned()),
            ("server", architecture.to_owned()),
            ("workers", WORKERS.to_string()),
            // 0 is no bound.
            ("max-memory", max_memory.unwrap_or(0).to_string()),
            ("eviction", eviction.to_owned()),
        ];
        if let Some(path) = &unix_socket {
            let Some(path) = path.to_str() else {
                let message = "the path of the Unix socket must be UTF-8";
                return Err(PyValueError::new_err(message));
            };
            pairs.push(("unix-socket", path.to_owned()));
        }
        if let Some(password) = password {
            pairs.push(("password", password));
        }
        let (_, settings) =
            config::load(pairs, []).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let listeners = settings
            .listen()
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        let port = listeners.port();
        let options = settings.options(&listeners);
        let service = Arc::new(Host::new(options, Clock::system()));
        let shutdown = Shutdown::new()?;
        let flag = shutdown.clone();
        let thread = std::thread::Builder::new()
            .name("antcache-server".to_owned())
            .spawn(move || serve(&settings, service, listeners, flag))?;
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
