//! A deadline that is moved much more often than it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Timer;

/// A deadline. Every request moves it; to tell the timers each time would cost more than the request. So a timer that was
/// set for an earlier moment is left as it is, and set again if the deadline has not passed when it rings: once in the
/// time of a timeout, however many requests there are.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    timer: Option<(Instant, Timer)>,
    /// The moment, and how long it was away.
    moment: Option<(Instant, Duration)>,
}

impl Deadline {
    /// From now on it passes after `limit`; never, where there is none.
    pub(super) fn set(&mut self, limit: Option<Duration>) {
        // What lies further away than a moment can is never.
        self.moment = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
    }

    /// Ready when it has passed, with how long it was away.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some((moment, limit)) = self.moment else {
            return Poll::Pending;
        };
        loop {
            if Instant::now() >= moment {
                return Poll::Ready(limit);
            }
            let (rings, timer) = self
                .timer
                .get_or_insert_with(|| (moment, Timer::at(moment)));
            if *rings > moment {
                timer.set_at(moment);
                *rings = moment;
            }
            ready!(Pin::new(&mut *timer).poll(cx));
            timer.set_at(moment);
            *rings = moment;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_fn};

    fn passed(deadline: &mut Deadline) -> Duration {
        block_on(poll_fn(|cx| deadline.poll_passed(cx)))
    }

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn it_passes_not_before_its_moment_however_it_was_moved() {
        let mut deadline = Deadline::default();
        for (first, then) in [(SHORT, SHORT * 4), (LONG, SHORT), (SHORT, SHORT)] {
            deadline.set(Some(first));
            block_on(poll_fn(|cx| {
                assert!(deadline.poll_passed(cx).is_pending() || first == SHORT);
                Poll::Ready(())
            }));
            let start = Instant::now();
            deadline.set(Some(then));
            assert_eq!(passed(&mut deadline), then);
            assert!(start.elapsed() >= then);
        }
    }

    #[test]
    fn without_a_limit_it_never_passes() {
        let mut deadline = Deadline::default();
        for limit in [None, Some(Duration::MAX)] {
            deadline.set(limit);
            block_on(poll_fn(|cx| {
                assert!(deadline.poll_passed(cx).is_pending());
                Poll::Ready(())
            }));
        }
    }
}
