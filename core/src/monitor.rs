//! MONITOR: each request that is executed, as a line for whoever asks.
//!
//! All who monitor read one [`Feed`], each from a place of its own. So a line is made once however many read it, and what
//! is kept for them is bounded for all together: the oldest lines go, and who has not read them by then is closed. While
//! nobody monitors nothing of this is touched: [`Settings::looks_closely`] says so, which each call reads anyway.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::SocketAddr;
use core::task::Waker;

use crate::exec::Args;
use crate::ledger::{Charge, Ledger, Owner};
use crate::reply::{Reply, Wire};
use crate::settings::Settings;
use crate::stats::{REDACTED, secret};
use crate::sync::Mutex;
use crate::{Millis, Output};

/// Bytes of one piece of the feed, and the most that one line may have. Pieces are taken and given back whole, so that
/// nothing is moved as the feed grows.
const PIECE: usize = 16 << 10;

/// Bytes that are read under one lock: a copy of some microseconds.
const READ: usize = 4 * PIECE;

/// Bytes of a line that are kept for what tells that words were left out.
const TAIL: usize = 100;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Whoever made the connection did not say.
    #[default]
    Unknown,
    /// The server's Unix socket.
    Unix,
    /// This address.
    Tcp(SocketAddr),
}

/// A connection that monitors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monitor {
    /// The form of its lines: that of the request.
    wire: Wire,
    /// Bytes of the feed that it has read.
    read: u64,
    /// Where the feed ended when its waker was left there.
    asleep_at: Option<u64>,
}

impl Monitor {
    /// Says that lines were lost, as the last that it is told.
    pub(crate) fn tell_loss(&self, output: &mut Output) {
        Reply::new(output, self.wire)
            .error("ERR monitor closed: requests were executed faster than they were read");
    }
}

/// Lines that were shown before they were read are gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// All who monitor, and what they are shown.
#[derive(Debug)]
pub(crate) struct Monitors(Mutex<Feed>);

/// Lines, each ended by LF, in pieces; a line lies in one piece.
#[derive(Debug)]
struct Feed {
    pieces: VecDeque<Piece>,
    /// Bytes that were ever shown: where the last piece ends.
    end: u64,
    /// Connections that monitor.
    watching: usize,
    /// Those of them that have read everything, by their numbers.
    asleep: Vec<(u64, Waker)>,
    charge: Charge,
}

#[derive(Debug)]
struct Piece {
    /// Bytes that were shown before it.
    start: u64,
    lines: Vec<u8>,
}

impl Monitors {
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Self {
        Self(Mutex::new(Feed {
            pieces: VecDeque::new(),
            end: 0,
            watching: 0,
            asleep: Vec::new(),
            charge: Charge::new(ledger, Owner::Connections),
        }))
    }

    /// Connections that monitor.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().watching
    }

    /// One more, which is shown what comes from now on.
    pub(crate) fn join(&self, wire: Wire, settings: &Settings) -> Monitor {
        let mut feed = self.0.lock();
        feed.watching += 1;
        settings.set_monitored(true);
        Monitor {
            wire,
            read: feed.end,
            asleep_at: None,
        }
    }

    /// The connection of this number monitors no longer.
    pub(crate) fn leave(&self, id: u64, settings: &Settings) {
        let mut feed = self.0.lock();
        feed.watching -= 1;
        feed.asleep.retain(|(asleep, _)| *asleep != id);
        if feed.watching == 0 {
            settings.set_monitored(false);
            let pieces = core::mem::take(&mut feed.pieces);
            feed.settle();
            drop(feed);
            drop(pieces);
        }
    }

    /// Shows a line of at most [`PIECE`] bytes, its LF included. The oldest go where the feed would have more than `most`
    /// bytes.
    pub(crate) fn show(&self, line: &[u8], most: usize) {
        let mut feed = self.0.lock();
        if feed.watching == 0 {
            return;
        }
        feed.push(line, most);
        let asleep = core::mem::take(&mut feed.asleep);
        drop(feed);
        asleep.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Puts lines that `monitor` has not read yet into `output`. Returns whether there are more.
    pub(crate) fn read(&self, monitor: &mut Monitor, output: &mut Output) -> Result<bool, Lost> {
        let (lines, end) = {
            let feed = self.0.lock();
            (feed.from(monitor.read)?, feed.end)
        };
        monitor.read += lines.len() as u64;
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            Reply::new(output, monitor.wire).raw_line(line);
        }
        Ok(monitor.read < end)
    }

    /// Has `waker` called when there is more for `monitor`, the connection of the number `id`. False where there is
    /// already.
    pub(crate) fn sleep(&self, monitor: &mut Monitor, id: u64, waker: &Waker) -> bool {
        let mut feed = self.0.lock();
        if monitor.read < feed.end {
            return false;
        }
        // Whoever showed more since would have called.
        if monitor.asleep_at != Some(feed.end) {
            monitor.asleep_at = Some(feed.end);
            feed.asleep.push((id, waker.clone()));
            feed.trim();
        }
        true
    }
}

impl Feed {
    fn push(&mut self, line: &[u8], most: usize) {
        debug_assert!(line.len() <= PIECE, "a line lies in one piece");
        let has_room = |piece: &Piece| piece.lines.len() + line.len() <= PIECE;
        if !self.pieces.back().is_some_and(has_room) {
            while (self.pieces.len() + 1) * PIECE > most && self.pieces.pop_front().is_some() {}
            self.pieces.push_back(Piece {
                start: self.end,
                lines: Vec::with_capacity(PIECE),
            });
            self.settle();
        }
        if let Some(last) = self.pieces.back_mut() {
            last.lines.extend_from_slice(line);
            self.end += line.len() as u64;
        }
    }

    /// The lines behind the first `read` bytes, as many as one lock allows.
    fn from(&self, read: u64) -> Result<Vec<u8>, Lost> {
        let mut lines = Vec::new();
        if read == self.end {
            return Ok(lines);
        }
        let first = self.pieces.partition_point(|piece| piece.start <= read);
        let first = first.checked_sub(1).ok_or(Lost)?;
        let mut skip = (read - self.pieces[first].start) as usize;
        for piece in self.pieces.range(first..) {
            lines.extend_from_slice(&piece.lines[skip..]);
            skip = 0;
            if lines.len() + PIECE > READ {
                break;
            }
        }
        Ok(lines)
    }

    /// Lets go what all have read.
    fn trim(&mut self) {
        if self.asleep.len() < self.watching {
            return;
        }
        self.pieces.truncate(1);
        if let Some(piece) = self.pieces.front_mut() {
            piece.start = self.end;
            piece.lines.clear();
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.charge.set(self.pieces.len() * PIECE);
    }
}

/// The line of a request, in Redis's form: the time in seconds, the database and where the request comes from, and its
/// words in quotes. It shows no password, and has at most [`PIECE`] bytes: what is left out is told at its end.
pub(crate) fn line(now: Millis, from: &str, args: &Args<'_>) -> Vec<u8> {
    let mut line = Line::default();
    let (seconds, ms) = (now.0 / 1000, now.0 % 1000);
    // Nothing of this can fail.
    let _ = write!(line, "{seconds}.{ms:03}000 [0 {from}]");
    let secret = secret(args);
    for (at, word) in args.from(0).enumerate() {
        line.0.extend_from_slice(b" \"");
        let left = if secret(at) {
            line.quote(REDACTED)
        } else {
            line.quote(word)
        };
        if left > 0 {
            let _ = write!(line, "... ({left} more bytes)");
        }
        line.0.push(b'"');
        let more = args.len() - at - 1;
        if more > 0 && line.is_full() {
            let _ = write!(line, " \"... ({more} more arguments)\"");
            break;
        }
    }
    line.0.push(b'\n');
    line.0
}

/// A line that is being made.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn is_full(&self) -> bool {
        self.0.len() >= PIECE - TAIL
    }

    /// Appends bytes as Redis quotes them; returns how many there was no room for.
    fn quote(&mut self, bytes: &[u8]) -> usize {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.is_full() {
                return bytes.len() - at;
            }
            match byte {
                b'\\' | b'"' => self.0.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\r' => self.0.extend_from_slice(b"\\r"),
                b'\t' => self.0.extend_from_slice(b"\\t"),
                0x07 => self.0.extend_from_slice(b"\\a"),
                0x08 => self.0.extend_from_slice(b"\\b"),
                b' '..=b'~' => self.0.push(byte),
                other => {
                    let _ = write!(self, "\\x{other:02x}");
                }
            }
        }
        0
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::protocol::Span;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn shown(words: &[&[u8]]) -> String {
        let mut spans = Vec::new();
        let mut start = 0;
        for word in words {
            spans.push(Span {
                start,
                len: word.len() as u32,
            });
            start += word.len() as u32;
        }
        let line = line(
            Millis(1_700_000_000_042),
            "127.0.0.1:7",
            &Args::new(&words.concat(), &spans),
        );
        assert!(line.len() <= PIECE);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn lines_have_the_form_of_redis() {
        assert_eq!(
            shown(&[b"set", b"a\x00b\"\n", b"\xff\xc3\xa9\\ \t\x07"]),
            "1700000000.042000 [0 127.0.0.1:7] \"set\" \"a\\x00b\\\"\\n\" \"\\xff\\xc3\\xa9\\\\ \\t\\a\"\n"
        );
        assert!(shown(&[b"AUTH", b"hush"]).ends_with("] \"AUTH\" \"(redacted)\"\n"));
    }

    #[test]
    fn long_lines_say_what_is_left_out() {
        let long = shown(&[b"SET", b"k", &[0; 1 << 20], b"EX", b"7"]);
        let (_, end) = long.rsplit_once("\\x00").unwrap();
        assert!(
            end.starts_with("... (104")
                && end.ends_with(" more bytes)\" \"... (2 more arguments)\"\n"),
            "{end}"
        );
        let words = alloc::vec![&b"key"[..]; 10_000];
        let many = shown(&words);
        assert!(many.ends_with(" more arguments)\"\n") && many.len() > PIECE - 200);
    }

    #[test]
    fn who_monitors_reads_each_line_once_and_is_woken_for_more() {
        let (ledger, settings) = (Arc::default(), Settings::default());
        let monitors = Monitors::new(&ledger);
        monitors.show(b"nobody\n", 1 << 20);
        let mut early = monitors.join(Wire::Resp2, &settings);
        monitors.show(b"one\n", 1 << 20);
        let mut late = monitors.join(Wire::Resp2, &settings);
        assert!(settings.looks_closely());
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut output = Output::new();
        assert!(!monitors.sleep(&mut early, 1, &waker));
        assert_eq!(monitors.read(&mut early, &mut output), Ok(false));
        assert_eq!(output.to_vec(), b"+one\r\n");
        assert!(monitors.sleep(&mut early, 1, &waker) && monitors.sleep(&mut early, 1, &waker));
        assert!(monitors.sleep(&mut late, 2, &waker));
        monitors.show(b"two\n", 1 << 20);
        monitors.show(b"three\n", 1 << 20);
        assert_eq!(bell.0.load(Relaxed), 2);
        for monitor in [&mut early, &mut late] {
            let mut output = Output::new();
            assert_eq!(monitors.read(monitor, &mut output), Ok(false));
            assert_eq!(output.to_vec(), b"+two\r\n+three\r\n");
        }
        assert!(ledger.used() > 0);
        monitors.leave(1, &settings);
        monitors.leave(2, &settings);
        assert!(!settings.looks_closely());
        assert_eq!((monitors.count(), ledger.used()), (0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_who_is_too_slow_learns_of_it() {
        let (ledger, settings) = (Arc::default(), Settings::default());
        let monitors = Monitors::new(&ledger);
        let most = 4 * PIECE;
        let (mut slow, mut fast) = (
            monitors.join(Wire::Resp2, &settings),
            monitors.join(Wire::Resp2, &settings),
        );
        let mut output = Output::new();
        let mut expected = Vec::new();
        for n in 0..1000 {
            let line = format!("{n} {}\n", "x".repeat(200));
            monitors.show(line.as_bytes(), most);
            expected.extend_from_slice(format!("+{}\r\n", line.trim_end()).as_bytes());
            if n % 20 == 0 {
                while monitors.read(&mut fast, &mut output).unwrap() {}
            }
            assert!(ledger.used() <= most as u64);
        }
        while monitors.read(&mut fast, &mut output).unwrap() {}
        assert!(output.to_vec() == expected, "no line is missing");
        assert_eq!(monitors.read(&mut slow, &mut output), Err(Lost));
        monitors.leave(1, &settings);
        assert!(monitors.sleep(&mut fast, 2, Waker::noop()));
        assert_eq!(ledger.used(), PIECE as u64);
        monitors.show(b"last\n", most);
        let mut output = Output::new();
        assert_eq!(monitors.read(&mut fast, &mut output), Ok(false));
        assert_eq!(output.to_vec(), b"+last\r\n");
    }
}
