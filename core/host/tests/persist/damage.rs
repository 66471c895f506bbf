//! Files that are damaged, and what becomes of them.

use ant_cache_host::persist::{Error, Fsync, Problem};

use crate::disk::{Disk, Image};
use crate::server::{EPOCH, Keys, Server, live};

const HOUR: u64 = 3_600_000;

/// What a directory holds after a run, and the run.
fn directory(script: &[&str]) -> (Image, Server) {
    let disk = Disk::default();
    let mut server = Server::start(&disk, Fsync::Always, EPOCH, false).unwrap();
    server.run(script);
    (disk.image(), server)
}

/// Three segments, of which the middle one is not empty.
fn three_segments() -> (Image, Server) {
    directory(&[
        "SET a 1",
        ".",
        "SET b 2",
        ".",
        "kill",
        "SET c 3",
        ".",
        "INCR c",
        ".",
        "kill",
        "MSET d 4 e 5",
        ".",
        "INCR d",
        ".",
    ])
}

/// A snapshot, and a segment behind it.
fn snapshot_and_log() -> (Image, Server) {
    let (mut image, mut server) = directory(&["SET a 1", "SET b x*50", "SETX h f 1", "."]);
    assert!(server.snapshot(|_| {}));
    server.run(&["SET c 3", ".", "INCR a", ".", "DEL b", "."]);
    image = {
        let _ = image;
        server.disk.image()
    };
    assert_eq!(image.len(), 2);
    (image, server)
}

fn start(image: &Image, recover: bool) -> Result<(Server, Disk), Error> {
    let disk = Disk::new(image.clone());
    Ok((Server::start(&disk, Fsync::Always, EPOCH, recover)?, disk))
}

/// What the error says; it must name this file.
fn refused(image: &Image, name: &str) -> String {
    match start(image, false) {
        Ok((server, _)) => panic!("it starts with {:?}", server.keys()),
        Err(error @ Error::Damaged { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with(&format!("dir/{name}: ")), "{text}");
            text
        }
        Err(error) => panic!("{error}"),
    }
}

/// Starts in spite of damage; it starts without being told to after that, at any cut, with the same keys.
fn recovered(image: &Image) -> (Keys, Image) {
    let (mut server, disk) = start(image, true).unwrap();
    let (keys, after) = (server.keys(), disk.image());
    assert_eq!(start(&after, false).unwrap().0.keys(), keys);
    let synced = disk
        .cut(disk.calls())
        .image(|_| false, crate::disk::Tail::Whole);
    assert_eq!(start(&synced, false).unwrap().0.keys(), keys);
    server.run(&["SET further 1", "."]);
    let next = start(&disk.image(), false).unwrap().0;
    assert_eq!(next.keys(), server.keys());
    (keys, after)
}

/// The place of these keys among the states at the ends of epochs.
fn place(server: &Server, keys: &Keys) -> usize {
    let whole = &server.past.whole;
    let found = whole
        .iter()
        .rev()
        .find(|&&state| server.past.states[state].1 == *keys);
    *found.unwrap_or_else(|| panic!("{keys:?} never was"))
}

/// Of a damaged log: what starts has lost at most what came with the last sync; in spite of damage, what comes is what
/// was there at some moment.
fn check_log(image: &Image, server: &Server, name: &str) {
    let last = *server.past.whole.last().unwrap();
    let before = server
        .past
        .whole
        .iter()
        .rev()
        .find(|&&state| server.past.states[state].1 != server.past.states[last].1);
    match start(image, false) {
        Ok((next, _)) => {
            let state = &next.keys();
            let lost = state != &server.past.states[last].1;
            assert!(
                !lost || state == &server.past.states[*before.unwrap()].1,
                "{state:?}"
            );
        }
        Err(_) => {
            refused(image, name);
            let (keys, after) = recovered(image);
            place(server, &keys);
            assert!(
                after.contains_key(&format!("{name}.damaged")),
                "{:?}",
                after.keys()
            );
            assert_eq!(after[&format!("{name}.damaged")], image[name]);
        }
    }
}

/// Of a damaged snapshot: it is refused, and in spite of that, each key is what it was or is not there.
fn check_snapshot(image: &Image, server: &Server) -> String {
    let text = refused(image, "cache.atd");
    let (keys, after) = recovered(image);
    let full = server.keys();
    for (key, entry) in &keys {
        assert_eq!(full.get(key), Some(entry));
    }
    assert_eq!(after["cache.atd.damaged"], image["cache.atd"]);
    text
}

#[test]
fn a_flipped_bit_of_the_log() {
    let (image, server) = three_segments();
    let names: Vec<String> = image.keys().cloned().collect();
    assert_eq!(names.len(), 3);
    for name in names {
        for bit in 0..image[&name].len() * 8 {
            let mut image = image.clone();
            image.get_mut(&name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            check_log(&image, &server, &name);
        }
    }
}

#[test]
fn a_flipped_bit_of_a_snapshot_or_of_the_log_behind_it() {
    let (image, server) = snapshot_and_log();
    for name in image.keys().cloned().collect::<Vec<_>>() {
        for bit in 0..image[&name].len() * 8 {
            let mut image = image.clone();
            image.get_mut(&name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            if name == "cache.atd" {
                let text = check_snapshot(&image, &server);
                assert!(text.contains("at offset "), "{text}");
            } else {
                check_log(&image, &server, &name);
            }
        }
    }
}

#[test]
fn a_torn_or_zero_filled_tail() {
    let (image, server) = directory(&["SET a 1", ".", "SET b 2", ".", "MSET c 3 d 4", "."]);
    let name = "cache.acl.000001";
    let len = image[name].len();
    let mut last = usize::MAX;
    for good in (0..=len).rev() {
        let mut torn = image.clone();
        torn.get_mut(name).unwrap().truncate(good);
        let (next, disk) = start(&torn, false).unwrap();
        // The less there is, the earlier the moment.
        let now = place(&server, &next.keys());
        assert!(now <= last);
        last = now;
        // It was cut off.
        let file = disk.image().get(name).map_or(0, Vec::len);
        assert!(file <= good.max(64), "{file} of {good}");
        let mut zeros = torn.clone();
        zeros.get_mut(name).unwrap().resize(len, 0);
        if good >= 64 {
            let filled = start(&zeros, false).unwrap().0;
            assert_eq!(filled.keys(), next.keys());
        } else if good < 60 {
            // Something stood behind the header: it was on the disk once.
            refused(&zeros, name);
        }
    }
    assert_eq!(last, 0);
}

#[test]
fn a_truncated_snapshot() {
    let (image, server) = snapshot_and_log();
    for len in 0..image["cache.atd"].len() {
        let mut image = image.clone();
        image.get_mut("cache.atd").unwrap().truncate(len);
        check_snapshot(&image, &server);
    }
}

#[test]
fn an_earlier_segment_that_is_cut_short() {
    let (image, server) = three_segments();
    let name = "cache.acl.000002";
    for len in 0..image[name].len() {
        let mut image = image.clone();
        image.get_mut(name).unwrap().truncate(len);
        refused(&image, name);
        check_log(&image, &server, name);
    }
}

#[test]
fn a_missing_segment() {
    let (image, server) = three_segments();
    let without = |number: u64| {
        let mut image = image.clone();
        image.remove(&format!("cache.acl.{number:06}")).unwrap();
        image
    };
    for number in [1, 2] {
        let text = refused(&without(number), &format!("cache.acl.{number:06}"));
        assert!(text.contains("it is missing"), "{text}");
    }
    // What is before the gap is kept, and the rest put aside.
    let (keys, after) = recovered(&without(2));
    assert!(keys.contains_key(&b"b"[..]) && !keys.contains_key(&b"c"[..]));
    assert!(after.contains_key("cache.acl.000003.damaged"));
    recovered(&without(1));
    // Nothing tells of a last segment that is gone, unless a snapshot does.
    let keys = start(&without(3), false).unwrap().0.keys();
    place(&server, &keys);
    let (mut image, _) = snapshot_and_log();
    image.retain(|name, _| name == "cache.atd");
    refused(&image, "cache.acl.000002");
    let (keys, _) = recovered(&image);
    assert!(keys.contains_key(&b"a"[..]) && !keys.contains_key(&b"c"[..]));
}

#[test]
fn a_snapshot_that_is_newer_than_the_log() {
    let (mut image, _) = snapshot_and_log();
    // The segment has nothing of what was changed while the snapshot was made.
    image.get_mut("cache.acl.000002").unwrap().truncate(64);
    let text = refused(&image, "cache.acl.000002");
    assert!(text.contains("but must go on to epoch"), "{text}");
    let (keys, _) = recovered(&image);
    assert!(keys.contains_key(&b"h"[..]));
}

#[test]
fn a_clock_that_was_set_back() {
    let (image, server) = directory(&[
        "SET gone 1 PX 700",
        "SET later 1 PX 7000",
        "SET a 1",
        ".",
        "+800",
        ".",
        "+1000",
        ".",
        "+1100",
        "SET b 1",
        ".",
    ]);
    for now in [EPOCH - 24 * HOUR, EPOCH, server.clock.now().0] {
        let disk = Disk::new(image.clone());
        let next = Server::start(&disk, Fsync::Always, now, false).unwrap();
        assert_eq!(next.keys(), live(&server.keys(), server.clock.now().0));
        assert_eq!(next.clock.now(), server.clock.now());
    }
    let disk = Disk::new(image);
    let next = Server::start(&disk, Fsync::Always, EPOCH + HOUR, false).unwrap();
    assert_eq!(next.keys().len(), 2);
}

/// Without a change, it is written within two seconds that something has ended.
#[test]
fn a_clock_that_was_set_back_after_nothing_but_an_end() {
    let (image, _) = directory(&["SET gone 1 PX 1500", ".", "+1600", ".", "+1100", "."]);
    let next = start(&image, false).unwrap().0;
    assert_eq!(next.keys().len(), 0);
}

/// CRC-32C, bit by bit, of a salt and these bytes.
fn crc(salt: u64, bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for &byte in salt.to_le_bytes().iter().chain(bytes) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// Changes a header, and makes its checksum fit.
fn reseal(file: &mut [u8], header: std::ops::Range<usize>, salt: u64, change: impl Fn(&mut [u8])) {
    let header = &mut file[header];
    let (bytes, sum) = header.split_last_chunk_mut::<4>().unwrap();
    assert_eq!(u32::from_le_bytes(*sum), crc(salt, bytes));
    change(bytes);
    *sum = crc(salt, bytes).to_le_bytes();
}

#[test]
fn files_of_a_later_version() {
    let (image, _) = snapshot_and_log();
    let salt = |file: &[u8]| u64::from_le_bytes(*file[16..].first_chunk().unwrap());
    let later = |name: &str, change: &dyn Fn(&mut [u8])| {
        let mut image = image.clone();
        change(image.get_mut(name).unwrap());
        for recover in [false, true] {
            let disk = Disk::new(image.clone());
            let error = Server::start(&disk, Fsync::Always, EPOCH, recover)
                .err()
                .unwrap();
            let Error::Damaged { error, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(error.file, name);
            assert!(matches!(error.problem, Problem::Fault(_)));
            assert!(error.to_string().contains("a later version"), "{error}");
            // Nothing was touched.
            assert_eq!(disk.image(), image);
        }
    };
    let version = |file: &mut [u8]| reseal(file, 0..64, 0, |header| header[8] = 2);
    later("cache.atd", &version);
    later("cache.acl.000002", &version);
    // A flag of a frame that must be understood.
    later("cache.acl.000002", &|file| {
        let salt = salt(file);
        reseal(file, 64..120, salt, |header| header[44] |= 2);
    });
    // One that need not.
    let mut optional = image.clone();
    let file = optional.get_mut("cache.acl.000002").unwrap();
    let salt = salt(file);
    reseal(file, 64..120, salt, |header| header[46] |= 1);
    assert_eq!(
        start(&optional, false).unwrap().0.keys(),
        start(&image, false).unwrap().0.keys()
    );
}

#[test]
fn what_an_earlier_server_left() {
    let (image, server) = snapshot_and_log();
    let (old, _) = directory(&["SET old 1", "FLUSHALL", "SET old 2", "."]);
    let mut all = image;
    all.extend(old);
    all.insert("cache.atd.tmp".to_owned(), b"half of it".to_vec());
    all.insert("cache.acl.000009.damaged".to_owned(), b"aside".to_vec());
    all.insert("notes.txt".to_owned(), b"somebody's".to_vec());
    let (next, disk) = start(&all, false).unwrap();
    assert_eq!(next.keys(), server.keys());
    let left = disk.image();
    let names: Vec<&str> = left.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "cache.acl.000002",
            "cache.acl.000003",
            "cache.acl.000009.damaged",
            "cache.atd",
            "notes.txt"
        ]
    );
}
