//! A whole server and its clients in one thread, with a clock and a network that a seed decides.
//!
//! One seed is one run: clients send random commands on few keys, in both dialects, cut into packets at random; the
//! network delays them; sessions get their turns in random order, with budgets so small that long commands take many;
//! clients read slowly, hang up, or end in the middle; time passes now and then. All of that goes through the real
//! `Link`, `Session`, `Service` and `Store`; only the sockets are made up (`wire.rs`).
//!
//! The judge is a naive model of the commands (`model.rs`), which executes them in the order in which the sessions did:
//! a turn is atomic, and the counters tell how many commands it completed. Commands of one key, and those of up to 256
//! keys, must have the model's reply to the byte. Of the others as much as is promised is checked:
//!
//! - KEYS gives every key once that was there from its first to its last turn, and none that was not there in between.
//! - A whole SCAN gives every key that was there throughout, and each step only keys that are there.
//! - A large value is read as it was at one moment of the command.
//! - MGET, EXISTS and DEL of more keys are atomic for each 256 of them.
//!
//! Besides: replies come in the order of the requests; no session waits for what has already happened (a run ends when
//! nobody wants anything, and then everything is answered); nobody wants a turn for nothing; a connection ends only for
//! a reason, and what was answered before arrives; expired keys are removed within a second.
//!
//! `ANT_CACHE_SIM_SEED=n` repeats the run of one seed, `ANT_CACHE_SIM_RUNS=n` makes more runs than usual.

mod client;
mod command;
mod model;
mod swarm;
mod wire;
mod world;

use swarm::Swarm;
use world::World;

/// Runs of the short form, which takes some seconds.
const RUNS: u64 = 200;

/// Seeds that found a bug once.
const FOUND: &[u64] = &[];

#[test]
fn seeds_that_found_a_bug() {
    FOUND.iter().copied().for_each(run);
}

#[test]
fn random_seeds() {
    match (number("ANT_CACHE_SIM_SEED"), number("ANT_CACHE_SIM_RUNS")) {
        (Some(seed), _) => run(seed),
        (None, runs) => (0..runs.unwrap_or(RUNS)).for_each(run),
    }
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

fn run(seed: u64) {
    let _note = Note(seed);
    let swarm = Swarm::new(seed);
    let mut world = World::new(&swarm);
    for _ in 0..swarm.steps {
        world.step();
    }
    world.end();
}

/// Tells the seed of a run that fails.
struct Note(u64);

impl Drop for Note {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat it with ANT_CACHE_SIM_SEED={}", self.0);
        }
    }
}
