//! The cache as a library: against a naive map, and among threads.

mod bounds;
mod model;
mod threads;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ant_cache_core::cache::{Insert, InsertError, Ttl};
use ant_cache_core::{Cache, Millis};

/// A clock that moves by hand. Clones show the same time.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis, Relaxed);
    }

    fn cache(&self, shards: usize) -> Cache {
        let now = Arc::clone(&self.0);
        let clock = move || Millis(now.load(Relaxed));
        Cache::builder_with(clock, 0xcac4e).shards(shards).build()
    }
}

fn ttl(millis: u64) -> Insert {
    Insert::new().ttl(Duration::from_millis(millis))
}

#[test]
fn an_entry_is_gone_from_its_millisecond_on() {
    let clock = Hand::default();
    let cache = clock.cache(4);
    assert_eq!(cache.insert_with("a", b"1", &ttl(100)), Ok(true));
    clock.pass(99);
    assert_eq!(cache.ttl("a"), Some(Ttl::Left(Duration::from_millis(1))));
    assert_eq!(cache.get("a").as_deref(), Some(&b"1"[..]));
    clock.pass(1);
    assert_eq!(cache.get("a"), None);
    assert!(!cache.contains("a"));
    assert_eq!(cache.ttl("a"), None);
    assert!(!cache.get_into("a", &mut Vec::new()));
    assert_eq!(cache.iter().next(), None);
    assert!(!cache.expire("a", None) && !cache.remove("a"));
}

#[test]
fn a_part_of_a_millisecond_is_a_whole_one() {
    let clock = Hand::default();
    let cache = clock.cache(1);
    let short = Insert::new().ttl(Duration::from_nanos(1));
    assert_eq!(cache.insert_with("a", b"1", &short), Ok(true));
    assert!(cache.contains("a"));
    clock.pass(1);
    assert!(!cache.contains("a"));
}

#[test]
fn an_endless_ttl_is_as_good_as_none() {
    let clock = Hand::default();
    let cache = clock.cache(1);
    let endless = Insert::new().ttl(Duration::MAX);
    assert_eq!(cache.insert_with("a", b"1", &endless), Ok(true));
    clock.pass(1 << 60);
    assert!(cache.contains("a"));
}

#[test]
fn inserts_give_back_the_memory_of_what_has_ended() {
    let clock = Hand::default();
    let cache = clock.cache(1);
    for number in 0..1000 {
        cache
            .insert_with(format!("{number}"), vec![7; 2000], &ttl(10))
            .unwrap();
    }
    let full = cache.stats().memory;
    // Nobody touches what has ended; the inserts of something else do the work.
    for _ in 0..10_000 {
        clock.pass(100);
        cache.insert("other", b"1").unwrap();
    }
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.expirations), (1, 1000));
    assert!(stats.memory < full / 10, "{} of {full}", stats.memory);
}

#[test]
fn a_tick_gives_back_the_memory_of_what_has_ended() {
    let clock = Hand::default();
    let cache = clock.cache(4);
    assert_eq!(cache.tick(), None);
    for number in 0..1000 {
        cache
            .insert_with(format!("{number}"), b"1", &ttl(10))
            .unwrap();
    }
    clock.pass(1000);
    for _ in 0..1000 {
        match cache.tick() {
            None => break,
            Some(rest) => clock.pass(rest.as_millis() as u64),
        }
    }
    assert_eq!(cache.stats().entries, 0);
    assert_eq!(cache.stats().expirations, 1000);
    clock.pass(1000);
    assert_eq!(cache.tick(), None);
}

#[test]
fn clearing_frees_the_memory() {
    let cache = Hand::default().cache(8);
    let empty = cache.stats().memory;
    for number in 0..1000 {
        cache.insert(format!("{number}"), vec![7; 500]).unwrap();
    }
    assert!(cache.stats().memory > empty + 500_000);
    cache.clear();
    assert_eq!(cache.stats().memory, empty);
    assert!(cache.is_empty());
    assert_eq!(cache.get("7"), None);
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    let cache = Hand::default().cache(1);
    let longest = vec![b'k'; 65_535];
    assert_eq!(cache.insert(&longest, b"1"), Ok(()));
    assert!(cache.contains(&longest));
    let longer = vec![b'k'; 65_536];
    assert_eq!(cache.insert(&longer, b"1"), Err(InsertError::KeyTooLong));
    assert_eq!(cache.get(&longer), None);
    assert!(!cache.remove(&longer) && !cache.expire(&longer, None));
    assert_eq!(cache.get_or_insert_with(&longer, || b"2"), b"2");
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_large_value_is_shared_and_outlives_its_entry() {
    let cache = Hand::default().cache(1);
    let value = vec![7; 5000];
    let address = value.as_ptr();
    cache.insert("a", value).unwrap();
    let held = cache.get("a").unwrap();
    assert_eq!(held.as_ptr(), address, "taken and given without a copy");
    cache.insert("a", b"other").unwrap();
    cache.clear();
    assert_eq!(held, vec![7; 5000]);
}

#[test]
fn a_read_appends_to_the_buffer_or_leaves_it_alone() {
    let cache = Hand::default().cache(1);
    cache.insert("small", b"abc").unwrap();
    cache.insert("large", vec![7; 3000]).unwrap();
    let mut buffer = b"start".to_vec();
    assert!(cache.get_into("small", &mut buffer));
    assert!(!cache.get_into("none", &mut buffer));
    assert_eq!(buffer, b"startabc");
    assert!(cache.get_into("large", &mut buffer));
    assert_eq!(buffer.len(), 3008);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (2, 1));
}

#[test]
fn the_clock_may_use_the_cache() {
    // It would wait for ever if it were asked under a lock.
    let cache: Arc<std::sync::OnceLock<Cache>> = Arc::default();
    // Weak, since the cache owns its clock.
    let inner = Arc::downgrade(&cache);
    let clock = move || {
        let cache = inner.upgrade();
        Millis(
            cache
                .and_then(|cache| Some(cache.get()?.len()))
                .unwrap_or(0),
        )
    };
    let built = Cache::builder_with(clock, 1).shards(1).build();
    let cache = cache.get_or_init(|| built);
    for key in ["a", "b", "c"] {
        cache.insert_with(key, b"1", &ttl(3)).unwrap();
    }
    let found = ["a", "b", "c"].map(|key| cache.contains(key));
    assert_eq!(found, [false, true, true], "the time is 3 by now");
    assert!(cache.expire("b", Some(Duration::from_secs(1))));
    assert!(cache.remove("c"));
    assert!(cache.iter().count() > 0);
}
