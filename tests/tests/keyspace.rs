//! KEYS, SCAN and RANDOMKEY while others change the keys: in turns as small as they get, with writes between them.

use std::collections::{BTreeMap, BTreeSet};

use ant_cache_core::client::{Decoder, Value};
use ant_cache_core::service::Options;
use ant_cache_tests::{Peer, request};

/// Random numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// Turns or requests that no walk here needs: one that takes more does not come to its end.
const MOST: usize = 5_000;

/// A client that walks through the keys, another one that changes them, and what is known about them.
struct Scene {
    walker: Peer,
    writer: Peer,
    random: Random,
    /// The keys that exist.
    keys: BTreeSet<String>,
    /// Those of them that existed when the walk began and never went.
    throughout: BTreeSet<String>,
    /// Every key that existed at any time since.
    ever: BTreeSet<String>,
}

impl Scene {
    fn new(shards: usize, seed: u64, count: usize) -> Self {
        let options = Options {
            seed,
            shards,
            ..Options::default()
        };
        let walker = Peer::new(options);
        let writer = walker.join();
        let (keys, random) = (BTreeSet::new(), Random(seed));
        let mut scene = Self {
            walker,
            writer,
            random,
            keys,
            throughout: BTreeSet::new(),
            ever: BTreeSet::new(),
        };
        for number in 0..count {
            scene.set(format!("key:{number}"));
        }
        scene.begin();
        scene
    }

    /// A walk begins.
    fn begin(&mut self) {
        self.throughout.clone_from(&self.keys);
        self.ever.clone_from(&self.keys);
    }

    fn set(&mut self, key: String) {
        // Of another length than before, mostly: the entry moves.
        let value = "v".repeat(self.random.below(60));
        assert_eq!(self.writer.resp(&["SET", &key, &value]), "+OK\r\n");
        self.ever.insert(key.clone());
        self.keys.insert(key);
    }

    fn delete(&mut self, key: &str) {
        self.writer.resp(&["DEL", key]);
        self.keys.remove(key);
        self.throughout.remove(key);
    }

    /// Sets, deletes and adds keys, so many in all.
    fn disturb(&mut self, changes: usize, names: usize) {
        for _ in 0..changes {
            let key = format!("key:{}", self.random.below(names));
            match self.random.below(4) {
                0 => self.delete(&key),
                _ => self.set(key),
            }
        }
    }

    /// Compares what a walk found: every key that was there throughout, and none that never was.
    fn check(&self, found: &BTreeSet<String>) {
        let missed: Vec<_> = self.throughout.difference(found).collect();
        assert!(
            missed.is_empty(),
            "present throughout and not found: {missed:?}"
        );
        let invented: Vec<_> = found.difference(&self.ever).collect();
        assert!(invented.is_empty(), "found and never there: {invented:?}");
    }

    /// KEYS with this pattern, with changes between its turns. Returns what it found, and its turns.
    fn keys(
        &mut self,
        pattern: &str,
        budget: i32,
        mut between: impl FnMut(&mut Self),
    ) -> (Vec<String>, usize) {
        self.walker.set_budget(budget);
        self.walker.arrive(&request(&["KEYS", pattern]));
        let (mut reply, mut turns) = (Vec::new(), 0);
        while reply.is_empty() || !self.walker.wants().read {
            reply.extend(self.walker.turn());
            turns += 1;
            assert!(turns < MOST, "KEYS does not come to its end");
            between(self);
        }
        (strings(&value(&reply)), turns)
    }

    /// A whole SCAN, with changes between its requests.
    fn scan(&mut self, options: &[&str], mut between: impl FnMut(&mut Self)) -> Vec<String> {
        let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
        for _ in 0..MOST {
            let mut words = vec!["SCAN", &cursor];
            words.extend(options);
            let reply = value(self.walker.resp(&words).as_bytes());
            let Value::Array(parts) = reply else {
                panic!("{reply:?}")
            };
            found.extend(strings(&parts[1]));
            cursor = strings(&Value::Array(parts[..1].to_vec())).remove(0);
            if cursor == "0" {
                return found;
            }
            between(self);
        }
        panic!("SCAN does not come to its end");
    }
}

fn value(reply: &[u8]) -> Value {
    let decoded = Decoder::default().decode(&mut &reply[..]);
    decoded.expect("a reply").expect("a whole reply")
}

fn strings(value: &Value) -> Vec<String> {
    let Value::Array(items) = value else {
        panic!("{value:?}")
    };
    let text = |item: &Value| String::from_utf8(item.as_bytes().expect("a string").to_vec());
    items
        .iter()
        .map(|item| text(item).expect("UTF-8"))
        .collect()
}

fn set(found: &[String]) -> BTreeSet<String> {
    found.iter().cloned().collect()
}

#[test]
fn keys_reports_what_is_there_throughout_and_nothing_twice() {
    // One slice a shard is enough; many are needed.
    for (shards, count, seed) in [(1, 300, 1), (8, 3_000, 2), (1, 6_000, 3), (2, 9_000, 4)] {
        let mut scene = Scene::new(shards, seed, count);
        let (found, turns) = scene.keys("*", 1, |scene| scene.disturb(200, 2 * count));
        assert!(turns >= shards, "it was cut into pieces");
        assert_eq!(set(&found).len(), found.len(), "a key was reported twice");
        scene.check(&set(&found));
    }
}

#[test]
fn keys_reports_a_key_whose_entry_moves_before_the_walk() {
    let mut scene = Scene::new(1, 5, 5_000);
    // All entries move to the head between any two turns.
    let (found, _) = scene.keys("key:*", 1, |scene| {
        for key in scene.keys.clone() {
            scene.set(key);
        }
    });
    assert_eq!(set(&found), scene.keys);
    assert_eq!(found.len(), scene.keys.len());
}

#[test]
fn keys_ends_when_entries_are_written_faster_than_it_walks() {
    let mut scene = Scene::new(1, 6, 4_000);
    let (found, turns) = scene.keys("*", 1, |scene| scene.disturb(8_000, 4_000));
    assert!(turns < 100, "{turns} turns");
    scene.check(&set(&found));
}

#[test]
fn keys_takes_turns_by_its_budget() {
    let mut scene = Scene::new(64, 7, 20_000);
    let (_, one) = scene.keys("*", 1_000_000, |_| ());
    let (found, many) = scene.keys("*", 100, |_| ());
    assert_eq!(one, 1);
    assert!(
        (20..2_000).contains(&many),
        "{many} turns of 10 µs for 20,000 keys"
    );
    assert_eq!(set(&found), scene.keys);
}

#[test]
fn keys_matches_patterns() {
    let mut peer = Peer::default();
    for key in ["one", "two", "three", "four", "a*b", "\\"] {
        peer.resp(&["SET", key, "1"]);
    }
    let mut keys = |pattern: &str| {
        let mut found = strings(&value(peer.resp(&["KEYS", pattern]).as_bytes()));
        found.sort();
        found
    };
    assert_eq!(keys("t*"), ["three", "two"]);
    assert_eq!(keys("?[!-z]?"), ["a*b", "one", "two"]);
    assert_eq!(keys("two"), ["two"]);
    assert_eq!(keys("twelve"), Vec::<String>::new());
    assert_eq!(keys("a\\*b"), ["a*b"]);
    assert_eq!(keys("\\\\"), ["\\"]);
    assert_eq!(keys("*").len(), 6);
}

#[test]
fn scan_returns_what_is_there_throughout() {
    for (shards, count, batch, seed) in [
        (1, 300, "7", 11),
        (8, 2_000, "10", 12),
        (1, 20_000, "100", 13),
    ] {
        let mut scene = Scene::new(shards, seed, count);
        let found = scene.scan(&["COUNT", batch], |scene| scene.disturb(5, 2 * count));
        scene.check(&set(&found));
    }
}

#[test]
fn scan_ends_when_entries_are_written_faster_than_it_is_asked() {
    let mut scene = Scene::new(1, 18, 2_000);
    let mut calls = 0;
    let found = scene.scan(&["COUNT", "10"], |scene| {
        scene.disturb(300, 2_000);
        calls += 1;
    });
    assert!(calls < 1_000, "{calls} requests");
    scene.check(&set(&found));
}

#[test]
fn scan_survives_growth_and_shrinkage() {
    let mut scene = Scene::new(2, 14, 1_000);
    let mut calls = 0;
    // The tables split, then almost everything goes again.
    let found = scene.scan(&["COUNT", "50"], |scene| {
        calls += 1;
        for number in 0..2_000 {
            let key = format!("more:{}", calls * 2_000 + number);
            if calls < 10 {
                scene.set(key);
            } else {
                scene.delete(&format!("more:{}", (calls - 9) * 2_000 + number));
            }
        }
    });
    scene.check(&set(&found));
}

#[test]
fn scan_goes_on_behind_a_flush() {
    let mut scene = Scene::new(1, 15, 500);
    let mut flushed = false;
    let found = scene.scan(&["COUNT", "100"], |scene| {
        if !flushed {
            flushed = true;
            scene.writer.resp(&["FLUSHALL"]);
            scene.throughout.clear();
            for number in 0..500 {
                scene.set(format!("new:{number}"));
            }
            scene.throughout.clone_from(&scene.keys);
            scene.throughout.retain(|key| key.starts_with("new:"));
        }
    });
    scene.check(&set(&found));
}

#[test]
fn scan_selects_by_type_and_pattern() {
    let mut scene = Scene::new(4, 16, 100);
    scene.writer.text("SETS list:1 a b");
    scene.writer.text("SETX hash:1 f v");
    let mut scan = |options: &[&str]| {
        let mut found = scene.scan(options, |_| ());
        found.sort();
        found
    };
    assert_eq!(scan(&["TYPE", "list"]), ["list:1"]);
    assert_eq!(scan(&["TYPE", "array", "COUNT", "1"]), ["list:1"]);
    assert_eq!(scan(&["TYPE", "HASH"]), ["hash:1"]);
    assert_eq!(
        scan(&["TYPE", "object", "MATCH", "list*"]),
        Vec::<String>::new()
    );
    assert_eq!(scan(&["TYPE", "stream"]), Vec::<String>::new());
    assert_eq!(scan(&["MATCH", "*:1"]), ["hash:1", "key:1", "list:1"]);
    assert_eq!(scan(&["COUNT", "1000000", "TYPE", "string"]).len(), 100);
}

#[test]
fn scan_visits_no_more_than_it_is_asked_for() {
    let mut scene = Scene::new(1, 17, 1_000);
    for (count, most) in [("1", 1), ("10", 10), ("400", 400)] {
        let Value::Array(parts) =
            value(scene.walker.resp(&["SCAN", "0", "COUNT", count]).as_bytes())
        else {
            panic!("an array");
        };
        assert_eq!(strings(&parts[1]).len(), most);
    }
    // However much that is, one request is one turn's work.
    scene.walker.set_budget(100);
    let found = scene.scan(&["COUNT", "1000000000"], |_| ());
    assert_eq!(set(&found), scene.keys);
}

#[test]
fn scan_takes_any_cursor() {
    let mut peer = Peer::default();
    peer.resp(&["SET", "k", "v"]);
    for cursor in ["1", "4095", "18446744073709551615", "9999999999", "-5"] {
        let reply = peer.resp(&["SCAN", cursor]);
        assert!(reply.starts_with("*2\r\n$"), "{cursor}: {reply}");
    }
    for cursor in ["x", "", "1.0"] {
        let reply = peer.resp(&["SCAN", cursor]);
        assert_eq!(
            reply.starts_with("-ERR invalid cursor"),
            !cursor.is_empty(),
            "{cursor}: {reply}"
        );
    }
}

#[test]
fn random_keys_are_drawn_alike() {
    const DRAWS: usize = 4_000;
    // Few keys, each in a shard of its own or not; and many in tables of several sizes.
    for (shards, count) in [(1_024, 4), (1, 4), (4, 40)] {
        let mut scene = Scene::new(shards, 21, count);
        let mut drawn: BTreeMap<_, usize> = BTreeMap::new();
        for _ in 0..DRAWS {
            *drawn.entry(scene.walker.resp(&["RANDOMKEY"])).or_insert(0) += 1;
        }
        assert_eq!(drawn.len(), count);
        let fair = DRAWS / count;
        // Six standard deviations.
        let slack = 6 * (fair as f64).sqrt() as usize;
        for (key, times) in drawn {
            assert!(
                times.abs_diff(fair) < slack,
                "{key}: {times} of {DRAWS} among {count} in {shards} shards"
            );
        }
    }
}

#[test]
fn random_key_gives_no_key_that_has_ended() {
    let mut peer = Peer::default();
    assert_eq!(peer.resp(&["RANDOMKEY"]), "$-1\r\n");
    for number in 0..3_000 {
        peer.resp(&["SET", &format!("short:{number}"), "v", "PX", "10"]);
    }
    peer.resp(&["SET", "long", "v"]);
    peer.pass(10);
    peer.set_budget(1);
    for _ in 0..20 {
        assert_eq!(peer.resp(&["RANDOMKEY"]), "$4\r\nlong\r\n");
    }
    peer.resp(&["DEL", "long"]);
    assert_eq!(peer.resp(&["RANDOMKEY"]), "$-1\r\n");
}
