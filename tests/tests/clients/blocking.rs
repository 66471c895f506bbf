//! What only the blocking client has: busy polling, and the text dialect.

use ant_cache_runtime_std::client::{Client, ClientOptions, ErrorKind, TextClient};
use core::time::Duration;
use std::io::Write;
use std::thread;

use crate::script::{PING, expect, server, silent, status};

/// Whether a reply comes while it is polled for, in pieces, after that, or not at all.
#[test]
fn busy_polling_changes_nothing_but_the_wait() {
    let (address, server) = server([
        |stream| {
            for _ in 0..3 {
                expect(stream, PING);
                stream.write_all(b"+prompt\r\n").unwrap();
            }
            expect(stream, PING);
            stream.set_nodelay(true).unwrap();
            for byte in b"+pieces\r\n" {
                stream.write_all(&[*byte]).unwrap();
            }
            expect(stream, PING);
            thread::sleep(Duration::from_millis(5));
            stream.write_all(b"+late\r\n").unwrap();
            expect(stream, PING);
            stream.write_all(b"+last\r\n").unwrap();
            expect(stream, PING);
        },
        |stream| {
            expect(stream, PING);
            stream.write_all(b"+prompt\r\n").unwrap();
            silent(stream);
        },
    ]);
    let options = ClientOptions {
        busy_poll: Duration::from_secs(1),
        ..ClientOptions::default()
    };
    let mut client = Client::connect(address.clone(), options.clone()).unwrap();
    for expected in ["prompt", "prompt", "prompt", "pieces", "late", "last"] {
        let reply = client.command(&["PING"]).unwrap();
        assert_eq!(reply, status(expected));
    }
    let error = client.command(&["PING"]).unwrap_err();
    let kind = error.kind();
    assert!(matches!(kind, ErrorKind::ClosedByServer), "{error}");

    let read_timeout = Some(Duration::from_millis(20));
    let options = ClientOptions {
        read_timeout,
        ..options
    };
    let mut client = Client::connect(address, options).unwrap();
    client.command(&["PING"]).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut(_)), "{error}");
    drop(client);
    server.join().unwrap();
}

#[test]
fn the_text_dialect() {
    let (address, server) = server([|stream| {
        expect(stream, b"AUTH \"p w\"\n");
        stream.write_all(b"OK authenticated\n").unwrap();
        expect(stream, b"GET k\n");
        stream.write_all(b"some value\r\n").unwrap();
        expect(stream, b"INFO\n");
        stream.write_all(b"a:1\n\nEN").unwrap();
        stream.write_all(b"D\n").unwrap();
        expect(stream, b"info nonsense\n");
        stream.write_all(b"ERROR no such section\n").unwrap();
    }]);
    let options = ClientOptions {
        password: Some("p w".into()),
        ..ClientOptions::default()
    };
    let mut client = TextClient::connect(address, options).unwrap();
    assert_eq!(client.command(&["GET", "k"]).unwrap(), b"some value");
    assert_eq!(client.command(&["INFO"]).unwrap(), b"a:1\n");
    assert_eq!(
        client.command(&["info", "nonsense"]).unwrap(),
        b"ERROR no such section"
    );
    server.join().unwrap();
}

#[test]
fn the_text_dialect_with_a_wrong_password() {
    let (address, server) = server([|stream| {
        expect(stream, b"AUTH pw\n");
        stream.write_all(b"ERROR invalid password\n").unwrap();
    }]);
    let options = ClientOptions {
        password: Some("pw".into()),
        ..ClientOptions::default()
    };
    let error = TextClient::connect(address.clone(), options).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}: AUTH: invalid password")
    );
    server.join().unwrap();
}
