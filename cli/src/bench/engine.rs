//! One thread of load: one epoll loop over all its connections, each of which sends a batch, waits for all its
//! replies, and is free for the next.
//!
//! The generator must be lighter than what it measures: two system calls a batch, one clock reading, no allocation.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::connection::Connection;
use super::interrupt::interrupted;
use super::load::{Batch, Load, Phase};
use super::random::Random;
use super::tally::Tally;
use super::target::Target;
use super::wire::{Pending, Wire};

/// What a thread has done so far in its phase, for whoever watches. On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Gauge {
    pub(super) requests: AtomicU64,
    pub(super) errors: AtomicU64,
    /// The sum of all latencies in nanoseconds.
    pub(super) nanos: AtomicU64,
}

impl Gauge {
    /// Only its own thread counts, so that nothing is lost by reading and writing apart.
    fn add(gauge: &AtomicU64, number: u64) {
        gauge.store(gauge.load(Ordering::Relaxed) + number, Ordering::Relaxed);
    }

    fn reset(&self) {
        for gauge in [&self.requests, &self.errors, &self.nanos] {
            gauge.store(0, Ordering::Relaxed);
        }
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
    gauge: Arc<Gauge>,
}

impl Engine {
    /// Room for one read: four pages of replies to a deep pipeline cost one system call.
    const READ: usize = 64 << 10;
    /// The longest wait without a look at whether to stop.
    const NAP: Duration = Duration::from_millis(100);
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
            gauge: Arc::default(),
        })
    }

    pub(super) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// Runs one phase to its end: until every request has its reply, or something fails.
    pub(super) fn run(&mut self, phase: &Phase) -> Tally {
        self.gauge.reset();
        let mut tally = Tally::new(&phase.mix);
        let mut load = Load::new(phase, self.wire.keys(), tally.started);
        let cpu = thread_cpu();
        if let Err(failure) = self.drive(&mut load, &mut tally) {
            self.stop.store(true, Ordering::Relaxed);
            tally.failure = Some(failure);
        }
        tally.unsent = load.unsent();
        tally.ended = Instant::now();
        tally.cpu = thread_cpu().saturating_sub(cpu);
        tally
    }

    fn drive(&mut self, load: &mut Load<'_>, tally: &mut Tally) -> Result<(), String> {
        let mut free: VecDeque<usize> = (0..self.connections.len()).collect();
        let mut heard = tally.started;
        let mut events = Vec::with_capacity(Self::EVENTS);
        loop {
            let was_idle = free.len() == self.connections.len();
            let mut now = Instant::now();
            while let Some(batch) = free.front().and_then(|_| load.next(now)) {
                let late = now.saturating_duration_since(batch.due);
                tally.late.saturating_record(late.as_nanos() as u64);
                if let Some(index) = free.pop_front() {
                    self.start(index, batch, load)?;
                }
                now = Instant::now();
            }
            let is_idle = free.len() == self.connections.len();
            if is_idle && load.is_over(now) {
                return Ok(());
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if interrupted() {
                return Err("interrupted".into());
            }
            if was_idle {
                heard = now;
            }
            let due = load.due().filter(|_| !free.is_empty());
            let nap = now + Self::NAP;
            self.wait(
                &mut events,
                due.map_or(nap, |due| due.min(nap)),
                due.is_some(),
            )?;
            if events.is_empty() {
                // By the time before this wait: whatever came while this thread itself stood still has been waited for.
                if !is_idle && now.saturating_duration_since(heard) >= self.patience {
                    return Err(format!("no reply within {:?}", self.patience));
                }
                continue;
            }
            heard = Instant::now();
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                if let Some(now) = self.serve(index, event.flags, load, tally)? {
                    match load.next(now) {
                        Some(batch) => self.start(index, batch, load)?,
                        None => free.push_back(index),
                    }
                }
            }
        }
    }

    /// Goes on with a connection; returns the time when it became free.
    #[inline]
    fn serve(
        &mut self,
        index: usize,
        flags: EventFlags,
        load: &Load<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Instant>, String> {
        if flags.contains(EventFlags::OUT) {
            self.flush(index)?;
        }
        // Errors and hang-ups show at the next read.
        if !flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
            return Ok(None);
        }
        let connection = &mut self.connections[index];
        let must_hit = load.phase.must_hit;
        let errors = tally.errors;
        let done = connection.receive(&mut self.scratch, &self.wire, must_hit, tally)?;
        if tally.errors > errors {
            Gauge::add(&self.gauge.errors, tally.errors - errors);
        }
        Ok(done.map(|done| {
            Gauge::add(&self.gauge.requests, done.requests);
            let latency = done.latency.as_nanos() as u64;
            Gauge::add(&self.gauge.nanos, latency.saturating_mul(done.requests));
            done.at
        }))
    }

    /// Waits for events until this time. Where the next batch is due by the clock, `precise`, to the microsecond:
    /// epoll alone counts in milliseconds.
    fn wait(
        &self,
        events: &mut Vec<epoll::Event>,
        until: Instant,
        precise: bool,
    ) -> Result<(), String> {
        let left = || until.saturating_duration_since(Instant::now());
        let mut timeout = left().try_into().ok();
        if precise {
            match poll(
                &mut [PollFd::new(&self.epoll, PollFlags::IN)],
                timeout.as_ref(),
            ) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => timeout = Duration::ZERO.try_into().ok(),
                Err(error) => return Err(format!("poll: {error}")),
            }
        }
        match epoll::wait(&self.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(format!("epoll: {error}")),
        }
    }

    /// Sends a batch on a free connection.
    fn start(&mut self, index: usize, batch: Batch, load: &mut Load<'_>) -> Result<(), String> {
        let connection = &mut self.connections[index];
        for _ in 0..batch.requests {
            let op = load.phase.mix.pick(&mut self.random);
            let key = load.picker.pick(&mut self.random);
            connection.queue(Pending { op, key }, &self.wire);
        }
        connection.begin(batch.due);
        self.flush(index)
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

fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}
