//! One client for many servers.

use core::ffi::{c_char, c_void};
use core::time::Duration;

use ant_cache_core::client::Value;
use ant_cache_core::ring::{HealthOptions, Node, RingError, RingOptions, SplitError};
use ant_cache_runtime_std::client::{
    Address, OnNodeDown, ShardedClient, ShardedError, ShardedOptions,
};

use crate::boundary::{Outcome, guarded};
use crate::client;
use crate::error::{self, Failure, antcache_error};
use crate::handle::{self, Object};
use crate::memory::{self, Out};
use crate::options::{self, Settings};
use crate::pool::{self, antcache_pool_options};
use crate::reply::antcache_reply;
use crate::status::antcache_status::{self, *};

/// What becomes of requests whose node is down or fails.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum antcache_node_down {
    /// The default: they fail; while the node is down, at once.
    ANTCACHE_NODE_DOWN_FAIL = 0,
    /// They are answered as if the node were empty and stored nothing.
    ANTCACHE_NODE_DOWN_MISS = 1,
    /// They fail until the node is down; then its keys go to the other nodes, until it is up again.
    ANTCACHE_NODE_DOWN_REHASH = 2,
}

/// How a sharded client places keys and deals with nodes that are down. Begin with antcache_sharded_options_init; 0 is the
/// default in every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_sharded_options {
    /// sizeof(antcache_sharded_options).
    pub size: usize,
    /// "ketama", to the point as twemproxy has it, "rendezvous", "jump" or "modula"; NULL for ketama.
    pub distribution: *const c_char,
    /// The hash of a key, by twemproxy's names; NULL for "fnv1a_64".
    pub hash: *const c_char,
    /// Two characters, such as "{}": of a key that has both, only what is between them is hashed. NULL for none.
    pub hash_tag: *const c_char,
    /// The connections to each node; NULL for the defaults.
    pub pool: *const antcache_pool_options,
    /// How long a node that has just gone down is left alone, in milliseconds; 0 for 1000. Doubled by each retry in vain.
    pub first_retry_ms: u64,
    /// The longest that it is left alone, in milliseconds; 0 for 30,000.
    pub last_retry_ms: u64,
    /// Failures in a row after which a node is down; 0 for 3.
    pub failures: u32,
    /// A number of antcache_node_down.
    pub on_node_down: i32,
}

// SAFETY: repr(C), its size first, numbers and pointers that may be 0.
unsafe impl Settings for antcache_sharded_options {}

/// What a sharded client has seen of a node.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_node_stats {
    /// sizeof(antcache_node_stats).
    pub size: usize,
    /// Requests that were sent to it; one that was split counts once for each of its nodes.
    pub requests: u64,
    /// Times that no connection could be made, or one broke, or gave no answer in time. A pipeline counts once.
    pub failures: u64,
    /// Times that it went down.
    pub downs: u64,
    /// In how many milliseconds it is tried again, at least 1; 0 where it is up.
    pub retry_in_ms: u64,
    /// Connections that wait for use.
    pub idle: u64,
    /// Connections in use.
    pub leased: u64,
    /// Its weight.
    pub weight: u32,
    /// Its name. Ends with NUL.
    pub name: [c_char; 256],
    /// Where it is. Ends with NUL, cut where it is longer.
    pub address: [c_char; 256],
    /// What went wrong last, perhaps long ago; empty where nothing did. Ends with NUL, cut where it is longer.
    pub last_error: [c_char; 384],
}

// SAFETY: repr(C), its size first, numbers.
unsafe impl Settings for antcache_node_stats {}

/// One client for many servers, among which keys are shared out by a ring. Any number of threads may use it at once.
pub struct antcache_sharded {
    client: ShardedClient,
}

impl Object for antcache_sharded {
    const KIND: &'static [u8; 8] = b"antshard";
}

impl From<RingError> for Failure {
    fn from(error: RingError) -> Self {
        Self::new(ANTCACHE_BAD_SETTINGS, error)
    }
}

impl From<ShardedError> for Failure {
    fn from(error: ShardedError) -> Self {
        let status = match &error {
            ShardedError::Node { error, .. } => error::of_kind(error.kind()),
            ShardedError::Unplaced {
                reason: SplitError::NoNode,
                ..
            }
            | ShardedError::Down { .. } => ANTCACHE_NODE_DOWN,
            // Requests without one place, and reasons of later versions.
            _ => ANTCACHE_INVALID,
        };
        match &error {
            ShardedError::Node { node, error } if status == ANTCACHE_SERVER_ERROR => {
                Self::at(status, node, error.kind())
            }
            _ => Self::at(status, error.node().unwrap_or_default(), &error),
        }
    }
}

/// The options in the terms of the Rust client.
///
/// # Safety
/// As [`options::read`], [`memory::optional_text`] and [`pool::options`].
unsafe fn options(options: *const antcache_sharded_options) -> Result<ShardedOptions, Failure> {
    let mut found = ShardedOptions::default();
    // SAFETY: passed on.
    let Some(options) = (unsafe { options::read(options)? }) else {
        return Ok(found);
    };
    // SAFETY: passed on.
    let text = |text| unsafe { memory::optional_text(text) };
    let ring: &mut RingOptions = &mut found.ring;
    if let Some(name) = text(options.distribution)? {
        ring.distribution = name.parse()?;
    }
    if let Some(name) = text(options.hash)? {
        ring.hash = name.parse()?;
    }
    if let Some(tag) = text(options.hash_tag)? {
        ring.hash_tag = Some(tag.parse()?);
    }
    // SAFETY: passed on.
    found.pool = unsafe { pool::options(options.pool)? };
    let default = HealthOptions::default();
    let or = |given: u64, default| if given == 0 { default } else { given };
    found.health = HealthOptions {
        failures: if options.failures == 0 {
            default.failures
        } else {
            options.failures
        },
        first_retry: or(options.first_retry_ms, default.first_retry),
        last_retry: or(options.last_retry_ms, default.last_retry),
    };
    found.on_node_down = on_node_down(options.on_node_down)?;
    Ok(found)
}

fn on_node_down(number: i32) -> Outcome<OnNodeDown> {
    use antcache_node_down::*;
    let all = [
        (ANTCACHE_NODE_DOWN_FAIL, OnNodeDown::Raise),
        (ANTCACHE_NODE_DOWN_MISS, OnNodeDown::Miss),
        (ANTCACHE_NODE_DOWN_REHASH, OnNodeDown::Rehash),
    ];
    let found = all.iter().find(|(name, _)| *name as i32 == number);
    found.map(|(_, what)| *what).ok_or(ANTCACHE_INVALID)
}

/// Sets every field to its default. `size` is sizeof(antcache_sharded_options).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_options_init(
    options: *mut antcache_sharded_options,
    size: usize,
) -> antcache_status {
    // SAFETY: the conventions are those of `init`.
    unsafe { options::init(options, size) }
}

/// Makes a client without nodes. `options` may be NULL for the defaults, and `error` too. ANTCACHE_BAD_SETTINGS for a name
/// that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_new(
    options: *const antcache_sharded_options,
    sharded: *mut *mut antcache_sharded,
    error: *mut antcache_error,
) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `place` and `Out::new`.
        let (report, to) = unsafe { (error::place(error)?, Out::new(sharded)?) };
        // SAFETY: the conventions are those of `options`.
        let made = unsafe { self::options(options) }.and_then(|options| {
            let client = ShardedClient::new([], options)?;
            Ok(handle::give(antcache_sharded { client }, to)?)
        });
        error::tell(made, report)
    })
}

/// Closes all connections. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_free(sharded: *mut antcache_sharded) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(sharded) }
}

/// Adds a node. `name` decides which keys it has: a node that moves to another address keeps its keys if it keeps its name;
/// NULL for twemproxy's name of the address. `weight` is its share, 1 for all alike. It is not connected to before a
/// request needs it, and keys that are its own from now on are not moved. ANTCACHE_BAD_SETTINGS for no address, a name
/// that there is already, or a weight of 0. `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_add(
    sharded: *mut antcache_sharded,
    name: *const c_char,
    address: *const c_char,
    weight: u32,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |sharded: &antcache_sharded| {
        // SAFETY: the conventions are those of `place` and `optional_text`.
        let (report, name) = unsafe { (error::place(error)?, memory::optional_text(name)?) };
        // SAFETY: the conventions are those of `address`.
        let added = unsafe { client::address(address) }.and_then(|address| {
            let node = match (name, &address) {
                (Some(name), _) => Node::new(name),
                (None, Address::Tcp { host, port }) => Node::at(host, *port),
                (None, Address::Unix(path)) => Node::new(path.to_string_lossy()),
            };
            sharded.client.add(node.weighing(weight), address)?;
            Ok(ANTCACHE_OK)
        });
        error::tell(added, report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(sharded, body) }
}

/// Removes the node of a name; its keys go to the others. ANTCACHE_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_remove(
    sharded: *mut antcache_sharded,
    name: *const c_char,
) -> antcache_status {
    let body = |sharded: &antcache_sharded| {
        // SAFETY: the conventions are those of `text`.
        let name = unsafe { memory::text(name)? };
        Ok(if sharded.client.remove(name) {
            ANTCACHE_OK
        } else {
            ANTCACHE_NOT_FOUND
        })
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(sharded, body) }
}

/// Writes the name of the node that has a key now, a NUL behind it, into `name`, which has `capacity` bytes: 256 are always
/// enough. ANTCACHE_NOT_FOUND where there is no node; ANTCACHE_NO_ROOM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_node_of(
    sharded: *const antcache_sharded,
    key: *const c_void,
    key_len: usize,
    name: *mut c_char,
    capacity: usize,
) -> antcache_status {
    let body = |sharded: &antcache_sharded| {
        // SAFETY: the conventions are those of `key` and `room`.
        let (key, room) = unsafe {
            (
                memory::key(key, key_len)?,
                memory::room(name.cast(), capacity)?,
            )
        };
        let Some(node) = sharded.client.node_of(key) else {
            return Ok(ANTCACHE_NOT_FOUND);
        };
        if node.len() >= room.len() {
            return Err(ANTCACHE_NO_ROOM);
        }
        for (to, byte) in room.iter_mut().zip(node.bytes().chain([0])) {
            to.write(byte);
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(sharded, body) }
}

/// Writes what was seen of the node `index`, counted from 0 in the order in which they came. `size` is
/// sizeof(antcache_node_stats). ANTCACHE_NOT_FOUND past the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_node_stats(
    sharded: *const antcache_sharded,
    index: usize,
    stats: *mut antcache_node_stats,
    size: usize,
) -> antcache_status {
    let body = |sharded: &antcache_sharded| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(stats)? };
        if !antcache_node_stats::SIZES.contains(&size) {
            return Err(ANTCACHE_STRUCT_SIZE);
        }
        let Some(node) = sharded.client.stats().into_iter().nth(index) else {
            return Ok(ANTCACHE_NOT_FOUND);
        };
        let last_error = node.last_error.map(|error| error.to_string());
        to.write(antcache_node_stats {
            size,
            requests: node.requests,
            failures: node.failures,
            downs: node.downs,
            retry_in_ms: node.retry_in.map_or(0, at_least_one),
            idle: node.idle as u64,
            leased: node.leased as u64,
            weight: node.weight,
            name: error::cut(&node.name),
            address: error::cut(&node.address.to_string()),
            last_error: error::cut(&last_error.unwrap_or_default()),
        });
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(sharded, body) }
}

/// Milliseconds; a node that is down is never said to be tried in none.
fn at_least_one(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Sends a request to the node of its key, as antcache_client_command. One with many keys (MGET, MSET, DEL, UNLINK, EXISTS,
/// TOUCH) is split by node, all parts are sent before a reply is waited for, and the replies become one, in the order
/// of the keys. ANTCACHE_INVALID for a command without a key, or whose keys are on different nodes and which cannot be
/// split; ANTCACHE_NODE_DOWN. The error has the name of the node that failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_command(
    sharded: *mut antcache_sharded,
    argc: usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    reply: *mut *mut antcache_reply,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |sharded: &antcache_sharded| {
        let send = |args: &[&[u8]]| Ok(sharded.client.command(args)?);
        // SAFETY: the conventions are those of `command`.
        unsafe { client::command(argc, argv, argv_lens, reply, error, send) }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(sharded, body) }
}

/// Sends `count` requests together, each to the node of its key or split as antcache_sharded_command does it, and waits for
/// all replies; the words are as of antcache_pool_pipeline. The reply is an array with the reply of each request in its
/// place. A node that fails takes down its own requests only: their replies are errors that begin with the name of a
/// status, such as "NODE_DOWN" or "TIMEOUT", and name the node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_sharded_pipeline(
    sharded: *mut antcache_sharded,
    count: usize,
    argcs: *const usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    replies: *mut *mut antcache_reply,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |sharded: &antcache_sharded| {
        let send = |requests: &[&[&[u8]]]| {
            let replies = sharded.client.pipeline(requests).into_iter();
            let told = |error| Value::Error(Failure::from(error).line().into_bytes());
            Ok(replies.map(|reply| reply.unwrap_or_else(told)).collect())
        };
        // SAFETY: the conventions are those of `pipeline`.
        unsafe { client::pipeline(count, argcs, argv, argv_lens, replies, error, send) }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(sharded, body) }
}
