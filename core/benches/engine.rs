//! The engine in memory, without sockets: pipelined requests through a `Session` beside a bare look-up.
//!
//! `cargo bench -p ant-cache-core --features std --bench engine [-- KEYS [ROUNDS]]`
//!
//! Prints, for one and two threads, nanoseconds of processor time a request (median of the rounds, with the spread),
//! how much two threads process more than one, and how a pipelined GET compares with looking the same keys up in a
//! sharded hashbrown table. Rounds of all subjects alternate, so that what disturbs the machine disturbs each of them.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::hint::black_box;
use std::sync::{Arc, Barrier, LazyLock};
use std::time::Instant;

use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::store::Store;
use ant_cache_core::{Budget, Input, Millis, Output, Service, Session, Turn};
use foldhash::quality::RandomState;
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

/// A sharded hashbrown table, the floor. With `[u8; 16]` for keys and values both lie in the table itself, which is the
/// least that any look-up can read, and which only keys of one length allow. With `Box<[u8]>` it holds what a cache must:
/// byte strings of any length.
struct Table<K>(Vec<spin::Mutex<HashMap<K, K, RandomState>>>, RandomState);

impl<K: Hash + Eq + Borrow<[u8]> + From<[u8; 16]>> Table<K> {
    fn new() -> Self {
        let hasher = RandomState::default();
        let shard = || spin::Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self((0..Store::SHARDS).map(|_| shard()).collect(), hasher)
    }

    fn shard(&self, key: &[u8]) -> &spin::Mutex<HashMap<K, K, RandomState>> {
        &self.0[(self.1.hash_one(key) >> 32) as usize & (self.0.len() - 1)]
    }

    fn insert(&self, key: &[u8; 16]) {
        self.shard(key)
            .lock()
            .insert((*key).into(), (*VALUE).into());
    }

    /// Hash, lock, look up, read the value.
    fn look_up(&self, keys: &[[u8; 16]]) -> u64 {
        let value = |key: &[u8; 16]| {
            let shard = self.shard(key).lock();
            let value: &[u8] = shard.get(&key[..]).expect("every key is there").borrow();
            u64::from(value[7])
        };
        keys.iter().map(value).sum()
    }
}

/// What a server's calls are timed by.
fn nanos() -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed().as_nanos() as u64
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

/// Runs the subject on so many threads at once; returns nanoseconds a request of one thread.
fn timed(threads: usize, subject: &Subject<'_>) -> f64 {
    let barrier = Barrier::new(threads);
    let run = |thread| {
        barrier.wait();
        let start = cpu_time();
        subject(thread);
        cpu_time() - start
    };
    let times: Vec<f64> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("no panic"))
            .collect()
    });
    times.iter().sum::<f64>() / (threads * REQUESTS) as f64
}

#[derive(Default)]
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
        stopwatch: Some(nanos),
        ..Options::default()
    });
    let (inline, boxed) = (Table::<[u8; 16]>::new(), Table::<Box<[u8]>>::new());
    let mut filler = Peer::new(&service);
    for number in 0..keys {
        let key = key(number);
        filler.packet(&encode(&[key], true)[0]);
        inline.insert(&key);
        boxed.insert(&key);
    }
    println!(
        "{keys} keys, pipelines of {PIPELINE}, {rounds} rounds of {REQUESTS} requests a thread"
    );
    let draws: Vec<_> = (1..=2)
        .map(|thread| draws(keys, 0x9e37_79b9 * thread))
        .collect();
    let gets: Vec<_> = draws.iter().map(|draws| encode(draws, false)).collect();
    let sets: Vec<_> = draws.iter().map(|draws| encode(draws, true)).collect();
    let session = |packets: &[Vec<u8>]| {
        let mut peer = Peer::new(&service);
        packets.iter().for_each(|packet| {
            black_box(peer.packet(packet));
        });
    };
    let subjects: [(&str, Subject<'_>); 4] = [
        (
            "GET through a session",
            Box::new(|thread| session(&gets[thread])),
        ),
        (
            "SET through a session",
            Box::new(|thread| session(&sets[thread])),
        ),
        (
            "bare look-up, boxed",
            Box::new(|thread| {
                black_box(boxed.look_up(&draws[thread]));
            }),
        ),
        (
            "bare look-up, inline",
            Box::new(|thread| {
                black_box(inline.look_up(&draws[thread]));
            }),
        ),
    ];
    let mut series: Vec<[Series; 2]> = subjects.iter().map(|_| Default::default()).collect();
    for _ in 0..rounds {
        for threads in [1, 2] {
            for ((_, subject), series) in subjects.iter().zip(&mut series) {
                series[threads - 1].0.push(timed(threads, subject));
            }
        }
    }
    report(&subjects.each_ref().map(|(name, _)| *name), &series);
}

/// What a thread with this number does in a round.
type Subject<'a> = Box<dyn Fn(usize) + Sync + 'a>;

fn report(names: &[&str], series: &[[Series; 2]]) {
    println!(
        "{:<24}{:>8}{:>12}{:>9}",
        "subject", "threads", "ns/request", "spread"
    );
    for (name, series) in names.iter().zip(series) {
        for (threads, series) in [1, 2].iter().zip(series) {
            let (median, spread) = (series.median(), series.spread() * 100.0);
            println!("{name:<24}{threads:>8}{median:>12.1}{spread:>8.0}%");
        }
    }
    for (name, [one, two]) in names.iter().zip(series) {
        println!(
            "{name}: two threads process {:.2} times one",
            2.0 * one.median() / two.median()
        );
    }
    let get = series[0][0].median();
    for (name, floor) in names.iter().zip(series).skip(2) {
        println!(
            "GET through a session / {name}: {:.2}",
            get / floor[0].median()
        );
    }
}
