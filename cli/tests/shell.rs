//! `ant-cache-cli cli` from outside: one-shot, from a pipe, and at a terminal.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use ant_cache_core::client::{Decoder, Value};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A server with a few replies by heart, in either dialect.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

fn serve(mut stream: TcpStream) {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        let got = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(got) => got,
        };
        let mut rest = &buffer[..got];
        if rest[0] != b'*' {
            let reply: &[u8] = match rest {
                b"GET lines\n" => b"\"a\\nb\"\n",
                b"PING\n" => b"PONG\n",
                b"monitor\n" => b"OK\n1.5 [0 id=1] \"PING\"\nERROR monitor closed: too slow\n",
                _ => b"ERROR unknown command\n",
            };
            stream.write_all(reply).unwrap();
            continue;
        }
        while let Some(Value::Array(args)) = decoder.decode(&mut rest).unwrap() {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes().unwrap()).collect();
            match args[..] {
                [b"die"] => return,
                [b"PING"] => stream.write_all(b"+PONG\r\n"),
                [b"AUTH", b"secret"] => stream.write_all(b"+OK\r\n"),
                [b"ECHO", text] => stream.write_all(
                    &[format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat(),
                ),
                [b"LIST"] => stream.write_all(b"*3\r\n$1\r\na\r\n$-1\r\n:7\r\n"),
                [b"MONITOR"] => {
                    let shown = stream
                        .write_all(b"+OK\r\n+1.5 [0 id=1] \"PING\"\r\n+2.5 [0 id=1] \"PING\"\r\n");
                    shown.unwrap();
                    return;
                }
                [b"INFO"] => stream.write_all(b"$13\r\n# S\r\nuptime:1\r\n"),
                _ => stream.write_all(b"-ERR unknown\r\n"),
            }
            .unwrap();
        }
    }
}

fn shell(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"));
    command
        .arg("cli")
        .args(args)
        .env_remove("ANT_CACHE_PASSWORD")
        .stdin(Stdio::null());
    command
}

fn ask(port: u16, args: &[&str]) -> Output {
    shell(&[&["-p", &port.to_string()], args].concat())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

/// Status, standard output and standard error.
fn check(output: &Output, status: i32, stdout: &str, stderr: &str) {
    assert_eq!(text(&output.stdout), stdout, "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), stderr);
    assert_eq!(output.status.code(), Some(status));
}

#[test]
fn one_command_for_a_program() {
    let port = server();
    check(&ask(port, &["PING"]), 0, "PONG\n", "");
    check(&ask(port, &["ECHO", "a\"b"]), 0, "a\"b\n", "");
    check(&ask(port, &["LIST"]), 0, "a\n\n7\n", "");
    check(&ask(port, &["NO", "-t", "--x"]), 1, "", "ERR unknown\n");
    check(
        &ask(port, &["-r", "3", "PING"]),
        0,
        "PONG\nPONG\nPONG\n",
        "",
    );
}

#[test]
fn one_command_for_a_person() {
    let port = server();
    check(
        &ask(port, &["--no-raw", "ECHO", "a\"b"]),
        0,
        "\"a\\\"b\"\n",
        "",
    );
    check(
        &ask(port, &["--no-raw", "LIST"]),
        0,
        "1) \"a\"\n2) (nil)\n3) (integer) 7\n",
        "",
    );
    check(&ask(port, &["--no-raw", "INFO"]), 0, "# S\nuptime:1\n", "");
    check(
        &ask(port, &["--no-raw", "NO"]),
        1,
        "(error) ERR unknown\n",
        "",
    );
}

#[test]
fn the_text_dialect() {
    let port = server();
    check(&ask(port, &["--text", "PING"]), 0, "PONG\n", "");
    check(&ask(port, &["--text", "GET", "lines"]), 0, "a\nb\n", "");
    check(
        &ask(port, &["--text", "--no-raw", "GET", "lines"]),
        0,
        "\"a\\nb\"\n",
        "",
    );
    check(
        &ask(port, &["--text", "NO"]),
        1,
        "",
        "ERROR unknown command\n",
    );
}

#[test]
fn what_is_monitored_is_printed_to_its_end() {
    let port = server();
    let output = ask(port, &["MONITOR"]);
    check(
        &output,
        2,
        "OK\n1.5 [0 id=1] \"PING\"\n2.5 [0 id=1] \"PING\"\n",
        &format!(
            "ant-cache-cli cli: 127.0.0.1:{port}: MONITOR: the server closed the connection\n"
        ),
    );
    let output = ask(port, &["--text", "monitor"]);
    check(
        &output,
        1,
        "OK\n1.5 [0 id=1] \"PING\"\n",
        "ERROR monitor closed: too slow\n",
    );
}

#[test]
fn what_cannot_begin() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = ask(port, &["PING"]);
    let refused =
        format!("ant-cache-cli cli: 127.0.0.1:{port}: cannot connect: Connection refused");
    assert!(
        text(&output.stderr).starts_with(&refused),
        "{}",
        text(&output.stderr)
    );
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));

    for wrong in [
        &["--bogus"][..],
        &["-r", "-2", "PING"],
        &["-x"],
        &["--text", "--resp3", "PING"],
    ] {
        let output = ask(server(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty());
    }
    let port = server();
    let message =
        format!("ant-cache-cli cli: 127.0.0.1:{port}: die: the server closed the connection\n");
    check(&ask(port, &["die"]), 2, "", &message);
}

#[test]
fn the_password_from_either_place() {
    let port = server();
    check(&ask(port, &["-a", "secret", "PING"]), 0, "PONG\n", "");
    let mut from_environment = shell(&["-p", &port.to_string(), "PING"]);
    check(
        &from_environment
            .env("ANT_CACHE_PASSWORD", "secret")
            .output()
            .unwrap(),
        0,
        "PONG\n",
        "",
    );
    let message = format!("ant-cache-cli cli: 127.0.0.1:{port}: AUTH: ERR unknown\n");
    check(&ask(port, &["-a", "wrong", "PING"]), 2, "", &message);
}

/// Runs the shell with this standard input.
fn pipe(port: u16, args: &[&str], input: &[u8]) -> Output {
    let mut command = shell(&[&["-p", &port.to_string()], args].concat());
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn commands_from_a_pipe() {
    let port = server();
    let output = pipe(
        port,
        &[],
        b"PING\n\nECHO 'a b'\r\nNO\nECHO \"\\x41\"\nquit\nPING\n",
    );
    check(&output, 1, "PONG\na b\nA\n", "ERR unknown\n");
    check(&pipe(port, &[], b"PING"), 0, "PONG\n", "");
    check(
        &pipe(port, &[], b"PING\nECHO 'a\n"),
        2,
        "PONG\n",
        "ant-cache-cli cli: line 2: unbalanced quotes\n",
    );
    check(&pipe(port, &["-x", "ECHO"], b"a\nb"), 0, "a\nb\n", "");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = shell(&["-p", &server().to_string(), "-r", "-1", "PING"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 5];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"PONG\n");
    check(&child.wait_with_output().unwrap(), 0, "", "");
}

/// A shell at a terminal.
struct Terminal {
    controller: File,
    child: Child,
    home: PathBuf,
    seen: String,
}

impl Terminal {
    fn start(name: &str, port: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap();
        let end = File::from(open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        let home =
            std::env::temp_dir().join(format!("ant-cache-shell-{name}-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let child = shell(&["-p", &port.to_string()])
            .env("HOME", &home)
            .env("TERM", "xterm")
            .env_remove("XDG_STATE_HOME")
            .stdin(end.try_clone().unwrap())
            .stdout(end.try_clone().unwrap())
            .stderr(end)
            .spawn()
            .unwrap();
        Self {
            controller: controller.into(),
            child,
            home,
            seen: String::new(),
        }
    }

    /// Reads on until this text has been shown.
    fn expect(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let got = self.controller.read(&mut buffer).unwrap_or(0);
            assert!(got > 0, "the shell ended; shown: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..got]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }

    fn type_in(&mut self, keys: &str) {
        self.controller.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end and returns the history.
    fn end(mut self) -> String {
        self.expect("\u{1b}[?2004l");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let history = fs::read_to_string(self.home.join(".ant-cache_history")).unwrap();
        fs::remove_dir_all(&self.home).unwrap();
        history
    }
}

#[test]
fn a_session_at_a_terminal() {
    let port = server();
    let prompt = format!("127.0.0.1:{port}> ");
    let mut terminal = Terminal::start("session", port);
    terminal.expect(&prompt);
    terminal.type_in("ECHO \"two words\"\r");
    terminal.expect("\n\"two words\"\r\n");
    terminal.expect(&prompt);
    terminal.type_in("AUTH secret\r");
    terminal.expect("\nOK\r\n");
    terminal.expect(&prompt);
    terminal.type_in("incrbyfl\t");
    terminal.expect("incrbyfloat");
    // Ctrl-C drops the line.
    terminal.type_in("\x03");
    terminal.expect(&prompt);
    terminal.type_in("help get\r");
    terminal.expect("GET key");
    terminal.expect(&prompt);
    terminal.type_in("ECHO \"open\r");
    terminal.expect("Invalid arguments: unbalanced quotes");
    terminal.expect(&prompt);
    terminal.type_in("quit\r");
    let history = terminal.end();
    assert_eq!(
        history,
        "#V2\nECHO \"two words\"\nhelp get\nECHO \"open\nquit\n"
    );
}

#[test]
fn a_lost_connection_is_made_again() {
    let port = server();
    let prompt = format!("127.0.0.1:{port}> ");
    let mut terminal = Terminal::start("reconnect", port);
    terminal.expect(&prompt);
    terminal.type_in("die\r");
    terminal.expect("the server closed the connection");
    terminal.expect("not connected> ");
    terminal.type_in("PING\r");
    terminal.expect("\nPONG\r\n");
    terminal.expect(&prompt);
    // Ctrl-D leaves.
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), "#V2\ndie\nPING\n");
}
