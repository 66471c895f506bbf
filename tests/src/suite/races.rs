//! Many clients on the same keys at once: whatever the order, every command is done once, whole, and for everyone.

use ant_cache_core::client::Value;

use crate::{Client, Random, Server, Shape};

const CLIENTS: usize = 8;

/// Runs `act` for several clients at the same time.
fn together<T: Send>(server: &Server, act: impl Fn(usize, Client) -> T + Sync) -> Vec<T> {
    let act = &act;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let client = server.connect();
                scope.spawn(move || act(index, client))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|result| result.expect("no client fails"))
            .collect()
    })
}

/// No increment is lost, and none is given to two clients.
pub fn increments(shape: Shape) {
    const BATCHES: usize = 40;
    const BATCH: usize = 50;
    let server = shape.start();
    let seen = together(&server, |_, mut client| {
        let mut seen = Vec::new();
        for _ in 0..BATCHES {
            client.send(&b"INCR n\n".repeat(BATCH));
            seen.extend((0..BATCH).map(|_| client.line().parse::<usize>().expect("a number")));
        }
        assert!(seen.is_sorted(), "the replies to one client are in order");
        seen
    });
    let mut seen = seen.concat();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(1..=CLIENTS * BATCHES * BATCH));
}

/// Keys that are set together are seen together, also while others delete and flush them.
pub fn pairs(shape: Shape) {
    let server = shape.start();
    together(&server, |index, mut client| {
        let mut random = Random::new(index as u64);
        for round in 0..400 {
            let value = format!("{index}:{round}");
            match random.below(6) {
                0 | 1 => _ = client.resp(&["MSET", "x", &value, "y", &value, "z", &value]),
                2 if round % 7 == 0 => _ = client.resp(&["FLUSHALL"]),
                2 => _ = client.resp(&["DEL", "x", "y", "z"]),
                _ => {
                    let Value::Array(values) = client.resp(&["MGET", "x", "y", "z"]) else {
                        panic!("an array");
                    };
                    assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
                }
            }
        }
    });
}

/// Of many who set a key that does not exist, one does; of many who take one, one gets it.
pub fn winners(shape: Shape) {
    const KEYS: usize = 300;
    let server = shape.start();
    let won = together(&server, |_, mut client| {
        let requests: Vec<_> = (0..KEYS).map(|n| format!("SETNX key:{n} v\n")).collect();
        client.send(requests.concat().as_bytes());
        (0..KEYS).filter(|_| client.line() == "OK").count()
    });
    assert_eq!(won.iter().sum::<usize>(), KEYS);
    let got = together(&server, |_, mut client| {
        let requests: Vec<_> = (0..KEYS).map(|n| format!("GETDEL key:{n}\n")).collect();
        client.send(requests.concat().as_bytes());
        (0..KEYS).filter(|_| client.line() == "v").count()
    });
    assert_eq!(got.iter().sum::<usize>(), KEYS);
}

/// Walks over the keys meet those that stay, while others come and go and move.
pub fn walks(shape: Shape) {
    const STAY: usize = 500;
    let server = shape.start();
    let mut first = server.connect();
    for n in 0..STAY {
        first.send(format!("SET stay:{n} v\n").as_bytes());
    }
    first.expect(&b"OK\n".repeat(STAY));
    together(&server, |index, mut client| {
        if index < 2 {
            for _ in 0..10 {
                let found = if index == 0 {
                    keys(&mut client)
                } else {
                    scan(&mut client)
                };
                let mut found: Vec<_> = found
                    .into_iter()
                    .filter(|key| key.starts_with(b"stay"))
                    .collect();
                let all = found.len();
                found.sort_unstable();
                found.dedup();
                assert_eq!(found.len(), STAY);
                assert!(index == 1 || all == STAY, "KEYS tells each key once");
            }
            return;
        }
        let mut random = Random::new(index as u64);
        for _ in 0..1_000 {
            let (n, size) = (random.below(STAY), random.below(1500));
            client.send(format!("SET stay:{n} {}\n", "v".repeat(size + 1)).as_bytes());
            client.send(
                format!(
                    "SET goes:{n} {}\nDEL goes:{}\n",
                    "w".repeat(size + 1),
                    random.below(STAY)
                )
                .as_bytes(),
            );
            for _ in 0..3 {
                client.line();
            }
        }
    });
}

fn keys(client: &mut Client) -> Vec<Vec<u8>> {
    strings(client.resp(&["KEYS", "*"]))
}

fn scan(client: &mut Client) -> Vec<Vec<u8>> {
    let (mut cursor, mut found) = (b"0".to_vec(), Vec::new());
    loop {
        let Value::Array(parts) = client.resp(&[&b"SCAN"[..], &cursor, b"COUNT", b"50"]) else {
            panic!("an array");
        };
        let [Value::Bulk(next), keys] = <[Value; 2]>::try_from(parts).expect("cursor and keys")
        else {
            panic!("a cursor");
        };
        found.extend(strings(keys));
        if next == b"0" {
            return found;
        }
        cursor = next;
    }
}

fn strings(value: Value) -> Vec<Vec<u8>> {
    let Value::Array(items) = value else {
        panic!("an array");
    };
    let strings = items.into_iter().map(|item| match item {
        Value::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    });
    strings.collect()
}
