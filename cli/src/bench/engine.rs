//! One thread of load: one epoll loop over all its connections, each of which sends a batch, waits for all its
//! replies, and sends the next.
//!
//! The generator must be lighter than what it measures: two system calls a batch, one clock reading, no allocation.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::connection::Connection;
use super::random::Random;
use super::target::Target;
use super::wire::{Pending, Wire};
use super::workload::{Distribution, Mix, Op, Picker};

/// A stretch of load with nothing outstanding before and after it.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub(super) mix: Mix,
    pub(super) distribution: Distribution,
    /// The first key of a sequence.
    pub(super) first: u64,
    /// Requests in a batch.
    pub(super) pipeline: u64,
    pub(super) limit: Limit,
    /// Whether a missing key is a wrong reply.
    pub(super) must_hit: bool,
}

/// When a phase sends no more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Ops(u64),
    Time(Duration),
}

/// What a phase gave.
#[derive(Debug)]
pub(super) struct Tally {
    /// Latencies of right replies in nanoseconds, by the discriminant of the operation.
    pub(super) latencies: Vec<Option<Histogram<u64>>>,
    /// Keys that were not there.
    pub(super) misses: u64,
    /// Replies that were errors, or not the right ones.
    pub(super) errors: u64,
    /// The first of these, with its request.
    pub(super) example: Option<String>,
    /// Why the phase ended before its limit.
    pub(super) failure: Option<String>,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    /// Processor time of the generator itself.
    pub(super) cpu: Duration,
}

impl Tally {
    fn new(mix: &Mix) -> Self {
        let mut latencies = Vec::new();
        latencies.resize_with(Op::ALL.len(), || None);
        for op in mix.ops() {
            // Up to a minute; three digits are all that a table shows.
            latencies[op as usize] = Histogram::new_with_bounds(1, 60_000_000_000, 3).ok();
        }
        let now = Instant::now();
        Self {
            latencies,
            misses: 0,
            errors: 0,
            example: None,
            failure: None,
            started: now,
            ended: now,
            cpu: Duration::ZERO,
        }
    }

    /// The tally of a phase that did not take place.
    pub(super) fn failed(reason: &str) -> Self {
        let mut tally = Self::new(&Mix::only(Op::Ping));
        tally.failure = Some(reason.to_owned());
        tally
    }

    /// Counts so many replies that came together.
    pub(super) fn right(&mut self, op: Op, latency: Duration, count: u64) {
        if let Some(histogram) = &mut self.latencies[op as usize] {
            histogram.saturating_record_n(latency.as_nanos() as u64, count);
        }
    }

    /// Counts a reply that should not have come.
    pub(super) fn wrong(&mut self, pending: Pending, reply: &[u8]) {
        self.errors += 1;
        self.example.get_or_insert_with(|| {
            let shown = reply.trim_ascii_end();
            let cut = if shown.len() > 100 { "…" } else { "" };
            let shown = shown[..shown.len().min(100)].escape_ascii();
            let key = match pending.op {
                Op::Auth | Op::Ping => String::new(),
                _ => format!(" of key {}", pending.key),
            };
            format!("{}{key} was answered by {shown}{cut}", pending.op.name())
        });
    }

    /// Puts another thread's tally of the same phase to this one.
    pub(super) fn add(&mut self, other: Self) {
        for (mine, other) in self.latencies.iter_mut().zip(other.latencies) {
            if let (Some(mine), Some(other)) = (mine, other) {
                // Both have the same bounds, so this cannot fail.
                let _ = mine.add(other);
            }
        }
        self.misses += other.misses;
        self.errors += other.errors;
        self.example = self.example.take().or(other.example);
        self.failure = self.failure.take().or(other.failure);
        self.started = self.started.min(other.started);
        self.ended = self.ended.max(other.ended);
        self.cpu += other.cpu;
    }
}

/// The connections of one thread.
#[derive(Debug)]
pub(super) struct Engine {
    wire: Arc<Wire>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    random: Random,
    /// One buffer for all reads: replies that come whole are never copied.
    scratch: Vec<u8>,
    /// Nothing arrived for so long: the server is stuck.
    patience: Duration,
    /// Set by the first thread that fails, so that the others end, too.
    stop: Arc<AtomicBool>,
}

impl Engine {
    /// Room for one read: four pages of replies to a deep pipeline cost one system call.
    const READ: usize = 64 << 10;
    /// Events of one wait.
    const EVENTS: usize = 256;

    pub(super) fn connect(
        target: &Target,
        connections: usize,
        wire: Arc<Wire>,
        seed: u64,
        patience: Duration,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(connections);
        for index in 0..connections {
            let connection = Connection::new(target.connect(patience)?);
            epoll::add(
                &epoll,
                connection.socket(),
                EventData::new_u64(index as u64),
                EventFlags::IN,
            )?;
            all.push(connection);
        }
        let random = Random::new(seed);
        Ok(Self {
            wire,
            epoll,
            connections: all,
            random,
            scratch: vec![0; Self::READ],
            patience,
            stop,
        })
    }

    /// Runs one phase to its end: until every request has its reply, or something fails.
    pub(super) fn run(&mut self, phase: &Phase) -> Tally {
        let picker = Picker::new(phase.distribution, self.wire.keys(), phase.first);
        let mut tally = Tally::new(&phase.mix);
        let mut load = Load {
            phase,
            picker,
            issued: 0,
            deadline: None,
        };
        if let Limit::Time(duration) = phase.limit {
            load.deadline = Some(tally.started + duration);
        }
        let cpu = thread_cpu();
        if let Err(failure) = self.drive(&mut load, &mut tally) {
            self.stop.store(true, Ordering::Relaxed);
            tally.failure = Some(failure);
        }
        tally.ended = Instant::now();
        tally.cpu = thread_cpu().saturating_sub(cpu);
        tally
    }

    fn drive(&mut self, load: &mut Load<'_>, tally: &mut Tally) -> Result<(), String> {
        let mut busy = 0;
        for index in 0..self.connections.len() {
            busy += u64::from(self.next_batch(index, Instant::now(), load)?);
        }
        let mut events = Vec::with_capacity(Self::EVENTS);
        while busy > 0 {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.wait(&mut events)?;
            for event in events.drain(..) {
                let (index, flags) = (event.data.u64() as usize, event.flags);
                if flags.contains(EventFlags::OUT) {
                    self.flush(index)?;
                }
                // Errors and hang-ups show at the next read.
                if flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
                    let connection = &mut self.connections[index];
                    let must_hit = load.phase.must_hit;
                    if let Some(now) =
                        connection.receive(&mut self.scratch, &self.wire, must_hit, tally)?
                    {
                        busy -= u64::from(!self.next_batch(index, now, load)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for events; nothing at all for as long as the user's patience is a failure.
    fn wait(&self, events: &mut Vec<epoll::Event>) -> Result<(), String> {
        let patience = self.patience.try_into().ok();
        loop {
            match epoll::wait(&self.epoll, spare_capacity(events), patience.as_ref()) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(format!("epoll: {error}")),
                Ok(0) => return Err(format!("no reply within {:?}", self.patience)),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Sends a connection's next batch; false where the phase sends no more.
    fn next_batch(
        &mut self,
        index: usize,
        now: Instant,
        load: &mut Load<'_>,
    ) -> Result<bool, String> {
        let count = load.take(now);
        if count == 0 {
            return Ok(false);
        }
        let connection = &mut self.connections[index];
        for _ in 0..count {
            let op = load.phase.mix.pick(&mut self.random);
            let key = load.picker.pick(&mut self.random);
            connection.queue(Pending { op, key }, &self.wire);
        }
        connection.begin(now);
        self.flush(index)?;
        Ok(true)
    }

    /// Sends what the socket takes, and asks to be told when it takes more.
    fn flush(&mut self, index: usize) -> Result<(), String> {
        if let Some(interest) = self.connections[index].flush()? {
            let socket = self.connections[index].socket();
            epoll::modify(
                &self.epoll,
                socket,
                EventData::new_u64(index as u64),
                interest,
            )
            .map_err(|error| format!("epoll: {error}"))?;
        }
        Ok(())
    }
}

/// A phase under way.
struct Load<'a> {
    phase: &'a Phase,
    picker: Picker,
    issued: u64,
    deadline: Option<Instant>,
}

impl Load<'_> {
    /// How many requests the next batch may have.
    fn take(&mut self, now: Instant) -> u64 {
        let left = match self.phase.limit {
            Limit::Ops(ops) => ops - self.issued,
            Limit::Time(_) if self.deadline.is_some_and(|deadline| now >= deadline) => 0,
            Limit::Time(_) => u64::MAX,
        };
        let count = self.phase.pipeline.min(left);
        self.issued += count;
        count
    }
}

fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}
