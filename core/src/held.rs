//! Replies that wait until what they tell of is durable.
//!
//! A reply that would tell of a change is put into the [`Output`] as any other, and held: it and what comes behind it
//! leave when the journal says that the change is durable. If it says that this failed, the reply of the command that
//! made the change becomes an error; what was only read is told as it is.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Output;
use crate::command::Error;
use crate::journal::{Epoch, Verdict};
use crate::reply::{Reply, Wire};

/// The replies of an [`Output`] that wait, in their order.
#[derive(Debug, Default)]
pub(crate) struct Held {
    holds: VecDeque<Hold>,
    /// The last epoch whose end somebody is told of.
    awaited: Epoch,
}

/// A reply that waits.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// Where it begins and ends, counted from the first byte that was ever sent.
    start: u64,
    end: u64,
    epoch: Epoch,
    /// The language of the error that takes its place where the change failed; `None` where it changes nothing.
    instead: Option<Wire>,
}

impl Held {
    pub(crate) const fn new() -> Self {
        Self {
            holds: VecDeque::new(),
            awaited: Epoch(0),
        }
    }

    /// Where the first of them begins.
    #[inline]
    pub(crate) fn first(&self) -> Option<u64> {
        self.holds.front().map(|hold| hold.start)
    }

    pub(crate) fn memory(&self) -> usize {
        self.holds.capacity() * size_of::<Hold>()
    }
}

impl Output {
    /// Holds what was appended since `len` bytes waited, until `epoch` is decided. Where that fails, an error in the
    /// language of `instead` takes its place.
    pub(crate) fn hold(&mut self, len: usize, epoch: Epoch, instead: Option<Wire>) {
        let start = self.sent_ever() + len as u64;
        let end = self.sent_ever() + self.len() as u64;
        let held = &mut self.held_mut().holds;
        match held.back_mut() {
            // One hold does for a pipeline of reads.
            Some(last) if last.epoch == epoch && last.instead.is_none() && instead.is_none() => {
                last.end = end;
            }
            _ => held.push_back(Hold {
                start,
                end,
                epoch,
                instead,
            }),
        }
    }

    /// The first epoch that something waits for; `None` where nothing waits.
    #[must_use]
    pub fn held_until(&self) -> Option<Epoch> {
        self.held().holds.front().map(|hold| hold.epoch)
    }

    /// Whether nobody was asked to tell of the end of an epoch yet; now somebody is.
    pub(crate) fn awaits(&mut self, epoch: Epoch) -> bool {
        let awaited = &mut self.held_mut().awaited;
        let fresh = *awaited < epoch;
        *awaited = epoch.max(*awaited);
        fresh
    }

    /// Lets go what is decided.
    pub(crate) fn settle(&mut self, verdict: impl Fn(Epoch) -> Verdict) {
        while let Some(&hold) = self.held().holds.front() {
            match (verdict(hold.epoch), hold.instead) {
                (Verdict::Pending, _) => return,
                (Verdict::Failed, Some(wire)) => self.replace(hold, wire),
                (Verdict::Durable | Verdict::Failed, _) => {}
            }
            self.held_mut().holds.pop_front();
        }
    }

    /// Puts an error into the place of a reply. Seldom done: all that waits is copied.
    fn replace(&mut self, hold: Hold, wire: Wire) {
        let mut error = Output::new();
        let mut reply = Reply::new(&mut error, wire);
        if let Wire::Text(_) = wire {
            reply.error(Error::Unwritten.text());
        } else {
            reply.error(Error::Unwritten);
        }
        let mut all = self.to_vec();
        let base = self.sent_ever();
        let (start, end) = ((hold.start - base) as usize, (hold.end - base) as usize);
        let (before, now) = (all.len(), error.to_vec());
        all.splice(start..end, now);
        let longer = all.len() as i64 - before as i64;
        for later in &mut self.held_mut().holds {
            later.start = later.start.wrapping_add_signed(longer);
            later.end = later.end.wrapping_add_signed(longer);
        }
        self.rewrite(all);
    }

    fn rewrite(&mut self, all: Vec<u8>) {
        let waits = self.len();
        // As if it had been sent; the positions of what is held do not follow.
        self.discard(waits);
        self.put(&all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Blob;
    use crate::protocol::Eol;
    use alloc::string::String;
    use alloc::vec;

    fn sendable(output: &Output) -> String {
        let mut slices: [&[u8]; 16] = [&[]; 16];
        let used = output.slices(&mut slices);
        let mut all: Vec<u8> = slices[..used].concat();
        all.truncate(output.ready());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn nothing_leaves_before_it_may() {
        let mut output = Output::new();
        output.put(b"+one\r\n");
        output.put(b"+two\r\n");
        output.hold(6, Epoch(5), Some(Wire::Resp2));
        output.put(b"+three\r\n");
        assert_eq!(sendable(&output), "+one\r\n");
        output.consume(6);
        output.put(b"+four\r\n");
        output.hold(14, Epoch(7), Some(Wire::Resp2));
        assert_eq!((output.ready(), output.held_until()), (0, Some(Epoch(5))));
        output.settle(|epoch| {
            if epoch <= Epoch(5) {
                Verdict::Durable
            } else {
                Verdict::Pending
            }
        });
        assert_eq!(sendable(&output), "+two\r\n+three\r\n");
        output.settle(|_| Verdict::Durable);
        assert_eq!(sendable(&output), "+two\r\n+three\r\n+four\r\n");
        assert_eq!(output.held_until(), None);
    }

    #[test]
    fn replies_of_what_failed_become_errors_and_reads_stay() {
        let mut output = Output::new();
        output.put(b"+sent\r\n+half sent\r\n");
        output.consume(12);
        let mut len = output.len();
        let replies: [(&[u8], Option<Wire>); 4] = [
            (b"+OK\r\n", Some(Wire::Resp2)),
            (b"$4\r\nread\r\n", None),
            (b":1\r\n", Some(Wire::Resp3)),
            (b"OK\n", Some(Wire::Text(Eol::Lf))),
        ];
        for (reply, instead) in replies {
            output.put(reply);
            if instead.is_some() && reply == b":1\r\n" {
                output.put_blob(Blob::new(vec![b'x'; 2000]), 0..2000);
            }
            output.hold(len, Epoch(3), instead);
            len = output.len();
        }
        output.put(b"+last\r\n");
        assert_eq!(sendable(&output), " sent\r\n");
        output.settle(|_| Verdict::Failed);
        let text = sendable(&output);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7);
        assert!(lines[1].starts_with("-MISCONF "), "{text}");
        assert_eq!(lines[2..4], ["$4", "read"]);
        assert!(lines[4].starts_with("-MISCONF "));
        assert!(lines[5].starts_with("ERROR persistence"), "{text}");
        assert_eq!(lines[6], "+last");
    }
}
