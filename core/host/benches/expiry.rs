//! Millions of keys that end within a minute: what housekeeping costs, how late it is, and how long it holds others up.
//!
//! `cargo bench -p ant-cache-host --bench expiry [-- KEYS [SECONDS]]`, 10 million and 60 unless told; Linux.
//!
//! Fills a service with keys of 11 bytes and values of 32, whose times to live are spread evenly and at random over the
//! seconds, and lets the real housekeeper run beside a thread that reads random keys now and then, whether they are
//! there or not. Prints the housekeeper's share of a core while keys end, how late entries went, the longest time that
//! a read took before the first key ended and while they did, and the memory before, half way, and a second after the last end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Histogram, Input, Millis, Output, Session, Turn};
use ant_cache_host::{Clock, Host, Housekeeper};

/// The server's allocator. With glibc's a sixth of the time would go to its lists of free extents.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the server has housekeeping do (cli/src/allocator.rs).
#[expect(unsafe_code, reason = "no safe wrapper has this control")]
fn relieve() {
    let none = std::ptr::null_mut();
    // SAFETY: the name ends with NUL; null pointers say that nothing is read or written.
    let failed = unsafe {
        tikv_jemalloc_sys::mallctl(c"arena.4096.decay".as_ptr(), none, none.cast(), none, 0)
    };
    assert_eq!(failed, 0, "the control is there");
}

/// How long nothing ends after filling, for comparison.
const CALM: Duration = Duration::from_secs(3);

/// Time between two reads that are timed.
const GAP: Duration = Duration::from_micros(100);

/// A generator of random numbers (xorshift: Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

struct Client {
    session: Session,
    counters: Arc<Counters>,
    input: Input,
    output: Output,
}

impl Client {
    fn new(host: &Host) -> Self {
        Self {
            session: host
                .service()
                .connect(host.clock().now())
                .expect("a connection"),
            counters: host.service().counters(),
            input: Input::new(),
            output: Output::new(),
        }
    }

    /// Sends what fits one packet.
    fn send(&mut self, request: &[u8], now: Millis) {
        self.input.spare()[..request.len()].copy_from_slice(request);
        self.input.filled(request.len());
        let mut cx = Turn {
            now,
            budget: Budget::TURN,
            stats: &self.counters,
        };
        while self
            .session
            .turn(&mut cx, &mut self.input, &mut self.output)
            .again
        {
            cx.budget = Budget::TURN;
        }
        let replied = self.output.len();
        self.output.consume(replied);
    }
}

/// A request in RESP.
fn request(words: &[&str]) -> Vec<u8> {
    let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let (count, words) = (words.len(), words.iter().map(word).collect::<String>());
    format!("*{count}\r\n{words}").into_bytes()
}

/// Sets all keys; the first ends after `calm`, the last `span` later.
fn fill(host: &Host, keys: u64, first: Millis, span: Duration) {
    let mut random = Random(0x5eed);
    let mut client = Client::new(host);
    let mut packet = Vec::new();
    for number in 0..keys {
        let end = first.0 + random.below(span.as_millis() as u64);
        let key = format!("key:{number:07}");
        let value = "0123456789abcdef0123456789abcdef";
        packet.extend(request(&["SET", &key, value, "PXAT", &end.to_string()]));
        if packet.len() > 1_000 || number + 1 == keys {
            client.send(&packet, host.clock().now());
            packet.clear();
        }
    }
}

/// Reads random keys until `end`; returns how long the reads took, in microseconds.
fn probe(host: &Host, keys: u64, end: Instant) -> Histogram {
    let mut times = Histogram::default();
    let mut random = Random(0x9a0b);
    let mut client = Client::new(host);
    let mut now = Instant::now();
    while now < end {
        let request = request(&["GET", &format!("key:{:07}", random.below(keys))]);
        let start = Instant::now();
        client.send(&request, host.clock().at(start));
        now = Instant::now();
        times.record((now - start).as_micros() as u64);
        std::thread::sleep(GAP);
    }
    times
}

/// Processor time of the calling thread so far.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux's /proc");
    let nanos = stat.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let keys = numbers.first().copied().unwrap_or(10_000_000);
    let span = Duration::from_secs(numbers.get(1).copied().unwrap_or(60));

    let host = Arc::new(Host::new(Default::default(), Clock::system()).with_relief(relieve));
    // Filling takes a third of this on a quiet machine.
    let filling = Duration::from_micros(3 * keys);
    let begin = Instant::now();
    let calm = begin + filling;
    // Not the clock's moment of an instant to come: it would have to stand still until then.
    let wait = (calm + CALM).saturating_duration_since(Instant::now());
    let first = host.clock().now().plus(wait.as_millis() as u64);
    fill(&host, keys, first, span);
    let census = host.service().store().census();
    let full = census.memory;
    assert_eq!((census.keys, census.expiring), (keys, keys));
    let took = begin.elapsed().as_secs_f64();
    assert!(
        calm > Instant::now(),
        "filling took {took:.1} s: the machine is too busy"
    );
    println!(
        "{keys} keys set in {took:.1} s, {:.1} MiB, {:.1} bytes a key",
        mib(full),
        full as f64 / keys as f64
    );
    std::thread::sleep(calm.saturating_duration_since(Instant::now()));

    let (keeper, ended) = (Housekeeper::new(), AtomicBool::new(false));
    let (before, half, during, work) = std::thread::scope(|scope| {
        let house = std::thread::Builder::new().name("house".into());
        let house = house.spawn_scoped(scope, || {
            keeper.run(&host);
            thread_time()
        });
        let house = house.expect("a thread");
        // Requests are executed all the time.
        let nudges = scope.spawn(|| {
            while !ended.load(Relaxed) {
                keeper.nudge();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let before = probe(&host, keys, calm + CALM);
        let mut during = probe(&host, keys, calm + CALM + span / 2);
        let half = host.service().store().census();
        during.add(&probe(&host, keys, calm + CALM + span));
        std::thread::sleep(Duration::from_secs(1));
        ended.store(true, Relaxed);
        nudges.join().expect("the nudging thread");
        keeper.stop();
        (before, half, during, house.join().expect("the housekeeper"))
    });

    let census = host.service().store().census();
    let lags = host.service().store().lags();
    let share = work.as_secs_f64() / span.as_secs_f64() * 100.0;
    let each = work.as_nanos() as f64 / lags.total().max(1) as f64;
    println!("| | measured | target |\n|---|---|---|");
    println!(
        "| housekeeping, share of a core | {share:.2} % ({each:.0} ns a key) | at most 5 %: {} |",
        verdict(share <= 5.0)
    );
    let [p50, p99] = [50, 99].map(|percent| lags.percentile(percent));
    println!(
        "| lag of {} keys, ms | p50 {p50}, p99 {p99}, max {} | at most 1000: {} |",
        lags.total(),
        lags.max(),
        verdict(lags.max() <= 1000 && lags.total() == keys)
    );
    println!(
        "| longest read of {}, µs | {} (p99 {}); before keys ended {} (p99 {}) | at most 1000: {} |",
        during.total(),
        during.max(),
        during.percentile(99),
        before.max(),
        before.percentile(99),
        verdict(during.max() <= 1000)
    );
    println!(
        "| memory half way, bytes a key that is left | {:.1} of {:.1} | |",
        half.memory as f64 / half.keys as f64,
        full as f64 / keys as f64
    );
    println!(
        "| memory a second after the last end, MiB | {:.2} of {:.1}, {} keys | none of them |",
        mib(census.memory),
        mib(full),
        census.keys
    );
}
