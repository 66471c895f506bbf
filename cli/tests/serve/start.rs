//! How the server is started, what it refuses, and how it says so.

use std::fs;
use std::net::TcpListener;

use super::child::{Server, program, refusal, run, scratch};

/// The directory from which the example settings are named as in the manual of the original server.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// What `--print-config` prints for a command line that is run among the examples.
fn printed(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().chain(["--print-config"]).collect();
    let output = program(&words).current_dir(EXAMPLES).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && text.is_empty(), "{line}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

/// The value of a setting in what was printed.
fn value<'a>(printed: &'a str, name: &str) -> &'a str {
    let line = printed
        .lines()
        .find(|line| line.split(' ').next() == Some(name))
        .unwrap();
    line.split_once(" = ")
        .unwrap()
        .1
        .split("  # ")
        .next()
        .unwrap()
        .trim()
}

/// Every command line of the original server's manual, after the program's name, and what it must mean.
#[test]
fn the_original_command_lines_work() {
    let performance = "-config configs/performance.json";
    let extreme = "-config configs/extreme-performance.json";
    let lines = [
        ("", "pooled", "200", "8890"),
        ("-server single-goroutine", "single", "200", "8890"),
        (
            &format!("-server single-goroutine {performance}"),
            "single",
            "200",
            "8890",
        ),
        (
            "-server pooled-goroutine -workers 100",
            "pooled",
            "100",
            "8890",
        ),
        (
            "-server pooled-goroutine -workers 200",
            "pooled",
            "200",
            "8890",
        ),
        (
            "-server pooled-goroutine -workers 300",
            "pooled",
            "300",
            "8890",
        ),
        (
            "-server pooled-goroutine -workers 400",
            "pooled",
            "400",
            "8890",
        ),
        (
            "-server pooled-goroutine -workers 500",
            "pooled",
            "500",
            "8890",
        ),
        (
            &format!("-server pooled-goroutine -workers 500 {extreme}"),
            "pooled",
            "500",
            "8890",
        ),
        (
            "-port 8890 -server pooled-goroutine -workers 200",
            "pooled",
            "200",
            "8890",
        ),
        (
            "-port 8891 -server pooled-goroutine -workers 200",
            "pooled",
            "200",
            "8891",
        ),
        (
            "-port 8892 -server pooled-goroutine -workers 200",
            "pooled",
            "200",
            "8892",
        ),
        // And as people vary them.
        ("--runtime std --workers 20", "pooled", "20", "8890"),
        ("--runtime smol --workers 200", "pooled", "200", "8890"),
        ("serve -workers=20 --port=1", "pooled", "20", "1"),
        (
            &format!("-server pooled-goroutine -workers 200 -port 8891 {performance}"),
            "pooled",
            "200",
            "8891",
        ),
    ];
    for (line, architecture, workers, port) in lines {
        let printed = printed(line);
        assert_eq!(
            value(&printed, "architecture"),
            format!("{architecture:?}"),
            "{line}"
        );
        assert_eq!(value(&printed, "workers"), workers, "{line}");
        assert_eq!(value(&printed, "port"), port, "{line}");
    }
}

#[test]
fn the_example_settings_are_in_force_as_they_stand() {
    let mut count = 0;
    for entry in fs::read_dir(format!("{EXAMPLES}/configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        count += 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        let printed = printed(&format!("--config configs/{name}"));
        let file: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for keys in file.as_object().unwrap().values() {
            for key in keys.as_object().unwrap().keys() {
                let line = printed
                    .lines()
                    .find(|line| line.starts_with(&format!("{key} = ")))
                    .unwrap();
                assert!(line.ends_with(&format!("# file configs/{name}")), "{line}");
            }
        }
        let readme = fs::read_to_string(format!("{EXAMPLES}/configs/README.md")).unwrap();
        assert!(
            readme.contains(&format!("`{name}`")),
            "{name} is not described"
        );
    }
    assert_eq!(count, 5);
}

#[test]
fn values_come_from_where_they_are_said_to() {
    let output = program(&[
        "--print-config",
        "--workers",
        "9",
        "--password",
        "swordfish",
    ])
    .env("ANT_CACHE_PORT", "4242")
    .output()
    .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for (name, value, origin) in [
        ("workers", "9", "flag --workers"),
        ("port", "4242", "environment ANT_CACHE_PORT"),
        ("architecture", "\"pooled\"", "default"),
        ("# password", "\"********\"", "flag --password"),
    ] {
        let line = printed
            .lines()
            .find(|line| line.starts_with(&format!("{name} = ")))
            .unwrap();
        assert!(
            line.contains(value) && line.ends_with(&format!("# {origin}")),
            "{line}"
        );
    }
    assert!(!printed.contains("swordfish"));
}

#[test]
fn what_cannot_be_meant_is_refused_in_one_line() {
    let file = scratch("start-bad.json");
    fs::write(&file, r#"{"server": {"prot": 8890}}"#).unwrap();
    let file = file.to_str().unwrap();
    let cases = [
        (
            vec!["--port", "70000"],
            "--port: expected a whole number from 0 to 65535, found \"70000\"".to_owned(),
        ),
        (
            vec!["-port", "-1"],
            "--port: expected a whole number from 0 to 65535, found \"-1\"".to_owned(),
        ),
        (
            vec!["--workers", "0"],
            "--workers: expected a whole number from 1 to 10000, found \"0\"".to_owned(),
        ),
        (
            vec!["--executor-threads", "2000"],
            "--executor-threads: expected a whole number from 0 to 1024, found \"2000\"".to_owned(),
        ),
        (
            vec!["--config", file],
            format!("{file}: unknown key server.prot; the nearest known one is server.port"),
        ),
        (
            vec!["--config", "/nonexistent.json"],
            "cannot read /nonexistent.json: No such file or directory (os error 2)".to_owned(),
        ),
        (
            vec!["--port", "0", "--unix-socket", "/nonexistent/socket"],
            "cannot listen on /nonexistent/socket: No such file or directory (os error 2)"
                .to_owned(),
        ),
    ];
    for (words, complaint) in cases {
        assert_eq!(refusal(&words), complaint);
    }
}

#[test]
fn an_address_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    assert_eq!(
        refusal(&["--port", &address.port().to_string()]),
        format!(
            "cannot listen on {address}: the address is in use; is a server running there already?"
        )
    );
}

#[test]
fn unknown_words_are_refused_with_a_hint() {
    let output = run(&["--prot", "1"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--port"), "{text}");
    assert_eq!(run(&["srve"]).status.code(), Some(2));
}

#[test]
fn the_start_says_what_is_risky_or_missing() {
    let mut server = Server::start(&[
        "--server",
        "single",
        "--port",
        "0",
        "--host",
        "127.0.0.1",
        "--password",
        "x",
        "--fsync",
        "always",
    ]);
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    let log = server.rest_of_log();
    let warnings: Vec<&str> = log
        .lines()
        .filter_map(|line| line.strip_prefix("ant-cache-cli: warning: "))
        .collect();
    assert!(
        warnings
            .iter()
            .any(|line| line.starts_with("--password is visible in the list of processes")),
        "{log}"
    );
    assert!(
        warnings
            .iter()
            .any(|line| line.starts_with("nothing is kept on disk")),
        "{log}"
    );
}
