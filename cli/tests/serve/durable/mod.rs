//! What is kept on the disk, from outside: restarts, commands, what is refused, kills, and disks that fail.

mod disk;
mod files;
mod kill;
mod restart;
mod wire;

use std::fs;
use std::path::PathBuf;

use super::child::{Server, scratch};

/// The words that choose a runtime and an architecture.
const SHAPES: [[&str; 4]; 4] = [
    ["--runtime", "std", "--server", "single"],
    ["--runtime", "std", "--server", "pooled"],
    ["--runtime", "smol", "--server", "single"],
    ["--runtime", "smol", "--server", "pooled"],
];

/// A data directory for one test, where there is nothing yet.
struct Data(PathBuf);

impl Data {
    fn new(test: &str) -> Self {
        let path = scratch(&format!("durable-{test}"));
        // It is there from an earlier run, or not.
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The words of a server that uses it.
    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let first = ["--port", "0", "--host", "127.0.0.1", "--workers", "8"];
        [&first[..], &["--dir", self.path()], more].concat()
    }

    fn serve(&self, more: &[&str]) -> Server {
        Server::start(&self.words(more))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What is written in a segment, without the room behind it.
    fn written(&self, name: &str) -> Vec<u8> {
        let mut bytes = fs::read(self.file(name)).unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        bytes.truncate(end);
        bytes
    }

    /// The names of all files, in their order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}
