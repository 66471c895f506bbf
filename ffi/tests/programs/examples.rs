//! The programs of examples/c.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::toolbox::{DIALECTS, Dialect, Linked, SANITIZERS, compile, repository, succeed};

fn source(name: &str) -> PathBuf {
    repository()
        .join("examples/c")
        .join(name)
        .with_extension("c")
}

/// An example, built; it must be short enough to be read.
fn example(name: &str, dialect: Dialect) -> PathBuf {
    let source = source(name);
    let lines = fs::read_to_string(&source).unwrap().lines().count();
    assert!(lines < 100, "{name} has {lines} lines");
    compile(&source, dialect, Linked::Shared, &["-lm"])
}

fn output(program: &mut Command) -> String {
    String::from_utf8(succeed(program).stdout).unwrap()
}

/// A server of the examples' that runs; killed when this is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &mut Command) -> Self {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix("listening on port ").unwrap();
        let port = port.parse().unwrap();
        Self { child, port }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_embedded_cache() {
    for dialect in DIALECTS {
        let said = output(&mut Command::new(example("embedded", dialect)));
        let begin = "job 7 is taken\nuser 1 is Ada\n3 visits\na page of 100000 bytes\nborn in 1815\nkeys:\n";
        let keys = said.strip_prefix(begin).unwrap_or_else(|| panic!("{said}"));
        let mut keys: Vec<&str> = keys.lines().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["  job:7", "  user:1", "  user:2", "  visits"]);
    }
}

#[test]
fn the_benchmark_is_one_program_in_every_dialect() {
    // Run by scripts/c_bench.py: a million keys are too many for a debug build.
    for dialect in DIALECTS {
        example("bench", dialect);
    }
}

const CLIENT_SAYS: &str = "greeting: hello\nvisits: 1\ncolour 0: red\ncolour 1: green\ncolour 2: blue\n\
    1 + 2 + ... + 1000 = 500500\nas it should: ERR value is not an integer or out of range\n";

#[test]
fn the_server_and_its_client() {
    for dialect in DIALECTS {
        let client = example("client", dialect);
        let mut server = Server::start(Command::new(example("server", dialect)).arg("0"));
        assert_eq!(
            output(Command::new(client).arg(server.address())),
            CLIENT_SAYS
        );
        succeed(Command::new("kill").args(["-TERM", &server.child.id().to_string()]));
        let mut rest = String::new();
        let out = server.child.stdout.as_mut().unwrap();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "stopped: done\n");
        assert!(server.child.wait().unwrap().success());
    }
}

#[test]
fn sessions_in_an_event_loop_are_a_server_too() {
    for dialect in DIALECTS {
        let client = example("client", dialect);
        let server = Server::start(&mut Command::new(example("epoll_session", dialect)));
        assert_eq!(
            output(Command::new(client).arg(server.address())),
            CLIENT_SAYS
        );
        // Two at a time, and more than one turn and one send take.
        let mut load = Command::new("redis-benchmark");
        load.args(["-p", &server.port.to_string()]);
        load.args("-q -n 2000 -c 8 -P 50 -d 3000 -t set,get".split(' '));
        assert!(output(&mut load).contains("GET"));
    }
}

#[test]
fn the_sanitizers_find_nothing() {
    let built = |name| compile(&source(name), DIALECTS[0], Linked::Static, &SANITIZERS);
    output(&mut Command::new(built("embedded")));
    let (client, server) = (built("client"), built("server"));
    for mut server in [
        Server::start(Command::new(&server).arg("0")),
        Server::start(&mut Command::new(built("epoll_session"))),
    ] {
        output(Command::new(&client).arg(server.address()));
        succeed(Command::new("kill").args(["-TERM", &server.child.id().to_string()]));
        // The one with a loop of its own dies of the signal, and has no status.
        let status = server.child.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
    }
    let servers = [(); 2].map(|()| Server::start(Command::new(&server).arg("0")));
    output(Command::new(built("sharded")).args(servers.iter().map(Server::address)));
}

#[test]
fn one_client_for_many_servers() {
    for dialect in DIALECTS {
        let server = example("server", dialect);
        let servers = [(); 3].map(|()| Server::start(Command::new(&server).arg("0")));
        let mut client = Command::new(example("sharded", dialect));
        let said = output(client.args(servers.iter().map(Server::address)));
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert_eq!(lines[0], "5 4 - 2 1");
        let places = lines[1].strip_prefix("together on ").unwrap();
        let (first, second) = places.split_once(": ").unwrap();
        assert_eq!(first, second);
        assert!(lines[2].starts_with("as it should, node "), "{said}");
        let message = ": ERR value is not an integer or out of range";
        assert!(lines[2].ends_with(message), "{said}");
        // No server has all the keys.
        for server in &servers {
            let mut size = Command::new("redis-cli");
            size.args(["-p", &server.port.to_string(), "DBSIZE"]);
            let keys: u32 = output(&mut size).trim_end().parse().unwrap();
            assert!((0..6).contains(&keys), "{keys}");
        }
    }
}
