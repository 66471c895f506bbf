//! Which node has which key, and which nodes are down: the rules of core for the sharded clients.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ant_cache_core::ring::{self, Admission, Health, HealthOptions, Node, RingError, RingOptions};
use ant_cache_host::process::random_bits;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

/// Which node has which key, and which nodes are down. Nodes are known by their number.
#[pyclass(frozen, module = "antcache._antcache")]
pub(crate) struct Ring {
    options: HealthOptions,
    /// Whether the keys of a node that is down go to the others.
    rehash: bool,
    start: Instant,
    state: Mutex<State>,
}

struct State {
    ring: ring::Ring,
    health: Vec<Health>,
}

fn refused(error: RingError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the ring was made.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl State {
    fn check(&self, number: usize) -> PyResult<()> {
        if number < self.health.len() {
            Ok(())
        } else {
            Err(PyIndexError::new_err(format!("there is no node {number}")))
        }
    }

    /// Gives nodes whose time has come another try: with `rehash` they get their keys back for it.
    fn restore_due(&mut self, now: u64) {
        for number in 0..self.health.len() {
            let due = self.health[number]
                .down_until()
                .is_some_and(|until| until <= now);
            if due && self.ring.is_ejected(number) {
                self.ring.restore(number);
            }
        }
    }
}

/// The settings of a ring by their names.
fn options(
    distribution: &str,
    hash: &str,
    hash_tag: Option<&str>,
) -> Result<RingOptions, RingError> {
    Ok(RingOptions {
        distribution: distribution.parse()?,
        hash: hash.parse()?,
        hash_tag: hash_tag.map(str::parse).transpose()?,
    })
}

#[pymethods]
impl Ring {
    #[new]
    #[pyo3(signature = (
        nodes, *, distribution="ketama", hash="fnv1a_64", hash_tag=None, failures=3, retry_after=1.0,
        longest_retry_after=30.0, rehash=false,
    ))]
    #[expect(clippy::too_many_arguments, reason = "settings, by name in Python")]
    fn new(
        nodes: Vec<(String, u32)>,
        distribution: &str,
        hash: &str,
        hash_tag: Option<&str>,
        failures: u32,
        retry_after: f64,
        longest_retry_after: f64,
        rehash: bool,
    ) -> PyResult<Self> {
        let millis = |name, seconds| {
            let limit = crate::client::limit(name, Some(seconds))?.unwrap_or_default();
            Ok::<_, PyErr>(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
        };
        let health = HealthOptions {
            failures,
            first_retry: millis("retry_after", retry_after)?,
            last_retry: millis("longest_retry_after", longest_retry_after)?,
        };
        let options = options(distribution, hash, hash_tag).map_err(refused)?;
        let nodes = nodes
            .into_iter()
            .map(|(name, weight)| Node::new(name).weighing(weight));
        let ring = ring::Ring::new(options, nodes).map_err(refused)?;
        Ok(Self {
            options: health,
            rehash,
            start: Instant::now(),
            state: Mutex::new(State {
                health: vec![Health::new(health); ring.nodes().len()],
                ring,
            }),
        })
    }

    /// The number of the node that has a key; `None` where all are ejected.
    fn place(&self, key: &[u8]) -> Option<usize> {
        self.lock().ring.place(key)
    }

    /// The number of the node that has a key, and whether it may be sent something now: not, while it is down, unless
    /// it is due for a try, which is then the caller's. `None` where all nodes are ejected.
    fn route(&self, key: &[u8]) -> Option<(usize, bool)> {
        let mut state = self.lock();
        let now = self.now();
        if self.rehash {
            state.restore_due(now);
        }
        while let Some(number) = state.ring.place(key) {
            let admitted = !matches!(state.health[number].admit(now), Admission::Down(_));
            if admitted || !self.rehash {
                return Some((number, admitted));
            }
            // Somebody else tries it at this moment.
            state.ring.eject(number);
        }
        None
    }

    /// A node has answered, be it with an error.
    fn succeeded(&self, number: usize) -> PyResult<()> {
        let mut state = self.lock();
        state.check(number)?;
        if state.health[number].succeeded() {
            state.ring.restore(number);
        }
        Ok(())
    }

    /// A node could not be reached, or did not answer in time. True where it is down from now on.
    fn failed(&self, number: usize) -> PyResult<bool> {
        let mut state = self.lock();
        state.check(number)?;
        let goes_down = state.health[number].failed(self.now(), random_bits());
        if self.rehash && state.health[number].down_until().is_some() {
            state.ring.eject(number);
        }
        Ok(goes_down)
    }

    /// Failures of a node since it last answered, and the seconds until it is tried again, 0 while it is up.
    fn health(&self, number: usize) -> PyResult<(u32, f64)> {
        let state = self.lock();
        state.check(number)?;
        let health = &state.health[number];
        let until = health
            .down_until()
            .map_or(0, |until| until.saturating_sub(self.now()));
        Ok((health.failures(), until as f64 / 1000.0))
    }

    /// Whether a node counts as down.
    fn is_down(&self, number: usize) -> PyResult<bool> {
        let state = self.lock();
        state.check(number)?;
        Ok(state.health[number].down_until().is_some())
    }

    /// Puts a node behind the others, and returns its number.
    fn add(&self, name: String, weight: u32) -> PyResult<usize> {
        let mut state = self.lock();
        let node = Node::new(name).weighing(weight);
        let number = state.ring.add(node).map_err(refused)?;
        state.health.push(Health::new(self.options));
        Ok(number)
    }

    /// Takes a node out; those behind it move up by one.
    fn remove(&self, number: usize) -> PyResult<()> {
        let mut state = self.lock();
        state.check(number)?;
        state.ring.remove(number);
        state.health.remove(number);
        Ok(())
    }

    /// The name that places a server's keys where nobody has given it one: as twemproxy, `host:port`.
    #[staticmethod]
    fn name(host: &str, port: u16) -> String {
        Node::at(host, port).name().to_owned()
    }
}
