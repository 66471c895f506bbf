//! MONITOR.

use ant_cache_core::settings::Settings;

use super::{eventually, witnessed};
use crate::{Client, Random, Shape, request};

/// What stands in a line behind the time, with `from` for where the request comes from.
fn line(from: &str, words: &str) -> String {
    format!("1800000000.123000 [0 {from}] {words}")
}

/// A connection that monitors, in RESP.
fn watch(mut client: Client) -> Client {
    client.send(&request(&["MONITOR"]));
    client.expect(b"+OK\r\n");
    client
}

/// Requests of both dialects are shown to monitors of both, with their words as they came.
pub fn both_dialects(shape: Shape) {
    let server = shape.start();
    let mut resp = watch(server.connect());
    let mut text = server.connect_unix();
    assert_eq!(text.text("MONITOR"), "OK");
    let mut client = server.connect();
    let from = client.local_address().to_string();
    client.send(b"SET k \"a\\tb\" EX 7\nNOSUCH\nGET\nAUTH hush\nCONFIG GET maxclients\n");
    client.send(&request(&[&b"get"[..], b"\0\xff\""]));
    // Of the six requests.
    (0..6).for_each(|_| drop(client.line()));
    server.connect_unix().text("GET k");
    let shown = [
        line(&from, r#""SET" "k" "a\tb" "EX" "7""#),
        line(&from, r#""AUTH" "(redacted)""#),
        line(&from, r#""get" "\x00\xff\"""#),
        line("unix:", r#""GET" "k""#),
    ];
    for expected in &shown {
        resp.expect(format!("+{expected}\r\n").as_bytes());
        text.expect(format!("{expected}\n").as_bytes());
    }
    assert_eq!(client.info("connected_monitors"), 2);
    // Each shows the request for INFO, and then goes on with what it is asked.
    for monitor in [&mut resp, &mut text] {
        assert!(monitor.line().ends_with(r#""INFO""#));
    }
}

/// Who monitors may not touch keys, as in Redis, and is a client like others after RESET.
pub fn until_reset(shape: Shape) {
    let server = shape.start();
    let mut monitor = watch(server.connect());
    let from = monitor.local_address().to_string();
    monitor.send(&request(&["GET", "k"]));
    monitor.expect(b"-ERR Replica can't interact with the keyspace\r\n");
    monitor.send(&request(&["PING"]));
    let ping = line(&from, "\"PING\"");
    monitor.expect(format!("+PONG\r\n+{ping}\r\n").as_bytes());
    monitor.send(&request(&["RESET"]));
    monitor.expect(b"+RESET\r\n");
    assert_eq!(server.connect().text("SET k v"), "OK");
    assert_eq!(monitor.text("GET k"), "v");
    assert_eq!(monitor.info("connected_monitors"), 0);
    let mut monitor = watch(monitor);
    monitor.send(&request(&["QUIT"]));
    assert!(monitor.rest().starts_with(b"+OK\r\n"));
    eventually(|| server.connect().info("connected_monitors") == 0);
}

/// However many work and watch, each monitor is shown each request once, those of one client in their order.
pub fn many(shape: Shape) {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 300;
    let server = shape.start();
    let mut monitors: Vec<Client> = (0..3).map(|_| watch(server.connect())).collect();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                let mut random = Random::new(client as u64);
                let mut n = 0;
                while n < REQUESTS {
                    let batch = (1 + random.below(20)).min(REQUESTS - n);
                    let requests = (n..n + batch).map(|n| format!("SET {client} {n}\n"));
                    connection.send(requests.collect::<String>().as_bytes());
                    connection.expect(&b"OK\n".repeat(batch));
                    n += batch;
                }
            });
        }
        for monitor in &mut monitors {
            scope.spawn(|| {
                let mut next = [0; CLIENTS];
                for _ in 0..CLIENTS * REQUESTS {
                    let line = monitor.line();
                    let words: Vec<&str> = line.split('"').collect();
                    let client: usize = words[3].parse().unwrap();
                    assert_eq!(words[5], next[client].to_string(), "{line}");
                    next[client] += 1;
                }
            });
        }
    });
    drop(monitors);
    eventually(|| server.connect().info("connected_monitors") == 0);
}

/// Who takes nothing holds neither memory without bound nor anybody up, and is told why it is closed.
pub fn a_slow_one_is_closed(shape: Shape) {
    let settings = Settings::default();
    settings.set_max_memory(64 << 20);
    let server = shape.with(settings);
    let mut slow = watch(server.connect());
    let mut client = server.connect();
    // More than sockets take.
    let round = request(&[&b"ECHO"[..], &[b'x'; 15_000]]);
    witnessed(server.connect(), || {
        for _ in 0..1_500 {
            client.send(&round);
            client.expect(b"$15000\r\n");
            client.read(15_002);
        }
        let held = client.info("used_memory_clients");
        assert!(held < 12 << 20, "{held}");
        let shown = slow.rest();
        let end = b"-ERR monitor closed: requests were executed faster than they were read\r\n";
        assert!(shown.ends_with(end));
    });
    eventually(|| server.totals().closed_lagging == 1);
    eventually(|| server.connect().info("connected_monitors") == 0);
    let held = server.connect().info("used_memory_clients");
    assert!(held < 1 << 20, "{held}");
}
