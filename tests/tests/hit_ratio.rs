//! How well the cache chooses what to keep: traces of real caches, replayed through it.
//!
//! `cargo bench -p ant-cache-tests --bench hit_ratio` prints the whole table, over several seeds.

use ant_cache_core::eviction::Eviction;
use ant_cache_tests::Random;
use ant_cache_tests::traces::{self, ROWS};

/// The mean over all rows, and by how much the worst is below the best policy of its row.
fn replay(shards: usize) -> (f64, f64) {
    let (mut sum, mut worst) = (0.0, f64::MIN);
    let mut keys = Vec::new();
    for (place, row) in ROWS.iter().enumerate() {
        if place == 0 || ROWS[place - 1].trace != row.trace {
            keys = traces::keys(row.trace);
        }
        let ratio = traces::hit_ratio(&keys, row.entries, shards, Eviction::Adaptive, 1);
        sum += ratio;
        worst = f64::max(worst, row.best() - ratio);
    }
    (sum / ROWS.len() as f64, worst)
}

#[test]
fn it_adapts_to_every_load_as_well_as_the_best_policy_for_it() {
    if traces::directory().is_none() {
        println!("skipped: there are no traces (CACHE_TRACES names their directory)");
        return;
    }
    let (one, worst) = replay(1);
    assert!(one >= 59.0, "the mean is {one:.2} %");
    assert!(
        worst <= 3.0,
        "a row is {worst:.2} points below the best policy"
    );
    let (eight, _) = replay(8);
    assert!(
        one - eight <= 0.5,
        "8 shards: {eight:.2} % in place of {one:.2} %"
    );
}

/// Scans that never come back do not push out what is asked for again and again.
#[test]
fn a_scan_does_not_push_out_what_is_in_demand() {
    let mut keys = Vec::new();
    for round in 0..400_u64 {
        keys.extend(0..50);
        keys.extend((0..100).map(|number| 1_000 + round * 100 + number));
    }
    let ratio = |eviction| traces::hit_ratio(&keys, 100, 1, eviction, 1);
    let possible = 100.0 / 3.0;
    assert!(
        ratio(Eviction::Adaptive) > possible - 1.0,
        "{}",
        ratio(Eviction::Adaptive)
    );
    assert!(
        ratio(Eviction::Ttl) < 1.0,
        "first in, first out keeps none of them"
    );
}

/// What is asked for is among the last eighty that came, and older ones never again.
#[test]
fn what_is_new_stays_as_long_as_it_is_in_demand() {
    let mut random = Random::new(7);
    let keys: Vec<u64> = (0..100_000_u64)
        .map(|count| count / 4 + random.number() % 80)
        .collect();
    let ratio = |eviction| traces::hit_ratio(&keys, 100, 1, eviction, 1);
    let (adaptive, lru) = (ratio(Eviction::Adaptive), ratio(Eviction::Lru));
    assert!(adaptive > lru - 2.0, "{adaptive} beside {lru}");
}
