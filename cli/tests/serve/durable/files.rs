//! Files that are damaged, and what a start makes of them.

use std::fs;

use rustix::process::Signal;

use super::super::child::{Server, refusal};
use super::Data;
use super::wire::Connection;

/// A directory with ten changes, each in a frame of its own, from a server that was killed.
fn ten(test: &str, save: bool) -> Data {
    let data = Data::new(test);
    let mut server = data.serve(&["--fsync", "always"]);
    let mut client = Connection::new(&server);
    for number in 0..10 {
        let set = format!("SET key{number} value-{number}");
        assert_eq!(client.tell(&set).text(), "OK");
    }
    if save {
        assert_eq!(client.tell("SAVE").text(), "OK");
    }
    server.signal(Signal::KILL);
    server.exit_code();
    data
}

/// Where these bytes are in a file.
fn find(bytes: &[u8], what: &str) -> usize {
    let mut windows = bytes.windows(what.len());
    windows
        .position(|window| window == what.as_bytes())
        .unwrap()
}

/// Where the last thing before `offset` begins that begins with `magic`.
fn begin(bytes: &[u8], magic: &[u8], offset: usize) -> usize {
    let mut windows = bytes[..offset].windows(magic.len());
    windows.rposition(|window| window == magic).unwrap()
}

/// Starts a server that ends in good order; returns how many keys it had, and its log.
fn start(data: &Data, more: &[&str]) -> (i64, String) {
    let mut server: Server = data.serve(more);
    let keys = Connection::new(&server).tell("DBSIZE").integer();
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    (keys, server.rest_of_log())
}

#[test]
fn a_damaged_log_is_refused_with_file_and_offset() {
    let data = ten("damaged-log", false);
    let name = "cache.acl.000001";
    let path = data.file(name);
    let mut bytes = fs::read(&path).unwrap();
    let at = find(&bytes, "value-6");
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let frame = begin(&bytes, b"acl\x01", at);
    let expected = format!(
        "{0}/{name}: at offset {frame}, its checksum does not match; `ant-cache-cli check {0}` tells more, \
         and --recover starts with what there is before that",
        data.path()
    );
    assert_eq!(refusal(&data.words(&[])), expected);
    assert!(
        fs::read(&path).unwrap() == bytes,
        "a refusal changes nothing"
    );

    let (keys, log) = start(&data, &["--recover"]);
    assert_eq!(keys, 6);
    assert!(log.contains("starting in spite of damage"), "{log}");
    assert!(log.contains(&format!("at offset {frame}")), "{log}");
    assert_eq!(start(&data, &[]).0, 6, "it is mended from then on");
}

#[test]
fn a_damaged_snapshot_is_refused_with_file_and_offset() {
    let data = ten("damaged-snapshot", true);
    let path = data.file("cache.atd");
    let mut bytes = fs::read(&path).unwrap();
    let at = find(&bytes, "value-6");
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let block = begin(&bytes, b"atd\x01", at);
    let refusal = refusal(&data.words(&[]));
    let expected = format!(
        "{}/cache.atd: at offset {block}, its checksum does not match",
        data.path()
    );
    assert!(refusal.starts_with(&expected), "{refusal}");
    start(&data, &["--recover"]);
    assert!(data.names().contains(&"cache.atd.damaged".to_owned()));
    start(&data, &[]);
}

#[test]
fn a_missing_segment_is_refused() {
    let data = ten("missing", true);
    fs::remove_file(data.file("cache.acl.000002")).unwrap();
    let refusal = refusal(&data.words(&[]));
    let expected = format!("{}/cache.acl.000002: it is missing", data.path());
    assert!(refusal.starts_with(&expected), "{refusal}");
    // Nothing had been changed since the snapshot.
    assert_eq!(start(&data, &["--recover"]).0, 10);
    assert_eq!(start(&data, &[]).0, 10);
}

/// What a server that was killed leaves of the room that it had made.
#[test]
fn room_that_was_not_used_is_cut_off_and_no_news() {
    let data = ten("room", false);
    let path = data.file("cache.acl.000001");
    let bytes = data.written("cache.acl.000001");
    assert!(fs::metadata(&path).unwrap().len() > bytes.len() as u64);
    let (keys, log) = start(&data, &[]);
    assert_eq!(keys, 10);
    assert!(!log.contains("cut off"), "{log}");
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes.len() as u64);
}

/// What a power cut leaves of the last write.
#[test]
fn a_torn_end_is_cut_off_and_told() {
    for (test, zeros) in [("torn", 0), ("torn-zeros", 4096)] {
        let data = ten(test, false);
        let path = data.file("cache.acl.000001");
        let mut bytes = data.written("cache.acl.000001");
        let frame = begin(&bytes, b"acl\x01", bytes.len());
        bytes.truncate(bytes.len() - 3);
        bytes.resize(bytes.len() + zeros, 0);
        fs::write(&path, &bytes).unwrap();
        let (keys, log) = start(&data, &[]);
        let cut = bytes.len() - frame;
        assert_eq!(keys, 9);
        assert!(
            log.contains(&format!("the last {cut} bytes are cut off")),
            "{log}"
        );
        assert_eq!(fs::metadata(&path).unwrap().len(), frame as u64);
        assert_eq!(start(&data, &[]).0, 9);
    }
}
