//! What goes when memory runs out.

use core::fmt;

/// Which entries go when a write would pass the bound on memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// Those least likely to be asked for again, by recency and frequency; how much each counts follows the load.
    #[default]
    Adaptive,
    /// Those whose last use is longest ago.
    Lru,
    /// Any.
    Random,
    /// Those whose time to live ends first; without one, those written first.
    Ttl,
    /// None: a write that can need memory is refused, reads and deletes go on.
    None,
}

impl Eviction {
    /// All policies in the order of their declaration, the default first.
    pub const ALL: [Self; 5] = [
        Self::Adaptive,
        Self::Lru,
        Self::Random,
        Self::Ttl,
        Self::None,
    ];

    /// The name in settings and in INFO.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Lru => "lru",
            Self::Random => "random",
            Self::Ttl => "ttl",
            Self::None => "none",
        }
    }

    /// The name that Redis has for the policy; [`name`](Self::name) where it has no such policy.
    #[must_use]
    pub const fn redis_name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Lru => "allkeys-lru",
            Self::Random => "allkeys-random",
            Self::Ttl => "volatile-ttl",
            Self::None => "noeviction",
        }
    }

    /// The policy of this name, ours or Redis's, in any case. Redis's policies that do not exist here mean none of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| {
            [policy.name(), policy.redis_name()]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        })
    }
}

impl fmt::Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_found_by_both_names() {
        for (place, policy) in Eviction::ALL.into_iter().enumerate() {
            assert_eq!(policy as usize, place);
            assert_eq!(Eviction::from_name(policy.name()), Some(policy));
            assert_eq!(Eviction::from_name(policy.redis_name()), Some(policy));
        }
        assert_eq!(Eviction::from_name("AllKeys-LRU"), Some(Eviction::Lru));
        for unknown in ["", "volatile-lru", "allkeys-lfu", "lru "] {
            assert_eq!(Eviction::from_name(unknown), None, "{unknown}");
        }
    }
}
