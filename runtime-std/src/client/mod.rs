//! The blocking client.
//!
//! A [`Client`] is one connection that speaks RESP. Every wait is bounded ([`ClientOptions`]). A request that fails
//! half way closes the connection, so that its late reply is never taken for that of the next request;
//! [`Client::reconnect`] makes a new one. A [`TextClient`] is the same for the text dialect, a [`Pool`] as many
//! connections as its callers need at a time, and a [`ShardedClient`] one client of many servers.
//!
//! ```no_run
//! use ant_cache_core::client::Value;
//! use ant_cache_runtime_std::client::{Client, ClientOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::connect("127.0.0.1:8890".parse()?, ClientOptions::default())?;
//! client.command(&["SET", "greeting", "hello"])?;
//! assert_eq!(client.command(&["GET", "greeting"])?, Value::Bulk(b"hello".to_vec()));
//! # Ok(())
//! # }
//! ```

mod fan_out;
mod pool;
mod sharded;
mod text;
mod transport;

use ant_cache_core::client::{Decoder, Value};
use ant_cache_host::client::Replies;
use transport::Transport;

pub use ant_cache_host::client::{
    Address, AddressError, ClientError, ClientOptions, ErrorKind, PackedReplies, Protocol, Requests,
};
pub use fan_out::fan_out;
pub use pool::{Lease, Pool, PoolOptions};
pub use sharded::{NodeStats, OnNodeDown, ShardedClient, ShardedError, ShardedOptions};
pub use text::TextClient;

/// One connection that speaks RESP.
#[derive(Debug)]
pub struct Client {
    address: Address,
    options: ClientOptions,
    /// Nothing after a failure.
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    transport: Transport,
    decoder: Decoder,
}

impl Client {
    /// Connects, authenticates if there is a password, and switches to RESP 3 if asked to.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] where nothing listens, [`ErrorKind::Reply`] where the server refuses the password or
    /// the version, and those of [`Client::command`].
    pub fn connect(address: Address, options: ClientOptions) -> Result<Self, ClientError> {
        let mut client = Self {
            address,
            options,
            connection: None,
        };
        client.reconnect()?;
        Ok(client)
    }

    /// Replaces the connection, whether it still lives or not, by a new one to the same address.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn reconnect(&mut self) -> Result<(), ClientError> {
        self.connection = None;
        let transport = Transport::connect(&self.address, &self.options)
            .map_err(|error| ClientError::new(&self.address, None, ErrorKind::Connect(error)))?;
        self.connection = Some(Connection {
            transport,
            decoder: Decoder::new(self.options.limits),
        });
        let greeted = self.greet();
        if greeted.is_err() {
            self.connection = None;
        }
        greeted
    }

    fn greet(&mut self) -> Result<(), ClientError> {
        match self.options.clone().greeting() {
            None => Ok(()),
            Some(greeting) => self.command(&greeting).map(|_| ()),
        }
    }

    /// Where the client connects to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether there is a connection that a request can use: not after a request that failed, nor if the server is known
    /// to have closed it, or has sent what nobody asked for, which would be taken for the next request's reply.
    /// It asks the system, not the server: one that has just vanished shows at the next request.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.transport.is_open())
    }

    /// Sends one request, the command's name first, and waits for its reply.
    ///
    /// # Errors
    /// [`ErrorKind::Reply`] where the server answers with an error: the connection is as good as before. After any
    /// other error it is closed, and every further request fails with [`ErrorKind::NotConnected`] until
    /// [`Client::reconnect`].
    pub fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, ClientError> {
        let mut replies = self.exchange(core::iter::once(args))?;
        match replies.pop() {
            Some(Value::Error(message)) => Err(self.error(args, ErrorKind::Reply(message))),
            Some(value) => Ok(value),
            None => Err(self.error(args, ErrorKind::NoArguments)),
        }
    }

    /// Sends all requests together and waits for all replies, which come in the same order. An error that the server
    /// answers to one of them is a [`Value::Error`] in its place.
    ///
    /// However long the pipeline, it does not block itself: replies are taken while requests are still being sent.
    ///
    /// # Errors
    /// As [`Client::command`], except for [`ErrorKind::Reply`].
    pub fn pipeline<R, A>(&mut self, requests: &[R]) -> Result<Vec<Value>, ClientError>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.exchange(requests.iter().map(AsRef::as_ref))
    }

    /// Sends requests that are encoded already, and waits for all replies, as [`Client::pipeline`].
    ///
    /// # Errors
    /// As [`Client::pipeline`].
    pub fn run(&mut self, requests: &Requests) -> Result<Vec<Value>, ErrorKind> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        self.with_connection(|connection| {
            let mut replies = Replies::new(&mut connection.decoder, requests);
            let transport = &mut connection.transport;
            transport.exchange(requests.bytes(), |bytes| replies.take(bytes))?;
            Ok(replies.into_values())
        })
    }

    /// [`run`](Self::run), for who makes something else of the replies: their strings are not allocated one by one.
    ///
    /// # Errors
    /// As [`Client::pipeline`].
    pub fn run_packed(&mut self, requests: &Requests) -> Result<PackedReplies, ErrorKind> {
        let mut replies = PackedReplies::new(requests, self.options.limits);
        if !requests.is_empty() {
            self.with_connection(|connection| {
                let transport = &mut connection.transport;
                transport.exchange(requests.bytes(), |bytes| replies.take(bytes))
            })?;
        }
        Ok(replies)
    }

    /// Closes the connection unless every reply has come.
    fn with_connection<T>(
        &mut self,
        exchange: impl FnOnce(&mut Connection) -> Result<T, ErrorKind>,
    ) -> Result<T, ErrorKind> {
        let mut connection = self.connection.take().ok_or(ErrorKind::NotConnected)?;
        let done = exchange(&mut connection)?;
        self.connection = Some(connection);
        Ok(done)
    }

    /// Sends a request and hands each reply to `take` until that returns false. For MONITOR, which has a reply for each
    /// request of others. The connection is closed afterwards.
    ///
    /// # Errors
    /// As [`Client::command`], except for [`ErrorKind::Reply`]; the server's end of the connection is one.
    pub fn watch<A: AsRef<[u8]>>(
        &mut self,
        args: &[A],
        mut take: impl FnMut(Value) -> bool,
    ) -> Result<(), ClientError> {
        let mut watch = || {
            let requests = Requests::encode(core::iter::once(args))?;
            let Connection {
                mut transport,
                mut decoder,
            } = self.connection.take().ok_or(ErrorKind::NotConnected)?;
            transport.exchange(requests.bytes(), |mut bytes| {
                while let Some(value) = decoder.decode(&mut bytes)? {
                    if !take(value) {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
        };
        let watched: Result<(), ErrorKind> = watch();
        watched.map_err(|kind| self.error(args, kind))
    }

    /// Has `give_up` asked whenever a signal interrupts a wait for the server; where it says true, the request fails
    /// with an [`ErrorKind::Io`] of the kind `Interrupted`, and the connection is closed. Without it waits go on.
    /// It holds for this connection, not for those that [`Client::reconnect`] makes.
    pub fn on_interrupt(&mut self, give_up: fn() -> bool) {
        if let Some(connection) = &mut self.connection {
            connection.transport.on_interrupt(give_up);
        }
    }

    fn exchange<'a, A: AsRef<[u8]> + 'a>(
        &mut self,
        requests: impl Iterator<Item = &'a [A]> + Clone,
    ) -> Result<Vec<Value>, ClientError> {
        let first = requests.clone().next().unwrap_or_default();
        Requests::encode(requests)
            .and_then(|requests| self.run(&requests))
            .map_err(|kind| self.error(first, kind))
    }

    fn error<A: AsRef<[u8]>>(&self, args: &[A], kind: ErrorKind) -> ClientError {
        ClientError::new(&self.address, args.first().map(AsRef::as_ref), kind)
    }
}
