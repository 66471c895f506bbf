//! Settings from all sources, as a server's start reads them.

use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ant_cache_core::{Eviction, size};
use ant_cache_host::config::{
    self, Architecture, CONFIG, Error, Fsync, Layers, Level, Runtime, SETTINGS, Settings,
};
use ant_cache_host::memory::Available;
use proptest::prelude::*;

/// Writes a file of settings of its own for each test.
fn file(name: &str, text: impl AsRef<[u8]>) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{name}"));
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn load(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<(Layers, Settings), Error> {
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    config::load(
        flags
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
        environment,
    )
}

fn settings(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Settings {
    load(flags, environment).unwrap().1
}

/// Without what tells of where settings came from.
fn quiet(settings: Settings) -> Settings {
    let mut settings = settings;
    settings.warnings.clear();
    settings.config_file = None;
    settings
}

/// The one line that is said about bad settings.
fn refusal(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> String {
    let line = load(flags, environment).unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn defaults() {
    let settings = settings(&[], &[]);
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 8890));
    assert_eq!(
        (
            settings.runtime,
            settings.architecture,
            settings.workers.get()
        ),
        (Runtime::Std, Architecture::Pooled, 200)
    );
    assert_eq!(
        (settings.max_connections, settings.log_level),
        (10_000, Level::Info)
    );
    assert_eq!(
        (settings.idle_timeout, settings.send_timeout),
        (None, Some(Duration::from_secs(60)))
    );
    assert_eq!(
        (settings.lanes, settings.unix_socket, settings.password),
        (None, None, None)
    );
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn each_source_overrides_those_before_it() {
    let path = file(
        "order.json",
        r#"{"server": {"port": "1", "workers": 2, "host": "::1"}}"#,
    );
    let from_file = [(CONFIG, path.as_str())];
    assert_eq!(settings(&from_file, &[]).port, 1);
    assert_eq!(settings(&from_file, &[("ANT_CACHE_PORT", "2")]).port, 2);
    let all = settings(
        &[from_file[0], ("port", "3")],
        &[("ANT_CACHE_PORT", "2"), ("ANT_CACHE_WORKERS", "9")],
    );
    assert_eq!(
        (all.port, all.workers.get(), all.host.as_str()),
        (3, 9, "::1")
    );
    assert_eq!(settings(&[("port", "3"), ("port", "4")], &[]).port, 4);
}

#[test]
fn the_file_is_named_by_flag_or_environment() {
    let one = file("one.json", r#"{"server": {"port": 1}}"#);
    let two = file("two.toml", "server.port = 2");
    assert_eq!(settings(&[], &[("ANT_CACHE_CONFIG", &one)]).port, 1);
    assert_eq!(
        settings(&[(CONFIG, &two)], &[("ANT_CACHE_CONFIG", &one)]).port,
        2
    );
}

#[test]
fn both_notations_say_the_same() {
    let json = file(
        "same.json",
        r#"{
            "server": {"host": "::1", "port": "8891", "architecture": "single-goroutine", "unix_socket": "/tmp/a.sock"},
            "auth": {"password": "swordfish"},
            "limits": {"max_connections": 5, "idle_timeout": "1h30m", "send_timeout": 0},
            "log": {"level": "debug"}
        }"#,
    );
    let toml = file(
        "same.toml",
        r#"
        auth.password = 'swordfish'
        [server]
        host = "::1"
        port = 8891
        architecture = "single"
        unix_socket = "/tmp/a.sock"
        [limits]
        max_connections = 5
        idle_timeout = 5400
        send_timeout = "0s"
        [log]
        level = "debug"
        "#,
    );
    let settings = [
        settings(&[(CONFIG, &json)], &[]),
        settings(&[(CONFIG, &toml)], &[]),
    ];
    assert_eq!(quiet(settings[0].clone()), quiet(settings[1].clone()));
    assert_eq!(
        settings[0].password.as_ref().map(config::Secret::reveal),
        Some(&b"swordfish"[..])
    );
    assert_eq!(settings[0].idle_timeout, Some(Duration::from_secs(5400)));
    assert_eq!(
        (settings[0].send_timeout, settings[0].architecture),
        (None, Architecture::Single)
    );
}

#[test]
fn bad_values_say_where_and_what() {
    let cases = [
        (
            "port",
            "65536",
            "expected a whole number from 0 to 65535, found \"65536\"",
        ),
        (
            "port",
            "-1",
            "expected a whole number from 0 to 65535, found \"-1\"",
        ),
        (
            "workers",
            "0",
            "expected a whole number from 1 to 10000, found \"0\"",
        ),
        (
            "workers",
            "10001",
            "expected a whole number from 1 to 10000, found \"10001\"",
        ),
        (
            "server",
            "threads",
            "expected single or pooled, found \"threads\"",
        ),
        ("runtime", "tokio", "expected std or smol, found \"tokio\""),
        (
            "idle-timeout",
            "5 minutes",
            "expected a duration such as 30s or 5m, at most 365d, or 0 for none, found \"5 minutes\"",
        ),
        (
            "acl-interval",
            "0",
            "expected a duration from 1s to 1m, found \"0\"",
        ),
        (
            "max-memory",
            "101%",
            "expected a size such as 512mb, a share such as 75%, or 0 for no bound, found \"101%\"",
        ),
        (
            "max-memory",
            "1mb",
            "expected at least 11mb, which the server needs at rest, or 0 for no bound, found 1mb",
        ),
        (
            "eviction",
            "allkeys-lfu",
            "expected adaptive or lru or random or ttl or none, found \"allkeys-lfu\"",
        ),
        (
            "host",
            "127.0.0.1:80",
            "expected an address or the name of a host, without port, found \"127.0.0.1:80\"",
        ),
        (
            "log-level",
            "a\nb",
            "expected error or warn or info or debug or trace, found \"a\\nb\"",
        ),
    ];
    for (name, value, complaint) in cases {
        assert_eq!(
            refusal(&[(name, value)], &[]),
            format!("--{name}: {complaint}")
        );
        let variable = config::variable(name);
        assert_eq!(
            refusal(&[], &[(&variable, value)]),
            format!("{variable}: {complaint}")
        );
    }
}

#[test]
fn bad_files_say_where_and_what() {
    let cases = [
        (
            "a.json",
            r#"{"server": {"prot": 1}}"#,
            ": unknown key server.prot; the nearest known one is server.port",
        ),
        (
            "b.json",
            r#"{"sever": {"port": 1}}"#,
            ": unknown key sever; the nearest known one is server",
        ),
        (
            "c.json",
            r#"{"sever": {}}"#,
            ": unknown key sever; the nearest known one is server",
        ),
        (
            "d.json",
            r#"{"port": 1}"#,
            ": unknown key port; the nearest known one is server.port",
        ),
        (
            "e.json",
            r#"{"server": {"port": true}}"#,
            ":server.port: expected a whole number from 0 to 65535, found true",
        ),
        (
            "f.json",
            r#"{"server": {"port": 1.5}}"#,
            ":server.port: expected a whole number from 0 to 65535, found 1.5",
        ),
        (
            "g.json",
            r#"{"server": {"port": [1]}}"#,
            ":server.port: expected a whole number from 0 to 65535, found a list",
        ),
        (
            "h.json",
            r#"{"server": {"port": {}}}"#,
            ":server.port: expected a whole number from 0 to 65535, found a table of further keys",
        ),
        (
            "i.json",
            r#"{"server": {"host": 1}}"#,
            ":server.host: expected an address or the name of a host, without port, found 1",
        ),
        (
            "j.json",
            r#"{"server": {"host": null}}"#,
            ":server.host: expected an address or the name of a host, without port, found null",
        ),
        (
            "k.json",
            r#"{"server": 1}"#,
            ":server: expected a table of settings, found 1",
        ),
        (
            "l.json",
            "[]",
            ": expected a table of settings, found a list",
        ),
        (
            "m.json",
            r#"{"auth": {"password": 1234}}"#,
            ":auth.password: expected a text of at most 4096 bytes, found something else",
        ),
        (
            "n.json",
            r#"{"server": {"port": 1, "port": 2}}"#,
            ": \"port\" is given twice at line 1 column 33",
        ),
        (
            "o.json",
            r#"{"server": {"port": 1}, "server.port": 2}"#,
            ": server.port is given twice",
        ),
        (
            "p.json",
            "{",
            ": EOF while parsing an object at line 1 column 1",
        ),
        (
            "q.toml",
            "[server]\nport = ",
            ": string values must be quoted, expected literal string at line 2 column 8",
        ),
        (
            "r.toml",
            "[server]\nport = 1\nport = 2",
            ": duplicate key at line 3 column 1",
        ),
        (
            "s.toml",
            "server.prot = 1",
            ": unknown key server.prot; the nearest known one is server.port",
        ),
    ];
    for (name, text, complaint) in cases {
        let path = file(name, text);
        assert_eq!(
            refusal(&[(CONFIG, &path)], &[]),
            format!("{path}{complaint}")
        );
    }
}

#[test]
fn files_that_cannot_be_read() {
    let path = file("nowhere.json", "");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        refusal(&[(CONFIG, &path)], &[]),
        format!("cannot read {path}: No such file or directory (os error 2)")
    );
    assert_eq!(
        refusal(&[(CONFIG, "/")], &[]),
        "cannot read /: Is a directory (os error 21)"
    );
    assert_eq!(
        refusal(&[(CONFIG, "/dev/zero")], &[]),
        "cannot read /dev/zero: it is longer than 1048576 bytes"
    );
    let path = file("binary.json", b"\xff\xfe{}");
    assert_eq!(
        refusal(&[(CONFIG, &path)], &[]),
        format!("cannot read {path}: stream did not contain valid UTF-8")
    );
    let path = file("deep.json", "[".repeat(100_000));
    assert!(refusal(&[(CONFIG, &path)], &[]).starts_with(&format!("{path}: ")));
    let path = file("deep.toml", format!("a = {}", "[".repeat(100_000)));
    assert!(refusal(&[(CONFIG, &path)], &[]).starts_with(&format!("{path}: ")));
}

#[test]
fn a_byte_order_mark_does_not_matter() {
    let path = file("mark.json", "\u{feff}{\"server\": {\"port\": 7}}");
    assert_eq!(settings(&[(CONFIG, &path)], &[]).port, 7);
}

#[test]
fn variables_that_mean_nothing_are_refused_and_those_of_kubernetes_are_not_ours() {
    assert_eq!(
        refusal(&[], &[("ANT_CACHE_PROT", "1")]),
        "environment: unknown variable ANT_CACHE_PROT; the nearest known one is ANT_CACHE_PORT"
    );
    let links = [
        ("ANT_CACHE_PORT", "tcp://10.0.0.1:8890"),
        ("ANT_CACHE_PORT_8890_TCP", "tcp://10.0.0.1:8890"),
        ("ANT_CACHE_PORT_8890_TCP_ADDR", "10.0.0.1"),
        ("ANT_CACHE_SERVICE_HOST", "10.0.0.1"),
        ("ANT_CACHE_SERVICE_PORT", "8890"),
        ("ANT_CACHE_MASTER_PORT", "tcp://10.0.0.1:8890"),
        ("ANT_CACHE_MASTER_SERVICE_PORT_CACHE", "8890"),
        ("PORT", "x"),
    ];
    assert_eq!(settings(&[], &links), settings(&[], &[]));
}

#[test]
fn workers_mean_pooled_unless_said_otherwise_by_who_has_more_say() {
    let single = file("single.json", r#"{"server": {"architecture": "single"}}"#);
    let (layers, chosen) = load(&[(CONFIG, &single), ("workers", "100")], &[]).unwrap();
    assert_eq!(
        (chosen.architecture, chosen.workers.get()),
        (Architecture::Pooled, 100)
    );
    assert!(
        layers
            .to_string()
            .contains("# default, since workers are set"),
        "{layers}"
    );
    assert_eq!(
        settings(&[("workers", "100")], &[]).architecture,
        Architecture::Pooled
    );

    let workers = file("workers.json", r#"{"server": {"workers": 100}}"#);
    let chosen = settings(&[(CONFIG, &workers), ("server", "single")], &[]);
    assert_eq!(
        (chosen.architecture, chosen.warnings.len()),
        (Architecture::Single, 0)
    );

    let contradiction = settings(&[("workers", "100"), ("server", "single")], &[]);
    assert_eq!(contradiction.architecture, Architecture::Single);
    assert_eq!(
        contradiction.warnings,
        ["workers have no effect with the single architecture"]
    );
}

#[test]
fn threads_of_their_own_do_not_poll() {
    let given = [
        ("busy-poll", "100"),
        ("server", "single"),
        ("runtime", "smol"),
    ];
    let chosen = settings(&given, &[]);
    assert_eq!((chosen.busy_poll, chosen.warnings.len()), (100, 0));
    let in_vain = settings(&given[..2], &[]);
    assert_eq!(
        in_vain.warnings,
        ["busy_poll has no effect with threads of the single architecture"]
    );
    let unsaid = settings(&given[1..2], &[]);
    assert_eq!(unsaid.warnings, [""; 0]);
}

#[test]
fn executors_are_those_of_smol() {
    let given = [("executor-threads", "3"), ("runtime", "smol")];
    let chosen = settings(&given, &[]);
    assert_eq!(chosen.executor_threads, NonZeroUsize::new(3));
    assert_eq!(
        (chosen.lanes, chosen.warnings),
        (None, Vec::<String>::new())
    );
    let in_vain = settings(&given[..1], &[]);
    assert_eq!(
        in_vain.warnings,
        ["executor_threads has no effect with the std runtime"]
    );
    assert_eq!(settings(&[], &[]).executor_threads, None);
}

#[test]
fn the_public_is_let_in_by_a_password_or_on_request() {
    let secret = file("public.json", r#"{"auth": {"password": "swordfish"}}"#);
    let (layers, chosen) = load(&[(CONFIG, &secret)], &[]).unwrap();
    assert_eq!(chosen.host, "0.0.0.0");
    assert!(
        layers
            .to_string()
            .contains("# default, since a password is set"),
        "{layers}"
    );
    assert_eq!(
        settings(&[(CONFIG, &secret), ("host", "::1")], &[]).host,
        "::1"
    );

    let open = settings(&[("host", "0.0.0.0")], &[]).warnings;
    assert_eq!(
        open,
        ["listening on 0.0.0.0 without a password: whoever reaches it can read and change all"]
    );
    for local in ["127.0.0.1", "127.0.0.2", "::1", "localhost"] {
        assert_eq!(
            settings(&[("host", local)], &[]).warnings,
            Vec::<String>::new()
        );
    }
}

#[test]
fn passwords_come_from_files_too() {
    let reveal = |settings: Settings| settings.password.unwrap().reveal().to_vec();
    for (text, password) in [
        ("p w", "p w"),
        ("pw\n", "pw"),
        ("pw\r\n", "pw"),
        ("pw\n\n", "pw\n"),
    ] {
        let path = file("password", text);
        assert_eq!(
            reveal(settings(&[("password-file", &path)], &[])),
            password.as_bytes(),
            "{text:?}"
        );
    }
    let longest = "x".repeat(4096);
    let path = file("password", format!("{longest}\r\n"));
    assert_eq!(
        reveal(settings(&[("password-file", &path)], &[])),
        longest.as_bytes()
    );
    for text in [String::new(), "\n".to_owned(), format!("{longest}x\n")] {
        let path = file("password", text);
        let complaint = format!("cannot read {path}: it must hold a password of 1 to 4096 bytes");
        assert_eq!(refusal(&[("password-file", &path)], &[]), complaint);
    }
    let path = file("password", "from file");
    let both = [("password-file", path.as_str()), ("password", "direct")];
    assert_eq!(
        refusal(&both, &[]),
        "--password and --password-file exclude each other"
    );
    assert_eq!(
        reveal(settings(&both[..1], &[("ANT_CACHE_PASSWORD", "direct")])),
        b"from file"
    );
    assert_eq!(
        reveal(settings(&both[1..], &[("ANT_CACHE_PASSWORD_FILE", &path)])),
        b"direct"
    );
    assert_eq!(
        settings(&both[1..], &[]).warnings,
        ["--password is visible in the list of processes; prefer --password-file"]
    );
    assert_eq!(
        settings(&[("password", "")], &[("ANT_CACHE_PASSWORD_FILE", &path)]),
        settings(&[], &[])
    );
    // Empty means none, so that a stronger source can take back what a weaker one set.
    assert_eq!(
        settings(&[("password", "")], &[("ANT_CACHE_PASSWORD", "direct")]).password,
        None
    );
}

#[test]
fn the_seeds_keys_of_persistence_lead_to_a_directory() {
    let text = r#"{"persistence": {"atd_file": "data/x.atd", "atd_interval": "1h", "acl_file": "data/x.acl", "acl_interval": 1}}"#;
    let path = file("persistence.json", text);
    let found = settings(&[(CONFIG, &path)], &[]);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let options = found.persistence.unwrap();
    assert_eq!(options.dir, Path::new("data"));
    assert_eq!(
        (&*options.names.snapshot, &*options.names.log),
        ("x.atd", "x.acl")
    );
    assert_eq!(options.snapshot_interval, Duration::from_secs(3600));
    assert_eq!(options.sync_interval, Duration::from_secs(1));
    assert_eq!((options.fsync, options.recover), (Fsync::Interval, false));

    let dir =
        |flags: &[(&'static str, &str)]| settings(flags, &[]).persistence.map(|found| found.dir);
    assert_eq!(dir(&[("atd", "x")]).unwrap(), Path::new("."));
    assert_eq!(dir(&[("acl", "/a/x")]).unwrap(), Path::new("/a"));
    assert_eq!(
        dir(&[("dir", "/b"), ("acl", "x")]).unwrap(),
        Path::new("/b")
    );
    assert_eq!(dir(&[("atd", "")]), None);
    assert_eq!(dir(&[]), None);
    for (flags, wrong) in [
        (
            [("dir", "/b"), ("atd", "c/x")],
            "--atd: expected the name of a file in the data directory",
        ),
        (
            [("atd", "a/x"), ("acl", "b/x")],
            "--acl: expected a file in the folder of the other one",
        ),
        (
            [("dir", "/b"), ("fsync", "sometimes")],
            "--fsync: expected always or interval or never",
        ),
        (
            [("dir", "/b"), ("atd-interval", "1m")],
            "--atd-interval: expected a duration from 5m to 30d",
        ),
    ] {
        let message = refusal(&flags, &[]);
        assert!(message.starts_with(wrong), "{message}");
    }
}

#[test]
fn what_says_how_to_keep_things_without_a_directory_is_warned_of() {
    let text = r#"{"persistence": {"acl_interval": "5s", "recover": true}}"#;
    let path = file("persistence-nowhere.json", text);
    let found = settings(&[(CONFIG, &path)], &[]);
    assert_eq!(found.persistence, None);
    assert_eq!(
        found.warnings,
        [
            "nothing is kept on disk, since no directory is given (dir), in spite of \
          persistence.acl_interval, persistence.recover"
        ]
    );
}

#[test]
fn the_bound_on_memory_is_a_size_or_a_share() {
    let bound = |value| settings(&[("max-memory", value)], &[]).max_memory;
    assert_eq!(bound("512mb"), Some(512 << 20));
    assert_eq!(bound("0"), None);
    let all = Available::find().bytes;
    assert_eq!(bound("100%"), Some(all / 100 * 100));
    let default = settings(&[], &[]);
    assert_eq!(default.max_memory, Some(all / 100 * 75));
    assert_eq!(default.eviction, Eviction::Adaptive);

    // The comment says what the share comes to.
    let printed = load(&[("max-memory", "50%")], &[]).unwrap().0.to_string();
    let line = printed
        .lines()
        .find(|line| line.starts_with("max_memory"))
        .unwrap();
    let half = size::human(all / 100 * 50);
    assert!(line.starts_with("max_memory = \"50%\""), "{line}");
    assert!(
        line.contains(&format!("# flag --max-memory; {half} of ")),
        "{line}"
    );

    // What a server needs at rest grows with its threads.
    let path = file("least.toml", "limits.max_memory = \"20mb\"");
    assert_eq!(
        refusal(&[(CONFIG, &path), ("workers", "1200")], &[]),
        format!(
            "{path}:limits.max_memory: expected at least 23mb, which the server needs at rest, or 0 for no bound, \
             found 20mb"
        )
    );
    assert_eq!(
        settings(&[(CONFIG, &path), ("server", "single")], &[]).least_memory,
        8 << 20
    );
    let much = settings(&[("max-memory", "1000000gb")], &[]);
    assert_eq!(much.warnings.len(), 1, "{:?}", much.warnings);
}

#[test]
fn what_is_printed_is_a_file_of_the_same_settings() {
    let flags = [
        ("host", "::1"),
        ("unix-socket", "/tmp/with \"quotes\" \\ and\u{7f}\n.sock"),
        ("server", "single"),
        ("max-memory", "50%"),
        ("eviction", "volatile-ttl"),
        ("max-connections", "77"),
        ("idle-timeout", "90s"),
        ("log-level", "trace"),
        ("dir", "/tmp/data"),
        ("acl-interval", "2s"),
        ("fsync", "always"),
        ("recover", "yes"),
    ];
    let (layers, chosen) = load(&flags, &[]).unwrap();
    let printed = layers.to_string();
    let path = file("printed.toml", &printed);
    let again = settings(&[(CONFIG, &path)], &[]);
    // What follows from the defaults' being written out: nothing else.
    assert_eq!(quiet(again), quiet(chosen));
}

#[test]
fn secrets_are_not_printed() {
    let (layers, settings) = load(&[("password", "swordfish")], &[]).unwrap();
    let printed = format!("{layers}{layers:?}{settings:?}");
    assert!(!printed.contains("swordfish"), "{printed}");
    assert!(printed.contains("password = \"********\""), "{printed}");
    let flag = refusal(&[("password", &"swordfish".repeat(500))], &[]);
    assert!(!flag.contains("swordfish"), "{flag}");
}

/// Every rule about a setting follows from the table, so the table must be sound, and be what people read.
#[test]
fn the_table_agrees_with_itself_and_with_the_documentation() {
    let mut rows = String::new();
    for (i, setting) in SETTINGS.iter().enumerate() {
        let others = &SETTINGS[..i];
        assert!(
            others
                .iter()
                .all(|o| o.name != setting.name && o.key != setting.key),
            "{}",
            setting.name
        );
        let last = others
            .last()
            .map_or(setting.section(), |other| other.section());
        let section_is_new = others
            .iter()
            .all(|other| other.section() != setting.section());
        assert!(
            last == setting.section() || section_is_new,
            "{} stands apart from its section",
            setting.key
        );
        assert!(
            setting
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-')
        );
        assert!(
            setting
                .key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
        );
        assert_eq!(setting.key.matches('.').count(), 1);
        assert!(setting.doc.ends_with('.'));

        // Its default can be given by each source, and by each is what holds without it.
        let default = setting.default_text();
        let value = default.as_deref().unwrap_or("");
        let json = serde_json::json!({ setting.section(): { setting.key.rsplit_once('.').unwrap().1: value } });
        let path = file(&format!("default-{}.json", setting.name), json.to_string());
        let defaults = quiet(settings(&[], &[]));
        for (flags, environment) in [
            (vec![(CONFIG, path.as_str())], vec![]),
            (vec![], vec![(config::variable(setting.name), value)]),
            (vec![(setting.name, value)], vec![]),
        ] {
            let environment: Vec<(&str, &str)> =
                environment.iter().map(|(n, v)| (n.as_str(), *v)).collect();
            let given = settings(&flags, &environment);
            assert_eq!(quiet(given), defaults, "{}", setting.name);
        }

        let default = default.map_or("none".to_owned(), |text| format!("`{text}`"));
        let (name, variable) = (setting.name, config::variable(setting.name));
        rows += &format!(
            "| `--{name}` | `{variable}` | `{}` | {default} | {} |\n",
            setting.key, setting.doc
        );
    }
    let manual = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/CONFIGURATION.md"
    ))
    .unwrap();
    assert!(
        manual.contains(&rows),
        "docs/CONFIGURATION.md must hold exactly these rows:\n{rows}"
    );
}

proptest! {
    #[test]
    fn no_file_upsets_the_reader(text in "[{}\\[\\]\":,=.a-z0-9\n# server port]{0,200}", toml in any::<bool>()) {
        let path = file(if toml { "any.toml" } else { "any.json" }, text);
        if let Err(error) = load(&[(CONFIG, &path)], &[]) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }
}
