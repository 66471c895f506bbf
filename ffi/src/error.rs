//! The particulars of a failure.

use core::ffi::c_char;
use core::fmt::{Display, Write};

use ant_cache_runtime_std::client::{ClientError, ErrorKind};

use crate::boundary::Outcome;
use crate::memory::Out;
use crate::status::antcache_status::{self, *};

/// The particulars of a failure, in memory of the caller. Written only where a call fails, never freed, and of this size
/// for ever. Functions that take one accept NULL from who does not want to know.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_error {
    /// What the call returned.
    pub status: antcache_status,
    /// The server that the request went to, such as "127.0.0.1:8890"; empty where it concerns none. Ends with NUL, cut
    /// where it is longer.
    pub node: [c_char; 124],
    /// What went wrong, one line of text for people, with the server and the command. Of ANTCACHE_SERVER_ERROR it is the
    /// server's own words, which begin with a code in capitals. Ends with NUL, cut where it is longer.
    pub message: [c_char; 384],
}

/// A failure on its way to C.
#[derive(Debug)]
pub(crate) struct Failure {
    status: antcache_status,
    node: String,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: antcache_status, message: impl Display) -> Self {
        Self {
            status,
            node: String::new(),
            message: message.to_string(),
        }
    }

    pub(crate) fn at(status: antcache_status, node: impl Display, message: impl Display) -> Self {
        Self {
            node: node.to_string(),
            ..Self::new(status, message)
        }
    }

    /// As a server would answer it: a code in capitals, the status's name, and what went wrong.
    pub(crate) fn line(&self) -> String {
        let status = format!("{:?}", self.status);
        let code = status.trim_start_matches("ANTCACHE_");
        format!("{code} {}", self.message)
    }
}

impl From<antcache_status> for Failure {
    fn from(status: antcache_status) -> Self {
        Self::new(status, status.text().to_string_lossy())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let status = of_kind(error.kind());
        match error.kind() {
            // The server's own words: a program looks at their first.
            kind @ ErrorKind::Reply(_) => Self::at(status, error.address(), kind),
            _ => Self::at(status, error.address(), &error),
        }
    }
}

/// What a client's failure is called.
pub(crate) fn of_kind(kind: &ErrorKind) -> antcache_status {
    match kind {
        ErrorKind::Connect(_) => ANTCACHE_CONNECT,
        ErrorKind::Io(_) | ErrorKind::ClosedByServer => ANTCACHE_LOST,
        ErrorKind::TimedOut(_) => ANTCACHE_TIMEOUT,
        ErrorKind::NotConnected => ANTCACHE_NOT_CONNECTED,
        ErrorKind::Reply(_) => ANTCACHE_SERVER_ERROR,
        ErrorKind::NoArguments => ANTCACHE_INVALID,
        // What the server sent, and kinds of later versions.
        _ => ANTCACHE_PROTOCOL,
    }
}

/// Where the particulars go; nowhere for NULL.
///
/// # Safety
/// As [`Out::optional`].
pub(crate) unsafe fn place<'a>(
    pointer: *mut antcache_error,
) -> Outcome<Option<Out<'a, antcache_error>>> {
    // SAFETY: passed on.
    unsafe { Out::optional(pointer) }
}

/// Ends a call: tells what went wrong, where someone wants to know.
pub(crate) fn tell(
    result: Result<antcache_status, Failure>,
    to: Option<Out<'_, antcache_error>>,
) -> Outcome {
    result.map_err(|failure| {
        if let Some(to) = to {
            to.write(antcache_error {
                status: failure.status,
                node: cut(&failure.node),
                message: cut(&failure.message),
            });
        }
        failure.status
    })
}

/// A text as C has it: control characters, the NUL among them, as a space; cut between two characters; a NUL behind it.
pub(crate) fn cut<const N: usize>(text: &str) -> [c_char; N] {
    let mut line = String::new();
    for letter in text.chars() {
        if line.len() + letter.len_utf8() >= N {
            break;
        }
        // Writing to a string cannot fail.
        let _ = line.write_char(if letter.is_control() { ' ' } else { letter });
    }
    let mut bytes = [0; N];
    for (to, byte) in bytes.iter_mut().zip(line.bytes()) {
        *to = byte.cast_signed() as c_char;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_letters() {
        let bytes = |text: &str| cut::<6>(text).map(|byte| byte as u8);
        assert_eq!(&bytes("abc\n"), b"abc \0\0");
        assert_eq!(&bytes("abcdefgh"), b"abcde\0");
        assert_eq!(&bytes("abcdä"), b"abcd\0\0");
    }

    #[test]
    fn its_size_is_part_of_the_interface() {
        assert_eq!(size_of::<antcache_error>(), 512);
    }
}
