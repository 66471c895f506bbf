//! The blocking client against servers that misbehave by script.

use ant_cache_core::client::Value;
use ant_cache_runtime_std::client::{
    Address, Client, ClientOptions, ErrorKind, Pool, PoolOptions, Protocol, TextClient,
};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;

use crate::script::{PING, expect, impatient, server, silent};

#[test]
fn a_reply_in_single_bytes() {
    let (address, server) = server([|stream| {
        expect(stream, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        stream.set_nodelay(true).unwrap();
        for byte in b"*2\r\n$5\r\nhello\r\n:-1\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
    }]);
    let mut client = Client::connect(address, ClientOptions::default()).unwrap();
    let reply = client.command(&["GET", "k"]).unwrap();
    assert_eq!(
        reply,
        Value::Array(vec![Value::Bulk(b"hello".to_vec()), Value::Integer(-1)])
    );
    server.join().unwrap();
}

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
        assert_eq!(reply, Value::Status(expected.into()));
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
fn an_error_reply_names_address_and_command_and_leaves_the_connection_open() {
    let (address, server) = server([|stream| {
        expect(stream, b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n");
        stream.write_all(b"-WRONGPASS invalid\r\n").unwrap();
        expect(stream, PING);
        stream.write_all(b"+PONG\r\n").unwrap();
    }]);
    let mut client = Client::connect(address.clone(), ClientOptions::default()).unwrap();
    let error = client.command(&["AUTH", "secret"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}: AUTH: WRONGPASS invalid")
    );
    assert_eq!(
        client.command(&["PING"]).unwrap(),
        Value::Status(b"PONG".to_vec())
    );
    server.join().unwrap();
}

#[test]
fn a_timeout_closes_so_that_a_late_reply_answers_nothing() {
    let (address, server) = server([
        |stream| {
            expect(stream, PING);
            stream.write_all(b"+PO").unwrap();
            silent(stream);
        },
        |stream| {
            expect(stream, PING);
            stream.write_all(b"+second\r\n").unwrap();
        },
    ]);
    let mut client = Client::connect(address, impatient()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut(_)), "{error}");
    assert!(!client.is_connected());
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotConnected), "{error}");
    client.reconnect().unwrap();
    assert_eq!(
        client.command(&["PING"]).unwrap(),
        Value::Status(b"second".to_vec())
    );
    server.join().unwrap();
}

#[test]
fn a_server_that_takes_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let mut client = Client::connect(address, impatient()).unwrap();
    let error = client
        .command(&[&b"SET"[..], b"k", &vec![0; 32 << 20]])
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut(_)), "{error}");
    assert!(!client.is_connected());
}

#[test]
fn a_connection_that_ends_half_way() {
    let (address, server) = server([|stream| {
        expect(stream, PING);
        stream.write_all(b"$100\r\nonly this").unwrap();
    }]);
    let mut client = Client::connect(address.clone(), ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}: PING: the server closed the connection")
    );
    assert!(!client.is_connected());
    server.join().unwrap();
}

#[test]
fn replies_that_nobody_asked_for() {
    let (address, server) = server([|stream| {
        expect(stream, PING);
        stream.write_all(b"+PONG\r\n+PONG\r\n").unwrap();
        silent(stream);
    }]);
    let mut client = Client::connect(address, ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unasked), "{error}");
    drop(client);
    server.join().unwrap();
}

#[test]
fn an_idle_connection_that_is_of_no_more_use_is_replaced() {
    // Over Unix sockets, what the server did shows at once.
    let path = std::env::temp_dir().join(format!("ant-cache-std-pool-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let pool = Pool::new(Address::Unix(path.clone()), PoolOptions::default());
    let mut kept = Vec::new();
    for (number, unasked) in [(1, None), (2, Some(b"+unasked\r\n")), (3, None)] {
        let (mut stream, reply) = thread::scope(|scope| {
            let accepted = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                expect(&mut stream, PING);
                write!(stream, "+{number}\r\n").unwrap();
                stream
            });
            let reply = pool.command(&["PING"]);
            (accepted.join().unwrap(), reply)
        });
        assert_eq!(reply.unwrap(), Value::Status(number.to_string().into()));
        assert_eq!(pool.idle(), 1);
        match unasked {
            Some(bytes) => {
                stream.write_all(bytes).unwrap();
                // Still open, and yet nobody may use it.
                kept.push(stream);
            }
            None => drop(stream),
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn bytes_that_are_no_reply() {
    let (address, server) = server([|stream| {
        expect(stream, PING);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
        silent(stream);
    }]);
    let mut client = Client::connect(address.clone(), ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    let expected =
        format!("{address}: PING: not understood: reply begins with 'H', which names no type");
    assert_eq!(error.to_string(), expected);
    drop(client);
    server.join().unwrap();
}

#[test]
fn version_three_logs_in_by_hello_and_skips_pushes() {
    let (address, server) = server([|stream| {
        expect(
            stream,
            b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n",
        );
        stream.write_all(b"%1\r\n+proto\r\n:3\r\n").unwrap();
        expect(stream, PING);
        stream.write_all(b">1\r\n+noise\r\n+PONG\r\n").unwrap();
    }]);
    let options = ClientOptions {
        password: Some("pw".into()),
        protocol: Protocol::Resp3,
        ..ClientOptions::default()
    };
    let mut client = Client::connect(address, options).unwrap();
    assert_eq!(
        client.command(&["PING"]).unwrap(),
        Value::Status(b"PONG".to_vec())
    );
    server.join().unwrap();
}

#[test]
fn a_refused_password_is_an_error_of_connect() {
    let (address, server) = server([|stream| {
        expect(stream, b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
        stream.write_all(b"-WRONGPASS no\r\n").unwrap();
    }]);
    let options = ClientOptions {
        password: Some("pw".into()),
        ..ClientOptions::default()
    };
    let error = Client::connect(address.clone(), options).unwrap_err();
    assert_eq!(error.to_string(), format!("{address}: AUTH: WRONGPASS no"));
    server.join().unwrap();
}

#[test]
fn where_nothing_listens() {
    let address: Address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string().parse().unwrap()
    };
    let error = Client::connect(address.clone(), ClientOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{address}: cannot connect: ")),
        "{error}"
    );
}

/// The server writes a reply of 64 KiB for each request before it reads the next one, so that both directions fill
/// up long before the pipeline is sent.
#[test]
fn a_long_pipeline_does_not_block_itself() {
    const REQUESTS: usize = 400;
    let (address, server) = server([|stream| {
        let body = vec![b'x'; 64 << 10];
        for _ in 0..REQUESTS {
            let mut header = *b"*2\r\n$4\r\nECHO\r\n$65536\r\n";
            stream.read_exact(&mut header).unwrap();
            let mut request = vec![0; body.len() + 2];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"$65536\r\n").unwrap();
            stream.write_all(&request).unwrap();
        }
    }]);
    let body = vec![b'x'; 64 << 10];
    let request: [&[u8]; 2] = [b"ECHO", &body];
    let mut client = Client::connect(address, ClientOptions::default()).unwrap();
    let replies = client.pipeline(&vec![request; REQUESTS]).unwrap();
    assert_eq!(replies.len(), REQUESTS);
    assert!(replies.iter().all(|reply| reply.as_bytes() == Some(&body)));
    server.join().unwrap();
}

#[test]
fn a_pipeline_keeps_errors_in_their_places() {
    let (address, server) = server([|stream| {
        expect(stream, &PING.repeat(3));
        stream.write_all(b"+1\r\n-ERR 2\r\n+3\r\n").unwrap();
    }]);
    let mut client = Client::connect(address, ClientOptions::default()).unwrap();
    let replies = client.pipeline(&[["PING"]; 3]).unwrap();
    let expected = [
        Value::Status(b"1".to_vec()),
        Value::Error(b"ERR 2".to_vec()),
        Value::Status(b"3".to_vec()),
    ];
    assert_eq!(replies, expected);
    assert_eq!(client.pipeline::<[&str; 1], &str>(&[]).unwrap(), []);
    let error = client.command::<&str>(&[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoArguments));
    server.join().unwrap();
}

#[test]
fn a_unix_socket() {
    let path = std::env::temp_dir().join(format!("ant-cache-blocking-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; PING.len()];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"+PONG\r\n").unwrap();
    });
    let mut client =
        Client::connect(Address::Unix(path.clone()), ClientOptions::default()).unwrap();
    assert_eq!(
        client.command(&["PING"]).unwrap(),
        Value::Status(b"PONG".to_vec())
    );
    server.join().unwrap();
    std::fs::remove_file(path).unwrap();
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
