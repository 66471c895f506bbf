//! What a ring is made of: nodes, the settings, and what can be wrong with them.

use alloc::format;
use alloc::string::String;
use core::error::Error;
use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;

use super::KeyHash;

/// A node: its name, by which keys are placed, and its share of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    name: String,
    weight: u32,
}

impl Node {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 255;

    /// A node with a name, of weight 1. The name decides which keys the node has, not where it is: one that moves to
    /// another machine keeps its keys if it keeps its name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: 1,
        }
    }

    /// A node that is named as twemproxy names a server without a name: `host:port`, and only `host` where the port
    /// is memcached's 11211.
    ///
    /// ```
    /// use ant_cache_core::ring::Node;
    /// assert_eq!(Node::at("10.0.0.1", 8890).name(), "10.0.0.1:8890");
    /// assert_eq!(Node::at("10.0.0.1", 11211).name(), "10.0.0.1");
    /// ```
    #[must_use]
    pub fn at(host: &str, port: u16) -> Self {
        match port {
            11211 => Self::new(host),
            port => Self::new(format!("{host}:{port}")),
        }
    }

    /// The same node with another weight: one of weight 2 has twice as many keys as one of weight 1.
    #[must_use]
    pub fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The weight.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Whether it can stand in a ring.
    pub(super) fn check(&self) -> Result<(), RingError> {
        if self.name.is_empty() || self.name.len() > Self::MAX_NAME {
            return Err(RingError::NameLength(self.name.len()));
        }
        if self.weight == 0 {
            return Err(RingError::NoWeight(self.name.clone()));
        }
        Ok(())
    }
}

/// How a ring places keys. Whoever shares the nodes must use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingOptions {
    /// Which node has which hash. Default [`Distribution::Ketama`].
    pub distribution: Distribution,
    /// The hash of a key. Default [`KeyHash::Fnv1a64`].
    pub hash: KeyHash,
    /// Which part of a key is hashed. Default none: the whole key.
    pub hash_tag: Option<HashTag>,
}

/// How hashes are shared out among the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Distribution {
    /// `ketama`: 160 points a node on a circle, exactly where twemproxy puts them. With few nodes the shares differ
    /// by some 10 %.
    #[default]
    Ketama,
    /// `rendezvous`: each node draws a number for each key, the highest has it. Even shares at any weights; the work
    /// of a look-up grows with the number of nodes.
    Rendezvous,
    /// `jump`: even shares without a table. It depends on the order of the nodes, not on their names: add new ones
    /// behind the others.
    Jump,
    /// `modula`: the hash modulo the weights' sum, over the nodes in the order of their names, short names first, as
    /// twemproxy does it. Nearly all keys move when a node comes or goes.
    Modula,
}

impl Distribution {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Ketama, Self::Rendezvous, Self::Jump, Self::Modula];

    /// The name in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ketama => "ketama",
            Self::Rendezvous => "rendezvous",
            Self::Jump => "jump",
            Self::Modula => "modula",
        }
    }
}

impl Display for Distribution {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.pad(self.name())
    }
}

impl FromStr for Distribution {
    type Err = RingError;

    fn from_str(name: &str) -> Result<Self, RingError> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| RingError::UnknownDistribution(name.into()))
    }
}

/// Two bytes; what stands between them in a key is hashed in place of the whole key, so that keys with the same tag
/// are on the same node.
///
/// Between the first opening byte and the next closing one; if there is nothing between them, or one of them is
/// missing, the whole key counts.
///
/// ```
/// use ant_cache_core::ring::HashTag;
/// let tag: HashTag = "{}".parse().unwrap();
/// assert_eq!(tag.part(b"user:{42}:name"), b"42");
/// assert_eq!(tag.part(b"user:{}:{42}"), b"user:{}:{42}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashTag {
    /// The byte in front of the part.
    pub open: u8,
    /// The byte behind it; may be the same.
    pub close: u8,
}

impl HashTag {
    /// The part of a key that is hashed.
    #[must_use]
    pub fn part(self, key: &[u8]) -> &[u8] {
        let find = |byte, from: &[u8]| from.iter().position(|other| *other == byte);
        let Some(open) = find(self.open, key) else {
            return key;
        };
        let inside = &key[open + 1..];
        match find(self.close, inside) {
            Some(len) if len > 0 => &inside[..len],
            _ => key,
        }
    }
}

impl FromStr for HashTag {
    type Err = RingError;

    fn from_str(text: &str) -> Result<Self, RingError> {
        match *text.as_bytes() {
            [open, close] => Ok(Self { open, close }),
            _ => Err(RingError::HashTag(text.into())),
        }
    }
}

/// Settings or nodes of which no ring can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingError {
    /// No hash has this name.
    UnknownHash(String),
    /// No distribution has this name.
    UnknownDistribution(String),
    /// A hash tag that is not two bytes.
    HashTag(String),
    /// A node's name is empty or longer than [`Node::MAX_NAME`]: it has so many bytes.
    NameLength(usize),
    /// The node of this name has weight 0.
    NoWeight(String),
    /// Two nodes have this name.
    DuplicateName(String),
}

impl Display for RingError {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Self::UnknownHash(name) => {
                let known = KeyHash::ALL.map(KeyHash::name).join(", ");
                write!(f, "there is no hash '{name}'; there are {known}")
            }
            Self::UnknownDistribution(name) => {
                let known = Distribution::ALL.map(Distribution::name).join(", ");
                write!(f, "there is no distribution '{name}'; there are {known}")
            }
            Self::HashTag(text) => {
                write!(f, "'{text}' is no hash tag: two bytes, such as {{}}")
            }
            Self::NameLength(0) => f.write_str("a node needs a name"),
            Self::NameLength(len) => {
                let max = Node::MAX_NAME;
                write!(f, "a node's name has {len} bytes, more than {max}")
            }
            Self::NoWeight(name) => write!(f, "the weight of node '{name}' is 0"),
            Self::DuplicateName(name) => write!(f, "two nodes are called '{name}'"),
        }
    }
}

impl Error for RingError {}
