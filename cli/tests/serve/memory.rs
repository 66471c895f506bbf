//! The bound on memory, from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ant_cache_host::process::Usage;

use super::child::{Server, program, refusal};
use super::group::Group;

/// The bound of the servers that are filled, in MiB.
const BOUND: u64 = 128;

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

    /// The one line that answers a request of one line.
    fn ask(&mut self, request: &str) -> String {
        write!(self.0.get_mut(), "{request}\r\n").unwrap();
        self.line()
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

/// Watches the resident memory of a process; tells the most that it was at the end.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watch {
    fn new(pid: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut most = 0;
                while !over.load(Relaxed) {
                    most = most.max(Usage::of(pid).expect("it is never killed").resident);
                    thread::sleep(Duration::from_millis(1));
                }
                most
            }
        });
        Self { over, thread }
    }

    fn end(self) -> u64 {
        self.over.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_server_at_rest_gives_back_what_was_flushed() {
    let server = Server::start(&["--port", "0", "--max-memory", "0", "--workers", "2"]);
    let mut client = Client::new(&server);
    let resident = || Usage::of(server.pid()).expect("it runs").resident;
    let rest = resident();
    assert_eq!(client.set((0..500_000).map(|key| (key, 200))), [""; 0]);
    let taken = resident() - rest;
    assert!(taken > 100 << 20, "{taken} bytes taken");
    assert_eq!(client.ask("FLUSHALL"), "OK");
    // From here on nobody asks it for anything.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = resident().saturating_sub(rest);
        if left <= taken / 8 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{left} of {taken} bytes are left"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sizes from 8 bytes to 1 MiB, each doubling as likely as the others, until they sum up to `total`.
fn mixed(total: u64) -> impl Iterator<Item = (u64, usize)> {
    let mut state = 1_u64;
    let mut sum = 0;
    (0..).map_while(move |key| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let least = 8_u64 << ((state >> 33) % 17);
        let size = least + (state >> 40) % least;
        sum += size;
        (sum <= total).then_some((key, size.min(1 << 20) as usize))
    })
}

/// The server's words, and its surroundings: a control group that would kill it a quarter above the bound, or a limit
/// on its address space where none can be made.
fn confined(eviction: &str) -> (Server, Option<Group>) {
    let bound = format!("{BOUND}mb");
    let words = [
        "--port",
        "0",
        "--workers",
        "4",
        "--max-memory",
        &bound,
        "--eviction",
        eviction,
    ];
    match Group::with_limit((BOUND + BOUND / 4) << 20) {
        Some(group) => (Server::spawn(group.around(&program(&words))), Some(group)),
        None => {
            eprintln!("no control group can be made here: no more than a watch is kept");
            (Server::start(&words), None)
        }
    }
}

#[test]
fn three_times_the_bound_in_any_sizes_is_taken_within_it() {
    for eviction in ["adaptive", "lru", "random", "ttl"] {
        let (server, group) = confined(eviction);
        let mut client = Client::new(&server);
        let watch = Watch::new(server.pid());
        let refusals = client.set(mixed((3 * BOUND) << 20));
        assert!(refusals.is_empty(), "{eviction}: {}", refusals[0]);
        assert!(client.info("evicted_keys") > 0);
        let (used, keys) = (client.info("used_memory"), client.info("keys"));
        let most = watch.end();
        let ratio = most as f64 / (BOUND << 20) as f64;
        assert!(
            ratio <= 1.10,
            "{eviction}: {ratio:.3} of the bound was resident"
        );
        assert!(
            keys > 0 && used > (BOUND << 20) * 6 / 10,
            "{eviction}: only {used} bytes are used"
        );
        drop(server);
        drop(group);
    }
}

#[test]
fn without_eviction_writes_are_refused_and_all_else_goes_on() {
    let (server, _group) = confined("none");
    let mut client = Client::new(&server);
    let watch = Watch::new(server.pid());
    let refusals = client.set(mixed((3 * BOUND) << 20));
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.";
    assert!(!refusals.is_empty() && refusals.iter().all(|reply| reply == oom));
    assert_eq!(client.info("evicted_keys"), 0);
    assert_eq!(client.ask("*2\r\n$6\r\nEXISTS\r\n$11\r\nkey:0000000"), ":1");
    assert_eq!(
        client.ask("*3\r\n$6\r\nEXPIRE\r\n$11\r\nkey:0000000\r\n$3\r\n100"),
        ":1"
    );
    assert_eq!(client.ask("*2\r\n$3\r\nDEL\r\n$11\r\nkey:0000000"), ":1");
    assert!(watch.end() <= (BOUND << 20) * 11 / 10);
}

#[test]
fn a_value_larger_than_the_budget_is_refused_and_nothing_goes_for_it() {
    let (server, _group) = confined("adaptive");
    let mut client = Client::new(&server);
    assert_eq!(client.set((0..1000).map(|key| (key, 1000))), [""; 0]);
    // Its length says so, before it is sent.
    let mut other = Client::new(&server);
    let length = BOUND << 18;
    let reply = other.ask(&format!(
        "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${}",
        length + 1
    ));
    assert_eq!(reply, "-ERR Protocol error: invalid bulk length");
    assert_eq!(
        (client.info("keys"), client.info("evicted_keys")),
        (1000, 0)
    );
}

#[test]
fn a_bound_that_is_lowered_is_kept_before_long_and_the_server_answers_meanwhile() {
    let server = Server::start(&["--port", "0", "--workers", "4", "--max-memory", "256mb"]);
    let mut client = Client::new(&server);
    assert_eq!(client.set((0..150_000).map(|key| (key, 1000))), [""; 0]);
    let before = client.info("keys");
    assert_eq!(before, 150_000);
    let set = "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$9\r\nmaxmemory\r\n";
    assert_eq!(client.ask(&format!("{set}$4\r\n64mb")), "+OK");
    let mut seen = vec![before];
    while client.info("used_memory") > 64 << 20 {
        assert_eq!(client.ask("*1\r\n$4\r\nPING"), "+PONG");
        seen.push(client.info("keys"));
    }
    assert!(seen.is_sorted_by(|before, after| before >= after));
    assert!(client.info("keys") > 30_000, "no more goes than must");
    let refusal = client.ask(&format!("{set}$3\r\n1mb"));
    assert!(
        refusal.contains("argument must be 0 or at least"),
        "{refusal}"
    );
}
