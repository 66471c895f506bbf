//! Why a command was not executed.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Command;
use crate::exec::Args;
use crate::limits;

/// Why a command was not executed. `Display` is the RESP form, code word first; [`Error::text`] the text dialect's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no such command: its name and the beginning of its arguments.
    Unknown {
        /// The name as it was sent.
        name: String,
        /// The arguments, each in quotes, cut at 128 bytes.
        args: String,
    },
    /// Wrong number of words for this command.
    Arity(&'static Command, usize),
    /// The connection has not authenticated.
    AuthRequired,
    /// The key is longer than [`limits::MAX_KEY`].
    KeyTooLong,
    /// An option that does not exist, or two that exclude each other.
    Syntax,
    /// Not a 64-bit number.
    NotInteger,
    /// Not a number with a fraction.
    NotFloat,
    /// The command is not for values of this kind.
    WrongType,
    /// More memory may be needed than there is, and nothing may go for it.
    OutOfMemory,
    /// Changes cannot be written to disk.
    Unwritable,
    /// The change was made, but could not be written to disk.
    Unwritten,
    /// Any other reason, in RESP form.
    Other(&'static str),
    /// Any other reason, made for the case; in RESP form.
    Made(String),
}

/// The first word of an error, by which programs tell errors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Whatever has no word of its own.
    Err,
    /// The value is of another type.
    WrongType,
    /// The connection has not authenticated.
    NoAuth,
    /// The password is wrong.
    WrongPass,
    /// There is no such version of the protocol.
    NoProto,
    /// There is no memory.
    Oom,
    /// Changes cannot be written to disk.
    MisConf,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 7] = [
        Self::Err,
        Self::WrongType,
        Self::NoAuth,
        Self::WrongPass,
        Self::NoProto,
        Self::Oom,
        Self::MisConf,
    ];

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Err => "ERR",
            Self::WrongType => "WRONGTYPE",
            Self::NoAuth => "NOAUTH",
            Self::WrongPass => "WRONGPASS",
            Self::NoProto => "NOPROTO",
            Self::Oom => "OOM",
            Self::MisConf => "MISCONF",
        }
    }

    /// The code that a message begins with.
    fn of(message: &str) -> Self {
        let word = message.split(' ').next().unwrap_or_default();
        let code = Self::ALL.into_iter().find(|code| code.name() == word);
        debug_assert!(code.is_some(), "an error begins with a code: {message}");
        code.unwrap_or(Self::Err)
    }
}

impl Error {
    /// The first word of its RESP form.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown { .. }
            | Self::Arity(..)
            | Self::KeyTooLong
            | Self::Syntax
            | Self::NotInteger
            | Self::NotFloat => Code::Err,
            Self::AuthRequired => Code::NoAuth,
            Self::WrongType => Code::WrongType,
            Self::OutOfMemory => Code::Oom,
            Self::Unwritable | Self::Unwritten => Code::MisConf,
            Self::Other(message) => Code::of(message),
            Self::Made(message) => Code::of(message),
        }
    }

    /// The error for a request whose name is in no table.
    #[must_use]
    pub fn unknown_command(args: &Args<'_>) -> Self {
        let mut echoed = Vec::new();
        for arg in args.from(1) {
            if echoed.len() >= ECHO {
                break;
            }
            let room = ECHO - echoed.len();
            echoed.push(b'\'');
            echoed.extend_from_slice(printed(arg, room));
            echoed.extend_from_slice(b"' ");
        }
        Self::Unknown {
            name: self::echoed(args.get(0)).into_owned(),
            args: String::from_utf8_lossy(&echoed).into_owned(),
        }
    }

    /// The error for an option of EXPIRE that does not exist.
    pub(super) fn unsupported_option(word: &[u8]) -> Self {
        let word = String::from_utf8_lossy(printed(word, word.len()));
        Self::Made(alloc::format!("ERR Unsupported option {word}"))
    }

    /// The message as the text dialect gives it, without the leading `ERROR`.
    #[must_use]
    pub const fn text(&self) -> TextError<'_> {
        TextError(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, args } => write!(
                f,
                "ERR unknown command '{name}', with args beginning with: {args}"
            ),
            Self::Arity(command, _) => write!(
                f,
                "ERR wrong number of arguments for '{}' command",
                command.name
            ),
            Self::AuthRequired => f.write_str("NOAUTH Authentication required."),
            Self::KeyTooLong => write!(f, "ERR key is longer than {} bytes", limits::MAX_KEY),
            Self::Syntax => f.write_str("ERR syntax error"),
            Self::NotInteger => f.write_str("ERR value is not an integer or out of range"),
            Self::NotFloat => f.write_str("ERR value is not a valid float"),
            Self::WrongType => {
                f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            Self::OutOfMemory => {
                f.write_str("OOM command not allowed when used memory > 'maxmemory'.")
            }
            Self::Unwritable => write!(f, "MISCONF {UNWRITABLE}"),
            Self::Unwritten => write!(f, "MISCONF {UNWRITTEN}"),
            Self::Other(message) => f.write_str(message),
            Self::Made(message) => f.write_str(message),
        }
    }
}

const UNWRITABLE: &str =
    "changes cannot be written to disk, and are refused until they can; see INFO persistence";
const UNWRITTEN: &str = "the change was made in memory, but could not be written to disk; it will be as soon as that is possible";

/// So many bytes of what a client sent are repeated in an error, as Redis does with a command's name and arguments.
const ECHO: usize = 128;

/// A word that a client sent, for an error that repeats it.
pub(super) fn echoed(word: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(printed(word, ECHO))
}

/// What C's `printf` shows of a word, and so Redis in its errors: nothing from a zero byte on, and no more than `most`.
fn printed(word: &[u8], most: usize) -> &[u8] {
    let end = memchr::memchr(0, word).unwrap_or(word.len());
    &word[..end.min(most)]
}

/// An [`Error`] in the words of the text dialect.
#[derive(Clone, Copy, Debug)]
pub struct TextError<'a>(&'a Error);

impl fmt::Display for TextError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::Unknown { .. } => f.write_str("unknown command"),
            Error::AuthRequired => f.write_str("authentication required"),
            Error::OutOfMemory => f.write_str("out of memory"),
            Error::Unwritable => write!(f, "persistence: {UNWRITABLE}"),
            Error::Unwritten => write!(f, "persistence: {UNWRITTEN}"),
            Error::Arity(command, len) => {
                let needs = match (command.name, *len) {
                    ("set" | "setnx", _) => "key and value",
                    ("sets" | "setsnx", _) => "key and at least one array element",
                    ("setx" | "setxnx", _) => "key and at least one key-value pair",
                    ("get" | "del", 1) => "key",
                    ("auth", 1) => "password",
                    _ => {
                        return write!(
                            f,
                            "wrong number of arguments for '{}' command",
                            command.name
                        );
                    }
                };
                for byte in command.name.bytes() {
                    write!(f, "{}", char::from(byte.to_ascii_uppercase()))?;
                }
                write!(f, " requires {needs}")
            }
            other => fmt::Display::fmt(other, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_code_is_the_first_word() {
        for error in [
            Error::Arity(super::super::none(), 1),
            Error::AuthRequired,
            Error::KeyTooLong,
            Error::Syntax,
            Error::NotInteger,
            Error::NotFloat,
            Error::WrongType,
            Error::OutOfMemory,
            Error::Unwritable,
            Error::Unwritten,
            Error::Other("NOPROTO unsupported protocol version"),
            Error::Made("WRONGPASS no".into()),
        ] {
            let text = error.to_string();
            assert_eq!(text.split(' ').next(), Some(error.code().name()), "{text}");
        }
    }
}
