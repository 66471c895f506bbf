//! The server's program, from outside.

mod child;
mod durable;
mod group;
mod memory;
mod signals;
mod start;
