//! The asynchronous client.
//!
//! A [`Client`] is one connection that speaks RESP, a [`Pool`] as many as its callers need at a time. Their futures run
//! on any executor: sockets and timers are those of `async-io`, which has a thread of its own where the executor does
//! not drive it. Over a stream of the program's own runtime, a client is made by [`Client::over`].
//!
//! Every wait is bounded ([`ClientOptions`]), and every future may be dropped at any time. A request that fails or is
//! dropped half way closes its connection, so that its late reply is never taken for that of the next request.
//!
//! ```no_run
//! use ant_cache_core::client::Value;
//! use ant_cache_runtime_smol::client::{Client, ClientOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let mut client = Client::connect("127.0.0.1:8890".parse()?, ClientOptions::default()).await?;
//!     client.command(&["SET", "greeting", "hello"]).await?;
//!     assert_eq!(client.command(&["GET", "greeting"]).await?, Value::Bulk(b"hello".to_vec()));
//!     // Two requests, one way to the server and back.
//!     let replies = client.pipeline(&[["INCR", "visits"], ["INCR", "visits"]]).await?;
//!     assert_eq!(replies, [Value::Integer(1), Value::Integer(2)]);
//!     Ok(())
//! })
//! # }
//! ```

mod deadline;
mod pool;
mod transport;
mod turnstile;

use std::fmt;

use ant_cache_core::client::{Decoder, Value};
use ant_cache_host::client::{Replies, Requests};
use futures_io::{AsyncRead, AsyncWrite};
use transport::Transport;

pub use ant_cache_host::client::{
    Address, AddressError, ClientError, ClientOptions, ErrorKind, Protocol,
};
pub use pool::{Lease, Pool, PoolOptions};

/// One connection that speaks RESP.
pub struct Client {
    address: Address,
    options: ClientOptions,
    /// Nothing after a failure, and while a request is under way: its future holds it, and it ends with that.
    connection: Option<Connection>,
}

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
    pub async fn connect(address: Address, options: ClientOptions) -> Result<Self, ClientError> {
        let mut client = Self {
            address,
            options,
            connection: None,
        };
        client.reconnect().await?;
        Ok(client)
    }

    /// A client over a stream that is connected already, as of another runtime or through TLS. `address` names the
    /// server in errors, and is where [`Client::reconnect`] goes, by a plain connection.
    ///
    /// ```
    /// use ant_cache_core::client::Value;
    /// use ant_cache_runtime_smol::client::{Client, ClientOptions};
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ours, mut server) = UnixStream::pair()?;
    /// server.write_all(b"+PONG\r\n")?;
    /// let stream = smol::Async::new(ours)?;
    /// smol::block_on(async {
    ///     let address = "/tmp/not-used.sock".parse()?;
    ///     let mut client = Client::over(stream, address, ClientOptions::default()).await?;
    ///     assert_eq!(client.command(&["PING"]).await?, Value::Status(b"PONG".to_vec()));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        address: Address,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let transport = Transport::over(Box::new(stream), &options);
        let mut client = Self {
            address,
            options,
            connection: None,
        };
        client.greet(transport).await?;
        Ok(client)
    }

    /// Replaces the connection, whether it still lives or not, by a new one to the same address.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn reconnect(&mut self) -> Result<(), ClientError> {
        self.connection = None;
        let transport = Transport::connect(&self.address, &self.options)
            .await
            .map_err(|error| ClientError::new(&self.address, None, ErrorKind::Connect(error)))?;
        self.greet(transport).await
    }

    /// Begins a connection. It is this client's only once the server has agreed.
    async fn greet(&mut self, transport: Transport) -> Result<(), ClientError> {
        let mut connection = Connection {
            transport,
            decoder: Decoder::new(self.options.limits),
        };
        if let Some(greeting) = self.options.greeting() {
            let name = Some(greeting[0].as_bytes());
            let error = |kind| ClientError::new(&self.address, name, kind);
            let requests = Requests::encode([&greeting[..]].into_iter()).map_err(error)?;
            let mut replies = connection.exchange(&requests).await.map_err(error)?;
            if let Some(Value::Error(message)) = replies.pop() {
                return Err(error(ErrorKind::Reply(message)));
            }
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Where the client connects to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether there is a connection that a request can use: not after a request that failed or was dropped, nor if the
    /// server is known to have closed it, or has sent what nobody asked for, which would be taken for the next request's
    /// reply. It asks the system, not the server: one that has just vanished shows at the next request.
    #[must_use]
    pub fn is_connected(&mut self) -> bool {
        // What has arrived unasked makes the connection useless, so that it may be read by this look.
        self.connection
            .take_if(|connection| !connection.transport.is_open());
        self.connection.is_some()
    }

    /// Whether no request failed or was dropped, without a look at the system.
    fn has_connection(&self) -> bool {
        self.connection.is_some()
    }

    /// Sends one request, the command's name first, and waits for its reply.
    ///
    /// Dropping the future half way closes the connection. The server may or may not have executed the command.
    ///
    /// # Errors
    /// [`ErrorKind::Reply`] where the server answers with an error: the connection is as good as before. After any
    /// other error, and after a future that was dropped, it is closed, and every further request fails with
    /// [`ErrorKind::NotConnected`] until [`Client::reconnect`].
    pub async fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, ClientError> {
        let mut replies = self.exchange(std::iter::once(args)).await?;
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
    pub async fn pipeline<R, A>(&mut self, requests: &[R]) -> Result<Vec<Value>, ClientError>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.exchange(requests.iter().map(AsRef::as_ref)).await
    }

    async fn exchange<'a, A: AsRef<[u8]> + 'a>(
        &mut self,
        requests: impl Iterator<Item = &'a [A]> + Clone,
    ) -> Result<Vec<Value>, ClientError> {
        let first = requests.clone().next().unwrap_or_default();
        let requests = Requests::encode(requests).map_err(|kind| self.error(first, kind))?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        // Taken out: it is put back only if every reply has come. A future that is dropped meanwhile takes it along.
        let Some(mut connection) = self.connection.take() else {
            return Err(self.error(first, ErrorKind::NotConnected));
        };
        match connection.exchange(&requests).await {
            Ok(replies) => {
                self.connection = Some(connection);
                Ok(replies)
            }
            Err(kind) => Err(self.error(first, kind)),
        }
    }

    fn error<A: AsRef<[u8]>>(&self, args: &[A], kind: ErrorKind) -> ClientError {
        ClientError::new(&self.address, args.first().map(AsRef::as_ref), kind)
    }
}

impl Connection {
    async fn exchange(&mut self, requests: &Requests) -> Result<Vec<Value>, ErrorKind> {
        let mut replies = Replies::new(&mut self.decoder, requests);
        self.transport
            .exchange(requests.bytes(), |bytes| replies.take(bytes))
            .await?;
        Ok(replies.into_values())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .field("connected", &self.connection.is_some())
            .finish_non_exhaustive()
    }
}
