//! The connections of one lane between the turns of their tasks, and who runs the tasks.

use std::collections::VecDeque;
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
use ant_cache_host::{Begin, Buffers, Host, Stream, Turned, Workbench};
use async_executor::Executor;

use crate::Serving;

/// A connection, and what is known of its task.
#[derive(Debug)]
struct Entry {
    /// `None` while it is opened, or in its turn.
    connection: Option<Box<Connection>>,
    /// So that a connection in its turn can be ended.
    stream: Arc<Stream>,
    interest: Interest,
    /// What its turn begins with, where the leader has looked already.
    begin: Option<Begin>,
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
    /// As before, and the leader is opening the connection.
    Opening {
        /// Whether the task was polled meanwhile, and is to be woken again.
        polled: bool,
    },
    /// It is in its turn, and will look what happened meanwhile.
    Turn,
}

/// A connection that the leader opens.
#[derive(Debug)]
struct Opening {
    token: Token,
    connection: Box<Connection>,
    begin: Begin,
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
    Turn {
        connection: Box<Connection>,
        begin: Begin,
        kit: Kit,
    },
    /// To go to this lane.
    Move(Box<Connection>, usize),
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
    /// Those that became so, in about the order in which the leader's executor has their tasks.
    queue: VecDeque<Token>,
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
            queue: VecDeque::new(),
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
            if let Some(waker) = &entry.waker {
                // It only queues the task: no code of its own runs here.
                waker.wake_by_ref();
            }
            self.note_awake(token);
        }
    }

    fn note_awake(&mut self, token: Token) {
        self.awake += 1;
        if matches!(self.runner, Runner::Leader(_)) {
            self.queue.push_back(token);
        }
    }

    /// Takes up to `most` connections that are due to be opened together.
    fn begin_opening(&mut self, most: usize) -> Vec<Opening> {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(token) = self.queue.pop_front()
        {
            let Some(entry) = self.entries.get_mut(token) else {
                continue;
            };
            if entry.phase != Phase::Awake || entry.begin.is_some() || entry.moves.is_some() {
                continue;
            }
            let Some(connection) = entry.connection.take() else {
                continue;
            };
            entry.phase = Phase::Opening { polled: false };
            self.awake -= 1;
            batch.push(Opening {
                token,
                connection,
                begin: Begin::of(&mut entry.interest),
            });
        }
        batch
    }

    /// Takes back what was opened; their tasks are awake again. Connections whose tasks have ended meanwhile are returned.
    fn end_opening(&mut self, batch: Vec<Opening>) -> Vec<Opening> {
        let mut ended = Vec::new();
        for opening in batch {
            let Some(entry) = self.entries.get_mut(opening.token) else {
                ended.push(opening);
                continue;
            };
            if let (Phase::Opening { polled: true }, Some(waker)) = (entry.phase, &entry.waker) {
                waker.wake_by_ref();
            }
            entry.phase = Phase::Awake;
            entry.connection = Some(opening.connection);
            entry.begin = Some(opening.begin);
            self.awake += 1;
        }
        ended
    }

    fn kit(&mut self, host: &Host) -> Kit {
        self.kits.pop().unwrap_or_else(|| Kit {
            stats: host.service().counters(),
            buffers: Buffers::new(),
        })
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
            if let Phase::Opening { polled } = &mut entry.phase {
                *polled = true;
            }
            return Start::Nothing;
        }
        entry.phase = Phase::Turn;
        self.awake -= 1;
        let Some(connection) = entry.connection.take() else {
            return Start::Close;
        };
        if let Some(to) = entry.moves {
            return Start::Move(connection, to);
        }
        entry.turns = entry.turns.saturating_add(1);
        let begin = entry.begin.take();
        let begin = begin.unwrap_or_else(|| Begin::of(&mut entry.interest));
        Start::Turn {
            connection,
            begin,
            kit: self.kit(host),
        }
    }

    /// Takes back what the turn of a connection that closes was worked with.
    pub(crate) fn put_away(&mut self, kit: Kit) {
        self.kits.push(kit);
    }

    /// Takes a connection back after its turn, and notes what it wants.
    ///
    /// # Errors
    /// The lane was given up meanwhile: the connection is given back, to be closed.
    pub(crate) fn finish(
        &mut self,
        token: Token,
        connection: Box<Connection>,
        turned: Turned,
        waker: &Waker,
    ) -> Result<After, Box<Connection>> {
        let Some(entry) = self.entries.get_mut(token) else {
            return Err(connection);
        };
        entry.connection = Some(connection);
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
        if again {
            self.note_awake(token);
        }
        Ok(After {
            again,
            // A leader that runs the tasks looks at the deadlines before it waits.
            ring: sooner && matches!(self.runner, Runner::Others(_)),
        })
    }

    /// Forgets a connection, and returns it where it is here. `None` where it is not known.
    pub(crate) fn remove(&mut self, token: Token) -> Option<Option<Box<Connection>>> {
        let entry = self.entries.remove(token)?;
        self.awake -= usize::from(entry.phase == Phase::Awake);
        Some(entry.connection)
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
        let mut left = awake;
        while left > 0 {
            let turns = open(term, left)?;
            for _ in 0..turns {
                if !executor.try_tick() {
                    return Ok(());
                }
                if !term.leads() {
                    // The new leader may wait already, and must see what the last task wants.
                    term.lane.post([]);
                    return Err(Over::Deposed);
                }
            }
            left -= turns;
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
            connection: None,
            begin: None,
            stream,
            interest: Interest::new(),
            due: Due::default(),
            phase: Phase::Awake,
            waker: None,
            moves: None,
            turns: 0,
        });
        connection.settle(lane, token);
        let added = pool
            .lane(lane)
            .poller()
            .add(&connection.stream, token.to_bits());
        if let Err(error) = added {
            tracing::warn!(%error, "a connection cannot be watched and is closed");
            self.entries.remove(token);
            return Some(connection);
        }
        if let Some(entry) = self.entries.get_mut(token) {
            entry.connection = Some(connection);
        }
        self.note_awake(token);
        self.born.push(Serving::new(Arc::clone(pool), lane, token));
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

/// Most connections that are opened together. Each has an input buffer of its own meanwhile.
const OPENED: usize = 16;

/// Has those who have their turns next receive: while one does, the memory that the requests of the others need is on its
/// way. Returns how many turns come before the next time, `left` at most.
fn open(term: &mut Term<'_, Tasks>, left: usize) -> Result<usize, Over> {
    let (lane, host) = (term.lane, term.pool.host());
    let (mut batch, mut kit) = {
        let mut tasks = term.held()?;
        let most = if left > 1 { left.min(OPENED) } else { 0 };
        let batch = tasks.begin_opening(most);
        if batch.len() < 2 {
            tasks.end_opening(batch);
            return Ok(1);
        }
        (batch, tasks.kit(host))
    };
    lane.begin_turn();
    let mut bench = Workbench {
        host,
        stats: &kit.stats,
        buffers: &mut kit.buffers,
    };
    for opening in &mut batch {
        let Connection { link, stream, .. } = &mut *opening.connection;
        if !bench.open(link, stream, &mut opening.begin) {
            break;
        }
    }
    for opening in &batch {
        opening.connection.link.prefetch();
    }
    let turns = batch.len();
    let ended = {
        let mut tasks = lane.places();
        tasks.put_away(kit);
        tasks.end_opening(batch)
    };
    drop(ended);
    if !term.leads() {
        // The new leader may wait already, and must see who is awake.
        lane.post([]);
        return Err(Over::Deposed);
    }
    Ok(turns)
}
