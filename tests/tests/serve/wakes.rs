//! Connections that wait for something outside, and are woken when it has come.
//!
//! A request that names a guest (`ECHO hold:7`) is held until that guest is let in; who lets it in wakes its
//! connection once, and nobody wakes it again before the reply. So a wake that is lost is a reply that never comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

use ant_cache_core::settings::Settings;
use ant_cache_host::Runtime;
use ant_cache_tests::Random;

use crate::harness::{Client, Server};
use crate::pool::{Pool, get_stuck, open};

/// Wakes in one test, and requests of each client that stays, at least.
const WAKES: usize = 10_000;
const REQUESTS: usize = 300;

/// One client's connection, as the server and those who wake it know it.
#[derive(Default)]
struct Guest {
    /// The first that its connection had: it must stay good.
    waker: Option<Waker>,
    /// Whether its present request is held.
    held: bool,
    /// Whether its present request may go on.
    admitted: bool,
}

static GUESTS: Mutex<BTreeMap<usize, Guest>> = Mutex::new(BTreeMap::new());

fn guests() -> MutexGuard<'static, BTreeMap<usize, Guest>> {
    GUESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the request at the beginning of `input` is to be held.
pub(crate) fn hold(input: &[u8], waker: &Waker) -> bool {
    let head = &input[..input.len().min(64)];
    let words = head.split(|byte| b" *\r\n".contains(byte));
    let Some(number) = words.filter_map(|word| word.strip_prefix(b"hold:")).next() else {
        return false;
    };
    let number = std::str::from_utf8(number).unwrap().parse().unwrap();
    let mut guests = guests();
    let guest = guests.get_mut(&number).expect("a client that is known");
    guest.waker.get_or_insert_with(|| waker.clone());
    guest.held = !guest.admitted;
    guest.held
}

/// So many numbers for guests.
pub(crate) fn numbers(count: usize) -> Vec<usize> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = NEXT.fetch_add(count, Relaxed);
    let mut guests = guests();
    (first..first + count)
        .inspect(|&number| _ = guests.insert(number, Guest::default()))
        .collect()
}

/// Waits until a request of this guest is held, and lets it in.
pub(crate) fn admit(number: usize, server: &Server) {
    server.until(|_| guests()[&number].held);
    let waker = {
        let mut guests = guests();
        let guest = guests.get_mut(&number).unwrap();
        guest.admitted = true;
        guest.waker.clone()
    };
    waker.unwrap().wake();
}

/// Another request of this guest begins.
fn renew(number: usize) {
    let mut guests = guests();
    let guest = guests.get_mut(&number).unwrap();
    (guest.held, guest.admitted) = (false, false);
}

/// Wakes one of the guests: one whose request is held is let in every other time, others are woken for nothing.
/// False where there is nobody to wake.
fn wake(numbers: &[usize], random: &mut Random) -> bool {
    let waker = {
        let mut guests = guests();
        let guest = guests.get_mut(random.pick(numbers)).unwrap();
        if guest.admitted {
            return false;
        }
        guest.admitted = guest.held && random.once_in(2);
        guest.waker.clone()
    };
    waker.inspect(Waker::wake_by_ref).is_some()
}

/// Lets three threads wake the guests at random while `act` runs. Returns how often they did.
fn woken(numbers: &[usize], act: impl FnOnce(&AtomicUsize)) {
    let (count, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for seed in 0..3 {
            let (count, over) = (&count, &over);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                while !over.load(Relaxed) {
                    if wake(numbers, &mut random) {
                        count.fetch_add(1, Relaxed);
                    } else {
                        thread::yield_now();
                    }
                }
            });
        }
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&count)));
        over.store(true, Relaxed);
        acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Clients whose every request is held and some who hang up meanwhile, until there were enough wakes.
pub(crate) fn no_wake_is_lost(runtime: impl Runtime + Send + 'static) {
    let (staying, leaving) = (numbers(6), numbers(60));
    let all = [&staying[..], &leaving].concat();
    let mut server = Server::start(runtime);
    woken(&all, |count| {
        thread::scope(|scope| {
            for &number in &staying {
                let mut client = server.client();
                scope.spawn(move || {
                    let mut random = Random::new(number as u64);
                    let mut asked = 0;
                    while asked < REQUESTS || count.load(Relaxed) < WAKES {
                        asked += 1;
                        renew(number);
                        // More behind it, which goes with it.
                        let more = random.below(3);
                        client.send(format!("ECHO hold:{number}\n{}", "PING\n".repeat(more)));
                        assert_eq!(client.line().unwrap(), format!("hold:{number}"));
                        for _ in 0..more {
                            assert_eq!(client.line().unwrap(), "PONG");
                        }
                    }
                });
            }
            for &number in &leaving {
                let mut client = server.client();
                client.send(format!("ECHO hold:{number}\n"));
                server.until(|_| guests()[&number].waker.is_some());
                drop(client);
                renew(number);
            }
        });
    });
    server.until(|server| {
        // Of those who have hung up some are still held: nobody else lets them in any more.
        for number in &all {
            let waker = {
                let mut guests = guests();
                let guest = guests.get_mut(number).unwrap();
                guest.admitted = true;
                guest.waker.clone()
            };
            waker.inspect(Waker::wake_by_ref);
        }
        server.host.service().connections()[0] == 0
    });
    server.stop();
    for number in all {
        let waker = guests().remove(&number).unwrap().waker;
        // There is nobody left: it does nothing.
        waker.unwrap().wake();
    }
}

/// Clients that all hang on one lane, until some of them move to the other; each is woken as in the place before.
pub(crate) fn those_who_move<R: Runtime + Send + 'static>(pool: Pool<R>) {
    let numbers = numbers(8);
    let server = Server::start(pool(4, 2));
    // Idle lanes get connections in turn.
    let mut clients: Vec<_> = (0..16).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    let mut clients: Vec<Client> = clients.into_iter().skip(1).step_by(2).collect();
    // Long for the server, short for the client.
    for from in (0..20_000).step_by(1_000) {
        let pairs: String = (from..from + 1_000).map(|n| format!(" k{n} v")).collect();
        assert_eq!(clients[0].ask(&format!("MSET{pairs}")), "OK");
    }
    let over = AtomicBool::new(false);
    woken(&numbers, |_| {
        thread::scope(|scope| {
            for (client, &number) in clients.iter_mut().zip(&numbers) {
                let over = &over;
                scope.spawn(move || {
                    let mut after = 0;
                    while after < 50 {
                        after += u32::from(over.load(Relaxed));
                        renew(number);
                        assert_eq!(client.ask(&format!("KEYS hold:{number}*")), "EMPTY");
                    }
                });
            }
            server.until(|server| server.host.pool().read().moved > 0);
            over.store(true, Relaxed);
        });
    });
    for number in numbers {
        guests().remove(&number);
    }
}

/// Wakes, and connections that are new, come by mail: a leader that only asks for events hears of it as one that sleeps.
pub(crate) fn a_lane_that_polls_busily<R: Runtime + Send + 'static>(pool: Pool<R>) {
    let number = numbers(1)[0];
    let server = Server::set(pool(4, 1), |settings| {
        settings.set_busy_poll(Settings::MAX_BUSY_POLL);
    });
    let mut client = server.client();
    for _ in 0..50 {
        // Who is alone, and is waited for busily.
        for _ in 0..3 {
            assert_eq!(client.ask("PING"), "PONG");
        }
        renew(number);
        client.send(format!("ECHO hold:{number}\n"));
        admit(number, &server);
        assert_eq!(client.line().unwrap(), format!("hold:{number}"));
        assert_eq!(client.ask("PING"), "PONG");
        assert_eq!(server.client().ask("PING"), "PONG");
    }
    guests().remove(&number);
}

/// A wake while a connection is in the turn of a deposed leader leads to another turn after it.
pub(crate) fn a_turn_that_is_stuck<R: Runtime + Send + 'static>(pool: Pool<R>, gate: u8) {
    let numbers = numbers(1);
    let server = Server::start(pool(4, 1));
    let (mut stuck, mut other) = (server.client(), server.client());
    let request = get_stuck('b', gate);
    stuck.send(format!("{} hold:{}\n", request.trim_end(), numbers[0]));
    server.until(|server| server.host.pool().read().taken_over == 1);
    // Its turn has found it held, and has not ended.
    let mut random = Random::new(0);
    while !guests()[&numbers[0]].admitted {
        assert!(wake(&numbers, &mut random));
        assert_eq!(other.ask("PING"), "PONG");
    }
    assert_eq!(other.ask("PING"), "PONG");
    open(gate);
    assert_eq!(stuck.line().unwrap(), "ERROR unknown command");
    guests().remove(&numbers[0]);
}
