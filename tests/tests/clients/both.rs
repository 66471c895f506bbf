//! What both clients, the blocking and the asynchronous one, do with servers that misbehave by script.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use ant_cache_core::client::Value;
use ant_cache_host::client::{Address, ClientError, ClientOptions, ErrorKind, Protocol};
use ant_cache_runtime_smol::client as smol_client;
use ant_cache_runtime_std::client as std_client;
use smol::future::block_on;

use crate::script::{PING, expect, impatient, server, silent, status};

/// A client whose calls wait, and a pool of such.
trait Client: Sized + std::fmt::Debug {
    type Pool: Sync;

    fn connect(address: Address, options: ClientOptions) -> Result<Self, ClientError>;
    fn reconnect(&mut self) -> Result<(), ClientError>;
    fn is_connected(&mut self) -> bool;
    fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, ClientError>;
    fn pipeline<R, A>(&mut self, requests: &[R]) -> Result<Vec<Value>, ClientError>
    where
        R: AsRef<[A]>,
        A: AsRef<[u8]>;

    fn pool(address: Address) -> Self::Pool;
    fn by(pool: &Self::Pool, args: &[&str]) -> Result<Value, ClientError>;
    fn idle(pool: &Self::Pool) -> usize;
}

/// Implements it for the client of a module; `$wait` is what makes a call wait.
macro_rules! client {
    ($module:ident, $client:ty, $wait:expr) => {
        impl Client for $client {
            type Pool = $module::Pool;

            fn connect(address: Address, options: ClientOptions) -> Result<Self, ClientError> {
                $wait(<$client>::connect(address, options))
            }

            fn reconnect(&mut self) -> Result<(), ClientError> {
                $wait(<$client>::reconnect(self))
            }

            fn is_connected(&mut self) -> bool {
                <$client>::is_connected(self)
            }

            fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, ClientError> {
                $wait(<$client>::command(self, args))
            }

            fn pipeline<R, A>(&mut self, requests: &[R]) -> Result<Vec<Value>, ClientError>
            where
                R: AsRef<[A]>,
                A: AsRef<[u8]>,
            {
                $wait(<$client>::pipeline(self, requests))
            }

            fn pool(address: Address) -> Self::Pool {
                $module::Pool::new(address, $module::PoolOptions::default())
            }

            fn by(pool: &Self::Pool, args: &[&str]) -> Result<Value, ClientError> {
                $wait(pool.command(args))
            }

            fn idle(pool: &Self::Pool) -> usize {
                pool.idle()
            }
        }
    };
}

client!(std_client, std_client::Client, std::convert::identity);
client!(smol_client, smol_client::Client, block_on);

/// Each scene is a test of each client.
macro_rules! scenes {
    ($($scene:ident),* $(,)?) => {
        mod blocking {
            $(#[test]
            fn $scene() {
                super::$scene::<super::std_client::Client>();
            })*
        }

        mod asynchronous {
            $(#[test]
            fn $scene() {
                super::$scene::<super::smol_client::Client>();
            })*
        }
    };
}

scenes! {
    a_reply_in_single_bytes,
    an_error_reply_names_address_and_command_and_leaves_the_connection_open,
    a_timeout_closes_so_that_a_late_reply_answers_nothing,
    a_server_that_takes_nothing_is_not_waited_for,
    a_connection_that_ends_half_way,
    replies_that_nobody_asked_for,
    bytes_that_are_no_reply,
    one_client_connects_again_after_each_fault,
    version_three_logs_in_by_hello_and_skips_pushes,
    a_refused_password_is_an_error_of_connect,
    where_nothing_listens,
    a_long_pipeline_does_not_block_itself,
    a_pipeline_keeps_errors_in_their_places,
    a_unix_socket,
    an_idle_connection_that_is_of_no_more_use_is_replaced,
}

/// A path for a Unix socket of one scene and client.
fn socket<C>(scene: &str) -> PathBuf {
    let client = std::any::type_name::<C>().replace([':', '<', '>'], "-");
    let name = format!("ant-cache-{scene}-{client}-{}.sock", std::process::id());
    std::env::temp_dir().join(name)
}

fn a_reply_in_single_bytes<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        stream.set_nodelay(true).unwrap();
        for byte in b"*2\r\n$5\r\nhello\r\n:-1\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
    }]);
    let mut client = C::connect(address, ClientOptions::default()).unwrap();
    let reply = client.command(&["GET", "k"]).unwrap();
    assert_eq!(
        reply,
        Value::Array(vec![Value::Bulk(b"hello".to_vec()), Value::Integer(-1)])
    );
    server.join().unwrap();
}

fn an_error_reply_names_address_and_command_and_leaves_the_connection_open<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n");
        stream.write_all(b"-WRONGPASS invalid\r\n").unwrap();
        expect(stream, PING);
        stream.write_all(b"+PONG\r\n").unwrap();
    }]);
    let mut client = C::connect(address.clone(), ClientOptions::default()).unwrap();
    let error = client.command(&["AUTH", "secret"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}: AUTH: WRONGPASS invalid")
    );
    assert_eq!(client.command(&["PING"]).unwrap(), status("PONG"));
    server.join().unwrap();
}

fn a_timeout_closes_so_that_a_late_reply_answers_nothing<C: Client>() {
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
    let mut client = C::connect(address, impatient()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut(_)), "{error}");
    assert!(!client.is_connected());
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotConnected), "{error}");
    client.reconnect().unwrap();
    assert_eq!(client.command(&["PING"]).unwrap(), status("second"));
    server.join().unwrap();
}

fn a_server_that_takes_nothing_is_not_waited_for<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let mut client = C::connect(address, impatient()).unwrap();
    let error = client
        .command(&[&b"SET"[..], b"k", &vec![0; 32 << 20]])
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut(_)), "{error}");
    assert!(!client.is_connected());
}

fn a_connection_that_ends_half_way<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, PING);
        stream.write_all(b"$100\r\nonly this").unwrap();
    }]);
    let mut client = C::connect(address.clone(), ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}: PING: the server closed the connection")
    );
    assert!(!client.is_connected());
    server.join().unwrap();
}

fn replies_that_nobody_asked_for<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, PING);
        stream.write_all(b"+PONG\r\n+PONG\r\n").unwrap();
        silent(stream);
    }]);
    let mut client = C::connect(address, ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unasked), "{error}");
    drop(client);
    server.join().unwrap();
}

fn bytes_that_are_no_reply<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, PING);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
        silent(stream);
    }]);
    let mut client = C::connect(address.clone(), ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    let expected =
        format!("{address}: PING: not understood: reply begins with 'H', which names no type");
    assert_eq!(error.to_string(), expected);
    drop(client);
    server.join().unwrap();
}

fn one_client_connects_again_after_each_fault<C: Client>() {
    let (address, server) = server([
        |stream| expect(stream, PING),
        |stream| {
            expect(stream, PING);
            stream.write_all(b"+PONG\r\n+PONG\r\n").unwrap();
            silent(stream);
        },
        |stream| {
            expect(stream, PING);
            stream.write_all(b"what?\r\n").unwrap();
            silent(stream);
        },
    ]);
    let mut client = C::connect(address, ClientOptions::default()).unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ClosedByServer), "{error}");
    client.reconnect().unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unasked), "{error}");
    client.reconnect().unwrap();
    let error = client.command(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode(_)), "{error}");
    drop(client);
    server.join().unwrap();
}

fn version_three_logs_in_by_hello_and_skips_pushes<C: Client>() {
    const HELLO: &[u8] =
        b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n";
    let (address, server) = server([
        |stream| {
            expect(stream, HELLO);
            stream.write_all(b"-WRONGPASS no\r\n").unwrap();
        },
        |stream| {
            expect(stream, HELLO);
            stream.write_all(b"%1\r\n+proto\r\n:3\r\n").unwrap();
            expect(stream, PING);
            stream.write_all(b">1\r\n+noise\r\n+PONG\r\n").unwrap();
        },
    ]);
    let options = ClientOptions {
        password: Some("pw".into()),
        protocol: Protocol::Resp3,
        ..ClientOptions::default()
    };
    let error = C::connect(address.clone(), options.clone()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Reply(_)), "{error}");
    assert_eq!(error.command(), Some("HELLO"));
    let mut client = C::connect(address, options).unwrap();
    assert_eq!(client.command(&["PING"]).unwrap(), status("PONG"));
    server.join().unwrap();
}

fn a_refused_password_is_an_error_of_connect<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
        stream.write_all(b"-WRONGPASS no\r\n").unwrap();
    }]);
    let options = ClientOptions {
        password: Some("pw".into()),
        ..ClientOptions::default()
    };
    let error = C::connect(address.clone(), options).unwrap_err();
    assert_eq!(error.to_string(), format!("{address}: AUTH: WRONGPASS no"));
    server.join().unwrap();
}

fn where_nothing_listens<C: Client>() {
    let address: Address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string().parse().unwrap()
    };
    let error = C::connect(address.clone(), ClientOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{address}: cannot connect: ")),
        "{error}"
    );
    assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{error}");
}

/// The server writes a reply of 64 KiB for each request before it reads the next one, so that both directions fill
/// up long before the pipeline is sent.
fn a_long_pipeline_does_not_block_itself<C: Client>() {
    const REQUESTS: usize = 400;
    const BODY: usize = 64 << 10;
    let (address, server) = server([|stream| {
        for _ in 0..REQUESTS {
            let mut header = *b"*2\r\n$4\r\nECHO\r\n$65536\r\n";
            stream.read_exact(&mut header).unwrap();
            let mut request = vec![0; BODY + 2];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"$65536\r\n").unwrap();
            stream.write_all(&request).unwrap();
        }
    }]);
    let tail = "x".repeat(BODY - 8);
    let bodies: Vec<_> = (0..REQUESTS).map(|n| format!("{n:08}{tail}")).collect();
    let requests: Vec<_> = bodies.iter().map(|body| ["ECHO", body]).collect();
    let mut client = C::connect(address, ClientOptions::default()).unwrap();
    let replies = client.pipeline(&requests).unwrap();
    let expected = bodies.iter().map(|body| Some(body.as_bytes()));
    assert!(replies.iter().map(Value::as_bytes).eq(expected));
    server.join().unwrap();
}

fn a_pipeline_keeps_errors_in_their_places<C: Client>() {
    let (address, server) = server([|stream| {
        expect(stream, &PING.repeat(3));
        stream.write_all(b"+1\r\n-ERR 2\r\n+3\r\n").unwrap();
    }]);
    let mut client = C::connect(address, ClientOptions::default()).unwrap();
    let replies = client.pipeline(&[["PING"]; 3]).unwrap();
    let expected = [status("1"), Value::Error(b"ERR 2".to_vec()), status("3")];
    assert_eq!(replies, expected);
    assert_eq!(client.pipeline::<[&str; 1], &str>(&[]).unwrap(), []);
    let error = client.command::<&str>(&[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoArguments));
    server.join().unwrap();
}

fn a_unix_socket<C: Client>() {
    let path = socket::<C>("client");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        expect(&mut stream, PING);
        stream.write_all(b"+PONG\r\n").unwrap();
    });
    let mut client = C::connect(Address::Unix(path.clone()), ClientOptions::default()).unwrap();
    assert_eq!(client.command(&["PING"]).unwrap(), status("PONG"));
    server.join().unwrap();
    std::fs::remove_file(path).unwrap();
}

fn an_idle_connection_that_is_of_no_more_use_is_replaced<C: Client>() {
    // Over Unix sockets, what the server did shows at once.
    let path = socket::<C>("pool");
    let listener = UnixListener::bind(&path).unwrap();
    let pool = C::pool(Address::Unix(path.clone()));
    let mut kept = Vec::new();
    for (number, unasked) in [(1, None), (2, Some(b"+unasked\r\n")), (3, None)] {
        let (mut stream, reply) = thread::scope(|scope| {
            let accepted = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                expect(&mut stream, PING);
                write!(stream, "+{number}\r\n").unwrap();
                stream
            });
            let reply = C::by(&pool, &["PING"]);
            (accepted.join().unwrap(), reply)
        });
        assert_eq!(reply.unwrap(), status(number.to_string()));
        assert_eq!(C::idle(&pool), 1);
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
