//! The bound on memory, from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::child::{Server, program, refusal};
use super::group::Group;

/// A connection that sends many requests before it reads the replies.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Server) -> Self {
        Self(BufReader::new(server.connect()))
    }

    /// Sets each of these keys to so many bytes; returns the replies that are no `+OK`.
    fn set(&mut self, values: impl IntoIterator<Item = (u64, usize)>) -> Vec<String> {
        let mut refusals = Vec::new();
        let mut values = values.into_iter().peekable();
        while values.peek().is_some() {
            let mut requests = Vec::new();
            let mut count = 0;
            while let Some((key, size)) = values.next_if(|_| requests.len() < 1 << 18) {
                let key = format!("key:{key:07}");
                let header = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${size}\r\n", key.len());
                requests.extend(header.bytes());
                requests.resize(requests.len() + size, b'v');
                requests.extend(b"\r\n");
                count += 1;
            }
            self.0.get_mut().write_all(&requests).unwrap();
            refusals.extend(
                (0..count)
                    .map(|_| self.line())
                    .filter(|reply| reply != "+OK"),
            );
        }
        refusals
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the server closed the connection");
        line.trim_end().to_owned()
    }

    /// A field of INFO.
    fn info(&mut self, field: &str) -> u64 {
        self.0.get_mut().write_all(b"*1\r\n$4\r\nINFO\r\n").unwrap();
        let len: usize = self.line().trim_start_matches('$').parse().unwrap();
        let mut text = vec![0; len + 2];
        self.0.read_exact(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| *name == field).unwrap();
        value.parse().unwrap()
    }
}

#[test]
fn less_than_the_server_needs_is_refused_with_the_minimum() {
    assert_eq!(
        refusal(&["--max-memory", "1mb", "--workers", "2"]),
        "--max-memory: expected at least 9mb, which the server needs at rest, or 0 for no bound, found 1mb"
    );
    assert_eq!(
        refusal(&["--max-memory", "lots"]),
        "--max-memory: expected a size such as 512mb, a share such as 75%, or 0 for no bound, found \"lots\""
    );
}

#[test]
fn a_share_is_one_of_what_the_container_has() {
    let Some(group) = Group::with_limit(256 << 20) else {
        eprintln!("skipped: no control group can be made here");
        return;
    };
    for (words, bound) in [
        (&["--print-config"][..], "192.00M"),
        (&["--print-config", "--max-memory", "50%"], "128.00M"),
    ] {
        let output = group.around(&program(words)).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let line = printed
            .lines()
            .find(|line| line.starts_with("max_memory"))
            .unwrap();
        assert!(
            line.ends_with(&format!("; {bound} of 256.00M of the container")),
            "{line}"
        );
    }
}

#[test]
fn what_is_told_as_used_is_what_the_allocator_gave_out() {
    for (keys, size) in [
        (100_000, 8),
        (300_000, 32),
        (30_000, 300),
        (10_000, 2100),
        (1000, 33_000),
        (40, 1 << 20),
    ] {
        let server = Server::start(&["--port", "0", "--max-memory", "0", "--workers", "4"]);
        let mut client = Client::new(&server);
        assert_eq!(client.set((0..keys).map(|key| (key, size))), [""; 0]);
        let (used, given) = (
            client.info("used_memory"),
            client.info("allocator_allocated"),
        );
        let error = used as f64 / given as f64 - 1.0;
        assert!(
            error.abs() <= 0.05,
            "{keys} keys of {size} bytes: {used} used, {given} given out, {error:.3}"
        );
    }
}
