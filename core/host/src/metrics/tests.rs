//! The listener over sockets.

use ant_cache_core::Millis;
use ant_cache_core::service::Options;

use super::*;
use crate::Clock;

struct Served {
    address: SocketAddr,
    stopping: Shutdown,
    metrics: Metrics,
}

fn serve(password: Option<&str>) -> Served {
    let options = Options::default();
    options.settings.set_password(password.map(Into::into));
    let host = Arc::new(Host::new(options, Clock::manual(Millis(1))));
    let listener = MetricsListener::bind("127.0.0.1:0").unwrap();
    let address = listener.address().unwrap();
    let stopping = Shutdown::new().unwrap();
    let metrics = listener
        .serve(host, password.is_some(), stopping.clone())
        .unwrap();
    metrics.set_ready();
    Served {
        address,
        stopping,
        metrics,
    }
}

impl Served {
    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        String::from_utf8(reply).unwrap()
    }

    fn get(&self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
    }
}

#[test]
fn each_resource_is_answered() {
    let served = serve(None);
    assert!(served.get("/healthz").ends_with("\r\n\r\nok\n"));
    assert!(served.get("/readyz").ends_with("\r\n\r\nready\n"));
    assert!(served.get("/metrics").contains("\nantcache_keys 0\n"));
    let page = served.get("/");
    assert!(page.contains("<html") && page.contains("Content-Security-Policy: default-src 'none'"));
    // Nothing that it would have to load, from here or elsewhere.
    for word in ["src=", "href=", "@import", "http://", "https://"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(served.get("/other").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_server_that_loads_or_stops_is_alive_but_not_ready() {
    let served = serve(None);
    served.metrics.ready.store(false, Relaxed);
    assert!(served.get("/readyz").ends_with("loading\n"));
    served.metrics.set_ready();
    assert!(served.get("/readyz").starts_with("HTTP/1.1 200 "));
    served.stopping.trigger();
    assert!(served.get("/readyz").starts_with("HTTP/1.1 503 "));
    assert!(served.get("/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn figures_are_kept_from_strangers_where_a_password_is_required() {
    let served = serve(Some("hush"));
    let refused = served.get("/metrics");
    assert!(
        refused.starts_with("HTTP/1.1 401 ") && !refused.contains("antcache_"),
        "{refused}"
    );
    let known = b"GET /metrics HTTP/1.1\r\nAuthorization: Basic Omh1c2g=\r\n\r\n";
    assert!(served.send(known).contains("antcache_keys"));
}

#[test]
fn a_request_that_is_too_long_is_refused_however_much_follows() {
    let served = serve(None);
    let mut stream = served.connect();
    // What is beyond the limit may find the connection closed.
    let _ = stream.write_all(&vec![b'x'; 1 << 20]);
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    assert!(
        reply.is_empty() || reply.starts_with("HTTP/1.1 4"),
        "{reply}"
    );
    assert!(served.get("/healthz").ends_with("ok\n"));
}

#[test]
fn those_who_say_nothing_do_not_keep_others_out() {
    let served = serve(None);
    let silent: Vec<_> = (0..CONNECTIONS - 1).map(|_| served.connect()).collect();
    assert!(served.get("/healthz").ends_with("ok\n"));
    // With all places taken, one who goes makes room.
    let last = served.connect();
    drop(silent);
    assert!(served.get("/healthz").ends_with("ok\n"));
    drop(last);
}

#[test]
fn it_ends_while_someone_is_connected() {
    let served = serve(None);
    let waiting = served.connect();
    assert!(served.get("/healthz").ends_with("ok\n"));
    drop(served);
    drop(waiting);
}

#[test]
fn addresses_that_cannot_be_had_are_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(
        MetricsListener::bind(&address).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    assert!(MetricsListener::bind("no port").is_err());
}
