//! Which node of several has which key.
//!
//! A [`Ring`] is a list of nodes and a rule that everybody who shares the nodes computes alike: no node is asked, no
//! state is exchanged. The rule is a [`Distribution`] over a [`KeyHash`]; with [`Distribution::Ketama`] it is twemproxy's
//! to the last point, so that programs behind the proxy and programs with this ring find each other's keys.
//!
//! ```
//! use ant_cache_core::ring::{Node, Ring, RingOptions};
//!
//! # fn main() -> Result<(), ant_cache_core::ring::RingError> {
//! let nodes = ["anna", "berta", "clara"].map(Node::new);
//! let mut ring = Ring::new(RingOptions::default(), nodes)?;
//! let before = ring.place(b"user:1").expect("there are nodes");
//!
//! // A fourth node takes a quarter of the keys; every other stays where it is.
//! let dora = ring.add(Node::new("dora"))?;
//! let after = ring.place(b"user:1").expect("there are nodes");
//! assert!(after == before || after == dora);
//! # Ok(())
//! # }
//! ```
//!
//! Nodes are known by their number, the place in the list. A node can be *ejected* ([`Ring::eject`]): it stays in the
//! list, and its keys go to the others until it is restored. [`Health`] says when to do either, and [`Split`] where the
//! requests of a client go.

mod hash;
mod health;
mod node;
mod place;
mod split;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

pub use hash::KeyHash;
pub use health::{Admission, Health, HealthOptions};
pub use node::{Distribution, HashTag, Node, RingError, RingOptions};
use place::{Live, Placement};
pub use split::{Part, Split, SplitError};

/// Nodes, and which of them has which key.
#[derive(Clone, Debug)]
pub struct Ring {
    options: RingOptions,
    nodes: Vec<Node>,
    /// Whether the node of the same number is ejected.
    ejected: Vec<bool>,
    placement: Placement,
}

impl Ring {
    /// A ring of these nodes, numbered from 0 in their order; of none, as well.
    ///
    /// # Errors
    /// A node without weight, with a name that is empty or too long, or two with the same name.
    pub fn new(
        options: RingOptions,
        nodes: impl IntoIterator<Item = Node>,
    ) -> Result<Self, RingError> {
        let mut ring = Self {
            options,
            nodes: Vec::new(),
            ejected: Vec::new(),
            placement: Placement::new(options.distribution),
        };
        for node in nodes {
            ring.push(node)?;
        }
        ring.share_out();
        Ok(ring)
    }

    /// How keys are placed.
    #[must_use]
    pub const fn options(&self) -> &RingOptions {
        &self.options
    }

    /// The nodes by number, ejected ones among them.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The number of the node that has this key; nothing where there is no node, or all are ejected.
    #[must_use]
    pub fn place(&self, key: &[u8]) -> Option<usize> {
        let part = match self.options.hash_tag {
            None => key,
            Some(tag) => tag.part(key),
        };
        // Twemproxy's rule, of which some of the hashes know nothing.
        let hash = if part.is_empty() {
            0
        } else {
            self.options.hash.of(part)
        };
        self.placement.node(hash)
    }

    /// The number of the node of this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name() == name)
    }

    /// Puts a node behind the others and returns its number. Except with [`Distribution::Modula`] only keys that the
    /// new node gets move.
    ///
    /// # Errors
    /// As [`Ring::new`]; the ring stays as it was.
    pub fn add(&mut self, node: Node) -> Result<usize, RingError> {
        self.push(node)?;
        self.share_out();
        Ok(self.nodes.len() - 1)
    }

    /// Takes a node out of the list; those behind it move up by one. Except with [`Distribution::Modula`] only the
    /// keys that it had move.
    ///
    /// With [`Distribution::Jump`] a node that is not the last leaves its slots behind, vacant: a ring that is made anew
    /// from the remaining nodes places keys differently. Once no node stands behind vacant slots they are given up,
    /// and the keys that the others kept for them move as well.
    ///
    /// # Panics
    /// If there is no node of this number.
    pub fn remove(&mut self, number: usize) -> Node {
        let node = self.nodes.remove(number);
        self.ejected.remove(number);
        self.placement.removed(number);
        self.share_out();
        node
    }

    /// Gives the keys of a node to the others until [`Ring::restore`], as if it were removed; it keeps its number.
    ///
    /// # Panics
    /// If there is no node of this number.
    pub fn eject(&mut self, number: usize) {
        self.set_ejected(number, true);
    }

    /// Gives an ejected node its keys back.
    ///
    /// # Panics
    /// If there is no node of this number.
    pub fn restore(&mut self, number: usize) {
        self.set_ejected(number, false);
    }

    /// Whether a node is ejected.
    ///
    /// # Panics
    /// If there is no node of this number.
    #[must_use]
    pub fn is_ejected(&self, number: usize) -> bool {
        self.ejected[number]
    }

    fn set_ejected(&mut self, number: usize, ejected: bool) {
        if self.ejected[number] != ejected {
            self.ejected[number] = ejected;
            self.share_out();
        }
    }

    fn push(&mut self, node: Node) -> Result<(), RingError> {
        node.check()?;
        if self.position(node.name()).is_some() {
            return Err(RingError::DuplicateName(node.name().into()));
        }
        self.placement.added(self.nodes.len(), node.weight());
        self.nodes.push(node);
        self.ejected.push(false);
        Ok(())
    }

    fn share_out(&mut self) {
        let nodes = self.nodes.iter().enumerate();
        let live: Vec<Live<'_>> = nodes.filter(|(number, _)| !self.ejected[*number]).collect();
        self.placement.share_out(&live);
    }
}
