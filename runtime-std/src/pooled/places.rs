//! The connections of one lane, between their turns.
//!
//! A connection leaves its place for its turn (it is *taken*), so that whoever serves it holds no lock. What is here
//! changes under the lane's lock only, and only for the worker that holds the lane's lease, so exactly one side
//! arranges what a connection wants next: the one that puts it back.

use std::collections::VecDeque;
use std::net::Shutdown as Direction;
use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::Millis;
use ant_cache_host::lane::{Due, Slots, Timers, Token, select};
use ant_cache_host::{Buffers, Link, Next, Stream};

use super::lane::Mail;
use super::poller::{Event, Interest, Poller};

/// A connection that moves between its place, a turn, and other lanes.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) stream: Arc<Stream>,
}

/// Where a connection stays between its turns.
#[derive(Debug)]
struct Place {
    /// `None` while it is taken.
    connection: Option<Box<Connection>>,
    /// Here too, so that a taken connection's socket can still be disarmed or ended.
    stream: Arc<Stream>,
    /// What the poller watches it for.
    armed: Option<Interest>,
    /// Whether it is in the round.
    again: bool,
    due: Due,
    /// Turns since the lane began to count.
    turns: u32,
}

/// All places of a lane.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Slots<Place>,
    /// Connections that want another turn whatever their sockets do.
    round: VecDeque<Token>,
    timers: Timers,
    /// The lane's spare buffers while nobody leads it.
    pub(super) buffers: Buffers,
    /// How far the lane's sockets are ended: the server stops.
    ending: Option<Direction>,
}

/// What a lane has to do besides the events of its sockets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How many connections wait for their turn in the round.
    pub(super) round: usize,
    /// When to look at the deadlines; early at worst.
    pub(super) due: Option<Millis>,
}

impl Plan {
    /// How long the poller may wait.
    pub(super) fn patience(self, now: impl FnOnce() -> Millis) -> Option<Duration> {
        if self.round > 0 {
            return Some(Duration::ZERO);
        }
        self.due.map(|due| Duration::from_millis(due.since(now())))
    }
}

/// What a turn is to begin with.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) token: Token,
    pub(super) connection: Box<Connection>,
    pub(super) readable: bool,
}

impl Places {
    /// What there is to do besides the sockets' events.
    pub(super) fn plan(&self) -> Plan {
        Plan {
            round: self.round.len(),
            due: self.timers.next(),
        }
    }

    /// Takes a new connection in. Its first turn arms it.
    pub(super) fn adopt(&mut self, connection: Box<Connection>) {
        if let Some(direction) = self.ending {
            let _ = connection.stream.shutdown(direction);
        }
        let stream = Arc::clone(&connection.stream);
        let place = Place {
            connection: Some(connection),
            stream,
            armed: None,
            again: true,
            due: Due::default(),
            turns: 0,
        };
        let token = self.places.insert(place);
        self.round.push_back(token);
    }

    /// Takes the connection of an event, if it is to have a turn now. `Err` is a connection to close.
    pub(super) fn take(&mut self, event: Event, poller: &Poller) -> Result<Option<Taken>, Closing> {
        let token = Token::from_bits(event.key);
        let Some(place) = self.places.get_mut(token) else {
            return Ok(None);
        };
        if place.connection.is_none() {
            // A deposed leader is still in its turn. What makes it ready would be reported again and again.
            disarm(place, poller);
            return Ok(None);
        }
        if event.gone {
            return Err(self.close(token));
        }
        if place.again {
            // It gets its turn in the round, and reads when that is done with.
            return Ok(None);
        }
        let readable = event.readable && place.armed.is_some_and(|armed| armed.read);
        Ok(Self::begin(place, token, readable))
    }

    /// Takes the next connection of the round.
    pub(super) fn take_again(&mut self) -> Option<Taken> {
        while let Some(token) = self.round.pop_front() {
            if let Some(place) = self.places.get_mut(token) {
                place.again = false;
                if let Some(taken) = Self::begin(place, token, false) {
                    return Some(taken);
                }
            }
        }
        None
    }

    /// Takes the next connection whose deadline has come.
    pub(super) fn take_due(&mut self, now: Millis) -> Option<Taken> {
        while let Some(entry) = self.timers.pop(now) {
            let Some(place) = self.places.get_mut(entry.1) else {
                continue;
            };
            // One in the round has its turn anyway; a taken one sets a new deadline when it is put back.
            if self.timers.is_due(now, entry, &mut place.due)
                && !place.again
                && let Some(taken) = Self::begin(place, entry.1, false)
            {
                return Some(taken);
            }
        }
        None
    }

    fn begin(place: &mut Place, token: Token, readable: bool) -> Option<Taken> {
        let connection = place.connection.take()?;
        place.turns = place.turns.saturating_add(1);
        Some(Taken {
            token,
            connection,
            readable,
        })
    }

    /// Puts a connection back after its turn, and arranges what it wants. `None` is a connection that came to its
    /// end. What is returned is closed by dropping it, which is best done without the lane's lock.
    pub(super) fn put(
        &mut self,
        token: Token,
        connection: Box<Connection>,
        next: Option<Next>,
        poller: &Poller,
    ) -> Option<Closing> {
        let place = self.places.get_mut(token)?;
        place.connection = Some(connection);
        let Some(next) = next else {
            return Some(self.close(token));
        };
        if next.again {
            // The poller is left as it is: the lane does not wait while there is a round.
            place.again = true;
            self.round.push_back(token);
        } else if let Err(error) = arm(
            place,
            token,
            Interest {
                read: next.read,
                write: next.write,
            },
            poller,
        ) {
            tracing::warn!(%error, "a connection cannot be watched and is closed");
            return Some(self.close(token));
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
        for (_, place) in self.places.iter_mut() {
            // Where the peer is gone already, a turn will learn of it.
            let _ = place.stream.shutdown(direction);
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
        selected
            .into_iter()
            .filter_map(|token| {
                let place = self.places.get_mut(token)?;
                disarm(place, poller);
                self.places.remove(token)?.connection.map(Mail::Adopt)
            })
            .collect()
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A connection that leaves its lane; closed when dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Closing {
    _place: Option<Place>,
}

fn arm(place: &mut Place, token: Token, wanted: Interest, poller: &Poller) -> std::io::Result<()> {
    match place.armed {
        Some(armed) if armed == wanted => return Ok(()),
        Some(_) => poller.modify(&place.stream, token.to_bits(), wanted)?,
        None => poller.add(&place.stream, token.to_bits(), wanted)?,
    }
    place.armed = Some(wanted);
    Ok(())
}

fn disarm(place: &mut Place, poller: &Poller) {
    if place.armed.take().is_some() {
        // It can only fail where the socket is not registered, which is what is wanted.
        let _ = poller.remove(&place.stream);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use ant_cache_core::Service;
    use ant_cache_core::service::Options;

    use super::super::poller::{Events, sockets};
    use super::*;

    const NOW: Millis = Millis(1_000);
    const READ: Next = Next {
        read: true,
        write: false,
        again: false,
        deadline: None,
        close: None,
    };

    struct Bench {
        places: Places,
        poller: Poller,
        peers: Vec<UnixStream>,
    }

    impl Bench {
        /// So many connections, armed for reading.
        fn new(count: usize) -> Self {
            let service = Service::new(Options::default());
            let (mut places, poller, mut peers) =
                (Places::default(), Poller::new().unwrap(), Vec::new());
            for _ in 0..count {
                let (near, far) = UnixStream::pair().unwrap();
                let link = Link::new(service.connect(NOW).unwrap(), NOW);
                places.adopt(Box::new(Connection {
                    link,
                    stream: Arc::new(Stream::unix(near)),
                }));
                peers.push(far);
            }
            let mut bench = Self {
                places,
                poller,
                peers,
            };
            while let Some(taken) = bench.places.take_again() {
                bench.put(taken, READ);
            }
            bench
        }

        fn put(&mut self, taken: Taken, next: Next) {
            let closing = self
                .places
                .put(taken.token, taken.connection, Some(next), &self.poller);
            assert!(closing.is_none());
        }

        /// What is ready now.
        fn events(&self) -> Vec<Event> {
            let mut events = Events::new();
            self.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
            sockets(&events).collect()
        }

        fn take(&mut self, event: Event) -> Option<Taken> {
            self.places.take(event, &self.poller).unwrap()
        }
    }

    #[test]
    fn a_taken_connection_is_disarmed_once_and_armed_by_who_puts_it_back() {
        let mut bench = Bench::new(1);
        bench.peers[0].write_all(b"PING\n").unwrap();
        let event = bench.events()[0];
        let taken = bench.take(event).unwrap();
        assert!(taken.readable);
        assert_eq!(bench.events().len(), 1, "level-triggered");
        assert!(bench.take(event).is_none());
        assert_eq!(bench.events().len(), 0, "a new leader does not spin on it");
        bench.put(taken, READ);
        assert_eq!(bench.events().len(), 1);
    }

    #[test]
    fn a_connection_that_wants_nothing_is_not_reported() {
        let mut bench = Bench::new(1);
        bench.peers[0].write_all(b"PING\n").unwrap();
        let event = bench.events()[0];
        let taken = bench.take(event).unwrap();
        bench.put(
            taken,
            Next {
                read: false,
                ..READ
            },
        );
        assert_eq!(bench.events().len(), 0);
        // But if it is gone it is closed, or it would be reported for ever.
        bench.peers.clear();
        let event = bench.events()[0];
        assert!(event.gone);
        drop(bench.places.take(event, &bench.poller).unwrap_err());
        assert!(bench.places.places.is_empty() && bench.events().is_empty());
        assert!(bench.take(event).is_none(), "a late event finds nothing");
    }

    #[test]
    fn the_round_serves_each_once_and_without_its_socket() {
        let mut bench = Bench::new(3);
        for peer in &mut bench.peers {
            peer.write_all(b"PING\n").unwrap();
        }
        let mut order = Vec::new();
        for event in bench.events() {
            let taken = bench.take(event).unwrap();
            order.push(taken.token);
            bench.put(
                taken,
                Next {
                    again: true,
                    ..READ
                },
            );
        }
        assert_eq!(bench.places.plan().round, 3);
        for event in bench.events() {
            assert!(bench.take(event).is_none(), "it has its turn in the round");
        }
        for token in order {
            let taken = bench.places.take_again().unwrap();
            assert_eq!((taken.token, taken.readable), (token, false));
            bench.put(taken, READ);
        }
        assert!(bench.places.take_again().is_none());
    }

    #[test]
    fn deadlines_come_up_when_they_are_due() {
        let mut bench = Bench::new(2);
        for ms in [20, 10] {
            bench.peers[ms / 20].write_all(b"PING\n").unwrap();
            let event = bench.events()[0];
            let mut taken = bench.take(event).unwrap();
            let wire = &mut taken.connection.stream.ready();
            taken
                .connection
                .link
                .receive(wire, &mut Buffers::new())
                .unwrap();
            bench.put(
                taken,
                Next {
                    deadline: Some(NOW.plus(ms as u64)),
                    ..READ
                },
            );
        }
        assert_eq!(bench.places.plan().due, Some(NOW.plus(10)));
        assert_eq!(
            bench.places.plan().patience(|| NOW),
            Some(Duration::from_millis(10))
        );
        assert!(bench.places.take_due(NOW.plus(9)).is_none());
        let first = bench.places.take_due(NOW.plus(10)).unwrap();
        assert!(!first.readable && bench.places.take_due(NOW.plus(19)).is_none());
        let second = bench.places.take_due(NOW.plus(20)).unwrap();
        assert_ne!(first.token, second.token);
        bench.put(first, READ);
        bench.put(second, READ);
        assert_eq!(bench.places.plan().due, None);
    }

    #[test]
    fn connections_with_half_the_work_move() {
        let mut bench = Bench::new(4);
        bench.places.count();
        for _ in 0..10 {
            for peer in &mut bench.peers[..2] {
                peer.write_all(b"PING\n").unwrap();
            }
            for event in bench.events() {
                let mut taken = bench.take(event).unwrap();
                let wire = &mut taken.connection.stream.ready();
                taken
                    .connection
                    .link
                    .receive(wire, &mut Buffers::new())
                    .unwrap();
                bench.put(taken, READ);
            }
        }
        let given = bench.places.give(0.5, &bench.poller);
        assert_eq!((given.len(), bench.places.places.len()), (1, 3));
        let Mail::Adopt(connection) = given.into_iter().next().unwrap() else {
            panic!("a connection moves")
        };
        // The other lane has it in its round, so that what arrived meanwhile is not lost.
        let mut other = Bench::new(0);
        other.places.adopt(connection);
        let taken = other.places.take_again().unwrap();
        other.put(taken, READ);
        for peer in &mut bench.peers {
            peer.write_all(b"PING\n").unwrap();
        }
        assert_eq!((bench.events().len(), other.events().len()), (3, 1));
    }

    #[test]
    fn ending_reaches_those_who_are_taken_and_those_who_come_later() {
        let mut bench = Bench::new(2);
        bench.peers[0].write_all(b"PING\n").unwrap();
        let event = bench.events()[0];
        let taken = bench.take(event).unwrap();
        bench.places.end(Direction::Read);
        bench.put(taken, READ);
        assert_eq!(
            bench.events().iter().filter(|event| event.readable).count(),
            2
        );
        assert_eq!(
            bench.places.places.len(),
            2,
            "they are closed by their own turns"
        );
    }
}
