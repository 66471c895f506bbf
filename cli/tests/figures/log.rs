//! The log, as text and as JSON.

use rustix::process::Signal;
use serde_json::Value;

use crate::child::{Server, refusal};

#[test]
fn a_log_of_json_is_an_object_a_line() {
    let words = [
        "--port",
        "0",
        "--metrics-addr",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ];
    let mut server = Server::start(&words);
    server.signal(Signal::TERM);
    let log = server.rest_of_log();
    assert_eq!(server.exit_code(), Some(0));
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = |message: &str| {
        let found = lines.iter().find(|line| {
            let text = line["message"].as_str().unwrap_or_default();
            text.starts_with(message)
        });
        found.unwrap_or_else(|| panic!("{message}: {log}"))
    };
    assert_eq!(said("metrics on http://127.0.0.1:")["level"], "INFO");
    assert_eq!(said("stopping")["signal"], "SIGTERM");
    assert!(said("stopping")["timestamp"].is_string());
}

#[test]
fn other_formats_are_refused() {
    let message = refusal(&["--log-format", "xml"]);
    assert!(message.contains("expected text or json"), "{message}");
}
