//! A lane: a poller, the connections registered with it, and the loop of the worker that leads it.

use std::net::Shutdown as Direction;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};
use std::{fmt, io};

use ant_cache_core::Millis;
use ant_cache_core::stats::Counters;

use super::lone::Lone;
use super::{Bell, Pool};
use crate::lane::{Hold, Lease, Load, Mailbox, Sight, Token};
use crate::poller::{Events, Poller};
use crate::{BusyPoll, Link, Stream};

/// A connection that moves between its place, a turn, and other lanes. Dropping it closes it, which is best done
/// without a lane's lock.
#[derive(Debug)]
pub struct Connection {
    /// Session and buffers.
    pub link: Link,
    /// The socket.
    pub stream: Arc<Stream>,
    bell: Arc<Bell>,
}

impl Connection {
    /// One of a pool that no lane has taken in yet.
    #[must_use]
    pub fn new<P: Places>(mut link: Link, stream: Stream, pool: Weak<Pool<P>>) -> Self {
        let bell = Arc::new(Bell::new(pool));
        link.set_waker(Waker::from(Arc::clone(&bell)));
        Self {
            link,
            stream: Arc::new(stream),
            bell,
        }
    }

    /// A lane has taken it in, and knows it by `token`: wakes go there. It owes the connection a turn now.
    pub fn settle(&self, lane: usize, token: Token) {
        self.bell.settle(lane, token);
    }
}

/// The connections of one lane between their turns, and how they get them. What is in it changes under the lane's lock
/// only.
pub trait Places: fmt::Debug + Send + Sized + 'static {
    /// Mail of this runtime alone.
    type Letter: fmt::Debug + Send;

    /// How long the poller may wait: not at all where somebody is due, else until the earliest deadline; `None` for
    /// ever.
    fn patience(&self, now: impl FnOnce() -> Millis) -> Option<Duration>;

    /// Takes in what the poller has told. Nothing of it is told again.
    fn report(&mut self, events: &Events);

    /// Gives those who are due their turns, a bounded number. Called without the lock.
    ///
    /// # Errors
    /// [`Over::Deposed`] where the lane has another leader now. What this leader knew and nobody else does must be in
    /// the mailbox then.
    fn work(term: &mut Term<'_, Self>, now: Millis) -> Result<(), Over>;

    /// Takes a connection in, new or from another lane: [settles](Connection::settle) it, and gives it a turn next.
    /// One that cannot be watched is given back, to be closed.
    fn adopt(
        &mut self,
        connection: Box<Connection>,
        pool: &Arc<Pool<Self>>,
        lane: usize,
    ) -> Option<Box<Connection>>;

    /// Notes that the connection of `token` was woken from outside: it gets a turn, after the present one where it is
    /// in one. Nothing where it is gone.
    fn wake(&mut self, token: Token);

    /// Begins to count anew what each connection asks of the lane.
    fn count(&mut self);

    /// Lets connections go that make up at most `share` of what was counted. Those that are returned go to the lane
    /// `to` at once, others later by [`Pool::transfer`].
    fn give(&mut self, to: usize, share: f64, poller: &Poller) -> Vec<Box<Connection>>;

    /// Ends a direction of every socket, present and future: the server stops.
    fn end(&mut self, direction: Direction);

    /// Does what the runtime's own mail says. A connection that is returned is closed.
    fn open(&mut self, letter: Self::Letter) -> Option<Box<Connection>>;

    /// Gives up everything: what is returned is dropped without the lock.
    fn clear(&mut self) -> Self;
}

/// What others have for a lane's leader.
#[derive(Debug)]
pub enum Mail<L> {
    /// A connection, new or from another lane.
    Adopt(Box<Connection>),
    /// A connection was woken from outside.
    Wake(Arc<Bell>),
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
    /// See [`Places::Letter`].
    Own(L),
}

/// Why a worker leads its lane no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Somebody else does.
    Deposed,
    /// Nobody need.
    Exit,
}

/// A poller with the connections that are registered with it, and who leads it.
#[derive(Debug)]
pub struct Lane<P: Places> {
    pub(super) lease: Lease,
    poller: Poller,
    mail: Mailbox<Mail<P::Letter>>,
    places: Mutex<P>,
    pub(super) load: LaneLoad,
}

/// What a lane's leader writes down for others.
#[derive(Debug, Default)]
pub(super) struct LaneLoad {
    /// The system's number of the thread that leads.
    pub(super) leader: AtomicU32,
    turns: AtomicU64,
    worked: AtomicU64,
    queue: AtomicUsize,
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

impl<P: Places> Lane<P> {
    pub(super) fn new(places: P) -> io::Result<Self> {
        Ok(Self {
            lease: Lease::new(),
            poller: Poller::new()?,
            mail: Mailbox::new(),
            places: Mutex::new(places),
            load: LaneLoad::default(),
        })
    }

    /// The poller.
    #[must_use]
    pub const fn poller(&self) -> &Poller {
        &self.poller
    }

    /// The connections, locked.
    pub fn places(&self) -> MutexGuard<'_, P> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts mail into the lane's box, and wakes its leader where it waits. Without any mail the leader only looks at
    /// its places once more.
    pub fn post(&self, mail: impl IntoIterator<Item = Mail<P::Letter>>) {
        if self.mail.post(mail, &self.lease)
            && let Err(error) = self.poller.notify()
        {
            tracing::error!(%error, "a lane cannot be notified");
        }
    }

    /// Notes that a turn begins. The monitor tells by it whether a leader is still in the turn in which it was.
    #[inline]
    pub fn begin_turn(&self) {
        self.load.turns.fetch_add(1, Relaxed);
    }

    /// Notes how many connections are ready and not yet served.
    #[inline]
    pub fn note_queue(&self, waiting: usize) {
        self.load.queue.store(waiting, Relaxed);
    }

    /// What the monitor sees.
    pub(super) fn sight(&self) -> Sight {
        let lease = self.lease.peek();
        Sight {
            lease,
            turns: self.load.turns.load(Relaxed),
            worked: Duration::from_nanos(self.load.worked.load(Relaxed)),
            queue: self.load.queue.load(Relaxed),
        }
    }

    /// Leads the lane until deposed, or until the pool ends.
    pub(super) fn lead(
        &self,
        pool: &Arc<Pool<P>>,
        index: usize,
        hold: Hold,
        stats: &Arc<Counters>,
        thread: u32,
    ) {
        self.load.leader.store(thread, Relaxed);
        let mut term = Term::new(pool, index, hold, stats);
        let over = loop {
            let patience = term.patience();
            term.wait(patience);
            if let Err(over) = term.serve() {
                break over;
            }
        };
        if over == Over::Exit {
            self.lease.vacate(term.hold);
        }
    }
}

/// Waits that sleep at once after others have wanted the core: with 1,024 a neighbour's every stir cost 30 ms of polling.
const AFTER_TAKEN: u32 = 64;

/// One worker's time as the leader of a lane.
///
/// It goes round: [`patience`](Self::patience), [`wait`](Self::wait), [`serve`](Self::serve).
#[derive(Debug)]
pub struct Term<'a, P: Places> {
    /// The pool.
    pub pool: &'a Arc<Pool<P>>,
    /// The lane.
    pub lane: &'a Lane<P>,
    /// Counters of the worker.
    pub stats: &'a Arc<Counters>,
    /// Spare buffers, gone when the term is over.
    pub buffers: crate::Buffers,
    index: usize,
    hold: Hold,
    events: Events,
    woke: Instant,
    mail: Vec<Mail<P::Letter>>,
    polls: BusyPoll,
    lone: Lone,
}

impl<'a, P: Places> Term<'a, P> {
    pub(super) fn new(
        pool: &'a Arc<Pool<P>>,
        index: usize,
        hold: Hold,
        stats: &'a Arc<Counters>,
    ) -> Self {
        Self {
            pool,
            lane: &pool.lanes[index],
            stats,
            buffers: crate::Buffers::new(),
            index,
            hold,
            events: Events::new(),
            woke: Instant::now(),
            mail: Vec::new(),
            polls: BusyPoll::new(AFTER_TAKEN),
            lone: Lone::default(),
        }
    }

    /// How long to wait; `None` for ever. The lane is Polling.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        let patience = self.lane.places().patience(|| self.pool.host.clock().now());
        // The mail is looked at after the lease became Polling: what comes later notifies.
        if self.lane.mail.is_empty() {
            patience
        } else {
            Some(Duration::ZERO)
        }
    }

    /// Waits for events: asks again and again for as long as [`busy_poll`] says where only one connection asks for anything,
    /// and sleeps then. Whatever it is that ends the wait, [`serve`](Self::serve) comes next.
    ///
    /// [`busy_poll`]: ant_cache_core::settings::Settings::busy_poll
    pub fn wait(&mut self, patience: Option<Duration>) {
        let window = self.window(patience);
        let (polls, poller, events) = (&mut self.polls, &self.lane.poller, &mut self.events);
        let ended = polls.ask(window, || {
            poller
                .wait(events, Some(Duration::ZERO))
                .map(|ended| ended.then_some(()))
        });
        let waited = ended.and_then(|ended| match ended {
            Some(()) => Ok(true),
            None => poller.wait(events, patience.map(|most| most.saturating_sub(window))),
        });
        self.lone.note(&self.events);
        if let Err(error) = waited {
            // It cannot fail for any reason that a program could cause or mend.
            tracing::error!(%error, "a lane cannot wait for events");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How long to ask for events before this worker sleeps.
    fn window(&self, patience: Option<Duration>) -> Duration {
        if !self.lone.is_alone() {
            return Duration::ZERO;
        }
        let most = Duration::from_micros(self.pool.host.service().settings.busy_poll());
        patience.map_or(most, |patience| patience.min(most))
    }

    /// Serves those for whom the wait has ended. The lane is Polling before and, where this succeeds, after.
    ///
    /// # Errors
    /// The term is over.
    pub fn serve(&mut self) -> Result<(), Over> {
        let (lane, pool) = (self.lane, self.pool);
        self.woke = Instant::now();
        lane.mail.heard();
        // While the lane is Polling nobody else leads it, so what was reported cannot be lost.
        lane.places().report(&self.events);
        lane.lease.work(&self.hold);
        pool.monitor.nudge();
        let now = pool.host.clock().at(self.woke);
        // The mail first: who was woken by it has a turn without another wait.
        let worked = self.read_mail().and_then(|()| P::work(self, now));
        self.buffers.settle(pool.host.service().ledger());
        pool.housekeeper.nudge();
        let spent = u64::try_from(self.woke.elapsed().as_nanos()).unwrap_or(u64::MAX);
        lane.load.worked.fetch_add(spent, Relaxed);
        worked?;
        if lane.lease.rest(&self.hold) {
            Ok(())
        } else {
            Err(Over::Deposed)
        }
    }

    /// Whether this worker still leads.
    #[must_use]
    #[inline]
    pub fn leads(&self) -> bool {
        self.lane.lease.holds(&self.hold)
    }

    /// The places, if this worker still leads. A new leader takes the lock after it was appointed and before it waits,
    /// so it sees whatever is changed under the lock by one who found under the lock that it leads.
    ///
    /// # Errors
    /// [`Over::Deposed`] where it does not.
    pub fn held(&self) -> Result<MutexGuard<'a, P>, Over> {
        let places = self.lane.places();
        if self.leads() {
            Ok(places)
        } else {
            Err(Over::Deposed)
        }
    }

    /// Closes a connection of this lane.
    pub fn close(&self, connection: Box<Connection>) {
        drop(connection);
        self.pool.left(self.index);
    }

    /// Takes the mail and does what it says, all under the lock: a leader that is deposed in between has then either
    /// not taken it or dealt with it.
    fn read_mail(&mut self) -> Result<(), Over> {
        if self.lane.mail.is_empty() {
            return Ok(());
        }
        let mut mail = std::mem::take(&mut self.mail);
        let (mut closing, mut given, mut rest) = (Vec::new(), Vec::new(), None);
        {
            let mut places = self.held()?;
            self.lane.mail.take(&mut mail);
            for letter in mail.drain(..) {
                match letter {
                    Mail::Adopt(connection) => {
                        closing.extend(places.adopt(connection, self.pool, self.index));
                    }
                    Mail::Wake(bell) => {
                        if let Some(token) = bell.answer(self.index) {
                            places.wake(token);
                        }
                    }
                    Mail::Count => places.count(),
                    Mail::Give { to, share } => {
                        given.push((to, places.give(to, share, &self.lane.poller)));
                    }
                    Mail::End(direction) => places.end(direction),
                    Mail::Exit => rest = Some(places.clear()),
                    Mail::Own(letter) => closing.extend(places.open(letter)),
                }
            }
        }
        self.mail = mail;
        for connection in closing {
            self.close(connection);
        }
        for (to, connections) in given {
            self.pool.transfer(self.index, to, connections);
        }
        match rest {
            Some(rest) => {
                drop(rest);
                Err(Over::Exit)
            }
            None => Ok(()),
        }
    }
}
