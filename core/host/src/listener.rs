//! Where clients connect: TCP over IPv4 and IPv6, and Unix sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use ant_cache_core::Origin;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Stream;

/// Connections that the kernel completes while nobody accepts them. A fleet that reconnects at once must not be met
/// with resets; the kernel lowers this to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: String,
    source: io::Error,
}

impl BindError {
    fn new(address: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            address: address.to_string(),
            source,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("the address is in use; is a server running there already?")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str("no network interface has this address"),
            io::ErrorKind::PermissionDenied => f.write_str("permission denied"),
            _ => write!(f, "{}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// All that a server listens on. Dropping it closes them and removes the files of its Unix sockets.
#[derive(Debug, Default)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Listens on a TCP port of `host`: an address, or a name, of which every address is taken that this machine
    /// has. Port 0 takes a free one. `::` alone listens on IPv4 too.
    ///
    /// # Errors
    /// The name is unknown, the address is in use or not of this machine, or the port needs a privilege.
    pub fn tcp(&mut self, host: &str, port: u16) -> Result<(), BindError> {
        let name = || {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        };
        let mut addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![(ip, port).into()],
            Err(_) => (host, port)
                .to_socket_addrs()
                .map_err(BindError::new(name()))?
                .collect(),
        };
        addresses.sort_unstable();
        addresses.dedup();
        let several = addresses.len() > 1;
        let bound = self.0.len();
        let mut missing = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match bind_tcp(address, several) {
                Ok(listener) => self.0.push(Listener::Tcp(listener)),
                // A name may well have an address of a family that this machine does not have.
                Err(error) if several && is_absent(&error) => missing = error,
                Err(error) => return Err(BindError::new(address)(error)),
            }
        }
        if self.0.len() == bound {
            Err(BindError::new(name())(missing))
        } else {
            Ok(())
        }
    }

    /// Listens on a Unix socket. A file left by a server that died is replaced.
    ///
    /// # Errors
    /// A server listens there, the file is no socket, or it cannot be made.
    pub fn unix(&mut self, path: impl Into<PathBuf>) -> Result<(), BindError> {
        let path = path.into();
        let listener = UnixFile::bind(&path).map_err(BindError::new(path.display()))?;
        self.0.push(Listener::Unix(listener));
        Ok(())
    }

    /// The listeners, in the order in which they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = &Listener> {
        self.0.iter()
    }

    /// The TCP port, which the system may have chosen; 0 where there is none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let address = self.iter().find_map(Listener::address);
        address.map_or(0, |address| address.port())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One address that is listened on. Accepting never waits; its descriptor is readable when there is one to accept.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixFile),
}

impl Listener {
    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// `WouldBlock` where nobody waits; else see [`Acceptor`](crate::lane::Acceptor), which judges them.
    pub fn accept(&self) -> io::Result<(Stream, Origin)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept()?;
                Ok((Stream::tcp(stream)?, Origin::Tcp(from)))
            }
            Self::Unix(file) => {
                let stream = file.listener.accept()?.0;
                Ok((Stream::unix(stream), Origin::Unix))
            }
        }
    }

    /// The TCP address, with the port that was chosen; `None` for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(_) => f.write_str("tcp"),
            },
            Self::Unix(file) => write!(f, "{}", file.path.display()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(file) => file.listener.as_fd(),
        }
    }
}

fn bind_tcp(address: SocketAddr, several: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // Of a name's addresses each is bound for itself; a lone `::` means every address there is.
        socket.set_only_v6(several)?;
    }
    // A server that restarts need not wait for its predecessor's connections to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn is_absent(error: &io::Error) -> bool {
    // EAFNOSUPPORT: a kernel without IPv6.
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// A listening Unix socket and its file, which goes when this is dropped.
#[derive(Debug)]
pub struct UnixFile {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that was made: another server's file is not ours to remove.
    made: Option<(u64, u64)>,
}

impl UnixFile {
    fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            listener: OwnedFd::from(socket).into(),
            path: path.to_owned(),
            made: identity(path),
        })
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            // Gone already, or the directory became read-only: nothing that could be done about it here.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Removes a socket file on which nobody listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the file exists and is no socket",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        // A full backlog answers too that somebody listens.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpStream;

    use super::*;

    /// A directory of its own for each test, removed with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("ant-cache-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn first(listeners: &Listeners) -> SocketAddr {
        listeners.iter().next().unwrap().address().unwrap()
    }

    #[test]
    fn a_taken_port_is_named() {
        let mut listeners = Listeners::new();
        listeners.tcp("127.0.0.1", 0).unwrap();
        let address = first(&listeners);
        let error = Listeners::new()
            .tcp("127.0.0.1", address.port())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on {address}: the address is in use; is a server running there already?"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let error = Listeners::new().tcp("192.0.2.1", 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot listen on 192.0.2.1:0: no network interface has this address"
        );
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        let error = Listeners::new().tcp("not a host", 1).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot listen on not a host:1: "),
            "{error}"
        );
    }

    #[test]
    fn a_name_listens_on_what_it_has() {
        let mut listeners = Listeners::new();
        listeners.tcp("localhost", 0).unwrap();
        assert!(
            listeners
                .iter()
                .all(|listener| listener.address().unwrap().ip().is_loopback())
        );
    }

    #[test]
    fn accepted_sockets_are_set_up() {
        let mut listeners = Listeners::new();
        listeners.tcp("127.0.0.1", 0).unwrap();
        let listener = listeners.iter().next().unwrap();
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let client = TcpStream::connect(first(&listeners)).unwrap();
        let (stream, from) = listener.accept().unwrap();
        assert_eq!(from, Origin::Tcp(client.local_addr().unwrap()));
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    }

    #[test]
    fn a_refused_client_reads_why() {
        let mut listeners = Listeners::new();
        listeners.tcp("127.0.0.1", 0).unwrap();
        let mut client = TcpStream::connect(first(&listeners)).unwrap();
        listeners
            .iter()
            .next()
            .unwrap()
            .accept()
            .unwrap()
            .0
            .refuse(b"-ERR no\r\n");
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, "-ERR no\r\n");
    }

    #[test]
    fn a_socket_file_comes_and_goes() {
        let dir = Dir::new("comes");
        let path = dir.0.join("s");
        let mut listeners = Listeners::new();
        listeners.unix(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        assert!(listeners.iter().next().unwrap().accept().is_ok());
        let error = Listeners::new().unix(&path).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        assert!(
            path.exists(),
            "a refused second server leaves the first one's file"
        );
        drop(listeners);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_file_is_replaced() {
        let dir = Dir::new("stale");
        let path = dir.0.join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Listeners::new().unix(&path).unwrap();
    }

    #[test]
    fn another_file_is_left_alone() {
        let dir = Dir::new("file");
        let path = dir.0.join("s");
        std::fs::write(&path, "precious").unwrap();
        let error = Listeners::new().unix(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the file exists and is no socket"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert!(Listeners::new().unix(dir.0.join("missing/s")).is_err());
    }
}
