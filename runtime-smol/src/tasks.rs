//! The connections of one lane: what is known of each while its task sleeps, and who runs the tasks.

use std::fmt;
use std::net::Shutdown as Direction;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use ant_cache_core::Millis;
use ant_cache_core::stats::Counters;
use ant_cache_host::lane::{Due, Interest, Slots, Timers, Token, select};
use ant_cache_host::poller::{Events, Poller};
use ant_cache_host::pool::{Connection, Over, Places, Pool, Term};
use ant_cache_host::{Buffers, Host, Stream, Turned};
use async_executor::Executor;

use crate::Serving;

/// What is known of a connection besides its task.
#[derive(Debug)]
struct Entry {
    /// So that a connection in its turn can be ended.
    stream: Arc<Stream>,
    interest: Interest,
    due: Due,
    phase: Phase,
    /// `None` before its task was polled for the first time.
    waker: Option<Waker>,
    /// The lane it is to go to.
    moves: Option<usize>,
    /// Turns since the lane began to count.
    turns: u32,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It sleeps until something happens.
    Asleep,
    /// It was woken, or is new: its turn comes.
    Awake,
    /// It is in its turn, and will look what happened meanwhile.
    Turn,
}

impl Entry {
    fn is_due(&self) -> bool {
        self.interest.is_due() || self.moves.is_some()
    }
}

/// What a turn needs besides the connection. There are as many as there were turns at once.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) stats: Arc<Counters>,
    pub(crate) buffers: Buffers,
}

/// What a task that is polled is to do.
#[derive(Debug)]
pub(crate) enum Start {
    /// To sleep on: nothing has happened.
    Nothing,
    /// A turn.
    Turn { readable: bool, kit: Kit },
    /// To go to this lane.
    Move(usize),
    /// To close: the connection is over, and it wants nothing that would find out.
    Close,
}

/// What follows from a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct After {
    /// The task is due again, and is to be woken.
    pub(crate) again: bool,
    /// Whoever waits at the poller must look at the deadlines anew.
    pub(crate) ring: bool,
}

/// Who runs the tasks.
#[derive(Clone)]
enum Runner {
    /// The lane's own executor, run by the lane's leader.
    Leader(Arc<Executor<'static>>),
    /// Somebody else, on any thread, who gets them through this.
    Others(Arc<dyn Fn(Serving) + Send + Sync>),
}

/// All connections of a lane.
pub(crate) struct Tasks {
    entries: Slots<Entry>,
    /// How many are [`Phase::Awake`].
    awake: usize,
    timers: Timers,
    /// Those that nobody works with.
    kits: Vec<Kit>,
    /// Tasks that the runner does not have yet.
    born: Vec<Serving>,
    runner: Runner,
    /// How far the sockets are ended: the server stops.
    ending: Option<Direction>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("entries", &self.entries.len())
            .field("awake", &self.awake)
            .finish_non_exhaustive()
    }
}

impl Tasks {
    /// For a lane with an executor of its own.
    pub(crate) fn new() -> Self {
        Self::run_by(Runner::Leader(Arc::default()))
    }

    /// For a lane whose tasks `spawn` gives to another executor.
    pub(crate) fn spawned(spawn: impl Fn(Serving) + Send + Sync + 'static) -> Self {
        Self::run_by(Runner::Others(Arc::new(spawn)))
    }

    fn run_by(runner: Runner) -> Self {
        Self {
            entries: Slots::new(),
            awake: 0,
            timers: Timers::new(),
            kits: Vec::new(),
            born: Vec::new(),
            runner,
            ending: None,
        }
    }

    /// Connections that are due for a turn.
    pub(crate) const fn waiting(&self) -> usize {
        self.awake
    }

    /// Whether the server stops.
    pub(crate) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Wakes the task of `token` unless it is awake or in its turn.
    fn rouse(&mut self, token: Token) {
        if let Some(entry) = self.entries.get_mut(token)
            && entry.phase == Phase::Asleep
        {
            entry.phase = Phase::Awake;
            self.awake += 1;
            if let Some(waker) = &entry.waker {
                // It only queues the task: no code of its own runs here.
                waker.wake_by_ref();
            }
        }
    }

    /// Wakes those whose deadline has come.
    fn wake_due(&mut self, now: Millis) {
        while let Some(popped) = self.timers.pop(now) {
            let Some(entry) = self.entries.get_mut(popped.1) else {
                continue;
            };
            // One in its turn gets a new deadline at the end of it.
            if self.timers.is_due(now, popped, &mut entry.due) {
                self.rouse(popped.1);
            }
        }
    }

    /// What the task of `token`, which is polled, is to do.
    pub(crate) fn begin(&mut self, token: Token, waker: &Waker, host: &Host) -> Start {
        let Some(entry) = self.entries.get_mut(token) else {
            return Start::Close;
        };
        if entry.phase != Phase::Awake {
            // An executor may poll whenever it likes.
            keep(&mut entry.waker, waker);
            return Start::Nothing;
        }
        entry.phase = Phase::Turn;
        self.awake -= 1;
        if entry.interest.is_gone() {
            return Start::Close;
        }
        if let Some(to) = entry.moves {
            return Start::Move(to);
        }
        entry.turns = entry.turns.saturating_add(1);
        let readable = entry.interest.begin();
        let kit = self.kits.pop().unwrap_or_else(|| Kit {
            stats: host.service().counters(),
            buffers: Buffers::new(),
        });
        Start::Turn { readable, kit }
    }

    /// Takes back what the turn of a connection that closes was worked with.
    pub(crate) fn put_away(&mut self, kit: Kit) {
        self.kits.push(kit);
    }

    /// Notes what the task of `token` wants after its turn.
    pub(crate) fn finish(
        &mut self,
        token: Token,
        turned: Turned,
        kit: Kit,
        waker: &Waker,
    ) -> After {
        self.put_away(kit);
        let Some(entry) = self.entries.get_mut(token) else {
            // The lane was given up meanwhile: the next poll closes it.
            return After {
                again: true,
                ring: false,
            };
        };
        entry.interest.want(turned);
        keep(&mut entry.waker, waker);
        let before = self.timers.next();
        self.timers.set(token, &mut entry.due, turned.next.deadline);
        let sooner = match (before, self.timers.next()) {
            (Some(before), Some(after)) => after < before,
            (before, after) => before.is_none() && after.is_some(),
        };
        let again = entry.is_due();
        entry.phase = if again { Phase::Awake } else { Phase::Asleep };
        self.awake += usize::from(again);
        After {
            again,
            // A leader that runs the tasks looks at the deadlines before it waits.
            ring: sooner && matches!(self.runner, Runner::Others(_)),
        }
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, token: Token) -> Option<Arc<Stream>> {
        let entry = self.entries.remove(token)?;
        self.awake -= usize::from(entry.phase == Phase::Awake);
        Some(entry.stream)
    }
}

/// Keeps the waker of a task, which is the same for all its life on most executors.
fn keep(kept: &mut Option<Waker>, waker: &Waker) {
    if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *kept = Some(waker.clone());
    }
}

impl Places for Tasks {
    type Letter = std::convert::Infallible;

    fn patience(&self, now: impl FnOnce() -> Millis) -> Option<Duration> {
        let queued = matches!(self.runner, Runner::Leader(_)) && self.awake > 0;
        if queued || !self.born.is_empty() {
            return Some(Duration::ZERO);
        }
        self.timers
            .next()
            .map(|due| Duration::from_millis(due.since(now())))
    }

    fn report(&mut self, events: &Events) {
        for &event in events {
            let token = Token::from_bits(event.key);
            if let Some(entry) = self.entries.get_mut(token) {
                entry.interest.note(event);
                if entry.is_due() {
                    self.rouse(token);
                }
            }
        }
    }

    fn work(term: &mut Term<'_, Self>, now: Millis) -> Result<(), Over> {
        let (runner, born, awake) = {
            let mut tasks = term.held()?;
            tasks.wake_due(now);
            term.lane.note_queue(tasks.awake);
            let born = std::mem::take(&mut tasks.born);
            (tasks.runner.clone(), born, tasks.awake)
        };
        let executor = match runner {
            Runner::Leader(executor) => executor,
            Runner::Others(spawn) => {
                born.into_iter().for_each(|serving| spawn(serving));
                return Ok(());
            }
        };
        for serving in born {
            executor.spawn(serving).detach();
        }
        // A turn for each, then the poller is asked again: who is due once more waits for those who are new.
        for _ in 0..awake {
            if !executor.try_tick() {
                break;
            }
            if !term.leads() {
                // The new leader may wait already, and must see what the last task wants.
                term.lane.post([]);
                return Err(Over::Deposed);
            }
        }
        Ok(())
    }

    fn adopt(
        &mut self,
        connection: Box<Connection>,
        pool: &Arc<Pool<Self>>,
        lane: usize,
    ) -> Option<Box<Connection>> {
        if let Some(direction) = self.ending {
            let _ = connection.stream.shutdown(direction);
        }
        let stream = Arc::clone(&connection.stream);
        let token = self.entries.insert(Entry {
            stream: Arc::clone(&stream),
            interest: Interest::new(),
            due: Due::default(),
            phase: Phase::Awake,
            waker: None,
            moves: None,
            turns: 0,
        });
        connection.settle(lane, token);
        if let Err(error) = pool.lane(lane).poller().add(&stream, token.to_bits()) {
            tracing::warn!(%error, "a connection cannot be watched and is closed");
            self.entries.remove(token);
            return Some(connection);
        }
        self.awake += 1;
        self.born
            .push(Serving::new(Arc::clone(pool), lane, token, connection));
        None
    }

    fn wake(&mut self, token: Token) {
        if let Some(entry) = self.entries.get_mut(token) {
            entry.interest.wake();
            self.rouse(token);
        }
    }

    fn count(&mut self) {
        for (_, entry) in self.entries.iter_mut() {
            entry.turns = 0;
        }
    }

    /// The connections are with their tasks, so each moves when its task is polled next.
    fn give(&mut self, to: usize, share: f64, _: &Poller) -> Vec<Box<Connection>> {
        let asked = self
            .entries
            .iter_mut()
            .map(|(token, entry)| (token, entry.turns));
        for token in select(asked, share) {
            if let Some(entry) = self.entries.get_mut(token) {
                entry.moves = Some(to);
                self.rouse(token);
            }
        }
        Vec::new()
    }

    fn end(&mut self, direction: Direction) {
        self.ending = Some(direction);
        let mut due = Vec::new();
        for (token, entry) in self.entries.iter_mut() {
            // Where the peer is gone already, a turn will learn of it.
            let _ = entry.stream.shutdown(direction);
            entry.interest.note_end(direction == Direction::Both);
            if entry.is_due() {
                due.push(token);
            }
        }
        due.into_iter().for_each(|token| self.rouse(token));
    }

    fn open(&mut self, letter: Self::Letter) -> Option<Box<Connection>> {
        match letter {}
    }

    fn clear(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }
}
