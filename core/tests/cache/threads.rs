//! Several threads at one cache.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use ant_cache_core::cache::{Bytes, Insert};

use super::Hand;

const THREADS: usize = 8;

/// Runs `work` in so many threads, each with its number, and returns what they return.
fn all<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the thread ends well"))
            .collect()
    })
}

/// Waits until all threads have come here.
fn meet(arrived: &AtomicUsize) {
    arrived.fetch_add(1, SeqCst);
    while arrived.load(SeqCst) < THREADS {
        thread::yield_now();
    }
}

#[test]
fn one_thread_loads_and_all_get_its_value() {
    let cache = Hand::default().cache(4);
    for round in 0..100 {
        let (arrived, key) = (AtomicUsize::new(0), format!("key {round}"));
        let values = all(|number| {
            meet(&arrived);
            cache.get_or_insert_with(&key, || format!("by {number}").into_bytes())
        });
        assert!(
            values.windows(2).all(|pair| pair[0] == pair[1]),
            "{values:?}"
        );
        assert_eq!(cache.stats().loads, round + 1);
    }
}

#[test]
fn a_loader_that_fails_leaves_it_to_the_next() {
    let cache = Hand::default().cache(1);
    let (arrived, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results = all(|_| {
        meet(&arrived);
        cache.get_or_try_insert_with("key", &Insert::new(), || {
            let call = calls.fetch_add(1, SeqCst);
            if call < 3 { Err(call) } else { Ok(b"value") }
        })
    });
    assert_eq!(
        calls.load(SeqCst),
        4,
        "three that failed and one that did not"
    );
    let (good, mut bad): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    bad.sort_by_key(|result| *result.as_ref().unwrap_err());
    assert_eq!(
        bad,
        [Err(0), Err(1), Err(2)],
        "each error goes to one caller"
    );
    assert!(
        good.iter()
            .all(|result| result.as_deref() == Ok(&b"value"[..]))
    );
}

#[test]
fn a_loader_that_panics_leaves_it_to_the_next() {
    let cache = Hand::default().cache(1);
    let (arrived, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results = all(|_| {
        meet(&arrived);
        catch_unwind(AssertUnwindSafe(|| {
            cache.get_or_insert_with("key", || {
                assert!(
                    calls.fetch_add(1, SeqCst) > 0,
                    "the first call panics, as it should"
                );
                b"value"
            })
        }))
    });
    assert_eq!(calls.load(SeqCst), 2);
    let values: Vec<Bytes> = results.into_iter().flatten().collect();
    assert_eq!(values.len(), THREADS - 1, "the panic is one caller's");
    assert!(values.iter().all(|value| *value == b"value"));
}

#[test]
fn a_loader_may_use_the_cache() {
    let cache = Hand::default().cache(1);
    let value = cache.get_or_insert_with("outer", || {
        {
            cache.insert("other", b"1").unwrap();
            assert_eq!(cache.get("outer"), None);
            assert_eq!((cache.iter().count(), cache.len()), (1, 1));
            cache.get_or_insert_with("inner", || b"2")
        }
        .to_vec()
    });
    assert_eq!(value, b"2");
    assert_eq!(cache.get("inner"), cache.get("outer"));
}

#[cfg(feature = "std")] // Without it, nothing tells that it is the same thread.
#[test]
fn a_loader_that_asks_for_its_own_key_runs_the_inner_loader() {
    let cache = Hand::default().cache(1);
    let outer = || {
        let inner = cache.get_or_insert_with("between", || {
            cache.get_or_insert_with("key", || b"inner").to_vec()
        });
        assert_eq!(inner, b"inner");
        b"outer"
    };
    assert_eq!(
        cache.get_or_insert_with("key", outer),
        b"inner",
        "what came first stays"
    );
    assert_eq!(cache.stats().loads, 3);
}

#[test]
fn what_is_removed_while_it_is_loaded_does_not_stay() {
    let cache = Hand::default().cache(4);
    let removals: [&(dyn Fn() + Sync); 2] = [&|| assert!(!cache.remove("key")), &|| cache.clear()];
    for remove in removals {
        let loaded = cache.get_or_insert_with("key", || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    remove();
                    // Who asks after the removal does not get what was begun before.
                    assert_eq!(cache.get_or_insert_with("key", || b"new"), b"new");
                });
            });
            b"old"
        });
        assert_eq!(loaded, b"old");
        assert_eq!(cache.get("key").as_deref(), Some(&b"new"[..]));
        cache.remove("key");
    }
}

#[test]
fn what_is_inserted_while_it_is_loaded_stays() {
    let cache = Hand::default().cache(4);
    let value = cache.get_or_insert_with("key", || {
        cache.insert("key", vec![7; 3000]).unwrap();
        b"loaded"
    });
    assert_eq!(value, vec![7; 3000]);
    assert_eq!(cache.get("key"), Some(value));
}

#[test]
fn of_all_who_insert_where_nothing_is_one_succeeds() {
    let cache = Hand::default().cache(4);
    for round in 0..200 {
        let (arrived, key) = (AtomicUsize::new(0), format!("{round}"));
        let succeeded = all(|number| {
            meet(&arrived);
            let value = vec![number as u8; number * 300];
            cache
                .insert_with(&key, value, &Insert::new().only_if_absent())
                .unwrap()
        });
        let winners: Vec<_> = (0..THREADS).filter(|&number| succeeded[number]).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(
            cache.get(&key).unwrap(),
            vec![winners[0] as u8; winners[0] * 300]
        );
    }
}

#[test]
fn a_walk_meets_all_that_stays_while_others_come_and_go() {
    let cache = Hand::default().cache(2);
    for number in 0..500 {
        cache.insert(format!("stays {number}"), b"1").unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..1000).cycle() {
                let key = format!("comes and goes {number}");
                if !cache.remove(&key) {
                    cache.insert(&key, vec![7; number]).unwrap();
                }
                if done.load(SeqCst) {
                    break;
                }
            }
        });
        for _ in 0..50 {
            let mut met: Vec<_> = cache
                .iter()
                .map(|(key, _)| key)
                .filter(|key| key.starts_with(b"stays"))
                .map(Vec::from)
                .collect();
            met.sort();
            met.dedup();
            assert_eq!(met.len(), 500);
        }
        done.store(true, SeqCst);
    });
}

#[test]
fn a_value_is_always_one_that_was_written_whole() {
    let clock = Hand::default();
    let cache = clock.cache(2);
    all(|number| {
        for step in 0..5000usize {
            let key = step * 7 % 16;
            let len = (step * 31 + number * 17) % 1500;
            match (step + number) % 8 {
                0 => drop(cache.remove([key as u8])),
                1 if step % 500 == 0 => cache.clear(),
                2 | 3 => {
                    let value = vec![key as u8; len];
                    cache
                        .insert_with([key as u8], value, &super::ttl(5))
                        .unwrap();
                    clock.pass(1);
                }
                4 => {
                    let value = cache.get_or_insert_with([key as u8], || vec![key as u8; len]);
                    assert!(value.iter().all(|&byte| byte == key as u8));
                }
                _ => {
                    let value = cache
                        .get([key as u8])
                        .unwrap_or_else(|| Bytes::from(Vec::new()));
                    assert!(value.iter().all(|&byte| byte == key as u8));
                }
            }
        }
    });
}
