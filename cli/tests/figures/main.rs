//! What a running server shows of itself: the metrics listener, `stats`, `top`, the log, the dashboard for Grafana.

#[path = "../serve/child.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod child;
mod dashboard;
mod log;
mod metrics;
mod stats;
mod top;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use child::Server;

/// A server with a metrics listener, and where that listens.
fn server(words: &[&str]) -> (Server, SocketAddr) {
    let fixed = ["--port", "0", "--metrics-addr", "127.0.0.1:0"];
    let server = Server::start(&[&fixed[..], words].concat());
    let address = ask(&server, "INFO server")
        .into_iter()
        .find_map(|line| {
            Some(
                line.strip_prefix("metrics_address:")?
                    .trim()
                    .parse()
                    .unwrap(),
            )
        })
        .unwrap();
    (server, address)
}

/// The lines of a text reply: one, or all up to `END`.
fn ask(server: &Server, line: &str) -> Vec<String> {
    ask_over(&mut BufReader::new(server.connect()), line)
}

fn ask_over(stream: &mut BufReader<TcpStream>, line: &str) -> Vec<String> {
    stream
        .get_mut()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
    let many = ["INFO", "STATS", "LATENCY DOCTOR"]
        .iter()
        .any(|word| line.starts_with(word));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(
            stream.read_line(&mut line).unwrap() > 0,
            "the connection was closed"
        );
        let line = line.trim_end().to_owned();
        if many && line == "END" {
            return lines;
        }
        lines.push(line);
        if !many {
            return lines;
        }
    }
}

/// What the metrics listener answers to a path, with its head.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// The value of a metric, named with its labels; 0 where it is not told.
fn figure(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics");
    let value = text.lines().find_map(|line| {
        let (found, value) = line.rsplit_once(' ')?;
        (found == name).then(|| value.parse().unwrap())
    });
    value.unwrap_or(0.0)
}
