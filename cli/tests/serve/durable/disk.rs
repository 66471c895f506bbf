//! Disks that fail for real: one that is full, and system calls to which the kernel answers with errors.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::child::Server;
use super::Data;
use super::wire::{Connection, Reply};

/// Bytes of the file that is in the way on the small disk. Without it there is room for what could not be written, besides
/// what may not be trusted.
const BALLAST: usize = 124 << 20;

/// A file system of 128 MiB, gone when dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// `None` where this process may not mount one.
    fn new(path: &'a Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=128m", "tmpfs"])
            .arg(path);
        let done = mount.stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
            .then_some(Self(path))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // Lazily, since a server may still be about to end.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Changes until one is refused; adds those that were answered to `kept`, and returns the refusal.
fn write_until_refused(client: &mut Connection, kept: &mut BTreeMap<String, Vec<u8>>) -> String {
    for number in 0..10_000 {
        let key = format!("key{number}");
        let value = format!("{number:08}").repeat(4096).into_bytes();
        match client.ask(&[b"SET", key.as_bytes(), &value]) {
            Reply::Error(text) => return text,
            reply => assert_eq!(reply, Reply::Status("OK".to_owned())),
        }
        kept.insert(key, value);
    }
    panic!("328 MB went to a disk of 128 MiB");
}

/// Asks until a change is taken.
fn write_until_taken(client: &mut Connection, key: &str) {
    while let Reply::Error(text) = client.tell(&format!("SET {key} value")) {
        assert!(text.starts_with("MISCONF "), "{text}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// What holds while nothing can be written.
fn check_failing(client: &mut Connection, error: &str) {
    for (request, refused) in [
        ("SET", "SET other 1"),
        ("MSET", "MSET other 1 another 2"),
        ("DEL", "DEL present"),
        ("EXPIRE", "EXPIRE present 100"),
        ("FLUSHALL", "FLUSHALL"),
    ] {
        let text = client.tell(refused).text();
        assert!(
            text.starts_with("MISCONF changes cannot be written to disk"),
            "{request}: {text}"
        );
    }
    let line = client.say("SET other 1");
    assert!(line.starts_with("ERROR persistence"), "{line}");
    assert_eq!(client.tell("PING").text(), "PONG");
    assert_eq!(client.tell("GET present").text(), "value");
    assert_eq!(client.tell("EXISTS other another").integer(), 0);
    assert_eq!(client.info("aof_last_write_status").unwrap(), "err");
    assert_ne!(client.info("acl_errors").unwrap(), "0");
    let told = client.info("acl_last_error").unwrap();
    assert!(told.contains(error), "{told}");
    let text = client.say("SHUTDOWN");
    assert!(
        text.starts_with("ERROR changes are not on the disk"),
        "{text}"
    );
}

fn check_healed(client: &mut Connection) {
    assert_eq!(client.info("aof_last_write_status").unwrap(), "ok");
    assert_eq!(client.info("acl_last_error"), None);
}

#[test]
fn a_full_disk_refuses_changes_until_there_is_room() {
    for fsync in ["always", "interval", "never"] {
        let data = Data::new(&format!("full-{fsync}"));
        let Some(_mount) = Mount::new(&data.0) else {
            eprintln!("skipped: no file system can be mounted here");
            return;
        };
        let ballast = data.file("ballast");
        fs::write(&ballast, vec![1; BALLAST]).unwrap();
        let words = ["--fsync", fsync];
        let mut server = data.serve(&words);
        let mut client = Connection::new(&server);
        client.tell("SET present value");
        let mut kept = BTreeMap::new();
        let refusal = write_until_refused(&mut client, &mut kept);
        assert!(refusal.starts_with("MISCONF "), "{refusal}");
        check_failing(&mut client, "No space left on device");
        let text = client.tell("SAVE").text();
        assert!(text.starts_with("ERR the snapshot failed: "), "{text}");
        assert!(!data.names().contains(&"cache.atd.tmp".to_owned()));

        fs::remove_file(&ballast).unwrap();
        write_until_taken(&mut client, "healed");
        check_healed(&mut client);
        check_kept(&mut server, &data, &words, kept);
    }
}

/// Kills the server and starts another: whatever was answered is there.
fn check_kept(server: &mut Server, data: &Data, words: &[&str], kept: BTreeMap<String, Vec<u8>>) {
    let mut client = Connection::new(server);
    // Once one more record is written, by whatever policy, everything before this change is.
    let before = client.info("acl_records_written");
    client.tell("SET last value");
    while client.info("acl_records_written") == before {
        thread::sleep(Duration::from_millis(10));
    }
    server.signal(Signal::KILL);
    server.exit_code();
    let server = data.serve(words);
    let mut client = Connection::new(&server);
    for key in ["present", "healed"] {
        assert_eq!(client.tell(&format!("GET {key}")).text(), "value", "{key}");
    }
    for (key, value) in kept {
        assert!(
            client.tell(&format!("GET {key}")) == Reply::Bulk(Some(value)),
            "{key}"
        );
    }
    assert_eq!(client.tell("EXISTS other another").integer(), 0);
}

/// strace, attached to a server; detached when dropped.
struct Tracer(Child);

impl Tracer {
    /// Lets a system call on the log's segments fail from now on; `None` where that cannot be done.
    fn attach(server: &Server, data: &Data, call: &str, error: &str) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-p", &server.pid().to_string()]);
        for number in 1..100 {
            strace
                .arg("-P")
                .arg(data.file(&format!("cache.acl.{number:06}")));
        }
        strace.args(["-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:error={error}")]);
        let child = strace.stderr(Stdio::piped()).spawn().ok()?;
        let mut tracer = Self(child);
        let mut lines = BufReader::new(tracer.0.stderr.take().unwrap()).lines();
        // The rest is told while it is traced, and must be read.
        while let Some(Ok(line)) = lines.next() {
            if line.contains("attached") {
                thread::spawn(move || lines.for_each(drop));
                return Some(tracer);
            }
            if line.contains("Operation not permitted") {
                return None;
            }
        }
        None
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It detaches at this signal; where it has ended already, that is as well.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn calls_that_fail_refuse_changes_until_they_work_again() {
    for (fsync, call, error, told) in [
        ("always", "fdatasync", "EIO", "Input/output error"),
        ("interval", "fdatasync", "EIO", "Input/output error"),
        ("always", "writev", "EIO", "Input/output error"),
        ("interval", "writev", "ENOSPC", "No space left on device"),
    ] {
        let data = Data::new(&format!("{call}-{fsync}"));
        let words = ["--fsync", fsync];
        let mut server = data.serve(&words);
        let mut client = Connection::new(&server);
        client.tell("SET present value");
        let Some(tracer) = Tracer::attach(&server, &data, call, error) else {
            eprintln!("skipped: strace is not installed, or must not trace here");
            return;
        };
        let mut kept = BTreeMap::new();
        let refusal = write_until_refused(&mut client, &mut kept);
        if fsync == "always" {
            let made = "MISCONF the change was made in memory, but could not be written to disk";
            assert!(refusal.starts_with(made), "{refusal}");
            assert_eq!(kept.len(), 0, "nothing is answered that is not on the disk");
        }
        check_failing(&mut client, told);
        drop(tracer);
        write_until_taken(&mut client, "healed");
        check_healed(&mut client);
        check_kept(&mut server, &data, &words, kept);
    }
}
