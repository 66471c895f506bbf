//! The service's housekeeping: expired entries, memory of a flushed store, memory that the allocator holds.
//!
//! One thread calls [`Service::tick`](ant_cache_core::Service::tick) whenever it says, and sleeps between. Only
//! requests make new work for it, so it sleeps for good when there is none, and whoever serves requests wakes it: an
//! idle server has no timer ticks.

use std::time::Duration;

use ant_cache_core::Budget;

use crate::Host;
use crate::alarm::{Alarm, Woken};
use crate::overhead::{self, Overhead};

/// At most one tick in this time for new requests' sake: memory of expired entries has to be back within a second. Where
/// memory is tight it is looked at as often as that is done.
const PACE: Duration = Duration::from_millis(100);

/// At most one round of ticks in this time for what is due. With a thousand shards something is due at every moment, and
/// after a sleep the thread finds little in the processor's caches of what it had there.
const REST: Duration = Duration::from_millis(50);

/// Ticks in a row before the others get their turn: 0.4 milliseconds. On a machine with no core to spare a turn comes
/// every few milliseconds: one tick in each would not keep up with 170,000 keys that end in a second.
const STREAK: u32 = 3;

/// Before a long sleep memory is given back this often more, after a rest of this long each: the allocator keeps for a while
/// what was freed just now, in case that it is asked for again, and counts that from when it first looks.
const SETTLING: u32 = 2;
const SETTLE: Duration = Duration::from_millis(20);

/// Calls the service's tick when it is due.
#[derive(Debug, Default)]
pub struct Housekeeper(Alarm);

impl Housekeeper {
    /// One that does nothing before [`run`](Self::run).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that requests were executed. Nearly free while the housekeeper is awake.
    #[inline]
    pub fn nudge(&self) {
        self.0.nudge();
    }

    /// Makes [`run`](Self::run) return.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// The longest pause while requests are executed.
    fn pace(host: &Host) -> Duration {
        if Overhead::is_tight(host.service()) {
            overhead::PAUSE
        } else {
            PACE
        }
    }

    /// Keeps house until [`stop`](Self::stop).
    pub fn run(&self, host: &Host) {
        let mut overhead = Overhead::default();
        let mut streak = 0;
        let mut settled = 0;
        loop {
            // What is done after this tick has looked finds the housekeeper dozing, and nudges.
            self.0.doze_off();
            let now = host.clock().now();
            // The allocator does by itself what it is not asked for by now: within a call that frees, under a shard's lock.
            if streak == 0 {
                host.relieve();
            }
            overhead.look(host.service(), now);
            let due = host
                .service()
                .tick(now, Budget::TURN)
                .map(|due| Duration::from_millis(due.since(now)));
            if let Some(due) = due.filter(|&due| due <= PACE) {
                self.0.stay_up();
                let rest = if due.is_zero() {
                    due
                } else {
                    due.max(REST).min(Self::pace(host))
                };
                if !self.0.pause(rest) {
                    return;
                }
                if due.is_zero() {
                    streak += 1;
                    if streak >= STREAK {
                        streak = 0;
                        std::thread::yield_now();
                    }
                } else {
                    streak = 0;
                }
                settled = 0;
                continue;
            }
            streak = 0;
            let is_settled = settled == SETTLING;
            let rest = if is_settled { due } else { Some(SETTLE) };
            settled = match self.0.sleep(rest) {
                Woken::Due if is_settled => 0,
                Woken::Due => settled + 1,
                Woken::Nudged => {
                    // What was due in any case does not wait for longer.
                    let slept = Duration::from_millis(host.clock().now().since(now));
                    let left = due.map_or(PACE, |due| due.saturating_sub(slept));
                    if !self.0.pause(left.min(Self::pace(host))) {
                        return;
                    }
                    0
                }
                Woken::Stopped => return,
            };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Instant;

    use ant_cache_core::Millis;

    use super::*;
    use crate::Clock;

    #[test]
    fn memory_is_given_back_after_work_and_twice_more_then_it_sleeps() {
        static TIMES: AtomicU32 = AtomicU32::new(0);
        let relief = || {
            TIMES.fetch_add(1, SeqCst);
        };
        let host = Host::new(Default::default(), Clock::system()).with_relief(relief);
        let keeper = Housekeeper::new();
        let (mut expected, mut found) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| keeper.run(&host));
            while expected < 9 && found == expected {
                expected += 1 + SETTLING;
                let deadline = Instant::now() + Duration::from_secs(20);
                while TIMES.load(SeqCst) < expected && Instant::now() < deadline {
                    std::thread::yield_now();
                }
                std::thread::sleep(3 * SETTLE);
                found = TIMES.load(SeqCst);
                keeper.nudge();
            }
            keeper.stop();
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn it_stops_when_told_asleep_or_not() {
        let host = Arc::new(Host::new(Default::default(), Clock::manual(Millis(0))));
        for nudges in [0, 1, 100] {
            let keeper = Arc::new(Housekeeper::new());
            let thread = std::thread::spawn({
                let (keeper, host) = (Arc::clone(&keeper), Arc::clone(&host));
                move || keeper.run(&host)
            });
            for _ in 0..nudges {
                keeper.nudge();
            }
            keeper.stop();
            thread.join().unwrap();
        }
    }
}
