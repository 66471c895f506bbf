//! The distributions: from a hash to a node.

use alloc::format;
use alloc::vec::Vec;

use super::hash::md5_words;
use super::node::{Distribution, Node};

/// A node that may get keys, and its number.
pub(super) type Live<'a> = (usize, &'a Node);

/// One of the distributions, with what it has worked out from the live nodes.
#[derive(Clone, Debug)]
pub(super) enum Placement {
    Ketama(Circle),
    Rendezvous(Draw),
    Jump(Slots),
    Modula(Shares),
}

impl Placement {
    /// One without nodes.
    pub(super) fn new(distribution: Distribution) -> Self {
        match distribution {
            Distribution::Ketama => Self::Ketama(Circle::default()),
            Distribution::Rendezvous => Self::Rendezvous(Draw::default()),
            Distribution::Jump => Self::Jump(Slots::default()),
            Distribution::Modula => Self::Modula(Shares::default()),
        }
    }

    /// A node is put behind the others.
    pub(super) fn added(&mut self, number: usize, weight: u32) {
        if let Self::Jump(slots) = self {
            slots.add(number, weight);
        }
    }

    /// A node goes, and those behind it move up.
    pub(super) fn removed(&mut self, number: usize) {
        if let Self::Jump(slots) = self {
            slots.remove(number);
        }
    }

    /// From now on these nodes get the keys.
    pub(super) fn share_out(&mut self, live: &[Live<'_>]) {
        match self {
            Self::Ketama(circle) => *circle = Circle::new(live),
            Self::Rendezvous(draw) => *draw = Draw::new(live),
            Self::Jump(slots) => slots.stand_ins = Draw::new(live),
            Self::Modula(shares) => *shares = Shares::new(live),
        }
    }

    /// The node that has this hash, if any node is live.
    pub(super) fn node(&self, hash: u32) -> Option<usize> {
        match self {
            Self::Ketama(circle) => circle.node(hash),
            Self::Rendezvous(draw) => draw.node(hash),
            Self::Jump(slots) => slots.node(hash),
            Self::Modula(shares) => shares.node(hash),
        }
    }
}

/// The order in which twemproxy goes through the nodes, whatever its settings' order: by name, short ones first.
fn sorted<'a>(live: &[Live<'a>]) -> Vec<Live<'a>> {
    let mut sorted = live.to_vec();
    sorted.sort_by_key(|(_, node)| (node.name().len(), node.name()));
    sorted
}

/// Ketama: points on a circle, in ascending order. The hash belongs to the node of the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Circle(Vec<(u32, usize)>);

impl Circle {
    fn new(live: &[Live<'_>]) -> Self {
        let total: u64 = live.iter().map(|(_, node)| u64::from(node.weight())).sum();
        let mut points = Vec::with_capacity(live.len() * 160);
        for (number, node) in sorted(live) {
            // In twemproxy's 32-bit steps: their rounding is why equal weights and 25 nodes give 156 points each.
            let share = node.weight() as f32 / total as f32;
            let quadruples = (share * 160.0 / 4.0 * live.len() as f32) as u32;
            for point in 0..quadruples {
                let words = md5_words(format!("{}-{point}", node.name()).as_bytes());
                points.extend(words.map(|word| (word, number)));
            }
        }
        // Stable: of two equal points the one of the earlier name comes first.
        points.sort_by_key(|(point, _)| *point);
        Self(points)
    }

    fn node(&self, hash: u32) -> Option<usize> {
        let next = self.0.partition_point(|(point, _)| *point < hash);
        let point = self.0.get(next).or_else(|| self.0.first());
        point.map(|(_, number)| *number)
    }

    /// How many points a node has.
    #[cfg(test)]
    pub(super) fn points(&self, number: usize) -> usize {
        self.0.iter().filter(|point| point.1 == number).count()
    }
}

/// Rendezvous: each node draws a number for each key; weights are met exactly (the logarithmic method).
#[derive(Clone, Debug, Default)]
pub(super) struct Draw(Vec<Drawer>);

#[derive(Clone, Debug)]
struct Drawer {
    number: usize,
    seed: u64,
    weight: f64,
}

impl Draw {
    fn new(live: &[Live<'_>]) -> Self {
        let drawer = |&(number, node): &Live<'_>| {
            let [low, high, ..] = md5_words(node.name().as_bytes());
            Drawer {
                number,
                seed: u64::from(high) << 32 | u64::from(low),
                weight: node.weight().into(),
            }
        };
        Self(live.iter().map(drawer).collect())
    }

    fn node(&self, hash: u32) -> Option<usize> {
        let key = mix(hash.into());
        let draw = |drawer: &Drawer| {
            // Inside (0, 1): 52 bits and a half are exact in 53. libm computes the same on every machine.
            let drawn = ((mix(drawer.seed ^ key) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            -libm::log(drawn) / drawer.weight
        };
        let draws = self.0.iter().map(|drawer| (draw(drawer), drawer.number));
        let first = draws.min_by(|one, other| one.0.total_cmp(&other.0))?;
        Some(first.1)
    }
}

/// Jump: a row of slots, as many to a node as it weighs. A slot whose node is gone or not live stays in the row, and
/// its keys are drawn for among the live ones: so no other key moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    runs: Vec<Run>,
    /// Has the live nodes.
    stand_ins: Draw,
}

#[derive(Clone, Debug)]
struct Run {
    /// The slot behind the last.
    end: u64,
    /// None where the node has been removed.
    number: Option<usize>,
}

impl Slots {
    fn end(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }

    fn add(&mut self, number: usize, weight: u32) {
        let end = self.end() + u64::from(weight);
        let number = Some(number);
        self.runs.push(Run { end, number });
    }

    fn remove(&mut self, removed: usize) {
        for run in &mut self.runs {
            run.number = match run.number {
                Some(number) if number == removed => None,
                Some(number) if number > removed => Some(number - 1),
                other => other,
            };
        }
        while self.runs.last().is_some_and(|run| run.number.is_none()) {
            self.runs.pop();
        }
    }

    fn node(&self, hash: u32) -> Option<usize> {
        let slot = jump(mix(hash.into()), self.end());
        let run = self.runs.partition_point(|run| run.end <= slot);
        let number = self.runs.get(run)?.number;
        let is_live = |number: &usize| self.stand_ins.has(*number);
        number.filter(is_live).or_else(|| self.stand_ins.node(hash))
    }
}

impl Draw {
    /// Whether the node takes part. The numbers ascend.
    fn has(&self, number: usize) -> bool {
        let found = self.0.binary_search_by_key(&number, |drawer| drawer.number);
        found.is_ok()
    }
}

/// Lamping and Veach's jump consistent hash: the last of the buckets that the key would have jumped to while their
/// number grew from one to `buckets`.
pub(super) fn jump(mut key: u64, buckets: u64) -> u64 {
    let (mut bucket, mut next) = (0, 0);
    while next < buckets {
        bucket = next;
        key = key.wrapping_mul(0x27bb_2ee6_87b0_b0fd).wrapping_add(1);
        let stride = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * stride) as u64;
    }
    bucket
}

/// Modula: the hash modulo the sum of the weights; each node has a share of the remainders as large as its weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(Vec<(u64, usize)>);

impl Shares {
    fn new(live: &[Live<'_>]) -> Self {
        let mut end = 0;
        let share = |(number, node): Live<'_>| {
            end += u64::from(node.weight());
            (end, number)
        };
        Self(sorted(live).into_iter().map(share).collect())
    }

    fn node(&self, hash: u32) -> Option<usize> {
        let (total, _) = self.0.last()?;
        let remainder = u64::from(hash) % total;
        let share = self.0.partition_point(|(end, _)| *end <= remainder);
        self.0.get(share).map(|(_, number)| *number)
    }
}

/// The finalizer of SplitMix64: spreads the 32 bits of a hash, however weak, over 64.
const fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
