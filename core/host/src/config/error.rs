//! What can be wrong with settings.

use std::fmt;
use std::path::PathBuf;

/// Settings that cannot be used. All are the fault of whoever wrote them, and each is shown as one line that says
/// where it is and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not what its notation demands.
    Syntax {
        /// Its path.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A name that means nothing here.
    Unknown {
        /// The file, or what else it stands in.
        place: String,
        /// What sort of name it is: a key, a variable, a flag.
        what: &'static str,
        /// The name.
        name: String,
        /// The known name that is most like it.
        nearest: String,
    },
    /// A value of the wrong type, or out of range.
    Value {
        /// The flag, the variable, or the file and key.
        place: String,
        /// What is accepted.
        expected: String,
        /// What was there.
        found: String,
    },
    /// Two settings that exclude each other.
    Conflict {
        /// Where the first was given.
        first: String,
        /// Where the second was given.
        second: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, reason } => write!(f, "cannot read {}: {reason}", path.display()),
            Self::Syntax { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Unknown {
                place,
                what,
                name,
                nearest,
            } => {
                write!(
                    f,
                    "{place}: unknown {what} {}; the nearest known one is {nearest}",
                    name.escape_debug()
                )
            }
            Self::Value {
                place,
                expected,
                found,
            } => write!(f, "{place}: expected {expected}, found {found}"),
            Self::Conflict { first, second } => {
                write!(f, "{first} and {second} exclude each other")
            }
        }
    }
}

impl std::error::Error for Error {}
