//! The server, its clients, the network between them, and what happens next.

mod probe;
mod requests;

use std::collections::VecDeque;
use std::sync::Arc;

use ant_cache_core::limits::AUTH_DEADLINE;
use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Cause, Millis, Service, Turn};
use ant_cache_host::{Buffers, Ending, Link, Next};
use ant_cache_tests::Random;

use crate::client::{Client, Pending};
use crate::command::{Bytes, Op, PASSWORD, Refused, Tongue};
use crate::model::Model;
use crate::swarm::Swarm;
use crate::wire::Pipe;

use probe::Probe;

/// The moment at which every run begins.
const START: Millis = Millis(1_800_000_000_123);

/// Events that are shown where a run fails.
const SHOWN: usize = 60;

/// Far more turns than what is left at the end of a run can take.
const MOST: usize = 2_000_000;

pub(crate) struct World<'a> {
    swarm: &'a Swarm,
    random: Random,
    now: Millis,
    service: Arc<Service>,
    counters: Arc<Counters>,
    /// Of two lanes: a connection may have its next turn on the other one.
    buffers: [Buffers; 2],
    probe: Probe,
    model: Model,
    connections: Vec<Connection>,
    /// Connections made so far.
    made: u64,
    /// Values made so far: each is different.
    values: usize,
    events: VecDeque<String>,
}

struct Connection {
    number: u64,
    since: Millis,
    client: Client,
    pipe: Pipe,
    /// The server's part, until it closes.
    link: Option<Link>,
    next: Next,
}

impl<'a> World<'a> {
    pub(crate) fn new(swarm: &'a Swarm) -> Self {
        let service = Service::new(Options {
            seed: swarm.seed,
            started: START,
            shards: swarm.shards,
            ..Options::default()
        });
        service.settings.set_send_timeout(swarm.send_timeout);
        service.settings.set_idle_timeout(swarm.idle_timeout);
        // It connects while none is asked for a password.
        let probe = Probe::new(&service);
        if swarm.guarded {
            service.settings.set_password(Some(PASSWORD.to_vec()));
        }
        let mut world = Self {
            swarm,
            random: Random::new(!swarm.seed),
            now: START,
            counters: service.counters(),
            buffers: Default::default(),
            probe,
            model: Model::new(START),
            connections: Vec::new(),
            made: 0,
            values: 0,
            events: VecDeque::new(),
            service,
        };
        for _ in 0..swarm.clients {
            world.connect();
        }
        if swarm.keys > 1000 {
            world.fill();
        }
        world
    }

    fn note(&mut self, event: impl FnOnce() -> String) {
        if self.events.len() == SHOWN {
            self.events.pop_front();
        }
        self.events.push_back(event());
    }

    /// One event.
    pub(crate) fn step(&mut self) {
        if self.random.once_in(self.swarm.pace) {
            self.pass();
        }
        if self.random.once_in(20) {
            let budget = self.budget();
            self.service.tick(self.now, budget);
        }
        let at = self.random.below(self.connections.len());
        if self.random.once_in(self.swarm.ends) {
            self.end_one(at);
        }
        let [ask, deliver, turn, read] = self.swarm.bias;
        match self.random.below(ask + deliver + turn + read) {
            n if n < ask => self.ask(at),
            n if n < ask + deliver => self.deliver(at),
            n if n < ask + deliver + turn => {
                // Once in a while one that nothing asks for: events may be stale.
                if self.is_due(at) || self.random.once_in(100) {
                    self.turn(at);
                }
            }
            _ => self.read(at),
        }
        if self.connections[at].is_over() {
            self.connections.swap_remove(at);
            self.connect();
        }
    }

    fn connect(&mut self) {
        self.made += 1;
        let pipe = Pipe::new(self.swarm.room, self.now, self.random.number());
        let session = self.service.connect(self.now).expect("there is room");
        self.connections.push(Connection {
            number: self.made,
            since: self.now,
            client: Client::default(),
            pipe,
            link: Some(Link::new(session, self.now)),
            next: Next {
                again: true,
                ..Next::default()
            },
        });
        let at = self.connections.len() - 1;
        if self.swarm.guarded {
            // The first one has keys to set.
            if self.made > 1 && self.random.once_in(5) {
                self.connections[at].client.stranger = true;
                return;
            }
            let tongue = self.tongue(at);
            self.send(at, Op::Auth, tongue);
        }
        if self.random.once_in(3) {
            self.connections[at].client.resp3 = true;
            self.send(at, Op::Hello(3), Tongue::Resp3);
        }
    }

    /// Sets all keys of a large run.
    fn fill(&mut self) {
        let pairs = (0..self.swarm.keys).map(|n| (requests::key(n), self.text()));
        let op = Op::Mset {
            pairs: pairs.collect(),
            only_new: false,
        };
        self.send(0, op, Tongue::Resp2);
    }

    fn budget(&mut self) -> Budget {
        Budget::new(1 + self.random.below(self.swarm.budget) as i32)
    }

    /// Lets time pass.
    fn pass(&mut self) {
        // To the very end of a key's time, or the millisecond before.
        if self.random.once_in(3)
            && let Some(end) = self.model.next_expiry()
        {
            let before = Millis(end.0 - self.random.below(2) as u64);
            return self.set_time(before.max(self.now));
        }
        let ms = match self.random.below(10) {
            0..6 => self.random.below(5),
            6..9 => self.random.below(100),
            _ => self.random.below(3_000),
        };
        self.set_time(self.now.plus(ms as u64));
    }

    fn set_time(&mut self, now: Millis) {
        self.now = now;
        self.note(|| format!("it is {now}"));
        self.model.advance(now);
        self.spread_changes();
    }

    fn spread_changes(&mut self) {
        let changes = self.model.changes();
        if !changes.is_empty() {
            for connection in &mut self.connections {
                connection.client.see(&changes);
            }
        }
    }

    /// Breaks a connection, or ends its client's side.
    fn end_one(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let number = connection.number;
        if self.random.once_in(2) {
            connection.pipe.broken = true;
            self.note(|| format!("{number}: the connection breaks"));
        } else {
            let halves: [&[u8]; 4] = [b"", b"SET k1 v", b"*2\r\n$3\r\nGET\r\n$2\r\nk", b"*"];
            if !connection.client.last {
                connection.pipe.sent.extend(*self.random.pick(&halves));
            }
            connection.pipe.finished = true;
            connection.client.last = true;
            self.note(|| format!("{number}: the client says that it is done"));
        }
    }

    /// A client sends a few requests.
    fn ask(&mut self, at: usize) {
        for _ in 0..1 + self.random.below(3) {
            let client = &self.connections[at].client;
            if client.last || client.pending.len() >= self.swarm.depth {
                return;
            }
            let tongue = self.tongue(at);
            let op = self.op(at, tongue);
            let tongue = match op {
                Op::Refused(refused) => refused.tongue(),
                _ => tongue,
            };
            self.send(at, op, tongue);
        }
    }

    /// How a client writes its next request.
    fn tongue(&mut self, at: usize) -> Tongue {
        match self.random.below(4) {
            0 => Tongue::Text {
                crlf: self.random.once_in(2),
            },
            1 => Tongue::Text { crlf: false },
            _ if self.connections[at].client.resp3 => Tongue::Resp3,
            _ => Tongue::Resp2,
        }
    }

    fn send(&mut self, at: usize, op: Op, tongue: Tongue) {
        let Connection {
            number,
            client,
            pipe,
            ..
        } = &mut self.connections[at];
        let number = *number;
        client.last = op.is_last();
        let bytes = op.encode(tongue);
        pipe.sent.extend(&bytes);
        client.pending.push_back(Pending::new(op, tongue));
        self.note(|| format!("{number}: asks {:.100}", bytes.escape_ascii().to_string()));
    }

    fn deliver(&mut self, at: usize) {
        let n = 1 + self.random.below(self.swarm.packet);
        self.connections[at].pipe.deliver(n);
    }

    /// A client reads.
    fn read(&mut self, at: usize) {
        let n = 1 + self.random.below(self.swarm.gulp);
        let Connection { client, pipe, .. } = &mut self.connections[at];
        let n = n.min(pipe.replies.len());
        client.receive(pipe.replies.drain(..n));
        // Who sees the end hangs up.
        pipe.finished |= pipe.over && pipe.replies.is_empty();
    }

    /// Whether a connection is to have a turn, as a runtime would find.
    fn is_due(&self, at: usize) -> bool {
        let Connection {
            pipe, link, next, ..
        } = &self.connections[at];
        link.is_some()
            && (next.again
                || next.read && pipe.is_readable()
                || next.write && pipe.is_writable()
                || next.deadline.is_some_and(|deadline| deadline <= self.now)
                // Pollers always tell this.
                || pipe.broken)
    }

    /// One turn of a connection.
    fn turn(&mut self, at: usize) {
        // A DEL in parts is watched between its parts, and before whatever comes behind it: one command a turn then.
        let alone = self.connections[at].client.deletes_in_parts();
        let budget = if alone { Budget::new(1) } else { self.budget() };
        let connection = &mut self.connections[at];
        let Connection {
            pipe,
            link: Some(link),
            next,
            ..
        } = connection
        else {
            return;
        };
        let buffers = &mut self.buffers[self.random.below(2)];
        let prepares = self.random.below(2) == 0;
        let before = self.counters.commands.value();
        // What a poller would tell before the turn.
        let readable = next.read && pipe.is_readable();
        let mut wire = pipe.socket(self.now);
        let mut turn = Turn {
            now: self.now,
            budget,
            stats: &self.counters,
        };
        let mut receive = || {
            if readable {
                link.receive(&mut wire, buffers)?;
            }
            // A runtime may do so or not, and receive more before the turn.
            if prepares {
                link.prepare();
                link.prefetch();
                if readable {
                    link.receive(&mut wire, buffers)?;
                }
            }
            link.pump(&mut wire, &mut turn, &self.service.settings, buffers)
        };
        let result = receive();
        let executed = self.counters.commands.value() - before;
        let number = connection.number;
        match result {
            Ok(wanted) => *next = wanted,
            Err(_) => {
                assert!(
                    connection.pipe.broken,
                    "only a broken connection is an error"
                );
                connection.link = None;
            }
        }
        self.note(|| format!("{number}: a turn, {executed} commands, then {result:?}"));
        self.executed(at, executed);
        self.close(at);
        self.check_wants(at);
    }

    /// Executes in the model what a turn of a connection has executed.
    fn executed(&mut self, at: usize, mut count: u64) {
        loop {
            let Self {
                model,
                probe,
                connections,
                now,
                ..
            } = self;
            let client = &mut connections[at].client;
            let Some(pending) = client.pending.get_mut(client.executed) else {
                break;
            };
            let gone = |key: &Bytes| probe.is_gone(key, *now);
            if let Op::Refused(Refused {
                counts: false,
                reply,
                ..
            }) = pending.op
            {
                pending.refuse(reply);
            } else if count > 0 {
                count -= 1;
                pending.complete(model, &mut client.scan, gone);
            } else {
                pending.watch(model, gone);
                self.spread_changes();
                break;
            }
            client.executed += 1;
            client.done += 1;
            self.spread_changes();
        }
        assert_eq!(count, 0, "more was executed than was asked for");
    }

    /// Checks that a link which ends has a reason to, and ends it.
    fn close(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let Some(ending) = connection.next.close.filter(|_| connection.link.is_some()) else {
            return;
        };
        let Connection {
            since,
            client,
            pipe,
            ..
        } = connection;
        let (idle, stalled) = (self.swarm.idle_timeout, self.swarm.send_timeout);
        let unexecuted = client.pending.iter().skip(client.executed);
        let good = match ending {
            Ending::Session(Cause::Eof) => {
                pipe.finished && !pipe.travels() && unexecuted.count() == 0
            }
            Ending::Session(Cause::Quit | Cause::Protocol) => {
                client.last && unexecuted.count() == 0
            }
            Ending::Session(Cause::Unauthenticated) => {
                let authenticated = !client.stranger && client.done > 0;
                self.swarm.guarded && !authenticated && self.now.since(*since) >= AUTH_DEADLINE
            }
            Ending::Idle => idle > 0 && self.now.since(pipe.taken.max(pipe.given)) >= idle,
            Ending::Stalled => {
                stalled > 0 && self.now.since(pipe.taken) >= stalled && !pipe.replies.is_empty()
            }
            _ => false,
        };
        assert!(good || pipe.broken, "no reason to end: {ending:?}");
        pipe.over = true;
        connection.link = None;
    }

    /// What a link may want.
    fn check_wants(&self, at: usize) {
        let Connection { link, next, .. } = &self.connections[at];
        if link.is_none() {
            return;
        }
        assert!(
            next.read || next.write || next.again || next.deadline.is_some(),
            "it wants nothing: nobody will ever look at it again"
        );
        assert!(
            !next.write || self.swarm.send_timeout == 0 || next.deadline.is_some(),
            "it would wait for ever for a client that takes nothing"
        );
    }

    /// Lets everything come to its end, and checks that it does.
    pub(crate) fn end(&mut self) {
        self.settle();
        for connection in &mut self.connections {
            let Connection {
                client, pipe, link, ..
            } = connection;
            assert!(
                pipe.over
                    || pipe.broken
                    || link.is_some() && client.pending.is_empty() && client.is_answered(),
                "everything that was asked is answered"
            );
            pipe.finished = true;
        }
        self.settle();
        self.set_time(self.now.plus(1_000));
        self.settle();
        assert!(
            self.connections.iter().all(Connection::is_over),
            "no connection outlives its client"
        );
        self.probe.leave();
        assert_eq!(self.service.connections()[0], 0);
        self.clean_up();
    }

    /// Until nobody wants anything at this moment.
    fn settle(&mut self) {
        for _ in 0..MOST {
            let mut done = true;
            for at in 0..self.connections.len() {
                let pipe = &mut self.connections[at].pipe;
                pipe.deliver(usize::MAX);
                if !pipe.replies.is_empty() {
                    self.read(at);
                    done = false;
                }
                if self.is_due(at) {
                    self.turn(at);
                    done = false;
                }
            }
            if done {
                return;
            }
        }
        panic!("somebody wants turns for ever");
    }

    /// A second later nothing is left of what has expired.
    fn clean_up(&mut self) {
        for later in [0, 1_000] {
            self.set_time(self.now.plus(later));
            let mut ticks = 0;
            while self
                .service
                .tick(self.now, Budget::new(50))
                .is_some_and(|due| due <= self.now)
            {
                ticks += 1;
                assert!(ticks < MOST, "housekeeping does not end");
            }
        }
        assert_eq!(self.service.store().len(), self.model.len() as u64);
    }
}

impl Connection {
    /// Whether nothing can happen on it any more. What it still had to give is checked then.
    fn is_over(&self) -> bool {
        if self.link.is_some() || !self.pipe.broken && !self.pipe.replies.is_empty() {
            return false;
        }
        let whole = matches!(self.next.close, Some(Ending::Session(_)));
        assert!(
            self.pipe.broken || !whole || self.client.is_answered(),
            "what was executed is answered before the end"
        );
        true
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}", self.swarm);
            self.events.iter().for_each(|event| eprintln!("{event}"));
        }
    }
}
