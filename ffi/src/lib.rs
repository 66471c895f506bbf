//! libantcache: Ant-Cache for C. The manual is the header, `include/antcache.h`, which is made from this crate.
//!
//! Every function follows one path: `boundary::guarded` catches what panics, `handle` finds out whether a pointer is a
//! live object of the right kind, `memory` turns pointers and lengths into slices and results into memory that C
//! owns. What is between is safe code over the other crates. Function bodies hold `unsafe` only to call these three.
#![deny(unsafe_op_in_unsafe_fn)]
// C's names, and C's argument lists.
#![allow(non_camel_case_types, clippy::too_many_arguments)]
// What C promises with its pointers is said once, in the conventions at the head of the header, and not at each function.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod fork;
mod handle;
mod options;
mod signals;

// The interface, in the order of the header.
mod status;

mod error;

mod memory;

mod clock;

mod cache;

mod value;

mod service;

mod session;

mod server;

mod reply;

mod client;

mod pool;

mod sharded;
