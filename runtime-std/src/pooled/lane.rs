//! A lane: a poller, the connections registered with it, and the loop of the worker that leads it.

use std::io;
use std::net::Shutdown as Direction;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ant_cache_core::Millis;
use ant_cache_core::stats::Counters;
use ant_cache_host::Buffers;
use ant_cache_host::lane::{Hold, Lease, Load, Mailbox, Token};

use super::Pool;
use super::places::{Closing, Connection, Places, Taken, Task};
use super::poller::{Events, Poller};
use crate::turn::{Bench, Turned};

/// What others have for a lane's leader.
#[derive(Debug)]
pub(super) enum Mail {
    /// A connection, new or from another lane.
    Adopt(Box<Connection>),
    /// A connection whose turn a deposed leader has finished, and what it wants now.
    Back(Token, Box<Connection>, Option<Turned>),
    /// Count what each connection asks of the lane.
    Count,
    /// Give connections that make up this share of the work to another lane.
    Give {
        /// The other lane's index.
        to: usize,
        /// From 0 to 1.
        share: f64,
    },
    /// The server stops: end this direction of every socket.
    End(Direction),
    /// Drop what is left; the lane needs no leader any more.
    Exit,
}

/// What a worker brings to the lane it leads.
pub(super) struct Leader<'a> {
    pub(super) pool: &'a Pool,
    pub(super) stats: &'a Counters,
    /// The system's number of the thread.
    pub(super) thread: u32,
}

/// Why a worker leads its lane no longer.
enum Over {
    /// Somebody else does.
    Deposed,
    /// Nobody need.
    Exit,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) lease: Lease,
    poller: Poller,
    mail: Mailbox<Mail>,
    places: Mutex<Places>,
    pub(super) load: LaneLoad,
}

/// What a lane's leader writes down for others.
#[derive(Debug, Default)]
pub(super) struct LaneLoad {
    /// The thread that leads.
    pub(super) leader: AtomicU32,
    /// Turns begun.
    pub(super) turns: AtomicU64,
    /// Nanoseconds spent working.
    pub(super) worked: AtomicU64,
    /// Ready connections that are not yet served.
    pub(super) queue: AtomicUsize,
    /// Connections, those that are on their way to it included.
    pub(super) connections: AtomicUsize,
    /// The busy part of the last window, in thousandths; written by the monitor.
    pub(super) busy: AtomicU32,
}

impl LaneLoad {
    pub(super) fn read(&self) -> Load {
        Load {
            busy: f64::from(self.busy.load(Relaxed)) / 1000.0,
            connections: self.connections.load(Relaxed),
        }
    }
}

impl Lane {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            lease: Lease::new(),
            poller: Poller::new()?,
            mail: Mailbox::new(),
            places: Mutex::default(),
            load: LaneLoad::default(),
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts mail into the lane's box, and wakes its leader where it waits.
    pub(super) fn post(&self, mail: impl IntoIterator<Item = Mail>) {
        if self.mail.post(mail, &self.lease)
            && let Err(error) = self.poller.notify()
        {
            tracing::error!(%error, "a lane cannot be notified");
        }
    }

    /// Leads the lane until deposed, or until the pool ends.
    pub(super) fn lead(&self, leader: &Leader<'_>, hold: Hold) {
        self.load.leader.store(leader.thread, Relaxed);
        let mut term = Term {
            lane: self,
            leader,
            hold,
            events: Events::new(),
            mail: Vec::new(),
            buffers: std::mem::take(&mut self.places().buffers),
        };
        let over = loop {
            if let Err(over) = term.cycle() {
                break over;
            }
        };
        if matches!(over, Over::Exit) {
            self.lease.vacate(term.hold);
        }
    }
}

/// One worker's time as the leader of a lane.
struct Term<'a> {
    lane: &'a Lane,
    leader: &'a Leader<'a>,
    hold: Hold,
    events: Events,
    mail: Vec<Mail>,
    buffers: Buffers,
}

impl Term<'_> {
    /// One wait, and the turns of those who are ready. The lane is Polling before and after.
    fn cycle(&mut self) -> Result<(), Over> {
        let (lane, pool) = (self.lane, self.leader.pool);
        let clock = pool.host.clock();
        let patience = lane.places().patience(|| clock.now());
        // The mail is looked at after the lease became Polling: what comes later notifies.
        let patience = if lane.mail.is_empty() {
            patience
        } else {
            Some(Duration::ZERO)
        };
        if let Err(error) = lane.poller.wait(&mut self.events, patience) {
            // It cannot fail for any reason that a program could cause or mend.
            tracing::error!(%error, "a lane cannot wait for events");
            std::thread::sleep(Duration::from_millis(100));
        }
        let woke = Instant::now();
        // While the lane is Polling nobody else leads it, so what was reported cannot be lost.
        lane.places().report(&self.events);
        lane.lease.work(&self.hold);
        pool.monitor.nudge();
        let worked = self.work(clock.at(woke));
        pool.housekeeper.nudge();
        let spent = u64::try_from(woke.elapsed().as_nanos()).unwrap_or(u64::MAX);
        lane.load.worked.fetch_add(spent, Relaxed);
        worked?;
        if lane.lease.rest(&self.hold) {
            Ok(())
        } else {
            Err(Over::Deposed)
        }
    }

    /// Gives everyone who is due a turn, then reads the mail.
    fn work(&mut self, now: Millis) -> Result<(), Over> {
        let mut task = self.held()?.task(now);
        loop {
            task = match task {
                Task::Turn(taken) => self.turn(taken, now)?,
                Task::Close(closing) => {
                    self.closed(closing);
                    self.held()?.task(now)
                }
                Task::Poll => break,
            };
        }
        if self.lane.mail.is_empty() {
            Ok(())
        } else {
            self.read_mail()
        }
    }

    /// The places, if this worker still leads. A new leader takes the lock after it was appointed and before it waits,
    /// so it sees whatever is changed under the lock by one who found under the lock that it leads.
    fn held(&self) -> Result<MutexGuard<'_, Places>, Over> {
        let places = self.lane.places();
        if self.lane.lease.holds(&self.hold) {
            Ok(places)
        } else {
            Err(Over::Deposed)
        }
    }

    /// One connection's turn, without any lock. Returns what comes next.
    fn turn(&mut self, taken: Taken, now: Millis) -> Result<Task, Over> {
        let Taken {
            token,
            mut connection,
            readable,
        } = taken;
        let (lane, pool) = (self.lane, self.leader.pool);
        lane.load.turns.fetch_add(1, Relaxed);
        let mut bench = Bench {
            host: &pool.host,
            stats: self.leader.stats,
            buffers: &mut self.buffers,
        };
        let clock = || pool.host.clock().now();
        let turned = bench.turn(&mut connection.link, &connection.stream, readable, clock);
        let (closing, task) = match self.held() {
            Ok(mut places) => {
                lane.load.queue.store(places.waiting(), Relaxed);
                let closing = places.put(token, connection, turned);
                (closing, places.task(now))
            }
            Err(over) => {
                lane.post([Mail::Back(token, connection, turned)]);
                return Err(over);
            }
        };
        if let Some(closing) = closing {
            self.closed(closing);
        }
        Ok(task)
    }

    fn closed(&self, closing: Closing) {
        drop(closing);
        self.lane.load.connections.fetch_sub(1, Relaxed);
        self.leader.pool.left();
    }

    /// Takes the mail and does what it says, all under the lock: a leader that is deposed in between has then either
    /// not taken it or dealt with it.
    fn read_mail(&mut self) -> Result<(), Over> {
        let mut mail = std::mem::take(&mut self.mail);
        let mut closing = Vec::new();
        let mut given = Vec::new();
        let mut exit = false;
        {
            let mut places = self.held()?;
            self.lane.mail.take(&mut mail);
            for letter in mail.drain(..) {
                match letter {
                    Mail::Adopt(connection) => {
                        closing.extend(places.adopt(connection, &self.lane.poller));
                    }
                    Mail::Back(token, connection, turned) => {
                        closing.extend(places.put(token, connection, turned));
                    }
                    Mail::Count => places.count(),
                    Mail::Give { to, share } => {
                        given.push((to, places.give(share, &self.lane.poller)))
                    }
                    Mail::End(direction) => places.end(direction),
                    Mail::Exit => {
                        places.clear();
                        exit = true;
                    }
                }
            }
        }
        self.mail = mail;
        for closing in closing {
            self.closed(closing);
        }
        for (to, connections) in given {
            self.leader.pool.transfer(self.lane, to, connections);
        }
        if exit { Err(Over::Exit) } else { Ok(()) }
    }
}
