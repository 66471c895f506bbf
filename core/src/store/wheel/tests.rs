use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Milliseconds of a window.
const WINDOW: u64 = TICK << WINDOW_BITS;

#[derive(Clone, Debug)]
enum Op {
    /// An entry comes, or gets another end.
    Set {
        key: u32,
        ttl: u64,
    },
    /// An entry goes; its items stay.
    Delete {
        key: u32,
    },
    Pass {
        millis: u64,
    },
    /// Takes out up to so many items.
    Advance {
        most: usize,
    },
}

fn operation() -> impl Strategy<Value = Op> {
    let ttl = || {
        prop_oneof![
            0..2 * WINDOW,
            0..20 * WINDOW,
            (0..42u32).prop_map(|bits| 1 << bits),
            Just(u64::MAX),
        ]
    };
    prop_oneof![
        6 => (0..200u32, ttl()).prop_map(|(key, ttl)| Op::Set { key, ttl }),
        1 => (0..200u32).prop_map(|key| Op::Delete { key }),
        2 => ttl().prop_map(|ttl| Op::Pass { millis: ttl.min(1 << 40) }),
        3 => prop_oneof![Just(usize::MAX), 0..8usize].prop_map(|most| Op::Advance { most }),
    ]
}

fn pop(wheel: &mut Wheel, now: Millis) -> Option<Remnant> {
    let mut one = [Remnant::new(0)];
    (wheel.pop(now, &mut one) > 0).then_some(one[0])
}

/// A wheel, and the entries that it is for: by remnant, their ends.
struct Pair {
    wheel: Wheel,
    ends: BTreeMap<Remnant, Millis>,
    now: Millis,
    inserted: usize,
}

impl Pair {
    /// The rule for whoever uses a wheel: an item is needed where there was no end, or a later one.
    fn set(&mut self, key: u32, end: Millis) {
        let remnant = Remnant::new(key.wrapping_mul(0x9e37_79b9));
        let old = self.ends.insert(remnant, end);
        if old.is_none_or(|old| end < old) {
            self.wheel.insert(remnant, end, self.now);
            self.inserted += 1;
        }
    }

    /// True where nothing more has come up.
    fn advance(&mut self, most: usize) -> bool {
        let mut items = [Remnant::new(0); 5];
        for _ in 0..most.div_ceil(5) {
            let count = self.wheel.pop(self.now, &mut items);
            if count == 0 {
                return true;
            }
            for &remnant in &items[..count] {
                match self.ends.get(&remnant) {
                    Some(&end) if end <= self.now => {
                        self.ends.remove(&remnant);
                    }
                    Some(&end) => self.wheel.insert(remnant, end, self.now),
                    None => {}
                }
            }
        }
        false
    }

    fn check(&self, drained: bool) {
        self.wheel.validate();
        assert!(
            self.wheel.len() <= self.inserted,
            "filing anew makes no items"
        );
        let Some(&first) = self.ends.values().min() else {
            return;
        };
        let due = self
            .wheel
            .due()
            .expect("where entries are, something comes up");
        assert!(due <= first.plus(TICK), "{due} is too late for {first}");
        if drained {
            assert!(
                first.plus(TICK) > self.now,
                "{first} is overdue at {}",
                self.now
            );
            assert!(due > self.now, "{due} was drained at {}", self.now);
        }
    }
}

proptest! {
    #[test]
    fn what_ends_comes_up_within_a_tick(
        phase in 0..1u64 << 40,
        start in prop_oneof![Just(0), Just(1u64 << 41)],
        ops in proptest::collection::vec(operation(), 1..200),
    ) {
        let mut pair = Pair { wheel: Wheel::new(phase), ends: BTreeMap::new(), now: Millis(start), inserted: 0 };
        for op in ops {
            let mut drained = false;
            match op {
                Op::Set { key, ttl } => pair.set(key, pair.now.plus(ttl)),
                Op::Delete { key } => {
                    pair.ends.remove(&Remnant::new(key.wrapping_mul(0x9e37_79b9)));
                }
                Op::Pass { millis } => pair.now = pair.now.plus(millis),
                Op::Advance { most } => drained = pair.advance(most),
            }
            pair.check(drained);
        }
    }
}

#[test]
fn an_item_comes_up_few_times_before_its_end() {
    for ttl in [
        0,
        100,
        15_000,
        60_000,
        3_600_000,
        86_400_000,
        31_536_000_000,
    ] {
        let (mut wheel, mut now) = (Wheel::new(12_345), Millis(1 << 41));
        let (remnant, end) = (Remnant::new(77), now.plus(ttl));
        wheel.insert(remnant, end, now);
        let mut times = 0;
        while let Some(due) = wheel.due() {
            now = now.max(due);
            if pop(&mut wheel, now).is_some() {
                times += 1;
                if end > now {
                    wheel.insert(remnant, end, now);
                }
            }
        }
        assert!(now >= end && now.since(end) < TICK);
        // A factor of four a step.
        let steps = (ttl / (4 * WINDOW))
            .checked_ilog2()
            .map_or(0, |bits| bits / 2 + 1);
        assert!(
            (1..=steps + 2).contains(&times),
            "{times} times for {ttl} ms"
        );
    }
}

#[test]
fn many_items_take_little_more_than_four_bytes_each() {
    let (mut wheel, now) = (Wheel::new(0), Millis(1 << 41));
    for number in 0..1_000 {
        wheel.insert(Remnant::new(number), now.plus(u64::from(number) * 60), now);
    }
    wheel.validate();
    assert!(wheel.memory() < 5_000, "{} bytes", wheel.memory());
    for number in 1_000..20_000 {
        wheel.insert(Remnant::new(number), now.plus(3_600_000), now);
    }
    wheel.validate();
    assert!(
        wheel.memory() < 20_000 * 9 / 2 + 1_000,
        "{} bytes",
        wheel.memory()
    );
    assert!(wheel.far.iter().all(|bag| bag.items.capacity() <= BAG));
    while pop(&mut wheel, now.plus(3_600_000 + TICK)).is_some() {}
    wheel.validate();
    assert_eq!((wheel.len(), wheel.due()), (0, None));
    assert!(wheel.memory() < 1_000);
}

#[test]
fn the_same_item_over_and_over_comes_up_once() {
    let (mut wheel, now) = (Wheel::new(0), Millis(1 << 41));
    for _ in 0..1_000 {
        wheel.insert(Remnant::new(5), now.plus(1_000), now);
    }
    let now = now.plus(2_000);
    assert_eq!(pop(&mut wheel, now), Some(Remnant::new(5)));
    assert_eq!(pop(&mut wheel, now), None);
    assert_eq!(wheel.len(), 0);
}
