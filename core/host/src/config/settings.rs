//! From what was said to what holds.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::kind::{Architecture, Level, Runtime, Secret};
use super::table::{Given, Layers, SETTINGS, Setting, Source};

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
    /// Most connections at once, 1 to 1,000,000.
    pub max_connections: u64,
    /// Time without a request after which a connection is closed; none for never.
    pub idle_timeout: Option<Duration>,
    /// Time after which a client that takes none of its replies is closed; none for never.
    pub send_timeout: Option<Duration>,
    /// How much is logged.
    pub log_level: Level,
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
        self.resolve_architecture(&mut warnings);
        self.warn_of_persistence(&mut warnings);
        // The casts lose nothing: the table bounds each number.
        Ok(Settings {
            runtime: self.runtime.value,
            architecture: self.architecture.value,
            workers: NonZeroUsize::new(self.workers.value.value() as usize)
                .unwrap_or(NonZeroUsize::MIN),
            lanes: NonZeroUsize::new(self.lanes.value.value() as usize),
            stack_size: self.stack_size.value.bytes() as usize,
            host: self.host.value.0.clone(),
            port: self.port.value.value() as u16,
            unix_socket: self.unix_socket.value.0.clone(),
            password,
            max_connections: self.max_connections.value.value(),
            idle_timeout: self.idle_timeout.value.0,
            send_timeout: self.send_timeout.value.0,
            log_level: self.log_level.value,
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
        let place = |name: &str, source: &Source| match setting(name) {
            Some(setting) => source.place(setting),
            None => name.to_owned(),
        };
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
            };
        } else if workers == architecture {
            warnings.push("workers have no effect with the single architecture".to_owned());
        }
    }

    fn warn_of_persistence(&self, warnings: &mut Vec<String>) {
        let given: Vec<&str> = SETTINGS
            .iter()
            .filter(|setting| setting.section() == "persistence")
            .filter(|setting| {
                let (value, source) = setting.show(self);
                value.is_some() && source.rank() > 0
            })
            .map(|setting| setting.key)
            .collect();
        if !given.is_empty() {
            let keys = given.join(", ");
            warnings.push(format!(
                "persistence is not built yet: nothing is saved to disk, in spite of {keys}"
            ));
        }
    }
}

/// All values in force with their sources, as TOML that can be used as a file of settings. Secrets are masked, and
/// stand in comments, as does what has no value.
impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<(&Setting, String, &Source)> = SETTINGS
            .iter()
            .map(|setting| {
                let (value, source) = setting.show(self);
                (setting, assignment(setting, value), source)
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
            let source = source.describe(setting).replace(char::is_control, "?");
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

fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
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
