//! The connection of the shell: made when it is needed, and again after it was lost.

use ant_cache_core::client::Value;
use ant_cache_runtime_std::client::{
    Address, Client, ClientError, ClientOptions, ErrorKind, TextClient,
};

/// A reply, in the words of its dialect.
#[derive(Debug)]
pub(super) enum Reply {
    Value(Value),
    /// One line, or several joined by LF.
    Text(Vec<u8>),
}

impl Reply {
    pub(super) fn is_error(&self) -> bool {
        match self {
            Self::Value(value) => value.error().is_some(),
            Self::Text(text) => text.starts_with(b"ERROR "),
        }
    }
}

#[derive(Debug)]
pub(super) struct Session {
    address: Address,
    options: ClientOptions,
    text: bool,
    link: Option<Link>,
}

#[derive(Debug)]
enum Link {
    Resp(Client),
    Text(TextClient),
}

impl Session {
    /// A session that is not yet connected; it speaks the text dialect or RESP.
    pub(super) fn new(address: Address, options: ClientOptions, text: bool) -> Self {
        Self {
            address,
            options,
            text,
            link: None,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether there is a connection, as far as can be told without sending something.
    pub(super) fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_connected)
    }

    /// Connects, unless there is a connection.
    pub(super) fn connect(&mut self) -> Result<(), ClientError> {
        self.link().map(|_| ())
    }

    /// Sends a request, over a new connection if there is none, and waits for its reply.
    ///
    /// A request that fails is not sent again: it may have been carried out.
    pub(super) fn ask(&mut self, args: &[Vec<u8>]) -> Result<Reply, ClientError> {
        match self.link()? {
            Link::Text(client) => client.command(args).map(Reply::Text),
            Link::Resp(client) => match client.command(args) {
                Ok(value) => Ok(Reply::Value(value)),
                Err(error) => match error.kind() {
                    ErrorKind::Reply(message) => Ok(Reply::Value(Value::Error(message.clone()))),
                    _ => Err(error),
                },
            },
        }
    }

    /// Sends a request and hands each reply to `take` until that returns false.
    pub(super) fn watch(
        &mut self,
        args: &[Vec<u8>],
        mut take: impl FnMut(&Reply) -> bool,
    ) -> Result<(), ClientError> {
        match self.link()? {
            Link::Text(client) => client.watch(args, |line| take(&Reply::Text(line.to_vec()))),
            Link::Resp(client) => client.watch(args, |value| take(&Reply::Value(value))),
        }
    }

    fn link(&mut self) -> Result<&mut Link, ClientError> {
        let link = match self.link.take().filter(Link::is_connected) {
            Some(link) => link,
            None => {
                let (address, options) = (self.address.clone(), self.options.clone());
                if self.text {
                    Link::Text(TextClient::connect(address, options)?)
                } else {
                    Link::Resp(Client::connect(address, options)?)
                }
            }
        };
        Ok(self.link.insert(link))
    }
}

impl Link {
    fn is_connected(&self) -> bool {
        match self {
            Self::Resp(client) => client.is_connected(),
            Self::Text(client) => client.is_connected(),
        }
    }
}
