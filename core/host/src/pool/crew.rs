//! The worker threads: some lead lanes, the others are parked as spares.
//!
//! A parked thread costs a stack and nothing else: it waits for its own bell, so any number of spares makes nothing
//! slower. The spare that was parked last is used first, while its stack is still in the caches.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Places, Pool};
use crate::lane::Hold;

/// What a worker is told to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Lead the lane of this index.
    Lead(usize, Hold),
    /// End.
    Leave,
}

/// Where one spare waits for its order.
#[derive(Debug, Default)]
pub(super) struct Desk {
    order: Mutex<Option<Order>>,
    bell: Condvar,
}

impl Desk {
    pub(super) fn give(&self, order: Order) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
        self.bell.notify_one();
    }

    fn wait(&self) -> Order {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match order.take() {
                Some(order) => return order,
                None => {
                    order = self
                        .bell
                        .wait(order)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    parked: Vec<Arc<Desk>>,
    threads: usize,
    leaving: bool,
}

/// All workers of a pool.
#[derive(Debug)]
pub(super) struct Crew<P: Places> {
    pool: Arc<Pool<P>>,
    stack_size: usize,
    state: Mutex<State>,
    /// Signalled when the last thread ends.
    empty: Condvar,
}

impl<P: Places> Crew<P> {
    pub(super) fn new(pool: &Arc<Pool<P>>, stack_size: usize) -> Self {
        Self {
            pool: Arc::clone(pool),
            stack_size,
            state: Mutex::default(),
            empty: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Threads: all of them, and those that are parked.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.lock();
        (state.threads, state.parked.len())
    }

    /// Adds a worker, which begins with `order` or as a spare.
    pub(super) fn hire(self: &Arc<Self>, order: Option<Order>) -> io::Result<()> {
        self.lock().threads += 1;
        let worker = Worker(Arc::clone(self));
        // Where there is no thread to be had, the closure is dropped, and the worker signs off.
        thread::Builder::new()
            .name("worker".into())
            .stack_size(self.stack_size)
            .spawn(move || worker.run(order))?;
        Ok(())
    }

    /// A spare, to be given an order.
    pub(super) fn spare(&self) -> Option<Arc<Desk>> {
        self.lock().parked.pop()
    }

    /// Takes a spare back that was given none.
    pub(super) fn take_back(&self, desk: Arc<Desk>) {
        let mut state = self.lock();
        if state.leaving {
            desk.give(Order::Leave);
        } else {
            state.parked.push(desk);
        }
    }

    /// Lets at most `n` spares go. Returns how many went.
    pub(super) fn dismiss(&self, n: usize) -> usize {
        let mut state = self.lock();
        let stay = state.parked.len().saturating_sub(n);
        let leaving = state.parked.split_off(stay);
        leaving.iter().for_each(|desk| desk.give(Order::Leave));
        leaving.len()
    }

    /// Lets everyone go, and waits until they are gone, at most for `patience`. Returns how many are still there.
    pub(super) fn disband(&self, patience: Duration) -> usize {
        self.lock().leaving = true;
        self.dismiss(usize::MAX);
        let busy = |state: &mut State| state.threads > 0;
        self.empty
            .wait_timeout_while(self.lock(), patience, busy)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .threads
    }

    fn park(&self, desk: &Arc<Desk>) -> Order {
        {
            let mut state = self.lock();
            if state.leaving {
                return Order::Leave;
            }
            state.parked.push(Arc::clone(desk));
        }
        desk.wait()
    }
}

/// One worker thread. Dropping it signs it off.
struct Worker<P: Places>(Arc<Crew<P>>);

impl<P: Places> Worker<P> {
    fn run(self, mut order: Option<Order>) {
        let pool = &self.0.pool;
        let desk = Arc::new(Desk::default());
        let thread = rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
        // Most spares never lead, and each set of counters is summed for every INFO.
        let mut stats = None;
        loop {
            match order.take().unwrap_or_else(|| self.0.park(&desk)) {
                Order::Leave => return,
                Order::Lead(index, hold) => {
                    let stats = stats.get_or_insert_with(|| pool.host.service().counters());
                    pool.lanes[index].lead(pool, index, hold, stats, thread);
                }
            }
        }
    }
}

impl<P: Places> Drop for Worker<P> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.threads -= 1;
        if state.threads == 0 {
            self.0.empty.notify_all();
        }
    }
}
