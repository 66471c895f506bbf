//! Asking again and again in place of sleeping.

use std::time::{Duration, Instant};

/// A thread that gives its core away between two questions, and gets it back so late, has others to share it with: it
/// should sleep instead. A near peer answers sooner.
const TAKEN: Duration = Duration::from_micros(50);

/// How many waits sleep at once after one that polled in vain: twice as many each time, until one does not.
const AFTER_LATE: u32 = 32;

/// The most of them.
const MAX_AFTER_LATE: u32 = 1024;

/// Whether a thread that waits for something asks for it again and again before it sleeps. To be woken takes longer than
/// a near peer takes to answer.
///
/// It does so while the waits are short: after one that was not, it sleeps for some. So who sends his next request when he
/// has the reply is served by a thread that is awake, and who sends one now and then, or many at random, costs no more
/// than without.
#[derive(Debug)]
pub struct BusyPoll {
    /// Waits yet to come that sleep at once.
    sleeps: u32,
    after_late: u32,
    after_taken: u32,
}

impl BusyPoll {
    /// One that sleeps for `after_taken` waits where others want the core.
    #[must_use]
    pub const fn new(after_taken: u32) -> Self {
        Self {
            sleeps: 0,
            after_late: AFTER_LATE,
            after_taken,
        }
    }

    /// Asks until there is an answer, but no longer than for `window`; not at all where that does not pay now.
    ///
    /// # Errors
    /// What `ask` fails with.
    pub fn ask<T, E>(
        &mut self,
        window: Duration,
        mut ask: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if window.is_zero() {
            return Ok(None);
        }
        if self.sleeps > 0 {
            self.sleeps -= 1;
            return Ok(None);
        }
        // What is there already says nothing about how long it takes to come.
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        let begun = Instant::now();
        let mut spent = Duration::ZERO;
        while spent < window {
            // A peer may be waiting for this very core.
            std::thread::yield_now();
            if let Some(answer) = ask()? {
                self.after_late = AFTER_LATE;
                return Ok(Some(answer));
            }
            let now = begun.elapsed();
            if now.saturating_sub(spent) > TAKEN {
                self.sleeps = self.after_taken;
                return Ok(None);
            }
            spent = now;
        }
        self.sleeps = self.after_late;
        self.after_late = (2 * self.after_late).min(MAX_AFTER_LATE);
        Ok(None)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::convert::Infallible;

    /// Longer than anything here takes, but for a test machine that stands still.
    const LONG: Duration = Duration::from_secs(3600);

    /// A wait for an answer to that many questions; how many were asked, and whether there was one.
    fn wait(polls: &mut BusyPoll, window: Duration, questions: u32) -> (u32, bool) {
        let mut asked = 0;
        let answer = polls.ask(window, || {
            asked += 1;
            Ok::<_, Infallible>((asked == questions).then_some(()))
        });
        (asked, answer == Ok(Some(())))
    }

    /// Waits until one asks: how many did not.
    fn sleeps(polls: &mut BusyPoll, window: Duration, questions: u32) -> u32 {
        let mut slept = 0;
        while wait(polls, window, questions).0 == 0 {
            slept += 1;
        }
        slept
    }

    #[test]
    fn a_wait_in_vain_is_followed_by_sleeps_twice_as_many_each_time() {
        // Over as soon as it begins: the first question, and one more.
        let short = Duration::from_nanos(1);
        let mut polls = BusyPoll::new(0);
        assert_eq!(wait(&mut polls, short, u32::MAX), (2, false));
        for expected in [32, 64, 128, 256, 512, 1024, 1024] {
            assert_eq!(sleeps(&mut polls, short, u32::MAX), expected);
        }
        // What is there at once is no answer to that: it still sleeps as often.
        assert_eq!(sleeps(&mut polls, short, 1), 1024);
        assert_eq!(wait(&mut polls, short, u32::MAX), (2, false));
        assert_eq!(sleeps(&mut polls, short, 2), 1024);
        assert_eq!(wait(&mut polls, short, u32::MAX), (2, false));
        assert_eq!(sleeps(&mut polls, short, u32::MAX), 32);
    }

    #[test]
    fn a_core_that_others_take_is_left_to_them() {
        let mut polls = BusyPoll::new(7);
        let mut asked = 0;
        let answer = polls.ask(LONG, || {
            asked += 1;
            if asked == 2 {
                std::thread::sleep(2 * TAKEN);
            }
            Ok::<Option<()>, Infallible>(None)
        });
        assert_eq!((asked, answer), (2, Ok(None)));
        assert_eq!(sleeps(&mut polls, LONG, 1), 7);
    }

    #[test]
    fn no_window_is_no_question() {
        let mut polls = BusyPoll::new(0);
        assert_eq!(wait(&mut polls, Duration::ZERO, 1), (0, false));
        assert_eq!(wait(&mut polls, LONG, 1), (1, true));
    }
}
