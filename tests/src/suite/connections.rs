//! How connections begin and end.

use ant_cache_core::limits::{AUTH_DEADLINE, MAX_REQUEST_UNAUTHENTICATED};
use ant_cache_core::service::Refused;
use ant_cache_core::settings::Settings;

use super::{dialogue, eventually, witnessed};
use crate::{Client, Random, Shape, request};

/// The end of the client's side travels with the request: the answer still comes.
pub fn request_and_end_in_one_packet(shape: Shape) {
    let server = shape.start();
    let (requests, replies) = dialogue::script();
    for mut client in [server.connect(), server.connect_unix()] {
        client.send(b"SET k v\nGET k\n");
        client.finish();
        client.expect(b"OK\nv\n");
        client.expect_end();
    }
    let mut client = server.connect();
    client.send(&requests.repeat(20));
    client.finish();
    client.expect(&replies.repeat(20));
    client.expect_end();
}

/// What is no whole request is not executed.
pub fn half_a_request_and_the_end(shape: Shape) {
    let server = shape.start();
    for half in [
        &b"SET k v"[..],
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv",
        b"*3\r\n$3\r\n",
        b"*",
        b"",
    ] {
        let mut client = server.connect();
        client.send(half);
        client.finish();
        client.expect_end();
    }
    assert_eq!(server.connect().text("DBSIZE"), "0");
}

/// QUIT is answered, and what stands behind it is not.
pub fn quit(shape: Shape) {
    let server = shape.start();
    for (bytes, replies) in [
        (&b"PING\nQUIT\nSET k v\n"[..], &b"PONG\nOK\n"[..]),
        (b"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n", b"+OK\r\n"),
    ] {
        let mut client = server.connect();
        client.send(bytes);
        client.expect(replies);
        client.finish();
        client.expect_end();
    }
    assert_eq!(server.connect().text("DBSIZE"), "0");
}

fn guarded() -> Settings {
    let settings = Settings::default();
    settings.set_password(Some(b"sesame".to_vec()));
    settings
}

/// With the password in time everything is as without one.
pub fn auth_in_time(shape: Shape) {
    let server = shape.with(guarded());
    let (mut early, mut late) = (server.connect(), server.connect());
    early.send(b"GET k\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nAUTH wrong\nAUTH sesame\nGET k\n");
    early.expect(
        b"ERROR authentication required\n-NOAUTH Authentication required.\r\nERROR invalid password\n\
          OK authenticated\nNULL\n",
    );
    assert_eq!(late.text("PING"), "ERROR authentication required");
    server.pass(AUTH_DEADLINE - 1);
    assert_eq!(late.text("AUTH sesame"), "OK authenticated");
    server.pass(1_000_000);
    assert_eq!(
        (early.text("DBSIZE"), late.text("DBSIZE")),
        ("0".into(), "0".into())
    );
}

/// Without it the connection ends.
pub fn auth_too_late(shape: Shape) {
    let server = shape.with(guarded());
    let mut client = server.connect();
    assert_eq!(client.text("GET k"), "ERROR authentication required");
    server.pass(AUTH_DEADLINE);
    client.send(b"AUTH sesame\n");
    client.finish();
    client.expect_end();
    eventually(|| server.totals().closed_unauthenticated == 1);
}

/// A stranger may not make the server buffer much.
pub fn a_large_request_before_auth(shape: Shape) {
    let server = shape.with(guarded());
    let value = vec![b'v'; MAX_REQUEST_UNAUTHENTICATED];
    let large = request(&[&b"SET"[..], b"k", &value]);
    let mut client = server.connect();
    client.try_send(&large);
    assert_eq!(client.rest(), b"-ERR request too long\r\n");
    let mut client = server.connect();
    client.try_send(&[&b"SET k "[..], &value, b"\n"].concat());
    assert_eq!(client.rest(), b"ERROR request too long\n");
    let mut client = server.connect();
    client.send(&[b"AUTH sesame\n", &large[..]].concat());
    client.expect(b"OK authenticated\n+OK\r\n");
}

/// One too many is told so, in both dialects; there is room again once another has left.
pub fn too_many(shape: Shape) {
    let server = shape.start();
    server.settings().set_max_connections(3);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.text("PING"), "PONG");
    }
    for mut refused in [server.connect(), server.connect_unix()] {
        refused.expect(Refused::REPLY);
        refused.expect_end();
    }
    assert_eq!(clients[0].info("rejected_connections"), 2);
    drop(clients.pop());
    // The server learns of it in its own time.
    eventually(|| {
        let mut client = server.connect();
        client.try_send(b"QUIT\n");
        client.rest() == b"OK\n"
    });
    for client in &mut clients {
        assert_eq!(client.text("PING"), "PONG");
    }
}

/// All of them connect, then all ask, then all read.
pub fn five_hundred_at_once(shape: Shape) {
    let server = shape.start();
    let mut clients: Vec<Client> = (0..500).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (index, client) in clients.iter().enumerate() {
            client.send(format!("SET key:{index} {round}\nGET key:{index}\nINCR all\n").as_bytes());
        }
        for client in &mut clients {
            client.expect(format!("OK\n{round}\n").as_bytes());
            client.line();
        }
    }
    assert_eq!(clients[499].text("GET all"), "1500");
    assert_eq!(clients[0].info("connected_clients"), 500);
    server.stop();
}

/// Clients that hang up in every way, at every moment; those that stay notice nothing, and nothing is left of the others.
pub fn coming_and_going(shape: Shape) {
    let server = shape.start();
    let mut first = server.connect();
    first.send(&request(&["SET", "large", &"v".repeat(300_000)]));
    first.expect(b"+OK\r\n");
    let requests: [&[u8]; 5] = [
        b"",
        b"SET k v\nGET k\n",
        b"GET lar",
        b"GET large\nGET large\n",
        b"QUIT\n",
    ];
    witnessed(first, || {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (server, requests) = (&server, &requests);
                scope.spawn(move || {
                    let mut random = Random::new(thread);
                    for _ in 0..100 {
                        let mut client = if random.once_in(3) {
                            server.connect_unix()
                        } else {
                            server.connect()
                        };
                        client.try_send(requests[random.below(requests.len())]);
                        match random.below(4) {
                            0 => client.hang_up(),
                            1 => {
                                client.finish();
                                client.rest();
                            }
                            _ => {}
                        }
                    }
                });
            }
        });
    });
    eventually(|| server.connect().info("connected_clients") == 1);
    server.stop();
}

/// A client that says nothing is closed once it is told to be, and only that one.
pub fn idle(shape: Shape) {
    let server = shape.start();
    // In the server's time; it looks at its clock after as much of real time.
    server.settings().set_idle_timeout(20);
    let (mut silent, mut busy) = (server.connect(), server.connect());
    assert_eq!(silent.text("PING"), "PONG");
    for _ in 0..5 {
        assert_eq!(busy.text("PING"), "PONG");
        server.pass(15);
    }
    silent.expect_end();
    eventually(|| server.totals().closed_idle >= 1);
}

/// What was received when the server was told to stop is answered; who waits for nothing is closed.
pub fn shutdown_answers_what_was_received(shape: Shape) {
    let server = shape.start();
    let (mut busy, mut idle, mut half) = (server.connect(), server.connect(), server.connect());
    for client in [&mut busy, &mut idle, &mut half] {
        // The reply shows that the server has the connection.
        assert_eq!(client.text("PING"), "PONG");
    }
    half.send(b"SET k v");
    let (requests, replies) = dialogue::script();
    busy.send(&requests.repeat(20));
    server.trigger();
    busy.expect(&replies.repeat(20));
    for client in [&mut busy, &mut idle, &mut half] {
        client.expect_end();
    }
    server.stop();
}

/// A reply that is on its way when the server is told to stop arrives whole.
pub fn shutdown_waits_for_the_reader(shape: Shape) {
    const SIZE: usize = 8 << 20;
    let server = shape.start();
    let mut client = server.connect();
    client.send(&request(&[&b"SET"[..], b"k", &vec![b'v'; SIZE]]));
    client.expect(b"+OK\r\n");
    client.send(b"GET k\n");
    let mut first = client.read(1);
    server.trigger();
    first.extend(client.rest());
    assert_eq!(first.len(), SIZE + 1);
    server.stop();
}
