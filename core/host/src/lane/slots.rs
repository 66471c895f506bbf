//! A table whose entries are found by tokens that outlive them safely.

/// A place in [`Slots`]: an index and the generation of what is stored there. A token of something removed finds
/// nothing, even if the place is used again, so events and timers may arrive late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    /// The token as one number, for a poller's user data. Never `u64::MAX`.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The token of [`to_bits`](Self::to_bits).
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values with stable places; see [`Token`].
#[derive(Debug)]
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slots<T> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores a value.
    ///
    /// # Panics
    /// With 4,294,967,295 values, which no system has descriptors for.
    pub fn insert(&mut self, value: T) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len())
                .ok()
                .filter(|&index| index < u32::MAX);
            self.slots.push(Slot {
                generation: 0,
                value: None,
            });
            index.expect("fewer connections than descriptors")
        });
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        Token {
            index,
            generation: slot.generation,
        }
    }

    /// The value of `token`.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(token.index as usize)?;
        if slot.generation == token.generation {
            slot.value.as_mut()
        } else {
            None
        }
    }

    /// Takes the value of `token` out.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.slots.get_mut(token.index as usize)?;
        if slot.generation != token.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.index);
        Some(value)
    }

    /// All values with their tokens.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut T)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(index, slot)| {
                // The index fits: insert made it.
                let token = Token {
                    index: index as u32,
                    generation: slot.generation,
                };
                slot.value.as_mut().map(|value| (token, value))
            })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_late_token_finds_nothing() {
        let mut slots = Slots::new();
        let old = slots.insert('a');
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b');
        assert_ne!(old, new);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get_mut(new), Some(&mut 'b'));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)) {
            let (mut slots, mut map, mut tokens) = (Slots::new(), HashMap::new(), Vec::new());
            for (number, (insert, which)) in steps.into_iter().enumerate() {
                if insert || tokens.is_empty() {
                    let token = slots.insert(number);
                    prop_assert_eq!(token, Token::from_bits(token.to_bits()));
                    prop_assert_ne!(token.to_bits(), u64::MAX);
                    prop_assert_eq!(map.insert(token, number), None);
                    tokens.push(token);
                } else {
                    let token = *which.get(&tokens);
                    prop_assert_eq!(slots.get_mut(token).copied(), map.get(&token).copied());
                    prop_assert_eq!(slots.remove(token), map.remove(&token));
                }
                prop_assert_eq!(slots.len(), map.len());
                let all: HashMap<_, _> = slots.iter_mut().map(|(token, value)| (token, *value)).collect();
                prop_assert_eq!(&all, &map);
            }
        }
    }
}
