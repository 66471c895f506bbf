//! Options that several commands share.

use alloc::vec::Vec;

use super::Error;
use crate::Millis;
use crate::exec::{Args, Exec};
use crate::{limits, ttl};

/// Refuses more words from `first` on than there are names to ask about.
pub(super) fn few(args: &Args<'_>, first: usize) -> Result<(), Error> {
    if args.len().saturating_sub(first) > limits::MAX_NAMES {
        return Err(Error::Other("ERR too many arguments for one request"));
    }
    Ok(())
}

/// A pattern for names of ours, which are in lower case.
pub(super) fn name_pattern(word: &[u8]) -> Result<Vec<u8>, Error> {
    if word.len() > limits::MAX_NAME {
        return Err(Error::Other("ERR the pattern is too long"));
    }
    Ok(word.to_ascii_lowercase())
}

/// The unit and origin of a time that a client gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// A Unix time in seconds.
    UnixSeconds,
    /// A Unix time in milliseconds.
    UnixMillis,
}

impl Clock {
    /// The option word that introduces a time of this kind.
    pub(super) fn from_word(args: &Args<'_>, index: usize) -> Option<Self> {
        let words = [
            ("EX", Self::Seconds),
            ("PX", Self::Millis),
            ("EXAT", Self::UnixSeconds),
            ("PXAT", Self::UnixMillis),
        ];
        words
            .into_iter()
            .find(|(word, _)| args.is(index, word))
            .map(|(_, clock)| clock)
    }

    /// The moment that `amount` means; `None` where it does not fit the clock. It may lie before the epoch.
    pub(super) fn moment(self, amount: i64, now: Millis) -> Option<i64> {
        let ms = match self {
            Self::Seconds | Self::UnixSeconds => amount.checked_mul(1000)?,
            Self::Millis | Self::UnixMillis => amount,
        };
        match self {
            Self::Seconds | Self::Millis => ms.checked_add(i64::try_from(now.0).ok()?),
            Self::UnixSeconds | Self::UnixMillis => Some(ms),
        }
    }
}

/// What the options of SET and GETEX say of the time to live: either one of four times or a word, KEEPTTL or PERSIST.
pub(super) struct Lifetime {
    word: &'static str,
    /// Whether the word was given.
    pub(super) worded: bool,
    /// Where a time was given, its kind and the index of the number.
    time: Option<(Clock, usize)>,
}

impl Lifetime {
    pub(super) const fn new(word: &'static str) -> Self {
        Self {
            word,
            worded: false,
            time: None,
        }
    }

    /// Reads the option at `index`; returns how many words it has, 0 where it is none of these. As in Redis, an option
    /// may repeat, and its last number counts.
    pub(super) fn read(&mut self, args: &Args<'_>, index: usize) -> usize {
        if args.is(index, self.word) && self.time.is_none() {
            self.worded = true;
            return 1;
        }
        match Clock::from_word(args, index) {
            Some(clock)
                if index + 1 < args.len()
                    && !self.worded
                    && self.time.is_none_or(|(other, _)| other == clock) =>
            {
                self.time = Some((clock, index + 1));
                2
            }
            _ => 0,
        }
    }

    /// Whether anything was said.
    pub(super) const fn is_given(&self) -> bool {
        self.worded || self.time.is_some()
    }

    /// The end of life, where a time was given.
    pub(super) fn end(&self, exec: &Exec<'_>, args: &Args<'_>) -> Result<Option<Millis>, Error> {
        self.time
            .map(|(clock, index)| end_of_life(exec, args, index, clock))
            .transpose()
    }
}

/// The end of life that the word at `index` means, for commands that set a value with it: it must be positive.
pub(super) fn end_of_life(
    exec: &Exec<'_>,
    args: &Args<'_>,
    index: usize,
    clock: Clock,
) -> Result<Millis, Error> {
    let amount = args.integer(index)?;
    let moment = if amount > 0 {
        clock.moment(amount, exec.now)
    } else {
        None
    };
    moment
        .map(|moment| Millis(moment as u64))
        .ok_or_else(|| invalid_expire(exec))
}

/// The error for a time that makes no sense.
pub(super) fn invalid_expire(exec: &Exec<'_>) -> Error {
    Error::Made(alloc::format!(
        "ERR invalid expire time in '{}' command",
        exec.command.name
    ))
}

/// Reads `-t TTL` behind the key. Returns the end of life and the index of the first word behind it.
///
/// `least` words must follow it. With three words in all it is no option: `SET key -t` stores `-t`. Over RESP, where an
/// older meaning of the words exists (`SET key -t EX 10`), a word that is no TTL leaves them to it.
pub(super) fn ttl(
    exec: &Exec<'_>,
    args: &Args<'_>,
    least: usize,
) -> Result<(Option<Millis>, usize), Error> {
    const AT: usize = 2;
    if args.len() < AT + 2 || args.get(AT) != b"-t" {
        return Ok((None, AT));
    }
    match parse_ttl(exec, args.get(AT + 1)) {
        Err(_) if !exec.is_text() && exec.command.name == "set" => Ok((None, AT)),
        Err(error) => Err(error),
        Ok(_) if args.len() < AT + 2 + least => Err(Error::Arity(exec.command, args.len())),
        Ok(end) => Ok((Some(end), AT + 2)),
    }
}

/// The end of life that a TTL of the text dialect means.
pub(super) fn parse_ttl(exec: &Exec<'_>, word: &[u8]) -> Result<Millis, Error> {
    ttl::parse(word, exec.now).map_err(|error| Error::Made(alloc::format!("ERR {error}")))
}
