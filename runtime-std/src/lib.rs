//! Ant-Cache on threads.

pub mod client;
