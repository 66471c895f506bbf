//! The same replies however the requests arrive.

use ant_cache_core::client::Value;

use crate::{Client, Shape, request};

/// Requests and replies: both dialects, every sort of reply. It leaves nothing behind, so it can be repeated.
pub const SCRIPT: &[(&[u8], &[u8])] = &[
    (b"FLUSHALL\n", b"OK\n"),
    // Strings: bare, joined, quoted, escaped, empty, none.
    (b"SET greeting hello  world\n", b"OK\n"),
    (b"GET greeting\r\n", b"hello world\r\n"),
    (b"SET odd \"a\\r\\nb\"' \\x41'\n", b"OK\n"),
    (b"*2\r\n$3\r\nGET\r\n$3\r\nodd\r\n", b"$6\r\na\r\nb A\r\n"),
    (b"GET odd\n", b"\"a\\r\\nb A\"\n"),
    (b"\n\r\n \t\nGET nothing\n", b"NULL\n"),
    (
        b"*0\r\n*-1\r\n*2\r\n$3\r\nGET\r\n$7\r\nnothing\r\n",
        b"$-1\r\n",
    ),
    (
        b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$7\r\na\r\n\0\xff*$\r\n",
        b"+OK\r\n",
    ),
    (b"*2\r\n$3\r\nget\r\n$0\r\n\r\n", b"$7\r\na\r\n\0\xff*$\r\n"),
    // Numbers.
    (b"INCR count\n", b"1\n"),
    (
        b"*3\r\n$6\r\nINCRBY\r\n$5\r\ncount\r\n$2\r\n41\r\n",
        b":42\r\n",
    ),
    (
        b"*2\r\n$4\r\nINCR\r\n$8\r\ngreeting\r\n",
        b"-ERR value is not an integer or out of range\r\n",
    ),
    (
        b"INCR greeting\n",
        b"ERROR value is not an integer or out of range\n",
    ),
    (
        b"*3\r\n$11\r\nINCRBYFLOAT\r\n$5\r\ncount\r\n$3\r\n0.5\r\n",
        b"$4\r\n42.5\r\n",
    ),
    // Arrays and objects.
    (b"SETS list a \"b c\" \"\"\r\n", b"OK\r\n"),
    (b"GET list\n", b"[a \"b c\" \"\"]\n"),
    (
        b"*4\r\n$6\r\nLRANGE\r\n$4\r\nlist\r\n$1\r\n0\r\n$2\r\n-1\r\n",
        b"*3\r\n$1\r\na\r\n$3\r\nb c\r\n$0\r\n\r\n",
    ),
    (
        b"*2\r\n$3\r\nGET\r\n$4\r\nlist\r\n",
        b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    ),
    (b"SETX user -t 1h name ann age 7\n", b"OK\n"),
    (b"GET user\n", b"{\"age\":\"7\",\"name\":\"ann\"}\n"),
    (
        b"*2\r\n$7\r\nHGETALL\r\n$4\r\nuser\r\n",
        b"*4\r\n$4\r\nname\r\n$3\r\nann\r\n$3\r\nage\r\n$1\r\n7\r\n",
    ),
    (b"*2\r\n$5\r\nFETCH\r\n$7\r\nnothing\r\n", b"$-1\r\n"),
    (b"*2\r\n$4\r\nTYPE\r\n$4\r\nuser\r\n", b"+hash\r\n"),
    (b"TYPE user\n", b"object\n"),
    (b"*2\r\n$3\r\nTTL\r\n$4\r\nuser\r\n", b":3600\r\n"),
    (b"PTTL list\n", b"-1\n"),
    // Conditions.
    (b"SETNX greeting other\n", b"NOT_SET\n"),
    (
        b"*3\r\n$5\r\nSETNX\r\n$8\r\ngreeting\r\n$1\r\nx\r\n",
        b":0\r\n",
    ),
    (
        b"*4\r\n$3\r\nSET\r\n$8\r\ngreeting\r\n$1\r\nx\r\n$2\r\nNX\r\n",
        b"$-1\r\n",
    ),
    // Several keys.
    (
        b"MGET greeting list nothing\n",
        b"[\"hello world\",null,null]\n",
    ),
    (
        b"*4\r\n$4\r\nMGET\r\n$5\r\ncount\r\n$4\r\nlist\r\n$3\r\nodd\r\n",
        b"*3\r\n$4\r\n42.5\r\n$-1\r\n$6\r\na\r\nb A\r\n",
    ),
    (b"*2\r\n$4\r\nKEYS\r\n$2\r\nl*\r\n", b"*1\r\n$4\r\nlist\r\n"),
    (b"KEYS [xyz]*\n", b"EMPTY\n"),
    (b"EXISTS list list nothing\r\n", b"2\r\n"),
    (b"DBSIZE\n", b"6\n"),
    // Errors that keep the connection.
    (b"NONSENSE\n", b"ERROR unknown command\n"),
    (
        b"*2\r\n$8\r\nNONSENSE\r\n$1\r\nx\r\n",
        b"-ERR unknown command 'NONSENSE', with args beginning with: 'x' \r\n",
    ),
    (b"SET lonely\n", b"ERROR SET requires key and value\n"),
    (b"SET a \"b\n", b"ERROR unbalanced quotes in request\n"),
    (
        b"SET a -t abc b\n",
        b"ERROR invalid ttl value: invalid TTL format: abc\n",
    ),
    (
        b"*1\r\n$3\r\nGET\r\n",
        b"-ERR wrong number of arguments for 'get' command\r\n",
    ),
    (b"AUTH secret\n", b"OK no authentication required\n"),
    // The end of it.
    (b"DEL nothing\n", b"NOT_FOUND\n"),
    (b"DEL list user\n", b"2\n"),
    (b"PING\n", b"PONG\n"),
    // As Redis answers it inline, for health checks and redis-benchmark.
    (b"PING\r\n", b"+PONG\r\n"),
    (b"*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", b"$2\r\nhi\r\n"),
    (b"*1\r\n$8\r\nFLUSHALL\r\n", b"+OK\r\n"),
];

/// All requests of [`SCRIPT`] in one piece, and all replies.
#[must_use]
pub fn script() -> (Vec<u8>, Vec<u8>) {
    let requests = SCRIPT.iter().map(|(request, _)| *request);
    let replies = SCRIPT.iter().map(|(_, reply)| *reply);
    (
        requests.collect::<Vec<_>>().concat(),
        replies.collect::<Vec<_>>().concat(),
    )
}

/// How many bytes are answered to the first `sent` bytes of [`SCRIPT`].
#[must_use]
pub fn answered(sent: usize) -> usize {
    let mut requests = 0;
    let complete = SCRIPT.iter().take_while(|(request, _)| {
        requests += request.len();
        requests <= sent
    });
    complete.map(|(_, reply)| reply.len()).sum()
}

/// One request after the other.
pub fn every_reply(shape: Shape) {
    converse(&mut shape.start().connect());
}

fn converse(client: &mut Client) {
    for (request, reply) in SCRIPT {
        client.send(request);
        client.expect(reply);
    }
}

/// RESP 3 from one request on, and back again.
pub fn versions_of_resp(shape: Shape) {
    let server = shape.start();
    let mut client = server.connect();
    client.send(b"SETX user name ann\n");
    client.expect(b"OK\n");
    let requests = b"*2\r\n$7\r\nHGETALL\r\n$4\r\nuser\r\nGET user\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    let three = b"%1\r\n$4\r\nname\r\n$3\r\nann\r\n{\"name\":\"ann\"}\n_\r\n";
    let two = b"*2\r\n$4\r\nname\r\n$3\r\nann\r\n{\"name\":\"ann\"}\n$-1\r\n";
    client.send(&[request(&["HELLO", "3"]), requests.to_vec()].concat());
    assert!(matches!(client.value(), Value::Map(_)));
    client.expect(three);
    client.send(
        &[
            requests.to_vec(),
            request(&["HELLO", "2"]),
            requests.to_vec(),
        ]
        .concat(),
    );
    client.expect(three);
    assert!(matches!(client.value(), Value::Array(_)));
    client.expect(two);
}

/// Two packets, wherever the first one ends: the replies that are due after it show that it was received alone.
pub fn split_at_every_position(shape: Shape) {
    let server = shape.start();
    let mut client = server.connect();
    let (requests, replies) = script();
    for at in 1..requests.len() {
        let due = answered(at);
        client.send(&requests[..at]);
        client.expect(&replies[..due]);
        client.send(&requests[at..]);
        client.expect(&replies[due..]);
    }
}

/// As slow as a client can be.
pub fn one_byte_a_packet(shape: Shape) {
    let server = shape.start();
    let mut client = server.connect();
    let (requests, replies) = script();
    let mut read = 0;
    for (index, byte) in requests.iter().enumerate() {
        client.send(&[*byte]);
        let due = answered(index + 1);
        client.expect(&replies[read..due]);
        read = due;
    }
}

/// Thousands of requests of both dialects at once, with half of one at the end of each packet.
pub fn pipelined(shape: Shape) {
    const TIMES: usize = 200;
    let server = shape.start();
    let mut client = server.connect();
    let (requests, replies) = script();
    std::thread::scope(|scope| {
        let sender = client.split();
        let packet = requests.repeat(TIMES);
        scope.spawn(move || {
            for part in packet.chunks(50_021) {
                sender.send(part);
            }
        });
        for _ in 0..TIMES {
            client.expect(&replies);
        }
    });
}

/// The other sort of socket.
pub fn through_a_unix_socket(shape: Shape) {
    let server = shape.start();
    let mut client = server.connect_unix();
    converse(&mut client);
    let (requests, replies) = script();
    client.send(&requests.repeat(10));
    client.expect(&replies.repeat(10));
    server.stop();
}

/// Eight megabytes in, and out again, several times in one pipeline.
pub fn large_values(shape: Shape) {
    const SIZE: usize = 8 << 20;
    let server = shape.start();
    let mut client = server.connect();
    let value: Vec<u8> = (0..SIZE)
        .map(|index| (index * 7 + index / 256) as u8)
        .collect();
    client.send(&request(&[&b"SET"[..], b"binary", &value]));
    client.expect(b"+OK\r\n");
    let word: Vec<u8> = value.iter().map(|byte| b'a' + byte % 26).collect();
    client.send(&[&b"SET word "[..], &word, b"\r\n"].concat());
    client.expect(b"OK\r\n");

    client.send(b"*2\r\n$3\r\nGET\r\n$6\r\nbinary\r\nGET word\nGET word\r\nSTRLEN binary\n");
    client.expect(format!("${SIZE}\r\n").as_bytes());
    client.expect(&value);
    client.expect(b"\r\n");
    client.expect(&word);
    client.expect(b"\n");
    client.expect(&word);
    client.expect(b"\r\n");
    client.expect(format!("{SIZE}\n").as_bytes());
}

/// A key is there for its last millisecond and gone in the next, for every command and every connection.
pub fn time_to_live(shape: Shape) {
    let server = shape.start();
    let (mut one, mut other) = (server.connect(), server.connect_unix());
    assert_eq!(one.text("SET k -t 5s v"), "OK");
    assert_eq!(one.text("SETS list -t 5000ms a b"), "OK");
    assert_eq!(one.text("SET n 1"), "OK");
    assert_eq!(one.text("EXPIRE n 6"), "OK");
    server.pass(4_999);
    assert_eq!(other.text("GET k"), "v");
    assert_eq!(other.text("PTTL list"), "1");
    server.pass(1);
    for client in [&mut one, &mut other] {
        assert_eq!(client.text("GET k"), "NULL");
        assert_eq!(client.text("EXISTS k list n"), "1");
        assert_eq!(client.text("TTL list"), "-2");
        assert_eq!(client.text("KEYS"), "n");
    }
    // What is written again has no old end; what is changed keeps it.
    assert_eq!(one.text("SETNX k w"), "OK");
    assert_eq!(one.text("INCR n"), "2");
    server.pass(1_000);
    assert_eq!(other.text("INCR n"), "1");
    assert_eq!(other.text("TTL n"), "-1");
    server.pass(1_000_000_000_000);
    assert_eq!(other.text("MGET k n"), r#"["w","1"]"#);
}
