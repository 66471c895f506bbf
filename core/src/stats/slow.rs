//! The slow log: the last calls that took longer than a bound.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use crate::Millis;
use crate::exec::Args;

/// Words of a request that are kept.
const WORDS: usize = 32;

/// Bytes of a word that are kept.
const BYTES: usize = 128;

/// A call that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCall {
    /// Its number, counted from 0 since the start.
    pub id: u64,
    /// When it was done.
    pub at: Millis,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Its words: at most 32, each of at most 128 bytes; what was left out is told in the last of them, or at a word's
    /// end.
    pub words: Vec<Vec<u8>>,
    /// The connection's number.
    pub client: u64,
    /// The connection's name; empty where it has none.
    pub name: Vec<u8>,
}

/// The last slow calls.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    calls: VecDeque<SlowCall>,
    next: u64,
}

impl SlowLog {
    /// Adds a call, and lets the oldest beyond `most` go. The call's number is given here.
    pub(crate) fn push(&mut self, mut call: SlowCall, most: usize) {
        call.id = self.next;
        self.next += 1;
        self.calls.push_front(call);
        self.calls.truncate(most);
    }

    /// The latest `n`, the latest first.
    pub(crate) fn latest(&self, n: usize) -> Vec<SlowCall> {
        self.calls.iter().take(n).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Forgets all; numbers go on. What is returned is freed best without a lock.
    pub(crate) fn clear(&mut self) -> VecDeque<SlowCall> {
        core::mem::take(&mut self.calls)
    }
}

/// The words of a request as people may see them: shortened, and without passwords.
pub(crate) fn shown(args: &Args<'_>) -> Vec<Vec<u8>> {
    let secret = secret(args);
    let kept = if args.len() > WORDS {
        WORDS - 1
    } else {
        args.len()
    };
    let mut words: Vec<Vec<u8>> = (0..kept)
        .map(|at| match args.get(at) {
            _ if secret(at) => REDACTED.to_vec(),
            word if word.len() > BYTES => {
                let more = format!("... ({} more bytes)", word.len() - BYTES);
                [&word[..BYTES], more.as_bytes()].concat()
            }
            word => word.to_vec(),
        })
        .collect();
    if kept < args.len() {
        words.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    words
}

/// What is shown instead of a password.
pub(crate) const REDACTED: &[u8] = b"(redacted)";

/// Which words may hold a password, by their place.
pub(crate) fn secret<'a>(args: &Args<'a>) -> impl Fn(usize) -> bool + use<'a> {
    let args = *args;
    let auth = args.is(0, "AUTH");
    let hello = args.is(0, "HELLO");
    let config = args.is(0, "CONFIG") && (1..args.len()).any(|at| args.is(at, "requirepass"));
    // HELLO's option AUTH has two values.
    let is_credential =
        move |at: usize| (1..=2).any(|back| at > back && args.is(at - back, "AUTH"));
    move |at| match at {
        0 => false,
        1 => auth,
        _ => auth || config || hello && is_credential(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Parsed, Parser, RequestLimits};

    fn shown_line(line: &str) -> Vec<Vec<u8>> {
        let mut bytes = format!("{line}\n").into_bytes();
        let mut spans = Vec::new();
        let limits = RequestLimits {
            bytes: 1 << 20,
            args: 1 << 10,
        };
        let parsed = Parser::default().next(&mut bytes, &mut spans, limits);
        assert!(matches!(parsed, Parsed::Request(_)));
        shown(&Args::new(&bytes, &spans))
    }

    #[test]
    fn passwords_are_never_shown() {
        for line in [
            "AUTH hush",
            "auth default hush",
            "HELLO 3 AUTH default hush SETNAME me",
            "hello 3 setname me auth default hush",
            "hello 3 setname auth auth default hush",
            "hello auth default hush",
            "CONFIG SET requirepass hush",
            "config set maxclients 7 RequirePass hush",
        ] {
            let shown = shown_line(line);
            let text = shown.join(&b' ');
            assert!(!text.windows(4).any(|part| part == b"hush"), "{line}");
            assert!(shown.contains(&b"(redacted)".to_vec()));
            assert_eq!(shown.len(), line.split(' ').count());
        }
        assert_eq!(shown_line("GET hush"), [b"GET".to_vec(), b"hush".to_vec()]);
        assert_eq!(
            shown_line("HELLO 3 AUTH default hush SETNAME me").join(&b' '),
            b"HELLO 3 AUTH (redacted) (redacted) SETNAME me"
        );
    }

    #[test]
    fn long_requests_are_shortened() {
        let shown = shown_line(&format!("SET key {}", "x".repeat(200)));
        assert_eq!(
            shown[2],
            format!("{}... (72 more bytes)", "x".repeat(128)).into_bytes()
        );
        let shown = shown_line(&format!("DEL{}", " k".repeat(100)));
        assert_eq!(shown.len(), WORDS);
        assert_eq!(shown[31], b"... (70 more arguments)");
        assert_eq!(shown_line(&format!("DEL{}", " k".repeat(31))).len(), WORDS);
    }

    #[test]
    fn the_log_keeps_the_latest() {
        let mut log = SlowLog::default();
        let call = |micros| SlowCall {
            id: 0,
            at: Millis(5),
            micros,
            words: Vec::new(),
            client: 1,
            name: Vec::new(),
        };
        (0..10).for_each(|n| log.push(call(n), 3));
        let latest: Vec<_> = log
            .latest(2)
            .iter()
            .map(|call| (call.id, call.micros))
            .collect();
        assert_eq!((log.len(), latest), (3, alloc::vec![(9, 9), (8, 8)]));
        log.clear();
        log.push(call(7), 0);
        assert_eq!(log.len(), 0);
        log.push(call(7), 1);
        assert_eq!(log.latest(9)[0].id, 11);
    }
}
