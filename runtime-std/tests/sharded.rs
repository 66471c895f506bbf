//! The client of many nodes against nodes that fail by script.

use ant_cache_core::client::Value;
use ant_cache_core::ring::{HealthOptions, KeyHash, Node, Ring, RingOptions};
use ant_cache_runtime_std::client::{
    Address, ClientOptions, OnNodeDown, PoolOptions, ShardedClient, ShardedError, ShardedOptions,
};
use core::time::Duration;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

const NAMES: [&str; 3] = ["anna", "berta", "clara"];

/// A socket that has a port and does not listen: connections are refused, and nobody else gets the port.
fn reserved() -> (OwnedFd, Address) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    (socket, address.to_string().parse().unwrap())
}

/// No server.
fn nobody() -> Address {
    let (socket, address) = reserved();
    // Reserved to the end of the tests.
    core::mem::forget(socket);
    address
}

fn address(listener: &TcpListener) -> Address {
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

fn options(on_node_down: OnNodeDown) -> ShardedOptions {
    ShardedOptions {
        ring: RingOptions {
            hash: KeyHash::Murmur3,
            ..RingOptions::default()
        },
        pool: PoolOptions {
            client: ClientOptions {
                read_timeout: Some(Duration::from_secs(1)),
                write_timeout: Some(Duration::from_secs(1)),
                ..ClientOptions::default()
            },
            ..PoolOptions::default()
        },
        health: HealthOptions {
            failures: 3,
            // Longer than any test.
            first_retry: 3_600_000,
            last_retry: 3_600_000,
        },
        on_node_down,
    }
}

fn client(addresses: [Address; 3], options: ShardedOptions) -> ShardedClient {
    let nodes = NAMES.map(Node::new).into_iter().zip(addresses);
    ShardedClient::new(nodes, options).unwrap()
}

/// A key that belongs to the node of this number.
fn key_of(node: usize) -> String {
    let ring = Ring::new(options(OnNodeDown::Raise).ring, NAMES.map(Node::new)).unwrap();
    (0..)
        .map(|i| format!("key {i}"))
        .find(|key| ring.place(key.as_bytes()) == Some(node))
        .unwrap()
}

/// Takes one connection and answers each request with `reply`, until the client has gone.
fn answering(reply: &'static [u8]) -> (Address, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = address(&listener);
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut count = 0;
        while read_request(&mut stream).is_some() {
            stream.write_all(reply).unwrap();
            count += 1;
        }
        count
    });
    (address, thread)
}

/// The words of a request; nothing at the end.
fn read_request(stream: &mut TcpStream) -> Option<Vec<String>> {
    let words = read_number(stream, b'*')?;
    let word = |_| {
        let len = read_number(stream, b'$').unwrap();
        let mut word = vec![0; len + 2];
        stream.read_exact(&mut word).unwrap();
        word.truncate(len);
        String::from_utf8(word).unwrap()
    };
    Some((0..words).map(word).collect())
}

fn read_number(stream: &mut TcpStream, mark: u8) -> Option<usize> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        line.push(byte[0]);
    }
    assert_eq!(line[0], mark);
    String::from_utf8_lossy(&line[1..]).trim().parse().ok()
}

const OK: &[u8] = b"+OK\r\n";

#[test]
fn all_nodes_have_their_part_before_any_reply_is_waited_for() {
    // Each server answers only once all three have read their request.
    let (arrived, arrivals) = channel();
    let mut servers = Vec::new();
    let mut tell = Vec::new();
    let addresses = NAMES.map(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = address(&listener);
        let (told, go) = channel::<()>();
        tell.push(told);
        let arrived = arrived.clone();
        servers.push(thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = read_request(&mut stream).unwrap();
            arrived.send(()).unwrap();
            go.recv().unwrap();
            let values: String = request[1..]
                .iter()
                .map(|key| format!("${}\r\n{key}\r\n", key.len()))
                .collect();
            let reply = format!("*{}\r\n{values}", request.len() - 1);
            stream.write_all(reply.as_bytes()).unwrap();
            let _ = stream.read(&mut [0]);
        }));
        address
    });
    let starter = thread::spawn(move || {
        (0..3).for_each(|_| arrivals.recv().unwrap());
        tell.iter().for_each(|tell| tell.send(()).unwrap());
    });
    let mut options = options(OnNodeDown::Raise);
    options.pool.client.read_timeout = Some(Duration::from_secs(20));
    let client = client(addresses, options);
    let keys: Vec<String> = (0..20).map(|i| format!("key {i}")).collect();
    let request = core::iter::once("MGET").chain(keys.iter().map(String::as_str));
    let reply = client.command(&request.collect::<Vec<_>>()).unwrap();
    let expected = keys
        .into_iter()
        .map(|key| Value::Bulk(key.into()))
        .collect();
    assert_eq!(reply, Value::Array(expected));
    assert_eq!(
        client.stats().iter().map(|node| node.requests).sum::<u64>(),
        3
    );
    drop(client);
    starter.join().unwrap();
    servers
        .into_iter()
        .for_each(|server| server.join().unwrap());
}

#[test]
fn a_node_that_fails_is_named_and_then_left_alone() {
    let (address, server) = answering(OK);
    let client = client([nobody(), address, nobody()], options(OnNodeDown::Raise));
    let key = key_of(0);
    for _ in 0..3 {
        let error = client.command(&["GET", &key]).unwrap_err();
        assert!(matches!(error, ShardedError::Node { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("node 'anna' at 127.0.0.1:"), "{text}");
        assert!(text.contains("cannot connect"), "{text}");
    }
    let error = client.command(&["GET", &key]).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ShardedError::Down { .. }), "{error:?}");
    assert!(text.contains("down, to be tried again in"), "{text}");
    assert_eq!(error.node(), Some("anna"));
    // The others are not concerned, not even by a request that has a part there.
    client.command(&["SET", &key_of(1), "v"]).unwrap();
    let both = client.pipeline(&[["GET", &key], ["GET", &key_of(1)]]);
    assert!(both[0].is_err() && both[1].is_ok(), "{both:?}");

    let [anna, berta, _] = &client.stats()[..] else {
        panic!("three nodes");
    };
    assert_eq!((anna.requests, anna.failures, anna.downs), (3, 3, 1));
    assert!(anna.retry_in.is_some() && anna.last_error.is_some());
    assert_eq!((berta.requests, berta.failures, berta.downs), (2, 0, 0));
    assert_eq!((berta.idle, berta.leased), (1, 0));
    drop(client);
    assert_eq!(server.join().unwrap(), 2);
}

#[test]
fn a_node_that_is_down_looks_empty() {
    let client = client([nobody(), nobody(), nobody()], options(OnNodeDown::Miss));
    let [a, b, c] = [0, 1, 2].map(key_of);
    for _ in 0..5 {
        assert_eq!(client.command(&["GET", "k"]).unwrap(), Value::Null);
        assert_eq!(client.command(&["SET", "k", "v"]).unwrap(), Value::Null);
        let many = client.command(&["MGET", &a, &b, &c, &a]).unwrap();
        assert_eq!(many, Value::Array(vec![Value::Null; 4]));
        let count = client.command(&["DEL", &a, &b, &c, &a]).unwrap();
        assert_eq!(count, Value::Integer(0));
    }
    assert!(client.stats().iter().all(|node| node.downs == 1));
    // What has no place is still refused.
    assert!(client.command(&["PING"]).is_err());
}

#[test]
fn keys_of_a_node_that_is_down_go_to_the_others() {
    let (a, first) = answering(OK);
    let (b, second) = answering(OK);
    let client = client([a, nobody(), b], options(OnNodeDown::Rehash));
    let key = key_of(1);
    assert_eq!(client.node_of(key.as_bytes()).unwrap(), "berta");
    for _ in 0..3 {
        assert_eq!(
            client.command(&["GET", &key]).unwrap_err().node(),
            Some("berta")
        );
    }
    let node = client.node_of(key.as_bytes()).unwrap();
    assert_ne!(node, "berta");
    client.command(&["SET", &key, "v"]).unwrap();
    // Keys of others have not moved.
    assert_eq!(client.node_of(key_of(0).as_bytes()).unwrap(), "anna");
    assert_eq!(client.node_of(key_of(2).as_bytes()).unwrap(), "clara");
    client.command(&["SET", &key_of(0), "v"]).unwrap();
    client.command(&["SET", &key_of(2), "v"]).unwrap();
    drop(client);
    assert_eq!(first.join().unwrap() + second.join().unwrap(), 3);
}

#[test]
fn when_all_are_down_there_is_no_node() {
    let client = client([nobody(), nobody(), nobody()], options(OnNodeDown::Rehash));
    for _ in 0..9 {
        assert!(client.command(&["GET", "k"]).is_err());
    }
    let text = client.command(&["GET", "k"]).unwrap_err().to_string();
    assert_eq!(
        text,
        "GET: there is no node for its key: none at all, or all are down"
    );
}

#[test]
fn a_node_comes_back() {
    for mode in [OnNodeDown::Raise, OnNodeDown::Miss, OnNodeDown::Rehash] {
        let (socket, down) = reserved();
        let mut options = options(mode);
        options.health = HealthOptions {
            failures: 1,
            first_retry: 1,
            last_retry: 1,
        };
        let client = client([down, nobody(), nobody()], options);
        let key = key_of(0);
        let failed = client.command(&["GET", &key]);
        assert_eq!(failed.is_err(), mode != OnNodeDown::Miss);
        assert_eq!(client.stats()[0].downs, 1);

        listen(&socket, 1).unwrap();
        let listener = TcpListener::from(socket);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut names = Vec::new();
            while let Some(request) = read_request(&mut stream) {
                stream.write_all(b"$1\r\nv\r\n").unwrap();
                names.push(request[0].clone());
            }
            names
        });
        // Whoever comes when its time has come asks first whether it answers.
        while client.command(&["GET", &key]).ok() != Some(Value::Bulk(b"v".to_vec())) {
            thread::yield_now();
        }
        assert_eq!(client.node_of(key.as_bytes()).unwrap(), "anna");
        let stats = &client.stats()[0];
        assert!(stats.retry_in.is_none() && stats.last_error.is_some());
        drop(client);
        assert_eq!(server.join().unwrap(), ["PING", "GET"]);
    }
}

#[test]
fn one_that_hangs_or_talks_nonsense_fails_only_its_own_requests() {
    for reply in [
        &b""[..],
        b"nonsense\r\n",
        b"$5\r\nhal",
        // More than there are requests, at once.
        b"+OK\r\n+TWICE\r\n+THRICE\r\n",
    ] {
        let (a, good) = answering(OK);
        let (b, bad) = answering(reply);
        let client = client([a, b, nobody()], options(OnNodeDown::Raise));
        let requests = [key_of(0), key_of(1), key_of(0), key_of(1)];
        let requests = requests.map(|key| ["SET".into(), key, "v".into()]);
        let outcomes = client.pipeline(&requests);
        for (outcome, node) in outcomes.iter().zip([0, 1, 0, 1]) {
            match outcome {
                Ok(value) => assert_eq!((value, node), (&Value::Status(b"OK".into()), 0)),
                Err(error) => assert_eq!((error.node(), node), (Some("berta"), 1)),
            }
        }
        // A pipeline that fails is one failure.
        assert_eq!(client.stats()[1].failures, 1);
        client.command(&["SET", &key_of(0), "v"]).unwrap();
        drop(client);
        assert_eq!(good.join().unwrap(), 3);
        let _ = bad.join();
    }
}

#[test]
fn an_answer_that_is_an_error_is_no_failure_of_the_node() {
    let (a, server) = answering(b"-WRONGTYPE it is a list\r\n");
    let client = client([a, nobody(), nobody()], options(OnNodeDown::Raise));
    let key = key_of(0);
    for _ in 0..5 {
        let error = client.command(&["GET", &key]).unwrap_err().to_string();
        assert!(error.starts_with("node 'anna' at "), "{error}");
        assert!(error.ends_with(": GET: WRONGTYPE it is a list"), "{error}");
    }
    let outcome = client.pipeline(&[["GET", &key]]).pop().unwrap().unwrap();
    assert!(matches!(outcome, Value::Error(_)));
    let stats = &client.stats()[0];
    assert_eq!((stats.requests, stats.failures), (6, 0));
    drop(client);
    assert_eq!(server.join().unwrap(), 6);
}

#[test]
fn a_pool_whose_connections_are_all_in_use_is_no_failure_of_the_node() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (told, go) = channel::<()>();
    let (arrived, arrival) = channel::<()>();
    let mut options = options(OnNodeDown::Raise);
    options.pool.connections = 1;
    options.pool.lease_timeout = Some(Duration::from_millis(1));
    options.pool.client.read_timeout = Some(Duration::from_secs(20));
    let client = client([address(&listener), nobody(), nobody()], options);
    let key = key_of(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream).unwrap();
            arrived.send(()).unwrap();
            go.recv().unwrap();
            stream.write_all(OK).unwrap();
        });
        let first = scope.spawn(|| client.command(&["SET", &key, "v"]));
        arrival.recv().unwrap();
        let error = client.command(&["GET", &key]).unwrap_err().to_string();
        assert!(error.contains("no answer within 1ms"), "{error}");
        told.send(()).unwrap();
        first.join().unwrap().unwrap();
    });
    assert_eq!(client.stats()[0].failures, 0);
}

#[test]
fn requests_without_a_place_are_refused_before_anything_is_sent() {
    let client = client([nobody(), nobody(), nobody()], options(OnNodeDown::Raise));
    let refused = |args: &[&str]| client.command(args).unwrap_err().to_string();
    assert_eq!(
        refused(&[]),
        "a request needs at least the name of a command"
    );
    assert_eq!(
        refused(&["DBSIZE"]),
        "DBSIZE: the command has no key that would tell its node"
    );
    let (a, b) = (key_of(0), key_of(1));
    let across = "its keys are on different nodes; a hash tag keeps keys together";
    assert_eq!(refused(&["rename", &a, &b]), format!("rename: {across}"));
    let each = client.each::<&str>(&[]);
    assert!(each.len() == 3 && each.iter().all(|(_, outcome)| outcome.is_err()));
    let text = client.each(&["PING"])[1]
        .1
        .as_ref()
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("node 'berta' at "), "{text}");
}

#[test]
fn nodes_come_and_go() {
    let client = client([nobody(), nobody(), nobody()], options(OnNodeDown::Raise));
    let homes = || {
        let home = |i: u32| client.node_of(format!("key {i}").as_bytes()).unwrap();
        (0..5_000).map(home).collect::<Vec<_>>()
    };
    let before = homes();
    client.add(Node::new("dora"), nobody()).unwrap();
    assert!(client.add(Node::new("dora"), nobody()).is_err());
    let with = homes();
    let moved = before
        .iter()
        .zip(&with)
        .filter(|(before, with)| before != with);
    let moved: Vec<_> = moved.map(|(_, with)| with).collect();
    assert!(moved.iter().all(|home| *home == "dora"));
    assert!((1_000..1_500).contains(&moved.len()), "{}", moved.len());
    assert!(client.remove("dora"));
    assert!(!client.remove("dora"));
    assert_eq!(homes(), before);
    assert_eq!(client.stats().len(), 3);
}
