//! A thread that works while there is something to watch, and sleeps for good while there is not.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lane::sync::{AtomicBool, fence};

/// Whether somebody watches. The watcher dozes off, then looks once more; those it watches act, then touch. There is
/// a full fence in the middle of both, so either the watcher sees the act or the one who acted finds it dozing.
#[derive(Debug)]
pub(crate) struct Doze(AtomicBool);

impl Default for Doze {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Doze {
    /// The watcher is about to sleep. It must look once more before it does.
    pub(crate) fn off(&self) {
        self.0.store(true, Relaxed);
        fence(SeqCst);
    }

    /// The watcher is up.
    pub(crate) fn up(&self) {
        self.0.store(false, Relaxed);
    }

    /// Something was done that should be watched. True, to one caller, means that the watcher must be woken. A line
    /// that stays in every core's cache while the watcher is up.
    #[inline]
    pub(crate) fn touch(&self) -> bool {
        fence(SeqCst);
        self.0.load(Relaxed) && self.0.swap(false, AcqRel)
    }
}

/// Puts a thread to sleep and wakes it. One thread sleeps; any thread nudges and stops it.
#[derive(Debug, Default)]
pub struct Alarm {
    doze: Doze,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    nudged: bool,
    stopped: bool,
}

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Its time was over.
    Due,
    /// Somebody nudged.
    Nudged,
    /// The alarm was stopped: the thread is to end.
    Stopped,
}

impl Alarm {
    /// An alarm that nobody sleeps on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that there is something to watch. Nearly free while the watcher is up.
    #[inline]
    pub fn nudge(&self) {
        if self.doze.touch() {
            self.lock().nudged = true;
            self.bell.notify_one();
        }
    }

    /// Ends every sleep, present and future.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.bell.notify_one();
    }

    /// From now on nudges wake the watcher. It must look once more at what it watches, and then
    /// [`sleep`](Self::sleep) or [`stay_up`](Self::stay_up).
    pub fn doze_off(&self) {
        self.doze.off();
    }

    /// Takes [`doze_off`](Self::doze_off) back.
    pub fn stay_up(&self) {
        self.doze.up();
    }

    /// Sleeps until nudged or stopped, at most for `most`.
    pub fn sleep(&self, most: Option<Duration>) -> Woken {
        let state = self.lock();
        let waits = |state: &mut State| !state.nudged && !state.stopped;
        let mut state = match most {
            None => self
                .bell
                .wait_while(state, waits)
                .unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                self.bell
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

    /// Pauses for `time`, whoever nudges. False means that it was stopped.
    #[must_use]
    pub fn pause(&self, time: Duration) -> bool {
        let state = self.lock();
        let waits = |state: &mut State| !state.stopped;
        !self
            .bell
            .wait_timeout_while(state, time, waits)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .stopped
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_nudge_counts_only_for_a_watcher_that_dozes() {
        let alarm = Alarm::new();
        alarm.nudge();
        assert_eq!(alarm.sleep(Some(Duration::ZERO)), Woken::Due);
        alarm.doze_off();
        alarm.nudge();
        alarm.nudge();
        assert_eq!(alarm.sleep(None), Woken::Nudged);
        assert_eq!(alarm.sleep(Some(Duration::ZERO)), Woken::Due);
    }

    #[test]
    fn stopping_is_for_good() {
        let alarm = Alarm::new();
        assert!(alarm.pause(Duration::ZERO));
        alarm.doze_off();
        alarm.nudge();
        alarm.stop();
        assert_eq!(alarm.sleep(None), Woken::Stopped);
        assert_eq!(alarm.sleep(None), Woken::Stopped);
        assert!(!alarm.pause(Duration::from_secs(3600)));
    }
}
