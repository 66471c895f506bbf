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
