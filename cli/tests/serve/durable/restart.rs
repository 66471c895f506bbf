//! What a restart keeps, and the commands that have to do with it.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::super::child::{Server, refusal, scratch};
use super::wire::{Connection, Reply};
use super::{Data, SHAPES};

/// Milliseconds since 1970 that no test lives to see.
const FAR: &str = "4102444800123";

/// Everything that a server has: each key with its kind, its value, and its end.
fn contents(server: &Server) -> Vec<(Vec<u8>, Reply, Reply, Reply)> {
    let mut client = Connection::new(server);
    let mut all: Vec<_> = client
        .tell("KEYS *")
        .array()
        .into_iter()
        .map(|key| {
            let Reply::Bulk(Some(key)) = key else {
                panic!("a key is a string")
            };
            let kind = client.ask(&[b"TYPE", &key[..]]);
            let value = client.ask(&[b"FETCH", &key[..]]);
            let end = client.ask(&[b"PEXPIRETIME", &key[..]]);
            (key, kind, value, end)
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Changes of each kind, in both dialects. Returns the number of keys that are left.
fn fill(server: &Server) -> usize {
    let mut client = Connection::new(server);
    let everything: Vec<u8> = (0..=255).collect();
    let large = vec![b'l'; 5 << 20];
    client.ask(&[b"SET", &b"gone by FLUSHALL"[..], b"value"]);
    client.tell("FLUSHALL");
    client.ask(&[b"SET", &everything[..], &everything[..]]);
    client.ask(&[b"SET", &b""[..], b""]);
    client.ask(&[b"SET", &b"large"[..], &large]);
    client.ask(&[b"SET", &b"grown"[..], &large[..1000]]);
    for _ in 0..50 {
        client.ask(&[b"APPEND", &b"grown"[..], &large[..100]]);
    }
    client.tell("SETRANGE grown 2000 patched");
    client.tell("SETRANGE made 3 patched");
    client.tell("MSET one 1 two 2 three 3");
    client.tell("INCRBY one 41");
    client.tell("INCRBYFLOAT two 0.5");
    client.tell("RENAME three drei");
    client.tell("SET deleted 1");
    client.tell("DEL deleted");
    client.tell("GETDEL two");
    client.tell("SET kept value PX 100000000");
    client.tell(&format!("PEXPIREAT kept {FAR}"));
    client.tell("SET forever value EX 100");
    client.tell("PERSIST forever");
    client.tell("SET ended value");
    client.tell("PEXPIREAT ended 1");
    client.ask(&[b"SETS", &b"list"[..], b"", &everything, &large[..2000]]);
    client.ask(&[b"SETX", &b"hash"[..], &everything, b"", b"field", b"value"]);
    for (line, reply) in [
        (r#"SETS "a key" apple "two words" pear"#, "OK"),
        ("SETX user name alice age 30", "OK"),
        ("SETS session -t 10h on", "OK"),
        ("SETNX text \"line\\nline\"", "OK"),
    ] {
        assert_eq!(client.say(line), reply, "{line}");
    }
    client.say(&format!("PEXPIREAT session {FAR}"));
    15
}

/// How a server may end.
#[derive(Clone, Copy, Debug)]
enum End {
    Signal,
    Command(&'static str),
    /// Nothing is lost by it where each change was on the disk before its answer.
    Kill,
    /// Nor where a snapshot was made.
    SaveAndKill,
}

impl End {
    fn of(self, server: &mut Server) {
        match self {
            Self::Signal => server.signal(Signal::TERM),
            Self::Command(line) => {
                let mut client = Connection::new(server);
                client.write(format!("{line}\n").as_bytes()).unwrap();
                assert!(client.is_closed());
            }
            Self::SaveAndKill | Self::Kill => {
                if let Self::SaveAndKill = self {
                    assert_eq!(Connection::new(server).say("SAVE"), "OK");
                }
                server.signal(Signal::KILL);
                assert_eq!(server.exit_code(), None);
                return;
            }
        }
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    let ends = [
        ("always", End::Kill),
        ("interval", End::Signal),
        ("interval", End::SaveAndKill),
        ("never", End::Command("SHUTDOWN")),
        ("interval", End::Command("SHUTDOWN SAVE")),
    ];
    for (number, shape) in SHAPES.iter().enumerate() {
        let data = Data::new(&format!("restart-{number}"));
        let mut server = data.serve(&[&shape[..], &["--fsync", "always"]].concat());
        let keys = fill(&server);
        let before = contents(&server);
        assert_eq!(before.len(), keys);
        // The first end is that of the server which was filled, the others those of servers that only read files.
        for (fsync, end) in ends {
            end.of(&mut server);
            server = data.serve(&[&shape[..], &["--fsync", fsync]].concat());
            assert!(contents(&server) == before, "{shape:?}, {end:?}");
        }
    }
}

#[test]
fn what_was_changed_after_a_restart_is_there_after_the_next() {
    for (end, shape) in [End::Signal, End::SaveAndKill, End::Kill]
        .into_iter()
        .zip(SHAPES)
    {
        let data = Data::new(&format!("restarts-{}", shape.join("")));
        for round in 0..4 {
            let mut server = data.serve(&[&shape[..], &["--fsync", "always"]].concat());
            let mut client = Connection::new(&server);
            assert_eq!(client.tell("INCR rounds").integer(), round + 1);
            client.tell("APPEND text x");
            assert_eq!(client.tell("STRLEN text").integer(), round + 1);
            assert_eq!(client.tell(&format!("SET only{round} 1")).text(), "OK");
            assert_eq!(
                client.tell(&format!("DEL only{}", round - 1)).integer(),
                round.min(1)
            );
            assert_eq!(client.tell("DBSIZE").integer(), 3);
            end.of(&mut server);
        }
    }
}

#[test]
fn a_second_server_on_a_directory_is_refused() {
    let data = Data::new("locked");
    let mut server = data.serve(&[]);
    let expected = format!(
        "{}: process {} uses this directory",
        data.path(),
        server.pid()
    );
    assert_eq!(refusal(&data.words(&[])), expected);
    // The lock goes with its process, however that ends.
    End::Kill.of(&mut server);
    data.serve(&[]);
}

/// Waits until a background snapshot is complete: the number of those that are.
fn saves(client: &mut Connection) -> u64 {
    while client.info("rdb_bgsave_in_progress").unwrap() != "0" {
        thread::sleep(Duration::from_millis(5));
    }
    client.info("rdb_saves").unwrap().parse().unwrap()
}

#[test]
fn the_commands_work_in_both_dialects() {
    for (number, shape) in SHAPES.iter().enumerate() {
        let data = Data::new(&format!("commands-{number}"));
        let mut server = data.serve(shape);
        let mut client = Connection::new(&server);
        assert_eq!(data.names(), ["cache.acl.000001", "lock"]);
        let started = client.tell("LASTSAVE").integer();
        assert_eq!(client.say("LASTSAVE"), started.to_string());
        client.tell("MSET a 1 b 2 c 3");
        assert_eq!(client.info("rdb_changes_since_last_save").unwrap(), "3");

        assert_eq!(client.tell("SAVE"), Reply::Status("OK".to_owned()));
        assert_eq!(data.names(), ["cache.acl.000002", "cache.atd", "lock"]);
        assert_eq!(client.say("SAVE"), "OK");
        assert_eq!(saves(&mut client), 2);
        assert_eq!(client.info("rdb_changes_since_last_save").unwrap(), "0");
        assert!(client.tell("LASTSAVE").integer() >= started);
        for (count, (request, reply)) in [
            ("BGSAVE", "Background saving started"),
            ("BGSAVE SCHEDULE", "Background saving started"),
            (
                "BGREWRITEAOF",
                "Background append only file rewriting started",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let before = 2 + 2 * count as u64;
            assert_eq!(client.tell(request).text(), reply);
            assert_eq!(saves_after(&mut client, before), before + 1);
            assert_eq!(client.say(request), reply);
            assert_eq!(saves_after(&mut client, before + 1), before + 2);
        }
        assert_eq!(client.tell("BGSAVE NOW").text(), "ERR syntax error");
        assert_eq!(client.say("SHUTDOWN SAVE NOSAVE"), "ERROR syntax error");

        client.tell("SET d 4");
        let snapshot = fs::read(data.file("cache.atd")).unwrap();
        client
            .write(b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nnosave\r\n")
            .unwrap();
        assert!(client.is_closed());
        assert_eq!(server.exit_code(), Some(0));
        assert!(fs::read(data.file("cache.atd")).unwrap() == snapshot);
        let mut server = data.serve(shape);
        assert_eq!(Connection::new(&server).tell("DBSIZE").integer(), 4);
        End::Command("SHUTDOWN SAVE").of(&mut server);
        assert!(fs::read(data.file("cache.atd")).unwrap() != snapshot);
    }
}

/// Waits until more than so many snapshots are complete, and none is being made.
fn saves_after(client: &mut Connection, before: u64) -> u64 {
    loop {
        let saves = saves(client);
        if saves > before {
            return saves;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_a_directory_the_commands_say_so() {
    let mut server = Server::start(&["--port", "0"]);
    let mut client = Connection::new(&server);
    let reason = "persistence is not configured: the server has no data directory (--dir)";
    for command in ["SAVE", "BGSAVE", "BGREWRITEAOF"] {
        assert_eq!(client.tell(command).text(), format!("ERR {reason}"));
        assert_eq!(client.say(command), format!("ERROR {reason}"));
    }
    assert_eq!(client.info("aof_enabled").unwrap(), "0");
    assert_eq!(client.info("acl_syncs"), None);
    End::Command("SHUTDOWN SAVE").of(&mut server);
}

#[test]
fn info_tells_of_the_files() {
    let data = Data::new("info");
    let server = data.serve(&["--fsync", "always"]);
    let mut client = Connection::new(&server);
    client.tell("SET key value");
    for (field, value) in [
        ("loading", "0"),
        ("rdb_changes_since_last_save", "1"),
        ("rdb_bgsave_in_progress", "0"),
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", "-1"),
        ("rdb_current_bgsave_time_sec", "-1"),
        ("rdb_saves", "0"),
        ("aof_enabled", "1"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_last_write_status", "ok"),
        ("aof_base_size", "0"),
        ("acl_records_written", "1"),
        ("acl_errors", "0"),
    ] {
        assert_eq!(client.info(field).as_deref(), Some(value), "{field}");
    }
    let number =
        |client: &mut Connection, field| client.info(field).unwrap().parse::<u64>().unwrap();
    let log = data.written("cache.acl.000001").len() as u64;
    assert_eq!(number(&mut client, "aof_current_size"), log);
    assert_eq!(number(&mut client, "acl_bytes_written"), log);
    let (epoch, syncs) = (
        number(&mut client, "acl_epoch_durable"),
        number(&mut client, "acl_syncs"),
    );
    client.tell("SET key other");
    assert!(number(&mut client, "acl_epoch_durable") > epoch);
    assert_eq!(number(&mut client, "acl_syncs"), syncs + 1);
    assert_eq!(client.info("acl_last_error"), None);

    assert_eq!(client.tell("SAVE").text(), "OK");
    let snapshot = fs::metadata(data.file("cache.atd")).unwrap().len();
    assert_eq!(number(&mut client, "aof_base_size"), snapshot);
    let log = data.written("cache.acl.000002").len() as u64;
    assert_eq!(number(&mut client, "aof_current_size"), log);
    for (setting, value) in [
        ("dir", data.path()),
        ("dbfilename", "cache.atd"),
        ("appendfilename", "cache.acl"),
        ("appendfsync", "always"),
    ] {
        let pair = client.tell(&format!("CONFIG GET {setting}")).array();
        assert_eq!(pair[1].clone().text(), value);
    }
}

/// The keys under which the original server's files of settings have these things.
#[test]
fn the_seeds_settings_name_the_files() {
    let data = Data::new("config");
    let config = scratch("durable-config.json");
    let dir = data.path();
    let text = format!(
        r#"{{"persistence": {{"atd_file": "{dir}/kept.atd", "atd_interval": "1h", "acl_file": "{dir}/kept.acl", "acl_interval": "1s"}}}}"#
    );
    fs::write(&config, text).unwrap();
    let words = ["--port", "0", "--config", config.to_str().unwrap()];
    let mut server = Server::start(&words);
    let mut client = Connection::new(&server);
    client.tell("SET key value");
    client.tell("SAVE");
    client.tell("SET other value");
    assert_eq!(data.names(), ["kept.acl.000002", "kept.atd", "lock"]);
    End::Signal.of(&mut server);
    let server = Server::start(&words);
    assert_eq!(Connection::new(&server).tell("DBSIZE").integer(), 2);
}

#[test]
fn a_log_that_outgrows_the_data_is_replaced_by_a_snapshot() {
    let data = Data::new("outgrown");
    let mut server = data.serve(&[]);
    let mut client = Connection::new(&server);
    let value = vec![b'v'; 1 << 20];
    // The bound is 64 MiB. The log may grow further while the snapshot is made.
    for _ in 0..70 {
        client.ask(&[b"SET", &b"key"[..], &value]);
    }
    assert!(saves_after(&mut client, 0) >= 1);
    assert!(!data.names().contains(&"cache.acl.000001".to_owned()));
    client.tell("SET other value");
    End::Signal.of(&mut server);
    let server = data.serve(&[]);
    let mut client = Connection::new(&server);
    assert_eq!(client.tell("STRLEN key").integer(), 1 << 20);
    assert_eq!(client.tell("DBSIZE").integer(), 2);
}
