//! What the clients of all runtimes share: addresses, options, errors, and the two ends of an exchange, without I/O.

mod address;
mod error;
mod exchange;

use core::time::Duration;

use ant_cache_core::client::ReplyLimits;

pub use address::{Address, AddressError};
pub use error::{ClientError, ErrorKind};
pub use exchange::{PackedReplies, Replies, Requests};

/// How a client connects, and how long it waits.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The longest wait for each address of the host to accept. Default 5 s; `None` waits for ever.
    pub connect_timeout: Option<Duration>,
    /// The longest wait from the moment a request (or a whole pipeline) is sent until its last reply is complete.
    /// Default 10 s; `None` waits for ever.
    pub read_timeout: Option<Duration>,
    /// The longest time in which the server takes no byte of a request. Default 10 s; `None` waits for ever.
    pub write_timeout: Option<Duration>,
    /// Blocking clients: how long a thread asks again and again for a reply before it sleeps. To wake a thread takes
    /// longer than a near server takes to answer. One thread of a process polls at a time; it lets others have the core,
    /// and polls rarely where they want it or replies come later than that. Default 0: it sleeps at once. At most 1 ms;
    /// more counts as that.
    pub busy_poll: Duration,
    /// Sent by AUTH first.
    pub password: Option<String>,
    /// The version of RESP. Default 2, which every server speaks.
    pub protocol: Protocol,
    /// How large a reply may be.
    pub limits: ReplyLimits,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(Duration::from_secs(10)),
            write_timeout: Some(Duration::from_secs(10)),
            busy_poll: Duration::ZERO,
            password: None,
            protocol: Protocol::Resp2,
            limits: ReplyLimits::default(),
        }
    }
}

/// A version of RESP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The one without maps, doubles and pushes.
    #[default]
    Resp2,
    /// The one that HELLO 3 switches to.
    Resp3,
}

impl ClientOptions {
    /// The request to begin a connection with: password and version. Nothing where the server needs no telling.
    #[must_use]
    pub fn greeting(&self) -> Option<Vec<&str>> {
        match (self.protocol, self.password.as_deref()) {
            (Protocol::Resp2, None) => None,
            (Protocol::Resp2, Some(password)) => Some(vec!["AUTH", password]),
            (Protocol::Resp3, None) => Some(vec!["HELLO", "3"]),
            (Protocol::Resp3, Some(password)) => {
                Some(vec!["HELLO", "3", "AUTH", "default", password])
            }
        }
    }
}
