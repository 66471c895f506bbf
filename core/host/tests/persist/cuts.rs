//! Power cuts at every moment of a run, with everything that they may leave.

use std::collections::BTreeMap;

use ant_cache_host::persist::Fsync;
use proptest::prelude::*;

use crate::disk::{Disk, Image, Tail};
use crate::server::{EPOCH, Keys, Server};
use crate::{random, runs};

const POLICIES: [Fsync; 3] = [Fsync::Always, Fsync::Interval, Fsync::Never];

/// States that are looked at after each call, about, where there are more.
const STATES: usize = 150;

/// Short, so that every state is looked at: each has what the others have not.
const SCRIPTS: [&[&str]; 9] = [
    &[
        "SET a 1",
        "SET b 2",
        ".",
        "INCR a",
        ".",
        "DEL b",
        "MSET a x b y c z",
        ".",
    ],
    &[
        "SET a 1", ".", "SET b 2", "FLUSHALL", "SET c 3", ".", "GET a", "+1100", ".", "SET d 4",
    ],
    &[
        "SET a long*900 EX 5",
        "MSET x 1 y 2",
        ".",
        "APPEND a tail*600",
        ".",
        "+5200",
        ".",
        "SET a new",
        ".",
    ],
    &[
        "SET s start",
        "SET b 2",
        "!",
        "@",
        "SET c 3",
        ".",
        "DEL b",
        ".",
    ],
    &[
        "SET s start",
        ".",
        "@",
        ".",
        "SETS l 1 2 3",
        ".",
        "@",
        "SETS l 4",
        ".",
    ],
    &[
        "SET a 1",
        ".",
        "kill",
        "APPEND a 2",
        ".",
        "kill",
        "APPEND a 3",
        ".",
    ],
    &[
        "SET a 1 PX 700",
        "SET b x*3000",
        ".",
        "+800",
        ".",
        "+1100",
        ".",
        "kill",
        "SET a 2",
        ".",
    ],
    &[
        "MSET a x*700 b x*700 c x*700 d x*700 e x*700",
        ".",
        "evict",
        ".",
        "SET f 1",
        ".",
        "kill",
        ".",
    ],
    &[
        "SETX h f 1 g 2",
        "RENAME h i",
        ".",
        "SET j 1",
        "EXPIRE j 100",
        ".",
        "PERSIST j",
        "SETRANGE s 5 x",
        ".",
        "@",
    ],
];

/// Starts on what was left; what it has, and when that is.
fn recover(image: &Image, fsync: Fsync, now: u64) -> Server {
    let disk = Disk::new(image.clone());
    match Server::start(&disk, fsync, now, false) {
        Ok(server) => server,
        Err(error) => {
            let files: Vec<_> = image
                .iter()
                .map(|(name, file)| (name, file.len()))
                .collect();
            panic!("it does not start: {error}\n{files:?}");
        }
    }
}

/// Whoever was recovered goes on, and survives another cut.
fn again(mut server: Server, random: &mut impl FnMut() -> u64) {
    server.run(&["SET again 1", ".", "APPEND a more", "MSET again 2 b 3", "."]);
    let all = server.disk.calls();
    for calls in [all, random() as usize % (all + 1)] {
        let cut = server.disk.cut(calls);
        let bits = random();
        let some = cut.image(|n| bits >> (n % 64) & 1 == 1, Tail::Whole);
        for image in [cut.image(|_| false, Tail::Whole), some] {
            let third = recover(&image, server.fsync, EPOCH);
            let now = third.clock.now().0.max(server.clock.now().0);
            let checked = server.past.check(calls, true, &third.keys(), now);
            if let Err(text) = checked {
                panic!("after a second cut: {text}\n{}", server.disk.history());
            }
        }
    }
}

/// Looks at what cuts of a run leave. What a state comes to is remembered: many cuts leave the same.
struct Explorer<'a> {
    server: &'a Server,
    known: BTreeMap<Image, (Keys, u64)>,
}

impl Explorer<'_> {
    fn look(&mut self, calls: usize, power: bool, image: Image, random: &mut impl FnMut() -> u64) {
        let server = self.server;
        let (keys, now) = self.known.entry(image).or_insert_with_key(|image| {
            let next = recover(image, server.fsync, server.clock.now().0);
            let known = (next.keys(), next.clock.now().0);
            again(next, random);
            known
        });
        if let Err(text) = server.past.check(calls, power, keys, *now) {
            let power = if power { "power" } else { "process" };
            panic!(
                "{power}, {:?}: {text}\n{}",
                server.fsync,
                server.disk.history()
            );
        }
    }

    /// After `calls` calls: the end of the process, and up to `most` states after that of the power.
    fn cut(&mut self, calls: usize, most: usize, random: &mut impl FnMut() -> u64) {
        let cut = self.server.disk.cut(calls);
        self.look(calls, false, cut.image(|_| true, Tail::Whole), random);
        for image in cut.images(most, random) {
            self.look(calls, true, image, random);
        }
    }
}

fn explore(script: &[&str], fsync: Fsync) {
    let mut server = Server::start(&Disk::default(), fsync, EPOCH, false).unwrap();
    server.run(script);
    assert_eq!(server.refused, 0);
    let mut random = random(1);
    let known = BTreeMap::new();
    let mut explorer = Explorer {
        server: &server,
        known,
    };
    for calls in 0..=server.disk.calls() {
        explorer.cut(calls, STATES * runs(), &mut random);
    }
}

#[test]
fn short_runs_with_always() {
    SCRIPTS
        .iter()
        .for_each(|script| explore(script, Fsync::Always));
}

#[test]
fn short_runs_with_interval() {
    SCRIPTS
        .iter()
        .for_each(|script| explore(script, Fsync::Interval));
}

#[test]
fn short_runs_with_never() {
    SCRIPTS
        .iter()
        .for_each(|script| explore(script, Fsync::Never));
}

/// A line of a script.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let key = || prop::sample::select(vec!["a", "b", "c", "m1", "s", "t"]);
    let len = || prop::sample::select(vec![1, 3, 40, 700, 1500]);
    prop_oneof![
        6 => (key(), len()).prop_map(|(key, len)| format!("SET {key} v*{len}")),
        3 => (key(), 1..4000u32).prop_map(|(key, ms)| format!("SET {key} soon PX {ms}")),
        3 => (key(), len()).prop_map(|(key, len)| format!("SETRANGE {key} 2 r*{len}")),
        2 => (key(), 1..4000u32).prop_map(|(key, ms)| format!("PEXPIRE {key} {ms}")),
        2 => key().prop_map(|key| format!("PERSIST {key}")),
        3 => key().prop_map(|key| format!("DEL {key}")),
        3 => (key(), key(), len()).prop_map(|(a, b, n)| format!("MSET {a} p*{n} {b} q*{n}")),
        2 => (key(), key()).prop_map(|(a, b)| format!("RENAME {a} {b}")),
        1 => key().prop_map(|key| format!("SETS {key} 1 two")),
        1 => key().prop_map(|key| format!("GET {key}")),
        1 => Just("FLUSHALL".to_owned()),
        8 => Just(".".to_owned()),
        1 => Just("!".to_owned()),
        1 => Just("@".to_owned()),
        1 => Just("kill".to_owned()),
        1 => Just("evict".to_owned()),
        3 => (1..1500u32).prop_map(|ms| format!("+{ms}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60 * runs() as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn long_runs(
        script in prop::collection::vec(line(), 10..80),
        fsync in prop::sample::select(POLICIES.to_vec()),
        seed in any::<u64>(),
    ) {
        let mut server = Server::start(&Disk::default(), fsync, EPOCH, false).unwrap();
        server.run(&script);
        let mut random = random(seed);
        let known = BTreeMap::new();
        let mut explorer = Explorer { server: &server, known };
        for _ in 0..12 {
            let calls = random() as usize % (server.disk.calls() + 1);
            explorer.cut(calls, 12, &mut random);
        }
    }
}
