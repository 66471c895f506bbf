//! Requests and their keys' nodes: where a request goes, how one with many keys is split among nodes, and how the
//! replies of the parts become one.

use alloc::vec;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt::{Display, Formatter, Result as FmtResult};

use super::Ring;
use crate::client::Value;
use crate::command::{Keys, find};

/// The parts of a request, one a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// In the order in which the nodes first occur. One part where the request goes to one node as it is.
    pub parts: Vec<Part>,
    join: Join,
}

/// What one node gets of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of the node in the ring.
    pub node: usize,
    /// Which words of the request make up the part, the command's name first.
    pub words: Vec<usize>,
}

/// How replies become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// There is only one.
    Only,
    /// Arrays whose elements belong to the keys (MGET).
    Elements,
    /// Numbers that are added up (DEL, UNLINK, EXISTS, TOUCH).
    Sum,
    /// OK if all are (MSET).
    Ok,
}

/// Why a request has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SplitError {
    /// There is not even the name of a command.
    NoArguments,
    /// The command concerns no key, so it belongs to no node, or to all.
    NoKey,
    /// Its keys are on different nodes, and the command cannot be split (RENAME, MSETNX).
    CrossNode,
    /// There is no node, or all are ejected.
    NoNode,
}

impl Display for SplitError {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(match self {
            Self::NoArguments => "a request needs at least the name of a command",
            Self::NoKey => "the command has no key that would tell its node",
            Self::CrossNode => "its keys are on different nodes; a hash tag keeps keys together",
            Self::NoNode => "there is no node for its key: none at all, or all are down",
        })
    }
}

impl Error for SplitError {}

impl Split {
    /// Finds the nodes of a request's keys, the command's name first. A command that this cache does not know is taken
    /// to have one key, its first argument.
    ///
    /// # Errors
    /// Where the request has no place, or more than one and cannot be split.
    ///
    /// ```
    /// use ant_cache_core::ring::{Node, Ring, RingOptions, Split};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ring = Ring::new(RingOptions::default(), ["anna", "berta"].map(Node::new))?;
    /// let split = Split::new(&ring, &["MGET", "a", "b", "c"])?;
    /// assert_eq!(split.parts.iter().map(|part| part.words.len() - 1).sum::<usize>(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new<A: AsRef<[u8]>>(ring: &Ring, args: &[A]) -> Result<Self, SplitError> {
        let name = args.first().ok_or(SplitError::NoArguments)?.as_ref();
        let keys = find(name).map_or(Keys::ONE, |command| command.keys);
        let place = |key: usize| ring.place(args[key].as_ref()).ok_or(SplitError::NoNode);
        let mut keys = keys.of(args.len());
        let first = keys.next().ok_or(SplitError::NoKey)?;
        let node = place(first)?;
        let mut homes = vec![(first, node)];
        for key in keys {
            homes.push((key, place(key)?));
        }
        let (join, width) = splits(name).unwrap_or((Join::Only, 1));
        let words = args.len() - 1;
        // Where a key lacks its value, the server has the right words for that.
        if homes.iter().all(|(_, other)| *other == node) || !words.is_multiple_of(width) {
            let words = (0..args.len()).collect();
            return Ok(Self {
                parts: vec![Part { node, words }],
                join,
            });
        }
        if join == Join::Only {
            return Err(SplitError::CrossNode);
        }
        let mut parts: Vec<Part> = Vec::new();
        for (key, node) in homes {
            let words = key..key + width;
            match parts.iter_mut().find(|part| part.node == node) {
                Some(part) => part.words.extend(words),
                None => {
                    let words = core::iter::once(0).chain(words).collect();
                    parts.push(Part { node, words });
                }
            }
        }
        Ok(Self { parts, join })
    }

    /// One reply of the replies to the parts, in their order. `None` stands for a node that is down and is to look
    /// empty: its values are null, it counts nothing, and what it was to store is not stored, which makes the reply
    /// null. If a node answers with an error, the first one is the reply.
    #[must_use]
    pub fn join(&self, mut replies: Vec<Option<Value>>) -> Value {
        let is_error = |reply: &Option<Value>| matches!(reply, Some(Value::Error(_)));
        let error = replies.iter().position(is_error);
        // The reply of one node is the reply.
        let whole = error.or((self.parts.len() == 1).then_some(0));
        if let Some(Some(reply)) = whole
            .and_then(|index| replies.get_mut(index))
            .map(Option::take)
        {
            return reply;
        }
        let joined = match self.join {
            Join::Only => Some(Value::Null),
            Join::Elements => self.elements(replies),
            Join::Sum => sum(replies),
            Join::Ok if replies.contains(&None) => Some(Value::Null),
            Join::Ok => replies.into_iter().next().flatten(),
        };
        joined.unwrap_or_else(|| {
            Value::Error(b"ERR the reply of a node does not fit the command".into())
        })
    }

    fn elements(&self, replies: Vec<Option<Value>>) -> Option<Value> {
        let keys = self.parts.iter().map(|part| part.words.len() - 1).sum();
        let mut all = vec![Value::Null; keys];
        for (part, reply) in self.parts.iter().zip(replies) {
            let keys = &part.words[1..];
            match reply {
                None => {}
                Some(Value::Array(elements)) if elements.len() == keys.len() => {
                    for (key, element) in keys.iter().zip(elements) {
                        all[key - 1] = element;
                    }
                }
                Some(_) => return None,
            }
        }
        Some(Value::Array(all))
    }
}

fn sum(replies: Vec<Option<Value>>) -> Option<Value> {
    let mut sum = 0_i64;
    for reply in replies {
        match reply {
            None => {}
            Some(Value::Integer(number)) => sum = sum.checked_add(number)?,
            Some(_) => return None,
        }
    }
    Some(Value::Integer(sum))
}

/// How the replies of a command that can be split become one, and how many words go with each key, itself included.
fn splits(name: &[u8]) -> Option<(Join, usize)> {
    let splits: [(&str, Join, usize); 6] = [
        ("mget", Join::Elements, 1),
        ("mset", Join::Ok, 2),
        ("del", Join::Sum, 1),
        ("unlink", Join::Sum, 1),
        ("exists", Join::Sum, 1),
        ("touch", Join::Sum, 1),
    ];
    let known = |known: &&(&str, Join, usize)| name.eq_ignore_ascii_case(known.0.as_bytes());
    let (_, join, width) = splits.iter().find(known)?;
    Some((*join, *width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{KeyHash, Node, RingOptions};
    use alloc::string::String;
    use proptest::prelude::*;

    fn ring() -> Ring {
        // Not FNV: it puts keys of one byte side by side, so on one node.
        let options = RingOptions {
            hash: KeyHash::Murmur3,
            ..RingOptions::default()
        };
        Ring::new(options, ["a", "b", "c"].map(Node::new)).unwrap()
    }

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn a_request_with_one_key_goes_to_its_node_as_it_is() {
        let ring = ring();
        for args in [
            &["GET", "k"][..],
            &["set", "k", "v", "EX", "10"],
            &["MGET", "k"],
            &["UNKNOWN", "k", "x"],
            &["RENAME", "k", "k"],
            // A value is missing.
            &["MSET", "k", "v", "l", "v", "m"],
        ] {
            let split = Split::new(&ring, args).unwrap();
            assert_eq!(split.parts.len(), 1, "{args:?}");
            assert_eq!(Some(split.parts[0].node), ring.place(b"k"));
            assert_eq!(split.parts[0].words, (0..args.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_has_no_place_is_said() {
        let ring = ring();
        let refused = |args: &[&str]| Split::new(&ring, args).unwrap_err();
        assert_eq!(refused(&[]), SplitError::NoArguments);
        assert_eq!(refused(&["PING"]), SplitError::NoKey);
        assert_eq!(refused(&["KEYS", "*"]), SplitError::NoKey);
        assert_eq!(refused(&["GET"]), SplitError::NoKey);
        let other = (0..)
            .map(|i| alloc::format!("{i}"))
            .find(|key| ring.place(key.as_bytes()) != ring.place(b"k"));
        let other = other.unwrap();
        assert_eq!(refused(&["RENAME", "k", &other]), SplitError::CrossNode);
        assert_eq!(
            refused(&["MSETNX", "k", "1", &other, "2"]),
            SplitError::CrossNode
        );
        let mut empty = ring.clone();
        (0..3).for_each(|number| empty.eject(number));
        assert_eq!(Split::new(&empty, &["GET", "k"]), Err(SplitError::NoNode));
    }

    #[test]
    fn a_node_that_looks_empty() {
        let ring = ring();
        let keys = ["1", "2", "3", "4", "5", "6", "7", "8"];
        let request = |name| core::iter::once(name).chain(keys).collect::<Vec<_>>();
        let split = Split::new(&ring, &request("MGET")).unwrap();
        assert_eq!(split.parts.len(), 3);
        assert_eq!(
            split.join(vec![None, None, None]),
            Value::Array(vec![Value::Null; 8])
        );
        let split = Split::new(&ring, &request("DEL")).unwrap();
        assert_eq!(
            split.join(vec![None, Some(Value::Integer(2)), None]),
            Value::Integer(2)
        );
        let split = Split::new(&ring, &request("MSET")).unwrap();
        let ok = Some(Value::Status(b"OK".into()));
        assert_eq!(
            split.join(vec![ok.clone(); split.parts.len()]),
            ok.clone().unwrap()
        );
        let mut replies = vec![ok; split.parts.len()];
        replies[1] = None;
        assert_eq!(split.join(replies), Value::Null);
        let split = Split::new(&ring, &["DEL", "1"]).unwrap();
        assert_eq!(split.join(vec![None]), Value::Integer(0));
        let split = Split::new(&ring, &["GET", "1"]).unwrap();
        assert_eq!(split.join(vec![None]), Value::Null);
    }

    #[test]
    fn an_error_of_one_node_is_the_reply_and_nonsense_is_called_so() {
        let ring = ring();
        let split = Split::new(&ring, &["EXISTS", "1", "2", "3", "4", "5", "6", "7", "8"]).unwrap();
        let one = Some(Value::Integer(1));
        let error = Value::Error(b"NOAUTH".into());
        let replies = vec![one.clone(), Some(error.clone()), None];
        assert_eq!(split.join(replies), error);
        for nonsense in [bulk("1"), Value::Null, Value::Integer(i64::MAX)] {
            let joined = split.join(vec![one.clone(), Some(nonsense), one.clone()]);
            assert!(matches!(joined, Value::Error(_)), "{joined:?}");
        }
        let split = Split::new(&ring, &["MGET", "1", "2", "3", "4", "5", "6", "7", "8"]).unwrap();
        let joined = split.join(vec![None, None, Some(Value::Array(vec![]))]);
        assert!(matches!(joined, Value::Error(_)), "{joined:?}");
    }

    proptest! {
        /// Nodes that hold nothing but a name for each key: what MGET joins is what each key's own node has, in order.
        #[test]
        fn values_come_back_in_the_order_of_the_keys(keys in proptest::collection::vec("[a-z]{0,3}", 1..40)) {
            let ring = ring();
            let args: Vec<String> = core::iter::once("mget".into()).chain(keys.iter().cloned()).collect();
            let split = Split::new(&ring, &args).unwrap();
            let value = |node: usize, key: &str| bulk(&alloc::format!("{key} of {node}"));
            let replies = split.parts.iter().map(|part| {
                assert_eq!(part.words[0], 0);
                let values = part.words[1..].iter().map(|word| value(part.node, &args[*word]));
                Some(Value::Array(values.collect()))
            });
            let replies = replies.collect();
            let expected = keys.iter().map(|key| value(ring.place(key.as_bytes()).unwrap(), key));
            prop_assert_eq!(split.join(replies), Value::Array(expected.collect()));
        }

        /// Every pair of MSET is in the part of its key's node, once.
        #[test]
        fn pairs_stay_together(keys in proptest::collection::vec("[a-z]{0,3}", 1..40)) {
            let ring = ring();
            let pairs = keys.iter().flat_map(|key| [key.clone(), alloc::format!("value of {key}")]);
            let args: Vec<String> = core::iter::once("MSET".into()).chain(pairs).collect();
            let split = Split::new(&ring, &args).unwrap();
            let mut seen = Vec::new();
            for part in &split.parts {
                for pair in part.words[1..].chunks(2) {
                    prop_assert_eq!(pair[0] + 1, pair[1]);
                    prop_assert_eq!(ring.place(args[pair[0]].as_bytes()), Some(part.node));
                    seen.push(pair[0]);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..keys.len()).map(|i| 1 + 2 * i).collect::<Vec<_>>());
        }
    }
}
