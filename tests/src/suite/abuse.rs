//! Bytes that nobody should send. Each gets what the protocol says, takes no more memory than the limits allow, and
//! others notice nothing.

use ant_cache_core::limits::{MAX_ARGS, MAX_REQUEST};

use super::witnessed;
use crate::{Child, Client, Shape};

/// What a server of a debug build may grow by for a small request: buffers, and what the allocator rounds up.
const SMALL: u64 = 4 << 20;

/// Runs `act` with a client of a fresh server, beside a witness; checks that the server grows by at most `memory`.
#[track_caller]
fn abused(shape: Shape, memory: u64, act: impl FnOnce(&Child, Client)) {
    let server = shape.child();
    witnessed(server.connect(), || act(&server, server.connect()));
    let grown = server.grown();
    assert!(grown <= memory, "it grew by {grown} bytes");
}

/// Sends bytes that end the connection; returns what came before that.
fn last_words(mut client: Client, bytes: &[u8]) -> String {
    client.try_send(bytes);
    String::from_utf8_lossy(&client.rest()).into_owned()
}

/// A megabyte of random bytes, several times.
pub fn garbage(shape: Shape) {
    abused(shape, 4 * SMALL, |server, first| {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let mut client = first;
        for _ in 0..8 {
            let bytes: Vec<u8> = (0..1 << 20).map(|_| random()).collect();
            let sender = client.split();
            let replies = std::thread::scope(|scope| {
                scope.spawn(|| {
                    sender.try_send(&bytes);
                    sender.try_send(b"\nQUIT\n");
                });
                client.rest()
            });
            // Lines that are no commands; sooner or later one that begins as an array would, which is the end.
            for line in replies.split_inclusive(|&byte| byte == b'\n') {
                let good =
                    line.starts_with(b"ERROR ") || line.starts_with(b"-ERR Protocol error: ");
                assert!(good || line == b"OK\n", "{}", line.escape_ascii());
            }
            client = server.connect();
        }
    });
}

/// Two hundred clients that never finish.
pub fn half_requests_for_ever(shape: Shape) {
    abused(shape, 5 * SMALL, |server, mut client| {
        let halves: [&[u8]; 5] = [
            b"*",
            b"*2\r\n$3\r\nGET\r\n$5\r\nab",
            b"SET key val",
            b"*1048576\r\n$1\r\na\r\n$1\r\n",
            b"GET \"open",
        ];
        let waiting: Vec<Client> = halves
            .iter()
            .cycle()
            .take(200)
            .map(|half| {
                let client = server.connect();
                client.send(half);
                client
            })
            .collect();
        for _ in 0..100 {
            assert_eq!(client.text("EXISTS key k"), "0");
        }
        assert!(!waiting.iter().any(Client::has_arrived));
    });
}

/// Lengths that are announced and never sent.
pub fn promises(shape: Shape) {
    abused(shape, SMALL, |server, client| {
        let error = "-ERR Protocol error: invalid bulk length\r\n";
        assert_eq!(
            last_words(client, b"*2\r\n$3\r\nGET\r\n$1073741824\r\n"),
            error
        );
        let client = server.connect();
        assert_eq!(
            last_words(client, b"*1\r\n$99999999999999999999\r\n"),
            error
        );
        // What is allowed is believed, and costs nothing until it comes.
        let patient: Vec<Client> = (0..50)
            .map(|_| {
                let client = server.connect();
                client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000000\r\nthe first bytes");
                client
            })
            .collect();
        let mut other = server.connect();
        for _ in 0..100 {
            assert_eq!(other.text("EXISTS k"), "0");
        }
        assert!(!patient.iter().any(Client::has_arrived));
    });
}

/// A null array is no request, as in Redis; other negative lengths are errors.
pub fn negative_lengths(shape: Shape) {
    abused(shape, SMALL, |server, mut client| {
        client.send(b"*-1\r\n*-100\r\n*0\r\nPING\n");
        client.expect(b"PONG\n");
        assert_eq!(
            last_words(client, b"*2\r\n$3\r\nGET\r\n$-1\r\n"),
            "-ERR Protocol error: invalid bulk length\r\n"
        );
        assert_eq!(
            last_words(server.connect(), b"*1\r\n$-9223372036854775809\r\n"),
            "-ERR Protocol error: invalid bulk length\r\n"
        );
        assert_eq!(
            last_words(server.connect(), b"*-x\r\n"),
            "-ERR Protocol error: invalid multibulk length\r\n"
        );
    });
}

/// Twice as many as there may be: RESP is refused by its header, text when the line is complete.
pub fn two_million_arguments(shape: Shape) {
    let line = b"a ".repeat(2_000_000);
    // The line, doubled by the growth of its buffer, and the places of the arguments up to the limit.
    let memory = 2 * line.len() as u64 + 8 * MAX_ARGS as u64 + 2 * SMALL;
    abused(shape, memory, |server, client| {
        let header = b"*2000000\r\n$3\r\nDEL\r\n";
        let error = "-ERR Protocol error: invalid multibulk length\r\n";
        assert_eq!(last_words(client, header), error);
        let line = [&line[..], b"\n"].concat();
        let error = "ERROR too many arguments in request\n";
        assert_eq!(last_words(server.connect(), &line), error);
    });
}

/// As many as there may be are served, by and by.
pub fn a_million_arguments(shape: Shape) {
    let mut bytes = format!("*{MAX_ARGS}\r\n$3\r\nDEL\r\n").into_bytes();
    bytes.extend(b"$1\r\nk\r\n".repeat(MAX_ARGS - 2));
    bytes.extend(b"$7\r\nwitness\r\n");
    // Twice the request, and twice the places of its arguments.
    let memory = 2 * bytes.len() as u64 + 4 * 8 * MAX_ARGS as u64 + 2 * SMALL;
    let server = shape.child();
    let mut client = server.connect();
    assert_eq!(client.text("SET witness 1"), "OK");
    witnessed(server.connect(), || {
        client.send(b"GET nothing\n");
        client.expect(b"NULL\n");
    });
    let mut other = server.connect();
    client.send(&bytes);
    while !client.has_arrived() {
        assert_eq!(other.text("PING"), "PONG");
    }
    client.expect(b":1\r\n");
    assert_eq!(client.text("DBSIZE"), "0");
    let grown = server.grown();
    assert!(grown <= memory, "it grew by {grown} bytes");
}

/// A quote that is left open is an error of that line alone, and nothing is stored.
pub fn an_open_quote(shape: Shape) {
    abused(shape, SMALL, |_, mut client| {
        let error = b"ERROR unbalanced quotes in request\n";
        client.send(b"SET a \"b\nSET a 'b c\\'\nSET \"a b\nEXISTS a\nKEYS a*\n");
        client.expect(&[&error[..], error, error, b"0\nEMPTY\n"].concat());
        client.send(b"SET a \"b\\\"\r\n");
        client.expect(b"ERROR unbalanced quotes in request\r\n");
    });
}

/// A line longer than a request may be; nothing of it is stored.
pub fn a_line_without_end(shape: Shape) {
    // The request, doubled by the growth of its buffer.
    let memory = 2 * MAX_REQUEST as u64 + 2 * SMALL;
    abused(shape, memory, |server, client| {
        let line = [&b"SET k "[..], &vec![b'v'; MAX_REQUEST]].concat();
        assert_eq!(last_words(client, &line), "ERROR request too long\n");
        assert_eq!(server.connect().text("EXISTS k"), "0");
    });
}
