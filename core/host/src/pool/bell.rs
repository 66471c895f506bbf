//! How a connection of a pool is reached from any thread: its waker is a letter to the lane where it is.

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::Wake;

use super::{Mail, Places, Pool};
use crate::lane::{Token, Whereabouts};

/// A pool, whatever its places are.
trait Reach: fmt::Debug + Send + Sync {
    /// Posts the letter that says who has called.
    fn post(&self, lane: usize, bell: Arc<Bell>);
}

impl<P: Places> Reach for Pool<P> {
    fn post(&self, lane: usize, bell: Arc<Bell>) {
        self.lanes[lane].post([Mail::Wake(bell)]);
    }
}

/// The waker of one connection, for its whole life and in whichever lane it is.
#[derive(Debug)]
pub struct Bell {
    whereabouts: Whereabouts,
    /// Whoever keeps a waker does not keep the pool.
    pool: Weak<dyn Reach>,
}

impl Bell {
    pub(super) fn new<P: Places>(pool: Weak<Pool<P>>) -> Self {
        Self {
            whereabouts: Whereabouts::new(),
            pool,
        }
    }

    pub(super) fn settle(&self, lane: usize, token: Token) {
        self.whereabouts.settle(lane, token);
    }

    pub(super) fn answer(&self, lane: usize) -> Option<Token> {
        self.whereabouts.answer(lane)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(lane) = self.whereabouts.call()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.post(lane, Arc::clone(self));
        }
    }
}
