//! What only pools do: leaders that are stuck, spares, sizes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ant_cache_host::Runtime;

use crate::harness::Server;

/// A turn that was told to get stuck goes on when its gate is open. One gate a test of each runtime.
static GATES: [AtomicBool; 20] = [const { AtomicBool::new(false) }; 20];

/// `STUCK s3` spins at gate 3, `STUCK b3` is blocked there.
pub(crate) fn stuck(how: u8, gate: u8) {
    let gate = &GATES[usize::from(gate - b'0')];
    while !gate.load(Ordering::Acquire) {
        if how == b'b' {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn open(gate: u8) {
    GATES[usize::from(gate)].store(true, Ordering::Release);
}

/// The request that gets a turn stuck, spinning (`s`) or blocked (`b`), until the gate is open.
pub(crate) fn get_stuck(how: char, gate: u8) -> String {
    format!("STUCK {how}{}\n", char::from(b'0' + gate))
}

/// Makes a pool of so many workers and lanes.
pub(crate) type Pool<R> = fn(usize, usize) -> R;

/// One lane whose leader gets stuck: others on the lane are served by a spare, and the stuck client once it goes on.
fn take_over<R: Runtime + Send + 'static>(pool: Pool<R>, gate: u8, how: char, workers: usize) {
    let server = Server::start(pool(workers, 1));
    let mut stuck = server.client();
    let mut others: Vec<_> = (0..10).map(|_| server.client()).collect();
    assert_eq!(stuck.ask("PING"), "PONG");
    stuck.send(get_stuck(how, gate));
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
    assert_eq!(server.told("lanes_taken_over"), 1);
    // One that led alone needed another.
    assert!(server.told("workers_added") >= u64::from(workers == 1));
}

pub(crate) fn a_spare_takes_over_from_a_leader_that_runs_for_too_long<
    R: Runtime + Send + 'static,
>(
    pool: Pool<R>,
    gate: u8,
) {
    take_over(pool, gate, 's', 4);
}

pub(crate) fn a_spare_takes_over_from_a_leader_that_is_blocked<R: Runtime + Send + 'static>(
    pool: Pool<R>,
    gate: u8,
) {
    take_over(pool, gate, 'b', 4);
}

pub(crate) fn without_a_spare_one_is_hired<R: Runtime + Send + 'static>(pool: Pool<R>, gate: u8) {
    take_over(pool, gate, 'b', 1);
}

/// Turns that are due at once, behind a leader that is stuck: one of them gets stuck too, and the others do not wait
/// for it.
pub(crate) fn who_is_due_with_a_stuck_turn_is_served<R: Runtime + Send + 'static>(
    pool: Pool<R>,
    gate: u8,
) {
    let server = Server::start(pool(4, 1));
    let mut stuck: Vec<_> = (0..2).map(|_| server.client()).collect();
    let mut others: Vec<_> = (0..10).map(|_| server.client()).collect();
    for client in stuck.iter_mut().chain(&mut others) {
        assert_eq!(client.ask("PING"), "PONG");
    }
    for client in &mut stuck {
        client.send(get_stuck('b', gate));
    }
    for other in &mut others {
        other.send("PING\n");
    }
    for other in &mut others {
        assert_eq!(other.line().unwrap(), "PONG");
    }
    server.until(|server| server.host.pool().read().taken_over == 2);
    open(gate);
    for client in &mut stuck {
        assert_eq!(client.line().unwrap(), "ERROR unknown command");
    }
}

/// As many stuck turns as the pool may have workers, less one: connections are still accepted and served.
pub(crate) fn many_leaders_may_be_stuck_at_once<R: Runtime + Send + 'static>(
    pool: Pool<R>,
    gate: u8,
) {
    let server = Server::start(pool(4, 2));
    let mut stuck: Vec<_> = (0..6).map(|_| server.client()).collect();
    for (served, client) in stuck.iter_mut().enumerate() {
        client.send(get_stuck('b', gate));
        server.until(|server| server.host.pool().read().taken_over as usize > served);
    }
    for _ in 0..20 {
        assert_eq!(server.client().ask("PING"), "PONG");
    }
    open(gate);
    for client in &mut stuck {
        assert_eq!(client.line().unwrap(), "ERROR unknown command");
    }
    server.until(|server| server.host.pool().read().busy == 0);
}

/// The server stops although a turn hangs; that client is abandoned, the others are answered.
pub(crate) fn a_stuck_turn_does_not_keep_the_server_from_stopping<R: Runtime + Send + 'static>(
    pool: Pool<R>,
    gate: u8,
) {
    let mut server = Server::start(pool(4, 2));
    let mut stuck = server.client();
    stuck.send(get_stuck('b', gate));
    server.until(|server| server.host.pool().read().taken_over == 1);
    let mut other = server.client();
    other.send("PING\n");
    assert_eq!(other.line().unwrap(), "PONG");
    server.stop();
    assert_eq!(other.line(), None);
    open(gate);
}

/// A pool that has little to do lets spares go, one that is stuck hires them; the numbers tell.
pub(crate) fn the_numbers_add_up<R: Runtime + Send + 'static>(pool: Pool<R>, _: u8) {
    let server = Server::start(pool(8, 2));
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
        server.told("workers_dismissed") > 0
    });
    server.until(|server| {
        let numbers = server.host.pool().read();
        numbers.workers == 8 - numbers.shrunk && numbers.parked == numbers.workers - 2
    });
}

/// Clients that all hang on one lane, for the others have left: some of them move to the lane that has nothing to do.
pub(crate) fn work_moves_to_an_idle_lane<R: Runtime + Send + 'static>(pool: Pool<R>, _: u8) {
    let server = Server::start(pool(4, 2));
    // Idle lanes get connections in turn.
    let mut clients: Vec<_> = (0..16).map(|_| Some(server.client())).collect();
    for client in clients.iter_mut().flatten() {
        assert_eq!(client.ask("PING"), "PONG");
    }
    let mut index = 0;
    clients.retain(|_| {
        index += 1;
        index % 2 == 0
    });
    // Long for the server, short for the client.
    let mut busy: Vec<_> = clients.into_iter().flatten().collect();
    for from in (0..20_000).step_by(1_000) {
        let pairs: String = (from..from + 1_000).map(|n| format!(" k{n} v")).collect();
        assert_eq!(busy[0].ask(&format!("MSET{pairs}")), "OK");
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in &mut busy {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(client.ask("KEYS *nothing*"), "EMPTY");
                }
            });
        }
        server.until(|server| server.told("connections_moved") > 0);
        over.store(true, Ordering::Relaxed);
    });
    for client in &mut busy {
        assert_eq!(client.ask("PING"), "PONG");
    }
}
