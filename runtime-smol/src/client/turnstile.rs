//! A bounded number of users at a time, in the order in which they came.
//!
//! A semaphore that lets whoever asks first after a release have the permit is of no use to a pool: a task that makes
//! one request after the other takes again what it has just given back, and others wait until they give up. (With
//! `async-lock`'s, some of 20 tasks at 3 connections to a server that took 40 ms got none in 5 s; in turn it is
//! 270 ms.) So a permit is handed to the one who waits longest, and only if nobody waits is it free.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Lets a bounded number of users in.
#[derive(Debug)]
pub(super) struct Turnstile(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Permits that nobody has; 0 while anyone waits.
    free: usize,
    /// The next ticket.
    next: u64,
    /// Who waits, by ticket, in the order of their coming. Whose ticket is gone from here has a permit.
    waiting: VecDeque<(u64, Waker)>,
}

impl Turnstile {
    /// Lets `users` in at a time.
    pub(super) const fn new(users: usize) -> Self {
        Self(Mutex::new(State {
            free: users,
            next: 0,
            waiting: VecDeque::new(),
        }))
    }

    /// Waits for a permit, in turn.
    pub(super) const fn enter(&self) -> Enter<'_> {
        Enter {
            turnstile: self,
            ticket: None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self) {
        let mut state = self.state();
        match state.waiting.pop_front() {
            None => state.free += 1,
            Some((_, waker)) => {
                drop(state);
                waker.wake();
            }
        }
    }
}

/// The future of a [`Permit`]. Dropped, it gives up its place, or the permit that it was given and did not see.
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub(super) struct Enter<'t> {
    turnstile: &'t Turnstile,
    ticket: Option<u64>,
}

impl<'t> Future for Enter<'t> {
    type Output = Permit<'t>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit<'t>> {
        let turnstile = self.turnstile;
        let mut state = turnstile.state();
        match self.ticket {
            None if state.free > 0 => state.free -= 1,
            None => {
                let ticket = state.next;
                state.next += 1;
                state.waiting.push_back((ticket, cx.waker().clone()));
                self.ticket = Some(ticket);
                return Poll::Pending;
            }
            Some(own) => {
                let mut waiting = state.waiting.iter_mut();
                if let Some((_, waker)) = waiting.find(|(ticket, _)| *ticket == own) {
                    waker.clone_from(cx.waker());
                    return Poll::Pending;
                }
                self.ticket = None;
            }
        }
        Poll::Ready(Permit(turnstile))
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        let Some(own) = self.ticket else {
            return;
        };
        let mut state = self.turnstile.state();
        let place = state.waiting.iter().position(|(ticket, _)| *ticket == own);
        if let Some(place) = place {
            state.waiting.remove(place);
        } else {
            drop(state);
            self.turnstile.leave();
        }
    }
}

/// The right to be inside, until dropped.
#[derive(Debug)]
pub(super) struct Permit<'t>(&'t Turnstile);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<'t>(enter: &mut Enter<'t>) -> Option<Permit<'t>> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(enter).poll(&mut cx) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_waits_longest_is_next_and_nobody_overtakes() {
        let turnstile = Turnstile::new(1);
        let permit = poll(&mut turnstile.enter()).expect("nobody is inside");
        let (mut first, mut second) = (turnstile.enter(), turnstile.enter());
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        drop(permit);
        assert!(
            poll(&mut turnstile.enter()).is_none(),
            "the permit is handed on"
        );
        assert!(poll(&mut second).is_none());
        let permit = poll(&mut first).expect("it came first");
        drop(permit);
        drop(poll(&mut second).expect("it came second"));
        assert_eq!(turnstile.state().free, 1);
    }

    #[test]
    fn who_gives_up_loses_no_permit() {
        let turnstile = Turnstile::new(1);
        let permit = poll(&mut turnstile.enter()).expect("nobody is inside");
        let [mut first, mut second, mut third] = [(); 3].map(|()| turnstile.enter());
        assert!(
            [&mut first, &mut second, &mut third]
                .map(poll)
                .iter()
                .all(Option::is_none)
        );
        drop(second);
        drop(permit);
        // Let in, but gone before it looked.
        drop(first);
        drop(poll(&mut third).expect("it is the only one left"));
        let state = turnstile.state();
        assert!(state.free == 1 && state.waiting.is_empty());
    }
}
