//! What can go wrong with a request to one of many nodes.

use core::error::Error;
use core::fmt::{Display, Formatter, Result};
use core::time::Duration;
use std::sync::Arc;

use ant_cache_core::ring::SplitError;

use super::super::{Address, ClientError};

/// A request that failed, and the node that it failed at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ShardedError {
    /// The request goes to no node, or to several and cannot be split. Nothing was sent.
    Unplaced {
        /// The command's name; empty where there is none.
        command: String,
        /// Why.
        reason: SplitError,
    },
    /// A node failed, or answered with an error.
    Node {
        /// The node's name.
        node: Arc<str>,
        /// What went wrong, with the node's address.
        error: Arc<ClientError>,
    },
    /// The node has failed too often and is left alone for now. Nothing was sent to it.
    Down {
        /// The node's name.
        node: Arc<str>,
        /// Its address.
        address: Address,
        /// When it is tried again.
        retry_in: Duration,
        /// What went wrong last.
        cause: Arc<ClientError>,
    },
}

impl ShardedError {
    /// The name of the node; nothing where the request has none.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Unplaced { .. } => None,
            Self::Node { node, .. } | Self::Down { node, .. } => Some(node),
        }
    }
}

impl Display for ShardedError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Unplaced { command, reason } if command.is_empty() => reason.fmt(f),
            Self::Unplaced { command, reason } => write!(f, "{command}: {reason}"),
            Self::Node { node, error } => write!(f, "node '{node}' at {error}"),
            Self::Down {
                node,
                address,
                retry_in,
                cause,
            } => write!(
                f,
                "node '{node}' at {address}: down, to be tried again in {retry_in:?}; at last: {}",
                cause.kind()
            ),
        }
    }
}

impl Error for ShardedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unplaced { reason, .. } => Some(reason),
            Self::Node { error, .. } => Some(&**error),
            Self::Down { cause, .. } => Some(&**cause),
        }
    }
}
