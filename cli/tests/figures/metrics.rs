//! The metrics listener: each figure is moved by what it counts.

use std::collections::HashSet;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::child::{Server, refusal, scratch};
use crate::{ask, ask_over, figure, get, server};

/// Waits for what the server does by itself. Who never sees it fails.
fn eventually(what: &str, mut seen: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !seen() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What an action adds to a figure.
fn grows(address: SocketAddr, name: &str, action: impl FnOnce()) {
    let before = figure(address, name);
    action();
    eventually(name, || figure(address, name) > before);
}

#[test]
fn figures_of_requests_move() {
    let (server, address) = server(&["--workers", "4"]);
    let mut client = BufReader::new(server.connect());
    let mut say = |line: &str| drop(ask_over(&mut client, line));
    grows(address, "antcache_hits_total", || {
        say("SET key value");
        say("GET key");
    });
    grows(address, "antcache_misses_total", || say("GET nothing"));
    grows(address, "antcache_errors_total", || say("NOSUCH"));
    for (name, line) in [
        ("antcache_commands_processed_total", "PING"),
        ("antcache_received_bytes_total", "PING"),
        ("antcache_sent_bytes_total", "PING"),
        ("antcache_unsaved_changes", "SET other value"),
        ("antcache_keys", "SET another value"),
        ("antcache_expiring_keys", "SETEX brief 100 value"),
        (
            "antcache_command_calls_total{command=\"strlen\"}",
            "STRLEN key",
        ),
        (
            "antcache_command_calls_total{command=\"unknown\"}",
            "NOSUCH",
        ),
        (
            "antcache_command_rejections_total{command=\"setex\"}",
            "SETEX key",
        ),
        (
            "antcache_command_failures_total{command=\"incr\"}",
            "INCR key",
        ),
        ("antcache_error_replies_total{code=\"ERR\"}", "INCR key"),
        ("antcache_expired_total", "PSETEX brief 1 value"),
    ] {
        grows(address, name, || say(line));
    }
    let timed = "antcache_command_duration_seconds_count{command=\"ping\",architecture=\"pooled\"}";
    grows(address, timed, || say("PING"));
    grows(address, "antcache_slowlog_entries", || {
        say("CONFIG SET slowlog-log-slower-than 0");
        say("PING");
    });
    grows(address, "antcache_memory_dataset_bytes", || {
        say(&format!("SET large {}", "x".repeat(1 << 20)));
    });
    for name in [
        "antcache_workers",
        "antcache_uptime_seconds",
        "antcache_memory_resident_bytes",
        "antcache_memory_used_bytes",
        "antcache_memory_startup_bytes",
        "antcache_connections_max",
    ] {
        eventually(name, || figure(address, name) > 0.0);
    }
}

#[test]
fn figures_of_connections_move() {
    let (server, address) = server(&["--max-connections", "3"]);
    let close = |bytes: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    };
    grows(address, "antcache_closed_quit_total", || close(b"QUIT\n"));
    grows(address, "antcache_closed_eof_total", || close(b""));
    grows(address, "antcache_closed_protocol_total", || {
        close(b"*1\r\n$x\r\n")
    });
    grows(address, "antcache_protocol_errors_total", || {
        close(b"*1\r\n$x\r\n")
    });
    grows(address, "antcache_connections_accepted_total", || {
        close(b"")
    });
    let open: Vec<_> = (0..3).map(|_| server.connect()).collect();
    eventually("three are open", || {
        figure(address, "antcache_connections") == 3.0
    });
    grows(address, "antcache_connections_refused_total", || {
        close(b"PING\n")
    });
    drop(open);
    eventually("all are closed", || {
        figure(address, "antcache_connections") == 0.0
    });
}

#[test]
fn ends_that_the_server_decides_are_counted() {
    let (server, address) = server(&["--workers", "2"]);
    let mut client = BufReader::new(server.connect());
    let mut say = |line: &str| drop(ask_over(&mut client, line));
    say(&format!("SET large {}", "x".repeat(1 << 20)));
    let get = b"GET large\n".repeat(64);
    grows(address, "antcache_closed_broken_total", || {
        let mut stream = server.connect();
        stream.write_all(&get).unwrap();
        // Closing a socket with unread bytes resets it.
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
    });
    let (mut deaf, mut silent) = (None, None);
    say("CONFIG SET send-timeout 1");
    grows(address, "antcache_closed_stalled_total", || {
        deaf.insert(server.connect()).write_all(&get).unwrap();
    });
    say("CONFIG SET timeout 1");
    grows(address, "antcache_closed_idle_total", || {
        silent = Some(server.connect());
    });
    drop((deaf, silent));
}

#[test]
fn who_gets_no_thread_is_counted() {
    let (server, address) = server(&["--server", "single", "--stack-size", "1gb"]);
    let name = "antcache_closed_threadless_total";
    // Who is served stays: else the next one gets the stack that they leave.
    let mut served = Vec::new();
    eventually(name, || {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", server.pid())).unwrap();
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        // Enough for all but another stack.
        let most = Some(pages * 4096 + (512 << 20));
        let limit = Rlimit {
            current: most,
            maximum: None,
        };
        prlimit(Pid::from_raw(server.pid() as i32), Resource::As, limit).unwrap();
        let mut stream = server.connect();
        // Who is refused may find the connection closed already.
        let _ = stream.write_all(b"PING\n");
        if stream.read(&mut [0; 16]).is_ok_and(|got| got > 0) {
            served.push(stream);
        }
        figure(address, name) > 0.0
    });
}

#[test]
fn who_monitors_is_counted() {
    let (server, address) = server(&["--max-memory", "64mb"]);
    let mut monitor = server.connect();
    grows(address, "antcache_monitors", || {
        monitor.write_all(b"MONITOR\n").unwrap();
    });
    grows(address, "antcache_closed_lagging_total", || {
        let mut client = BufReader::new(server.connect());
        let line = format!("ECHO {}", "x".repeat(15_000));
        (0..1_500).for_each(|_| drop(ask_over(&mut client, &line)));
        monitor.read_to_end(&mut Vec::new()).unwrap();
    });
    eventually("nobody monitors", || {
        figure(address, "antcache_monitors") == 0.0
    });
}

#[test]
fn figures_of_the_disk_move() {
    let data = scratch("figures-disk");
    // It is there from an earlier run, or not.
    let _ = std::fs::remove_dir_all(&data);
    let (server, address) = server(&["--dir", data.to_str().unwrap()]);
    let mut client = BufReader::new(server.connect());
    let mut say = |line: &str| drop(ask_over(&mut client, line));
    for name in [
        "antcache_log_records_total",
        "antcache_log_written_bytes_total",
        "antcache_log_syncs_total",
        "antcache_log_bytes",
        "antcache_unsaved_changes",
    ] {
        grows(address, name, || say("SET key value"));
    }
    grows(address, "antcache_snapshots_total", || say("SAVE"));
    let large = "x".repeat(1 << 20);
    grows(address, "antcache_snapshot_bytes", || {
        (0..64).for_each(|n| say(&format!("SET large:{n} {large}")));
        say("SAVE");
    });
    let name = "antcache_snapshot_timestamp_seconds";
    let before = figure(address, name);
    eventually(name, || {
        say("SAVE");
        figure(address, name) > before
    });
    let name = "antcache_snapshot_running";
    eventually(name, || {
        say("BGSAVE");
        figure(address, name) == 1.0
    });
    let name = "antcache_log_backlog_bytes";
    eventually(name, || {
        say(&format!("SET large {large}"));
        figure(address, name) > 0.0
    });
}

#[test]
fn keys_that_make_room_are_counted() {
    let (server, address) = server(&["--workers", "1", "--max-memory", "16mb"]);
    let mut client = BufReader::new(server.connect());
    let value = "x".repeat(64 << 10);
    grows(address, "antcache_evicted_total", || {
        for n in 0..400 {
            ask_over(&mut client, &format!("SET key:{n} {value}"));
        }
    });
}

#[test]
fn the_format_is_that_of_prometheus() {
    let (server, address) = server(&[]);
    ask(&server, "SET key value");
    let reply = get(address, "/metrics");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"));
    let (mut typed, mut seen) = (HashSet::new(), HashSet::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned()), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(name), "{line}");
            let base = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| base.strip_suffix(end).filter(|base| typed.contains(*base)))
                .unwrap_or(base);
            assert!(typed.contains(base), "{line} comes before its type");
        }
    }
    assert!(seen.len() > 60, "{}", seen.len());
}

#[test]
fn the_password_is_asked_for_where_the_settings_say_so() {
    let (_server, address) = {
        let server = Server::start(&[
            "--port",
            "0",
            "--metrics-addr",
            "127.0.0.1:0",
            "--metrics-access",
            "password",
            "--password",
            "hush",
            "--host",
            "127.0.0.1",
        ]);
        let mut client = BufReader::new(server.connect());
        ask_over(&mut client, "AUTH hush");
        let lines = ask_over(&mut client, "INFO server");
        let address = lines
            .iter()
            .find_map(|line| line.strip_prefix("metrics_address:"));
        let address: SocketAddr = address.unwrap().parse().unwrap();
        (server, address)
    };
    assert!(get(address, "/metrics").starts_with("HTTP/1.1 401 "));
    assert!(get(address, "/").starts_with("HTTP/1.1 401 "));
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn without_the_flag_nothing_listens() {
    let server = Server::start(&["--port", "0"]);
    let lines = ask(&server, "INFO server");
    assert!(!lines.iter().any(|line| line.starts_with("metrics_address")));
}

#[test]
fn wrong_addresses_are_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let expected = "--metrics-addr: expected an address or the name of a host, and a port, such as 127.0.0.1:9190";
    for wrong in [
        "9190",
        "host",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "::1:9190",
        ":9190",
        "a b:1",
    ] {
        let message = refusal(&["--port", "0", "--metrics-addr", wrong]);
        assert!(message.starts_with(expected), "{wrong}: {message}");
    }
    let message = refusal(&["--port", "0", "--metrics-addr", &taken]);
    assert!(
        message.contains(&format!("cannot listen on {taken} for metrics")),
        "{message}"
    );
    let message = refusal(&["--port", "0", "--metrics-access", "all"]);
    assert!(message.contains("expected open or password"), "{message}");
}
