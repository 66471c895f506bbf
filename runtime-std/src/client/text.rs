//! A connection that speaks the text dialect.

use super::transport::Transport;
use super::{Address, ClientError, ClientOptions, ErrorKind};
use ant_cache_core::client::{DecodeError, LineScanner, encode_line};

/// One connection that speaks the text dialect: a line for a request, a line for a reply.
///
/// It is closed by a failure just as a [`Client`](super::Client) is.
#[derive(Debug)]
pub struct TextClient {
    address: Address,
    options: ClientOptions,
    /// Nothing after a failure.
    transport: Option<Transport>,
}

/// Commands whose reply is many lines, the last one `END`.
const MULTI_LINE: [&str; 3] = ["INFO", "STATS", "HELP"];

impl TextClient {
    /// Connects, and authenticates if there is a password.
    ///
    /// # Errors
    /// As [`Client::connect`](super::Client::connect).
    pub fn connect(address: Address, options: ClientOptions) -> Result<Self, ClientError> {
        let mut client = Self {
            address,
            options,
            transport: None,
        };
        client.reconnect()?;
        Ok(client)
    }

    /// Replaces the connection by a new one to the same address.
    ///
    /// # Errors
    /// As [`TextClient::connect`].
    pub fn reconnect(&mut self) -> Result<(), ClientError> {
        self.transport = None;
        let transport = Transport::connect(&self.address, &self.options)
            .map_err(|error| ClientError::new(&self.address, None, ErrorKind::Connect(error)))?;
        self.transport = Some(transport);
        if let Some(password) = self.options.password.clone() {
            let reply = self.command(&["AUTH", &password])?;
            if let Some(message) = reply.strip_prefix(b"ERROR ") {
                self.transport = None;
                return Err(self.error(b"AUTH", ErrorKind::Reply(message.to_vec())));
            }
        }
        Ok(())
    }

    /// Where the client connects to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether there is a connection, as [`Client::is_connected`](super::Client::is_connected) tells it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_open)
    }

    /// Sends one request, the command's name first, and waits for its reply: a line without its end, as the server
    /// wrote it. For INFO, STATS and HELP it is all lines, joined by LF, without the `END`. A reply that begins with
    /// `ERROR ` is returned like any other.
    ///
    /// # Errors
    /// As [`Client::command`](super::Client::command), except for [`ErrorKind::Reply`].
    pub fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Vec<u8>, ClientError> {
        let Some(name) = args.first().map(AsRef::as_ref) else {
            return Err(ClientError::new(
                &self.address,
                None,
                ErrorKind::NoArguments,
            ));
        };
        let Some(mut transport) = self.transport.take() else {
            return Err(self.error(name, ErrorKind::NotConnected));
        };
        let mut out = Vec::new();
        encode_line(args, &mut out);
        let multi_line = MULTI_LINE
            .iter()
            .any(|many| name.eq_ignore_ascii_case(many.as_bytes()));
        let mut reader = ReplyReader {
            multi_line,
            limit: self.options.limits.bytes,
            ..ReplyReader::default()
        };
        match transport.exchange(&out, |bytes| reader.take(bytes)) {
            Ok(()) => {
                self.transport = Some(transport);
                Ok(reader.reply)
            }
            Err(kind) => Err(self.error(name, kind)),
        }
    }

    /// Sends a request and hands each line to `take`, without its end, until that returns false. For MONITOR; see
    /// [`Client::watch`](super::Client::watch).
    ///
    /// # Errors
    /// As [`Client::watch`](super::Client::watch).
    pub fn watch<A: AsRef<[u8]>>(
        &mut self,
        args: &[A],
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), ClientError> {
        let name = args.first().map(AsRef::as_ref).unwrap_or_default();
        let Some(mut transport) = self.transport.take() else {
            return Err(self.error(name, ErrorKind::NotConnected));
        };
        let mut out = Vec::new();
        encode_line(args, &mut out);
        let (mut lines, mut buffer) = (LineScanner::default(), Vec::new());
        let limit = self.options.limits.bytes;
        let watched = transport.exchange(&out, |bytes| {
            buffer.extend_from_slice(bytes);
            while let Some((len, behind)) = lines.scan(&buffer) {
                if !take(&buffer[..len]) {
                    return Ok(true);
                }
                buffer.drain(..behind);
            }
            if buffer.len() > limit {
                return Err(DecodeError::TooBig.into());
            }
            Ok(false)
        });
        watched.map_err(|kind| self.error(name, kind))
    }

    fn error(&self, name: &[u8], kind: ErrorKind) -> ClientError {
        ClientError::new(&self.address, Some(name), kind)
    }
}

/// Collects the lines of one reply.
#[derive(Default)]
struct ReplyReader {
    multi_line: bool,
    limit: usize,
    lines: LineScanner,
    buffer: Vec<u8>,
    reply: Vec<u8>,
    /// Offset of the first line that is not yet taken.
    start: usize,
    /// Whether a line is taken.
    begun: bool,
}

impl ReplyReader {
    fn take(&mut self, bytes: &[u8]) -> Result<bool, ErrorKind> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > self.limit {
            return Err(DecodeError::TooBig.into());
        }
        while let Some((len, behind)) = self.lines.scan(&self.buffer[self.start..]) {
            let line = &self.buffer[self.start..self.start + len];
            self.start += behind;
            let first = !self.begun;
            let end = self.multi_line && line == b"END";
            if !end {
                if self.begun {
                    self.reply.push(b'\n');
                }
                self.reply.extend_from_slice(line);
                self.begun = true;
            }
            if end || !self.multi_line || (first && line.starts_with(b"ERROR ")) {
                let exact = self.start == self.buffer.len();
                return if exact {
                    Ok(true)
                } else {
                    Err(ErrorKind::Unasked)
                };
            }
        }
        Ok(false)
    }
}
