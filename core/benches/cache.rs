//! The cache as a library beside others: `cargo bench -p ant-cache-core --features std --bench cache [-- [NAME…] [KEYS [ROUNDS]]]`
//!
//! Keys of 11 bytes drawn by Zipf's law (0.99), values of 32 bytes, 95 % reads and 5 % writes, room for all keys. Prints
//! million operations a second of one and of two threads together (median of the rounds, with the spread), and how we
//! compare with the fastest cache that has a bound. Rounds of all subjects alternate, so that what disturbs the machine
//! disturbs each of them. With NAMEs, only subjects in whose names one occurs run.
//!
//! Every subject holds byte strings of any length and gives out what its users would take: we a copy (that is what a
//! read of a small value is), the others a clone of an `Arc<[u8]>`; beside it, those that can hold a type of a fixed size
//! hold `[u8; 32]`, which spares them an allocation and a cache miss that values of any length cost. All of them hash
//! with foldhash, which is faster than what they come with, and they all fill their tables first.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

use ant_cache_core::Cache;
use foldhash::fast::RandomState;

/// Operations of one thread in one round.
const OPERATIONS: usize = 1 << 21;
const VALUE: [u8; 32] = *b"a value of two and thirty bytes.";
/// One in so many operations is a write.
const WRITE: u64 = 20;

type Key = [u8; 11];

#[derive(Clone, Copy)]
struct Operation {
    key: Key,
    write: bool,
}

fn key(number: u64) -> Key {
    let mut key = *b"key:0000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Numbers of a xorshift generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a thread does, drawn beforehand. Ranks are spread over the key numbers, so that popular keys were not filled in
/// one behind the other.
fn draw(keys: u64, seed: u64) -> Vec<Operation> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-0.99);
            sum
        })
        .collect();
    let mut random = Random(seed);
    (0..OPERATIONS)
        .map(|_| {
            let drawn = random.unit() * sum;
            let rank = sums.partition_point(|&below| below < drawn) as u64;
            Operation {
                key: key((rank.min(keys - 1) * 7_368_787 + 1) % keys),
                write: random.next().is_multiple_of(WRITE),
            }
        })
        .collect()
}

/// A cache under test.
trait Subject: Sync {
    fn set(&self, key: &Key);
    /// A byte of the value that the cache gave out.
    fn get(&self, key: &Key) -> u8;
}

impl Subject for Cache {
    fn set(&self, key: &Key) {
        self.insert(key, &VALUE).expect("a short key");
    }

    fn get(&self, key: &Key) -> u8 {
        let byte = self.get_with(key, |value| value[7]);
        byte.expect("every key is there")
    }
}

/// A value as the other caches hold it.
trait Held: Clone + Send + Sync + 'static {
    fn new() -> Self;
    fn byte(&self) -> u8;
}

impl Held for Arc<[u8]> {
    fn new() -> Self {
        VALUE[..].into()
    }

    fn byte(&self) -> u8 {
        self[7]
    }
}

impl Held for [u8; 32] {
    fn new() -> Self {
        VALUE
    }

    fn byte(&self) -> u8 {
        self[7]
    }
}

type Quick<V> = quick_cache::sync::Cache<Box<[u8]>, V, quick_cache::UnitWeighter, RandomState>;

impl<V: Held> Subject for Quick<V> {
    fn set(&self, key: &Key) {
        self.insert(key[..].into(), V::new());
    }

    fn get(&self, key: &Key) -> u8 {
        Self::get(self, &key[..])
            .expect("every key is there")
            .byte()
    }
}

impl<V: Held> Subject for moka::sync::Cache<Box<[u8]>, V, RandomState> {
    fn set(&self, key: &Key) {
        self.insert(key[..].into(), V::new());
    }

    fn get(&self, key: &Key) -> u8 {
        Self::get(self, &key[..])
            .expect("every key is there")
            .byte()
    }
}

impl<V: Held> Subject for dashmap::DashMap<Box<[u8]>, V, RandomState> {
    fn set(&self, key: &Key) {
        self.insert(key[..].into(), V::new());
    }

    fn get(&self, key: &Key) -> u8 {
        let held = Self::get(self, &key[..]).expect("every key is there");
        let value = held.value().clone();
        drop(held);
        value.byte()
    }
}

impl<V: Held> Subject for Mutex<HashMap<Box<[u8]>, V, RandomState>> {
    fn set(&self, key: &Key) {
        let value = V::new();
        let replaced = self.lock().expect("no panic").insert(key[..].into(), value);
        drop(replaced);
    }

    fn get(&self, key: &Key) -> u8 {
        let map = self.lock().expect("no panic");
        let value = map.get(&key[..]).expect("every key is there").clone();
        drop(map);
        value.byte()
    }
}

/// A subject's name, whether it has a bound, and its rounds with one and with two threads.
struct Row {
    name: &'static str,
    bounded: bool,
    subject: Box<dyn Run>,
    rounds: [Vec<f64>; 2],
}

/// A subject whose loop is compiled for it.
trait Run {
    fn fill(&self, keys: u64);
    /// Million operations a second of all threads together.
    fn run(&self, operations: &[Vec<Operation>]) -> f64;
}

impl<S: Subject> Run for S {
    fn fill(&self, keys: u64) {
        (0..keys).for_each(|number| self.set(&key(number)));
    }

    fn run(&self, operations: &[Vec<Operation>]) -> f64 {
        let barrier = Barrier::new(operations.len() + 1);
        let work = |operations: &[Operation]| {
            barrier.wait();
            let mut sum = 0u64;
            for operation in operations {
                if operation.write {
                    self.set(&operation.key);
                } else {
                    sum += u64::from(self.get(&operation.key));
                }
            }
            black_box(sum);
        };
        let elapsed = std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = operations
                .iter()
                .map(|operations| scope.spawn(move || work(operations)))
                .collect();
            barrier.wait();
            let start = Instant::now();
            for thread in threads {
                thread.join().expect("no panic");
            }
            start.elapsed()
        });
        (operations.len() * OPERATIONS) as f64 / elapsed.as_secs_f64() / 1e6
    }
}

fn rows(keys: u64) -> Vec<Row> {
    let room = keys + keys / 4;
    let row = |name, bounded, subject| Row {
        name,
        bounded,
        subject,
        rounds: [Vec::new(), Vec::new()],
    };
    let ours = Cache::builder().max_entries(room).build();
    fn quick<V: Held>(room: u64) -> Box<dyn Run> {
        Box::new(Quick::<V>::with(
            room as usize,
            room,
            quick_cache::UnitWeighter,
            RandomState::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }
    fn moka<V: Held>(room: u64) -> Box<dyn Run> {
        let builder = moka::sync::Cache::<Box<[u8]>, V>::builder().max_capacity(room);
        Box::new(builder.build_with_hasher(RandomState::default()))
    }
    fn dashmap<V: Held>() -> Box<dyn Run> {
        Box::new(dashmap::DashMap::<Box<[u8]>, V, RandomState>::default())
    }
    fn mutex<V: Held>() -> Box<dyn Run> {
        Box::new(Mutex::new(HashMap::<Box<[u8]>, V, RandomState>::default()))
    }
    vec![
        row("ant-cache", true, Box::new(ours)),
        row("quick_cache, Arc<[u8]>", true, quick::<Arc<[u8]>>(room)),
        row("quick_cache, [u8; 32]", true, quick::<[u8; 32]>(room)),
        row("moka, Arc<[u8]>", true, moka::<Arc<[u8]>>(room)),
        row("moka, [u8; 32]", true, moka::<[u8; 32]>(room)),
        row("dashmap, Arc<[u8]>", false, dashmap::<Arc<[u8]>>()),
        row("dashmap, [u8; 32]", false, dashmap::<[u8; 32]>()),
        row("Mutex<HashMap>, Arc<[u8]>", false, mutex::<Arc<[u8]>>()),
        row("Mutex<HashMap>, [u8; 32]", false, mutex::<[u8; 32]>()),
    ]
}

fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The distance between the best and the worst round, in percent of the median.
fn spread(rounds: &[f64]) -> f64 {
    let (low, high) = rounds.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| {
        (low.min(x), high.max(x))
    });
    (high - low) / median(rounds) * 100.0
}

fn report(rows: &[Row]) {
    println!(
        "{:<28}{:>10}{:>9}{:>11}{:>9}",
        "million operations a second", "1 thread", "spread", "2 threads", "spread"
    );
    for row in rows {
        let [one, two] = &row.rounds;
        println!(
            "{:<28}{:>10.2}{:>8.0}%{:>11.2}{:>8.0}%{}",
            row.name,
            median(one),
            spread(one),
            median(two),
            spread(two),
            if row.bounded { "" } else { "  (no bound)" }
        );
    }
    let Some((ours, others)) = rows.split_first() else {
        return;
    };
    for (place, threads) in ["1 thread", "2 threads"].iter().enumerate() {
        for (fixed, what) in [(false, "; target 1.20"), (true, ", which hold one size")] {
            let fastest = others
                .iter()
                .filter(|row| row.bounded && row.name.contains("; 32]") == fixed)
                .max_by(|a, b| median(&a.rounds[place]).total_cmp(&median(&b.rounds[place])));
            if let Some(fastest) = fastest {
                println!(
                    "{threads}: {:.2} times the fastest of the others with a bound ({}){what}",
                    median(&ours.rounds[place]) / median(&fastest.rounds[place]),
                    fastest.name
                );
            }
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<u64>().ok());
    let names: Vec<&String> = args
        .iter()
        .filter(|arg| !arg.starts_with('-') && arg.parse::<u64>().is_err())
        .collect();
    let keys = numbers.next().unwrap_or(1_000_000).max(1);
    let rounds = numbers.next().unwrap_or(5).max(1);
    let operations: Vec<_> = (1..=2).map(|seed| draw(keys, seed * 0x9e37_79b9)).collect();
    let mut rows = rows(keys);
    rows.retain(|row| names.is_empty() || names.iter().any(|name| row.name.contains(*name)));
    rows.iter().for_each(|row| row.subject.fill(keys));
    println!("{keys} keys, {rounds} rounds of {OPERATIONS} operations a thread");
    for _ in 0..rounds {
        for row in &mut rows {
            for threads in [1, 2] {
                row.rounds[threads - 1].push(row.subject.run(&operations[..threads]));
            }
        }
    }
    report(&rows);
}
