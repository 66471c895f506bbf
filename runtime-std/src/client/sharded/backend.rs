//! One node: its connections, and what is known of it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ant_cache_core::ring::{Admission, Health, HealthOptions};

use super::super::{Address, ClientError, ErrorKind, Lease, Pool, PoolOptions};
use super::ShardedError;

/// What a [`ShardedClient`](super::ShardedClient) has seen of a node.
#[derive(Clone, Debug)]
pub struct NodeStats {
    /// The node's name.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Its weight.
    pub weight: u32,
    /// Requests that were sent to it; a request that was split counts once for each node.
    pub requests: u64,
    /// Times that no connection could be made, or one broke, or gave no answer in time. A pipeline counts once.
    pub failures: u64,
    /// Times that it went down.
    pub downs: u64,
    /// When it is tried again, if it is down now.
    pub retry_in: Option<Duration>,
    /// What went wrong last; it may be long ago.
    pub last_error: Option<Arc<ClientError>>,
    /// Connections that wait for use.
    pub idle: usize,
    /// Connections in use.
    pub leased: usize,
}

#[derive(Debug)]
pub(super) struct Backend {
    /// Ascends with the order in which nodes came.
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) pool: Pool,
    requests: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    health: Health,
    failures: u64,
    downs: u64,
    last_error: Option<Arc<ClientError>>,
}

/// How a node fared in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// It is down from now on, or was tried in vain.
    Down,
    /// It is up again.
    Up,
}

impl Backend {
    pub(super) fn new(
        id: u64,
        name: &str,
        address: Address,
        pool: PoolOptions,
        health: HealthOptions,
    ) -> Self {
        Self {
            id,
            name: name.into(),
            pool: Pool::new(address, pool),
            requests: AtomicU64::new(0),
            state: Mutex::new(State {
                health: Health::new(health),
                failures: 0,
                downs: 0,
                last_error: None,
            }),
        }
    }

    /// A connection for `requests` requests, unless the node is down.
    pub(super) fn lease(&self, now: u64, requests: u64) -> Result<Lease<'_>, Refusal> {
        if let Some(down) = self.down(now) {
            return Err(Refusal::Down(down));
        }
        self.requests.fetch_add(requests, Relaxed);
        self.open()
    }

    /// A connection, made if need be.
    fn open(&self) -> Result<Lease<'_>, Refusal> {
        let mut lease = self.pool.permit().map_err(Refusal::Busy)?;
        match lease.open() {
            Ok(()) => Ok(lease),
            Err(error) => Err(Refusal::Failed(error)),
        }
    }

    /// Whether somebody should try the node, which is down.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.lock().health.admit(now) == Admission::Try
    }

    /// Tries it.
    pub(super) fn ping(&self, now: impl Fn() -> u64) -> Change {
        let answer = match self.open() {
            Ok(mut lease) => lease.command(&["PING"]).map(|_| ()),
            Err(Refusal::Failed(error)) => Err(error),
            // All connections are in use, so nobody knows; the next try will tell.
            Err(Refusal::Busy(_) | Refusal::Down(_)) => return Change::None,
        };
        match answer {
            Ok(()) => self.succeeded(),
            Err(error) => self.failed(&Arc::new(error), now()),
        }
    }

    /// Takes note of an answer.
    pub(super) fn succeeded(&self) -> Change {
        if self.lock().health.succeeded() {
            Change::Up
        } else {
            Change::None
        }
    }

    /// Takes note of an exchange that failed.
    pub(super) fn failed(&self, error: &Arc<ClientError>, now: u64) -> Change {
        // A server that answers with an error is up.
        if matches!(error.kind(), ErrorKind::Reply(_)) {
            return self.succeeded();
        }
        let mut state = self.lock();
        state.failures += 1;
        state.last_error = Some(Arc::clone(error));
        // A generator of its own would be one more thing to share.
        let random = RandomState::new().hash_one(now);
        if state.health.failed(now, random) {
            state.downs += 1;
        }
        match state.health.down_until() {
            Some(_) => Change::Down,
            None => Change::None,
        }
    }

    /// Until when it is left alone; nothing while it is up.
    pub(super) fn down_until(&self) -> Option<u64> {
        self.lock().health.down_until()
    }

    /// The error for a request to a node that is down.
    fn down(&self, now: u64) -> Option<ShardedError> {
        let state = self.lock();
        let until = state.health.down_until()?;
        Some(ShardedError::Down {
            node: Arc::clone(&self.name),
            address: self.pool.address().clone(),
            retry_in: Duration::from_millis(until.saturating_sub(now)),
            cause: state.last_error.clone()?,
        })
    }

    /// The error of a request that this node failed.
    pub(super) fn error(&self, error: Arc<ClientError>) -> ShardedError {
        ShardedError::Node {
            node: Arc::clone(&self.name),
            error,
        }
    }

    pub(super) fn stats(&self, weight: u32, now: u64) -> NodeStats {
        let (idle, leased) = (self.pool.idle(), self.pool.leased());
        let state = self.lock();
        let until = state.health.down_until();
        NodeStats {
            name: self.name.as_ref().into(),
            address: self.pool.address().clone(),
            weight,
            requests: self.requests.load(Relaxed),
            failures: state.failures,
            downs: state.downs,
            retry_in: until.map(|until| Duration::from_millis(until.saturating_sub(now))),
            last_error: state.last_error.clone(),
            idle,
            leased,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is whole before the next one that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no connection to a node.
pub(super) enum Refusal {
    /// It is left alone.
    Down(ShardedError),
    /// All connections stayed in use: that says nothing about the node.
    Busy(ClientError),
    /// It could not be connected to.
    Failed(ClientError),
}
