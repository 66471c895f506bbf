//! The blocking client.

use std::cell::RefCell;
use std::time::Duration;

use ant_cache_core::client::{ReplyLimits, Value};
use ant_cache_host::client::{ErrorKind, PackedReplies, Requests};
use ant_cache_runtime_std::client::{Address, ClientOptions, Protocol, fan_out};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::batch::{Batch, Calls};
use crate::commands::{Run, commands};
use crate::errors::Class;
use crate::pool::{Denied, Lease, Pool};
use crate::profile::Profile;
use crate::reply::Shape;
use crate::request::{self, Request};

thread_local! {
    /// What a signal's handler raised while this thread waited for the server.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs the handlers of signals that have arrived; true where one raised an exception.
pub(crate) fn give_up() -> bool {
    match Python::attach(|py| py.check_signals()) {
        Ok(()) => false,
        Err(error) => {
            RAISED.with(|raised| raised.replace(Some(error)));
            true
        }
    }
}

/// A client of one server, and the native base of `antcache.Client`.
#[pyclass(frozen, subclass, module = "antcache._antcache")]
pub(crate) struct Client {
    profile: Py<Profile>,
    pool: Pool,
    retry: u32,
}

impl Client {
    /// Sends requests and waits for their replies, on a connection of the pool and without the interpreter's lock.
    fn exchange(
        &self,
        py: Python<'_>,
        requests: &Requests,
        command: &str,
        repeatable: bool,
    ) -> PyResult<PackedReplies> {
        if requests.is_empty() && !self.pool.is_closed() {
            return Ok(PackedReplies::new(requests, ReplyLimits::default()));
        }
        let mut tries = 0;
        loop {
            let mut lease = self.take(py, command)?;
            let done = py.detach(|| match lease.client() {
                Ok(client) => client.run_packed(requests),
                Err(error) => Err(error.into_kind()),
            });
            match done {
                Ok(replies) => {
                    lease.give_back();
                    return Ok(replies);
                }
                Err(kind) if tries < self.retry && may_repeat(&kind, repeatable) => {
                    // A connection that was closed while it was idle says nothing about the server.
                    tries += u32::from(!lease.is_used());
                }
                Err(kind) => return Err(self.failure(py, command, &kind)),
            }
        }
    }

    /// Makes the results of a batch of what came of sending it; where nothing did and it does no harm, it is sent again.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        calls: Calls,
        lease: PyResult<Lease<'_>>,
        replies: Option<Exchanged>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let lease = lease?;
        let replies = match replies {
            Some(Ok(replies)) => {
                lease.give_back();
                replies
            }
            Some(Err(kind)) if self.retry > 0 && may_repeat(&kind, calls.repeatable) => {
                drop(lease);
                let mut replies = self.exchange(py, &calls.wire, calls.name(), calls.repeatable)?;
                return calls.make(py, self.profile.get(), replies.drain());
            }
            Some(Err(kind)) => return Err(self.failure(py, calls.name(), &kind)),
            None => Vec::new(),
        };
        calls.make(py, self.profile.get(), replies.into_iter())
    }

    fn take(&self, py: Python<'_>, command: &str) -> PyResult<Lease<'_>> {
        self.pool.take(py).map_err(|denied| {
            let (class, message) = match denied {
                Denied::Interrupted => {
                    return self.failure(py, command, &ErrorKind::NotConnected);
                }
                Denied::Closed => (Class::Closed, "the client is closed"),
                Denied::Exhausted => (
                    Class::PoolExhausted,
                    "all connections of the pool are in use",
                ),
            };
            self.profile.get().place(command).error(py, class, message)
        })
    }

    fn failure(&self, py: Python<'_>, command: &str, kind: &ErrorKind) -> PyErr {
        let raised = RAISED.with(RefCell::take);
        raised.unwrap_or_else(|| self.profile.get().place(command).failure(py, kind))
    }
}

/// What [`ClientOptions::busy_poll`] may be.
const MAX_BUSY_POLL: Duration = Duration::from_millis(1);

/// Whether a request may be sent again after this failure.
fn may_repeat(kind: &ErrorKind, repeatable: bool) -> bool {
    match kind {
        ErrorKind::Connect(_) => true,
        ErrorKind::Io(error) => repeatable && error.kind() != std::io::ErrorKind::Interrupted,
        ErrorKind::ClosedByServer => repeatable,
        _ => false,
    }
}

/// Sends a batch to each of several servers before any of them is waited for. Returns for each the list of its results,
/// or the exception that stopped it.
///
/// Whoever calls it for the same clients names them in the same order: threads that each wait for a connection that the
/// other holds would wait in vain.
#[pyfunction]
pub(crate) fn exchange_all<'py>(
    py: Python<'py>,
    parts: Vec<(Bound<'py, Client>, Bound<'py, Batch>)>,
) -> PyResult<Bound<'py, PyList>> {
    let parts: Vec<_> = parts
        .iter()
        .map(|(client, batch)| (client.get(), batch.get().take()))
        .collect();
    let mut leases = Vec::with_capacity(parts.len());
    for (client, calls) in &parts {
        leases.push(client.take(py, calls.name()));
    }
    let wires: Vec<&Requests> = parts.iter().map(|(_, calls)| &calls.wire).collect();
    let replies = py.detach(|| exchange_leased(&mut leases, &wires));
    let results = PyList::empty(py);
    for (((client, calls), lease), replies) in parts.into_iter().zip(leases).zip(replies) {
        match client.finish(py, calls, lease, replies) {
            Ok(list) => results.append(list)?,
            Err(error) => results.append(error.into_value(py))?,
        }
    }
    Ok(results)
}

type Exchanged = Result<Vec<Value>, ErrorKind>;

/// What came of sending each server its requests; nothing where there was no connection to be had.
fn exchange_leased(
    leases: &mut [PyResult<Lease<'_>>],
    wires: &[&Requests],
) -> Vec<Option<Exchanged>> {
    let mut results: Vec<Option<Exchanged>> = Vec::with_capacity(leases.len());
    let (mut calls, mut places) = (Vec::new(), Vec::new());
    for (place, (lease, wire)) in leases.iter_mut().zip(wires).enumerate() {
        results.push(match lease.as_mut().map(Lease::client) {
            Ok(Ok(_)) if wire.is_empty() => Some(Ok(Vec::new())),
            Ok(Ok(client)) => {
                calls.push((client, (*wire).clone()));
                places.push(place);
                None
            }
            Ok(Err(error)) => Some(Err(error.into_kind())),
            Err(_) => None,
        });
    }
    for (place, exchanged) in places.into_iter().zip(fan_out(&mut calls)) {
        results[place] = Some(exchanged);
    }
    results
}

impl Run for Client {
    fn profile(slf: &Bound<'_, Self>) -> Py<Profile> {
        slf.get().profile.clone_ref(slf.py())
    }

    fn run<'py>(slf: &Bound<'py, Self>, request: Request) -> PyResult<Bound<'py, PyAny>> {
        let (client, py) = (slf.get(), slf.py());
        let Request {
            wire,
            shape,
            name,
            repeatable,
        } = request;
        let mut replies = client.exchange(py, &wire, &name, repeatable)?;
        shape.make(py, client.profile.get(), &name, &mut replies.drain())
    }
}

/// A time in seconds as a setting; `None` for no limit.
pub(crate) fn limit(name: &str, seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds.map(Duration::try_from_secs_f64) {
        None => Ok(None),
        Some(Ok(limit)) if !limit.is_zero() => Ok(Some(limit)),
        _ => Err(PyValueError::new_err(format!(
            "{name} must be a positive number of seconds, or None for no limit"
        ))),
    }
}

/// The version of the protocol that a number stands for.
fn version(protocol: u8) -> PyResult<Protocol> {
    match protocol {
        2 => Ok(Protocol::Resp2),
        3 => Ok(Protocol::Resp3),
        _ => Err(PyValueError::new_err("protocol must be 2 or 3")),
    }
}

commands!(Client {
    #[new]
    #[pyo3(signature = (
        host="127.0.0.1", port=8890, *, password=None, unix_socket=None, timeout=Some(10.0), connect_timeout=Some(5.0),
        busy_poll=0.0001, pool_size=16, retry=1, protocol=3, namespace=None, serializer=None, decode=false,
    ))]
    #[expect(clippy::too_many_arguments, reason = "settings, by name in Python")]
    fn new(
        py: Python<'_>,
        host: &str,
        port: u16,
        password: Option<String>,
        unix_socket: Option<std::path::PathBuf>,
        timeout: Option<f64>,
        connect_timeout: Option<f64>,
        busy_poll: f64,
        pool_size: usize,
        retry: u32,
        protocol: u8,
        namespace: Option<&Bound<'_, PyAny>>,
        serializer: Option<Py<PyAny>>,
        decode: bool,
    ) -> PyResult<Self> {
        if pool_size == 0 {
            return Err(PyValueError::new_err("pool_size must be at least 1"));
        }
        let address = match unix_socket {
            Some(path) => Address::Unix(path),
            None => Address::Tcp {
                host: host.to_owned(),
                port,
            },
        };
        let timeout = limit("timeout", timeout)?;
        let busy_poll = match Duration::try_from_secs_f64(busy_poll) {
            Ok(time) if time <= MAX_BUSY_POLL => time,
            _ => {
                let message = "busy_poll must be a number of seconds from 0 to 0.001";
                return Err(PyValueError::new_err(message));
            }
        };
        let options = ClientOptions {
            connect_timeout: limit("connect_timeout", connect_timeout)?,
            read_timeout: timeout,
            write_timeout: timeout,
            busy_poll,
            password,
            protocol: version(protocol)?,
            ..ClientOptions::default()
        };
        let node = address.to_string();
        let profile = Profile::new(node, namespace, serializer, decode, protocol)?;
        Ok(Self {
            profile: Py::new(py, profile)?,
            pool: Pool::new(address, options, pool_size, timeout),
            retry,
        })
    }

    /// Where it connects to: `host:port`, or the path of the Unix socket.
    #[getter]
    fn node(&self) -> &str {
        &self.profile.get().node
    }

    /// What values pass through, if anything.
    #[getter]
    fn serializer(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let serializer = self.profile.get().serializer.as_ref();
        serializer.map(|serializer| serializer.clone_ref(py))
    }

    /// What its requests have in common.
    #[getter(_profile)]
    fn shared_profile(&self, py: Python<'_>) -> Py<Profile> {
        self.profile.clone_ref(py)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Closes its connections. Those in use are closed when their requests end.
    fn close(&self) {
        self.pool.close();
    }

    /// Sends a batch and returns its results, exceptions among them.
    fn _run<'py>(slf: &Bound<'py, Self>, batch: &Batch) -> PyResult<Bound<'py, PyAny>> {
        let (client, py) = (slf.get(), slf.py());
        let batch = batch.take();
        let mut replies = client.exchange(py, &batch.wire, batch.name(), batch.repeatable)?;
        batch.make(py, client.profile.get(), replies.drain())
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let request = request::item(slf.get().profile.get(), key)?;
        Self::run(slf, request)
    }

    fn __setitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let request = request::set(slf.get().profile.get(), key, value, None, false, false)?;
        Self::run(slf, request).map(|_| ())
    }

    fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let shape = Shape::Gone {
            key: key.clone().unbind(),
        };
        let request = request::about(slf.get().profile.get(), "DEL", key, shape, false)?;
        Self::run(slf, request).map(|_| ())
    }

    fn __contains__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let request = request::about(slf.get().profile.get(), "EXISTS", key, Shape::Flag, true)?;
        Self::run(slf, request)?.extract()
    }
});
