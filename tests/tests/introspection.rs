//! What a server tells of its own calls: SLOWLOG, LATENCY, HOTKEYS, BIGKEYS, MEMORY, and INFO's lines by command.

use std::cell::Cell;

use ant_cache_core::Cause;
use ant_cache_core::facts::Section;
use ant_cache_core::limits::AUTH_DEADLINE;
use ant_cache_core::service::Options;
use ant_cache_core::stats::{METRICS, Metric};
use ant_cache_tests::Peer;

thread_local! {
    /// How far the stopwatch goes at each look, in nanoseconds, and what it shows.
    static STEP: Cell<u64> = const { Cell::new(0) };
    static SHOWN: Cell<u64> = const { Cell::new(0) };
}

/// A stopwatch by which every call that is timed takes [`STEP`].
fn stopwatch() -> u64 {
    SHOWN.set(SHOWN.get() + STEP.get());
    SHOWN.get()
}

fn peer() -> Peer {
    STEP.set(2_000);
    Peer::new(Options {
        stopwatch: Some(stopwatch),
        ..Options::default()
    })
}

/// The lines of a reply.
fn ask(peer: &mut Peer, line: &str) -> Vec<String> {
    peer.text(line).lines().map(str::to_owned).collect()
}

#[test]
fn slow_calls_are_kept_without_their_passwords() {
    let mut peer = peer();
    ask(&mut peer, "GET fast");
    assert_eq!(ask(&mut peer, "SLOWLOG LEN"), ["0"]);
    STEP.set(20_000_000);
    ask(&mut peer, "CLIENT SETNAME ada");
    ask(&mut peer, "SET key value");
    ask(&mut peer, "CONFIG SET requirepass hush");
    STEP.set(2_000);
    assert_eq!(ask(&mut peer, "SLOWLOG LEN"), ["3"]);
    let all = ask(&mut peer, "SLOWLOG GET -1").join("\n");
    assert!(!all.contains("hush") && all.contains("(redacted)"), "{all}");
    let last = ask(&mut peer, "SLOWLOG GET 2").join("\n");
    assert!(
        last.contains(r#"20000,["SET","key","value"],"id=1","ada"]"#),
        "{last}"
    );
    assert!(!last.contains("SETNAME"), "{last}");
    ask(&mut peer, "CONFIG SET slowlog-max-len 1");
    STEP.set(20_000_000);
    ask(&mut peer, "GET key");
    assert_eq!(ask(&mut peer, "SLOWLOG LEN"), ["1"]);
    ask(&mut peer, "SLOWLOG RESET");
    // The reset itself was slow.
    assert_eq!(ask(&mut peer, "SLOWLOG LEN"), ["1"]);
    ask(&mut peer, "CONFIG SET slowlog-log-slower-than -1");
    ask(&mut peer, "SLOWLOG RESET");
    assert_eq!(ask(&mut peer, "SLOWLOG LEN"), ["0"]);
    assert_eq!(
        ask(&mut peer, "CONFIG GET slowlog-log-slower-than"),
        [r#"{"slowlog-log-slower-than":"-1"}"#]
    );
}

#[test]
fn bad_questions_get_errors() {
    let mut peer = peer();
    for line in [
        "SLOWLOG GET -2",
        "SLOWLOG GET x",
        "SLOWLOG GET 1 2",
        "SLOWLOG",
        "SLOWLOG NOTHING",
        "MONITOR all",
        "RESET all",
        "LATENCY LATEST x",
        "LATENCY HISTORY",
        "CONFIG SET latency-monitor-threshold -1",
        "CONFIG SET latency-monitor-threshold soon",
        "LATENCY",
        "LATENCY DOCTOR x",
        "MEMORY USAGE",
        "MEMORY USAGE key SAMPLES",
        "MEMORY USAGE key SAMPLES -1",
        "MEMORY USAGE key COUNT 1",
        "HOTKEYS 3",
        "HOTKEYS COUNT 0",
        "HOTKEYS COUNT 129",
        "BIGKEYS COUNT",
        "BIGKEYS COUNT -1",
        "BIGKEYS SAMPLES 0",
        "BIGKEYS SOME 1",
        "CONFIG SET slowlog-log-slower-than -2",
        "CONFIG SET slowlog-log-slower-than soon",
        "CONFIG SET slowlog-max-len 10001",
    ] {
        let reply = ask(&mut peer, line);
        assert!(reply[0].starts_with("ERROR "), "{line}: {reply:?}");
    }
}

#[test]
fn durations_are_told_by_command() {
    let mut peer = peer();
    for _ in 0..10 {
        ask(&mut peer, "GET key");
    }
    STEP.set(3_000_000);
    ask(&mut peer, "KEYS *");
    STEP.set(2_000);
    assert_eq!(
        ask(&mut peer, "LATENCY HISTOGRAM get keys nothing"),
        [
            r#"{"get":{"calls":10,"timed":10,"histogram_usec":{"2":10}},"keys":{"calls":1,"timed":1,"histogram_usec":{"4096":1}}}"#
        ]
    );
    let doctor = ask(&mut peer, "LATENCY DOCTOR").join("\n");
    assert!(
        doctor.contains("KEYS takes 3.") && doctor.contains("SCAN"),
        "{doctor}"
    );
    let stats = ask(&mut peer, "INFO commandstats").join("\n");
    assert!(
        stats.contains(
            "cmdstat_get:calls=10,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=0"
        ),
        "{stats}"
    );
    let percentiles = ask(&mut peer, "INFO latencystats").join("\n");
    assert!(
        percentiles.contains("latency_percentiles_usec_get:p50=2.000,p99=2.000"),
        "{percentiles}"
    );
    assert!(!ask(&mut peer, "INFO").join("\n").contains("cmdstat_"));
    assert!(
        ask(&mut peer, "INFO all")
            .join("\n")
            .contains("cmdstat_get")
    );
    ask(&mut peer, "CONFIG RESETSTAT");
    let left = ask(&mut peer, "LATENCY HISTOGRAM get");
    assert_eq!(left, ["{}"]);
}

#[test]
fn calls_that_take_long_are_events() {
    let mut peer = peer();
    STEP.set(30_000_000);
    ask(&mut peer, "GET key");
    assert_eq!(ask(&mut peer, "LATENCY LATEST"), ["[]"]);
    ask(&mut peer, "CONFIG SET latency-monitor-threshold 20");
    ask(&mut peer, "LATENCY RESET");
    ask(&mut peer, "GET key");
    STEP.set(90_000_000);
    ask(&mut peer, "KEYS *");
    peer.pass(2_000);
    STEP.set(40_000_000);
    ask(&mut peer, "KEYS *");
    STEP.set(2_000);
    let now = Peer::START.0 / 1000;
    let later = now + 2;
    assert_eq!(
        ask(&mut peer, "LATENCY LATEST"),
        [format!(
            "[[command {later} 40 90] [fast-command {now} 30 30]]"
        )]
    );
    assert_eq!(
        ask(&mut peer, "LATENCY HISTORY command"),
        [format!("[[{now} 90] [{later} 40]]")]
    );
    assert_eq!(ask(&mut peer, "LATENCY HISTORY nothing"), ["[]"]);
    let doctor = ask(&mut peer, "LATENCY DOCTOR").join("\n");
    for told in [
        "event command took long in 2 seconds, 90 ms",
        "latency-monitor-threshold is set",
    ] {
        assert!(doctor.contains(told), "{doctor}");
    }
    assert_eq!(ask(&mut peer, "LATENCY RESET fork command"), ["1"]);
    assert_eq!(ask(&mut peer, "LATENCY RESET"), ["1"]);
    assert_eq!(ask(&mut peer, "LATENCY RESET"), ["0"]);
}

#[test]
fn most_short_calls_are_not_timed_unless_all_are() {
    let mut peer = peer();
    let timed = |peer: &mut Peer| {
        let text = ask(peer, "LATENCY HISTOGRAM get").join("");
        let (_, rest) = text.split_once("\"timed\":").unwrap();
        rest.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let calls = 64 * 128;
    (0..calls).for_each(|_| drop(ask(&mut peer, "GET key")));
    let some = timed(&mut peer);
    assert!((100..=150).contains(&some), "{some}");
    ask(&mut peer, "CONFIG SET slowlog-log-slower-than 999");
    (0..100).for_each(|_| drop(ask(&mut peer, "GET key")));
    assert_eq!(timed(&mut peer), some + 100);
}

/// As Redis counts: what is refused before it runs is no call.
#[test]
fn errors_are_counted_by_command_and_by_their_first_word() {
    let mut peer = peer();
    ask(&mut peer, "SETS list a b");
    peer.resp(&["GET", "list"]);
    ask(&mut peer, "GET list");
    ask(&mut peer, "GET");
    ask(&mut peer, "NOSUCH");
    peer.resp(&["HELLO", "9"]);
    peer.resp(&["AUTH", "nobody", "hush"]);
    let line = |peer: &mut Peer, section: &str, name: &str| {
        let lines = ask(peer, &format!("INFO {section}"));
        let value = lines.iter().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().to_owned()
    };
    let get = line(&mut peer, "commandstats", "cmdstat_get:");
    assert!(
        get.starts_with("calls=2,") && get.ends_with(",rejected_calls=1,failed_calls=1"),
        "{get}"
    );
    let unknown = line(&mut peer, "commandstats", "cmdstat_unknown:");
    assert!(unknown.starts_with("calls=1,"), "{unknown}");
    let errors = ask(&mut peer, "INFO errorstats");
    assert_eq!(
        errors[1..errors.len() - 1],
        [
            "errorstat_ERR:count=2",
            "errorstat_WRONGTYPE:count=1",
            "errorstat_WRONGPASS:count=1",
            "errorstat_NOPROTO:count=1",
        ]
    );
    assert_eq!(line(&mut peer, "stats", "total_error_replies:"), "5");
    peer.service().settings.set_password(Some(b"hush".to_vec()));
    let mut stranger = peer.join();
    stranger.resp(&["GET", "list"]);
    stranger.send(b"*1\r\n$x\r\n");
    peer.service().settings.set_max_memory(1);
    peer.resp(&["SET", "key", "value"]);
    let errors = ask(&mut peer, "INFO errorstats").join(" ");
    for told in ["ERR:count=3", "NOAUTH:count=1", "OOM:count=1"] {
        assert!(errors.contains(told), "{told}: {errors}");
    }
    let set = line(&mut peer, "commandstats", "cmdstat_set:");
    assert!(
        set.starts_with("calls=0,") && set.ends_with(",rejected_calls=1,failed_calls=0"),
        "{set}"
    );
    ask(&mut peer, "CONFIG RESETSTAT");
    let errors = ask(&mut peer, "INFO errorstats");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(line(&mut peer, "stats", "total_error_replies:"), "0");
    assert_eq!(line(&mut peer, "commandstats", "cmdstat_get:"), "");
}

#[test]
fn a_bound_that_is_lowered_far_leaves_room_at_once() {
    let mut peer = peer();
    let service = peer.service();
    service.settings.set_least_memory(8 << 20);
    service.settings.set_max_memory(100 << 30);
    // A tenth, as the host reckons what the process has beyond what is used.
    service.ledger().set_overhead(10 << 30);
    assert_eq!(
        peer.resp(&["CONFIG", "SET", "maxmemory", "60mb"]),
        "+OK\r\n"
    );
    assert_eq!(peer.resp(&["SET", "key", "value"]), "+OK\r\n");
    assert_eq!(peer.service().ledger().overhead(), 18 << 20);
}

#[test]
fn strangers_who_are_too_late_are_counted() {
    let mut peer = peer();
    peer.service().settings.set_password(Some(b"hush".to_vec()));
    let mut stranger = peer.join();
    stranger.pass(AUTH_DEADLINE);
    assert_eq!(stranger.closed(), Some(Cause::Unauthenticated));
    let info = ask(&mut peer, "INFO antcache").join(" ");
    assert!(info.contains("closed_unauthenticated:1"), "{info}");
}

/// After RESET there is as much time for AUTH as after connecting, and what was said of the client is forgotten.
#[test]
fn reset_makes_a_connection_as_it_was() {
    let mut peer = peer();
    ask(&mut peer, "CLIENT SETNAME ada");
    peer.resp(&["HELLO", "3"]);
    peer.pass(AUTH_DEADLINE);
    peer.service().settings.set_password(Some(b"hush".to_vec()));
    assert_eq!(peer.resp(&["RESET"]), "+RESET\r\n");
    assert!(peer.resp(&["GET", "key"]).starts_with("-NOAUTH "));
    peer.pass(AUTH_DEADLINE - 1);
    assert_eq!(peer.resp(&["AUTH", "hush"]), "+OK\r\n");
    assert_eq!(peer.resp(&["CLIENT", "GETNAME"]), "$-1\r\n");
}

#[test]
fn hot_keys_are_found_among_others() {
    let mut peer = peer();
    for n in 0..20_000 {
        ask(&mut peer, "GET hot");
        ask(
            &mut peer,
            &format!("MGET cold:{n} cold:{} warm", n + 50_000),
        );
    }
    let hot = ask(&mut peer, "HOTKEYS COUNT 2").join("");
    assert!(
        hot.starts_with(r#"[["hot",""#) && hot.contains(r#"["warm",""#),
        "{hot}"
    );
}

#[test]
fn big_keys_are_found_with_type_and_length() {
    let mut peer = peer();
    for n in 0..3_000 {
        ask(&mut peer, &format!("SET key:{n} small"));
    }
    ask(&mut peer, &format!("SET huge {}", "x".repeat(100_000)));
    ask(
        &mut peer,
        &format!("SETS list {}", "element ".repeat(300).trim_end()),
    );
    let found = ask(&mut peer, "BIGKEYS COUNT 2").join("");
    assert!(found.starts_with(r#"[["huge","string",1"#), "{found}");
    assert!(
        found.contains(r#",100000],["list","array","#) && found.ends_with(",300]]"),
        "{found}"
    );
    let memory: usize = ask(&mut peer, "MEMORY USAGE huge")[0].parse().unwrap();
    assert!((100_000..120_000).contains(&memory));
    let few = ask(&mut peer, "BIGKEYS SAMPLES 10 COUNT 128").join("");
    assert_eq!(few.matches("],[").count(), 9, "{few}");
    let stats = ask(&mut peer, "MEMORY STATS").join("");
    assert!(stats.contains(r#""keys.count":3002"#), "{stats}");
}

/// Every number of INFO that has a meaning over time is told to monitoring systems; the others are known here.
#[test]
fn metrics_and_info_agree() {
    const NO_METRIC: [&str; 12] = [
        "redis_version",
        "antcache_version",
        "arch_bits",
        "server_time_usec",
        "uptime_in_days",
        "used_memory_human",
        "maxmemory_human",
        "blocked_clients",
        "connected_slaves",
        "cluster_enabled",
        "mem_fragmentation_ratio",
        "rdb_last_save_time",
    ];
    let mut peer = peer();
    ask(&mut peer, "SET key value");
    let lines = ask(&mut peer, "INFO");
    let fields: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .collect();
    for (name, value) in &fields {
        let number = value.parse::<f64>().is_ok();
        let metric = METRICS.iter().any(|metric| metric.field == *name);
        let persistence =
            name.starts_with("rdb_") || name.starts_with("aof_") || *name == "loading";
        assert!(
            !number || metric || persistence || NO_METRIC.contains(name),
            "{name} is no metric"
        );
    }
    // What only a host tells is tried where there is one.
    let hosts = ["used_memory_rss", "used_cpu_sys", "used_cpu_user"];
    for metric in METRICS {
        let pools = metric.section == Section::Antcache && metric.field != "keys";
        let disk = metric.section == Section::Persistence;
        let told = fields.iter().any(|(name, _)| *name == metric.field);
        assert!(
            told || pools || disk || hosts.contains(&metric.field),
            "INFO does not tell {}",
            metric.field
        );
    }
}

#[test]
fn the_page_has_every_metric() {
    const PAGE: &str = include_str!("../../docs/METRICS.md");
    let row = |metric: &Metric| {
        let Metric {
            name, field, help, ..
        } = metric;
        format!("| `{name}` | {} | `{field}` | {help} |", metric.kind.name())
    };
    let rows: Vec<_> = METRICS.iter().map(row).collect();
    let found: Vec<_> = PAGE
        .lines()
        .skip_while(|line| *line != "<!-- metrics -->")
        .skip(3)
        .take_while(|line| *line != "<!-- end -->")
        .collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    assert_eq!(
        found,
        rows,
        "docs/METRICS.md must hold exactly these rows:\n{}",
        rows.join("\n")
    );
}
