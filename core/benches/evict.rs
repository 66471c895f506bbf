//! What a write costs when something must go for it, and what an entry takes then.
//!
//! `cargo bench -p ant-cache-core --features std --bench evict -- [KEYS]` fills a cache without a bound with so many keys
//! (a million), then one that is bounded by the memory which that took, ten times over, for every policy.

use std::time::Instant;

use ant_cache_core::Cache;
use ant_cache_core::cache::Builder;
use ant_cache_core::eviction::Eviction;

/// Ten times the bound: nothing of what was there at first is left.
const TURNOVERS: u64 = 10;

fn main() {
    let keys = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1_000_000);
    println!("{keys} keys of 11 bytes, values of 32 bytes, one thread\n");
    println!(
        "{:<12}{:>12}{:>14}{:>16}",
        "policy", "ns a write", "of unbounded", "bytes an entry"
    );
    let (free, bytes) = fill(Cache::builder(), keys, 0);
    println!("{:<12}{free:>12.0}{:>14}{bytes:>16.1}", "no bound", "");
    let bound = (bytes * keys as f64) as u64;
    for policy in [
        Eviction::Adaptive,
        Eviction::Lru,
        Eviction::Random,
        Eviction::Ttl,
    ] {
        let builder = Cache::builder().max_memory(bound).eviction(policy);
        let (full, bytes) = fill(builder, keys, TURNOVERS - 1);
        println!(
            "{:<12}{full:>12.0}{:>14.2}{bytes:>16.1}",
            policy.name(),
            free / full
        );
    }
}

/// Writes new keys; returns nanoseconds a write of the last million or so, and bytes an entry.
fn fill(builder: Builder, keys: u64, turnovers: u64) -> (f64, f64) {
    let cache = builder.build();
    let write = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let key = format!("k{number:010}");
            cache.insert(key, &[b'v'; 32][..]).expect("room is made");
        }
    };
    write(0..keys * turnovers);
    let start = Instant::now();
    write(keys * turnovers..keys * (turnovers + 1));
    let nanos = start.elapsed().as_nanos() as f64 / keys as f64;
    let stats = cache.stats();
    (nanos, stats.memory as f64 / stats.entries as f64)
}
