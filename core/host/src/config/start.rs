//! What a server is made of that runs with certain settings. A program adds what it alone knows, and a runtime.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use ant_cache_core::facts::{Fact, Section};
use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings as LiveSettings;
use ant_cache_core::store::Store;

use super::{Fsync, Runtime, Settings};
use crate::process::{cores, random_bits};
use crate::{BindError, Listeners, Stream};

impl Settings {
    /// Listens where they say.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn listen(&self) -> Result<Listeners, BindError> {
        let mut listeners = Listeners::new();
        listeners.tcp(&self.host, self.port)?;
        if let Some(path) = &self.unix_socket {
            listeners.unix(path)?;
        }
        Ok(listeners)
    }

    /// Executors of the smol runtime: as many as cores that the process may use, where nothing else is said.
    #[must_use]
    pub fn executor_count(&self) -> NonZeroUsize {
        self.executor_threads.unwrap_or_else(cores)
    }

    /// Lanes of the pooled architecture, at most as many as workers.
    #[must_use]
    pub fn lane_count(&self) -> NonZeroUsize {
        let lanes = self.lanes.unwrap_or_else(|| match self.runtime {
            Runtime::Std => cores(),
            Runtime::Smol => self.executor_count(),
        });
        lanes.min(self.workers)
    }

    /// What its service is made from: all that settings tell, with the port that was had.
    #[must_use]
    pub fn options(&self, listeners: &Listeners) -> Options {
        let port = listeners.port();
        Options {
            seed: random_bits(),
            shards: self.max_memory.map_or(Store::SHARDS, Store::shards_for),
            settings: self.live(),
            facts: self.facts(port),
            fixed: self.fixed(port),
            ..Options::default()
        }
    }

    /// What can change while the server runs, as it is at the start.
    fn live(&self) -> LiveSettings {
        let live = LiveSettings::default();
        let password = self.password.as_ref();
        live.set_password(password.map(|password| password.reveal().to_vec()));
        live.set_max_memory(self.max_memory.unwrap_or(u64::MAX));
        live.set_least_memory(self.least_memory);
        live.set_eviction(self.eviction);
        live.set_max_connections(self.max_connections);
        live.set_send_timeout(millis(self.send_timeout));
        live.set_idle_timeout(millis(self.idle_timeout));
        live.set_busy_poll(self.busy_poll);
        live
    }

    /// What INFO tells of them.
    fn facts(&self, port: u16) -> Vec<Fact> {
        let config = self.config_file.as_deref().unwrap_or(Path::new(""));
        // A relative path means nothing to whoever asks. The empty one stays empty.
        let config = std::path::absolute(config).unwrap_or_default();
        vec![
            Fact::new(Section::Server, "tcp_port", port),
            Fact::new(Section::Server, "config_file", config.display()),
            Fact::new(Section::Antcache, "runtime", self.runtime),
            Fact::new(Section::Antcache, "architecture", self.architecture),
        ]
    }

    /// What CONFIG GET tells of what was fixed at the start.
    fn fixed(&self, port: u16) -> Vec<(&'static str, String)> {
        let socket = self.unix_socket.as_ref();
        let socket = socket.map(|path| path.display().to_string());
        let (dir, snapshot, log, fsync) = match &self.persistence {
            Some(found) => {
                let dir = std::path::absolute(&found.dir).unwrap_or_default();
                let names = found.names.clone();
                (
                    dir.display().to_string(),
                    names.snapshot,
                    names.log,
                    redis_name(found.fsync),
                )
            }
            None => Default::default(),
        };
        vec![
            ("bind", self.host.clone()),
            ("port", port.to_string()),
            ("unixsocket", socket.unwrap_or_default()),
            ("dir", dir),
            ("dbfilename", snapshot),
            ("appendfilename", log),
            ("appendfsync", fsync.to_owned()),
            ("tcp-keepalive", Stream::KEEPALIVE.as_secs().to_string()),
        ]
    }
}

/// A timeout in milliseconds; 0 for none.
fn millis(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

/// What Redis calls it.
const fn redis_name(fsync: Fsync) -> &'static str {
    match fsync {
        Fsync::Always => "always",
        Fsync::Interval => "everysec",
        Fsync::Never => "no",
    }
}
