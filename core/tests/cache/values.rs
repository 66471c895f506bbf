//! Values of every kind, beside each other.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::Arc;

use ant_cache_core::Eviction;
use ant_cache_core::cache::{IncrementError, Insert, InsertError, Read, Ttl};
use ant_cache_core::store::Kind;
use ant_cache_core::{Cache, Millis};

fn cache() -> Cache {
    Cache::builder_with(|| Millis(0), 7).build()
}

const AS_IT_IS: Insert = Insert::new();

#[test]
fn each_kind_comes_back_as_what_it_is_and_as_nothing_else() {
    let cache = cache();
    for len in [0, 3, 500] {
        let elements = vec![&b"element"[..]; len];
        assert!(cache.insert_array("array", elements.iter().copied(), &AS_IT_IS) == Ok(true));
        let fields: Vec<_> = (0..len).map(|n| n.to_string()).collect();
        let pairs = fields.iter().map(|field| (field.as_bytes(), &b"value"[..]));
        assert!(cache.insert_object("object", pairs, &AS_IT_IS) == Ok(true));
        cache.insert("string", vec![7; len]).unwrap();

        let value = cache.value("array").unwrap();
        assert_eq!(value.kind(), Kind::Array);
        assert!(value.as_array().unwrap().iter().eq(elements));
        assert!(value.as_string().is_none() && value.as_object().is_none());
        let value = cache.value("object").unwrap();
        assert_eq!(value.as_object().unwrap().len(), len);
        assert!(value.as_array().is_none());
        let value = cache.value("string").unwrap();
        assert_eq!(value.as_string(), Some(&vec![7; len][..]));

        let mut buffer = Vec::new();
        for other in ["array", "object"] {
            assert_eq!(cache.get(other), None);
            assert!(!cache.get_into(other, &mut buffer));
            assert_eq!(
                cache.read(other, &mut [MaybeUninit::new(1); 4096]),
                Read::OtherKind
            );
            assert_eq!(cache.increment(other, 1), Err(IncrementError::OtherKind));
            assert!(cache.contains(other));
        }
        assert!(cache.get_into("string", &mut buffer));
        assert_eq!(buffer.len(), len);
        assert_eq!(cache.iter().count(), 1);
        assert_eq!(cache.keys().count(), 3);
    }
    assert_eq!(cache.value("absent"), None);
}

#[test]
fn conditions_hold_for_every_kind() {
    let cache = cache();
    let (absent, present) = (AS_IT_IS.only_if_absent(), AS_IT_IS.only_if_present());
    assert_eq!(cache.insert_array("key", [&b"a"[..]], &present), Ok(false));
    assert_eq!(cache.insert_array("key", [&b"a"[..]], &absent), Ok(true));
    assert_eq!(cache.insert_object("key", [], &absent), Ok(false));
    assert_eq!(cache.insert_object("key", [], &present), Ok(true));
    assert_eq!(cache.value("key").unwrap().kind(), Kind::Object);
    let long = vec![0; 65_536];
    assert_eq!(
        cache.insert_array(&long, [], &absent),
        Err(InsertError::KeyTooLong)
    );
}

#[test]
fn a_value_is_read_whole_or_not_at_all() {
    let cache = cache();
    let mut room = [MaybeUninit::new(0); 3000];
    assert_eq!(cache.read("key", &mut room), Read::Missing);
    for len in [0, 1, 1023, 1024, 3000] {
        cache.insert("key", vec![len as u8; len]).unwrap();
        room.fill(MaybeUninit::new(1));
        assert_eq!(cache.read("key", &mut room), Read::Done(len));
        let mut back = Vec::new();
        assert!(cache.get_into("key", &mut back));
        assert_eq!(back.len(), len);
        if len > 0 {
            assert_eq!(cache.read("key", &mut room[..len - 1]), Read::NoRoom(len));
        }
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (14, 1));
}

#[test]
fn numbers_are_counted_up_and_keep_their_time() {
    let now = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&now);
    let cache = Cache::builder_with(move || Millis(clock.load(Relaxed)), 7).build();
    assert_eq!(cache.increment("n", 5), Ok(5));
    assert_eq!(
        cache.increment("n", i64::MAX),
        Err(IncrementError::Overflow)
    );
    assert_eq!(cache.increment("n", -6), Ok(-1));
    assert_eq!(cache.get("n").as_deref(), Some(&b"-1"[..]));
    cache.expire("n", Some(Duration::from_millis(10)));
    assert_eq!(cache.increment("n", 1), Ok(0));
    assert_eq!(cache.ttl("n"), Some(Ttl::Left(Duration::from_millis(10))));
    now.store(10, Relaxed);
    assert_eq!(cache.increment("n", 1), Ok(1));
    assert_eq!(cache.ttl("n"), Some(Ttl::Unlimited));
    cache.insert("word", b"x1").unwrap();
    assert_eq!(cache.increment("word", 1), Err(IncrementError::NotInteger));
}

#[test]
fn a_full_cache_counts_up_what_it_has_and_takes_no_more() {
    let cache = Cache::builder_with(|| Millis(0), 7)
        .max_entries(1)
        .eviction(Eviction::None)
        .build();
    assert_eq!(cache.increment("a", 1), Ok(1));
    let full = Err(IncrementError::Insert(InsertError::Full));
    assert_eq!(cache.increment("b", 1), full);
    assert_eq!(cache.increment("a", 1), Ok(2));
}
