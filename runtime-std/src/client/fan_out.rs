//! Requests to several servers at once: all are sent before any reply is waited for, and the slowest server, not the
//! sum of them, decides how long it takes.

use ant_cache_core::client::Value;
use ant_cache_host::client::{Replies, Requests};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::time::Instant;

use super::transport::Transport;
use super::{Client, Connection, ErrorKind};

/// Sends each client its requests, and returns the replies, or what went wrong, for each of them. A client whose
/// exchange fails is closed; the others go on.
pub fn fan_out(calls: &mut [(&mut Client, Requests)]) -> Vec<Result<Vec<Value>, ErrorKind>> {
    // One server is waited for with one system call less.
    if let [(client, requests)] = calls {
        return vec![client.run(requests)];
    }
    // Taken out: each is put back only if every reply has come.
    let mut connections: Vec<Option<Connection>> = calls
        .iter_mut()
        .map(|(client, _)| client.connection.take())
        .collect();
    let pairs = connections.iter_mut().zip(calls.iter());
    let mut legs: Vec<Leg<'_>> = pairs
        .map(|(connection, (_, requests))| Leg::new(connection.as_mut(), requests))
        .collect();
    legs.iter_mut().for_each(Leg::send);
    while legs.iter().any(Leg::is_open) {
        wait(&mut legs);
    }
    let results: Vec<_> = legs.into_iter().map(Leg::into_result).collect();
    for (((client, _), connection), result) in calls.iter_mut().zip(connections).zip(&results) {
        client.connection = connection.filter(|_| result.is_ok());
    }
    results
}

/// One server's part.
struct Leg<'c> {
    /// Nothing where there was no connection.
    flight: Option<Flight<'c>>,
    /// How it ended; nothing while it has not.
    end: Option<Result<(), ErrorKind>>,
}

struct Flight<'c> {
    transport: &'c mut Transport,
    /// What is still to be sent.
    rest: &'c [u8],
    replies: Replies<'c>,
    /// When the server last took something.
    progress: Instant,
}

impl<'c> Leg<'c> {
    fn new(connection: Option<&'c mut Connection>, requests: &'c Requests) -> Self {
        let flight = connection.map(|connection| Flight {
            transport: &mut connection.transport,
            rest: requests.bytes(),
            replies: Replies::new(&mut connection.decoder, requests),
            progress: Instant::now(),
        });
        let end = flight.is_none().then_some(Err(ErrorKind::NotConnected));
        Self { flight, end }
    }

    fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// The flight, while it goes on.
    fn open(&mut self) -> Option<&mut Flight<'c>> {
        self.flight.as_mut().filter(|_| self.end.is_none())
    }

    fn send(&mut self) {
        if let Some(Err(kind)) = self.open().map(Flight::send) {
            self.end = Some(Err(kind));
        }
    }

    fn receive(&mut self) {
        match self.open().map(Flight::receive) {
            Some(Ok(true)) => self.end = Some(Ok(())),
            Some(Err(kind)) => self.end = Some(Err(kind)),
            Some(Ok(false)) | None => {}
        }
    }

    fn into_result(self) -> Result<Vec<Value>, ErrorKind> {
        match (self.flight, self.end) {
            (Some(flight), Some(Ok(()))) => Ok(flight.replies.into_values()),
            (_, Some(Err(kind))) => Err(kind),
            (_, _) => Err(ErrorKind::NotConnected),
        }
    }
}

impl Flight<'_> {
    fn send(&mut self) -> Result<(), ErrorKind> {
        if !self.rest.is_empty() && self.transport.push(&mut self.rest)? {
            self.progress = Instant::now();
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<bool, ErrorKind> {
        let replies = &mut self.replies;
        let taken = self.transport.pull(|bytes| replies.take(bytes))?;
        if !self.rest.is_empty() {
            // A server that answers is alive, though it takes nothing.
            self.progress = Instant::now();
        }
        Ok(taken)
    }

    /// The longest wait, and what of it is left.
    fn limit(&self) -> Option<(Duration, Duration)> {
        let limit = if self.rest.is_empty() {
            self.transport.read_timeout()
        } else {
            self.transport.write_timeout()
        };
        limit.map(|limit| (limit, limit.saturating_sub(self.progress.elapsed())))
    }
}

/// Whether a signal that has interrupted the wait is a reason to end it.
fn is_given_up(legs: &[&mut Leg<'_>]) -> bool {
    let flights = legs.iter().filter_map(|leg| leg.flight.as_ref());
    let mut transports = flights.map(|flight| &flight.transport);
    transports.any(|transport| transport.interrupted().is_err())
}

/// Waits until one of the servers takes or sends something, or has let its time pass; and does what is due.
fn wait(legs: &mut [Leg<'_>]) {
    let mut least: Option<Duration> = None;
    for leg in legs.iter_mut() {
        if let Some((limit, left)) = leg.open().and_then(|flight| flight.limit()) {
            if left.is_zero() {
                leg.end = Some(Err(ErrorKind::TimedOut(limit)));
            } else {
                least = Some(least.map_or(left, |least| least.min(left)));
            }
        }
    }
    let mut open: Vec<&mut Leg<'_>> = legs.iter_mut().filter(|leg| leg.is_open()).collect();
    if open.is_empty() {
        return;
    }
    let ready: io::Result<Vec<PollFlags>> = {
        let flights = open.iter().filter_map(|leg| leg.flight.as_ref());
        let mut fds: Vec<PollFd<'_>> = flights
            .map(|flight| {
                let mut flags = PollFlags::IN;
                flags.set(PollFlags::OUT, !flight.rest.is_empty());
                PollFd::new(flight.transport.socket(), flags)
            })
            .collect();
        // A limit beyond what the system can count is none.
        let timeout = least.and_then(|least| Timespec::try_from(least).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(fds.iter().map(PollFd::revents).collect()),
            Err(Errno::INTR) => Err(Errno::INTR.into()),
            Err(error) => Err(error.into()),
        }
    };
    match ready {
        Ok(ready) => {
            for (leg, ready) in open.iter_mut().zip(ready) {
                if ready.contains(PollFlags::OUT) {
                    leg.send();
                }
                if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                    leg.receive();
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted && !is_given_up(&open) => {}
        Err(error) => {
            for leg in open {
                leg.end = Some(Err(ErrorKind::Io(error.kind().into())));
            }
        }
    }
}
