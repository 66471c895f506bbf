//! A link between a scripted socket and a session, with the time by hand.

use std::collections::VecDeque;
use std::sync::Arc;

use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Service};

use super::*;

/// A socket by hand: what arrives, and how much it takes.
#[derive(Default)]
struct Script {
    arrives: VecDeque<Vec<u8>>,
    ended: bool,
    takes: usize,
    sent: Vec<u8>,
    finished: bool,
    broken: bool,
}

impl Wire for Script {
    fn recv(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.arrives.pop_front() {
            Some(mut bytes) => {
                let n = bytes.len().min(to.len());
                to[..n].copy_from_slice(&bytes[..n]);
                if n < bytes.len() {
                    self.arrives.push_front(bytes.split_off(n));
                }
                Ok(n)
            }
            None if self.ended => Ok(0),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn send(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let before = self.takes;
        for slice in from {
            let n = slice.len().min(self.takes);
            self.sent.extend_from_slice(&slice[..n]);
            self.takes -= n;
        }
        if before == self.takes {
            Err(ErrorKind::WouldBlock.into())
        } else {
            Ok(before - self.takes)
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finished = true;
        Ok(())
    }
}

/// A link, its socket and its lane.
struct Bench {
    service: Arc<Service>,
    stats: Arc<Counters>,
    buffers: Buffers,
    link: Link,
    wire: Script,
    now: Millis,
}

impl Bench {
    fn new() -> Self {
        let service = Service::new(Default::default());
        let now = Millis(1_000_000);
        Self {
            stats: service.counters(),
            buffers: Buffers::new(),
            link: Link::new(service.connect(now).unwrap(), now),
            wire: Script {
                takes: usize::MAX,
                ..Script::default()
            },
            service,
            now,
        }
    }

    fn pump(&mut self) -> Next {
        let mut cx = Turn {
            now: self.now,
            budget: Budget::TURN,
            stats: &self.stats,
        };
        let settings = &self.service.settings;
        let next = self
            .link
            .pump(&mut self.wire, &mut cx, settings, &mut self.buffers)
            .unwrap();
        self.buffers.settle(self.service.ledger());
        next
    }

    fn receive(&mut self) -> Next {
        self.link
            .receive(&mut self.wire, &mut self.buffers)
            .unwrap();
        self.pump()
    }

    /// What `bytes` lead to.
    fn arrive(&mut self, bytes: impl Into<Vec<u8>>) -> Next {
        self.wire.arrives.push_back(bytes.into());
        self.receive()
    }

    fn sent(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.wire.sent)).unwrap()
    }
}

const READ: Next = Next {
    read: true,
    write: false,
    again: false,
    deadline: None,
    woken: false,
    close: None,
};

#[test]
fn a_request_is_answered_and_no_buffer_kept() {
    let mut bench = Bench::new();
    assert_eq!(bench.pump(), READ);
    assert_eq!(bench.arrive("PING\nPI"), READ);
    assert_eq!(bench.sent(), "PONG\n");
    assert!(bench.link.input.memory() > 0, "half a request waits in it");
    assert_eq!(bench.arrive("NG\n"), READ);
    assert_eq!(bench.sent(), "PONG\n");
    assert_eq!(bench.link.input.memory() + bench.link.output.memory(), 0);
    assert!(bench.buffers.memory() > 0);
    assert_eq!(bench.receive(), READ, "woken for nothing");
    assert_eq!(bench.link.input.memory(), 0);
    let totals = bench.service.totals();
    assert_eq!((totals.bytes_in, totals.bytes_out), (10, 10));
}

#[test]
fn a_prepared_request_is_answered_by_the_turn_that_follows() {
    let mut bench = Bench::new();
    for (requests, few) in [(1, true), (3, true), (100, false)] {
        bench.wire.arrives.push_back(b"PING\n".repeat(requests));
        bench
            .link
            .receive(&mut bench.wire, &mut bench.buffers)
            .unwrap();
        assert_eq!(bench.link.prepare(), few);
        bench.link.prefetch();
        let before = bench.service.totals().commands;
        assert_eq!(bench.pump(), READ);
        assert_eq!(bench.service.totals().commands - before, requests as u64);
    }
}

#[test]
fn what_a_connection_holds_is_charged_until_it_is_gone() {
    let mut bench = Bench::new();
    let ledger = Arc::clone(bench.service.ledger());
    let idle = size_of::<Link>() as u64;
    assert_eq!(ledger.held(Owner::Connections), idle);

    bench.arrive("PING\nSET key 0123456789");
    assert_eq!(bench.link.input.memory(), Input::READ);
    let session = bench.link.session.memory();
    assert!(session > 0, "room for requests parsed ahead");
    let spares = bench.buffers.memory();
    assert!(spares > 0, "the buffer of the reply");
    let held = idle + (Input::READ + session + spares) as u64;
    assert_eq!(ledger.held(Owner::Connections), held);

    // A reply that nobody takes is the connection's, a large value in it is not.
    bench.wire.takes = 0;
    let value = "x".repeat(1 << 20);
    bench.arrive(format!("\nSET large {value}\n"));
    while !bench.wire.arrives.is_empty() {
        bench.receive();
    }
    bench.arrive("GET large\n".repeat(20));
    let charged = ledger.held(Owner::Connections);
    assert!(bench.link.output.memory() > 1 << 20);
    assert!(charged < 1 << 18, "{charged}");

    let Bench { link, buffers, .. } = bench;
    drop(link);
    assert_eq!(ledger.held(Owner::Connections), buffers.memory() as u64);
    drop(buffers);
    assert_eq!(ledger.held(Owner::Connections), 0);
}

#[test]
fn one_read_a_step_and_the_rest_is_reported_again() {
    let mut bench = Bench::new();
    bench.wire.arrives.push_back("PING\n".into());
    assert_eq!(bench.arrive("PING\n"), READ);
    assert_eq!(bench.sent(), "PONG\n");
    assert_eq!(bench.receive(), READ);
    assert_eq!(bench.sent(), "PONG\n");
}

#[test]
fn all_is_answered_before_the_close() {
    let mut bench = Bench::new();
    bench.wire.ended = true;
    // More than one turn's budget, in one packet with the end.
    bench.arrive("PING\n".repeat(3_000));
    let mut next = bench.receive();
    let mut turns = 0;
    while next.close.is_none() {
        assert!(
            next.again || next.read,
            "somebody has to come back: {next:?}"
        );
        next = if next.again {
            bench.pump()
        } else {
            bench.receive()
        };
        turns += 1;
    }
    assert!(turns > 1);
    assert_eq!(
        next,
        Next {
            close: Some(Ending::Session(Cause::Eof)),
            ..Next::default()
        }
    );
    assert_eq!(bench.sent(), "PONG\n".repeat(3_000));
}

#[test]
fn after_the_end_it_does_not_read() {
    let mut bench = Bench::new();
    bench.wire.takes = 2;
    bench.wire.ended = true;
    bench.arrive("PING\n");
    let next = bench.receive();
    // The end is readable for ever, so a lane that watched for it would spin.
    assert_eq!(
        (next.read, next.write, next.again, next.close),
        (false, true, false, None)
    );
    bench.wire.takes = usize::MAX;
    assert_eq!(bench.pump().close, Some(Ending::Session(Cause::Eof)));
    assert_eq!(bench.sent(), "PONG\n");
}

#[test]
fn unread_replies_stop_reading_and_execution() {
    let mut bench = Bench::new();
    let value = "v".repeat(MAX_UNREAD / 4);
    bench.arrive(format!("SET k {value}\n"));
    while bench.sent().is_empty() {
        bench.receive();
    }
    bench.wire.takes = 0;
    let mut next = bench.arrive("GET k\n".repeat(100));
    while next.again {
        next = bench.pump();
    }
    assert_eq!((next.read, next.write), (false, true));
    assert_eq!(bench.link.output.len(), 4 * (value.len() + 1));
    // Room for less than a reply makes no room; room for one makes room for one.
    bench.wire.takes = 3;
    assert_eq!(bench.pump(), next);
    bench.wire.takes = value.len();
    next = bench.pump();
    while next.again {
        next = bench.pump();
    }
    assert!(!next.read && bench.link.output.len() >= MAX_UNREAD);
    bench.wire.takes = usize::MAX;
    next = bench.pump();
    while next.again {
        next = bench.pump();
    }
    assert!(next.read && bench.link.output.is_empty());
    assert_eq!(
        bench.service.totals().bytes_out as usize,
        3 + 100 * (value.len() + 1)
    );
}

#[test]
fn replies_below_the_limit_wait_beside_reading() {
    let mut bench = Bench::new();
    bench.wire.takes = 0;
    let next = bench.arrive("PING\n");
    assert_eq!((next.read, next.write, next.again), (true, true, false));
    bench.arrive("PING\n");
    bench.wire.takes = usize::MAX;
    assert_eq!(bench.pump(), READ);
    assert_eq!(bench.sent(), "PONG\nPONG\n");
}

#[test]
fn a_large_reply_goes_in_pieces() {
    let mut bench = Bench::new();
    bench.arrive(format!("SET k {}\n", "v".repeat(3 * BYTES)));
    while bench.sent().is_empty() {
        bench.receive();
    }
    let mut next = bench.arrive("GET k\n");
    let mut steps = 1;
    while next.again {
        next = bench.pump();
        steps += 1;
    }
    assert_eq!((next, bench.sent().len(), steps), (READ, 3 * BYTES + 1, 4));
}

#[test]
fn a_client_that_takes_nothing_is_closed_at_its_time() {
    let mut bench = Bench::new();
    bench.service.settings.set_send_timeout(60_000);
    bench.wire.takes = 0;
    let next = bench.arrive("PING\n");
    assert_eq!(next.deadline, Some(bench.now.plus(60_000)));
    bench.now = bench.now.plus(59_999);
    bench.arrive("PING\n");
    assert_eq!(
        bench.pump().deadline,
        Some(bench.now.plus(1)),
        "sending does not count, only taking"
    );
    bench.wire.takes = 1;
    assert_eq!(
        bench.pump().deadline,
        Some(bench.now.plus(60_000)),
        "it took a byte"
    );
    bench.now = bench.now.plus(60_000);
    assert_eq!(
        bench.pump(),
        Next {
            close: Some(Ending::Stalled),
            ..Next::default()
        }
    );
    assert_eq!(bench.service.totals().closed_stalled, 1);
    bench.service.settings.set_send_timeout(0);
    assert_eq!(bench.pump().deadline, None);
}

#[test]
fn an_idle_client_is_closed_at_its_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.pump().deadline, None, "no limit by default");
    bench.service.settings.set_idle_timeout(5_000);
    assert_eq!(bench.pump().deadline, Some(bench.now.plus(5_000)));
    bench.now = bench.now.plus(4_999);
    assert_eq!(bench.arrive("PI").deadline, Some(bench.now.plus(5_000)));
    bench.now = bench.now.plus(5_000);
    assert_eq!(
        bench.pump(),
        Next {
            close: Some(Ending::Idle),
            ..Next::default()
        }
    );
    assert_eq!(bench.service.totals().closed_idle, 1);
}

#[test]
fn quitting_lingers_for_what_is_still_arriving() {
    let mut bench = Bench::new();
    let next = bench.arrive("QUIT\nPING\n");
    assert_eq!(bench.sent(), "OK\n");
    assert!(bench.wire.finished);
    assert_eq!(
        next,
        Next {
            deadline: Some(bench.now.plus(LINGER)),
            ..READ
        }
    );
    assert_eq!(bench.arrive("PING\n").close, None);
    bench.now = bench.now.plus(LINGER);
    assert_eq!(bench.pump().close, Some(Ending::Session(Cause::Quit)));
    assert_eq!(bench.sent(), "");

    let mut bench = Bench::new();
    bench.arrive("QUIT\n");
    bench.wire.ended = true;
    assert_eq!(
        bench.receive().close,
        Some(Ending::Session(Cause::Quit)),
        "nothing more can arrive"
    );
}

#[test]
fn a_stranger_has_a_deadline() {
    let mut bench = Bench::new();
    bench.service.settings.set_password(Some(b"secret".into()));
    bench.link = Link::new(bench.service.connect(bench.now).unwrap(), bench.now);
    let deadline = bench.pump().deadline.expect("AUTH has to come in time");
    bench.now = deadline;
    bench.pump();
    bench.wire.ended = true;
    assert_eq!(
        bench.receive().close,
        Some(Ending::Session(Cause::Unauthenticated))
    );
}

#[test]
fn a_broken_socket_is_an_error() {
    let mut bench = Bench::new();
    bench.wire.broken = true;
    bench.wire.arrives.push_back("PING\n".into());
    bench
        .link
        .receive(&mut bench.wire, &mut bench.buffers)
        .unwrap();
    let mut cx = Turn {
        now: bench.now,
        budget: Budget::TURN,
        stats: &bench.stats,
    };
    let settings = &bench.service.settings;
    let error = bench
        .link
        .pump(&mut bench.wire, &mut cx, settings, &mut bench.buffers)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}
