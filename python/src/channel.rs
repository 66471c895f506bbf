//! One connection of the asyncio client: an asyncio protocol whose codec, queue and deadlines are here.
//!
//! Requests of all tasks go out in one queue and their replies come back in the same order, so a task that is cancelled
//! changes nothing for the others: its place in the queue stays, and its reply is dropped when it comes. The requests of
//! one turn of the event loop go out with one write.
//!
//! Python code is never called with the lock held: it may call back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ant_cache_core::client::{Decoder, Value};
use ant_cache_host::client::ErrorKind;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::batch::{Batch, Calls};
use crate::client::limit;
use crate::commands::{Run, commands};
use crate::errors::Class;
use crate::pool::forks;
use crate::profile::Profile;
use crate::request::Request;

/// One connection of the asyncio client: an asyncio protocol. Every method returns a future.
#[pyclass(frozen, module = "antcache._antcache")]
pub(crate) struct Channel {
    profile: Py<Profile>,
    event_loop: Py<PyAny>,
    timeout: Option<Duration>,
    forks: u64,
    state: Mutex<State>,
}

struct State {
    /// From the connection's start to its end.
    transport: Option<Py<PyAny>>,
    phase: Phase,
    /// Whether the transport asked not to be written to.
    paused: bool,
    decoder: Decoder,
    /// What is yet to be written.
    out: Vec<u8>,
    /// Whether the loop is going to write it.
    flushing: bool,
    /// Requests whose replies are yet to come.
    pending: VecDeque<Pending>,
    /// Whether the loop is going to look at the deadlines.
    watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A request has timed out: what is still pending is waited for, nothing new is sent.
    Retired,
    Closed,
}

struct Pending {
    future: Py<PyAny>,
    work: Work,
    /// Replies that have come.
    replies: Vec<Value>,
    /// Replies that there will be.
    expected: usize,
    deadline: Option<Instant>,
}

enum Work {
    Call(Request),
    Batch(Calls),
}

impl Work {
    fn command(&self) -> &str {
        match self {
            Self::Call(request) => &request.name,
            Self::Batch(calls) => calls.name(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Call(request) => request.wire.bytes(),
            Self::Batch(calls) => calls.wire.bytes(),
        }
    }

    fn replies(&self) -> usize {
        match self {
            Self::Call(request) => request.wire.len(),
            Self::Batch(calls) => calls.wire.len(),
        }
    }

    fn is_repeatable(&self) -> bool {
        match self {
            Self::Call(request) => request.repeatable,
            // What it has collected is gone.
            Self::Batch(_) => false,
        }
    }

    fn make<'py>(
        self,
        py: Python<'py>,
        profile: &Profile,
        replies: Vec<Value>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Call(request) => {
                let mut replies = replies.into_iter();
                request.shape.make(py, profile, &request.name, &mut replies)
            }
            Self::Batch(calls) => calls.make(py, profile, replies.into_iter()),
        }
    }
}

/// What an addition to the queue asks of the event loop.
#[derive(Default)]
struct Wishes {
    write: Option<(Py<PyAny>, Vec<u8>)>,
    flush: bool,
    watch: bool,
}

impl State {
    /// Puts a request in line.
    fn push(&mut self, py: Python<'_>, pending: Pending) -> Wishes {
        let mut wishes = Wishes {
            watch: pending.deadline.is_some() && !self.watched,
            ..Wishes::default()
        };
        self.watched |= wishes.watch;
        let alone = self.pending.is_empty() && self.out.is_empty() && !self.paused;
        match &self.transport {
            Some(transport) if alone => {
                let bytes = pending.work.bytes().to_vec();
                wishes.write = Some((transport.clone_ref(py), bytes));
            }
            _ => {
                self.out.extend_from_slice(pending.work.bytes());
                wishes.flush = !self.flushing;
                self.flushing = true;
            }
        }
        self.pending.push_back(pending);
        wishes
    }

    /// Takes what has arrived; what is complete by it.
    fn take(&mut self, mut bytes: &[u8], done: &mut Vec<Pending>) -> Result<(), ErrorKind> {
        while let Some(value) = self.decoder.decode(&mut bytes)? {
            if matches!(value, Value::Push(_)) {
                continue;
            }
            let Some(first) = self.pending.front_mut() else {
                return Err(ErrorKind::Unasked);
            };
            first.replies.push(value);
            if first.replies.len() == first.expected {
                done.extend(self.pending.pop_front());
            }
        }
        Ok(())
    }
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request, and returns the future of its result.
    fn queue<'py>(slf: &Bound<'py, Self>, work: Work) -> PyResult<Bound<'py, PyAny>> {
        let (channel, py) = (slf.get(), slf.py());
        if channel.forks != forks() {
            let message = "the client belongs to the process that this one was forked from";
            let place = channel.profile.get().place(work.command());
            return Err(place.error(py, Class::Fork, message));
        }
        let event_loop = channel.event_loop.bind(py);
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let expected = work.replies();
        if expected == 0 {
            let result = work.make(py, channel.profile.get(), Vec::new())?;
            future.call_method1(intern!(py, "set_result"), (result,))?;
            return Ok(future);
        }
        let pending = Pending {
            future: future.clone().unbind(),
            work,
            replies: Vec::new(),
            expected,
            deadline: channel.timeout.map(|timeout| Instant::now() + timeout),
        };
        let mut state = channel.lock();
        if state.phase != Phase::Open {
            drop(state);
            return Err(channel.closed(py, pending.work.command()));
        }
        let wishes = state.push(py, pending);
        drop(state);
        if let Some((transport, bytes)) = wishes.write {
            transport.call_method1(py, intern!(py, "write"), (PyBytes::new(py, &bytes),))?;
        }
        if wishes.flush {
            let flush = slf.getattr(intern!(py, "_flush"))?;
            event_loop.call_method1(intern!(py, "call_soon"), (flush,))?;
        }
        if let (true, Some(timeout)) = (wishes.watch, channel.timeout) {
            Self::watch(slf, timeout)?;
        }
        Ok(future)
    }

    /// The exception for a request that came too late. Nothing was sent, so it may be sent elsewhere.
    fn closed(&self, py: Python<'_>, command: &str) -> PyErr {
        let place = self.profile.get().place(command);
        let error = place.error(py, Class::Connection, "the connection is closed");
        match error.value(py).setattr(intern!(py, "repeatable"), true) {
            Ok(()) => error,
            Err(other) => other,
        }
    }

    /// Has the loop look at the deadlines after a time.
    fn watch(slf: &Bound<'_, Self>, after: Duration) -> PyResult<()> {
        let py = slf.py();
        let check = slf.getattr(intern!(py, "_check_deadlines"))?;
        let event_loop = slf.get().event_loop.bind(py);
        event_loop.call_method1(intern!(py, "call_later"), (after.as_secs_f64(), check))?;
        Ok(())
    }

    /// Gives a task its result, or its exception.
    fn finish(&self, py: Python<'_>, pending: Pending) -> PyResult<()> {
        let future = pending.future.bind(py);
        // Cancelled, or timed out.
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let made = pending.work.make(py, self.profile.get(), pending.replies);
        match made {
            Ok(result) => future.call_method1(intern!(py, "set_result"), (result,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
        };
        Ok(())
    }

    /// Tells a task why there will be no result.
    fn fail(&self, py: Python<'_>, pending: &Pending, kind: &ErrorKind) -> PyResult<()> {
        let future = pending.future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let place = self.profile.get().place(pending.work.command());
        let error = place.failure(py, kind);
        let repeatable = matches!(kind, ErrorKind::ClosedByServer | ErrorKind::Io(_))
            && pending.work.is_repeatable();
        error.value(py).setattr("repeatable", repeatable)?;
        future.call_method1(intern!(py, "set_exception"), (error,))?;
        Ok(())
    }

    /// Ends the connection: everyone who waits is told why.
    fn end(&self, py: Python<'_>, kind: &ErrorKind) -> PyResult<()> {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        let transport = state.transport.take();
        let pending = core::mem::take(&mut state.pending);
        state.out.clear();
        drop(state);
        if let Some(transport) = transport {
            transport.call_method0(py, intern!(py, "abort"))?;
        }
        for pending in pending {
            self.fail(py, &pending, kind)?;
        }
        Ok(())
    }
}

impl Run for Channel {
    fn profile(slf: &Bound<'_, Self>) -> Py<Profile> {
        slf.get().profile.clone_ref(slf.py())
    }

    fn run<'py>(slf: &Bound<'py, Self>, request: Request) -> PyResult<Bound<'py, PyAny>> {
        Self::queue(slf, Work::Call(request))
    }
}

commands!(Channel {
    #[new]
    #[pyo3(signature = (profile, event_loop, timeout))]
    fn new(profile: Py<Profile>, event_loop: Py<PyAny>, timeout: Option<f64>) -> PyResult<Self> {
        Ok(Self {
            profile,
            event_loop,
            timeout: limit("timeout", timeout)?,
            forks: forks(),
            state: Mutex::new(State {
                transport: None,
                phase: Phase::Open,
                paused: false,
                decoder: Decoder::default(),
                out: Vec::new(),
                flushing: false,
                pending: VecDeque::new(),
                watched: false,
            }),
        })
    }

    /// Requests that wait for their replies; -1 once nothing can be sent any more.
    #[getter]
    fn load(&self) -> isize {
        let state = self.lock();
        match state.phase {
            Phase::Open => isize::try_from(state.pending.len()).unwrap_or(isize::MAX),
            _ => -1,
        }
    }

    /// Sends a batch. Its future's result is a list, exceptions among its items.
    fn _run<'py>(slf: &Bound<'py, Self>, batch: &Batch) -> PyResult<Bound<'py, PyAny>> {
        let channel = slf.get();
        if channel.lock().phase != Phase::Open {
            // Before anything is taken out of the batch.
            return Err(channel.closed(slf.py(), "pipeline"));
        }
        Self::queue(slf, Work::Batch(batch.take()))
    }

    /// Closes the connection. Whoever waits for a reply is told.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.end(py, &ErrorKind::NotConnected)
    }

    fn connection_made(slf: &Bound<'_, Self>, transport: Py<PyAny>) -> PyResult<()> {
        slf.get().lock().transport = Some(transport);
        Self::_flush(slf)
    }

    fn data_received(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let mut done = Vec::new();
        let mut state = self.lock();
        let taken = state.take(data, &mut done);
        let over = state.phase == Phase::Retired && state.pending.is_empty();
        drop(state);
        for pending in done {
            self.finish(py, pending)?;
        }
        match taken {
            Err(kind) => self.end(py, &kind),
            Ok(()) if over => self.end(py, &ErrorKind::NotConnected),
            Ok(()) => Ok(()),
        }
    }

    fn eof_received(&self) -> bool {
        // The transport closes itself, and tells.
        false
    }

    fn connection_lost(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let kind = match error {
            Some(error) => ErrorKind::Io(std::io::Error::other(error.to_string())),
            None => ErrorKind::ClosedByServer,
        };
        self.end(py, &kind)
    }

    fn pause_writing(&self) {
        self.lock().paused = true;
    }

    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().lock().paused = false;
        Self::_flush(slf)
    }

    fn _flush(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let mut state = slf.get().lock();
        state.flushing = false;
        let transport = match &state.transport {
            Some(transport) if !state.paused && !state.out.is_empty() => transport.clone_ref(py),
            _ => return Ok(()),
        };
        let bytes = PyBytes::new(py, &state.out);
        state.out.clear();
        drop(state);
        transport.call_method1(py, intern!(py, "write"), (bytes,))?;
        Ok(())
    }

    fn _check_deadlines(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (channel, py, now) = (slf.get(), slf.py(), Instant::now());
        let mut late = Vec::new();
        let mut state = channel.lock();
        let mut next = None;
        for pending in &state.pending {
            match pending.deadline {
                Some(deadline) if deadline <= now => {
                    let command = pending.work.command().to_owned();
                    late.push((pending.future.clone_ref(py), command));
                }
                deadline => {
                    next = deadline;
                    break;
                }
            }
        }
        if !late.is_empty() {
            state.phase = Phase::Retired;
        }
        state.watched = next.is_some();
        let hopeless = state.phase == Phase::Retired && next.is_none();
        drop(state);
        let kind = ErrorKind::TimedOut(channel.timeout.unwrap_or_default());
        for (future, command) in late {
            if !future.call_method0(py, intern!(py, "done"))?.is_truthy(py)? {
                let error = channel.profile.get().place(&command).failure(py, &kind);
                future.call_method1(py, intern!(py, "set_exception"), (error,))?;
            }
        }
        match next {
            Some(deadline) => Self::watch(slf, deadline - now),
            None if hopeless => channel.end(py, &kind),
            None => Ok(()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        if let Ok(state) = self.state.try_lock() {
            if let Some(transport) = &state.transport {
                visit.call(transport)?;
            }
            for pending in &state.pending {
                visit.call(&pending.future)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            let (transport, pending) = (state.transport.take(), core::mem::take(&mut state.pending));
            drop(state);
            drop((transport, pending));
        }
    }
});
