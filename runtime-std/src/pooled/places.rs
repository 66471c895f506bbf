//! The connections of one lane, between their turns, and the turns that its leader gives them.
//!
//! A connection leaves its place for its turn (it is *taken*), so that whoever serves it holds no lock. What is here
//! changes under the lane's lock only, and only for the worker that holds the lane's lease, so exactly one side
//! arranges what a connection wants next: the one that puts it back.

use std::collections::VecDeque;
use std::net::Shutdown as Direction;
use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::Millis;
use ant_cache_host::lane::{Due, Interest, Slots, Timers, Token, select};
use ant_cache_host::poller::{Event, Events, Poller};
use ant_cache_host::pool::{self, Connection, Mail, Over, Pool, Term};
use ant_cache_host::{Begin, Next, Stream, Turned, Workbench};

/// A connection whose turn a deposed leader has finished, and what it wants now.
#[derive(Debug)]
pub(super) struct Back(Token, Box<Connection>, Option<Turned>);

/// Where a connection stays between its turns.
#[derive(Debug)]
struct Place {
    /// `None` while it is taken.
    connection: Option<Box<Connection>>,
    /// Here too, so that a taken connection's socket can still be ended.
    stream: Arc<Stream>,
    interest: Interest,
    /// Whether it is in the round.
    in_round: bool,
    due: Due,
    /// Turns since the lane began to count.
    turns: u32,
}

impl Place {
    /// Takes the connection, if it is here.
    fn take(&mut self, token: Token) -> Option<Taken> {
        let connection = self.connection.take()?;
        self.turns = self.turns.saturating_add(1);
        Some(Taken {
            token,
            connection,
            begin: Begin::of(&mut self.interest),
            at: None,
        })
    }
}

/// All places of a lane.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Slots<Place>,
    /// What the poller reported and nobody has looked at yet.
    events: VecDeque<Event>,
    /// Connections that have received, most of them, and have their turns next. They are here, and not with the leader, so that none
    /// waits for the turn of another in which the leader is stuck.
    opened: VecDeque<Taken>,
    /// When these had received, which is the moment of their turns. Nothing once one of those was so long that time has
    /// gone on, or another worker has taken the lane over.
    opened_at: Option<Millis>,
    /// Connections that are due for another turn without a new event.
    round: VecDeque<Token>,
    /// How many of the round have their turn before the poller is asked again.
    left: usize,
    timers: Timers,
    /// How far the lane's sockets are ended: the server stops.
    ending: Option<Direction>,
}

/// A connection on its way through its turn.
#[derive(Debug)]
struct Taken {
    token: Token,
    connection: Box<Connection>,
    begin: Begin,
    /// The moment of its turn, where that is known.
    at: Option<Millis>,
}

impl Taken {
    /// The connection, and what it wants where its turn goes no further for now.
    fn put_off(self) -> Back {
        let again = |more| Turned {
            next: Next {
                again: true,
                ..Next::default()
            },
            more,
        };
        let turned = match self.begin {
            Begin::Receive => Some(again(true)),
            Begin::Work { more } => Some(again(more)),
            Begin::Close => None,
        };
        Back(self.token, self.connection, turned)
    }
}

/// What comes next in a lane.
#[derive(Debug)]
enum Task {
    /// To have these receive, so that their turns follow.
    Open(VecDeque<Taken>),
    /// A turn.
    Turn(Taken),
    /// To ask the poller.
    Poll,
}

impl Places {
    /// Most connections that are opened together. Each has an input buffer of its own meanwhile.
    const OPENED: usize = 16;

    /// How many connections are ready, or were reported, and are not yet served.
    fn waiting(&self) -> usize {
        self.events.len() + self.opened.len() + self.round.len()
    }

    /// What to do first: those who are in the round now have a turn each before the poller is asked again.
    fn first_task(&mut self, now: Millis) -> Task {
        self.left = self.round.len();
        self.opened_at = None;
        self.task(now)
    }

    /// What to do next. Where several are due they are opened together: while one receives, the memory that the
    /// requests of the others need is on its way.
    fn task(&mut self, now: Millis) -> Task {
        if let Some(mut taken) = self.opened.pop_front() {
            if taken.begin == Begin::Receive {
                // What it asks may be sent later than that.
                self.opened_at = None;
            }
            taken.at = self.opened_at;
            return Task::Turn(taken);
        }
        let Some(first) = self.take(now) else {
            return Task::Poll;
        };
        let Some(second) = self.take(now) else {
            return Task::Turn(first);
        };
        // The room of the last ones is used again.
        let mut batch = std::mem::take(&mut self.opened);
        batch.extend([first, second]);
        while batch.len() < Self::OPENED
            && let Some(taken) = self.take(now)
        {
            batch.push_back(taken);
        }
        Task::Open(batch)
    }

    /// Takes who is due next: those with events first, then the round, then those whose deadline has come. One in the
    /// round comes up once between two reports.
    fn take(&mut self, now: Millis) -> Option<Taken> {
        while let Some(event) = self.events.pop_front() {
            let token = Token::from_bits(event.key);
            let Some(place) = self.places.get_mut(token) else {
                continue;
            };
            place.interest.note(event);
            // A deposed leader may be in its turn still: then it is noted, and looked at when it is put back.
            if !place.in_round
                && place.interest.is_due()
                && let Some(taken) = place.take(token)
            {
                return Some(taken);
            }
        }
        while self.left > 0 {
            self.left -= 1;
            let Some(token) = self.round.pop_front() else {
                break;
            };
            let Some(place) = self.places.get_mut(token) else {
                continue;
            };
            place.in_round = false;
            if let Some(taken) = place.take(token) {
                return Some(taken);
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
                return Some(taken);
            }
        }
        None
    }

    /// Takes a new connection in. Its first turn is in the next round.
    fn adopt(
        &mut self,
        connection: Box<Connection>,
        lane: usize,
        poller: &Poller,
    ) -> Option<Box<Connection>> {
        if let Some(direction) = self.ending {
            let _ = connection.stream.shutdown(direction);
        }
        let stream = Arc::clone(&connection.stream);
        let token = self.places.insert(Place {
            connection: None,
            stream: Arc::clone(&stream),
            interest: Interest::new(),
            in_round: true,
            due: Due::default(),
            turns: 0,
        });
        connection.settle(lane, token);
        if let Some(place) = self.places.get_mut(token) {
            place.connection = Some(connection);
        }
        self.round.push_back(token);
        if let Err(error) = poller.add(&stream, token.to_bits()) {
            tracing::warn!(%error, "a connection cannot be watched and is closed");
            return self.close(token);
        }
        None
    }

    /// Puts a connection back after its turn, with what it wants now. `None` is a connection that came to its end: it
    /// is returned, to be closed.
    fn put(
        &mut self,
        token: Token,
        connection: Box<Connection>,
        turned: Option<Turned>,
    ) -> Option<Box<Connection>> {
        let Some(place) = self.places.get_mut(token) else {
            return Some(connection);
        };
        place.connection = Some(connection);
        let Some(turned) = turned else {
            return self.close(token);
        };
        if turned.next.again {
            // It may have taken as long as a turn can.
            self.opened_at = None;
        }
        place.interest.want(turned);
        if place.interest.is_due() && !place.in_round {
            place.in_round = true;
            self.round.push_back(token);
        }
        self.timers.set(token, &mut place.due, turned.next.deadline);
        None
    }

    fn close(&mut self, token: Token) -> Option<Box<Connection>> {
        self.places.remove(token)?.connection
    }
}

impl pool::Places for Places {
    type Letter = Back;

    fn patience(&self, now: impl FnOnce() -> Millis) -> Option<Duration> {
        if self.waiting() > 0 {
            return Some(Duration::ZERO);
        }
        self.timers
            .next()
            .map(|due| Duration::from_millis(due.since(now())))
    }

    fn report(&mut self, events: &Events) {
        self.events.extend(events);
    }

    fn work(term: &mut Term<'_, Self>, now: Millis) -> Result<(), Over> {
        let mut task = term.held()?.first_task(now);
        loop {
            task = match task {
                Task::Open(batch) => open(term, batch, now)?,
                Task::Turn(taken) => turn(term, taken, now)?,
                Task::Poll => return Ok(()),
            };
        }
    }

    fn adopt(
        &mut self,
        connection: Box<Connection>,
        pool: &Arc<Pool<Self>>,
        lane: usize,
    ) -> Option<Box<Connection>> {
        Self::adopt(self, connection, lane, pool.lane(lane).poller())
    }

    fn wake(&mut self, token: Token) {
        let Some(place) = self.places.get_mut(token) else {
            return;
        };
        place.interest.wake();
        // One that is in its turn, with a deposed leader, is looked at when it is put back.
        if !place.in_round && place.connection.is_some() {
            place.in_round = true;
            self.round.push_back(token);
        }
    }

    fn count(&mut self) {
        for (_, place) in self.places.iter_mut() {
            place.turns = 0;
        }
    }

    fn give(&mut self, _: usize, share: f64, poller: &Poller) -> Vec<Box<Connection>> {
        let here = self
            .places
            .iter_mut()
            .filter(|(_, place)| place.connection.is_some());
        let selected = select(here.map(|(token, place)| (token, place.turns)), share);
        let given = selected.into_iter().filter_map(|token| {
            let place = self.places.remove(token)?;
            // It can only fail where the socket is not watched, which is what is wanted.
            let _ = poller.remove(&place.stream);
            place.connection
        });
        given.collect()
    }

    fn end(&mut self, direction: Direction) {
        self.ending = Some(direction);
        for (token, place) in self.places.iter_mut() {
            // Where the peer is gone already, a turn will learn of it.
            let _ = place.stream.shutdown(direction);
            place.interest.note_end(direction == Direction::Both);
            if place.interest.is_due() && !place.in_round && place.connection.is_some() {
                place.in_round = true;
                self.round.push_back(token);
            }
        }
    }

    fn open(&mut self, Back(token, connection, turned): Back) -> Option<Box<Connection>> {
        self.put(token, connection, turned)
    }

    fn clear(&mut self) -> Self {
        std::mem::take(self)
    }
}

fn workbench<'a>(term: &'a mut Term<'_, Places>) -> Workbench<'a> {
    Workbench {
        host: term.pool.host(),
        stats: term.stats,
        buffers: &mut term.buffers,
    }
}

/// Has these connections receive, without any lock. Returns what comes next.
fn open(
    term: &mut Term<'_, Places>,
    mut batch: VecDeque<Taken>,
    now: Millis,
) -> Result<Task, Over> {
    term.lane.begin_turn();
    let mut bench = workbench(term);
    for taken in &mut batch {
        let Connection { link, stream, .. } = &mut *taken.connection;
        if !bench.open(link, stream, &mut taken.begin) {
            break;
        }
    }
    // All that they ask was sent before.
    let at = term.pool.host().clock().now();
    for taken in &batch {
        taken.connection.link.prefetch();
    }
    match term.held() {
        Ok(mut places) => {
            places.opened = batch;
            places.opened_at = Some(at);
            Ok(places.task(now))
        }
        Err(over) => {
            let back = batch.into_iter().map(|taken| Mail::Own(taken.put_off()));
            term.lane.post(back);
            Err(over)
        }
    }
}

/// One connection's turn, without any lock. Returns what comes next.
fn turn(term: &mut Term<'_, Places>, taken: Taken, now: Millis) -> Result<Task, Over> {
    let Taken {
        token,
        mut connection,
        begin,
        at,
    } = taken;
    let lane = term.lane;
    lane.begin_turn();
    let clock = || at.unwrap_or_else(|| term.pool.host().clock().now());
    let Connection { link, stream, .. } = &mut *connection;
    let turned = workbench(term).go_on(link, stream, begin, clock);
    let (closing, task) = match term.held() {
        Ok(mut places) => {
            lane.note_queue(places.waiting());
            let closing = places.put(token, connection, turned);
            (closing, places.task(now))
        }
        Err(over) => {
            lane.post([Mail::Own(Back(token, connection, turned))]);
            return Err(over);
        }
    };
    if let Some(connection) = closing {
        term.close(connection);
    }
    Ok(task)
}

#[cfg(test)]
mod tests;
