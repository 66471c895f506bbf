//! The protocols between threads, in all their interleavings:
//! `RUSTFLAGS="--cfg loom" cargo test -p ant-cache-host --release lane_model`.
//!
//! What a lane's leader does in `pool` is done here by hand, with a flag for the poller's bell and a counter
//! for what a connection's return arranges.

mod lane_model {
    use std::sync::atomic::Ordering::{Relaxed, SeqCst};

    use loom::sync::Arc;
    use loom::thread;

    use crate::alarm::Doze;
    use crate::lane::sync::{AtomicBool, Mutex, lock};
    use crate::lane::{Hold, Lease, Mailbox, Phase, Slots, Token, Whereabouts};

    /// In all interleavings with at most three involuntary switches: every bug known needs one or two, and without a
    /// bound this takes minutes.
    fn check(run: impl Fn() + Send + Sync + 'static) {
        check_switches(3, run);
    }

    fn check_switches(most: usize, run: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(most);
        model.check(run);
    }

    /// One connection's place.
    #[derive(Default)]
    struct Place {
        /// Whether the connection is here and not in a turn.
        here: bool,
        /// How often it was put back and arranged for.
        returned: u32,
        /// Whether it is in the round: the leader must not wait.
        round: bool,
    }

    #[derive(Default)]
    struct Lane {
        lease: Lease,
        mail: Mailbox<&'static str>,
        place: Mutex<Place>,
        bell: AtomicBool,
        polled: AtomicBool,
    }

    impl Lane {
        fn post(&self, letter: &'static str) {
            if self.mail.post([letter], &self.lease) {
                self.bell.swap(true, SeqCst);
            }
        }

        /// The leader waits, unless there is something to do. True means that it was woken, or did not wait.
        fn poll(&self) -> bool {
            let round = lock(&self.place).round;
            if round || !self.mail.is_empty() {
                return true;
            }
            assert!(!self.polled.swap(true, SeqCst), "two pollers");
            let woken = self.bell.swap(false, SeqCst);
            self.polled.store(false, SeqCst);
            woken
        }

        /// Cycles until the leader would wait for ever, or is deposed. True means that it waits.
        fn lead(&self, hold: &Hold, got: &mut Vec<&'static str>) -> bool {
            while self.poll() {
                self.mail.heard();
                self.lease.work(hold);
                {
                    let mut place = lock(&self.place);
                    if !self.lease.holds(hold) {
                        return false;
                    }
                    place.round = false;
                    let from = got.len();
                    if !self.mail.is_empty() {
                        self.mail.take(got);
                    }
                    if got[from..].contains(&"back") {
                        assert!(!place.here, "it came back twice");
                        (place.here, place.returned) = (true, place.returned + 1);
                    }
                }
                if !self.lease.rest(hold) {
                    return false;
                }
            }
            true
        }

        /// What a leader does after the turn of a connection that it had taken. False means that it was deposed.
        fn put_back(&self, hold: &Hold) -> bool {
            {
                let mut place = lock(&self.place);
                if self.lease.holds(hold) {
                    *place = Place {
                        here: true,
                        returned: place.returned + 1,
                        round: true,
                    };
                    return true;
                }
            }
            self.post("back");
            false
        }
    }

    #[test]
    fn mail_never_waits_for_a_leader_that_waits() {
        check(|| {
            let lane = Arc::new(Lane::default());
            let senders = ["a", "b"].map(|letter| {
                let lane = Arc::clone(&lane);
                thread::spawn(move || lane.post(letter))
            });
            let hold = lane.lease.claim().unwrap();
            let mut got = Vec::new();
            // Twice: what is notified late is waited for, and finds nothing.
            assert!(lane.lead(&hold, &mut got) && lane.lead(&hold, &mut got));
            for sender in senders {
                sender.join().unwrap();
            }
            assert!(
                lane.mail.is_empty() || lane.bell.load(SeqCst),
                "Polling, with mail, without a notification"
            );
            lane.lead(&hold, &mut got);
            got.sort_unstable();
            assert_eq!(got, ["a", "b"], "each letter arrives once");
        });
    }

    #[test]
    fn a_deposed_leader_gives_its_connection_back_once() {
        check(|| {
            let lane = Arc::new(Lane::default());
            let old = lane.lease.claim().unwrap();
            lane.lease.work(&old);
            let generation = old.generation();
            // The old leader is in the connection's turn.
            let turn = thread::spawn({
                let lane = Arc::clone(&lane);
                move || {
                    let leads = lane.put_back(&old)
                        && lane.lease.rest(&old)
                        && lane.lead(&old, &mut Vec::new());
                    leads.then_some(old)
                }
            });
            // The monitor, and then the spare.
            let new = lane
                .lease
                .depose(generation)
                .filter(|new| lane.lead(new, &mut Vec::new()));
            let old = turn.join().unwrap();
            assert!(old.is_none() || new.is_none(), "two leaders");
            let leader = new.or(old).expect("a leader");
            {
                let place = lock(&lane.place);
                let rests = lane.mail.is_empty() && !place.round;
                assert!(
                    rests || lane.bell.load(SeqCst),
                    "the leader sleeps though there is something to do"
                );
            }
            assert!(lane.lead(&leader, &mut Vec::new()));
            let place = lock(&lane.place);
            assert!(place.here);
            assert_eq!(
                place.returned, 1,
                "exactly one side arranges what the connection wants"
            );
        });
    }

    /// A connection that two callers call while it moves from the first lane to the second. What is in a mailbox:
    /// `None` is a call, `Some` the connection itself.
    struct Move {
        whereabouts: Whereabouts,
        lanes: [(Lease, Mailbox<Option<()>>, AtomicBool); 2],
        /// What the callers have for the connection.
        news: [AtomicBool; 2],
        seen: [AtomicBool; 2],
    }

    impl Move {
        fn post(&self, lane: usize, letter: Option<()>) {
            let (lease, mail, bell) = &self.lanes[lane];
            if mail.post([letter], lease) {
                bell.swap(true, SeqCst);
            }
        }

        fn call(&self, caller: usize) {
            self.news[caller].store(true, Relaxed);
            if let Some(lane) = self.whereabouts.call() {
                self.post(lane, None);
            }
        }

        fn turn(&self) {
            for (news, seen) in self.news.iter().zip(&self.seen) {
                seen.store(news.load(Relaxed), Relaxed);
            }
        }

        /// Leads a lane until its leader would wait.
        fn lead(&self, lane: usize, hold: &Hold, slots: &mut Slots<()>) {
            let (lease, mail, bell) = &self.lanes[lane];
            let mut letters = Vec::new();
            while !mail.is_empty() || bell.swap(false, SeqCst) {
                mail.heard();
                lease.work(hold);
                mail.take(&mut letters);
                for letter in letters.drain(..) {
                    match letter {
                        Some(()) => {
                            self.whereabouts.settle(lane, slots.insert(()));
                            self.turn();
                        }
                        None => {
                            let called = self.whereabouts.answer(lane);
                            if called.is_some_and(|token| slots.get_mut(token).is_some()) {
                                self.turn();
                            }
                        }
                    }
                }
                assert!(lease.rest(hold));
            }
        }
    }

    #[test]
    fn a_call_is_followed_by_a_turn_wherever_the_connection_is() {
        // With three it takes as long as all others together.
        check_switches(2, || {
            let shared = Arc::new(Move {
                whereabouts: Whereabouts::new(),
                lanes: [(); 2].map(|()| (Lease::new(), Mailbox::new(), AtomicBool::new(false))),
                news: [(); 2].map(|()| AtomicBool::new(false)),
                seen: [(); 2].map(|()| AtomicBool::new(false)),
            });
            let hold = shared.lanes[0].0.claim().unwrap();
            let mut slots = Slots::new();
            let token: Token = slots.insert(());
            shared.whereabouts.settle(0, token);
            let first = thread::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    shared.lead(0, &hold, &mut slots);
                    slots.remove(token);
                    shared.post(1, Some(()));
                    shared.lead(0, &hold, &mut slots);
                    (hold, slots)
                }
            });
            let caller = thread::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    shared.call(0);
                    // A switch here counts for nothing.
                    thread::yield_now();
                    shared.call(1);
                }
            });
            let second = shared.lanes[1].0.claim().unwrap();
            let mut there = Slots::new();
            shared.lead(1, &second, &mut there);
            caller.join().unwrap();
            let (hold, mut slots) = first.join().unwrap();
            // What waits for a notification is on its way: both look once more.
            shared.lead(0, &hold, &mut slots);
            shared.lead(1, &second, &mut there);
            assert!(shared.seen.iter().all(|seen| seen.load(Relaxed)));
        });
    }

    #[test]
    fn a_leader_is_deposed_once() {
        check(|| {
            let lease = Arc::new(Lease::new());
            let hold = lease.claim().unwrap();
            lease.work(&hold);
            let generation = hold.generation();
            let other = thread::spawn({
                let lease = Arc::clone(&lease);
                move || lease.depose(generation).is_some()
            });
            let deposed = lease.depose(generation).is_some();
            let rested = lease.rest(&hold);
            let outcomes = [deposed, other.join().unwrap(), rested];
            assert_eq!(
                outcomes.iter().filter(|won| **won).count(),
                1,
                "{outcomes:?}"
            );
        });
    }

    #[test]
    fn a_watcher_never_sleeps_while_a_leader_works() {
        check(|| {
            let shared = Arc::new((Lease::new(), Doze::default()));
            let hold = shared.0.claim().unwrap();
            let watcher = thread::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    shared.1.off();
                    let sleeps = shared.0.peek().1 != Phase::Working;
                    if !sleeps {
                        shared.1.up();
                    }
                    sleeps
                }
            });
            shared.0.work(&hold);
            let woken = shared.1.touch();
            let sleeps = watcher.join().unwrap();
            assert!(!sleeps || woken, "nobody watches");
        });
    }
}
