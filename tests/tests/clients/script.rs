//! Servers that answer by script.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ant_cache_core::client::Value;
use ant_cache_host::client::{Address, ClientOptions};

/// A server whose connections, one after the other, are handled by the given scripts.
pub(crate) fn server<const N: usize>(
    scripts: [fn(&mut TcpStream); N],
) -> (Address, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let thread = thread::spawn(move || {
        for script in scripts {
            let (mut stream, _) = listener.accept().unwrap();
            script(&mut stream);
        }
    });
    (address, thread)
}

/// Reads exactly these bytes.
pub(crate) fn expect(stream: &mut impl Read, request: &[u8]) {
    let mut got = vec![0; request.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(
        got.escape_ascii().to_string(),
        request.escape_ascii().to_string()
    );
}

/// Says nothing until the client has gone.
pub(crate) fn silent(stream: &mut TcpStream) {
    let mut sink = Vec::new();
    let _ = stream.read_to_end(&mut sink);
}

/// Options of who waits 20 ms.
pub(crate) fn impatient() -> ClientOptions {
    let limit = Some(Duration::from_millis(20));
    ClientOptions {
        read_timeout: limit,
        write_timeout: limit,
        ..ClientOptions::default()
    }
}

/// A request as the clients write it.
pub(crate) const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// A reply that is a status.
pub(crate) fn status(text: impl Into<Vec<u8>>) -> Value {
    Value::Status(text.into())
}
