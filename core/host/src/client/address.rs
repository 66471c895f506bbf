//! Where a server listens.

use core::error::Error;
use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;
use std::path::PathBuf;

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host, by name or number, and a TCP port.
    Tcp {
        /// A name, or an IPv4 or IPv6 address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The port of a server that was told none.
    pub const DEFAULT_PORT: u16 = 8890;

    /// Whether the server runs on this machine, as far as the address tells: a Unix socket, `localhost`, or a
    /// loopback address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost"
                    || host
                        .parse()
                        .is_ok_and(|ip: core::net::IpAddr| ip.is_loopback())
            }
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl Display for AddressError {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(
            f,
            "'{}' is no address: HOST, HOST:PORT, [IPV6]:PORT or /PATH of a Unix socket",
            self.0
        )
    }
}

impl Error for AddressError {}

/// Reads `host`, `host:port`, `[::1]:port`, `::1`, `/path` or `unix:path`.
impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text
            .strip_prefix("unix:")
            .or(text.starts_with('/').then_some(text))
        {
            return Ok(Self::Unix(path.into()));
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
            // More than one colon and no brackets: a bare IPv6 address.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = port.map_or(Ok(Self::DEFAULT_PORT), str::parse);
        match port {
            Ok(port) if !host.is_empty() => Ok(Self::Tcp {
                host: host.into(),
                port,
            }),
            _ => Err(AddressError(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn every_form_is_read_and_shown() {
        for (text, address, shown) in [
            ("localhost", tcp("localhost", 8890), "localhost:8890"),
            ("10.0.0.1:6379", tcp("10.0.0.1", 6379), "10.0.0.1:6379"),
            ("[::1]:7", tcp("::1", 7), "[::1]:7"),
            ("[::1]", tcp("::1", 8890), "[::1]:8890"),
            ("fe80::1", tcp("fe80::1", 8890), "[fe80::1]:8890"),
            (
                "/run/ant.sock",
                Address::Unix("/run/ant.sock".into()),
                "/run/ant.sock",
            ),
            (
                "unix:ant.sock",
                Address::Unix("ant.sock".into()),
                "ant.sock",
            ),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()), "{text}");
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in ["", ":80", "host:", "host:65536", "host:x", "[::1]x"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("'{text}'")),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_local() {
        for (text, local) in [
            ("127.0.0.2:1", true),
            ("[::1]", true),
            ("localhost", true),
            ("/x", true),
            ("10.1.1.1", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_local(), local, "{text}");
        }
    }
}
