//! CONFIG: settings by Redis's names.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::Error;
use super::error::echoed;
use super::info::bound;
use super::options;
use super::subcommand::{self, Subcommand};
use crate::eviction::Eviction;
use crate::exec::{Args, Exec, Outcome, Step};
use crate::service::Service;
use crate::settings::Settings;
use crate::{glob, limits, number, size};

#[rustfmt::skip]
pub(super) static CONFIG: [Subcommand; 4] = [
    Subcommand { name: "get", arity: -3, usage: "parameter [parameter ...]", summary: "Returns the parameters that match a name or a pattern", run: get },
    Subcommand { name: "set", arity: -4, usage: "parameter value [parameter value ...]", summary: "Sets parameters, all of them or none", run: set },
    Subcommand { name: "resetstat", arity: 2, usage: "", summary: "Counts from 0 again what INFO and STATS tell", run: reset_stat },
    subcommand::HELP,
];

/// Something that CONFIG tells and may change.
struct Parameter {
    name: &'static str,
    kind: Kind,
}

enum Kind {
    /// A whole number.
    Number {
        range: RangeInclusive<u64>,
        get: fn(&Settings) -> u64,
        set: fn(&Settings, u64),
    },
    /// The bound on memory; 0 means none.
    Memory,
    /// What goes when memory runs out.
    Policy,
    /// Microseconds from which on a call is slow; -1 for none.
    Slow,
    /// The password; empty means that none is required.
    Password,
    /// Always this. It may be set to what it is: scripts made for Redis do.
    Fixed(Cow<'static, str>),
}

/// The parameters that do not depend on the host.
fn parameters() -> [Parameter; 13] {
    const fn seconds(
        name: &'static str,
        get: fn(&Settings) -> u64,
        set: fn(&Settings, u64),
    ) -> Parameter {
        Parameter {
            name,
            kind: Kind::Number {
                range: 0..=i32::MAX as u64,
                get,
                set,
            },
        }
    }
    const fn fixed(name: &'static str, value: &'static str) -> Parameter {
        Parameter {
            name,
            kind: Kind::Fixed(Cow::Borrowed(value)),
        }
    }
    let maxclients = Kind::Number {
        range: 1..=u64::from(u32::MAX),
        get: Settings::max_connections,
        set: Settings::set_max_connections,
    };
    let max_bulk = Kind::Fixed(limits::MAX_REQUEST.to_string().into());
    [
        Parameter {
            name: "maxclients",
            kind: maxclients,
        },
        Parameter {
            name: "requirepass",
            kind: Kind::Password,
        },
        seconds(
            "timeout",
            |settings| settings.idle_timeout().div_ceil(1000),
            |settings, value| settings.set_idle_timeout(value * 1000),
        ),
        seconds(
            "send-timeout",
            |settings| settings.send_timeout().div_ceil(1000),
            |settings, value| settings.set_send_timeout(value * 1000),
        ),
        Parameter {
            name: "busy-poll",
            kind: Kind::Number {
                range: 0..=Settings::MAX_BUSY_POLL,
                get: Settings::busy_poll,
                set: Settings::set_busy_poll,
            },
        },
        Parameter {
            name: "maxmemory",
            kind: Kind::Memory,
        },
        Parameter {
            name: "maxmemory-policy",
            kind: Kind::Policy,
        },
        Parameter {
            name: "slowlog-log-slower-than",
            kind: Kind::Slow,
        },
        Parameter {
            name: "slowlog-max-len",
            kind: Kind::Number {
                range: 0..=10_000,
                get: Settings::slow_calls,
                set: Settings::set_slow_calls,
            },
        },
        Parameter {
            name: "latency-monitor-threshold",
            kind: Kind::Number {
                range: 0..=i64::MAX as u64,
                get: Settings::latency_threshold,
                set: Settings::set_latency_threshold,
            },
        },
        fixed("save", ""),
        fixed("databases", "1"),
        Parameter {
            name: "proto-max-bulk-len",
            kind: max_bulk,
        },
    ]
}

impl Parameter {
    fn all(exec: &Exec<'_>) -> Vec<Self> {
        let host = exec.service.fixed().iter();
        let host = host.map(|(name, value)| Self {
            name,
            kind: Kind::Fixed(value.clone().into()),
        });
        let recording = exec.store().journal().is_recording();
        let log = Self {
            name: "appendonly",
            kind: Kind::Fixed(if recording { "yes" } else { "no" }.into()),
        };
        parameters().into_iter().chain([log]).chain(host).collect()
    }

    fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
    }

    fn get(&self, settings: &Settings) -> Vec<u8> {
        match &self.kind {
            Kind::Number { get, .. } => get(settings).to_string().into_bytes(),
            Kind::Memory => bound(settings).to_string().into_bytes(),
            Kind::Policy => settings.eviction().redis_name().into(),
            Kind::Slow => i64::try_from(settings.slow())
                .unwrap_or(-1)
                .to_string()
                .into_bytes(),
            Kind::Password => settings.password().unwrap_or_default(),
            Kind::Fixed(value) => value.as_bytes().to_vec(),
        }
    }

    /// What setting it to `value` means.
    fn parse(&self, value: &[u8], settings: &Settings) -> Result<Change, Error> {
        match &self.kind {
            Kind::Memory => self.parse_memory(value, settings.least_memory()),
            Kind::Policy => self.parse_policy(value),
            Kind::Slow => match number::parse_i64(value) {
                None => Err(self.refusal("argument couldn't be parsed into an integer")),
                Some(-1) => Ok(Change::Number(Settings::set_slow, u64::MAX)),
                Some(micros) => u64::try_from(micros)
                    .map(|micros| Change::Number(Settings::set_slow, micros))
                    .map_err(|_| self.refusal("argument must be -1 for never, or more")),
            },
            Kind::Password if value.len() > limits::MAX_PASSWORD => {
                let most = limits::MAX_PASSWORD;
                Err(self.refusal(&format!("argument must be at most {most} bytes long")))
            }
            Kind::Password => Ok(Change::Password(
                (!value.is_empty()).then(|| value.to_vec()),
            )),
            Kind::Fixed(fixed) if fixed.as_bytes() == value => Ok(Change::None),
            Kind::Fixed(_) => Err(self.refusal("can't set immutable config")),
            Kind::Number { range, set, .. } => {
                let (low, high) = (range.start(), range.end());
                match number::parse_i64(value).map(u64::try_from) {
                    None => Err(self.refusal("argument couldn't be parsed into an integer")),
                    Some(Ok(number)) if range.contains(&number) => Ok(Change::Number(*set, number)),
                    Some(_) => Err(self.refusal(&format!(
                        "argument must be between {low} and {high} inclusive"
                    ))),
                }
            }
        }
    }

    fn parse_memory(&self, value: &[u8], least: u64) -> Result<Change, Error> {
        let bytes = str::from_utf8(value).ok().and_then(size::parse);
        match bytes.ok_or_else(|| self.refusal("argument must be a memory value"))? {
            0 => Ok(Change::Memory(u64::MAX)),
            bytes if bytes < least => Err(self.refusal(&format!(
                "argument must be 0 or at least {least}, which the server needs at rest"
            ))),
            bytes => Ok(Change::Memory(bytes)),
        }
    }

    fn parse_policy(&self, value: &[u8]) -> Result<Change, Error> {
        let policy = str::from_utf8(value).ok().and_then(Eviction::from_name);
        let refusal = || {
            let names = Eviction::ALL.map(Eviction::redis_name).join(", ");
            self.refusal(&format!("argument must be one of the following: {names}"))
        };
        policy.map(Change::Policy).ok_or_else(refusal)
    }

    fn refusal(&self, why: &str) -> Error {
        Error::Made(format!(
            "ERR CONFIG SET failed (possibly related to argument '{}') - {why}",
            self.name
        ))
    }
}

/// A change that is known to be possible.
enum Change {
    None,
    Number(fn(&Settings, u64), u64),
    Memory(u64),
    Policy(Eviction),
    Password(Option<Vec<u8>>),
}

impl Change {
    fn apply(self, service: &Service) {
        let settings = &service.settings;
        match self {
            Self::None => {}
            Self::Number(set, value) => set(settings, value),
            Self::Memory(bytes) => service.set_max_memory(bytes),
            Self::Policy(policy) => settings.set_eviction(policy),
            Self::Password(password) => settings.set_password(password),
        }
    }
}

fn get(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    options::few(args, 2)?;
    let patterns: Result<Vec<_>, _> = args.from(2).map(options::name_pattern).collect();
    let patterns = patterns?;
    let settings = &exec.service.settings;
    let mut found: Vec<(Cow<'_, [u8]>, Vec<u8>)> = Vec::new();
    for parameter in Parameter::all(exec) {
        // A plain name is answered as it was asked, a pattern by the names that match.
        let literal = args.from(2).find(|asked| parameter.is_named(asked));
        let name = literal.map(Cow::Borrowed).or_else(|| {
            let name = parameter.name.as_bytes();
            let matches = patterns.iter().any(|pattern| glob::matches(pattern, name));
            matches.then_some(Cow::Borrowed(name))
        });
        found.extend(name.map(|name| (name, parameter.get(settings))));
    }
    let mut reply = exec.reply();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(&name);
        reply.bulk(&value);
    }
    Ok(Step::Done)
}

fn set(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let parameters = Parameter::all(exec);
    let mut named: Vec<(&Parameter, &[u8])> = Vec::new();
    for index in (2..args.len()).step_by(2) {
        let Some(parameter) = parameters.iter().find(|one| one.is_named(args.get(index))) else {
            return Err(Error::Made(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                echoed(args.get(index))
            )));
        };
        if named
            .iter()
            .any(|(earlier, _)| earlier.name == parameter.name)
        {
            return Err(parameter.refusal("duplicate parameter"));
        }
        named.push((parameter, args.get(index + 1)));
    }
    let changes: Result<Vec<_>, _> = named
        .into_iter()
        .map(|(parameter, value)| parameter.parse(value, &exec.service.settings))
        .collect();
    for change in changes? {
        change.apply(exec.service);
    }
    exec.reply().ok();
    Ok(Step::Done)
}

fn reset_stat(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    exec.service.reset_statistics();
    exec.reply().ok();
    Ok(Step::Done)
}
