//! What can go wrong between a client and its server.

use super::Address;
use ant_cache_core::client::DecodeError;
use core::error::Error;
use core::fmt::{Display, Formatter, Result};
use core::time::Duration;
use std::io;

/// A request that failed: where, at which command, and why.
#[derive(Debug)]
pub struct ClientError {
    address: Address,
    /// The command's name; its arguments may be secret and are not kept.
    command: Option<String>,
    kind: ErrorKind,
}

/// Why a request failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection could be made.
    Connect(io::Error),
    /// The connection broke.
    Io(io::Error),
    /// The server closed the connection before its reply was complete.
    ClosedByServer,
    /// The server took no byte of the request, or sent no complete reply, for so long.
    TimedOut(Duration),
    /// The connection was closed after an earlier failure.
    NotConnected,
    /// The server answered with this error. The only kind that leaves the connection open.
    Reply(Vec<u8>),
    /// The server sent something that is no reply.
    Decode(DecodeError),
    /// The server sent more replies than it had requests.
    Unasked,
    /// The caller gave a request without a command; nothing was sent.
    NoArguments,
}

impl ClientError {
    /// The failure of a request, or of a connection where there is no command yet.
    #[must_use]
    pub fn new(address: &Address, command: Option<&[u8]>, kind: ErrorKind) -> Self {
        // Names are short; what is not came from someone's data.
        let command = command.map(|name| name[..name.len().min(32)].escape_ascii().to_string());
        Self {
            address: address.clone(),
            command,
            kind,
        }
    }

    /// Where the request went.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The name of the command (the first one of a pipeline); nothing where connecting failed.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What went wrong, without where.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        self.kind
    }
}

impl Display for ClientError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}: ", self.address)?;
        if let Some(command) = &self.command {
            write!(f, "{command}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ErrorKind::Connect(error) | ErrorKind::Io(error) => Some(error),
            ErrorKind::Decode(error) => Some(error),
            _ => None,
        }
    }
}

impl Display for ErrorKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Io(error) => write!(f, "connection lost: {error}"),
            Self::ClosedByServer => f.write_str("the server closed the connection"),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::NotConnected => f.write_str("not connected, since an earlier request failed"),
            Self::Reply(message) => f.write_str(&String::from_utf8_lossy(message)),
            Self::Decode(error) => write!(f, "not understood: {error}"),
            Self::Unasked => f.write_str("the server sent a reply that nobody asked for"),
            Self::NoArguments => f.write_str("a request needs at least the name of a command"),
        }
    }
}

impl From<DecodeError> for ErrorKind {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
