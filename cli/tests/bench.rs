//! `ant-cache-cli bench` from outside, against servers that misbehave by script.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Serves every connection by this function, for as long as the test runs.
fn server(serve: fn(&mut TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(&mut stream.unwrap()));
        }
    });
    port
}

/// Answers each request, which has so many line feeds, until the client has gone or so many are answered.
fn answer(stream: &mut TcpStream, lines: usize, reply: &[u8], requests: usize) {
    let mut buffer = [0; 4096];
    let (mut seen, mut answered) = (0, 0);
    while answered < requests {
        let got = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(got) => got,
        };
        seen += buffer[..got].iter().filter(|&&byte| byte == b'\n').count();
        let due = (seen / lines).min(requests) - answered;
        answered += due;
        if stream.write_all(&reply.repeat(due)).is_err() {
            return;
        }
    }
}

fn bench(port: u16, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
        .args([
            "bench",
            "--port",
            &port.to_string(),
            "--clients",
            "4",
            "--warmup",
            "0",
        ])
        // The servers here do not know INFO, so they are not asked who they are.
        .args(["--server-pid", &std::process::id().to_string()])
        .args(args)
        .env_remove("ANT_CACHE_PASSWORD")
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_request_is_counted() {
    let port = server(|stream| answer(stream, 1, b"OK\n", usize::MAX));
    for pipeline in ["1", "7", "1000"] {
        let args = [
            "--dialect",
            "text",
            "--test",
            "set",
            "--ops",
            "1001",
            "--pipeline",
            pipeline,
            "--json",
        ];
        for threads in ["1", "3"] {
            let output = bench(port, &[&args[..], &["--threads", threads]].concat());
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            let report = json(&output);
            assert_eq!(report["complete"], true);
            assert_eq!(report["tests"][0]["ops"], 1001);
            assert_eq!(report["tests"][0]["errors"], 0);
        }
    }
}

/// This program's own server, stopped when dropped.
struct AntCache {
    process: Child,
    port: u16,
}

impl AntCache {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
            .args(["--port", "0", "--password", "pass word"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let address = ready
            .split(' ')
            .find_map(|word| word.rsplit_once(':'))
            .unwrap();
        Self {
            port: address.1.parse().unwrap(),
            process,
        }
    }
}

impl Drop for AntCache {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn our_own_server_answers_everything_right() {
    let server = AntCache::start();
    for dialect in ["resp", "text"] {
        for (pipeline, size) in [("1", "16"), ("50", "1-300"), ("3", "100,70000")] {
            let output = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
                .args([
                    "bench",
                    "--port",
                    &server.port.to_string(),
                    "--dialect",
                    dialect,
                    "--json",
                ])
                .args([
                    "--test",
                    "ping,set,get,setnx,sets,setx,incr,mset,mget",
                    "--ops",
                    "500",
                    "--warmup",
                    "0",
                ])
                .args([
                    "--clients",
                    "10",
                    "--keys",
                    "50",
                    "--prefill",
                    "--threads",
                    "2",
                ])
                .args(["--pipeline", pipeline, "--value-size", size])
                .env("ANT_CACHE_PASSWORD", "pass word")
                .output()
                .unwrap();
            let report = json(&output);
            assert_eq!(output.status.code(), Some(0), "{report:#}");
            assert_eq!(report["server_pid"], server.process.id());
            for test in report["tests"].as_array().unwrap() {
                assert_eq!(
                    (test["ops"].as_u64(), test["misses"].as_u64()),
                    (Some(500), Some(0))
                );
            }
        }
    }
}

#[test]
fn keys_may_end_where_they_have_a_time_to_live() {
    let server = AntCache::start();
    for dialect in ["resp", "text"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
            .args([
                "bench",
                "--port",
                &server.port.to_string(),
                "--dialect",
                dialect,
                "--json",
            ])
            .args([
                "--test",
                "set,setnx,sets,setx,get",
                "--ops",
                "2000",
                "--warmup",
                "0",
                "--prefill",
            ])
            .args([
                "--keys",
                "100",
                "--ttl",
                "0.001-0.002",
                "--distribution",
                "hot:5:50",
            ])
            .env("ANT_CACHE_PASSWORD", "pass word")
            .output()
            .unwrap();
        let report = json(&output);
        assert_eq!(output.status.code(), Some(0), "{report:#}");
        assert_eq!(report["ttl"], "0.001-0.002");
    }
}

/// Answers lines, and stops for a while in the middle.
fn stall(stream: &mut TcpStream) {
    const PAUSE: Duration = Duration::from_millis(300);
    answer(stream, 1, b"PONG\n", 500);
    thread::sleep(PAUSE);
    answer(stream, 1, b"PONG\n", usize::MAX);
}

#[test]
fn an_open_loop_sees_what_a_closed_one_hides() {
    let port = server(stall);
    let ping = [
        "--dialect",
        "text",
        "--test",
        "ping",
        "--ops",
        "1000",
        "--clients",
        "1",
        "--json",
    ];
    let closed = json(&bench(port, &ping));
    let open = bench(port, &[&ping[..], &["--rate", "1000"]].concat());
    assert_eq!(open.status.code(), Some(0), "{}", stderr(&open));
    let open = json(&open);
    let of = |report: &serde_json::Value, what: &str| {
        report["tests"][0]["latency_us"][what].as_f64().unwrap()
    };
    // Both saw the longest wait. Of a thousand requests that came each millisecond, 300 came during the pause, 200 of
    // them in its first two thirds; a connection that waits asks nothing meanwhile.
    assert!(of(&closed, "max") >= 300_000.0 && of(&open, "max") >= 299_000.0);
    assert!(of(&open, "p90") >= 99_000.0, "{open:#}");
    assert!(of(&closed, "p99") < of(&open, "p90"), "{closed:#}");
    assert_eq!(
        (&open["rate"], &open["tests"][0]["unsent"]),
        (&1000.0.into(), &0.into())
    );
}

#[test]
fn a_server_that_cannot_keep_up_is_told() {
    let port = server(|stream| {
        let mut line = [0; 5];
        while stream.read_exact(&mut line).is_ok() {
            thread::sleep(Duration::from_millis(5));
            stream.write_all(b"PONG\n").unwrap();
        }
    });
    let args = [
        "--dialect",
        "text",
        "--test",
        "ping",
        "--duration",
        "0.2",
        "--rate",
        "10000",
    ];
    let output = bench(port, &[&args[..], &["--json"]].concat());
    let test = &json(&output)["tests"][0];
    // Four connections with 200 requests a second at most each.
    let (ops, unsent) = (
        test["ops"].as_u64().unwrap(),
        test["unsent"].as_u64().unwrap(),
    );
    assert!(ops + unsent == 2000 && unsent > 1800, "{test:#}");
    let table = String::from_utf8(bench(port, &args).stdout).unwrap();
    assert!(table.contains("\nOVERLOADED ping: 1,8"), "{table}");
}

/// A command of `bench` against the test's own server of lines.
fn pings(port: u16, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"));
    command
        .args([
            "bench",
            "--port",
            &port.to_string(),
            "--dialect",
            "text",
            "--test",
            "ping",
        ])
        .args(["--warmup", "0", "--clients", "2"])
        .args(["--server-pid", &std::process::id().to_string()])
        .args(args)
        .env_remove("ANT_CACHE_PASSWORD")
        .stdin(Stdio::null());
    command
}

#[test]
fn a_terminal_sees_how_it_goes_and_nobody_else_does() {
    let port = server(|stream| answer(stream, 1, b"PONG\n", usize::MAX));
    for quiet in [false, true] {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap();
        let end = open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut command = pings(port, &["--duration", "0.6"]);
        if quiet {
            command.arg("--quiet");
        }
        let mut child = command.stderr(end).stdout(Stdio::piped()).spawn().unwrap();
        // The parent's copy of the terminal's end is closed with the command.
        drop(command);
        let mut seen = Vec::new();
        // A terminal that the last one has left ends with an error.
        let _ = File::from(controller).read_to_end(&mut seen);
        assert!(child.wait().unwrap().success());
        let seen = String::from_utf8(seen).unwrap();
        if quiet {
            assert_eq!(seen, "");
        } else {
            assert!(
                seen.contains("ping: ") && seen.contains(" ops/s  mean "),
                "{seen}"
            );
            assert!(seen.ends_with("\r\x1b[K"), "{seen:?}");
        }
    }
    let piped = pings(port, &["--duration", "0.6"]).output().unwrap();
    assert_eq!(stderr(&piped), "");
}

#[test]
fn an_interrupted_run_prints_what_it_has() {
    // The generator first connects once to see whether anybody is there. Both connections stop to answer after a while, so that it cannot end by itself.
    static ANSWERED: Barrier = Barrier::new(4);
    let held = server(|stream| {
        answer(stream, 1, b"PONG\n", 100);
        ANSWERED.wait();
        answer(stream, 1, b"", usize::MAX);
    });
    let command = pings(held, &["--ops", "1000", "--timeout", "60", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    ANSWERED.wait();
    kill_process(Pid::from_child(&command), Signal::INT).unwrap();
    let output = command.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let test = &json(&output)["tests"][0];
    assert_eq!(test["failure"], "interrupted");
    assert!((1..=200).contains(&test["ops"].as_u64().unwrap()), "{test}");
}

#[test]
fn csv_has_a_line_for_each_test_and_each_operation_of_a_mix() {
    let server = AntCache::start();
    let csv = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
            .args([
                "bench",
                "--port",
                &server.port.to_string(),
                "--csv",
                "--ops",
                "100",
                "--warmup",
                "0",
            ])
            .args(args)
            .env("ANT_CACHE_PASSWORD", "pass word")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let rows: Vec<Vec<String>> = text
            .split_terminator("\r\n")
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        rows
    };
    let rows = csv(&["--test", "set,get"]);
    let names: Vec<_> = rows[1..]
        .iter()
        .map(|row| (&*row[0], &*row[1], &*row[5]))
        .collect();
    assert_eq!(names, [("set", "all", "100"), ("get", "all", "100")]);
    let rows = csv(&["--ratio", "1:1"]);
    let names: Vec<_> = rows[1..].iter().map(|row| (&*row[0], &*row[1])).collect();
    assert_eq!(
        names,
        [
            ("1 set : 1 get", "all"),
            ("1 set : 1 get", "set"),
            ("1 set : 1 get", "get")
        ]
    );
}

#[test]
fn content_is_not_looked_at_without_verification() {
    let port = server(|stream| answer(stream, 5, b"$3\r\nbad\r\n", usize::MAX));
    let args = ["--test", "get", "--ops", "100"];
    assert_eq!(
        bench(port, &[&args[..], &["--verify"]].concat())
            .status
            .code(),
        Some(1)
    );
    let output = bench(port, &[&args[..], &["--verify=false"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_table_for_people() {
    let port = server(|stream| answer(stream, 1, b"NULL\n", usize::MAX));
    let output = bench(
        port,
        &["--dialect", "text", "--test", "get", "--ops", "1000"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("\nget   1,000 "), "{table}");
    assert!(table.contains("get: 1,000 keys were missing"), "{table}");
}

#[test]
fn nothing_listens() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = bench(port, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let expected =
        format!("ant-cache-cli bench: 127.0.0.1:{port}: cannot connect: Connection refused");
    assert!(
        stderr(&output).starts_with(&expected),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_server_that_closes_half_way_leaves_a_marked_result() {
    let port = server(|stream| answer(stream, 7, b"+OK\r\n", 50));
    let output = bench(port, &["--test", "set,get", "--ops", "1000", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!(report["complete"], false);
    // The second test is not begun.
    assert_eq!(report["tests"].as_array().unwrap().len(), 1);
    let test = &report["tests"][0];
    assert!((1..=200).contains(&test["ops"].as_u64().unwrap()), "{test}");
    let failure = test["failure"].as_str().unwrap();
    assert!(
        failure.contains("closed") || failure.contains("lost"),
        "{failure}"
    );

    let output = bench(port, &["--test", "set", "--ops", "1000"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("\nINCOMPLETE set: "), "{table}");
}

#[test]
fn wrong_replies_are_counted_and_shown() {
    let port = server(|stream| answer(stream, 5, b"$3\r\nbad\r\n", usize::MAX));
    let output = bench(port, &["--test", "get", "--ops", "100", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let test = &json(&output)["tests"][0];
    assert_eq!(
        (test["ops"].as_u64(), test["errors"].as_u64()),
        (Some(0), Some(100))
    );
    let example = test["first_error"].as_str().unwrap();
    assert!(
        example.ends_with("was answered by $3\\r\\nbad"),
        "{example}"
    );
}

#[test]
fn a_miss_after_a_prefill_is_wrong_unless_allowed() {
    // SET has one line feed here, as GET has; every other reply is not even looked at.
    let port = server(|stream| {
        let mut request = [0; 1];
        while stream.read_exact(&mut request).is_ok() {
            let reply: &[u8] = match request {
                [b'S'] => b"OK\n",
                [b'G'] => b"NULL\n",
                _ => continue,
            };
            stream.write_all(reply).unwrap();
        }
    });
    let args = [
        "--dialect",
        "text",
        "--test",
        "get",
        "--ops",
        "100",
        "--prefill",
        "--keys",
        "10",
    ];
    assert_eq!(bench(port, &args).status.code(), Some(1));
    let allowed = bench(port, &[&args[..], &["--allow-misses"]].concat());
    assert_eq!(allowed.status.code(), Some(0), "{}", stderr(&allowed));
}

#[test]
fn a_server_that_wants_a_password() {
    let port = server(|stream| {
        answer(
            stream,
            7,
            b"-NOAUTH Authentication required.\r\n",
            usize::MAX,
        )
    });
    let output = bench(port, &["--test", "set", "--warmup", "0.1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("give it by --password or ANT_CACHE_PASSWORD"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_server_that_never_answers() {
    let port = server(|stream| answer(stream, usize::MAX, b"", usize::MAX));
    let output = bench(port, &["--test", "set", "--timeout", "0.05", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["tests"][0]["failure"], "no reply within 50ms");
}

#[test]
fn what_does_not_go_together() {
    for (args, message) in [
        (
            &["--dialect", "memcached", "--test", "incr"][..],
            "--dialect memcached has no incr",
        ),
        (
            &["--dialect", "memcached", "--password", "x"],
            "--dialect memcached has no password",
        ),
        (
            &["--threads", "5"],
            "--threads cannot be more than --clients",
        ),
        (
            &["--ttl", "86401"],
            "not a number of seconds from 0 to 86400",
        ),
        (&["--ratio", "1"], "SETS:GETS"),
        (&["--rate", "0"], "not a number of requests a second"),
        (&["--duration", "0"], "nothing can be measured in no time"),
        (&["--ttl", "0"], "not a time from 0.001 seconds on"),
        (&["--value-size", "9-1"], "LEAST-MOST"),
        (&["--distribution", "hot:1:200"], "hot:KEYS:REQUESTS"),
        (&["--json", "--csv"], "cannot be used with"),
        (&["--test", "lpush"], "'lpush' is none of"),
        (&["--clients", "0"], "invalid value '0'"),
        (&["--value-size", "0"], "'0' is not of the form"),
        (&["--server-pid", "4294967295"], "--server-pid"),
    ] {
        let output = bench(1, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(message),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}
