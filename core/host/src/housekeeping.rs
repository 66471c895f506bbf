//! The service's housekeeping: expired entries, memory of a flushed store.
//!
//! One thread calls [`Service::tick`](ant_cache_core::Service::tick) whenever it says, and sleeps between. Only
//! requests make new work for it, so it sleeps for good when there is none, and whoever serves requests wakes it: an
//! idle server has no timer ticks.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use ant_cache_core::Budget;

use crate::Host;

/// At most one tick in this time for new requests' sake: memory of expired entries has to be back within a second.
const PACE: Duration = Duration::from_millis(100);

/// Calls the service's tick when it is due.
#[derive(Debug, Default)]
pub struct Housekeeper {
    asleep: AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    nudged: bool,
    stopped: bool,
}

enum Woken {
    Due,
    Nudged,
    Stopped,
}

impl Housekeeper {
    /// One that does nothing before [`run`](Self::run).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that requests were executed. Nearly free while the housekeeper is awake.
    #[inline]
    pub fn nudge(&self) {
        if self.asleep.load(SeqCst) && self.asleep.swap(false, SeqCst) {
            self.state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .nudged = true;
            self.wake.notify_one();
        }
    }

    /// Makes [`run`](Self::run) return.
    pub fn stop(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stopped = true;
        self.wake.notify_one();
    }

    /// Keeps house until [`stop`](Self::stop).
    pub fn run(&self, host: &Host) {
        loop {
            // Asleep first, then the tick: what is done after the tick looked finds the flag and nudges.
            self.asleep.store(true, SeqCst);
            let now = host.clock().now();
            let due = host
                .service()
                .tick(now, Budget::TURN)
                .map(|due| Duration::from_millis(due.since(now)));
            if due == Some(Duration::ZERO) {
                if self.pause(Duration::ZERO) {
                    return;
                }
                // A slice was not enough; the others get their turn between.
                std::thread::yield_now();
                continue;
            }
            match self.sleep(due) {
                Woken::Due => {}
                Woken::Nudged if !self.pause(PACE) => {}
                Woken::Nudged | Woken::Stopped => return,
            }
        }
    }

    /// Sleeps until nudged or stopped, at most for `most`.
    fn sleep(&self, most: Option<Duration>) -> Woken {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| !state.nudged && !state.stopped;
        let mut state = match most {
            None => self
                .wake
                .wait_while(state, waits)
                .unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                self.wake
                    .wait_timeout_while(state, most, waits)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        let nudged = std::mem::take(&mut state.nudged);
        if state.stopped {
            Woken::Stopped
        } else if nudged {
            Woken::Nudged
        } else {
            Woken::Due
        }
    }

    /// Sleeps for `time`, or until stopped (true).
    fn pause(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| !state.stopped;
        self.wake
            .wait_timeout_while(state, time, waits)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .stopped
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ant_cache_core::{Millis, Service};

    use super::*;
    use crate::Clock;

    #[test]
    fn it_stops_when_told_asleep_or_not() {
        let host = Arc::new(Host::new(
            Service::new(Default::default()),
            Clock::manual(Millis(0)),
        ));
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
