//! What cleaning, splitting and expiry leave behind after much change.

use super::super::wheel::TICK;
use super::*;

/// Memory that is not used stays a part of what is, whatever sizes come and go. The random numbers are a counter's
/// hashes, the same in each run.
fn churn(len: impl Fn(u64) -> (usize, usize), keys: u64, changes: u64) {
    let store = store(1, 7);
    let (mut key, zeros) = (Vec::new(), [0; 1_000]);
    for change in 0..changes {
        let random = store.random();
        let (key_len, value_len) = len(random >> 32);
        key.clear();
        key.extend_from_slice(&(random % keys).to_le_bytes());
        key.resize(8 + key_len, 1);
        let key = store.key(&key);
        let data = NewData::Bytes(&zeros[..value_len]);
        let effect = if random >> 20 & 7 == 0 {
            Effect::Delete
        } else {
            Effect::Set {
                kind: Kind::String,
                data,
                expires: None,
            }
        };
        let mut shard = store.lock(0);
        drop(shard.commit(&key, effect, Millis(0)));
        let (live, total) = shard.occupancy();
        assert!(
            total <= live * 2 + (96 << 10),
            "change {change}: {live} bytes live of {total}"
        );
    }
    store.lock(0).validate();
}

#[test]
fn memory_follows_what_is_stored_when_sizes_change() {
    churn(|random| (0, random as usize % 1_000), 2_000, 60_000);
}

#[test]
fn memory_follows_what_is_stored_with_long_keys() {
    churn(
        |random| {
            (
                if random % 2 == 0 { 5_000 } else { 0 },
                random as usize % 300,
            )
        },
        300,
        20_000,
    );
}

#[test]
fn memory_comes_back_when_one_large_key_comes_and_goes() {
    churn(|_| (60_000, 0), 1, 2_000);
}

#[test]
fn tables_split_and_come_back() {
    let store = store(1, 3);
    let key = |number: u32| number.to_le_bytes();
    let data = NewData::Bytes(b"v");
    for number in 0..40_000 {
        let effect = Effect::Set {
            kind: Kind::String,
            data: data.clone(),
            expires: None,
        };
        drop(
            store
                .lock(0)
                .commit(&store.key(&key(number)), effect, Millis(0)),
        );
    }
    store.lock(0).validate();
    for number in 0..39_990 {
        drop(
            store
                .lock(0)
                .commit(&store.key(&key(number)), Effect::Delete, Millis(0)),
        );
    }
    let shard = store.lock(0);
    shard.validate();
    assert_eq!(shard.len(), 10);
    let (live, total) = shard.occupancy();
    assert!(live < 1_000 && total < 64 << 10, "{live} of {total}");
}

/// A store of one shard, and one key of it.
fn set(store: &Store, key: &[u8], ttl: Option<u64>, now: Millis) {
    let key = store.key(key);
    let effect = Effect::Set {
        kind: Kind::String,
        data: NewData::Bytes(b"v"),
        expires: ttl.map(|ttl| now.plus(ttl)),
    };
    drop(store.lock(0).commit(&key, effect, now));
}

/// Ticks until nothing is left to do at `now`.
fn settle(store: &Store, now: Millis) -> Option<Millis> {
    loop {
        let next = store.tick(now, Budget::TURN);
        if next.is_none_or(|next| next > now) {
            return next;
        }
    }
}

#[test]
fn lives_made_shorter_and_longer_leave_little_behind() {
    let (store, mut now) = (store(1, 5), Millis(1 << 41));
    for change in 0..200_000u64 {
        let key = (change / 2 % 500).to_le_bytes();
        let ttl = if change % 2 == 0 {
            1_000_000
        } else {
            10_000 + change
        };
        set(&store, &key, Some(ttl), now);
        now = now.plus(change % 2);
    }
    let shard = store.lock(0);
    shard.validate();
    assert!(
        shard.timers.memory() < 20_000,
        "{} bytes",
        shard.timers.memory()
    );
    drop(shard);
    now = now.plus(1_000_000 + TICK);
    assert_eq!(settle(&store, now), None);
    assert_eq!((store.len(), store.lags().total()), (0, 500));
}

#[test]
fn a_session_that_is_renewed_has_one_item() {
    let (store, mut now) = (store(1, 5), Millis(1 << 41));
    for _ in 0..10_000 {
        set(&store, b"session", Some(30_000), now);
        now = now.plus(100);
        settle(&store, now);
        store.lock(0).validate();
    }
    assert!(store.lock(0).timers.memory() < 500);
    assert_eq!(store.len(), 1);
    let now = now.plus(30_000 - 100 + TICK);
    assert_eq!(settle(&store, now), None);
    assert!(store.is_empty());
}

#[test]
fn what_is_deleted_long_before_its_end_leaves_no_items() {
    let (store, now) = (store(1, 5), Millis(1 << 41));
    for number in 0..50_000u32 {
        set(&store, &number.to_le_bytes(), Some(86_400_000), now);
    }
    let full = store.lock(0).timers.memory();
    assert!(full > 200_000);
    for number in 100..50_000u32 {
        let key = number.to_le_bytes();
        drop(store.lock(0).commit(&store.key(&key), Effect::Delete, now));
    }
    let next = settle(&store, now);
    assert!(next > Some(now));
    store.lock(0).validate();
    assert!(store.lock(0).timers.memory() < 10_000);
}

#[test]
fn a_store_without_ends_has_nothing_to_do() {
    let (store, now) = (store(16, 5), Millis(1 << 41));
    assert_eq!(store.tick(now, Budget::TURN), None);
    set(&store, b"a", None, now);
    assert_eq!(store.tick(now, Budget::TURN), None);
    set(&store, b"a", Some(1), now);
    assert!(store.tick(now, Budget::TURN).is_some());
    let now = now.plus(1 + TICK);
    assert_eq!(settle(&store, now), None);
    assert!(store.is_empty());
    store.flush();
    assert_eq!(settle(&store, now), None);
}

#[test]
fn an_entry_that_moves_keeps_its_end() {
    let (store, now) = (store(1, 5), Millis(1 << 41));
    for number in 0..5_000u32 {
        set(&store, &number.to_le_bytes(), Some(5_000), now);
    }
    // Most go, and cleaning moves the rest.
    for number in 0..5_000u32 {
        if number % 10 > 0 {
            let key = number.to_le_bytes();
            drop(store.lock(0).commit(&store.key(&key), Effect::Delete, now));
        }
    }
    store.lock(0).validate();
    settle(&store, now.plus(4_999));
    assert_eq!(store.len(), 500);
    assert_eq!(settle(&store, now.plus(5_000 + TICK)), None);
    assert_eq!(store.len(), 0);
    let lags = store.lags();
    assert!(lags.total() == 500 && lags.max() <= TICK);
}

#[test]
fn when_the_last_entry_has_ended_no_extent_is_left() {
    let (store, now) = (store(1, 5), Millis(1 << 41));
    for number in 0..5_000u32 {
        set(&store, &number.to_le_bytes(), Some(5_000), now);
    }
    assert_eq!(settle(&store, now.plus(5_000 + TICK)), None);
    let shard = store.lock(0);
    shard.validate();
    assert_eq!((shard.len(), shard.log.occupancy()), (0, (0, 0)));
}
