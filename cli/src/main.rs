//! The Ant-Cache command line.
fn main() {}
