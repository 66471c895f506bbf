//! What a test sets up outside of itself.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

/// A directory of one test, and the processes in it; all end with this.
pub(crate) struct Scene {
    pub(crate) directory: PathBuf,
    pub(crate) processes: Vec<Child>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Scene {
    pub(crate) fn new(name: &str) -> Self {
        // Paths of sockets have room for a hundred bytes.
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Self {
            directory,
            processes: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A file in the directory.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path
    }
}
