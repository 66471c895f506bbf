//! A client of many servers, each of which has a part of the keys.

mod backend;
mod error;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use ant_cache_core::client::Value;
use ant_cache_core::ring::{HealthOptions, Node, Ring, RingError, RingOptions, Split, SplitError};
use ant_cache_host::client::Requests;

use super::fan_out::fan_out;
use super::{Address, ClientError, ErrorKind, Lease, PoolOptions};
use backend::{Backend, Change, Refusal};

pub use backend::NodeStats;
pub use error::ShardedError;

/// How a [`ShardedClient`] places keys, connects, and deals with nodes that are down.
#[derive(Clone, Debug, Default)]
pub struct ShardedOptions {
    /// How keys are placed.
    pub ring: RingOptions,
    /// The connections to each node.
    pub pool: PoolOptions,
    /// When a node is down, and when it is tried again.
    pub health: HealthOptions,
    /// What becomes of the requests of a node that is down.
    pub on_node_down: OnNodeDown,
}

/// What becomes of requests whose node is down or fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnNodeDown {
    /// They fail; while the node is down they do so at once.
    #[default]
    Raise,
    /// They are answered as if the node were empty and stored nothing: null, and 0 where keys are counted.
    Miss,
    /// They fail until the node is down; then its keys go to the other nodes, until it is up again. It comes back with
    /// what it held before, which may be out of date.
    Rehash,
}

/// One client for a set of nodes, shared by reference among threads.
///
/// Each key belongs to a node, by the [`Ring`] of the options. A request goes to the node of its key. One with many keys
/// (MGET, MSET, DEL, UNLINK, EXISTS, TOUCH) is split by node; the parts are all sent before a reply is waited for, and
/// their replies become one, in the order of the keys. The parts of an MSET take effect each for itself.
///
/// A node that fails several times in a row is down: it is sent nothing, except now and then, at intervals that grow,
/// a PING by whoever comes first, until it answers.
///
/// ```no_run
/// use ant_cache_core::ring::Node;
/// use ant_cache_runtime_std::client::{ShardedClient, ShardedOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ShardedClient::new(
///     [
///         (Node::new("anna"), "10.0.0.1:8890".parse()?),
///         (Node::new("berta").weighing(2), "10.0.0.2:8890".parse()?),
///     ],
///     ShardedOptions::default(),
/// )?;
/// client.command(&["MSET", "a", "1", "b", "2", "c", "3"])?;
/// println!("{:?}", client.command(&["MGET", "a", "b", "c"])?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ShardedClient {
    options: ShardedOptions,
    /// When time begins: moments are milliseconds since then.
    start: Instant,
    /// When the next node that is down is to be tried; `u64::MAX` where none is down.
    next_try: AtomicU64,
    /// Held for no I/O. Outside every node's own lock.
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    /// By number in the ring.
    backends: Vec<Arc<Backend>>,
    next_id: u64,
}

/// The parts of requests that go to one node, and how that went.
struct Call<'r> {
    backend: Arc<Backend>,
    /// Which part of which request: its place among all parts.
    parts: Vec<usize>,
    requests: Vec<Vec<&'r [u8]>>,
}

type Outcome = Result<Value, ShardedError>;

impl ShardedClient {
    /// A client of these nodes. Connections are made when they are needed.
    ///
    /// # Errors
    /// Those of [`Ring::new`].
    pub fn new(
        nodes: impl IntoIterator<Item = (Node, Address)>,
        options: ShardedOptions,
    ) -> Result<Self, RingError> {
        let (nodes, addresses): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let ring = Ring::new(options.ring, nodes)?;
        let client = Self {
            start: Instant::now(),
            next_try: AtomicU64::new(u64::MAX),
            state: RwLock::new(State {
                ring,
                backends: Vec::new(),
                next_id: 0,
            }),
            options,
        };
        {
            let mut state = client.write();
            for (number, address) in addresses.into_iter().enumerate() {
                client.connect_to(&mut state, number, address);
            }
        }
        Ok(client)
    }

    /// Adds a node. Keys that belong to it from now on are not moved: it begins empty.
    ///
    /// # Errors
    /// Those of [`Ring::add`]; nothing changes.
    pub fn add(&self, node: Node, address: Address) -> Result<(), RingError> {
        let mut state = self.write();
        let number = state.ring.add(node)?;
        self.connect_to(&mut state, number, address);
        Ok(())
    }

    /// Removes the node of this name; false where there is none. Requests under way to it are finished.
    pub fn remove(&self, name: &str) -> bool {
        let mut state = self.write();
        let Some(number) = state.ring.position(name) else {
            return false;
        };
        state.ring.remove(number);
        state.backends.remove(number);
        true
    }

    /// The name of the node that has this key now; nothing where there is none.
    #[must_use]
    pub fn node_of(&self, key: &[u8]) -> Option<String> {
        let state = self.read();
        let number = state.ring.place(key)?;
        Some(state.ring.nodes()[number].name().into())
    }

    /// What was seen of each node, in the order in which they came.
    #[must_use]
    pub fn stats(&self) -> Vec<NodeStats> {
        let (state, now) = (self.read(), self.now());
        let nodes = state.ring.nodes().iter().zip(&state.backends);
        nodes
            .map(|(node, backend)| backend.stats(node.weight(), now))
            .collect()
    }

    /// Sends one request, the command's name first, and waits for its reply.
    ///
    /// # Errors
    /// Where it has no place, and where a node fails, is down, or answers with an error; of several nodes the first in
    /// the order of their keys is named.
    pub fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Value, ShardedError> {
        let outcome = self.run(&[args], true).pop();
        outcome.unwrap_or_else(|| Err(unplaced(args, SplitError::NoArguments)))
    }

    /// Sends all requests together, to all their nodes, and waits for all replies, which come in the same order. An
    /// error that a node answers is a [`Value::Error`] in its place; a node that fails takes down only its own requests.
    pub fn pipeline<R, A>(&self, requests: &[R]) -> Vec<Result<Value, ShardedError>>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.run(requests, false)
    }

    /// Sends the same request to every node at once (PING, DBSIZE, FLUSHALL, INFO …): the names of the nodes, with
    /// their replies. An error that a node answers is a failure.
    pub fn each<A: AsRef<[u8]>>(&self, args: &[A]) -> Vec<(String, Result<Value, ShardedError>)> {
        self.try_who_is_due();
        let request: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let backends = self.read().backends.clone();
        if request.is_empty() {
            let refuse = |backend: &Arc<Backend>| {
                let error = unplaced(args, SplitError::NoArguments);
                (backend.name.as_ref().into(), Err(error))
            };
            return backends.iter().map(refuse).collect();
        }
        let call = |(part, backend): (usize, &Arc<Backend>)| Call {
            backend: Arc::clone(backend),
            parts: vec![part],
            requests: vec![request.clone()],
        };
        let calls = backends.iter().enumerate().map(call).collect();
        let outcomes = self.send(calls, backends.len());
        let named = backends.iter().zip(outcomes).map(|(backend, outcome)| {
            let outcome = outcome.and_then(|reply| raise(backend, args, reply));
            (backend.name.as_ref().into(), outcome)
        });
        named.collect()
    }

    fn run<R, A>(&self, requests: &[R], raise_replies: bool) -> Vec<Outcome>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.try_who_is_due();
        let mut calls: Vec<Call<'_>> = Vec::new();
        // Of each part, in the order of the requests.
        let mut backends = Vec::new();
        let splits: Vec<Result<Split, SplitError>> = {
            let state = self.read();
            let split = |request: &R| Split::new(&state.ring, request.as_ref());
            let splits: Vec<_> = requests.iter().map(split).collect();
            for (request, split) in requests.iter().zip(&splits) {
                for part in split.iter().flat_map(|split| &split.parts) {
                    let words = part
                        .words
                        .iter()
                        .map(|word| request.as_ref()[*word].as_ref());
                    let backend = &state.backends[part.node];
                    add_part(&mut calls, backend, backends.len(), words.collect());
                    backends.push(Arc::clone(backend));
                }
            }
            splits
        };
        let mut parts = self.send(calls, backends.len()).into_iter().zip(backends);
        let requests = requests.iter().zip(splits);
        let outcomes = requests.map(|(request, split)| {
            let args = request.as_ref();
            let split = split.map_err(|reason| unplaced(args, reason))?;
            let mut replies = Vec::with_capacity(split.parts.len());
            let mut failure = None;
            for (outcome, backend) in parts.by_ref().take(split.parts.len()) {
                let outcome = match outcome {
                    Ok(reply) if raise_replies => raise(&backend, args, reply).map(Some),
                    Err(_) if self.options.on_node_down == OnNodeDown::Miss => Ok(None),
                    outcome => outcome.map(Some),
                };
                match outcome {
                    Ok(reply) => replies.push(reply),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                None => Ok(split.join(replies)),
                Some(error) => Err(error),
            }
        });
        outcomes.collect()
    }

    /// Makes all calls at once; returns what came of each of the `count` parts.
    fn send(&self, mut calls: Vec<Call<'_>>, count: usize) -> Vec<Outcome> {
        // In the same order for everybody: of two threads that need connections to two nodes none waits for the other.
        calls.sort_by_key(|call| call.backend.id);
        let now = self.now();
        let mut outcomes: Vec<Option<Outcome>> = (0..count).map(|_| None).collect();
        let mut leases: Vec<(&Call<'_>, Lease<'_>)> = Vec::new();
        for call in &calls {
            let failure = match call.backend.lease(now, call.parts.len() as u64) {
                Ok(lease) => {
                    leases.push((call, lease));
                    continue;
                }
                Err(Refusal::Down(down)) => down,
                Err(Refusal::Busy(error)) => call.backend.error(Arc::new(error)),
                Err(Refusal::Failed(error)) => self.failed(&call.backend, error),
            };
            call.fail(&failure, &mut outcomes);
        }
        let mut exchanges = Vec::with_capacity(leases.len());
        for (call, lease) in &mut leases {
            let requests = Requests::encode(call.requests.iter().map(Vec::as_slice));
            let requests = requests.expect("what has a place has a command's name");
            exchanges.push((&mut **lease, requests));
        }
        let results = fan_out(&mut exchanges);
        for ((call, _), result) in leases.iter().zip(results) {
            match result {
                Ok(replies) => {
                    self.follow(&call.backend, call.backend.succeeded());
                    for (part, reply) in call.parts.iter().zip(replies) {
                        outcomes[*part] = Some(Ok(reply));
                    }
                }
                Err(kind) => {
                    let name = call.requests.first().and_then(|request| request.first());
                    let address = call.backend.pool.address();
                    let error = ClientError::new(address, name.copied(), kind);
                    call.fail(&self.failed(&call.backend, error), &mut outcomes);
                }
            }
        }
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.expect("each part is of one call"))
            .collect()
    }

    /// Tries the nodes that are down and whose time has come.
    fn try_who_is_due(&self) {
        if self.now() < self.next_try.load(Relaxed) {
            return;
        }
        // Whoever comes meanwhile need not look.
        self.next_try.store(u64::MAX, Relaxed);
        let backends = self.read().backends.clone();
        for backend in &backends {
            if backend.is_due(self.now()) {
                let change = backend.ping(|| self.now());
                self.follow(backend, change);
            }
            self.remember(backend);
        }
    }

    /// Takes note that an exchange has failed; returns the error for its requests.
    fn failed(&self, backend: &Arc<Backend>, error: ClientError) -> ShardedError {
        let error = Arc::new(error);
        let change = backend.failed(&error, self.now());
        self.follow(backend, change);
        backend.error(error)
    }

    /// Does what follows from a node's change.
    fn follow(&self, backend: &Arc<Backend>, change: Change) {
        if change == Change::None {
            return;
        }
        self.remember(backend);
        if self.options.on_node_down != OnNodeDown::Rehash {
            return;
        }
        let mut state = self.write();
        let is_it = |other: &Arc<Backend>| Arc::ptr_eq(other, backend);
        // It may have been removed.
        let Some(number) = state.backends.iter().position(is_it) else {
            return;
        };
        // What it is now counts, not what it was: somebody may have found out more, and been here first.
        if backend.down_until().is_some() {
            state.ring.eject(number);
        } else {
            state.ring.restore(number);
        }
    }

    /// Sees to it that a node that is down is tried in time.
    fn remember(&self, backend: &Backend) {
        if let Some(until) = backend.down_until() {
            self.next_try.fetch_min(until, Relaxed);
        }
    }

    /// Makes the backend of a node.
    fn connect_to(&self, state: &mut State, number: usize, address: Address) {
        let name = state.ring.nodes()[number].name();
        let (pool, health) = (self.options.pool.clone(), self.options.health);
        let backend = Backend::new(state.next_id, name, address, pool, health);
        state.next_id += 1;
        state.backends.push(Arc::new(backend));
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Where a change panicked, it did so before anything was changed.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    /// Ends all its parts with this error.
    fn fail(&self, error: &ShardedError, outcomes: &mut [Option<Outcome>]) {
        for part in &self.parts {
            outcomes[*part] = Some(Err(error.clone()));
        }
    }
}

/// Puts a part of a request into the call of its node.
fn add_part<'r>(
    calls: &mut Vec<Call<'r>>,
    backend: &Arc<Backend>,
    part: usize,
    words: Vec<&'r [u8]>,
) {
    let is_its = |call: &&mut Call<'_>| Arc::ptr_eq(&call.backend, backend);
    match calls.iter_mut().find(is_its) {
        Some(call) => {
            call.parts.push(part);
            call.requests.push(words);
        }
        None => calls.push(Call {
            backend: Arc::clone(backend),
            parts: vec![part],
            requests: vec![words],
        }),
    }
}

/// Makes an error that a node has answered a failure of the request.
fn raise<A: AsRef<[u8]>>(backend: &Backend, args: &[A], reply: Value) -> Outcome {
    match reply {
        Value::Error(message) => {
            let name = args.first().map(AsRef::as_ref);
            let kind = ErrorKind::Reply(message);
            let error = ClientError::new(backend.pool.address(), name, kind);
            Err(backend.error(Arc::new(error)))
        }
        reply => Ok(reply),
    }
}

/// The error of a request without a place.
fn unplaced<A: AsRef<[u8]>>(args: &[A], reason: SplitError) -> ShardedError {
    let name = args.first().map_or(&[][..], AsRef::as_ref);
    ShardedError::Unplaced {
        // Names are short; what is not came from someone's data.
        command: name[..name.len().min(32)].escape_ascii().to_string(),
        reason,
    }
}
