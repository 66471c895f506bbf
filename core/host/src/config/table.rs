//! The table of settings: each has its name, its key in files, its type, its default and its text here and nowhere
//! else. The flags, the variables of the environment, the keys, the help, `--print-config` and the table in
//! `docs/CONFIGURATION.md` come from it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::Eviction;
use ant_cache_core::settings::Settings as LiveSettings;

use super::Error;
use super::kind::{
    Access, Architecture, Count, Endpoint, FilePath, Fsync, HostName, Interval, Kind, Level,
    LogFormat, MemoryBound, Password, Runtime, Size, Switch, Timeout,
};

/// The flag and, in its form, the variable that name the file of settings.
pub const CONFIG: &str = "config";

/// The name of the variable that gives the setting `name`: `ANT_CACHE_` and the name in capitals.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("ANT_CACHE_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Where a value came from. Each source overrides those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    #[default]
    Default,
    /// The file of settings.
    File(Arc<Path>),
    /// A variable of the environment.
    Environment,
    /// A flag of the command line.
    Flag,
    /// Other settings, for the reason that is given.
    Implied(&'static str),
}

impl Source {
    /// The order in which sources override each other.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default | Self::Implied(_) => 0,
            Self::File(_) => 1,
            Self::Environment => 2,
            Self::Flag => 3,
        }
    }

    /// The place of `setting` in this source, to begin a message with.
    pub(super) fn place(&self, setting: &Setting) -> String {
        match self {
            Self::Default | Self::Implied(_) => setting.key.to_owned(),
            Self::File(path) => format!("{}:{}", path.display(), setting.key),
            Self::Environment => variable(setting.name),
            Self::Flag => format!("--{}", setting.name),
        }
    }

    /// This source in a few words.
    pub(super) fn describe(&self, setting: &Setting) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File(path) => format!("file {}", path.display()),
            Self::Environment => format!("environment {}", variable(setting.name)),
            Self::Flag => format!("flag --{}", setting.name),
            Self::Implied(reason) => format!("default, {reason}"),
        }
    }
}

/// A value as it was written, before it has a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Text: from a flag, the environment, or a string in a file.
    Text(String),
    /// A bare number in a file, in decimal.
    Number(String),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Quoted with escapes, so that a message stays one line.
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

/// A typed value and its source.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) source: Source,
    /// What the value comes to, for people.
    pub(super) note: Option<String>,
}

impl<T: Kind> Given<T> {
    fn default(value: T) -> Self {
        Self {
            value,
            source: Source::Default,
            note: None,
        }
    }

    fn set(&mut self, setting: &Setting, scalar: &Scalar, source: &Source) -> Result<(), Error> {
        let value = match scalar {
            Scalar::Text(text) => T::parse(text),
            Scalar::Number(text) if T::NUMERIC => T::parse(text),
            Scalar::Other(text) if T::SWITCH => T::parse(text),
            Scalar::Number(_) | Scalar::Other(_) => None,
        };
        let Some(value) = value else {
            let found = if T::SECRET {
                "something else".to_owned()
            } else {
                scalar.to_string()
            };
            return Err(Error::Value {
                place: source.place(setting),
                expected: T::expects(),
                found,
            });
        };
        *self = Self {
            value,
            source: source.clone(),
            note: None,
        };
        Ok(())
    }

    fn show(&self) -> Shown<'_> {
        Shown {
            value: self.value.show(),
            source: &self.source,
            note: self.note.as_deref(),
        }
    }
}

/// A setting for people's eyes.
#[derive(Clone, Debug)]
pub(super) struct Shown<'a> {
    /// The value as one would write it; `None` where there is none.
    pub(super) value: Option<String>,
    pub(super) source: &'a Source,
    /// What the value comes to.
    pub(super) note: Option<&'a str>,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name: the flag is `--name`, the variable of the environment [`variable`]`(name)`.
    pub name: &'static str,
    /// The key in files, `section.key`.
    pub key: &'static str,
    /// What stands for the value in a usage text.
    pub placeholder: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Whether a file may give it as a bare number.
    pub(super) numeric: bool,
    /// Whether its flag needs no value, and means yes without one.
    pub switch: bool,
    /// Whether people may not see its value.
    pub(super) secret: bool,
    expects: fn() -> String,
    set: fn(&mut Layers, &Setting, &Scalar, &Source) -> Result<(), Error>,
    show: fn(&Layers) -> Shown<'_>,
}

impl Setting {
    /// What values are accepted, such as `a whole number from 1 to 10000`.
    #[must_use]
    pub fn expects(&self) -> String {
        (self.expects)()
    }

    /// The default as one would write it; `None` where it is to have nothing.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        (self.show)(&Layers::default()).value
    }

    /// The section of the key.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.key
            .split_once('.')
            .map_or(self.key, |(section, _)| section)
    }

    pub(super) fn set(
        &self,
        layers: &mut Layers,
        scalar: &Scalar,
        source: &Source,
    ) -> Result<(), Error> {
        (self.set)(layers, self, scalar, source)
    }

    pub(super) fn show<'a>(&self, layers: &'a Layers) -> Shown<'a> {
        (self.show)(layers)
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $kind:ty = $default:expr, $name:literal, $key:literal;)+) => {
        /// Every setting, typed, with the source that its value has so far.
        #[derive(Clone, Debug)]
        pub struct Layers { $($(#[doc = $doc])+ pub(super) $field: Given<$kind>,)+ }

        impl Default for Layers {
            fn default() -> Self {
                Self { $($field: Given::default($default),)+ }
            }
        }

        /// All settings, those of a section together.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            key: $key,
            placeholder: <$kind>::PLACEHOLDER,
            doc: concat!($($doc),+).trim_ascii(),
            numeric: <$kind>::NUMERIC,
            switch: <$kind>::SWITCH,
            secret: <$kind>::SECRET,
            expects: <$kind>::expects,
            set: |layers, setting, scalar, source| layers.$field.set(setting, scalar, source),
            show: |layers| layers.$field.show(),
        },)+];
    };
}

settings! {
    /// Address or host name to listen on. Without a password the default is 127.0.0.1, with one 0.0.0.0.
    host: HostName = HostName("127.0.0.1".to_owned()), "host", "server.host";
    /// TCP port to listen on; 0 takes any free one.
    port: Count<0, 65_535> = Count::new(8890), "port", "server.port";
    /// Path of a Unix socket to listen on as well.
    unix_socket: FilePath = FilePath(None), "unix-socket", "server.unix_socket";
    /// What moves the bytes: std (threads) or smol (executors).
    runtime: Runtime = Runtime::Std, "runtime", "server.runtime";
    /// How connections are served: single (a handler each) or pooled (shared workers); single-goroutine and
    /// pooled-goroutine mean the same.
    architecture: Architecture = Architecture::Pooled, "server", "server.architecture";
    /// Workers of the pooled architecture, which a workers setting implies.
    workers: Count<1, 10_000> = Count::new(200), "workers", "server.workers";
    /// Lanes of the pooled architecture, each with a poller and led by one worker; 0 for one a core.
    lanes: Count<0, 1024> = Count::new(0), "lanes", "server.lanes";
    /// Executors of the smol runtime, each with a thread and a poller, and the lanes of pooled where lanes is 0 as
    /// well; 0 for one a core.
    executor_threads: Count<0, 1024> = Count::new(0), "executor-threads", "server.executor_threads";
    /// Microseconds for which a worker asks for requests before it sleeps, while they do come in that time: shorter waits
    /// for clients of an idle server, for processor time; 0 for none.
    busy_poll: Count<0, { LiveSettings::MAX_BUSY_POLL }> = Count::new(LiveSettings::BUSY_POLL), "busy-poll", "server.busy_poll";
    /// Stack of each thread that serves connections; only what is used of it takes memory.
    stack_size: Size<{ 64 << 10 }, { 1 << 30 }> = Size::new(128 << 10), "stack-size", "server.stack_size";
    /// Password that clients must give with AUTH. On a command line other users see it: prefer password-file.
    password: Password = Password(None), "password", "auth.password";
    /// File that holds the password; one line end after it does not count.
    password_file: FilePath = FilePath(None), "password-file", "auth.password_file";
    /// Memory that the server may use: a size, a share of what the container or the machine has, or 0 for no bound.
    max_memory: MemoryBound = MemoryBound::Percent(75), "max-memory", "limits.max_memory";
    /// What goes when memory runs out: adaptive, lru, random, ttl (what expires first) or none (writes are refused).
    eviction: Eviction = Eviction::Adaptive, "eviction", "limits.eviction";
    /// Most connections at once; further ones get an error and are closed.
    max_connections: Count<1, 1_000_000> = Count::new(10_000), "max-connections", "limits.max_connections";
    /// Time without a request after which a connection is closed; 0 for never.
    idle_timeout: Timeout = Timeout(None), "idle-timeout", "limits.idle_timeout";
    /// Time after which a client that takes none of its waiting replies is closed; 0 for never.
    send_timeout: Timeout = Timeout(Some(Duration::from_secs(60))), "send-timeout", "limits.send_timeout";
    /// Address and port of the metrics listener, such as 127.0.0.1:9190: figures for Prometheus, probes and a page over
    /// HTTP. Nothing means none.
    metrics_addr: Endpoint = Endpoint(None), "metrics-addr", "metrics.addr";
    /// Whether the metrics listener shows figures to everyone (open) or to who knows the password (password).
    metrics_access: Access = Access::Open, "metrics-access", "metrics.access";
    /// How much is logged to standard error: error, warn, info, debug or trace.
    log_level: Level = Level::Info, "log-level", "log.level";
    /// How the log is written: text (a line for people) or json (an object a line).
    log_format: LogFormat = LogFormat::Text, "log-format", "log.format";
    /// Directory in which all is kept that must survive a restart; without one, nothing is.
    dir: FilePath = FilePath(None), "dir", "persistence.dir";
    /// Name of the snapshot in the directory, cache.atd unless given. With a path and no dir, its folder is the directory.
    atd: FilePath = FilePath(None), "atd", "persistence.atd_file";
    /// Time between snapshots, where anything has changed.
    atd_interval: Interval<300, { 30 * 86_400 }> = Interval::new(3600), "atd-interval", "persistence.atd_interval";
    /// What the names of the log's segments begin with, cache.acl unless given; likewise.
    acl: FilePath = FilePath(None), "acl", "persistence.acl_file";
    /// Time after which changes are on the disk at the latest, with fsync interval.
    acl_interval: Interval<1, 60> = Interval::new(1), "acl-interval", "persistence.acl_interval";
    /// When the log is brought to the disk: always (before a change is answered), interval, or never (when the kernel
    /// likes).
    fsync: Fsync = Fsync::Interval, "fsync", "persistence.fsync";
    /// Start in spite of damaged files, with what there is before the damage.
    recover: Switch = Switch(false), "recover", "persistence.recover";
}
