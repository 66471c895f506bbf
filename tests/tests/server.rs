//! COMMAND, CONFIG, INFO, STATS, HELP and the other commands of the server.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ant_cache_core::command::{Group, table};
use ant_cache_core::facts::{Fact, Gauges, Section, Tell};
use ant_cache_core::service::Options;
use ant_cache_tests::Peer;

/// The value of one parameter.
fn config(peer: &mut Peer, name: &str) -> String {
    let reply = peer.resp(&["CONFIG", "GET", name]);
    let prefix = format!("*2\r\n${}\r\n{name}\r\n$", name.len());
    let value = reply
        .strip_prefix(&prefix)
        .and_then(|rest| rest.split("\r\n").nth(1));
    value
        .unwrap_or_else(|| panic!("one value of {name} in {reply:?}"))
        .to_owned()
}

/// The value of a field of INFO.
fn info(peer: &mut Peer, field: &str) -> Option<String> {
    let reply = peer.resp(&["INFO"]);
    let line = reply
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(str::to_owned)
}

#[test]
fn config_round_trips() {
    let mut peer = Peer::default();
    for (name, default, other) in [
        ("maxclients", "10000", "17"),
        ("timeout", "0", "300"),
        ("send-timeout", "60", "0"),
        ("busy-poll", "30", "10000"),
        ("requirepass", "", "secret word"),
    ] {
        assert_eq!(config(&mut peer, name), default);
        assert_eq!(peer.resp(&["CONFIG", "SET", name, other]), "+OK\r\n");
        assert_eq!(config(&mut peer, name), other);
    }
    let settings = &peer.service().settings;
    assert_eq!(settings.idle_timeout(), 300_000);
    assert_eq!(settings.send_timeout(), 0);
    // A timeout below a second does not look like none.
    settings.set_idle_timeout(1);
    assert_eq!(config(&mut peer, "timeout"), "1");
}

#[test]
fn config_get_takes_names_and_patterns() {
    let fixed = vec![
        ("port", "8890".to_owned()),
        ("bind", "127.0.0.1".to_owned()),
    ];
    let mut peer = Peer::new(Options {
        fixed,
        ..Options::default()
    });
    assert_eq!(config(&mut peer, "port"), "8890");
    assert_eq!(config(&mut peer, "bind"), "127.0.0.1");
    assert_eq!(config(&mut peer, "save"), "");
    assert_eq!(config(&mut peer, "databases"), "1");
    assert_eq!(config(&mut peer, "proto-max-bulk-len"), "67108864");
    let both = "*4\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n";
    assert_eq!(
        peer.resp(&[
            "CONFIG",
            "GET",
            "max[cm]*[stuvwxy]",
            "nope",
            "maxc*",
            "*-policy"
        ])
        .lines()
        .next(),
        Some("*6")
    );
    assert_eq!(peer.resp(&["CONFIG", "GET", "MAX??????", "maxc*s"]), both);
    // redis-benchmark asks so.
    assert_eq!(
        peer.resp(&["CONFIG", "GET", "appendonly"]),
        "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"
    );
    assert_eq!(
        peer.resp(&["CONFIG", "GET", "Timeout"]),
        "*2\r\n$7\r\nTimeout\r\n$1\r\n0\r\n"
    );
    assert_eq!(peer.resp(&["CONFIG", "GET", "nope"]), "*0\r\n");
    assert_eq!(peer.text("CONFIG GET max*s"), r#"{"maxclients":"10000"}"#);
}

#[test]
fn questions_that_would_take_long_are_refused() {
    let mut peer = Peer::default();
    let refusal = "-ERR too many arguments for one request\r\n";
    for start in [
        &["COMMAND", "DOCS"][..],
        &["COMMAND", "INFO"],
        &["CONFIG", "GET"],
        &["INFO"],
        &["HELLO", "3"],
    ] {
        let words = [start, &["x"; 1001]].concat();
        assert_eq!(peer.resp(&words), refusal, "{start:?}");
    }
    let pattern = "*".repeat(1025);
    let refusal = "-ERR the pattern is too long\r\n";
    assert_eq!(peer.resp(&["CONFIG", "GET", &pattern]), refusal);
    let words = ["COMMAND", "LIST", "FILTERBY", "PATTERN", &pattern];
    assert_eq!(peer.resp(&words), refusal);
    let password = "p".repeat(40_000);
    let reply = peer.resp(&["CONFIG", "SET", "requirepass", &password]);
    assert!(
        reply.ends_with("argument must be at most 32768 bytes long\r\n"),
        "{reply}"
    );
}

#[test]
fn config_set_refuses_as_redis_does() {
    let mut peer = Peer::new(Options {
        fixed: vec![("port", "8890".to_owned())],
        ..Options::default()
    });
    let failed = |name: &str, why: &str| {
        format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {why}\r\n")
    };
    let number = "argument couldn't be parsed into an integer";
    for (words, error) in [
        (&["timeout", "x"][..], failed("timeout", number)),
        (&["timeout", "01"], failed("timeout", number)),
        (&["maxclients", ""], failed("maxclients", number)),
        (
            &["timeout", "-1"],
            failed(
                "timeout",
                "argument must be between 0 and 2147483647 inclusive",
            ),
        ),
        (
            &["timeout", "5", "maxclients", "0"],
            failed(
                "maxclients",
                "argument must be between 1 and 4294967295 inclusive",
            ),
        ),
        (
            &["timeout", "5", "TIMEOUT", "6"],
            failed("timeout", "duplicate parameter"),
        ),
        (
            &["databases", "4"],
            failed("databases", "can't set immutable config"),
        ),
        (&["port", "1"], failed("port", "can't set immutable config")),
        (&["timeout", "10", "x"], "-ERR syntax error\r\n".to_owned()),
        (
            &["nope\r\nx", "1"],
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nope  x'\r\n".to_owned(),
        ),
    ] {
        let words = [&["CONFIG", "SET"], words].concat();
        assert_eq!(peer.resp(&words), error);
    }
    // All or none: the timeout of 5 was not set.
    assert_eq!(config(&mut peer, "timeout"), "0");
    // What scripts made for Redis set, and what is so anyway.
    for same in [["save", ""], ["appendonly", "no"], ["maxmemory", "0"]] {
        assert_eq!(peer.resp(&["CONFIG", "SET", same[0], same[1]]), "+OK\r\n");
    }
    assert_eq!(
        peer.resp(&["CONFIG"]),
        "-ERR wrong number of arguments for 'config' command\r\n"
    );
    assert_eq!(
        peer.resp(&["CONFIG", "X"]),
        "-ERR unknown subcommand 'X'. Try CONFIG HELP.\r\n"
    );
    assert_eq!(
        peer.resp(&["CONFIG", "SET", "timeout"]),
        "-ERR wrong number of arguments for 'config|set' command\r\n"
    );
}

#[test]
fn info_has_the_fields_that_tools_read() {
    let mut peer = Peer::default();
    for field in [
        "redis_version",
        "redis_mode",
        "antcache_version",
        "arch_bits",
        "uptime_in_seconds",
        "connected_clients",
        "maxclients",
        "used_memory",
        "used_memory_human",
        "maxmemory",
        "loading",
        "total_connections_received",
        "total_commands_processed",
        "rejected_connections",
        "keyspace_hits",
        "keyspace_misses",
        "expired_keys",
        "evicted_keys",
        "role",
        "cluster_enabled",
    ] {
        assert!(info(&mut peer, field).is_some(), "{field}");
    }
    assert_eq!(info(&mut peer, "redis_version").unwrap(), "7.0.15");
    assert_eq!(info(&mut peer, "role").unwrap(), "master");
    assert_eq!(info(&mut peer, "cluster_enabled").unwrap(), "0");
    assert_eq!(info(&mut peer, "connected_clients").unwrap(), "1");
    peer.pass(90_061_000);
    assert_eq!(info(&mut peer, "uptime_in_seconds").unwrap(), "90061");
    assert_eq!(info(&mut peer, "uptime_in_days").unwrap(), "1");
}

#[test]
fn info_counts_keys_hits_and_misses() {
    let mut peer = Peer::default();
    assert_eq!(info(&mut peer, "db0"), None);
    peer.text("SET a 1");
    peer.text("SET b -t 10 2");
    peer.text("GET a");
    peer.text("GET nope");
    assert_eq!(
        info(&mut peer, "db0").unwrap(),
        "keys=2,expires=1,avg_ttl=0"
    );
    assert_eq!(info(&mut peer, "keyspace_hits").unwrap(), "1");
    assert_eq!(info(&mut peer, "keyspace_misses").unwrap(), "1");
    assert_eq!(peer.resp(&["DBSIZE"]), ":2\r\n");
}

#[test]
fn info_takes_sections() {
    let mut peer = Peer::default();
    assert_eq!(
        peer.resp(&["INFO", "cluster"]),
        "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"
    );
    assert_eq!(
        peer.resp(&["INFO", "Keyspace"]),
        "$12\r\n# Keyspace\r\n\r\n"
    );
    assert_eq!(peer.resp(&["INFO", "nope"]), "$0\r\n\r\n");
    let two = peer.resp(&["INFO", "CLUSTER", "replication", "cluster"]);
    let titles: Vec<_> = two.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(titles, ["# Replication", "# Cluster"]);
    for all in [
        &["INFO"][..],
        &["INFO", "all"],
        &["INFO", "nope", "Everything"],
        &["INFO", "default"],
    ] {
        let reply = peer.resp(all);
        for section in Section::ALL
            .iter()
            .filter(|section| **section != Section::Cpu)
        {
            let told = reply.contains(&format!("# {}\r\n", section.title()));
            let words = ["all", "Everything"];
            let everything = all.iter().any(|word| words.contains(word));
            assert_eq!(told, everything || !section.is_by_command(), "{all:?}");
        }
    }
    assert_eq!(
        peer.text("INFO cluster"),
        "# Cluster\ncluster_enabled:0\nEND"
    );
    assert_eq!(
        peer.send(b"INFO cluster\r\n"),
        b"# Cluster\r\ncluster_enabled:0\r\nEND\r\n"
    );
    peer.resp(&["HELLO", "3"]);
    assert_eq!(
        peer.resp(&["INFO", "cluster"]),
        "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"
    );
}

#[test]
fn info_shows_what_the_host_tells() {
    #[derive(Debug, Default)]
    struct Process(AtomicU64);
    impl Gauges for Process {
        fn read(&self, tell: &mut Tell<'_>) {
            let reads = self.0.fetch_add(1, Relaxed);
            tell(Section::Cpu, "used_cpu_user", &format_args!("{reads}.5"));
            tell(Section::Antcache, "workers_busy", &3);
        }
    }
    let fact = |section, name, value: &dyn Display| Fact::new(section, name, value);
    let mut peer = Peer::new(Options {
        facts: vec![
            fact(Section::Server, "process_id", &77),
            fact(Section::Memory, "mem_allocator", &"libc"),
        ],
        gauges: Some(Arc::new(Process::default())),
        ..Options::default()
    });
    let reply = peer.resp(&["INFO", "cpu", "server", "memory", "antcache"]);
    for field in [
        "\r\nprocess_id:77\r\n",
        "\r\nmem_allocator:libc\r\n",
        "\r\nworkers_busy:3\r\n",
    ] {
        assert!(reply.contains(field), "{field} in {reply}");
    }
    assert!(reply.contains("# CPU\r\nused_cpu_user:0.5\r\n"), "{reply}");
    assert_eq!(peer.text("INFO cpu"), "# CPU\nused_cpu_user:1.5\nEND");
    let stats = peer.text("STATS");
    assert!(
        stats.contains("\nused_cpu_user 2.5\n") && stats.contains("\nworkers_busy 3\n"),
        "{stats}"
    );
}

#[test]
fn stats_are_lines_of_name_and_value() {
    let mut peer = Peer::default();
    peer.text("SET a 1");
    peer.text("GET a");
    let stats = peer.text("STATS");
    let mut lines: Vec<_> = stats.lines().collect();
    assert_eq!(lines.pop(), Some("END"));
    for line in &lines {
        assert_eq!(line.split(' ').count(), 2, "{line}");
    }
    for line in [
        "keyspace_hits 1",
        "keys 1",
        "connected_clients 1",
        "protocol_errors 0",
    ] {
        assert!(lines.contains(&line), "{line} in {stats}");
    }
    assert!(peer.resp(&["STATS"]).contains("\r\nkeyspace_hits 1\r\n"));
}

#[test]
fn resetstat_counts_from_zero_again() {
    let mut peer = Peer::default();
    peer.text("GET nope");
    peer.text("SET gone -t 1ms x");
    peer.pass(10);
    peer.text("GET gone");
    drop(peer.join());
    assert_eq!(info(&mut peer, "keyspace_misses").unwrap(), "2");
    assert_eq!(info(&mut peer, "total_connections_received").unwrap(), "2");
    let id = peer.resp(&["CLIENT", "ID"]);
    assert_eq!(peer.resp(&["CONFIG", "RESETSTAT"]), "+OK\r\n");
    for field in [
        "keyspace_misses",
        "total_connections_received",
        "expired_keys",
        "total_error_replies",
    ] {
        assert_eq!(info(&mut peer, field).unwrap(), "0", "{field}");
    }
    peer.text("GET nope");
    assert_eq!(info(&mut peer, "keyspace_misses").unwrap(), "1");
    assert_eq!(info(&mut peer, "connected_clients").unwrap(), "1");
    assert_eq!(peer.resp(&["CLIENT", "ID"]), id);
    assert_eq!(peer.join().resp(&["CLIENT", "ID"]), ":3\r\n");
    assert_eq!(peer.service().totals().misses, 3);
}

#[test]
fn command_describes_itself_to_clients() {
    let mut peer = Peer::default();
    let commands = table().len();
    assert_eq!(peer.resp(&["COMMAND", "COUNT"]), format!(":{commands}\r\n"));
    assert!(
        peer.resp(&["COMMAND"])
            .starts_with(&format!("*{commands}\r\n*10\r\n"))
    );
    assert!(
        peer.resp(&["COMMAND", "INFO"])
            .starts_with(&format!("*{commands}\r\n*10\r\n"))
    );
    // To the byte what redis-server says of GET.
    let get = "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n\
               *0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n\
               $5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n\
               $4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n";
    assert_eq!(
        peer.resp(&["COMMAND", "INFO", "get", "nope"]),
        format!("*2\r\n{get}$-1\r\n")
    );
    let sub = peer.resp(&["COMMAND", "INFO", "CONFIG|GET"]);
    assert!(
        sub.starts_with("*1\r\n*10\r\n$10\r\nconfig|get\r\n:-3\r\n"),
        "{sub}"
    );
    peer.resp(&["HELLO", "3"]);
    let get = peer.resp(&["COMMAND", "INFO", "get"]);
    let flags = "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n";
    assert!(get.starts_with(flags) && get.ends_with("~0\r\n"), "{get}");
}

#[test]
fn command_docs_describe_every_command() {
    let mut peer = Peer::default();
    let docs = peer.resp(&["COMMAND", "DOCS"]);
    assert!(docs.starts_with(&format!("*{}\r\n", 2 * table().len())));
    for command in table() {
        assert!(docs.contains(&format!("\r\n{}\r\n", command.name)));
        assert!(docs.contains(&format!("\r\n{}\r\n", command.summary)));
        for sub in command.subcommands() {
            assert!(docs.contains(&format!("\r\n{}|{}\r\n", command.name, sub.name)));
        }
    }
    assert_eq!(
        peer.resp(&["COMMAND", "DOCS", "nope", "ttl"]),
        "*2\r\n$3\r\nttl\r\n*8\r\n$7\r\nsummary\r\n$35\r\nReturns the time to live in seconds\r\n$5\r\nsince\r\n$5\r\n0.1.0\r\n\
         $5\r\ngroup\r\n$7\r\ngeneric\r\n$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n\
         $14\r\nkey_spec_index\r\n:0\r\n"
    );
    assert_eq!(peer.resp(&["COMMAND", "DOCS", "nope"]), "*0\r\n");
}

#[test]
fn command_finds_keys_and_lists_names() {
    let mut peer = Peer::default();
    for (words, reply) in [
        (&["COMMAND", "GETKEYS", "get", "k"][..], "*1\r\n$1\r\nk\r\n"),
        (
            &["COMMAND", "GETKEYS", "mset", "a", "b", "c", "d"],
            "*2\r\n$1\r\na\r\n$1\r\nc\r\n",
        ),
        (
            &["COMMAND", "GETKEYS", "nope", "x"],
            "-ERR Invalid command specified\r\n",
        ),
        (
            &["COMMAND", "GETKEYS", "ping", "x"],
            "-ERR The command has no key arguments\r\n",
        ),
        (
            &["COMMAND", "GETKEYS", "get", "a", "b"],
            "-ERR Invalid number of arguments specified for command\r\n",
        ),
        (
            &["COMMAND", "GETKEYS", "get"],
            "-ERR wrong number of arguments for 'command|getkeys' command\r\n",
        ),
        (
            &["COMMAND", "LIST", "FILTERBY", "PATTERN", "GETE*"],
            "*1\r\n$5\r\ngetex\r\n",
        ),
        (
            &["COMMAND", "LIST", "FILTERBY", "ACLCAT", "list"],
            "*3\r\n$6\r\nlrange\r\n$4\r\nllen\r\n$6\r\nlindex\r\n",
        ),
        (&["COMMAND", "LIST", "FILTERBY", "ACLCAT", "nope"], "*0\r\n"),
        (&["COMMAND", "LIST", "FILTERBY", "MODULE", "m"], "*0\r\n"),
        (
            &["COMMAND", "LIST", "FILTERBY", "X", "m"],
            "-ERR syntax error\r\n",
        ),
        (&["COMMAND", "LIST", "x"], "-ERR syntax error\r\n"),
        (
            &["COMMAND", "NOPE"],
            "-ERR unknown subcommand 'NOPE'. Try COMMAND HELP.\r\n",
        ),
    ] {
        assert_eq!(peer.resp(words), reply, "{words:?}");
    }
    let list = peer.resp(&["COMMAND", "LIST"]);
    assert!(list.starts_with(&format!("*{}\r\n", table().len())));
}

#[test]
fn help_knows_every_command_and_family() {
    let mut peer = Peer::default();
    let help = peer.text("HELP");
    assert!(help.ends_with("\nEND"), "{help}");
    for command in table() {
        let name = command.name.to_uppercase();
        let family = help
            .lines()
            .find(|line| line.starts_with(&format!("@{}: ", command.group.name())));
        assert!(
            family.unwrap().split(' ').any(|word| word == name),
            "{name}"
        );
        let topic = peer.text(&format!("HELP {}", command.name));
        assert!(
            topic.starts_with(&name) && topic.contains(command.summary),
            "{topic}"
        );
    }
    for group in Group::ALL {
        let family = peer.text(&format!("help @{}", group.name()));
        for command in table().iter().filter(|command| command.group == group) {
            assert!(family.contains(command.summary), "{family}");
        }
    }
    assert_eq!(
        peer.text("HELP setx"),
        "SETX key [-t ttl] field value [field value ...]\n    Sets an object.\nEND"
    );
    assert!(peer.text("HELP config").contains("\nCONFIG RESETSTAT\n"));
    assert_eq!(
        peer.text("HELP nope"),
        "ERROR no help for 'nope'. Try HELP."
    );
    assert_eq!(
        peer.text("HELP @nope"),
        "ERROR no help for '@nope'. Try HELP."
    );
    assert!(peer.resp(&["HELP", "get"]).starts_with("$"));
}

#[test]
fn flush_empties_the_store_for_everyone() {
    let mut peer = Peer::default();
    for (index, flush) in ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "flushdb sync"]
        .iter()
        .enumerate()
    {
        let mut other = peer.join();
        assert_eq!(other.text("SET k v"), "OK");
        assert_eq!(peer.text(flush), "OK", "{index}");
        assert_eq!(other.text("DBSIZE"), "0");
        assert_eq!(other.text("GET k"), "NULL");
    }
    assert_eq!(peer.resp(&["FLUSHALL", "x"]), "-ERR syntax error\r\n");
    assert_eq!(
        peer.resp(&["FLUSHALL", "SYNC", "x"]),
        "-ERR syntax error\r\n"
    );
}

#[test]
fn time_and_save() {
    let mut peer = Peer::default();
    assert_eq!(
        peer.resp(&["TIME"]),
        "*2\r\n$10\r\n1800000000\r\n$6\r\n123000\r\n"
    );
    let refusal = "persistence is not configured: the server has no data directory (--dir)";
    assert_eq!(peer.text("SAVE"), format!("ERROR {refusal}"));
    assert_eq!(peer.resp(&["SAVE"]), format!("-ERR {refusal}\r\n"));
}
