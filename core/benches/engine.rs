//! The engine in memory, without sockets: pipelined requests through a `Session` beside a bare look-up.
//!
//! `cargo bench -p ant-cache-core --features std --bench engine [-- KEYS [ROUNDS]]`
//!
//! Prints, for one and two threads, nanoseconds a request (median of the rounds, with the spread), how much two
//! threads process more than one, and how a pipelined GET compares with looking the same keys up in a sharded
//! hashbrown table. Rounds of all subjects alternate, so that what disturbs the machine disturbs each of them.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::{Arc, Barrier};

use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Input, Millis, Output, Service, Session, Turn};
use hashbrown::HashMap;

const PIPELINE: usize = 16;
/// Requests of one thread in one round.
const REQUESTS: usize = 1 << 20;
const VALUE: &[u8; 16] = b"0123456789abcdef";

/// The keys in the order of their use: 16 bytes each, drawn at random among `keys`.
fn draws(keys: u64, seed: u64) -> Vec<[u8; 16]> {
    let mut state = seed | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        key(state % keys)
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    for (place, digit) in key[4..].iter_mut().zip(format!("{number:012}").bytes()) {
        *place = digit;
    }
    key
}

/// Whole pipelines, encoded.
fn encode(draws: &[[u8; 16]], set: bool) -> Vec<Vec<u8>> {
    let pipeline = |keys: &[[u8; 16]]| {
        let mut bytes = Vec::new();
        for key in keys {
            if set {
                bytes.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$16\r\n");
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(b"\r\n$16\r\n");
                bytes.extend_from_slice(VALUE);
            } else {
                bytes.extend_from_slice(b"*2\r\n$3\r\nGET\r\n$16\r\n");
                bytes.extend_from_slice(key);
            }
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    };
    draws.chunks(PIPELINE).map(pipeline).collect()
}

struct Peer {
    session: Session,
    input: Input,
    output: Output,
    counters: Arc<Counters>,
}

impl Peer {
    fn new(service: &Arc<Service>) -> Self {
        let session = service.connect(Millis(1)).expect("a connection");
        Self {
            session,
            input: Input::new(),
            output: Output::new(),
            counters: service.counters(),
        }
    }

    /// One packet in, its replies out; returns their bytes.
    fn packet(&mut self, bytes: &[u8]) -> usize {
        let spare = self.input.spare();
        spare[..bytes.len()].copy_from_slice(bytes);
        self.input.filled(bytes.len());
        let mut cx = Turn {
            now: Millis(1),
            budget: Budget::TURN,
            stats: &self.counters,
        };
        let wants = self
            .session
            .turn(&mut cx, &mut self.input, &mut self.output);
        assert!(wants.read, "the turn finished its requests");
        let replied = self.output.len();
        self.output.consume(replied);
        replied
    }
}

type Shards = Vec<spin::Mutex<HashMap<[u8; 16], [u8; 16], foldhash::quality::RandomState>>>;

/// The floor: hash, lock, look up, read the value.
fn look_up(shards: &Shards, hasher: &foldhash::quality::RandomState, keys: &[[u8; 16]]) -> u64 {
    let mut sum = 0;
    for key in keys {
        let shard = &shards[(hasher.hash_one(key) >> 32) as usize & (shards.len() - 1)];
        sum += u64::from(shard.lock().get(key).expect("every key is there")[7]);
    }
    sum
}

/// Nanoseconds that this thread has run. Not the time that passed: on a machine that does something else as well, that
/// measures the something else.
fn cpu_time() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    schedstat
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .expect("a number")
}

/// Runs one closure on each thread at once; returns nanoseconds a request of one thread.
fn timed<W: FnMut() + Send>(work: Vec<W>) -> f64 {
    let threads = work.len();
    let barrier = Barrier::new(threads);
    let times: Vec<f64> = std::thread::scope(|scope| {
        let run = |mut work: W| {
            barrier.wait();
            let start = cpu_time();
            work();
            cpu_time() - start
        };
        let handles: Vec<_> = work
            .into_iter()
            .map(|work| scope.spawn(move || run(work)))
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("no panic"))
            .collect()
    });
    times.iter().sum::<f64>() / (threads * REQUESTS) as f64
}

struct Series(Vec<f64>);

impl Series {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn spread(&self) -> f64 {
        let (low, high) = self.0.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| {
            (low.min(x), high.max(x))
        });
        (high - low) / self.median()
    }
}

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u64>().ok());
    let keys = numbers.next().unwrap_or(1_000_000);
    let rounds = numbers.next().unwrap_or(7);
    let service = Service::new(Options {
        seed: 0x5eed,
        ..Options::default()
    });
    let hasher = foldhash::quality::RandomState::default();
    let shards: Shards = (0..256)
        .map(|_| spin::Mutex::new(HashMap::with_hasher(hasher.clone())))
        .collect();
    let mut filler = Peer::new(&service);
    for number in 0..keys {
        let key = key(number);
        filler.packet(&encode(&[key], true)[0]);
        shards[(hasher.hash_one(key) >> 32) as usize & 255]
            .lock()
            .insert(key, *VALUE);
    }
    println!(
        "{keys} keys, pipelines of {PIPELINE}, {rounds} rounds of {REQUESTS} requests a thread"
    );
    println!(
        "{:<22}{:>8}{:>12}{:>9}",
        "subject", "threads", "ns/request", "spread"
    );
    let names = [
        "GET through a session",
        "SET through a session",
        "bare look-up",
    ];
    let mut series: Vec<Vec<Series>> = (0..2)
        .map(|_| names.map(|_| Series(Vec::new())).into())
        .collect();
    let draws: Vec<_> = (0..2)
        .map(|thread| draws(keys, 0x9e37_79b9 * (thread + 1)))
        .collect();
    let packets: Vec<Vec<_>> = [false, true]
        .map(|set| draws.iter().map(|draws| encode(draws, set)).collect())
        .into();
    for _ in 0..rounds {
        for threads in [1, 2] {
            for (subject, packets) in packets.iter().enumerate() {
                let work = packets[..threads].iter().map(|packets| {
                    let mut peer = Peer::new(&service);
                    move || {
                        for packet in packets {
                            black_box(peer.packet(packet));
                        }
                    }
                });
                series[threads - 1][subject].0.push(timed(work.collect()));
            }
            let work = draws[..threads].iter().map(|draws| {
                let (shards, hasher) = (&shards, &hasher);
                move || {
                    black_box(look_up(shards, hasher, draws));
                }
            });
            series[threads - 1][2].0.push(timed(work.collect()));
        }
    }
    for (index, name) in names.iter().enumerate() {
        for threads in [1, 2] {
            let series = &series[threads - 1][index];
            println!(
                "{name:<22}{threads:>8}{:>12.1}{:>8.0}%",
                series.median(),
                series.spread() * 100.0
            );
        }
    }
    let median = |threads: usize, index: usize| series[threads - 1][index].median();
    for (index, name) in names.iter().enumerate().take(2) {
        println!(
            "{name}: two threads process {:.2} times one",
            2.0 * median(1, index) / median(2, index)
        );
    }
    println!("GET / bare look-up: {:.2}", median(1, 0) / median(1, 2));
}
