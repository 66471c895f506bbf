//! The monitor: a thread that watches the lanes while there is something to watch.
//!
//! Every [`PERIOD`] it looks whether a leader is stuck, and lets a spare take over. Once a second of activity it
//! judges the pool's size and the balance between lanes ([`Watch`] has the rules). When nothing has happened for a
//! while it goes to sleep, and the next leader that starts to work wakes it, so an idle server makes no system calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::crew::{Crew, Order};
use super::{Mail, Places, Pool};
use crate::Woken;
use crate::lane::{Advice, Evidence, Muster, PERIOD, SUSPENSE, Sight, Step, Watch, Window};

/// Looks without anything new after which the monitor sleeps. Requests that come further apart than this wake it each
/// time, which costs a context switch a tenth of a second at most.
const QUIET: u32 = 5;

/// Runs until the pool's alarm is stopped.
pub(super) fn run<P: Places>(pool: &Arc<Pool<P>>, crew: &Arc<Crew<P>>, workers: usize) {
    let mut monitor = Monitor {
        pool,
        crew,
        watch: Watch::new(workers, pool.lanes.len()),
        begun: Instant::now(),
    };
    loop {
        pool.monitor.doze_off();
        if monitor.watch.is_quiet(monitor.sights()) {
            monitor.rest();
            if pool.monitor.sleep(None) == Woken::Stopped {
                return;
            }
            let sights = monitor.sights();
            monitor.watch.begin_window(monitor.begun.elapsed(), sights);
        } else {
            pool.monitor.stay_up();
        }
        let mut quiet = 0;
        while quiet < QUIET {
            let period = if monitor.watch.has_suspect() {
                SUSPENSE
            } else {
                PERIOD
            };
            if !pool.monitor.pause(period) {
                return;
            }
            quiet = if monitor.look() { 0 } else { quiet + 1 };
        }
    }
}

struct Monitor<'a, P: Places> {
    pool: &'a Arc<Pool<P>>,
    crew: &'a Arc<Crew<P>>,
    watch: Watch,
    begun: Instant,
}

impl<P: Places> Monitor<'_, P> {
    fn sights(&self) -> Vec<Sight> {
        self.pool.lanes.iter().map(|lane| lane.sight()).collect()
    }

    /// Before the sleep: the numbers of an idle pool.
    fn rest(&self) {
        for lane in &self.pool.lanes {
            lane.load.busy.store(0, Relaxed);
        }
        self.publish(0, 0);
    }

    /// Looks at every lane once. True where something happens.
    fn look(&mut self) -> bool {
        let (workers, parked) = self.crew.count();
        let lanes = &self.pool.lanes;
        let seen = self.watch.look(
            self.begun.elapsed(),
            &self.sights(),
            Muster { workers, parked },
            |index| evidence(lanes[index].load.leader.load(Relaxed)),
        );
        for (index, generation) in seen.stuck {
            self.take_over(index, generation);
        }
        self.publish(seen.queue, seen.busy);
        if let Some(window) = seen.window {
            self.obey(&window);
        }
        seen.active
    }

    fn publish(&self, queue: usize, busy: usize) {
        let (threads, parked) = self.crew.count();
        let stats = self.pool.host.pool();
        stats.workers.set(threads as u64);
        stats.parked.set(parked as u64);
        stats.queue.set(queue as u64);
        stats.busy.set(busy as u64);
    }

    /// Lets a spare lead a lane whose leader is stuck.
    fn take_over(&self, index: usize, generation: u64) {
        let lane = &self.pool.lanes[index];
        let Some(desk) = self.crew.spare() else {
            // It will be there at the next look.
            self.grow(1, "no spare for a lane whose leader is stuck");
            return;
        };
        match lane.lease.depose(generation) {
            Some(hold) => {
                desk.give(Order::Lead(index, hold));
                self.pool.host.pool().taken_over.add(1);
                tracing::info!(
                    lane = index,
                    "a turn takes too long; a spare has taken its lane over"
                );
            }
            None => self.crew.take_back(desk),
        }
    }

    /// Does what follows from a window.
    fn obey(&self, window: &Window) {
        for (lane, busy) in self.pool.lanes.iter().zip(&window.busy) {
            lane.load.busy.store((busy * 1000.0) as u32, Relaxed);
        }
        let micros = u64::try_from(window.task_time.as_micros()).unwrap_or(u64::MAX);
        self.pool.host.pool().task_time.set(micros);
        match window.size {
            Step::Stay => {}
            Step::Grow(n) => self.grow(n, "the pool has too much to do"),
            Step::Shrink(n) => self.shrink(n),
        }
        match window.balance {
            Advice::Leave => {}
            Advice::Count(lane) => self.pool.lanes[lane].post([Mail::Count]),
            Advice::Move { from, to, share } => {
                self.pool.lanes[from].post([Mail::Give { to, share }]);
            }
        }
    }

    fn grow(&self, n: usize, why: &str) {
        let room = self.watch.most().saturating_sub(self.crew.count().0);
        let hired = (0..n.min(room)).take_while(|_| match self.crew.hire(None) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "no thread for one more worker");
                false
            }
        });
        let hired = hired.count();
        if hired > 0 {
            self.pool.host.pool().grown.add(hired as u64);
            tracing::info!(
                by = hired,
                workers = self.crew.count().0,
                "workers added: {why}"
            );
        }
    }

    fn shrink(&self, n: usize) {
        let gone = self.crew.dismiss(n);
        if gone > 0 {
            self.pool.host.pool().shrunk.add(gone as u64);
            tracing::info!(by = gone, "workers dismissed: the pool has little to do");
        }
    }
}

/// What the system says about a thread of this process. `None` where it is gone, or the system keeps no such books.
fn evidence(thread: u32) -> Option<Evidence> {
    let read = |file| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
    let cpu = read("schedstat")?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    // The state follows the name, which is in parentheses and may contain anything.
    let state = read("stat")?
        .rsplit_once(')')?
        .1
        .trim_start()
        .chars()
        .next()?;
    Some(Evidence {
        cpu: Duration::from_nanos(cpu),
        blocked: matches!(state, 'S' | 'D'),
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_a_thread_does() {
        let me = rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
        let before = evidence(me).unwrap();
        assert!(!before.blocked, "it runs: it asks");
        let mut spent = before;
        while spent.cpu == before.cpu {
            spent = evidence(me).unwrap();
        }
        assert!(spent.cpu > before.cpu);
        assert_eq!(evidence(u32::MAX), None);
    }
}
