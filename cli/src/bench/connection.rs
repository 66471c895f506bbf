//! One connection of the load: a batch going out, its replies coming in.

use core::time::Duration;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::tally::Tally;
use super::wire::{Pending, Progress, Verdict, Wire};
use super::workload::Op;

/// A batch that is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) at: Instant,
    pub(super) requests: u64,
    /// Of the whole batch, from when it was due.
    pub(super) latency: Duration,
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    out: Vec<u8>,
    sent: usize,
    /// Whether the poller watches for room to send.
    blocked: bool,
    /// The requests of the batch, and how many of them are answered.
    batch: Vec<Pending>,
    answered: usize,
    began: Instant,
    /// The beginning of a reply whose rest has not arrived.
    inbox: Vec<u8>,
    progress: Progress,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            out: Vec::new(),
            sent: 0,
            blocked: false,
            batch: Vec::new(),
            answered: 0,
            began: Instant::now(),
            inbox: Vec::new(),
            progress: Progress::default(),
        }
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Puts a request to the next batch.
    #[inline]
    pub(super) fn queue(&mut self, pending: Pending, wire: &Wire) {
        wire.request(pending, &mut self.out);
        self.batch.push(pending);
    }

    /// Says that the batch is complete, and when it was due: its latencies count from there.
    pub(super) fn begin(&mut self, due: Instant) {
        self.began = due;
    }

    /// Sends what the socket takes. Returns what to watch for, if that has changed.
    pub(super) fn flush(&mut self) -> Result<Option<EventFlags>, String> {
        while self.sent < self.out.len() {
            match send(&self.socket, &self.out[self.sent..], SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.blocked => return Ok(None),
                Err(Errno::AGAIN) => {
                    self.blocked = true;
                    return Ok(Some(EventFlags::IN | EventFlags::OUT));
                }
                // It has closed, perhaps with a reply that says why: let it be read.
                Err(Errno::PIPE | Errno::CONNRESET) => break,
                Err(error) => return Err(format!("connection lost: {error}")),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(core::mem::take(&mut self.blocked).then_some(EventFlags::IN))
    }

    /// Reads once and checks what has come. Tells when the batch is answered completely.
    pub(super) fn receive(
        &mut self,
        scratch: &mut [u8],
        wire: &Wire,
        must_hit: bool,
        tally: &mut Tally,
    ) -> Result<Option<Done>, String> {
        // Most replies come whole and are checked where they were read to.
        let direct = self.inbox.is_empty();
        let got = if direct {
            recv(&self.socket, &mut *scratch, RecvFlags::empty()).map(|(_, got)| got)
        } else {
            self.inbox.reserve(scratch.len());
            recv(
                &self.socket,
                spare_capacity(&mut self.inbox),
                RecvFlags::empty(),
            )
            .map(|(got, _)| got)
        };
        let got = match got {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(got) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(format!("connection lost: {error}")),
        };
        let now = Instant::now();
        if direct {
            let used = self.check(&scratch[..got], now, wire, must_hit, tally)?;
            self.inbox.extend_from_slice(&scratch[used..got]);
        } else {
            let inbox = core::mem::take(&mut self.inbox);
            let used = self.check(&inbox, now, wire, must_hit, tally)?;
            self.inbox = inbox;
            self.inbox.drain(..used);
        }
        if self.answered < self.batch.len() {
            return Ok(None);
        }
        if !self.inbox.is_empty() {
            return Err("the server sent a reply that nobody asked for".into());
        }
        let requests = self.batch.len() as u64;
        self.batch.clear();
        self.answered = 0;
        Ok(Some(Done {
            at: now,
            requests,
            latency: now.saturating_duration_since(self.began),
        }))
    }

    /// Checks all replies in `buf`; returns the length of the complete ones.
    fn check(
        &mut self,
        buf: &[u8],
        now: Instant,
        wire: &Wire,
        must_hit: bool,
        tally: &mut Tally,
    ) -> Result<usize, String> {
        let latency = now.saturating_duration_since(self.began);
        let mut counts = [0; Op::ALL.len()];
        let mut at = 0;
        while let Some(&pending) = self.batch.get(self.answered) {
            let rest = &buf[at..];
            let verdict = wire.check(pending, rest, &mut self.progress);
            let len = match verdict.map_err(|error| format!("{}: {error}", pending.op.name()))? {
                Verdict::Incomplete => break,
                Verdict::Right { len, misses } if misses == 0 || !must_hit => {
                    counts[pending.op as usize] += 1;
                    tally.misses += misses;
                    len
                }
                Verdict::Right { len, misses } => {
                    tally.misses += misses;
                    tally.wrong(pending, &rest[..len]);
                    len
                }
                Verdict::Error { len } | Verdict::Wrong { len } => {
                    tally.wrong(pending, &rest[..len]);
                    wire.fatal(&rest[..len])?;
                    len
                }
            };
            at += len;
            self.answered += 1;
        }
        for op in Op::ALL {
            if counts[op as usize] > 0 {
                tally.right(op, now, latency, counts[op as usize]);
            }
        }
        Ok(at)
    }
}
