//! Connecting to the server, and what it says of itself.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use ant_cache_runtime_std::client::{Address, Client, ClientOptions, TextClient};
use rustix::fd::OwnedFd;

use super::wire::Dialect;

/// The server's address, looked up once.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Target {
    /// The first address of the host that accepts a connection.
    pub(super) fn find(address: &Address, patience: Duration) -> io::Result<Self> {
        let (host, port) = match address {
            Address::Unix(path) => {
                let target = Self::Unix(path.clone());
                return target.connect(patience).map(|_| target);
            }
            Address::Tcp { host, port } => (host.as_str(), *port),
        };
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match Self::Tcp(address).connect(patience) {
                Ok(_) => return Ok(Self::Tcp(address)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A connection that does not block.
    pub(super) fn connect(&self, patience: Duration) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, patience)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                stream.into()
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                stream.into()
            }
        })
    }

    /// The process that serves, if it runs on this machine and says so: `process_id` of INFO, `pid` of memcached's
    /// stats. A server that does not answer these is none the worse for it.
    pub(super) fn server_pid(
        &self,
        dialect: Dialect,
        address: &Address,
        password: Option<&str>,
    ) -> Option<u32> {
        if !address.is_local() {
            return None;
        }
        let patience = Duration::from_secs(1);
        let options = ClientOptions {
            read_timeout: Some(patience),
            password: password.map(str::to_owned),
            ..ClientOptions::default()
        };
        let text = match dialect {
            Dialect::Resp => {
                let mut client = Client::connect(address.clone(), options).ok()?;
                client
                    .command(&["INFO", "server"])
                    .ok()?
                    .as_bytes()?
                    .to_vec()
            }
            Dialect::Text => {
                let mut client = TextClient::connect(address.clone(), options).ok()?;
                client.command(&["INFO", "server"]).ok()?
            }
            Dialect::Memcached => self.memcached_stats(patience).ok()?,
        };
        let text = String::from_utf8(text).ok()?;
        let mut fields = text.lines();
        let pid = fields.find_map(|line| {
            line.strip_prefix("process_id:")
                .or_else(|| line.strip_prefix("STAT pid "))
        })?;
        pid.trim().parse().ok()
    }

    fn memcached_stats(&self, patience: Duration) -> io::Result<Vec<u8>> {
        let Self::Tcp(address) = self else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut stream = TcpStream::connect_timeout(address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"stats\r\nquit\r\n")?;
        let mut stats = Vec::new();
        stream.take(64 << 10).read_to_end(&mut stats)?;
        Ok(stats)
    }
}
