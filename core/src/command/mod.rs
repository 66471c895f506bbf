//! The commands: a table of data, and one file a family.

mod config;
mod connection;
mod elements;
mod error;
mod generic;
mod hash;
mod hotkeys;
mod info;
mod introspect;
mod latency;
mod list;
mod memory;
mod options;
mod persistence;
mod scan;
mod server;
mod setters;
mod slowlog;
mod string;
mod subcommand;
mod table;
mod usage;

use crate::exec::{Args, Exec, Outcome};
use crate::limits::MAX_KEY;
use crate::store::{Item, Kind};

pub use error::{Code, Error};
pub use info::{Fields, Report};
pub use subcommand::Subcommand;
pub(crate) use table::{COUNT, none};
pub use table::{find, table};

/// What a command is, to the session and to people.
#[derive(Debug)]
pub struct Command {
    /// Its name in lower case.
    pub name: &'static str,
    /// Its place in [`table`]; for what is no command, the place behind the last.
    pub number: u8,
    /// Words of a request, the name included: exactly so many, or at least `-arity` where it is negative.
    pub arity: i16,
    /// What it does to the store and what it needs.
    pub flags: Flags,
    /// Which arguments are keys.
    pub keys: Keys,
    /// The family in which people look for it.
    pub group: Group,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its arguments, as people write them.
    pub usage: &'static str,
    /// Does it.
    pub run: fn(&mut Exec<'_>, &Args<'_>) -> Outcome,
}

/// Properties of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Changes the store.
    pub const WRITE: Self = Self(1);
    /// Reads the store.
    pub const READ: Self = Self(1 << 1);
    /// Takes constant time.
    pub const FAST: Self = Self(1 << 2);
    /// Allowed before AUTH.
    pub const NO_AUTH: Self = Self(1 << 3);
    /// Concerns the server, not data.
    pub const ADMIN: Self = Self(1 << 4);
    /// Can need more memory.
    pub const DENY_OOM: Self = Self(1 << 5);
    /// Can take long though its request is short: each call is timed.
    pub const LONG: Self = Self(1 << 6);

    /// No property.
    pub const NONE: Self = Self(0);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Which arguments are keys: from `first` to `last` (counted from the end where negative) in steps; none where
/// `first` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Index of the first.
    pub first: usize,
    /// Index of the last; -1 is the last argument.
    pub last: i16,
    /// Distance from one to the next.
    pub step: usize,
}

impl Keys {
    /// No keys.
    pub const NONE: Self = Self {
        first: 0,
        last: 0,
        step: 0,
    };
    /// The first argument.
    pub const ONE: Self = Self {
        first: 1,
        last: 1,
        step: 1,
    };
    /// The first two.
    pub const TWO: Self = Self {
        first: 1,
        last: 2,
        step: 1,
    };
    /// All arguments.
    pub const ALL: Self = Self {
        first: 1,
        last: -1,
        step: 1,
    };
    /// Every other argument.
    pub const PAIRS: Self = Self {
        first: 1,
        last: -1,
        step: 2,
    };

    /// The indexes of the keys in a request of `len` words.
    #[inline]
    pub fn of(self, len: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        let end = match (self.first, self.last) {
            (0, _) => 0,
            (_, last) if last < 0 => (len + 1).saturating_sub(usize::from(last.unsigned_abs())),
            (_, last) => usize::from(last.unsigned_abs()) + 1,
        };
        let (mut next, end) = (self.first, end.min(len));
        // Not `step_by`, which divides: this runs for every request.
        core::iter::from_fn(move || {
            let index = next;
            next += self.step;
            (index < end).then_some(index)
        })
    }
}

/// Families of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The six setters and FETCH: what Ant-Cache adds.
    AntCache,
    /// Strings.
    String,
    /// Keys of any type.
    Generic,
    /// Arrays, read as lists.
    List,
    /// Objects, read as hashes.
    Hash,
    /// The connection.
    Connection,
    /// The server.
    Server,
}

impl Group {
    /// All families, ours first.
    pub const ALL: [Self; 7] = [
        Self::AntCache,
        Self::String,
        Self::Generic,
        Self::List,
        Self::Hash,
        Self::Connection,
        Self::Server,
    ];

    /// Its name, as COMMAND DOCS gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AntCache => "ant-cache",
            Self::String => "string",
            Self::Generic => "generic",
            Self::List => "list",
            Self::Hash => "hash",
            Self::Connection => "connection",
            Self::Server => "server",
        }
    }
}

/// Whether a request of `len` words has the right number of them.
#[inline]
const fn fits(arity: i16, len: usize) -> bool {
    let words = arity.unsigned_abs() as usize;
    if arity > 0 {
        len == words
    } else {
        len >= words
    }
}

impl Command {
    /// The subcommands of a command of several; none for others.
    #[must_use]
    pub fn subcommands(&self) -> &'static [Subcommand] {
        match self.name {
            "client" => &connection::CLIENT,
            "command" => &introspect::COMMAND,
            "config" => &config::CONFIG,
            "latency" => &latency::LATENCY,
            "memory" => &memory::MEMORY,
            "slowlog" => &slowlog::SLOWLOG,
            _ => &[],
        }
    }

    /// Whether a request may run.
    ///
    /// # Errors
    /// Wrong number of arguments, a key over the limit, or no authentication.
    #[inline]
    pub(crate) fn admit(&'static self, args: &Args<'_>, authenticated: bool) -> Result<(), Error> {
        let len = args.len();
        if !fits(self.arity, len) {
            return Err(Error::Arity(self, len));
        }
        if !authenticated && !self.flags.has(Flags::NO_AUTH) {
            return Err(Error::AuthRequired);
        }
        // Only a request that is longer in all can have a key that is.
        if args.bytes() > MAX_KEY
            && self
                .keys
                .of(len)
                .any(|index| args.get(index).len() > MAX_KEY)
        {
            return Err(Error::KeyTooLong);
        }
        Ok(())
    }
}

/// What was found, where it is of this kind.
///
/// # Errors
/// [`Error::WrongType`] for another kind.
fn of_kind(kind: Kind, item: Option<Item<'_>>) -> Result<Option<Item<'_>>, Error> {
    match item {
        Some(item) if item.kind != kind => Err(Error::WrongType),
        other => Ok(other),
    }
}
