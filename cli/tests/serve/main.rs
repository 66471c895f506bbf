//! The server's program, from outside.

mod child;
mod group;
mod memory;
mod signals;
mod start;
