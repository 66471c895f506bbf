//! The server's program, from outside.

mod child;
mod signals;
mod start;
