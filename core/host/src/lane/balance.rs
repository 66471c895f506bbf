//! Which lane a connection belongs to.

/// How busy one lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// The part of the last window in which it worked, from 0 to 1.
    pub busy: f64,
    /// Its connections.
    pub connections: usize,
}

/// The lane for a new connection: the one with the least busy time, of equals the one with the fewest connections.
/// Loads within an eighth are equals: connections that have just been given out show no load yet, and must not all go
/// to the lane that was a little less busy before they came.
///
/// # Panics
/// If there is no lane.
#[must_use]
pub fn choose(loads: impl IntoIterator<Item = Load>) -> usize {
    let least = loads
        .into_iter()
        .enumerate()
        .min_by_key(|(_, load)| ((load.busy * 8.0) as u32, load.connections));
    least.expect("a pool has a lane").0
}

/// What to do about lanes that are unequally busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Advice {
    /// Nothing.
    Leave,
    /// This lane should count from now on what each of its connections asks of it.
    Count(usize),
    /// Connections that make up this share (from 0 to 1) of the work of lane `from` should go to lane `to`.
    Move {
        /// The busy lane.
        from: usize,
        /// The idle lane.
        to: usize,
        /// How much of the work of `from`.
        share: f64,
    },
}

/// Judges whether lanes are unequally busy for long enough to move connections.
#[derive(Debug, Default)]
pub struct Balance {
    suspect: Option<usize>,
}

impl Balance {
    /// A lane this much busier than another, with a core's time as 1, has too much.
    const GAP: f64 = 0.25;

    /// One that has seen no loads.
    #[must_use]
    pub const fn new() -> Self {
        Self { suspect: None }
    }

    /// Judges the window that has just ended, given the busy part of each lane.
    pub fn judge(&mut self, busy: &[f64]) -> Advice {
        let indexed = || busy.iter().copied().enumerate();
        let (Some((from, most)), Some((to, least))) = (
            indexed().max_by(|a, b| a.1.total_cmp(&b.1)),
            indexed().min_by(|a, b| a.1.total_cmp(&b.1)),
        ) else {
            return Advice::Leave;
        };
        if most - least < Self::GAP {
            self.suspect = None;
            return Advice::Leave;
        }
        if self.suspect.replace(from) != Some(from) {
            return Advice::Count(from);
        }
        // Counted anew for the next move.
        self.suspect = None;
        Advice::Move {
            from,
            to,
            share: (most - least) / 2.0 / most,
        }
    }
}

/// Which connections to move, given what each asked of its lane: at most `share` of the whole, the greatest first.
/// A single connection that is most of the load stays where it is: it would only take the load with it.
#[must_use]
pub fn select<T: Copy>(asked: impl IntoIterator<Item = (T, u32)>, share: f64) -> Vec<T> {
    let mut asked: Vec<_> = asked.into_iter().filter(|(_, asked)| *asked > 0).collect();
    asked.sort_by_key(|(_, asked)| core::cmp::Reverse(*asked));
    let whole: f64 = asked.iter().map(|(_, asked)| f64::from(*asked)).sum();
    let mut room = whole * share;
    let mut selected = Vec::new();
    for (which, asked) in asked {
        if f64::from(asked) <= room {
            room -= f64::from(asked);
            selected.push(which);
        }
    }
    selected
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn load(busy: f64, connections: usize) -> Load {
        Load { busy, connections }
    }

    #[test]
    fn a_connection_goes_to_the_lane_with_the_most_time() {
        assert_eq!(choose([load(0.9, 1), load(0.1, 50)]), 1);
        assert_eq!(choose([load(0.12, 3), load(0.02, 4)]), 0, "equally busy");
    }

    #[test]
    fn connections_are_dealt_out_evenly_to_idle_lanes() {
        let mut lanes = [load(0.0, 0); 3];
        for _ in 0..30 {
            lanes[choose(lanes)].connections += 1;
        }
        assert_eq!(lanes, [load(0.0, 10); 3]);
    }

    #[test]
    fn a_gap_that_lasts_is_halved() {
        let mut balance = Balance::new();
        assert_eq!(balance.judge(&[0.8, 0.2]), Advice::Count(0));
        assert_eq!(
            balance.judge(&[0.5, 1.0]),
            Advice::Count(1),
            "it went the other way"
        );
        assert_eq!(
            balance.judge(&[0.5, 1.0]),
            Advice::Move {
                from: 1,
                to: 0,
                share: 0.25
            }
        );
        assert_eq!(balance.judge(&[0.5, 0.5]), Advice::Leave);
        assert_eq!(balance.judge(&[]), Advice::Leave);
        assert_eq!(balance.judge(&[1.0]), Advice::Leave);
    }

    #[test]
    fn what_moves_is_no_more_than_the_share() {
        assert_eq!(select([('a', 100)], 0.5), [], "all the load would move");
        assert_eq!(select([('a', 50), ('b', 50)], 0.5), ['a']);
        assert_eq!(
            select([('a', 60), ('b', 30), ('c', 10), ('d', 0)], 0.4),
            ['b', 'c']
        );
        assert_eq!(select([('a', 0)], 0.5), []);
    }
}
