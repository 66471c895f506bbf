//! The data directory that is looked at.

use std::path::{Path, PathBuf};

use ant_cache_host::persist::{Files, Names, ReadOnly};

/// Which directory, and what its files are called.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Data {
    /// The data directory: what the server's --dir names.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The name of the snapshot.
    #[arg(long, default_value = "cache.atd")]
    atd: String,
    /// What the names of the log's segments begin with.
    #[arg(long, default_value = "cache.acl")]
    acl: String,
}

impl Data {
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn names(&self) -> Names {
        Names {
            snapshot: self.atd.clone(),
            log: self.acl.clone(),
        }
    }

    pub(crate) fn reader(&self) -> ReadOnly {
        ReadOnly::new(self.dir.clone())
    }

    /// The files, if the directory can be read.
    pub(super) fn files(&self) -> Result<ReadOnly, String> {
        self.list()?;
        Ok(self.reader())
    }

    /// The names of its data files, in the order in which a start reads them.
    pub(crate) fn list(&self) -> Result<Vec<String>, String> {
        let names = self.names();
        let all = self
            .reader()
            .list()
            .map_err(|error| format!("{}: {error}", self.dir.display()))?;
        let snapshot = all
            .contains(&names.snapshot)
            .then(|| names.snapshot.clone());
        let segments = names.segments(&all);
        let segments = segments.into_iter().map(|number| names.segment(number));
        let found: Vec<String> = snapshot.into_iter().chain(segments).collect();
        if found.is_empty() {
            return Err(format!(
                "{}: there is neither a snapshot ({}) nor a log ({}.000001 and on)",
                self.dir.display(),
                names.snapshot,
                names.log
            ));
        }
        Ok(found)
    }
}
