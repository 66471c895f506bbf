//! The monitor: a thread that watches the lanes while there is something to watch.
//!
//! Every [`PERIOD`] it looks whether a leader is stuck, and lets a spare take over. Once a second of activity it
//! judges the pool's size and the balance between lanes. When nothing has happened for a while it goes to sleep, and
//! the next leader that starts to work wakes it, so an idle server makes no system calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ant_cache_host::Woken;
use ant_cache_host::lane::{
    Advice, Balance, Evidence, PERIOD, Phase, SUSPENSE, Sizing, Step, Suspect,
};

use super::Pool;
use super::crew::Order;
use super::lane::{Lane, Mail};

/// Looks without anything new after which the monitor sleeps. Requests that come further apart than this wake it each
/// time, which costs a context switch a tenth of a second at most.
const QUIET: u32 = 5;

/// Runs until the pool's alarm is stopped.
pub(super) fn run(pool: &Arc<Pool>, workers: usize) {
    let mut monitor = Monitor::new(pool, workers);
    loop {
        pool.monitor.doze_off();
        if monitor.is_quiet() {
            monitor.rest();
            if pool.monitor.sleep(None) == Woken::Stopped {
                return;
            }
            monitor.begin_window();
        } else {
            pool.monitor.stay_up();
        }
        let mut quiet = 0;
        while quiet < QUIET {
            let period = if monitor.has_suspect() {
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

/// What the monitor remembers of a lane.
#[derive(Debug, Default)]
struct Watched {
    suspect: Suspect,
    /// Turns at the last look.
    turns: u64,
    /// Nanoseconds worked, and turns, at the beginning of the window.
    window: (u64, u64),
}

struct Monitor<'a> {
    pool: &'a Arc<Pool>,
    lanes: Vec<Watched>,
    sizing: Sizing,
    balance: Balance,
    window: Instant,
}

impl<'a> Monitor<'a> {
    fn new(pool: &'a Arc<Pool>, workers: usize) -> Self {
        Self {
            pool,
            lanes: pool.lanes.iter().map(|_| Watched::default()).collect(),
            sizing: Sizing::new(workers, pool.lanes.len()),
            balance: Balance::new(),
            window: Instant::now(),
        }
    }

    /// Whether no lane works, and none has since the last look.
    fn is_quiet(&self) -> bool {
        let still = |(lane, watched): (&Lane, &Watched)| {
            lane.lease.peek().1 != Phase::Working && lane.load.turns.load(Relaxed) == watched.turns
        };
        self.pool.lanes.iter().zip(&self.lanes).all(still)
    }

    fn has_suspect(&self) -> bool {
        self.lanes
            .iter()
            .any(|watched| watched.suspect.is_suspect())
    }

    /// Before the sleep: the numbers of an idle pool.
    fn rest(&mut self) {
        for lane in &self.pool.lanes {
            lane.load.busy.store(0, Relaxed);
        }
        self.publish(0, 0);
    }

    /// Looks at every lane once. True where something happens.
    fn look(&mut self) -> bool {
        let (mut active, mut working, mut queue) = (false, 0, 0);
        for (index, lane) in self.pool.lanes.iter().enumerate() {
            let watched = &mut self.lanes[index];
            let (seen, turns) = (lane.lease.peek(), lane.load.turns.load(Relaxed));
            if seen.1 == Phase::Working {
                working += 1;
                queue += lane.load.queue.load(Relaxed);
            }
            active |= seen.1 == Phase::Working || turns != watched.turns;
            watched.turns = turns;
            if watched
                .suspect
                .look(seen, turns, || evidence(lane.load.leader.load(Relaxed)))
            {
                self.take_over(index, seen.0);
            }
        }
        let (threads, parked) = self.pool.crew.count();
        // Those who neither lead nor are parked were deposed, and are still in their turn.
        let deposed = threads.saturating_sub(parked + self.pool.lanes.len());
        self.sizing.look(queue, working + deposed);
        self.publish(queue, working + deposed);
        if self.sizing.is_due() {
            self.judge(threads);
        }
        active
    }

    fn publish(&self, queue: usize, busy: usize) {
        let (threads, parked) = self.pool.crew.count();
        let stats = self.pool.host.pool();
        stats.workers.set(threads as u64);
        stats.parked.set(parked as u64);
        stats.queue.set(queue as u64);
        stats.busy.set(busy as u64);
    }

    /// Lets a spare lead a lane whose leader is stuck.
    fn take_over(&self, index: usize, generation: u64) {
        let lane = &self.pool.lanes[index];
        let Some(desk) = self.pool.crew.spare() else {
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
            None => self.pool.crew.take_back(desk),
        }
    }

    fn begin_window(&mut self) {
        self.window = Instant::now();
        for (lane, watched) in self.pool.lanes.iter().zip(&mut self.lanes) {
            watched.window = (
                lane.load.worked.load(Relaxed),
                lane.load.turns.load(Relaxed),
            );
        }
    }

    /// The end of a window: is the pool too large or too small, are the lanes equally busy?
    fn judge(&mut self, threads: usize) {
        let elapsed = self.window.elapsed().as_secs_f64().max(f64::EPSILON);
        let (mut busy, mut worked, mut turns) = (Vec::new(), 0, 0);
        for (lane, watched) in self.pool.lanes.iter().zip(&self.lanes) {
            let lane_worked = lane.load.worked.load(Relaxed) - watched.window.0;
            worked += lane_worked;
            turns += lane.load.turns.load(Relaxed) - watched.window.1;
            let part = (Duration::from_nanos(lane_worked).as_secs_f64() / elapsed).min(1.0);
            lane.load.busy.store((part * 1000.0) as u32, Relaxed);
            busy.push(part);
        }
        self.begin_window();
        let task_time = Duration::from_nanos(worked / turns.max(1));
        self.pool
            .host
            .pool()
            .task_time
            .set(u64::try_from(task_time.as_micros()).unwrap_or(u64::MAX));
        match self.sizing.judge(threads, task_time) {
            Step::Stay => {}
            Step::Grow(n) => self.grow(n, "the pool has too much to do"),
            Step::Shrink(n) => self.shrink(n),
        }
        match self.balance.judge(&busy) {
            Advice::Leave => {}
            Advice::Count(lane) => self.pool.lanes[lane].post([Mail::Count]),
            Advice::Move { from, to, share } => {
                self.pool.lanes[from].post([Mail::Give { to, share }])
            }
        }
    }

    fn grow(&self, n: usize, why: &str) {
        let room = self.sizing.most().saturating_sub(self.pool.crew.count().0);
        let hired = (0..n.min(room)).take_while(|_| match self.pool.crew.hire(self.pool, None) {
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
                workers = self.pool.crew.count().0,
                "workers added: {why}"
            );
        }
    }

    fn shrink(&self, n: usize) {
        let gone = self.pool.crew.dismiss(n);
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

#[cfg(test)]
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
