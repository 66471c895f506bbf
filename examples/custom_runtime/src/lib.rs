//! A runtime of one's own: one thread, one poller, one loop.
//!
//! It passes the same tests as the runtimes that Ant-Cache comes with. What a runtime has to do stands here in the
//! order in which it happens: wait, accept, give turns, keep house, stop; and how others wake a connection meanwhile.
//! Each wait looks at all connections, so it is for few.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io;
use std::net::Shutdown as Direction;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use ant_cache_core::{Budget, Millis, stats::Counters};
use ant_cache_host::lane::{Interest, Slots, Token};
use ant_cache_host::poller::{Events, Poller};
use ant_cache_host::{Admitted, Buffers, Entrance, Host, Link, Listeners};
use ant_cache_host::{Runtime, Shutdown, Stream, Workbench};

/// The poller's key of listeners and of the flag. No token is as large.
const DOOR: u64 = u64::MAX - 1;

/// Memory of expired keys has to be back within a second, so requests are followed by a look within these milliseconds.
const HOUSEKEEPING: u64 = 100;

/// A server in one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollLoop;

impl Runtime for PollLoop {
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()> {
        let mut entrance = Entrance::new(&host);
        let mut server = Server::new(host)?;
        server.desk.poller.add(&shutdown, DOOR)?;
        for listener in listeners.iter() {
            server.desk.poller.add(listener, DOOR)?;
        }
        // When to ask the listeners: at once, or after a pause where descriptors are exhausted.
        let mut ask = Some(Instant::now());
        while !shutdown.is_triggered() {
            if server.wait(ask)? {
                ask = ask.or(Some(Instant::now()));
            }
            if ask.is_some_and(|moment| moment <= Instant::now()) {
                ask = None;
                for listener in listeners.iter() {
                    let adopt = |stream, link| server.adopt(stream, link);
                    match entrance.admit(listener, adopt) {
                        Admitted::All => {}
                        Admitted::Part => ask = ask.or(Some(Instant::now())),
                        Admitted::Pause(time) => ask = Some(Instant::now() + time),
                    }
                }
            }
            server.serve();
        }
        drop(listeners);
        server.end(Direction::Read, Shutdown::GRACE)?;
        server.end(Direction::Both, Shutdown::LAST)
    }
}

/// Where the server waits, and where others leave word for it.
struct Desk {
    poller: Poller,
    /// Those who were woken.
    calls: Mutex<BTreeSet<Token>>,
}

impl Desk {
    fn calls(&self) -> MutexGuard<'_, BTreeSet<Token>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one connection. It may be kept for longer than the server.
struct Bell {
    desk: Weak<Desk>,
    token: Token,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let Some(desk) = self.desk.upgrade() else {
            return;
        };
        let first = {
            let mut calls = desk.calls();
            calls.insert(self.token) && calls.len() == 1
        };
        // One notification for all who call before the server looks. It cannot fail for any reason of ours.
        if first {
            let _ = desk.poller.notify();
        }
    }
}

struct Client {
    link: Link,
    stream: Stream,
    interest: Interest,
    deadline: Option<Millis>,
}

struct Server {
    host: Arc<Host>,
    stats: Arc<Counters>,
    buffers: Buffers,
    desk: Arc<Desk>,
    clients: Slots<Client>,
    /// When to keep house next.
    tick: Option<Millis>,
}

impl Server {
    fn new(host: Arc<Host>) -> io::Result<Self> {
        Ok(Self {
            stats: host.service().counters(),
            host,
            buffers: Buffers::new(),
            desk: Arc::new(Desk {
                poller: Poller::new()?,
                calls: Mutex::default(),
            }),
            clients: Slots::new(),
            tick: None,
        })
    }

    fn adopt(&mut self, stream: Stream, link: Link) {
        let token = self.clients.insert(Client {
            link,
            stream,
            interest: Interest::new(),
            deadline: None,
        });
        let Some(client) = self.clients.get_mut(token) else {
            return;
        };
        client.link.set_waker(Waker::from(Arc::new(Bell {
            desk: Arc::downgrade(&self.desk),
            token,
        })));
        let watched = self.desk.poller.add(&client.stream, token.to_bits());
        if watched.is_err() {
            self.clients.remove(token);
        }
    }

    /// Waits until something happens, at most until `until`. True means that it happened at the door.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<bool> {
        let now = self.host.clock().now();
        let mut patience = until.map(|until| until.saturating_duration_since(Instant::now()));
        let mut at_most =
            |time| patience = Some(patience.map_or(time, |patience| patience.min(time)));
        for moment in self.tick.into_iter().chain(
            self.clients
                .iter_mut()
                .filter_map(|(_, client)| client.deadline),
        ) {
            at_most(Duration::from_millis(moment.since(now)));
        }
        if self
            .clients
            .iter_mut()
            .any(|(_, client)| client.interest.is_due())
        {
            at_most(Duration::ZERO);
        }
        let mut events = Events::new();
        self.desk.poller.wait(&mut events, patience)?;
        for &event in &events {
            if let Some(client) = self.clients.get_mut(Token::from_bits(event.key)) {
                client.interest.note(event);
            }
        }
        for token in std::mem::take(&mut *self.desk.calls()) {
            if let Some(client) = self.clients.get_mut(token) {
                client.interest.wake();
            }
        }
        Ok(events.iter().any(|event| event.key == DOOR))
    }

    /// A turn for each who is due; then, where it is time, a slice of housekeeping.
    fn serve(&mut self) {
        let Self {
            host,
            stats,
            buffers,
            clients,
            tick,
            ..
        } = self;
        let now = host.clock().now();
        let mut bench = Workbench {
            host,
            stats,
            buffers,
        };
        let mut closed = Vec::new();
        for (token, client) in clients.iter_mut() {
            let Client {
                link,
                stream,
                interest,
                deadline,
            } = client;
            if !interest.is_due() && deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            *tick = tick.or(Some(now.plus(HOUSEKEEPING)));
            let readable = interest.begin();
            match bench.turn(link, stream, readable, || host.clock().now()) {
                Some(turned) if !interest.is_gone() => {
                    interest.want(turned);
                    *deadline = turned.next.deadline;
                }
                _ => closed.push(token),
            }
        }
        buffers.settle(host.service().ledger());
        for token in closed {
            clients.remove(token);
        }
        if tick.is_some_and(|tick| tick <= now) {
            *tick = host.service().tick(now, Budget::TURN);
        }
    }

    /// Ends a direction of all sockets, and goes on for a while until the last connection is closed.
    fn end(&mut self, direction: Direction, grace: Duration) -> io::Result<()> {
        for (_, client) in self.clients.iter_mut() {
            // Where the peer is gone already, a turn will learn of it.
            let _ = client.stream.shutdown(direction);
            client.interest.note_end(direction == Direction::Both);
        }
        let until = Instant::now() + grace;
        while !self.clients.is_empty() && Instant::now() < until {
            self.wait(Some(until))?;
            self.serve();
        }
        Ok(())
    }
}
