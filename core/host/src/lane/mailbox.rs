//! How other threads reach a lane's leader: new connections, connections that a deposed leader brings back, the end.
//!
//! The leader sleeps in a poller, so mail may need a notification, which costs a system call; a leader that works
//! looks into the mailbox before it polls again, so it needs none. Two orders meet here, each with a full fence in the
//! middle:
//!
//! ```text
//! sender: fill the mailbox, fence, read the lease      leader: rest (write the lease), fence, read the mailbox
//! ```
//!
//! One of them sees the other, so a lane is never Polling with mail and without a notification on its way. `notified`
//! saves the system call where one is on its way already. The leader clears it after each wait, whatever ended the wait:
//! a notification that comes late finds its letter taken, and no letter says that it has come. It does so while it is
//! still Polling: once it works it may be deposed, and the next leader would wait for what has come.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::sync::{AtomicBool, Mutex, fence, lock};
use super::{Lease, Phase};

/// Mail for the leader of one lane.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Mutex<Vec<T>>,
    /// Whether something is in the queue; changes under its lock.
    filled: AtomicBool,
    notified: AtomicBool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: Mutex::new(Vec::new()),
            filled: AtomicBool::new(false),
            notified: AtomicBool::new(false),
        }
    }

    /// Puts `items` in. True means that the caller must now notify the lane's poller.
    #[must_use]
    pub fn post(&self, items: impl IntoIterator<Item = T>, lease: &Lease) -> bool {
        {
            let mut queue = lock(&self.queue);
            queue.extend(items);
            self.filled.store(true, Release);
        }
        fence(SeqCst);
        lease.peek().1 == Phase::Polling && !self.notified.swap(true, AcqRel)
    }

    /// Whether nothing is in it. The leader asks between resting and waiting, and does not wait if this is false.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.filled.load(Acquire)
    }

    /// Notes that the leader's wait is over, with or without a notification, while the lane is still Polling. Where the
    /// poller was notified, its notification must be cleared before this.
    pub fn heard(&self) {
        if self.notified.load(Relaxed) {
            self.notified.store(false, Relaxed);
        }
    }

    /// Takes everything out, into `to`.
    pub fn take(&self, to: &mut Vec<T>) {
        let mut queue = lock(&self.queue);
        self.filled.store(false, Release);
        to.append(&mut queue);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_waiting_leader_is_notified_and_once_a_batch() {
        let (lease, mail) = (Lease::new(), Mailbox::new());
        assert!(!mail.post([1], &lease), "nobody leads");
        let hold = lease.claim().unwrap();
        assert!(!mail.is_empty());
        assert!(mail.post([2, 3], &lease));
        assert!(!mail.post([4], &lease), "a notification is on its way");
        mail.heard();
        lease.work(&hold);
        let mut got = Vec::new();
        mail.take(&mut got);
        assert_eq!(got, [1, 2, 3, 4]);
        assert!(mail.is_empty());
        assert!(
            !mail.post([5], &lease),
            "the leader will look before it polls"
        );
        assert!(lease.rest(&hold) && !mail.is_empty());
    }

    #[test]
    fn a_notification_that_finds_no_mail_is_heard_too() {
        let (lease, mail) = (Lease::new(), Mailbox::new());
        let hold = lease.claim().unwrap();
        assert!(mail.post([1], &lease));
        // The leader is awake for another reason, and takes the letter before the notification comes.
        lease.work(&hold);
        mail.take(&mut Vec::new());
        assert!(lease.rest(&hold) && mail.is_empty());
        mail.heard();
        assert!(mail.post([2], &lease), "the leader waits again");
    }
}
