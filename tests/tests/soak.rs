//! Connections that are opened and closed at random: nothing of them is left.
//!
//! `ANT_CACHE_SOAK_SECONDS=60` makes it as long for each shape; otherwise it is a few rounds.

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use ant_cache_runtime_smol as smol;
use ant_cache_runtime_std as threads;
use ant_cache_tests::suite::eventually;
use ant_cache_tests::{Child, Client, Embedded, Random, Shape};

/// Rounds after the first, where no time is set.
const ROUNDS: u64 = 3;

/// Threads that open connections, and how many each opens in a round.
const OPENERS: u64 = 4;
const CONNECTIONS: usize = 150;

/// Bytes by which memory may differ for other reasons than connections: arenas of the allocator, counters of workers.
const SLACK: u64 = 8 << 20;

/// Bytes of spare buffers that lanes may have kept since: 32 pairs each.
const SPARES: u64 = 4 << 20;

const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

macro_rules! soak {
    ($($name:ident: $runtime:expr;)+) => {$(
        mod $name {
            use super::*;

            const SHAPE: Shape = Shape {
                serve: |host, listeners, shutdown| {
                    ant_cache_host::Runtime::serve($runtime, host, listeners, shutdown)
                },
                child: concat!(stringify!($name), "::child"),
            };

            #[test]
            #[ignore = "a server for the other test"]
            fn child() {
                ant_cache_tests::suite::serve(SHAPE);
            }

            #[test]
            fn nothing_is_left() {
                soak(SHAPE);
            }
        }
    )+};
}

soak! {
    std_single: threads::Single::default();
    std_pooled: threads::Pooled { lanes: TWO, ..threads::Pooled::new(TWO) };
    smol_single: smol::Single::new(TWO);
    smol_pooled: smol::Pooled { lanes: TWO, ..smol::Pooled::new(TWO) };
    smol_embedded: Embedded;
}

/// What a server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    /// Bytes of sessions and buffers, by the server's own books.
    buffers: u64,
}

fn holdings(server: &Child, control: &mut Client) -> Holdings {
    Holdings {
        descriptors: server.descriptors(),
        threads: server.threads(),
        buffers: control.info("used_memory_clients"),
    }
}

fn soak(shape: Shape) {
    let begun = Instant::now();
    let seconds = std::env::var("ANT_CACHE_SOAK_SECONDS").ok();
    let length = seconds.map(|text| Duration::from_secs(text.parse().expect("a number")));
    let server = shape.child();
    let mut control = server.connect();
    let settle = |control: &mut Client| eventually(|| control.info("connected_clients") == 1);
    // What is kept for good is there after the first round.
    round(&server, 0);
    settle(&mut control);
    // A thread or a socket goes a moment after its connection is counted out.
    let mut before = holdings(&server, &mut control);
    eventually(|| {
        let now = holdings(&server, &mut control);
        let settled = now == std::mem::replace(&mut before, now);
        thread::yield_now();
        settled
    });
    let memory = server.grown();
    let mut rounds = 0;
    while length.map_or(rounds < ROUNDS, |length| begun.elapsed() < length) {
        rounds += 1;
        round(&server, rounds);
        settle(&mut control);
    }
    eventually(|| {
        let after = holdings(&server, &mut control);
        // A pool of two workers may have got two more.
        after.descriptors == before.descriptors
            && after.buffers <= before.buffers + SPARES
            && after.threads <= before.threads + 2
    });
    let grown = server.grown() - memory;
    assert!(
        grown <= SLACK,
        "{rounds} rounds took {grown} bytes of memory"
    );
}

fn round(server: &Child, number: u64) {
    thread::scope(|scope| {
        for opener in 0..OPENERS {
            scope.spawn(move || open_and_close(server, Random::new(number * OPENERS + opener)));
        }
    });
}

/// Connections that come, are used in every way, and go, each at its own time.
fn open_and_close(server: &Child, mut random: Random) {
    const REQUESTS: [&[u8]; 6] = [
        b"",
        b"SET k v\nGET k\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\n",
        b"GET \"open",
        b"KEYS *\nPING\nINCR n\n",
        b"PING\nQUIT\n",
    ];
    let mut open: Vec<Client> = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(server.connect());
        for _ in 0..3 {
            let at = random.below(open.len());
            open[at].try_send(REQUESTS[random.below(REQUESTS.len())]);
        }
        while open.len() > 20 || (random.once_in(3) && !open.is_empty()) {
            let mut client = open.swap_remove(random.below(open.len()));
            match random.below(3) {
                0 => client.hang_up(),
                1 => {
                    client.finish();
                    client.rest();
                }
                _ => {}
            }
        }
    }
}
