//! As many connections as there are callers at a time, up to a bound.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ant_cache_core::client::Value;
use async_io::Timer;
use futures_lite::future::or;

use super::turnstile::{Permit, Turnstile};
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

/// Connections to one server, shared by reference among tasks.
///
/// Callers who find all connections in use get theirs in the order in which they came.
///
/// A request takes the connection that was last used, or makes one where none is free, and gives it back if all went
/// well. One that failed, or whose future was dropped half way, is closed; one that the server has closed while it was
/// idle is replaced before it is used.
///
/// ```no_run
/// use ant_cache_runtime_smol::client::{Pool, PoolOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new("127.0.0.1:8890".parse()?, PoolOptions::default());
/// smol::block_on(async {
///     let visits = pool.command(&["INCR", "visits"]);
///     let users = pool.command(&["INCR", "users"]);
///     // At the same time, over two connections.
///     let (visits, users) = smol::future::zip(visits, users).await;
///     println!("{:?}, {:?}", visits?, users?);
///     Ok(())
/// })
/// # }
/// ```
pub struct Pool {
    address: Address,
    options: PoolOptions,
    /// The last one was used last.
    idle: Mutex<Vec<Client>>,
    /// Lets as many in as there may be connections.
    turnstile: Turnstile,
}

impl Pool {
    /// A pool without connections; they are made when they are needed.
    #[must_use]
    pub fn new(address: Address, options: PoolOptions) -> Self {
        Self {
            turnstile: Turnstile::new(options.connections.max(1)),
            idle: Mutex::new(Vec::new()),
            address,
            options,
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
        self.connections().len()
    }

    /// A connection for the caller alone, until it drops the lease.
    ///
    /// # Errors
    /// Those of [`Client::connect`], and [`ErrorKind::TimedOut`] where all connections stayed in use for too long.
    pub async fn lease(&self) -> Result<Lease<'_>, ClientError> {
        let permit = or(async { Ok(self.turnstile.enter().await) }, self.too_late()).await?;
        let client = loop {
            let idle = self.connections().pop();
            let Some(mut client) = idle else {
                let (address, options) = (self.address.clone(), self.options.client.clone());
                break Client::connect(address, options).await?;
            };
            if client.is_connected() {
                break client;
            }
        };
        Ok(Lease {
            client: Some(client),
            pool: self,
            _permit: permit,
        })
    }

    /// Sends one request over any connection; see [`Client::command`].
    ///
    /// # Errors
    /// Those of [`Pool::lease`] and [`Client::command`].
    pub async fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Value, ClientError> {
        self.lease().await?.command(args).await
    }

    /// Sends all requests together over one connection; see [`Client::pipeline`].
    ///
    /// # Errors
    /// Those of [`Pool::lease`] and [`Client::pipeline`].
    pub async fn pipeline<R, A>(&self, requests: &[R]) -> Result<Vec<Value>, ClientError>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.lease().await?.pipeline(requests).await
    }

    async fn too_late<T>(&self) -> Result<T, ClientError> {
        match self.options.lease_timeout {
            None => std::future::pending().await,
            Some(limit) => {
                Timer::after(limit).await;
                let kind = ErrorKind::TimedOut(limit);
                Err(ClientError::new(&self.address, None, kind))
            }
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Client>> {
        // A list that is only pushed to and popped from is whole, whoever panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("address", &self.address)
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

/// A [`Client`] of a [`Pool`], until dropped: then it is given back, or closed if a request on it failed or was dropped
/// half way. What the caller changed of the connection (HELLO, AUTH, CLIENT SETNAME) stays changed for the next one.
#[derive(Debug)]
pub struct Lease<'p> {
    /// There until the lease is dropped.
    client: Option<Client>,
    pool: &'p Pool,
    // Declared last: fields drop in order, and the connection is back in the pool when the next caller may take it.
    _permit: Permit<'p>,
}

impl Deref for Lease<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
            .as_ref()
            .expect("a lease has its client until it is dropped")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        self.client
            .as_mut()
            .expect("a lease has its client until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut connections = self.pool.connections();
        connections.extend(self.client.take_if(|client| client.has_connection()));
    }
}
