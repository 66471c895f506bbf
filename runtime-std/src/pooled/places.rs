//! The connections of one lane, between their turns.
//!
//! A connection leaves its place for its turn (it is *taken*), so that whoever serves it holds no lock. What is here
//! changes under the lane's lock only, and only for the worker that holds the lane's lease, so exactly one side
//! arranges what a connection wants next: the one that puts it back.
//!
//! The poller tells once what has happened to a socket; what it is ready for is kept here until it is used. So nothing
//! has to be switched on and off in the kernel, and what the poller told a leader is not lost if that one is deposed.

use std::collections::VecDeque;
use std::net::Shutdown as Direction;
use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::Millis;
use ant_cache_host::lane::{Due, Slots, Timers, Token, select};
use ant_cache_host::{Buffers, Link, Next, Stream};

use super::lane::Mail;
use super::poller::{Event, Events, Poller, sockets};
use crate::turn::Turned;

/// A connection that moves between its place, a turn, and other lanes.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) stream: Arc<Stream>,
}

/// What a socket is ready for, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    /// Cleared before each read, so that what happens during it is not missed.
    read: bool,
    /// Cleared before each turn.
    write: bool,
    /// Reading ends: stays until that was read.
    ended: bool,
    /// Nothing can be sent any more.
    broken: bool,
}

/// Where a connection stays between its turns.
#[derive(Debug)]
struct Place {
    /// `None` while it is taken.
    connection: Option<Box<Connection>>,
    /// Here too, so that a taken connection's socket can still be ended.
    stream: Arc<Stream>,
    ready: Ready,
    /// What it wanted after its last turn.
    next: Next,
    /// Whether it is in the round.
    in_round: bool,
    due: Due,
    /// Turns since the lane began to count.
    turns: u32,
}

impl Place {
    /// Whether there is a reason for a turn, its deadline aside.
    fn is_due(&self) -> bool {
        let Self { ready, next, .. } = self;
        next.again
            || self.is_gone()
            || (next.read && (ready.read || ready.ended))
            || (next.write && (ready.write || ready.broken))
    }

    /// Whether the connection is over, and it wants nothing that would find out.
    fn is_gone(&self) -> bool {
        self.ready.broken && !self.next.read && !self.next.write && !self.next.again
    }

    /// Takes the connection, if it is here.
    fn take(&mut self, token: Token) -> Option<Taken> {
        let connection = self.connection.take()?;
        self.turns = self.turns.saturating_add(1);
        // While a command is under way nothing is read: the session would only have to keep it.
        let readable = self.next.read && !self.next.again && (self.ready.read || self.ready.ended);
        self.ready.read &= !readable;
        self.ready.write = false;
        Some(Taken {
            token,
            connection,
            readable,
        })
    }
}

/// All places of a lane.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Slots<Place>,
    /// What the poller reported and nobody has looked at yet.
    events: VecDeque<Event>,
    /// Connections that are due for another turn without a new event.
    round: VecDeque<Token>,
    /// How many of the round have their turn before the poller is asked again.
    left: usize,
    timers: Timers,
    /// The lane's spare buffers while nobody leads it.
    pub(super) buffers: Buffers,
    /// How far the lane's sockets are ended: the server stops.
    ending: Option<Direction>,
}

/// What a turn is to begin with.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) token: Token,
    pub(super) connection: Box<Connection>,
    pub(super) readable: bool,
}

/// A connection that leaves its lane; closed when dropped, which is best done without the lane's lock.
#[derive(Debug)]
#[must_use]
pub(super) struct Closing {
    _place: Option<Place>,
}

/// What comes next in a lane.
#[derive(Debug)]
pub(super) enum Task {
    /// A turn.
    Turn(Taken),
    /// A connection that is gone, and wants nothing that would find out.
    Close(Closing),
    /// To ask the poller.
    Poll,
}

impl Places {
    /// How long the poller may wait: not at all where somebody is due, else until the earliest deadline.
    pub(super) fn patience(&self, now: impl FnOnce() -> Millis) -> Option<Duration> {
        if self.waiting() > 0 {
            return Some(Duration::ZERO);
        }
        self.timers
            .next()
            .map(|due| Duration::from_millis(due.since(now())))
    }

    /// How many connections are ready, or were reported, and are not yet served.
    pub(super) fn waiting(&self) -> usize {
        self.events.len() + self.round.len()
    }

    /// Takes in what the poller has reported, and begins a new round.
    pub(super) fn report(&mut self, events: &Events) {
        self.events.extend(sockets(events));
        self.left = self.round.len();
    }

    /// What to do next: those with events first, then the round, then those whose deadline has come. One in the round
    /// comes up once between two reports.
    pub(super) fn task(&mut self, now: Millis) -> Task {
        while let Some(event) = self.events.pop_front() {
            let token = Token::from_bits(event.key);
            let Some(place) = self.places.get_mut(token) else {
                continue;
            };
            let ready = &mut place.ready;
            ready.read |= event.read;
            ready.write |= event.write;
            ready.ended |= event.ended;
            ready.broken |= event.broken;
            // A deposed leader may be in its turn still: then it is noted, and looked at when it is put back.
            if !place.in_round
                && place.is_due()
                && let Some(task) = self.begin(token)
            {
                return task;
            }
        }
        while self.left > 0 {
            self.left -= 1;
            let Some(token) = self.round.pop_front() else {
                break;
            };
            if let Some(place) = self.places.get_mut(token) {
                place.in_round = false;
            }
            if let Some(task) = self.begin(token) {
                return task;
            }
        }
        while let Some(entry) = self.timers.pop(now) {
            let Some(place) = self.places.get_mut(entry.1) else {
                continue;
            };
            // One in the round has its turn anyway; a taken one gets a new deadline when it is put back.
            if self.timers.is_due(now, entry, &mut place.due)
                && !place.in_round
                && let Some(taken) = place.take(entry.1)
            {
                return Task::Turn(taken);
            }
        }
        Task::Poll
    }

    fn begin(&mut self, token: Token) -> Option<Task> {
        let place = self.places.get_mut(token)?;
        if place.is_gone() && place.connection.is_some() {
            return Some(Task::Close(self.close(token)));
        }
        place.take(token).map(Task::Turn)
    }

    /// Takes a new connection in. Its first turn is in the next round.
    pub(super) fn adopt(
        &mut self,
        connection: Box<Connection>,
        poller: &Poller,
    ) -> Option<Closing> {
        if let Some(direction) = self.ending {
            let _ = connection.stream.shutdown(direction);
        }
        let stream = Arc::clone(&connection.stream);
        let token = self.places.insert(Place {
            connection: Some(connection),
            stream: Arc::clone(&stream),
            ready: Ready::default(),
            next: Next {
                again: true,
                ..Next::default()
            },
            in_round: true,
            due: Due::default(),
            turns: 0,
        });
        self.round.push_back(token);
        if let Err(error) = poller.add(&stream, token.to_bits()) {
            tracing::warn!(%error, "a connection cannot be watched and is closed");
            return Some(self.close(token));
        }
        None
    }

    /// Puts a connection back after its turn, with what it wants now. `None` is a connection that came to its end.
    pub(super) fn put(
        &mut self,
        token: Token,
        connection: Box<Connection>,
        turned: Option<Turned>,
    ) -> Option<Closing> {
        let place = self.places.get_mut(token)?;
        place.connection = Some(connection);
        let Some(Turned { next, more }) = turned else {
            return Some(self.close(token));
        };
        place.next = next;
        place.ready.read |= more;
        if place.is_due() && !place.in_round {
            place.in_round = true;
            self.round.push_back(token);
        }
        self.timers.set(token, &mut place.due, next.deadline);
        None
    }

    fn close(&mut self, token: Token) -> Closing {
        Closing {
            _place: self.places.remove(token),
        }
    }

    /// Ends a direction of every socket, present and future.
    pub(super) fn end(&mut self, direction: Direction) {
        self.ending = Some(direction);
        for (token, place) in self.places.iter_mut() {
            // Where the peer is gone already, a turn will learn of it.
            let _ = place.stream.shutdown(direction);
            place.ready.ended = true;
            place.ready.broken |= direction == Direction::Both;
            if place.is_due() && !place.in_round && place.connection.is_some() {
                place.in_round = true;
                self.round.push_back(token);
            }
        }
    }

    /// Begins to count anew what each connection asks of the lane.
    pub(super) fn count(&mut self) {
        for (_, place) in self.places.iter_mut() {
            place.turns = 0;
        }
    }

    /// Gives away connections that make up at most `share` of what was counted, as mail for another lane.
    pub(super) fn give(&mut self, share: f64, poller: &Poller) -> Vec<Mail> {
        let here = self
            .places
            .iter_mut()
            .filter(|(_, place)| place.connection.is_some());
        let selected = select(here.map(|(token, place)| (token, place.turns)), share);
        let given = selected.into_iter().filter_map(|token| {
            let place = self.places.remove(token)?;
            // It can only fail where the socket is not watched, which is what is wanted.
            let _ = poller.remove(&place.stream);
            place.connection.map(Mail::Adopt)
        });
        given.collect()
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use ant_cache_core::Service;
    use ant_cache_core::service::Options;
    use ant_cache_host::Received;

    use super::*;

    const NOW: Millis = Millis(1_000);
    const NOTHING: Next = Next {
        read: false,
        write: false,
        again: false,
        deadline: None,
        close: None,
    };
    const READ: Next = Next {
        read: true,
        ..NOTHING
    };

    struct Bench {
        places: Places,
        poller: Poller,
        peers: Vec<UnixStream>,
        now: Millis,
    }

    impl Bench {
        /// So many connections that wait for requests.
        fn new(count: usize) -> Self {
            let service = Service::new(Options::default());
            let poller = Poller::new().unwrap();
            let mut bench = Self {
                places: Places::default(),
                poller,
                peers: Vec::new(),
                now: NOW,
            };
            for _ in 0..count {
                let (near, far) = UnixStream::pair().unwrap();
                let link = Link::new(service.connect(NOW).unwrap(), NOW);
                let stream = Arc::new(Stream::unix(near));
                let connection = Box::new(Connection { link, stream });
                assert!(bench.places.adopt(connection, &bench.poller).is_none());
                bench.peers.push(far);
            }
            for taken in bench.turns() {
                assert!(!taken.readable);
                bench.put(taken, READ);
            }
            assert!(bench.turns().is_empty());
            bench
        }

        fn write(&mut self, peer: usize) {
            self.peers[peer].write_all(b"PING\n").unwrap();
        }

        /// Asks the poller, and takes everyone who then has a turn.
        fn turns(&mut self) -> Vec<Taken> {
            let mut events = Events::new();
            self.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
            self.places.report(&events);
            let mut turns = Vec::new();
            while let Task::Turn(taken) = self.places.task(self.now) {
                turns.push(taken);
            }
            turns
        }

        /// The turn of the only one who has one.
        fn turn(&mut self) -> Taken {
            let mut turns = self.turns();
            assert_eq!(turns.len(), 1);
            turns.pop().unwrap()
        }

        fn receive(taken: &mut Taken) -> Received {
            let wire = &mut taken.connection.stream.ready();
            taken
                .connection
                .link
                .receive(wire, &mut Buffers::new())
                .unwrap()
        }

        fn put(&mut self, taken: Taken, next: Next) {
            let turned = Turned { next, more: false };
            assert!(
                self.places
                    .put(taken.token, taken.connection, Some(turned))
                    .is_none()
            );
        }
    }

    #[test]
    fn what_happens_during_a_turn_leads_to_another() {
        let mut bench = Bench::new(1);
        bench.write(0);
        let mut taken = bench.turn();
        assert!(taken.readable);
        assert_eq!(Bench::receive(&mut taken), Received::All);
        bench.write(0);
        assert!(bench.turns().is_empty(), "a deposed leader is in its turn");
        assert_eq!(bench.places.patience(|| NOW), None, "and nobody spins");
        bench.put(taken, READ);
        assert_eq!(bench.places.patience(|| NOW), Some(Duration::ZERO));
        assert!(bench.turn().readable);
    }

    #[test]
    fn what_was_not_read_leads_to_another_turn() {
        let mut bench = Bench::new(1);
        bench.write(0);
        let taken = bench.turn();
        let turned = Turned {
            next: READ,
            more: true,
        };
        assert!(
            bench
                .places
                .put(taken.token, taken.connection, Some(turned))
                .is_none()
        );
        let taken = bench.turn();
        assert!(taken.readable);
        bench.put(taken, READ);
        assert!(bench.turns().is_empty());
    }

    #[test]
    fn the_end_behind_a_request_is_read() {
        let mut bench = Bench::new(1);
        bench.write(0);
        bench.peers[0].shutdown(Direction::Write).unwrap();
        let mut taken = bench.turn();
        assert_eq!(Bench::receive(&mut taken), Received::All, "the request");
        bench.put(taken, READ);
        let mut taken = bench.turn();
        assert!(taken.readable);
        assert_eq!(Bench::receive(&mut taken), Received::All, "the end");
        bench.put(taken, NOTHING);
        assert!(bench.turns().is_empty());
    }

    #[test]
    fn a_connection_that_does_not_want_to_read_waits_with_what_has_arrived() {
        let mut bench = Bench::new(1);
        bench.write(0);
        let taken = bench.turn();
        bench.put(taken, NOTHING);
        bench.write(0);
        assert!(bench.turns().is_empty());
        // Its deadline comes: then it wants to read, and what arrived before is still known.
        let token = bench.places.places.iter_mut().next().unwrap().0;
        let place = bench.places.places.get_mut(token).unwrap();
        bench.places.timers.set(token, &mut place.due, Some(NOW));
        let taken = bench.turn();
        assert!(!taken.readable);
        bench.put(taken, READ);
        assert!(bench.turn().readable);
    }

    #[test]
    fn a_connection_that_is_gone_and_wants_nothing_is_closed() {
        let mut bench = Bench::new(1);
        bench.write(0);
        let taken = bench.turn();
        bench.put(taken, NOTHING);
        bench.peers.clear();
        let mut events = Events::new();
        bench.poller.wait(&mut events, None).unwrap();
        bench.places.report(&events);
        assert!(matches!(bench.places.task(NOW), Task::Close(_)));
        assert!(bench.places.places.is_empty());
        bench.places.report(&events);
        assert!(
            matches!(bench.places.task(NOW), Task::Poll),
            "a late event finds nothing"
        );
    }

    #[test]
    fn the_round_serves_each_once_and_reads_nothing() {
        let mut bench = Bench::new(3);
        (0..3).for_each(|peer| bench.write(peer));
        let mut order = Vec::new();
        for taken in bench.turns() {
            order.push(taken.token);
            bench.put(
                taken,
                Next {
                    again: true,
                    ..READ
                },
            );
        }
        for _ in 0..2 {
            (0..3).for_each(|peer| bench.write(peer));
            let turns = bench.turns();
            assert!(turns.iter().all(|taken| !taken.readable));
            assert_eq!(
                turns.iter().map(|taken| taken.token).collect::<Vec<_>>(),
                order
            );
            turns.into_iter().for_each(|taken| {
                bench.put(
                    taken,
                    Next {
                        again: true,
                        ..READ
                    },
                )
            });
        }
        for taken in bench.turns() {
            bench.put(taken, READ);
        }
        assert!(
            bench.turns().iter().all(|taken| taken.readable),
            "what arrived meanwhile"
        );
    }

    #[test]
    fn what_a_deposed_leader_was_told_is_there_for_the_next() {
        let mut bench = Bench::new(3);
        (0..3).for_each(|peer| bench.write(peer));
        let mut events = Events::new();
        bench.poller.wait(&mut events, None).unwrap();
        bench.places.report(&events);
        let Task::Turn(stuck) = bench.places.task(NOW) else {
            panic!("one has its turn")
        };
        assert_eq!(bench.places.patience(|| NOW), Some(Duration::ZERO));
        assert_eq!(bench.turns().len(), 2);
        bench.put(stuck, READ);
    }

    #[test]
    fn deadlines_come_up_when_they_are_due() {
        let mut bench = Bench::new(2);
        for ms in [20, 10] {
            bench.write(ms / 20);
            let mut taken = bench.turn();
            Bench::receive(&mut taken);
            bench.put(
                taken,
                Next {
                    deadline: Some(NOW.plus(ms as u64)),
                    ..READ
                },
            );
        }
        assert_eq!(
            bench.places.patience(|| NOW),
            Some(Duration::from_millis(10))
        );
        bench.now = NOW.plus(9);
        assert!(bench.turns().is_empty());
        bench.now = NOW.plus(19);
        let first = bench.turn();
        assert!(!first.readable);
        bench.now = NOW.plus(20);
        let second = bench.turn();
        assert_ne!(first.token, second.token);
        bench.put(first, READ);
        bench.put(second, READ);
        assert_eq!(bench.places.patience(|| NOW), None);
    }

    #[test]
    fn connections_with_half_the_work_move() {
        let mut bench = Bench::new(4);
        bench.places.count();
        for _ in 0..10 {
            (0..2).for_each(|peer| bench.write(peer));
            for mut taken in bench.turns() {
                Bench::receive(&mut taken);
                bench.put(taken, READ);
            }
        }
        let given = bench.places.give(0.5, &bench.poller);
        assert_eq!((given.len(), bench.places.places.len()), (1, 3));
        (0..4).for_each(|peer| bench.write(peer));
        let Some(Mail::Adopt(connection)) = given.into_iter().next() else {
            panic!("a connection moves")
        };
        let mut other = Bench::new(0);
        assert!(other.places.adopt(connection, &other.poller).is_none());
        let taken = other.turn();
        other.put(taken, READ);
        assert!(other.turn().readable, "what arrived on the way");
        assert_eq!(bench.turns().len(), 3);
    }

    #[test]
    fn ending_reaches_those_who_are_taken_and_those_who_come_later() {
        let mut bench = Bench::new(2);
        bench.write(0);
        let taken = bench.turn();
        bench.places.end(Direction::Read);
        let idle = bench.turn();
        assert!(idle.readable && idle.token != taken.token);
        bench.put(taken, READ);
        assert!(bench.turn().readable);
        assert_eq!(
            bench.places.places.len(),
            1 + 1,
            "they are closed by their own turns"
        );
    }
}
