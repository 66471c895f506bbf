//! Bounds: how much stays, and what an insert says where nothing may go.

use ant_cache_core::Eviction;
use ant_cache_core::cache::{Builder, InsertError};
use ant_cache_core::{Cache, Millis};

fn builder() -> Builder {
    Cache::builder_with(|| Millis(0), 0xb0)
}

/// The policies that let something go.
const POLICIES: [Eviction; 4] = [
    Eviction::Adaptive,
    Eviction::Lru,
    Eviction::Random,
    Eviction::Ttl,
];

#[test]
fn there_are_never_more_entries_than_the_bound() {
    for eviction in POLICIES {
        for (bound, shards) in [(0, None), (1, Some(64)), (100, Some(64)), (5000, None)] {
            let mut builder = builder().max_entries(bound).eviction(eviction);
            if let Some(shards) = shards {
                builder = builder.shards(shards);
            }
            let cache = builder.build();
            for number in 0..10_000u64 {
                cache.insert(number.to_le_bytes(), b"value").unwrap();
                assert!(
                    cache.contains(number.to_le_bytes()),
                    "what was put in is there"
                );
                if number % 97 == 0 {
                    assert!(cache.len() <= bound.max(1), "{} of {bound}", cache.len());
                }
            }
            let stats = cache.stats();
            assert_eq!(stats.evictions, 10_000 - stats.entries);
            // Shares are filled unevenly at first, and all of them in the end.
            assert_eq!(stats.entries, bound.max(1));
        }
    }
}

#[test]
fn memory_stays_within_the_bound_whatever_the_sizes() {
    for eviction in POLICIES {
        for bound in [1 << 20, 8 << 20] {
            let cache = builder().max_memory(bound).eviction(eviction).build();
            let mut written = 0;
            let mut most = 0;
            for number in 0..60_000u64 {
                let len = match number % 100 {
                    0 => 50_000,
                    1..10 => 2000,
                    _ => number as usize * 7 % 300,
                };
                cache.insert(number.to_le_bytes(), vec![7; len]).unwrap();
                written += len as u64;
                // Counting takes every shard's lock; odd, so that inserts of each size come before it.
                if number % 7 == 0 {
                    most = most.max(cache.stats().memory);
                }
            }
            assert!(written > 3 * bound);
            assert!(most <= bound, "{most} of {bound} by {eviction}");
            assert!(most >= bound / 10 * 9, "{most} of {bound} by {eviction}");
        }
    }
}

#[test]
fn nothing_goes_for_what_is_larger_than_everything() {
    let cache = builder().max_memory(1 << 20).build();
    cache.insert("a", b"1").unwrap();
    let large = vec![7; 1 << 20];
    assert_eq!(cache.insert("b", &large), Err(InsertError::TooLarge));
    assert_eq!(cache.insert("a", &large), Err(InsertError::TooLarge));
    assert_eq!(cache.get("a").as_deref(), Some(&b"1"[..]));
    assert_eq!(cache.stats().evictions, 0);
    // A loader's value is its caller's all the same.
    assert_eq!(cache.get_or_insert_with("b", || large.clone()), large);
    assert_eq!(cache.len(), 1);
}

#[test]
fn without_eviction_a_full_cache_takes_no_more() {
    let by_entries = builder().max_entries(10);
    let by_memory = builder().max_memory(64 << 10);
    for builder in [by_entries, by_memory] {
        let cache = builder.eviction(Eviction::None).shards(1).build();
        let value = [7; 1000];
        let full = (0..1000u64).find(|number| cache.insert(number.to_le_bytes(), &value).is_err());
        let full = full.expect("it gets full").to_le_bytes();
        assert_eq!(cache.insert(full, &value), Err(InsertError::Full));
        assert_eq!(cache.get_or_insert_with(full, || b"loaded"), b"loaded");
        assert!(!cache.contains(full));
        // All that was put in stays, and room is made by removing.
        let stats = cache.stats();
        assert_eq!(stats.entries, u64::from_le_bytes(full));
        assert_eq!(stats.evictions, 0);
        (0..stats.entries / 2).for_each(|number| assert!(cache.remove(number.to_le_bytes())));
        assert_eq!(cache.insert(full, &value), Ok(()));
    }
}

#[test]
fn where_entries_are_full_what_is_there_may_still_be_replaced() {
    let cache = builder().max_entries(1).eviction(Eviction::None).build();
    cache.insert("a", b"1").unwrap();
    assert_eq!(cache.insert("b", b"1"), Err(InsertError::Full));
    assert_eq!(cache.insert("a", b"2"), Ok(()));
    assert_eq!(cache.get("a").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_lowered_bound_is_followed_step_by_step() {
    let fill = || {
        let cache = builder().shards(8).build();
        for number in 0..50_000u64 {
            cache.insert(number.to_le_bytes(), &[7; 100]).unwrap();
        }
        let all = cache.stats().memory;
        cache.set_max_memory(all / 4);
        (cache, all)
    };
    let (cache, all) = fill();
    let ticks = (0..).find(|_| cache.tick().is_none()).unwrap();
    assert!(ticks > 3, "not all at once");
    // What a shard has not told of yet comes on top.
    assert!(cache.stats().memory <= all / 4 + (8 << 10));

    let (cache, all) = fill();
    cache.insert("other", b"1").unwrap();
    assert!(
        cache.stats().memory > all / 2,
        "not all by the first insert"
    );
    for number in 0..5000u64 {
        cache.insert(number.to_le_bytes(), &[7; 100]).unwrap();
    }
    assert!(cache.stats().memory <= all / 4 + (64 << 10));
    assert_eq!(cache.max_memory(), all / 4);
}

#[test]
fn a_bound_below_what_anything_takes_refuses_everything() {
    let cache = builder().max_memory(0).build();
    assert_eq!(cache.insert("a", b"1"), Err(InsertError::TooLarge));
    let cache = builder().max_memory(200).build();
    let stored = cache.insert("a", b"1").is_ok();
    assert_eq!(cache.contains("a"), stored);
    assert_eq!(cache.get("b"), None);
}
