//! The client of many nodes against real servers.

use std::collections::HashMap;
use std::thread;

use ant_cache_core::client::Value;
use ant_cache_core::ring::{Distribution, KeyHash, Node, RingOptions};
use ant_cache_runtime_std::client::{PoolOptions, ShardedClient, ShardedOptions};
use ant_cache_tests::{Random, Server, Shape};

fn servers() -> Vec<Server> {
    (0..3).map(|_| Shape::THREADS.start()).collect()
}

fn client(servers: &[Server], distribution: Distribution) -> ShardedClient {
    let options = ShardedOptions {
        ring: RingOptions {
            distribution,
            hash: KeyHash::Murmur3,
            hash_tag: None,
        },
        pool: PoolOptions {
            connections: 2,
            ..PoolOptions::default()
        },
        ..ShardedOptions::default()
    };
    let nodes = servers.iter().enumerate().map(|(number, server)| {
        let address = server.address().to_string().parse();
        let node = Node::new(format!("node-{number}"));
        (node, address.expect("an address"))
    });
    ShardedClient::new(nodes, options).expect("a client")
}

/// Up to ten keys, some of them more than once, binary ones among them.
fn keys(random: &mut Random) -> Vec<Vec<u8>> {
    let count = 1 + random.below(10);
    let key = |_| {
        let number = random.below(60);
        if number.is_multiple_of(5) {
            vec![number as u8, b'\r', b'\n', 0, 0xff]
        } else {
            format!("key {number}").into_bytes()
        }
    };
    (0..count).map(key).collect()
}

fn request(name: &str, words: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    core::iter::once(name.into()).chain(words).collect()
}

#[test]
fn many_servers_are_as_one_map() {
    let servers = servers();
    for distribution in Distribution::ALL {
        let client = client(&servers, distribution);
        assert!(
            client
                .each(&["FLUSHALL"])
                .iter()
                .all(|(_, reply)| reply.is_ok())
        );
        let mut random = Random::new(3);
        let mut model: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        for step in 0..400 {
            let keys = keys(&mut random);
            match random.below(4) {
                0 => {
                    let pairs: Vec<_> = keys
                        .iter()
                        .map(|key| (key.clone(), format!("{step}").into_bytes()))
                        .collect();
                    let words = pairs
                        .iter()
                        .flat_map(|(key, value)| [key.clone(), value.clone()]);
                    let reply = client
                        .command(&request("MSET", words))
                        .expect("it is stored");
                    assert_eq!(reply, Value::Status(b"OK".into()));
                    model.extend(pairs);
                }
                1 => {
                    let reply = client
                        .command(&request("DEL", keys.clone()))
                        .expect("a number");
                    let gone = keys
                        .iter()
                        .filter(|key| model.remove(*key).is_some())
                        .count();
                    assert_eq!(reply, Value::Integer(gone as i64));
                }
                2 => {
                    let reply = client
                        .command(&request("EXISTS", keys.clone()))
                        .expect("a number");
                    let there = keys.iter().filter(|key| model.contains_key(*key)).count();
                    assert_eq!(reply, Value::Integer(there as i64));
                }
                _ => {
                    let values: Vec<_> = keys
                        .iter()
                        .map(|key| model.get(key).cloned().map_or(Value::Null, Value::Bulk))
                        .collect();
                    let reply = client
                        .command(&request("MGET", keys.clone()))
                        .expect("values");
                    assert_eq!(reply, Value::Array(values.clone()));
                    let singles: Vec<_> =
                        keys.into_iter().map(|key| request("GET", [key])).collect();
                    let replies = client.pipeline(&singles).into_iter();
                    assert_eq!(
                        replies.collect::<Result<Vec<_>, _>>().expect("values"),
                        values
                    );
                }
            }
        }
        let sizes = client
            .each(&["DBSIZE"])
            .into_iter()
            .map(|(_, size)| match size {
                Ok(Value::Integer(size)) => size as usize,
                other => panic!("{other:?} is no number"),
            });
        let sizes: Vec<_> = sizes.collect();
        assert_eq!(sizes.iter().sum::<usize>(), model.len());
        assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
    }
}

/// More in each direction than all buffers between the two hold, to all nodes at once.
#[test]
fn a_pipeline_of_many_megabytes_does_not_block_itself() {
    let servers = servers();
    let client = client(&servers, Distribution::Ketama);
    let value = "x".repeat(200_000);
    let requests: Vec<_> = (0..150)
        .map(|i| ["ECHO-LESS".into(), format!("key {i}")])
        .collect();
    // Errors, but in order.
    assert!(
        client
            .pipeline(&requests)
            .iter()
            .all(|reply| matches!(reply, Ok(Value::Error(_))))
    );
    let sets: Vec<_> = (0..150)
        .map(|i| vec!["SET".into(), format!("key {i}"), value.clone()])
        .collect();
    let gets: Vec<_> = (0..150)
        .map(|i| vec!["GET".into(), format!("key {i}")])
        .collect();
    let both: Vec<Vec<String>> = sets.into_iter().chain(gets).collect();
    let replies: Result<Vec<_>, _> = client.pipeline(&both).into_iter().collect();
    let replies = replies.expect("all are answered");
    assert!(
        replies[..150]
            .iter()
            .all(|reply| *reply == Value::Status(b"OK".into()))
    );
    assert!(
        replies[150..]
            .iter()
            .all(|reply| reply.as_bytes() == Some(value.as_bytes()))
    );
}

/// Each thread needs connections to all nodes at a time, and there are two to each.
#[test]
fn threads_that_share_few_connections_do_not_wait_for_each_other() {
    let servers = servers();
    let client = client(&servers, Distribution::Rendezvous);
    thread::scope(|scope| {
        for number in 0..8 {
            let client = &client;
            scope.spawn(move || {
                let mut random = Random::new(number);
                for _ in 0..200 {
                    let words = keys(&mut random)
                        .into_iter()
                        .flat_map(|key| [key.clone(), key]);
                    client
                        .command(&request("MSET", words))
                        .expect("it is stored");
                    let keys = keys(&mut random);
                    let reply = client
                        .command(&request("MGET", keys.clone()))
                        .expect("values");
                    let Value::Array(values) = reply else {
                        panic!("MGET gives an array");
                    };
                    for (key, value) in keys.iter().zip(values) {
                        assert!(value == Value::Null || value.as_bytes() == Some(key));
                    }
                }
            });
        }
    });
    for node in client.stats() {
        assert_eq!((node.failures, node.downs, node.leased), (0, 0, 0));
        assert!(node.requests > 0 && node.idle <= 2, "{node:?}");
    }
}
