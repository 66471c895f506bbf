//! What is asked for: kinds of requests and how often each.

use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;

use super::random::Random;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// The password, once a connection.
    Auth,
    Ping,
    Set,
    Get,
    SetNx,
    /// An array of [`Op::ELEMENTS`] values.
    Sets,
    /// An object of [`Op::ELEMENTS`] fields.
    SetX,
    Incr,
    /// [`Op::MANY`] keys in one request.
    MSet,
    MGet,
}

impl Op {
    /// All of them, in the order of their discriminants.
    pub(super) const ALL: [Self; 10] = [
        Self::Auth,
        Self::Ping,
        Self::Set,
        Self::Get,
        Self::SetNx,
        Self::Sets,
        Self::SetX,
        Self::Incr,
        Self::MSet,
        Self::MGet,
    ];

    /// Keys of a request that takes many, as in redis-benchmark.
    pub(super) const MANY: u64 = 10;

    /// Elements of an array, fields of an object.
    pub(super) const ELEMENTS: u64 = 5;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Ping => "ping",
            Self::Set => "set",
            Self::Get => "get",
            Self::SetNx => "setnx",
            Self::Sets => "sets",
            Self::SetX => "setx",
            Self::Incr => "incr",
            Self::MSet => "mset",
            Self::MGet => "mget",
        }
    }

    /// Whether `--ttl` gives what it sets a time to live.
    pub(super) fn takes_ttl(self) -> bool {
        matches!(self, Self::Set | Self::SetNx | Self::Sets | Self::SetX)
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut choices = Self::ALL.into_iter().filter(|op| *op != Self::Auth);
        choices.clone().find(|op| op.name() == name).ok_or_else(|| {
            let first = choices.next().map_or("", Self::name);
            let rest: String = choices.map(|op| format!(", {}", op.name())).collect();
            format!("'{name}' is none of {first}{rest}")
        })
    }
}

/// Operations by weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mix(Vec<(Op, u64)>);

impl Mix {
    pub(super) fn only(op: Op) -> Self {
        Self(vec![(op, 1)])
    }

    /// So many SETs to so many GETs; not both 0.
    pub(super) fn sets_to_gets(sets: u32, gets: u32) -> Self {
        let both = [(Op::Set, sets.into()), (Op::Get, gets.into())];
        Self(both.into_iter().filter(|&(_, weight)| weight > 0).collect())
    }

    pub(super) fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        self.0.iter().map(|&(op, _)| op)
    }

    #[inline]
    pub(super) fn pick(&self, random: &mut Random) -> Op {
        match self.0[..] {
            [(op, _)] => op,
            _ => {
                let total = self.0.iter().map(|&(_, weight)| weight).sum();
                let mut at = random.below(total);
                for &(op, weight) in &self.0 {
                    if at < weight {
                        return op;
                    }
                    at -= weight;
                }
                self.0[0].0
            }
        }
    }
}

/// `SETS:GETS`, such as `1:9`.
impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let weights = text
            .split_once(':')
            .and_then(|(sets, gets)| Some((sets.parse().ok()?, gets.parse().ok()?)));
        match weights {
            Some((0, 0)) | None => Err(format!(
                "'{text}' is not of the form SETS:GETS, such as 1:9"
            )),
            Some((sets, gets)) => Ok(Self::sets_to_gets(sets, gets)),
        }
    }
}

impl Display for Mix {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self.0[..] {
            [(op, _)] => f.write_str(op.name()),
            _ => {
                for (index, (op, weight)) in self.0.iter().enumerate() {
                    let gap = if index > 0 { " : " } else { "" };
                    write!(f, "{gap}{weight} {}", op.name())?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_keeps_its_weights() {
        let mix: Mix = "1:3".parse().unwrap();
        let mut random = Random::new(1);
        let sets = (0..40_000)
            .filter(|_| mix.pick(&mut random) == Op::Set)
            .count();
        assert!((9_500..10_500).contains(&sets), "{sets}");
        assert_eq!("0:1".parse::<Mix>().unwrap(), Mix::only(Op::Get));
        for wrong in ["", "1", "0:0", "1:", "-1:2", "1:2:3"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn kinds_by_name() {
        for op in Op::ALL {
            assert_eq!(op.name().parse().ok(), (op != Op::Auth).then_some(op));
        }
        assert_eq!(
            "lpush".parse::<Op>().unwrap_err(),
            "'lpush' is none of ping, set, get, setnx, sets, setx, incr, mset, mget"
        );
    }
}
