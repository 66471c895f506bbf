//! Which cores the servers get, and which the load: so that neither takes the other's.

use core::fmt::{Display, Formatter, Result as FmtResult};
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Half of the cores each, or the only one together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::bench) struct Cores {
    server: Vec<usize>,
    load: Vec<usize>,
}

impl Cores {
    /// Divides the cores that this process may use.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub(in crate::bench) fn divide() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let all = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        Ok(Self::of(all.collect()))
    }

    fn of(all: Vec<usize>) -> Self {
        if all.len() < 2 {
            return Self {
                server: all.clone(),
                load: all,
            };
        }
        let (server, load) = all.split_at(all.len() / 2);
        Self {
            server: server.to_vec(),
            load: load.to_vec(),
        }
    }

    /// How many a server has.
    pub(in crate::bench) fn server(&self) -> u32 {
        self.server.len() as u32
    }

    /// How many the load has.
    pub(in crate::bench) fn load(&self) -> u32 {
        self.load.len() as u32
    }

    /// Puts this thread, and what it starts from now on, where servers run.
    pub(super) fn enter_server(&self) -> io::Result<()> {
        enter(&self.server)
    }

    /// Puts this thread, and what it starts from now on, where the load runs.
    pub(super) fn enter_load(&self) -> io::Result<()> {
        enter(&self.load)
    }
}

fn enter(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

impl Display for Cores {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let list = |cores: &[usize]| {
            let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
            cores.join(", ")
        };
        if self.server == self.load {
            write!(f, "server and load share core {}", list(&self.server))
        } else {
            let (server, load) = (list(&self.server), list(&self.load));
            write!(f, "server on core {server}, load on core {load}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_cores_each() {
        let of = |all: &[usize]| Cores::of(all.to_vec()).to_string();
        assert_eq!(of(&[3]), "server and load share core 3");
        assert_eq!(of(&[0, 1]), "server on core 0, load on core 1");
        assert_eq!(of(&[0, 2, 4]), "server on core 0, load on core 2, 4");
    }
}
