use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Weak;

use ant_cache_core::Service;
use ant_cache_core::service::Options;
use ant_cache_host::pool::Places as _;
use ant_cache_host::{Buffers, Link, Next, Received};

use super::*;

const NOW: Millis = Millis(1_000);
const NOTHING: Next = Next {
    read: false,
    write: false,
    again: false,
    deadline: None,
    woken: false,
    close: None,
};
const READ: Next = Next {
    read: true,
    ..NOTHING
};

impl Taken {
    fn receives(&self) -> bool {
        self.begin == Begin::Receive
    }
}

struct Bench {
    places: Places,
    poller: Poller,
    peers: Vec<UnixStream>,
    now: Millis,
}

impl Bench {
    /// So many connections that wait for requests.
    fn new(count: usize) -> Self {
        let service = Service::new(Options::default());
        let poller = Poller::new().unwrap();
        let mut bench = Self {
            places: Places::default(),
            poller,
            peers: Vec::new(),
            now: NOW,
        };
        for _ in 0..count {
            let (near, far) = UnixStream::pair().unwrap();
            let link = Link::new(service.connect(NOW).unwrap(), NOW);
            let connection = Connection::new(link, Stream::unix(near), Weak::<Pool<Places>>::new());
            let connection = Box::new(connection);
            assert!(Places::adopt(&mut bench.places, connection, 0, &bench.poller).is_none());
            bench.peers.push(far);
        }
        for taken in bench.turns() {
            assert!(!taken.receives());
            bench.put(taken, READ);
        }
        assert!(bench.turns().is_empty());
        bench
    }

    fn write(&mut self, peer: usize) {
        self.peers[peer].write_all(b"PING\n").unwrap();
    }

    /// Asks the poller, and takes everyone who then has a turn.
    fn turns(&mut self) -> Vec<Taken> {
        let mut events = Events::new();
        self.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        self.places.report(&events);
        let mut turns = Vec::new();
        let mut task = self.places.first_task(self.now);
        loop {
            match task {
                Task::Open(batch) => self.places.opened = batch,
                Task::Turn(taken) => turns.push(taken),
                Task::Poll => return turns,
            }
            task = self.places.task(self.now);
        }
    }

    /// The turn of the only one who has one.
    fn turn(&mut self) -> Taken {
        let mut turns = self.turns();
        assert_eq!(turns.len(), 1);
        turns.pop().unwrap()
    }

    fn receive(taken: &mut Taken) -> Received {
        let wire = &mut taken.connection.stream.ready();
        taken
            .connection
            .link
            .receive(wire, &mut Buffers::new())
            .unwrap()
    }

    fn put(&mut self, taken: Taken, next: Next) {
        let turned = Turned { next, more: false };
        assert!(
            self.places
                .put(taken.token, taken.connection, Some(turned))
                .is_none()
        );
    }
}

#[test]
fn what_happens_during_a_turn_leads_to_another() {
    let mut bench = Bench::new(1);
    bench.write(0);
    let mut taken = bench.turn();
    assert!(taken.receives());
    assert_eq!(Bench::receive(&mut taken), Received::All);
    bench.write(0);
    assert!(bench.turns().is_empty(), "a deposed leader is in its turn");
    assert_eq!(bench.places.patience(|| NOW), None, "and nobody spins");
    bench.put(taken, READ);
    assert_eq!(bench.places.patience(|| NOW), Some(Duration::ZERO));
    assert!(bench.turn().receives());
}

#[test]
fn what_was_not_read_leads_to_another_turn() {
    let mut bench = Bench::new(1);
    bench.write(0);
    let taken = bench.turn();
    let turned = Turned {
        next: READ,
        more: true,
    };
    assert!(
        bench
            .places
            .put(taken.token, taken.connection, Some(turned))
            .is_none()
    );
    let taken = bench.turn();
    assert!(taken.receives());
    bench.put(taken, READ);
    assert!(bench.turns().is_empty());
}

#[test]
fn the_end_behind_a_request_is_read() {
    let mut bench = Bench::new(1);
    bench.write(0);
    bench.peers[0].shutdown(Direction::Write).unwrap();
    let mut taken = bench.turn();
    assert_eq!(Bench::receive(&mut taken), Received::All, "the request");
    bench.put(taken, READ);
    let mut taken = bench.turn();
    assert!(taken.receives());
    assert_eq!(Bench::receive(&mut taken), Received::All, "the end");
    bench.put(taken, NOTHING);
    assert!(bench.turns().is_empty());
}

#[test]
fn a_connection_that_does_not_want_to_read_waits_with_what_has_arrived() {
    let mut bench = Bench::new(1);
    bench.write(0);
    let taken = bench.turn();
    bench.put(taken, NOTHING);
    bench.write(0);
    assert!(bench.turns().is_empty());
    // Its deadline comes: then it wants to read, and what arrived before is still known.
    let token = bench.places.places.iter_mut().next().unwrap().0;
    let place = bench.places.places.get_mut(token).unwrap();
    bench.places.timers.set(token, &mut place.due, Some(NOW));
    let taken = bench.turn();
    assert!(!taken.receives());
    bench.put(taken, READ);
    assert!(bench.turn().receives());
}

#[test]
fn a_connection_that_is_gone_and_wants_nothing_is_closed() {
    let mut bench = Bench::new(1);
    bench.write(0);
    let taken = bench.turn();
    bench.put(taken, NOTHING);
    bench.peers.clear();
    let mut events = Events::new();
    bench.poller.wait(&mut events, None).unwrap();
    bench.places.report(&events);
    let Task::Turn(gone) = bench.places.task(NOW) else {
        panic!("somebody has to close it")
    };
    assert_eq!(gone.begin, Begin::Close);
    assert!(
        bench
            .places
            .put(gone.token, gone.connection, None)
            .is_some()
    );
    assert!(bench.places.places.is_empty());
    bench.places.report(&events);
    assert!(
        matches!(bench.places.task(NOW), Task::Poll),
        "a late event finds nothing"
    );
}

#[test]
fn the_round_serves_each_once_and_reads_nothing() {
    let mut bench = Bench::new(3);
    (0..3).for_each(|peer| bench.write(peer));
    let mut order = Vec::new();
    for taken in bench.turns() {
        order.push(taken.token);
        bench.put(
            taken,
            Next {
                again: true,
                ..READ
            },
        );
    }
    for _ in 0..2 {
        (0..3).for_each(|peer| bench.write(peer));
        let turns = bench.turns();
        assert!(turns.iter().all(|taken| !taken.receives()));
        assert_eq!(
            turns.iter().map(|taken| taken.token).collect::<Vec<_>>(),
            order
        );
        turns.into_iter().for_each(|taken| {
            bench.put(
                taken,
                Next {
                    again: true,
                    ..READ
                },
            )
        });
    }
    for taken in bench.turns() {
        bench.put(taken, READ);
    }
    assert!(
        bench.turns().iter().all(|taken| taken.receives()),
        "what arrived meanwhile"
    );
}

#[test]
fn what_a_deposed_leader_was_told_is_there_for_the_next() {
    let mut bench = Bench::new(3);
    (0..3).for_each(|peer| bench.write(peer));
    let mut events = Events::new();
    bench.poller.wait(&mut events, None).unwrap();
    bench.places.report(&events);
    let Task::Open(batch) = bench.places.task(NOW) else {
        panic!("they are opened together")
    };
    assert_eq!(batch.len(), 3);
    bench.places.opened = batch;
    let Task::Turn(stuck) = bench.places.task(NOW) else {
        panic!("one has its turn")
    };
    assert_eq!(bench.places.patience(|| NOW), Some(Duration::ZERO));
    assert_eq!(bench.turns().len(), 2);
    bench.put(stuck, READ);
}

#[test]
fn who_received_together_has_one_moment_until_one_has_not() {
    let mut bench = Bench::new(4);
    (0..4).for_each(|peer| bench.write(peer));
    let mut turns: VecDeque<_> = bench.turns().into();
    for (taken, received) in turns.iter_mut().zip([true, true, false, true]) {
        taken.begin = if received {
            Begin::Work { more: false }
        } else {
            Begin::Receive
        };
    }
    bench.places.opened = turns;
    bench.places.opened_at = Some(Millis(7));
    let mut taken: Vec<_> = core::iter::from_fn(|| match bench.places.task(NOW) {
        Task::Turn(taken) => Some(taken),
        _ => None,
    })
    .collect();
    let at = Some(Millis(7));
    let moments: Vec<_> = taken.iter().map(|taken| taken.at).collect();
    assert_eq!(moments, [at, at, None, None]);
    bench.places.opened_at = at;
    bench.put(taken.remove(0), READ);
    assert_eq!(bench.places.opened_at, at);
    let again = Next {
        again: true,
        ..READ
    };
    bench.put(taken.remove(0), again);
    assert_eq!(bench.places.opened_at, None, "a turn was long");
    bench.places.opened_at = at;
    bench.places.first_task(NOW);
    assert_eq!(bench.places.opened_at, None, "the lane was taken over");
}

#[test]
fn what_is_opened_together_is_bounded() {
    let mut bench = Bench::new(Places::OPENED + 2);
    (0..Places::OPENED + 2).for_each(|peer| bench.write(peer));
    let mut events = Events::new();
    bench.poller.wait(&mut events, None).unwrap();
    bench.places.report(&events);
    let mut opened = Vec::new();
    loop {
        match bench.places.task(NOW) {
            Task::Open(batch) => {
                opened.push(batch.len());
                bench.places.opened = batch;
            }
            Task::Turn(taken) => bench.put(taken, READ),
            Task::Poll => break,
        }
    }
    assert_eq!(opened, [Places::OPENED, 2]);
}

#[test]
fn what_was_received_before_a_leader_was_deposed_has_its_turn() {
    let mut bench = Bench::new(1);
    bench.write(0);
    let mut taken = bench.turn();
    assert_eq!(Bench::receive(&mut taken), Received::All);
    taken.begin = Begin::Work { more: true };
    let closing = pool::Places::open(&mut bench.places, taken.put_off());
    assert!(closing.is_none());
    let taken = bench.turn();
    assert_eq!(taken.begin, Begin::Work { more: false }, "it works first");
    bench.put(taken, READ);
    assert!(bench.turn().receives(), "there was more");
}

#[test]
fn deadlines_come_up_when_they_are_due() {
    let mut bench = Bench::new(2);
    for ms in [20, 10] {
        bench.write(ms / 20);
        let mut taken = bench.turn();
        Bench::receive(&mut taken);
        bench.put(
            taken,
            Next {
                deadline: Some(NOW.plus(ms as u64)),
                ..READ
            },
        );
    }
    assert_eq!(
        bench.places.patience(|| NOW),
        Some(Duration::from_millis(10))
    );
    bench.now = NOW.plus(9);
    assert!(bench.turns().is_empty());
    bench.now = NOW.plus(19);
    let first = bench.turn();
    assert!(!first.receives());
    bench.now = NOW.plus(20);
    let second = bench.turn();
    assert_ne!(first.token, second.token);
    bench.put(first, READ);
    bench.put(second, READ);
    assert_eq!(bench.places.patience(|| NOW), None);
}

#[test]
fn connections_with_half_the_work_move() {
    let mut bench = Bench::new(4);
    bench.places.count();
    for _ in 0..10 {
        (0..2).for_each(|peer| bench.write(peer));
        for mut taken in bench.turns() {
            Bench::receive(&mut taken);
            bench.put(taken, READ);
        }
    }
    let given = bench.places.give(0, 0.5, &bench.poller);
    assert_eq!((given.len(), bench.places.places.len()), (1, 3));
    (0..4).for_each(|peer| bench.write(peer));
    let Some(connection) = given.into_iter().next() else {
        panic!("a connection moves")
    };
    let mut other = Bench::new(0);
    assert!(Places::adopt(&mut other.places, connection, 0, &other.poller).is_none());
    let taken = other.turn();
    other.put(taken, READ);
    assert!(other.turn().receives(), "what arrived on the way");
    assert_eq!(bench.turns().len(), 3);
}

#[test]
fn ending_reaches_those_who_are_taken_and_those_who_come_later() {
    let mut bench = Bench::new(2);
    bench.write(0);
    let taken = bench.turn();
    bench.places.end(Direction::Read);
    let idle = bench.turn();
    assert!(idle.receives() && idle.token != taken.token);
    bench.put(taken, READ);
    assert!(bench.turn().receives());
    assert_eq!(
        bench.places.places.len(),
        1 + 1,
        "they are closed by their own turns"
    );
}

#[test]
fn a_wake_leads_to_a_turn_that_reads_nothing_and_to_one_after_the_present() {
    let mut bench = Bench::new(2);
    let tokens: Vec<_> = bench.places.places.iter_mut().map(|(t, _)| t).collect();
    for _ in 0..2 {
        pool::Places::wake(&mut bench.places, tokens[0]);
    }
    assert_eq!(bench.places.patience(|| NOW), Some(Duration::ZERO));
    let taken = bench.turn();
    assert!(taken.token == tokens[0] && !taken.receives());
    pool::Places::wake(&mut bench.places, tokens[0]);
    assert!(bench.turns().is_empty(), "a deposed leader is in its turn");
    bench.put(taken, NOTHING);
    let taken = bench.turn();
    bench.put(taken, READ);
    assert!(bench.turns().is_empty());
    drop(bench.places.close(tokens[0]));
    pool::Places::wake(&mut bench.places, tokens[0]);
    assert!(bench.turns().is_empty(), "it is gone");
}
