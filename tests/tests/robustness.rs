//! Bytes of any kind into a session, in pieces of any size, with budgets of any size, to a client that reads as it
//! likes. Nothing panics, everything goes on, memory is bounded, and the replies are those to the same bytes in one
//! piece.
//!
//! `PROPTEST_CASES=n` makes more cases than usual.

use std::sync::Arc;

use ant_cache_core::limits::MAX_UNREAD;
use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Cause, Input, Millis, Output, Service, Session, Turn, Wants};
use ant_cache_tests::suite::dialogue::SCRIPT;
use ant_cache_tests::{Random, request};
use proptest::prelude::*;

const NOW: Millis = Millis(1_800_000_000_123);

/// Turns with nothing visible done, after which a session counts as spinning. A KEYS over the few keys here, one shard
/// a turn, takes eight.
const IDLE_TURNS: usize = 100;

/// A session and what a runtime does with it.
struct Driver {
    service: Arc<Service>,
    session: Session,
    counters: Arc<Counters>,
    input: Input,
    output: Output,
    wants: Wants,
    sent: usize,
    replies: Vec<u8>,
    /// Bytes of unread replies that one request of this test may add.
    largest: usize,
}

impl Driver {
    fn new(largest: usize) -> Self {
        let service = Service::new(Options {
            shards: 4,
            started: NOW,
            ..Options::default()
        });
        Self {
            session: service.connect(NOW).unwrap(),
            counters: service.counters(),
            service,
            input: Input::new(),
            output: Output::new(),
            wants: Wants {
                read: true,
                ..Wants::default()
            },
            sent: 0,
            replies: Vec::new(),
            largest,
        }
    }

    /// What can be seen of the work done so far.
    fn progress(&self) -> (usize, u64, usize) {
        (
            self.sent - self.input.bytes().len(),
            self.counters.commands.value(),
            self.replies.len() + self.output.len(),
        )
    }

    fn turn(&mut self, budget: i32) {
        let mut turn = Turn {
            now: NOW,
            budget: Budget::new(budget),
            stats: &self.counters,
        };
        self.wants = self
            .session
            .turn(&mut turn, &mut self.input, &mut self.output);
        let Wants {
            read, again, close, ..
        } = self.wants;
        let unread = self.output.len();
        assert!(
            read || again || close.is_some() || unread >= MAX_UNREAD,
            "it waits for nothing"
        );
        assert!(!(read && again), "it wants more input before it is through");
        assert!(
            unread < MAX_UNREAD + self.largest,
            "{unread} bytes of replies wait"
        );
    }

    /// Takes at most `n` bytes of replies.
    fn take(&mut self, n: usize) {
        let bytes = self.output.to_vec();
        let n = n.min(bytes.len());
        self.output.consume(n);
        self.replies.extend(&bytes[..n]);
    }

    /// Turns until the session wants to read, or ends.
    fn settle(&mut self, random: &mut Random, budget: usize) {
        let mut idle = 0;
        while self.wants.close.is_none() && !self.wants.read {
            let before = self.progress();
            self.turn(1 + random.below(budget) as i32);
            idle = if self.progress() == before {
                idle + 1
            } else {
                0
            };
            assert!(idle < IDLE_TURNS, "it turns for nothing");
            if random.once_in(3) || !self.wants.again {
                self.take(1 + random.below(1 << 20));
            }
        }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        self.sent += bytes.len();
        while !bytes.is_empty() {
            let spare = self.input.spare();
            let n = spare.len().min(bytes.len());
            spare[..n].copy_from_slice(&bytes[..n]);
            self.input.filled(n);
            bytes = &bytes[n..];
        }
        self.wants.read = false;
        let held = self.input.memory();
        assert!(
            held <= 4 * self.sent + 2 * Input::READ,
            "{held} bytes for {} that were sent",
            self.sent
        );
    }

    /// The replies to all of `bytes`, in packets of at most `packet`, and the reason of the end.
    fn run(mut self, bytes: &[u8], seed: u64, packet: usize, budget: usize) -> (Vec<u8>, Cause) {
        let mut random = Random::new(seed);
        let random = &mut random;
        let mut rest = bytes;
        while !rest.is_empty() && self.wants.close.is_none() {
            let (now, later) = rest.split_at(rest.len().min(1 + random.below(packet)));
            self.feed(now);
            self.settle(random, budget);
            if random.once_in(10) && self.wants.close.is_none() {
                self.nothing_new();
            }
            rest = later;
        }
        if self.wants.close.is_none() {
            self.input.set_eof();
            self.wants.read = false;
            self.settle(random, budget);
        }
        self.take(usize::MAX);
        let close = self.wants.close.expect("an end has a reason");
        drop(self.session);
        assert_eq!(self.service.connections()[0], 0);
        (self.replies, close)
    }

    /// A turn that nothing has happened for: nothing happens.
    fn nothing_new(&mut self) {
        let (before, wants) = (self.progress(), self.wants);
        self.turn(1000);
        assert_eq!(self.progress().1, before.1);
        assert_eq!(self.progress().2, before.2);
        assert_eq!(self.wants, wants);
    }
}

/// The same replies, however the bytes come and whatever a turn may do.
fn same_replies(bytes: &[u8], largest: usize, seed: u64, packet: usize, budget: usize) {
    let whole = Driver::new(largest).run(bytes, 0, usize::MAX, 1 << 20);
    let pieces = Driver::new(largest).run(bytes, seed, packet, budget);
    assert_eq!(whole.1, pieces.1);
    let at = whole.0.iter().zip(&pieces.0).take_while(|(a, b)| a == b);
    let at = at.count();
    let show = |replies: &[u8]| {
        let end = replies.len().min(at + 100);
        replies[at.saturating_sub(100)..end]
            .escape_ascii()
            .to_string()
    };
    assert!(
        whole.0 == pieces.0,
        "in one piece: {}\nin pieces: {}",
        show(&whole.0),
        show(&pieces.0)
    );
}

/// What is no request costs as much as one: errors in a row take turns, and wait for the reader.
#[test]
fn errors_without_end() {
    same_replies(&b"\"\n".repeat(200_000), 1 << 16, 1, 1 << 16, 1000);
}

/// Between requests nothing is kept, whatever stood behind the last one.
#[test]
fn nothing_is_kept_between_requests() {
    for bytes in [
        &b"PING\n"[..],
        b"PING\n\n",
        b"\r\n",
        b"*0\r\n",
        b"GET \"\n",
        b" \n*-1\r\n",
    ] {
        let mut driver = Driver::new(1 << 16);
        driver.feed(bytes);
        driver.settle(&mut Random::new(0), 1000);
        assert!(driver.input.is_empty(), "{}", bytes.escape_ascii());
    }
}

/// Pieces that mean something to a parser.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"*",
        b"$",
        b"\"",
        b"'",
        b"\\",
        b"\\x4",
        b"*1\r\n",
        b"*2\r\n",
        b"*3\r\n",
        b"$3\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"$1\r\n",
        b"$4\r\nPING\r\n",
        b"$3\r\nGET\r\n",
        b"$1\r\nk\r\n",
        b"GET k",
        b"SET k v",
        b"set",
        b"KEYS *",
        b"PING",
        b"DEL k k",
        b"SETX k a b",
        b"-t",
        b"5s",
        b"MGET k k k",
        b"9999999999999999999",
        b"*1048577\r\n",
        b"$67108865\r\n",
        b"$66000000\r\n",
        b"\0",
        b"\xff",
    ];
    prop_oneof![
        4 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

/// A damage to a stream of requests: a place, and what happens there.
#[derive(Clone, Debug)]
enum Damage {
    Replace(u8),
    Insert(Vec<u8>),
    Delete(usize),
    Repeat(usize),
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let damage = prop_oneof![
        any::<u8>().prop_map(Damage::Replace),
        token().prop_map(Damage::Insert),
        (1usize..30).prop_map(Damage::Delete),
        (1usize..60).prop_map(Damage::Repeat),
    ];
    (any::<prop::sample::Index>(), damage)
}

fn apply(bytes: &mut Vec<u8>, (place, damage): &(prop::sample::Index, Damage)) {
    if bytes.is_empty() {
        return;
    }
    let at = place.index(bytes.len());
    match damage {
        Damage::Replace(byte) => bytes[at] = *byte,
        Damage::Insert(token) => _ = bytes.splice(at..at, token.iter().copied()),
        Damage::Delete(n) => _ = bytes.drain(at..bytes.len().min(at + n)),
        Damage::Repeat(n) => {
            let part = bytes[at..bytes.len().min(at + n)].to_vec();
            bytes.splice(at..at, part);
        }
    }
}

/// Requests of both dialects, in any order.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let one = prop::sample::select(SCRIPT).prop_map(|(request, _)| request.to_vec());
    prop::collection::vec(one, 1..40).prop_map(|requests| requests.concat())
}

/// Sizes of packets and budgets.
fn pace() -> impl Strategy<Value = (u64, usize, usize)> {
    let packet = prop::sample::select(vec![1, 3, 20, 300, 1 << 20]);
    let budget = prop::sample::select(vec![1, 3, 30, 1000]);
    (any::<u64>(), packet, budget)
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), (seed, packet, budget) in pace()) {
        same_replies(&bytes, 1 << 16, seed, packet, budget);
    }

    #[test]
    fn any_tokens(tokens in prop::collection::vec(token(), 0..200), (seed, packet, budget) in pace()) {
        same_replies(&tokens.concat(), 1 << 16, seed, packet, budget);
    }

    #[test]
    fn damaged_requests(
        bytes in requests(),
        damages in prop::collection::vec(damage(), 0..8),
        (seed, packet, budget) in pace(),
    ) {
        let mut bytes = bytes;
        damages.iter().for_each(|damage| apply(&mut bytes, damage));
        same_replies(&bytes, 1 << 16, seed, packet, budget);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    /// Replies of megabytes: values that are copied, values that are shared, and many of both.
    #[test]
    fn large_replies(
        sizes in prop::collection::vec(1usize..60_000, 1..8),
        reads in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4), 1..80),
        (seed, _, budget) in pace(),
    ) {
        let mut bytes = Vec::new();
        for (n, size) in sizes.iter().enumerate() {
            let elements: Vec<_> = (0..size / 100).map(|n| format!("{n:0100}")).collect();
            bytes.extend(request(&["SET", &format!("s{n}"), &"x".repeat(*size)]));
            bytes.extend(request(&["SETS", &format!("a{n}"), &elements.join(" "), "end"]));
            bytes.extend(format!("SETS w{n} {} end\n", elements.join(" ")).into_bytes());
        }
        for (which, how) in reads {
            let n = which.index(sizes.len());
            let (s, a, w) = (format!("s{n}"), format!("a{n}"), format!("w{n}"));
            bytes.extend(match how {
                0 => request(&["GET", &s]),
                1 => request(&["FETCH", &w]),
                2 => format!("GET {w}\nGET {a}\nGET {s}\r\n").into_bytes(),
                _ => request(&["MGET", &s, &s, &a, &s]),
            });
        }
        same_replies(&bytes, 3 * 60_000 + 1000, seed, 1 << 20, budget);
    }
}
