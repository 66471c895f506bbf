//! The metrics listener: figures for Prometheus, probes, and a page, over HTTP.
//!
//! One thread of its own serves a few connections at a time, each for one request and a few seconds, so that nothing
//! which happens here can disturb those who are served. Requests are bounded in size, and answers are made when they
//! are asked for: who does not ask costs nothing.

mod http;
mod prometheus;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown as Direction, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use self::http::{Answer, Asked, Resource};
use crate::patience::timespec;
use crate::{Host, Shutdown};

/// Connections at once. Further ones wait to be accepted, at most [`TIME`].
const CONNECTIONS: usize = 16;

/// How long a connection may take in all.
const TIME: Duration = Duration::from_secs(5);

/// How long the listener is left alone where the system has no descriptors for who waits.
const PAUSE: Duration = Duration::from_millis(200);

/// Bytes of stack of the thread.
const STACK: usize = 256 << 10;

/// A listener that has its address.
#[derive(Debug)]
pub struct MetricsListener(TcpListener);

impl MetricsListener {
    /// Listens on `address`, a host and a port.
    ///
    /// # Errors
    /// The host has no address, or the port is not to be had.
    pub fn bind(address: &str) -> io::Result<Self> {
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        let listener = TcpListener::bind(&addresses[..])?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system reports.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers requests in a thread of its own until what is returned is dropped. `password`: whether figures are shown
    /// only to who knows the server's password. The server tells that it is not ready before [`Metrics::set_ready`], and
    /// once `stopping` is triggered.
    ///
    /// # Errors
    /// The system has no thread or descriptors left.
    pub fn serve(self, host: Arc<Host>, password: bool, stopping: Shutdown) -> io::Result<Metrics> {
        let end = Shutdown::new()?;
        let ready = Arc::<AtomicBool>::default();
        let desk = Desk {
            listener: self.0,
            host,
            password,
            state: State {
                ready: Arc::clone(&ready),
                stopping,
            },
            visitors: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .stack_size(STACK)
            .spawn({
                let end = end.clone();
                move || desk.run(&end)
            })?;
        Ok(Metrics {
            end,
            ready,
            thread: Some(thread),
        })
    }
}

/// A metrics listener that answers. Dropping it ends it.
#[derive(Debug)]
pub struct Metrics {
    end: Shutdown,
    ready: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Metrics {
    /// Says that the server has loaded what it had on disk, and serves.
    pub fn set_ready(&self) {
        self.ready.store(true, Relaxed);
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.end.trigger();
        // One that has panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Who answers.
struct Desk {
    listener: TcpListener,
    host: Arc<Host>,
    password: bool,
    state: State,
    visitors: Vec<Visitor>,
}

/// Whether the server serves.
struct State {
    ready: Arc<AtomicBool>,
    stopping: Shutdown,
}

impl Desk {
    fn run(mut self, end: &Shutdown) {
        let mut pause: Option<Instant> = None;
        while !end.is_triggered() {
            let now = Instant::now();
            self.visitors.retain(|visitor| visitor.until > now);
            pause = pause.filter(|&until| until > now);
            let open = pause.is_none() && self.visitors.len() < CONNECTIONS;
            let until = self
                .visitors
                .iter()
                .map(|visitor| visitor.until)
                .chain(pause)
                .min();
            let left = until.map(|until| timespec(until - now));
            let mut watched = vec![PollFd::new(end, PollFlags::IN)];
            watched.extend(self.visitors.iter().map(Visitor::watched));
            if open {
                watched.push(PollFd::new(&self.listener, PollFlags::IN));
            }
            match poll(&mut watched, left.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "the metrics listener cannot wait");
                    return;
                }
            }
            let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(watched);
            let mut ready = ready.into_iter().skip(1);
            let (host, password, state) = (&self.host, self.password, &self.state);
            self.visitors.retain_mut(|visitor| {
                !ready.next().unwrap_or(false) || visitor.go_on(host, password, state)
            });
            if ready.next().unwrap_or(false) {
                pause = self.admit();
            }
        }
    }

    /// Accepts one who waits. Returns until when not to try again, where the system is exhausted.
    fn admit(&mut self) -> Option<Instant> {
        let now = Instant::now();
        match self.listener.accept() {
            Ok((stream, _)) => {
                if stream.set_nonblocking(true).is_ok() {
                    self.visitors.push(Visitor::new(stream, now + TIME));
                }
                None
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                ) =>
            {
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the metrics listener cannot accept");
                Some(now + PAUSE)
            }
        }
    }
}

/// One connection.
struct Visitor {
    stream: TcpStream,
    until: Instant,
    /// What has arrived of the request.
    head: Vec<u8>,
    /// What is to be sent, once the request is known, and how much of it was.
    reply: Option<(Vec<u8>, usize)>,
    /// Whether all was sent: what still arrives is read and thrown away, lest the answer be lost by a reset.
    told: bool,
}

impl Visitor {
    const fn new(stream: TcpStream, until: Instant) -> Self {
        Self {
            stream,
            until,
            head: Vec::new(),
            reply: None,
            told: false,
        }
    }

    fn watched(&self) -> PollFd<'_> {
        let writing = self.reply.is_some() && !self.told;
        let events = if writing {
            PollFlags::OUT
        } else {
            PollFlags::IN
        };
        PollFd::new(&self.stream, events)
    }

    /// Does what can be done now; false at the end.
    fn go_on(&mut self, host: &Host, password: bool, state: &State) -> bool {
        match self.step(host, password, state) {
            Ok(more) => more,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    fn step(&mut self, host: &Host, password: bool, state: &State) -> io::Result<bool> {
        if self.told {
            return Ok(self.stream.read(&mut [0; 1024])? > 0);
        }
        if self.reply.is_none() {
            let mut part = [0; 2048];
            let most = part.len().min(http::MAX_HEAD - self.head.len());
            let n = self.stream.read(&mut part[..most])?;
            if n == 0 {
                return Ok(false);
            }
            self.head.extend_from_slice(&part[..n]);
            let (answer, bodiless) =
                match http::read(&self.head, &host.service().settings, password) {
                    Asked::More => return Ok(true),
                    Asked::For { resource, bodiless } => (answer(resource, host, state), bodiless),
                    Asked::Refused(answer) => (answer, false),
                };
            self.reply = Some((answer.encode(bodiless), 0));
        }
        while let Some((reply, sent)) = &mut self.reply
            && *sent < reply.len()
        {
            *sent += self.stream.write(&reply[*sent..])?;
        }
        self.told = true;
        self.stream.shutdown(Direction::Write)?;
        Ok(true)
    }
}

fn answer(resource: Resource, host: &Host, state: &State) -> Answer {
    match resource {
        Resource::Page => Answer::page(),
        Resource::Metrics => Answer::metrics(prometheus::render(
            &host.service().report(host.clock().now()),
        )),
        Resource::Health => Answer::ok("ok"),
        Resource::Readiness if state.stopping.is_triggered() => Answer::unavailable("stopping"),
        Resource::Readiness if !state.ready.load(Relaxed) => Answer::unavailable("loading"),
        Resource::Readiness => Answer::ok("ready"),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
