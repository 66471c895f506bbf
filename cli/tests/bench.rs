//! `ant-cache-cli bench` from outside, against servers that misbehave by script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

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
        for (pipeline, size) in [("1", "16"), ("50", "1"), ("3", "70000")] {
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
                    "ping,set,get,incr,mset,mget",
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
        (&["--ratio", "1"], "SETS:GETS"),
        (&["--test", "lpush"], "'lpush' is none of"),
        (&["--clients", "0"], "invalid value '0'"),
        (&["--value-size", "0"], "invalid value '0'"),
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
