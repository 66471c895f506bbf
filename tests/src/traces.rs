//! Traces of real caches, replayed through the embedded cache.
//!
//! They are not part of the project, since most have no clear terms of use: the simulator of
//! <https://github.com/ben-manes/caffeine> collects them. The directory is named by `CACHE_TRACES`, or else it is
//! `shared/traces` beside the project.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use ant_cache_core::eviction::Eviction;
use ant_cache_core::{Cache, Millis};
use flate2::bufread::GzDecoder;

/// One measurement: a trace, the entries that a cache may have, and the hit ratios of others there, in percent, from an
/// exact simulation of each.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Name of the trace.
    pub trace: &'static str,
    /// Entries at most.
    pub entries: usize,
    /// First in, first out.
    pub fifo: f64,
    /// Least recently used.
    pub lru: f64,
    /// Least frequently used.
    pub lfu: f64,
    /// ARC (Megiddo, Modha, 2003).
    pub arc: f64,
    /// S3-FIFO (Yang and others, 2023).
    pub s3_fifo: f64,
    /// SIEVE (Zhang and others, 2024).
    pub sieve: f64,
    /// W-TinyLFU with a window of 1 % (Einziger, Friedman, Manes, 2017).
    pub w_tinylfu: f64,
    /// What nobody can surpass, since it knows the future (Belady, 1966).
    pub optimum: f64,
}

impl Row {
    /// The best of those that do not know the future.
    #[must_use]
    pub fn best(&self) -> f64 {
        let others = [
            self.fifo,
            self.lru,
            self.lfu,
            self.arc,
            self.s3_fifo,
            self.sieve,
            self.w_tinylfu,
        ];
        others.into_iter().fold(0.0, f64::max)
    }
}

macro_rules! rows {
    ($($trace:literal $entries:literal: $fifo:literal $lru:literal $lfu:literal $arc:literal $s3_fifo:literal
        $sieve:literal $w_tinylfu:literal, $optimum:literal;)+) => {
        &[$(Row {
            trace: $trace, entries: $entries, fifo: $fifo, lru: $lru, lfu: $lfu, arc: $arc, s3_fifo: $s3_fifo,
            sieve: $sieve, w_tinylfu: $w_tinylfu, optimum: $optimum,
        }),+]
    };
}

/// The reference: each trace at three sizes.
pub const ROWS: &[Row] = rows! {
    "sprite" 200: 40.20 39.88 8.96 42.79 46.71 42.42 48.66, 68.90;
    "sprite" 600: 78.50 83.19 31.13 82.09 83.31 77.78 77.84, 89.95;
    "sprite" 1500: 90.58 92.48 76.45 91.88 92.07 90.67 89.49, 94.21;
    "2_pools" 100: 19.38 21.95 46.87 46.88 44.60 47.90 45.94, 50.76;
    "2_pools" 500: 42.70 51.06 51.86 51.88 51.91 51.86 51.91, 62.85;
    "2_pools" 2000: 57.33 59.33 59.35 59.25 59.31 59.35 59.35, 75.34;
    "web07" 500: 42.75 45.58 38.52 48.25 50.02 48.50 47.48, 59.17;
    "web07" 2000: 52.93 55.50 51.38 57.86 57.97 57.85 56.58, 67.97;
    "web07" 6000: 62.22 64.28 65.39 65.69 65.35 65.48 64.11, 73.09;
    "orm-night" 250: 53.83 53.88 4.95 58.72 50.43 45.29 31.94, 65.55;
    "orm-night" 1000: 68.20 68.65 11.28 68.31 66.23 64.07 53.56, 76.05;
    "orm-night" 4000: 79.47 81.30 37.86 82.79 84.35 80.24 82.94, 91.78;
    "corda" 2000: 33.33 33.33 1.47 33.30 33.33 1.47 4.69, 33.33;
    "corda" 8000: 33.33 33.33 5.89 33.30 33.33 5.89 33.33, 33.33;
    "corda" 24_000: 33.33 33.33 17.68 33.31 33.33 17.68 33.33, 33.33;
    "multi1" 300: 35.67 44.60 47.96 48.62 48.21 47.96 49.21, 53.75;
    "multi1" 1000: 44.79 48.23 49.74 49.75 57.82 49.74 68.41, 71.40;
    "multi1" 2000: 73.92 83.21 83.23 83.23 83.24 83.23 83.36, 83.57;
    "multi2" 500: 28.85 35.98 35.76 39.49 49.17 35.76 47.01, 53.62;
    "multi2" 1500: 42.06 48.31 50.84 50.85 59.28 50.84 62.43, 69.76;
    "multi2" 3000: 65.41 71.18 71.16 72.71 70.12 71.16 77.92, 78.40;
    "multi3" 500: 24.91 32.65 33.14 36.35 37.50 33.14 41.57, 48.90;
    "multi3" 1500: 37.67 44.12 46.48 46.51 48.85 46.48 55.89, 62.90;
    "multi3" 3000: 48.15 52.12 57.95 61.69 60.75 57.95 67.98, 73.60;
};

/// The directory of the traces, where there is one.
#[must_use]
pub fn directory() -> Option<PathBuf> {
    let directory = std::env::var_os("CACHE_TRACES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/traces")),
        PathBuf::from,
    );
    directory.is_dir().then_some(directory)
}

/// The keys of a trace, as its requests name them one after the other.
///
/// # Panics
/// Where there is no such trace, or it is damaged.
#[must_use]
pub fn keys(trace: &str) -> Vec<u64> {
    let path = directory()
        .expect("there are traces")
        .join(format!("{trace}.txt.gz"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(GzDecoder::new(BufReader::new(file)))
        .lines()
        .map(|line| line.expect("text").trim().parse().expect("a number"))
        .collect()
}

/// The share of requests, in percent, that a cache of so many entries answers, which is asked for each key and given
/// each that it does not have.
///
/// # Panics
/// Where the cache does not keep its bound.
#[must_use]
pub fn hit_ratio(
    keys: &[u64],
    entries: usize,
    shards: usize,
    eviction: Eviction,
    seed: u64,
) -> f64 {
    let cache = Cache::builder_with(|| Millis(0), seed)
        .shards(shards)
        .max_entries(entries as u64)
        .eviction(eviction)
        .build();
    let mut hits = 0;
    for key in keys {
        let key = key.to_le_bytes();
        if cache.get(key).is_some() {
            hits += 1;
        } else {
            cache.insert(key, b"value").expect("room is made");
        }
    }
    assert!(
        cache.len() <= entries as u64,
        "more entries than there may be"
    );
    100.0 * f64::from(hits) / keys.len() as f64
}
