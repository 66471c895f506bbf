//! What holds for every runtime and architecture.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use ant_cache_core::service::Refused;
use ant_cache_host::{Clock, Runtime, process};

use crate::harness::{Client, START, Server};
use crate::wakes;

/// What the `PING` of a line gets.
const PONG: &str = "PONG";

pub(crate) fn request_and_end_in_one_packet<R: Runtime + Send + 'static>(
    runtime: fn() -> R,
    _: &str,
) {
    let server = Server::start(runtime());
    for count in [1, 1_000, 50_000] {
        let mut client = server.client();
        let reader = thread::spawn({
            let mut client = Client(client.0.try_clone().unwrap());
            move || client.rest()
        });
        client.send("PING\n".repeat(count));
        client.finish();
        assert_eq!(
            reader.join().unwrap(),
            "PONG\n".repeat(count),
            "{count} requests"
        );
    }
}

pub(crate) fn bytes_one_at_a_time<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::start(runtime());
    let mut client = server.client();
    for byte in b"SET key \"a b\"\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.line().unwrap(), "OK");
    assert_eq!(client.line().unwrap(), "$3");
    assert_eq!(client.line().unwrap(), "a b");
}

pub(crate) fn pipelines_of_any_size<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::start(runtime());
    let clients: Vec<_> = (1..=8usize)
        .map(|number| {
            let mut client = server.client();
            thread::spawn(move || {
                for size in (1..500).step_by(17) {
                    let requests: String =
                        (0..size).map(|n| format!("ECHO {number}-{n}\n")).collect();
                    client.send(requests);
                    for n in 0..size {
                        assert_eq!(client.line().unwrap(), format!("{number}-{n}"));
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    server.until(|server| server.totals().bytes_in > 8 * 500);
}

/// Two megabytes of replies wait before the first is read: more than the socket holds, and more than the limit of
/// unread replies in the server, so reading pauses, and must go on.
pub(crate) fn a_client_that_writes_all_before_it_reads<R: Runtime + Send + 'static>(
    runtime: fn() -> R,
    _: &str,
) {
    let server = Server::start(runtime());
    let mut client = server.client();
    let value = "v".repeat(20_000);
    assert_eq!(client.ask(&format!("SET key {value}")), "OK");
    client.send("GET key\n".repeat(1_000));
    client.finish();
    let rest = client.rest();
    assert_eq!(rest.len(), 1_000 * 20_001);
    assert!(rest.lines().all(|line| line == value));
}

pub(crate) fn a_client_that_never_reads<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::set(runtime(), |settings| settings.set_send_timeout(100));
    let mut other = server.client();
    let value = "v".repeat(100_000);
    assert_eq!(other.ask(&format!("SET key {value}")), "OK");

    let mut client = server.client();
    // It writes until it is thrown out.
    let requests = "GET key\n".repeat(1_000);
    while client.0.write_all(requests.as_bytes()).is_ok() {
        assert_eq!(other.ask("PING"), PONG);
    }
    server.until(|server| server.totals().closed_stalled == 1);
    // Sockets hold a few megabytes and the server one: it did not answer all that it received.
    assert!(server.totals().commands < 1_000, "{:?}", server.totals());
    assert_eq!(other.ask("PING"), PONG);
}

pub(crate) fn an_idle_client<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::set(runtime(), |settings| settings.set_idle_timeout(20));
    let mut silent = server.client();
    let mut half = server.client();
    half.send("PI");
    assert_eq!(silent.line(), None);
    assert_eq!(half.line(), None);
    server.until(|server| server.totals().closed_idle == 2);
    server.host.service().settings.set_idle_timeout(0);
    assert_eq!(server.client().ask("PING"), PONG);
}

pub(crate) fn a_protocol_error_reaches_a_client_that_is_still_sending<
    R: Runtime + Send + 'static,
>(
    runtime: fn() -> R,
    _: &str,
) {
    let server = Server::start(runtime());
    let mut client = server.client();
    client.send("*1\r\n$99999999999\r\n");
    // What follows would meet a reset connection, were it not read and thrown away.
    for _ in 0..20 {
        client.send("x".repeat(100_000));
    }
    client.finish();
    let rest = client.rest();
    assert!(
        rest.starts_with("-ERR Protocol error") && rest.ends_with("\r\n"),
        "{rest:?}"
    );
    assert_eq!(rest.lines().count(), 1, "{rest:?}");
}

pub(crate) fn quit_answers_and_closes<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::start(runtime());
    let mut client = server.client();
    client.send("PING\nQUIT\nPING\n");
    assert_eq!(client.rest(), "PONG\nOK\n");
}

pub(crate) fn too_many_connections<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::set(runtime(), |settings| settings.set_max_connections(2));
    let mut clients = [server.client(), server.client()];
    for client in &mut clients {
        assert_eq!(client.ask("PING"), PONG);
    }
    assert_eq!(server.client().rest().as_bytes(), Refused::REPLY);
    assert_eq!(clients[0].ask("QUIT"), "OK");
    assert_eq!(clients[0].line(), None);
    drop(clients);
    server.until(|server| server.host.service().connections()[0] == 0);
    assert_eq!(server.client().ask("PING"), PONG);
}

pub(crate) fn a_thousand_connections<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    process::raise_file_limit();
    let server = Server::start(runtime());
    let mut clients: Vec<_> = (0..1_000).map(|_| server.client()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("ECHO {round}-{number}\n"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.line().unwrap(), format!("{round}-{number}"));
        }
    }
    assert_eq!(server.host.service().connections()[0], 1_000);
    drop(clients);
    server.until(|server| server.host.service().connections()[0] == 0);
}

/// The server runs in a child process, which alone is short of descriptors.
pub(crate) fn descriptors_exhausted<R: Runtime + Send + 'static>(runtime: fn() -> R, name: &str) {
    const CHILD: &str = "ANT_CACHE_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return exhausted_child(runtime);
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let address = output
        .find_map(|line| line.strip_prefix("address ").map(str::to_owned))
        .unwrap();
    let mut clients: Vec<_> = (0..100)
        .map(|_| {
            std::net::TcpStream::connect(&address)
                .map(Client::over)
                .unwrap()
        })
        .collect();
    assert_eq!(clients[0].ask("PING"), PONG);
    assert!(output.any(|line| line == "exhausted"));
    // One that waits for something outside is woken all the same.
    assert_eq!(clients[1].ask("ECHO hold:0"), "hold:0");
    // Those who are connected go on, and can see it.
    clients[0].send("INFO\nECHO end\n");
    let told = std::iter::from_fn(|| clients[0].line())
        .take_while(|line| line != "end")
        .any(|line| line.starts_with("accept_pauses:") && line != "accept_pauses:0");
    assert!(told, "INFO counts the pauses");
    // Those who wait in the backlog are served as soon as others have gone.
    let served = clients.split_off(60);
    drop(clients);
    for mut client in served {
        assert_eq!(client.ask("PING"), PONG);
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn exhausted_child<R: Runtime + Send + 'static>(runtime: fn() -> R) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let guest = wakes::numbers(1)[0];
    let server = Server::start(runtime());
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(50);
    setrlimit(Resource::Nofile, limit).unwrap();
    println!("address {}", server.address);
    server.until(|server| server.totals().accept_exhausted > 0);
    println!("exhausted");
    wakes::admit(guest, &server);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

pub(crate) fn a_unix_socket<R: Runtime + Send + 'static>(runtime: fn() -> R, name: &str) {
    let file = format!("ant-cache-{}-{}", name.replace(':', ""), std::process::id());
    let path = std::env::temp_dir().join(file);
    let listen = path.clone();
    let mut server = Server::with(
        runtime(),
        Clock::system(),
        |_| {},
        move |listeners| listeners.unix(listen).unwrap(),
    );
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"SET key value\nGET key\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut replies = String::new();
    client.read_to_string(&mut replies).unwrap();
    assert_eq!(replies, "OK\nvalue\n");
    // The other end may close before it has read: what it sent is executed all the same.
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"SET key other\n").unwrap();
    drop(client);
    server.until(|server| server.host.service().connections() == [0, 2, 0]);
    assert_eq!(server.client().ask("GET key"), "other");
    server.stop();
    assert!(!path.exists());
}

pub(crate) fn a_panic_closes_one_connection<R: Runtime + Send + 'static>(
    runtime: fn() -> R,
    _: &str,
) {
    let server = Server::start(runtime());
    let mut others: Vec<_> = (0..8).map(|_| server.client()).collect();
    for round in 1..=10 {
        let mut client = server.client();
        assert_eq!(client.ask("PING"), PONG);
        client.send("PANIC\n");
        assert_eq!(client.line(), None);
        for other in &mut others {
            assert_eq!(other.ask("PING"), PONG);
        }
        server.until(|server| server.totals().closed_panicked == round);
    }
    server.until(|server| server.host.service().connections()[0] == 8);
}

pub(crate) fn a_client_that_vanishes<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::start(runtime());
    let mut other = server.client();
    let value = "v".repeat(100_000);
    assert_eq!(other.ask(&format!("SET key {value}")), "OK");
    for _ in 0..20 {
        let mut client = server.client();
        client.send("GET key\n".repeat(100));
        assert!(client.line().is_some());
        // Closing with unread bytes resets the connection.
        drop(client);
        assert_eq!(other.ask("PING"), PONG);
    }
    server.until(|server| server.host.service().connections()[0] == 1);
    assert_eq!(server.totals().closed_panicked, 0);
}

pub(crate) fn shutdown_answers_what_was_received<R: Runtime + Send + 'static>(
    runtime: fn() -> R,
    _: &str,
) {
    let mut server = Server::start(runtime());
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("ECHO 0123456789012345678901234567890123456789\n".repeat(2_000));
    }
    for client in &mut clients {
        // It was received, as far as it fits a socket's buffer: all of it.
        assert_eq!(client.line().unwrap().len(), 40);
    }
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| thread::spawn(move || client.rest().len()))
        .collect();
    server.stop();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 1_999 * 41);
    }
    assert_eq!(server.totals().commands, 20 * 2_000);
}

/// A thousand connections, each with requests that the server has not looked at when it is told to stop.
pub(crate) fn shutdown_answers_a_thousand_busy_connections<R: Runtime + Send + 'static>(
    runtime: fn() -> R,
    _: &str,
) {
    const REQUESTS: usize = 50;
    let mut server = Server::start(runtime());
    let mut clients: Vec<_> = (0..1_000).map(|_| server.client()).collect();
    for client in &mut clients {
        // The reply shows that the server has the connection.
        assert_eq!(client.ask("PING"), PONG);
    }
    let requests = "ECHO 0123456789\n".repeat(REQUESTS);
    for client in &mut clients {
        client.send(&requests);
    }
    // It ends before the grace does, for otherwise connections are broken.
    server.stop();
    for client in &mut clients {
        assert_eq!(client.rest(), "0123456789\n".repeat(REQUESTS));
    }
    assert_eq!(server.host.service().connections()[0], 0);
}

pub(crate) fn shutdown_closes_idle_connections<R: Runtime + Send + 'static>(
    runtime: fn() -> R,
    _: &str,
) {
    let mut server = Server::start(runtime());
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    assert_eq!(clients[7].ask("PING"), PONG);
    clients[8].send("half a requ");
    server.stop();
    for client in &mut clients {
        assert_eq!(client.line(), None);
    }
    assert_eq!(server.host.service().connections()[0], 0);
}

/// `KEYS *` over many keys takes many turns; others have theirs in between, and its reply is whole.
pub(crate) fn long_commands_delay_nobody<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    const KEYS: usize = 20_000;
    let server = Server::start(runtime());
    let mut client = server.client();
    for from in (0..KEYS).step_by(1_000) {
        let pairs: String = (from..from + 1_000).map(|n| format!(" k{n} v")).collect();
        assert_eq!(client.ask(&format!("MSET{pairs}")), "OK");
    }
    let mut other = server.client();
    for _ in 0..5 {
        client.send("KEYS *\n");
        assert_eq!(other.ask("PING"), PONG);
        let keys = client.line().unwrap();
        assert_eq!(keys.split(' ').count(), KEYS);
    }
}

pub(crate) fn time_is_the_hosts<R: Runtime + Send + 'static>(runtime: fn() -> R, _: &str) {
    let server = Server::with(runtime(), Clock::manual(START), |_| {}, |_| {});
    let mut client = server.client();
    assert_eq!(client.ask("SET key -t 10s value"), "OK");
    server.host.clock().advance(9_999);
    assert_eq!(client.ask("PTTL key"), "1");
    server.host.clock().advance(1);
    assert_eq!(client.ask("GET key"), "NULL");
}
