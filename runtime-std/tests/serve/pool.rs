//! What only the pool does: leaders that are stuck, spares, sizes.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ant_cache_runtime_std::Pooled;

use crate::harness::Server;

/// A turn that was told to get stuck goes on when its gate is open. One gate a test.
static GATES: [AtomicBool; 10] = [const { AtomicBool::new(false) }; 10];

/// `STUCK s3` spins at gate 3, `STUCK b3` is blocked there.
pub(crate) fn stuck(how: u8, gate: u8) {
    let gate = &GATES[usize::from(gate - b'0')];
    while !gate.load(Ordering::Acquire) {
        if how == b'b' {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn open(gate: usize) {
    GATES[gate].store(true, Ordering::Release);
}

fn pooled(workers: usize, lanes: usize) -> Pooled {
    Pooled {
        lanes: NonZeroUsize::new(lanes).unwrap(),
        ..Pooled::new(NonZeroUsize::new(workers).unwrap())
    }
}

/// One lane whose leader gets stuck: others on the lane are served by a spare, and the stuck client once it goes on.
fn take_over(gate: usize, how: char, workers: usize) {
    let server = Server::start(pooled(workers, 1));
    let mut stuck = server.client();
    let mut others: Vec<_> = (0..10).map(|_| server.client()).collect();
    assert_eq!(stuck.ask("PING"), "PONG");
    stuck.send(format!("STUCK {how}{gate}\n"));
    for other in &mut others {
        assert_eq!(other.ask("PING"), "PONG");
    }
    server.until(|server| server.host.pool().read().taken_over == 1);
    // What it sends meanwhile waits, and does not make the new leader spin or serve it.
    stuck.send("ECHO later\n");
    for _ in 0..10 {
        for other in &mut others {
            assert_eq!(other.ask("PING"), "PONG");
        }
    }
    open(gate);
    assert_eq!(stuck.line().unwrap(), "ERROR unknown command");
    assert_eq!(stuck.line().unwrap(), "later");
    for other in &mut others {
        assert_eq!(other.ask("PING"), "PONG");
    }
    assert_eq!(stuck.ask("PING"), "PONG");
    assert_eq!(server.host.pool().read().taken_over, 1);
}

#[test]
fn a_spare_takes_over_from_a_leader_that_runs_for_too_long() {
    take_over(0, 's', 4);
}

#[test]
fn a_spare_takes_over_from_a_leader_that_is_blocked() {
    take_over(1, 'b', 4);
}

#[test]
fn without_a_spare_one_is_hired() {
    take_over(2, 'b', 1);
}

/// As many stuck turns as the pool may have workers, less one: connections are still accepted and served.
#[test]
fn many_leaders_may_be_stuck_at_once() {
    let server = Server::start(pooled(4, 2));
    let mut stuck: Vec<_> = (0..6).map(|_| server.client()).collect();
    for (served, client) in stuck.iter_mut().enumerate() {
        client.send("STUCK b3\n");
        server.until(|server| server.host.pool().read().taken_over as usize > served);
    }
    for _ in 0..20 {
        assert_eq!(server.client().ask("PING"), "PONG");
    }
    open(3);
    for client in &mut stuck {
        assert_eq!(client.line().unwrap(), "ERROR unknown command");
    }
    server.until(|server| server.host.pool().read().busy == 0);
}

/// The server stops although a turn hangs; that client is abandoned, the others are answered.
#[test]
fn a_stuck_turn_does_not_keep_the_server_from_stopping() {
    let mut server = Server::start(pooled(4, 2));
    let mut stuck = server.client();
    stuck.send("STUCK b4\n");
    server.until(|server| server.host.pool().read().taken_over == 1);
    let mut other = server.client();
    other.send("PING\n");
    assert_eq!(other.line().unwrap(), "PONG");
    server.stop();
    assert_eq!(other.line(), None);
    open(4);
}

/// A pool that has little to do lets spares go, one that is stuck hires them; the numbers tell.
#[test]
fn the_numbers_add_up() {
    let server = Server::start(pooled(8, 2));
    let mut client = server.client();
    server.until(|server| server.host.pool().read().parked == 6);
    assert_eq!(client.ask("PING"), "PONG");
    let numbers = server.host.pool().read();
    assert_eq!(
        (numbers.workers, numbers.parked, numbers.taken_over),
        (8, 6, 0)
    );
    // Requests without an end, until the pool has judged itself.
    server.until(|server| {
        assert_eq!(client.ask("PING"), "PONG");
        server.host.pool().read().shrunk > 0
    });
    server.until(|server| {
        let numbers = server.host.pool().read();
        numbers.workers == 8 - numbers.shrunk && numbers.parked == numbers.workers - 2
    });
}
