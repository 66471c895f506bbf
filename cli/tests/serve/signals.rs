//! A server's life from its ready line to its end.

use std::io::{BufRead, Read, Write};
use std::os::unix::net::UnixStream;

use super::child::{Server, scratch};
use rustix::process::Signal;

/// The words that choose a runtime and an architecture.
const SHAPES: [[&str; 4]; 4] = [
    ["--runtime", "std", "--server", "single"],
    ["--runtime", "std", "--server", "pooled"],
    ["--runtime", "smol", "--server", "single"],
    ["--runtime", "smol", "--server", "pooled"],
];

#[test]
fn the_ready_line_tells_address_runtime_architecture_and_size() {
    for (words, shape) in [
        ("--server single", "std, single"),
        ("--workers 3 --lanes 2", "std, pooled, 3 workers, 2 lanes"),
        ("--workers 1 --lanes 2", "std, pooled, 1 worker, 1 lane"),
        (
            "--runtime smol --server single --executor-threads 3",
            "smol, single, 3 executors",
        ),
        (
            "--runtime smol --workers 200 --executor-threads 2",
            "smol, pooled, 200 workers, 2 lanes",
        ),
        (
            "--runtime smol --workers 9 --executor-threads 2 --lanes 3",
            "smol, pooled, 9 workers, 3 lanes",
        ),
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--port", "0"]).collect();
        let server = Server::start(&words);
        let (version, port) = (env!("CARGO_PKG_VERSION"), server.port());
        let line = format!("ant-cache {version} ready on 127.0.0.1:{port} (runtime {shape})\n");
        assert_eq!(server.ready, line);
    }
}

#[test]
fn either_signal_ends_it_in_good_order() {
    let signals = [Signal::TERM, Signal::INT].into_iter().cycle();
    for (signal, shape) in signals.zip(SHAPES) {
        let mut server = Server::start(&[&shape[..], &["--port", "0"]].concat());
        let mut client = server.connect();
        // The reply shows that the server has the connection.
        client.write_all(b"PING\n").unwrap();
        client.read_exact(&mut [0]).unwrap();
        server.signal(signal);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn a_unix_socket_is_served_and_removed() {
    let path = scratch("signals.sock");
    let name = path.to_str().unwrap();
    let mut server = Server::start(&["--port", "0", "--server", "single", "--unix-socket", name]);
    assert!(
        server.ready.contains(&format!(" and {name} (")),
        "{}",
        server.ready
    );
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"PING\n").unwrap();
    client.read_exact(&mut [0]).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn it_outlives_whoever_read_its_log() {
    let mut server = Server::start(&["--port", "0", "--server", "single"]);
    drop(server.log.take());
    // Stopping is logged.
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

/// A client that takes nothing keeps a stopping server busy until the grace ends.
#[test]
fn a_second_signal_ends_it_at_once() {
    for shape in SHAPES {
        let mut server = Server::start(&[&shape[..], &["--port", "0"]].concat());
        let mut client = server.connect();
        // Far more than the system's buffers hold.
        let value = "x".repeat(1 << 20);
        client
            .write_all(format!("SET key {value}\n").as_bytes())
            .unwrap();
        client.read_exact(&mut [0; 3]).unwrap();
        client.write_all(&b"GET key\n".repeat(64)).unwrap();
        client.read_exact(&mut [0]).unwrap();
        server.signal(Signal::TERM);
        let mut line = String::new();
        server.log.as_mut().unwrap().read_line(&mut line).unwrap();
        assert!(line.contains("stopping"), "{line}");
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(128 + Signal::TERM.as_raw()));
    }
}
