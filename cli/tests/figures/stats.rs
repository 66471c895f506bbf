//! `ant-cache-cli stats`.

use serde_json::Value;

use crate::ask;
use crate::child::{Server, run};

fn stats(server: &Server, words: &[&str]) -> std::process::Output {
    run(&[&["stats", "--port", &server.port().to_string()], words].concat())
}

#[test]
fn figures_are_printed_as_a_table_and_as_json() {
    let server = Server::start(&["--port", "0"]);
    ask(&server, "SET key value");
    ask(&server, "GET key");
    let output = stats(&server, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let values: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        values.contains(&vec!["Memory"]) && values.contains(&vec!["keyspace_hits", "1"]),
        "{text}"
    );
    let output = stats(&server, &["--json"]);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["stats"]["keyspace_hits"], 1);
    assert_eq!(all["keyspace"]["db0"]["keys"], 1);
    assert_eq!(all["commandstats"]["cmdstat_get"]["calls"], 1);
    assert_eq!(all["server"]["tcp_port"], server.port());
    assert!(all["hotkeys"].is_array());
}

#[test]
fn trouble_is_told_in_a_line() {
    let port = {
        let gone = Server::start(&["--port", "0"]);
        gone.port().to_string()
    };
    for subcommand in ["stats", "top"] {
        let output = run(&[subcommand, "-p", &port]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(2), 0),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let guarded = Server::start(&["--port", "0", "--host", "127.0.0.1", "--password", "hush"]);
    let output = stats(&guarded, &["-a", "wrong"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && text.contains("WRONGPASS"),
        "{text}"
    );
    assert_eq!(stats(&guarded, &["-a", "hush"]).status.code(), Some(0));
    assert_eq!(run(&["stats", "--nothing"]).status.code(), Some(2));
}
