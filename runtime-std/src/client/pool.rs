//! As many connections as there are callers at a time, up to a bound.

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ant_cache_core::client::Value;

use super::{Address, Client, ClientError, ClientOptions, ErrorKind};

/// How large a pool is, and how long its callers wait.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// The most connections at a time; 0 counts as 1. Default 16.
    pub connections: usize,
    /// The longest wait for a connection while all are in use. Default 5 s; `None` waits for ever.
    pub lease_timeout: Option<Duration>,
    /// How each connection is made and used.
    pub client: ClientOptions,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            lease_timeout: Some(Duration::from_secs(5)),
            client: ClientOptions::default(),
        }
    }
}

/// Connections to one server, shared by reference among threads.
///
/// A request takes the connection that was last used, or makes one where none is free, and gives it back if all went
/// well. One that failed is closed; one that the server has closed while it was idle, or to which it has sent what nobody
/// asked for, is replaced before it is used.
///
/// ```no_run
/// use ant_cache_runtime_std::client::{Pool, PoolOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new("127.0.0.1:8890".parse()?, PoolOptions::default());
/// std::thread::scope(|scope| {
///     for _ in 0..8 {
///         scope.spawn(|| pool.command(&["INCR", "visits"]));
///     }
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pool {
    address: Address,
    options: PoolOptions,
    state: Mutex<State>,
    /// A connection, or the right to make one, has become free.
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The last one was used last.
    idle: Vec<Client>,
    /// Callers that have a connection or make one.
    leased: usize,
}

impl Pool {
    /// A pool without connections; they are made when they are needed.
    #[must_use]
    pub fn new(address: Address, options: PoolOptions) -> Self {
        Self {
            address,
            options,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Where the pool connects to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Connections that wait for use.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    /// Connections that are in use or being made.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.lock().leased
    }

    /// A connection for the caller alone, until it drops the lease.
    ///
    /// # Errors
    /// Those of [`Client::connect`], and [`ErrorKind::TimedOut`] where all connections stayed in use for too long.
    pub fn lease(&self) -> Result<Lease<'_>, ClientError> {
        let mut lease = self.permit()?;
        lease.open()?;
        Ok(lease)
    }

    /// Sends one request over any connection; see [`Client::command`].
    ///
    /// # Errors
    /// Those of [`Pool::lease`] and [`Client::command`].
    pub fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Value, ClientError> {
        self.lease()?.command(args)
    }

    /// Sends all requests together over one connection; see [`Client::pipeline`].
    ///
    /// # Errors
    /// Those of [`Pool::lease`] and [`Client::pipeline`].
    pub fn pipeline<R, A>(&self, requests: &[R]) -> Result<Vec<Value>, ClientError>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.lease()?.pipeline(requests)
    }

    /// The right to a connection, and one that was idle where there is one. What goes wrong here says nothing about
    /// the server.
    pub(super) fn permit(&self) -> Result<Lease<'_>, ClientError> {
        let connections = self.options.connections.max(1);
        let start = Instant::now();
        let mut state = self.lock();
        while state.leased >= connections {
            state = match self.options.lease_timeout {
                None => self
                    .freed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(limit) => {
                    let Some(left) = limit.checked_sub(start.elapsed()) else {
                        let kind = ErrorKind::TimedOut(limit);
                        return Err(ClientError::new(&self.address, None, kind));
                    };
                    let waited = self.freed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.leased += 1;
        Ok(Lease {
            client: state.idle.pop(),
            pool: self,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A list that is only pushed to and popped from is whole, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Client`] of a [`Pool`], until dropped: then it is given back, or closed if a request on it failed. What the
/// caller changed of the connection (HELLO, AUTH, CLIENT SETNAME) stays changed for the next one.
#[derive(Debug)]
pub struct Lease<'p> {
    /// There once it is open.
    client: Option<Client>,
    pool: &'p Pool,
}

impl Lease<'_> {
    /// Makes the connection where there is none, or none that is still good.
    pub(super) fn open(&mut self) -> Result<(), ClientError> {
        if !self.client.as_ref().is_some_and(Client::is_connected) {
            // First the old one goes, or the two would be more than there may be.
            self.client = None;
            let (address, options) = (&self.pool.address, &self.pool.options.client);
            self.client = Some(Client::connect(address.clone(), options.clone())?);
        }
        Ok(())
    }
}

impl Deref for Lease<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
            .as_ref()
            .expect("a lease is open when it is given out")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        self.client
            .as_mut()
            .expect("a lease is open when it is given out")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let client = self.client.take_if(|client| client.connection.is_some());
        let mut state = self.pool.lock();
        state.idle.extend(client);
        state.leased -= 1;
        drop(state);
        self.pool.freed.notify_one();
    }
}
