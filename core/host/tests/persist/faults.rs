//! Calls to the disk that fail.

use ant_cache_core::ledger::Owner;
use ant_cache_host::persist::{Error, Fsync, Wish};

use crate::disk::{Disk, Faults, Tail};
use crate::server::{EPOCH, INTERVAL, Server};
use crate::{random, runs};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

const SCRIPT: [&str; 26] = [
    "SET a 1",
    "GET a",
    ".",
    "MSET a 2 b x*1500",
    ".",
    "GET b",
    "+300",
    "SET c 1 PX 900",
    ".",
    "FLUSHALL",
    "SET s 5",
    ".",
    "GET s",
    "+1100",
    ".",
    "@",
    "SET a 7",
    "GET a",
    ".",
    "+900",
    "APPEND a 8",
    ".",
    "!",
    "INCR n",
    ".",
    "GET s",
];

/// Runs the script while calls fail; then the disk is well again.
fn run(fsync: Fsync, from: usize, times: usize, error: i32) -> Server {
    let disk = Disk::default();
    let mut server = Server::start(&disk, fsync, EPOCH, false).unwrap();
    let from = from.saturating_add(disk.tried());
    disk.fail(Some(Faults { from, times, error }));
    server.run(&SCRIPT);
    disk.fail(None);
    server
}

/// Fails where a cut after so many calls loses what was promised.
fn cut(server: &Server, calls: usize, random: &mut impl FnMut() -> u64) {
    let cut = server.disk.cut(calls);
    for image in cut.images(8 * runs(), random) {
        let disk = Disk::new(image);
        let now = server.clock.now().0;
        let found = match Server::start(&disk, server.fsync, now, false) {
            Ok(found) => found,
            Err(error) => panic!("{calls} calls: {error}\n{}", server.disk.history()),
        };
        let checked = server
            .past
            .check(calls, true, &found.keys(), found.clock.now().0);
        if let Err(text) = checked {
            panic!("{:?}: {text}\n{}", server.fsync, server.disk.history());
        }
    }
}

/// Every call fails, once, three times, and until the end; it heals, and nothing that was promised is lost.
fn every_call(fsync: Fsync) {
    let whole = run(fsync, usize::MAX, 0, 0);
    assert_eq!(whole.refused, 0);
    let mut random = random(7);
    let mut refused = 0;
    for from in 0..whole.disk.tried() {
        for times in [1, 2, 4, usize::MAX] {
            let error = if from % 2 == 0 { ENOSPC } else { EIO };
            let mut server = run(fsync, from, times, error);
            refused += server.refused;
            // What is tried again is tried within two seconds.
            server.pass(2000);
            assert!(server.round(Wish::Policy), "it does not heal");
            let before = server.refused;
            server.run(&["SET healed 1", ".", "GET healed", "MSET a 1 s 2"]);
            server.pass(INTERVAL);
            assert!(server.round(Wish::Policy));
            assert_eq!(server.refused, before, "changes are refused still");
            let calls = server.disk.calls();
            cut(&server, calls, &mut random);
            for _ in 0..3 {
                cut(&server, random() as usize % calls, &mut random);
            }
            server.step("kill");
            assert_eq!(server.command("GET healed").unwrap(), "$1\r\n1\r\n");
        }
    }
    assert!(refused > 0, "no fault was seen by a client");
}

#[test]
fn every_call_fails_with_always() {
    every_call(Fsync::Always);
}

#[test]
fn every_call_fails_with_interval() {
    every_call(Fsync::Interval);
}

#[test]
fn every_call_fails_with_never() {
    every_call(Fsync::Never);
}

/// A start that fails leaves what it found.
#[test]
fn every_call_of_a_start_fails() {
    let mut server = Server::start(&Disk::default(), Fsync::Always, EPOCH, false).unwrap();
    server.run(&SCRIPT);
    server.run(&["@", "SET last 1", "."]);
    let calls = server.disk.calls();
    let mut random = random(3);
    for cut_at in calls - 25..=calls {
        let bits = random();
        let cut = server.disk.cut(cut_at);
        let image = cut.image(|n| bits >> (n % 64) & 1 == 1, Tail::Torn);
        for from in 0..20 {
            let disk = Disk::new(image.clone());
            let whole = Server::start(&disk, Fsync::Always, EPOCH, false).unwrap();
            let disk = Disk::new(image.clone());
            disk.fail(Some(Faults {
                from,
                times: 1,
                error: EIO,
            }));
            match Server::start(&disk, Fsync::Always, EPOCH, false) {
                Ok(_) => break,
                Err(error) => assert!(matches!(error, Error::System { .. }), "{error}"),
            }
            let second = Server::start(&disk, Fsync::Always, EPOCH, false).unwrap();
            assert_eq!(second.keys(), whole.keys());
            let bits = random();
            let image = disk
                .cut(disk.calls())
                .image(|n| bits >> (n % 64) & 1 == 1, Tail::Whole);
            let third = Server::start(&Disk::new(image), Fsync::Always, EPOCH, false).unwrap();
            assert_eq!(third.keys(), whole.keys());
        }
    }
}

/// Nobody is told of a change that never came to the disk, and who had to wait for it hears that.
#[test]
fn replies_that_are_held_become_errors() {
    let disk = Disk::default();
    let mut server = Server::start(&disk, Fsync::Always, EPOCH, false).unwrap();
    assert_eq!(server.command("SET a 1"), None);
    // Nor is anybody told what may yet be lost.
    assert_eq!(server.command("GET a"), None);
    assert!(server.round(Wish::Policy));
    assert_eq!(server.command("GET a").unwrap(), "$1\r\n1\r\n");
    disk.fail(Some(Faults {
        from: 0,
        times: usize::MAX,
        error: ENOSPC,
    }));
    assert_eq!((server.command("SET a 2"), server.refused), (None, 0));
    assert!(!server.round(Wish::Policy));
    assert_eq!(server.refused, 1);
    let reply = server.command("SET a 3").unwrap();
    assert!(reply.starts_with("-MISCONF "), "{reply}");
    assert_eq!(server.command("PING").unwrap(), "+PONG\r\n");
    disk.fail(None);
    server.pass(100);
    assert!(server.round(Wish::Policy));
    assert_eq!(server.command("SET a 4"), None);
    assert!(server.round(Wish::Policy));
    assert_eq!(server.command("GET a").unwrap(), "$1\r\n4\r\n");
}

#[test]
fn what_is_not_on_the_disk_counts_as_used() {
    let mut server = Server::start(&Disk::default(), Fsync::Interval, EPOCH, false).unwrap();
    let held = |server: &Server| server.service.ledger().held(Owner::Journal);
    assert_eq!(held(&server), 0);
    server.run(&["SET a x*50000"]);
    let recorded = held(&server);
    assert!(recorded >= 50_000, "{recorded}");
    server.run(&["."]);
    let written = held(&server);
    assert!((50_000..100_000).contains(&written), "{written}");
    // Once it is on the disk, its memory is for the frames until the next sync, and goes if they do not need it.
    server.run(&["!"]);
    assert!(held(&server) <= written);
    server.run(&["!"]);
    assert!(held(&server) < 1000);
}
