//! From what was said to what holds.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ant_cache_core::{Eviction, size};

use super::Error;
use super::kind::{
    Access, Architecture, Endpoint, FilePath, Kind, Level, LogFormat, MemoryBound, Runtime, Secret,
};
use super::table::{Given, Layers, SETTINGS, Setting, Source};
use crate::memory::Available;
use crate::persist::{self, Names};

/// Resident memory of a server at rest with one thread, in bytes, room for its first keys and connections included.
/// Measured: 4.7 MiB.
const AT_REST: u64 = 8 << 20;

/// Resident memory that each further thread needs at rest, in bytes. Measured: 9.8 KiB.
const A_THREAD: u64 = 12 << 10;

/// What a server runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What moves the bytes.
    pub runtime: Runtime,
    /// How connections are shared out.
    pub architecture: Architecture,
    /// Workers of the pooled architecture, 1 to 10,000.
    pub workers: NonZeroUsize,
    /// Lanes of the pooled architecture, 1 to 1024; none for one a core.
    pub lanes: Option<NonZeroUsize>,
    /// Executors of the smol runtime, 1 to 1024, for its lanes where [`lanes`](Self::lanes) says nothing; none for one
    /// a core.
    pub executor_threads: Option<NonZeroUsize>,
    /// Microseconds for which a worker asks for requests before it sleeps, 0 to 10,000.
    pub busy_poll: u64,
    /// Bytes of stack of each thread that serves connections.
    pub stack_size: usize,
    /// Address or name of the host to listen on.
    pub host: String,
    /// TCP port to listen on; 0 for any free one.
    pub port: u16,
    /// Unix socket to listen on as well.
    pub unix_socket: Option<PathBuf>,
    /// Password that AUTH must give.
    pub password: Option<Secret>,
    /// Bytes of memory that the server may use; none for any number.
    pub max_memory: Option<u64>,
    /// Bytes of memory that the server needs at rest, about: the least that `max_memory` can be.
    pub least_memory: u64,
    /// What goes when memory runs out.
    pub eviction: Eviction,
    /// Most connections at once, 1 to 1,000,000.
    pub max_connections: u64,
    /// Time without a request after which a connection is closed; none for never.
    pub idle_timeout: Option<Duration>,
    /// Time after which a client that takes none of its replies is closed; none for never.
    pub send_timeout: Option<Duration>,
    /// Where and how all is kept that must survive a restart; none for nowhere.
    pub persistence: Option<persist::Options>,
    /// How much is logged.
    pub log_level: Level,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Host and port of the metrics listener; none for no listener.
    pub metrics_addr: Option<String>,
    /// Who may see its figures.
    pub metrics_access: Access,
    /// The file that was read.
    pub config_file: Option<PathBuf>,
    /// What should be said at the start, a line each: settings that have no effect, or are risky.
    pub warnings: Vec<String>,
}

impl Layers {
    /// Decides what follows from several settings together, and notes it here too.
    pub(super) fn resolve(&mut self, config_file: Option<PathBuf>) -> Result<Settings, Error> {
        let mut warnings = Vec::new();
        if self.password.source == Source::Flag && self.password.value.0.is_some() {
            warnings.push(
                "--password is visible in the list of processes; prefer --password-file".to_owned(),
            );
        }
        let password = self.resolve_password()?;
        if self.host.source == Source::Default && password.is_some() {
            self.host.value.0 = "0.0.0.0".to_owned();
            self.host.source = Source::Implied("since a password is set");
        }
        if password.is_none() && !is_local(&self.host.value.0) {
            let host = &self.host.value.0;
            warnings.push(format!(
                "listening on {host} without a password: whoever reaches it can read and change all"
            ));
        }
        self.warn_of_metrics(password.is_some(), &mut warnings);
        self.resolve_architecture(&mut warnings);
        let least_memory = self.least_memory();
        let available = Available::find();
        let max_memory = self.resolve_memory(available, least_memory)?;
        if let Some(bytes) = max_memory.filter(|&bytes| bytes > available.bytes) {
            let bytes = size::human(bytes);
            warnings.push(format!(
                "a max_memory of {bytes} is more than there is, {available}: the system may kill the server first"
            ));
        }
        if self.runtime.value == Runtime::Std && self.executor_threads.value.value() > 0 {
            warnings.push("executor_threads has no effect with the std runtime".to_owned());
        }
        if (self.runtime.value, self.architecture.value) == (Runtime::Std, Architecture::Single)
            && self.busy_poll.value.value() > 0
            && self.busy_poll.source != Source::Default
        {
            warnings
                .push("busy_poll has no effect with threads of the single architecture".to_owned());
        }
        let persistence = self.resolve_persistence(&mut warnings)?;
        // The casts lose nothing: the table bounds each number.
        Ok(Settings {
            runtime: self.runtime.value,
            architecture: self.architecture.value,
            workers: NonZeroUsize::new(self.workers.value.value() as usize)
                .unwrap_or(NonZeroUsize::MIN),
            lanes: NonZeroUsize::new(self.lanes.value.value() as usize),
            executor_threads: NonZeroUsize::new(self.executor_threads.value.value() as usize),
            busy_poll: self.busy_poll.value.value(),
            stack_size: self.stack_size.value.bytes() as usize,
            host: self.host.value.0.clone(),
            port: self.port.value.value() as u16,
            unix_socket: self.unix_socket.value.0.clone(),
            password,
            max_memory,
            least_memory,
            eviction: self.eviction.value,
            max_connections: self.max_connections.value.value(),
            idle_timeout: self.idle_timeout.value.0,
            send_timeout: self.send_timeout.value.0,
            persistence,
            log_level: self.log_level.value,
            log_format: self.log_format.value,
            metrics_addr: self.metrics_addr.value.0.clone(),
            metrics_access: self.metrics_access.value,
            config_file,
            warnings,
        })
    }

    /// The password itself or the one in its file, whichever was given by the stronger source.
    fn resolve_password(&self) -> Result<Option<Secret>, Error> {
        let (direct, file) = (&self.password, &self.password_file);
        let Some(path) = &file.value.0 else {
            return Ok(direct.value.0.clone());
        };
        if direct.source.rank() > file.source.rank() {
            return Ok(direct.value.0.clone());
        }
        if direct.source.rank() < file.source.rank() || direct.value.0.is_none() {
            return read_password(path).map(Some);
        }
        Err(Error::Conflict {
            first: place("password", &direct.source),
            second: place("password-file", &file.source),
        })
    }

    /// Workers that nobody with more say made single mean pooled.
    fn resolve_architecture(&mut self, warnings: &mut Vec<String>) {
        let (workers, architecture) = (self.workers.source.rank(), self.architecture.source.rank());
        if workers == 0 || self.architecture.value == Architecture::Pooled {
            return;
        }
        if workers > architecture {
            self.architecture = Given {
                value: Architecture::Pooled,
                source: Source::Implied("since workers are set"),
                note: None,
            };
        } else if workers == architecture {
            warnings.push("workers have no effect with the single architecture".to_owned());
        }
    }

    /// What the server needs before anything is stored or anybody connects, in whole MiB.
    fn least_memory(&self) -> u64 {
        let threads = match self.architecture.value {
            Architecture::Single => 0,
            Architecture::Pooled => self.workers.value.value(),
        };
        (AT_REST + threads * A_THREAD).next_multiple_of(1 << 20)
    }

    /// The bound on memory in bytes, and a note of it here.
    fn resolve_memory(&mut self, available: Available, least: u64) -> Result<Option<u64>, Error> {
        let bound = &mut self.max_memory;
        let bytes = match bound.value {
            MemoryBound::Unbounded => return Ok(None),
            MemoryBound::Bytes(bytes) => bytes,
            // By this order of operations nothing overflows; less than a hundred bytes are lost.
            MemoryBound::Percent(share) => {
                let bytes = available.bytes / 100 * u64::from(share);
                bound.note = Some(format!("{} of {available}", size::human(bytes)));
                bytes
            }
        };
        if bytes < least {
            let found = bound.value.show().unwrap_or_default();
            return Err(Error::Value {
                place: place("max-memory", &bound.source),
                expected: format!(
                    "at least {}, which the server needs at rest, or 0 for no bound",
                    size::exact(least)
                ),
                found: bound.note.clone().unwrap_or(found),
            });
        }
        Ok(Some(bytes))
    }

    fn warn_of_metrics(&self, password: bool, warnings: &mut Vec<String>) {
        let guarded = self.metrics_access.value == Access::Password;
        if guarded && !password {
            warnings.push("metrics_access has no effect without a password".to_owned());
        }
        if let Some(address) = &self.metrics_addr.value.0
            && !is_local(Endpoint::host(address))
            && !(guarded && password)
        {
            warnings.push(format!(
                "metrics on {address} without a password: whoever reaches it sees the figures"
            ));
        }
    }

    /// The directory is the one that is named, or the one that the names of the files lead to.
    fn resolve_persistence(
        &self,
        warnings: &mut Vec<String>,
    ) -> Result<Option<persist::Options>, Error> {
        let files = [("atd", &self.atd), ("acl", &self.acl)];
        let mut dir = self.dir.value.0.clone();
        for (name, file) in files {
            let Some(path) = &file.value.0 else {
                continue;
            };
            let folder = path.parent().unwrap_or(Path::new(""));
            let good = path.file_name().is_some_and(|name| name.to_str().is_some());
            if !good || (self.dir.value.0.is_some() && folder != Path::new("")) {
                return Err(Error::Value {
                    place: place(name, &file.source),
                    expected: "the name of a file in the data directory".to_owned(),
                    found: format!("{:?}", path.display().to_string()),
                });
            }
            let folder = match folder {
                empty if empty == Path::new("") => Path::new("."),
                folder => folder,
            };
            match &dir {
                None => dir = Some(folder.to_owned()),
                Some(dir) if self.dir.value.0.is_some() || dir == folder => {}
                Some(_) => {
                    return Err(Error::Value {
                        place: place(name, &file.source),
                        expected: "a file in the folder of the other one".to_owned(),
                        found: format!("{:?}", path.display().to_string()),
                    });
                }
            }
        }
        let Some(dir) = dir else {
            self.warn_of_no_directory(warnings);
            return Ok(None);
        };
        let name = |file: &Given<FilePath>, default: String| {
            let given = file.value.0.as_deref().and_then(Path::file_name);
            given.map_or(default, |name| name.to_string_lossy().into_owned())
        };
        let default = Names::default();
        Ok(Some(persist::Options {
            dir,
            names: Names {
                snapshot: name(&self.atd, default.snapshot),
                log: name(&self.acl, default.log),
            },
            fsync: self.fsync.value,
            sync_interval: self.acl_interval.value.time(),
            snapshot_interval: self.atd_interval.value.time(),
            recover: self.recover.value.0,
        }))
    }

    fn warn_of_no_directory(&self, warnings: &mut Vec<String>) {
        let given: Vec<&str> = SETTINGS
            .iter()
            .filter(|setting| setting.section() == "persistence")
            .filter(|setting| {
                let shown = setting.show(self);
                shown.value.is_some() && shown.source.rank() > 0
            })
            .map(|setting| setting.key)
            .collect();
        if !given.is_empty() {
            let keys = given.join(", ");
            warnings.push(format!(
                "nothing is kept on disk, since no directory is given (dir), in spite of {keys}"
            ));
        }
    }
}

/// All values in force with their sources, as TOML that can be used as a file of settings. Secrets are masked, and
/// stand in comments, as does what has no value.
impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<(&Setting, String, String)> = SETTINGS
            .iter()
            .map(|setting| {
                let shown = setting.show(self);
                let source = shown.source.describe(setting);
                let note = shown.note.map_or(String::new(), |note| format!("; {note}"));
                (setting, assignment(setting, shown.value), source + &note)
            })
            .collect();
        let width = lines
            .iter()
            .map(|(_, line, _)| line.chars().count())
            .max()
            .unwrap_or(0);
        let mut section = "";
        for (setting, line, source) in lines {
            if setting.section() != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                section = setting.section();
                writeln!(f, "{gap}[{section}]")?;
            }
            // A path may hold anything, and a comment ends with its line.
            let source = source.replace(char::is_control, "?");
            writeln!(f, "{line:width$}  # {source}")?;
        }
        Ok(())
    }
}

/// `key = value` in TOML.
fn assignment(setting: &Setting, value: Option<String>) -> String {
    let name = setting.key.rsplit('.').next().unwrap_or(setting.key);
    match value {
        None => format!("# {name} ="),
        Some(value) if setting.secret => format!("# {name} = \"{value}\""),
        Some(value) if setting.numeric && value.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{name} = {value}")
        }
        Some(value) => format!("{name} = {}", quoted(&value)),
    }
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Where a setting was given, to begin a message with.
fn place(name: &str, source: &Source) -> String {
    let setting = SETTINGS.iter().find(|setting| setting.name == name);
    setting.map_or(name.to_owned(), |setting| source.place(setting))
}

/// Whether only this machine can reach a host.
fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Reads a password from a file of one line.
fn read_password(path: &Path) -> Result<Secret, Error> {
    let unusable = |reason: String| Error::Read {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    // One byte more than any password and its line end: enough to see that a file is too long.
    let read = File::open(path).and_then(|file| {
        file.take(Secret::LONGEST as u64 + 3)
            .read_to_end(&mut bytes)
    });
    read.map_err(|error| unusable(error.to_string()))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Secret::new(line).ok_or_else(|| {
        unusable(format!(
            "it must hold a password of 1 to {} bytes",
            Secret::LONGEST
        ))
    })
}
