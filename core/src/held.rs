//! Replies that wait until what they tell of is durable.
//!
//! A reply that would tell of a change is put into the [`Output`] as any other, and held: it and what comes behind it
//! leave when the journal says that the change is durable. If it says that this failed, the reply of the command that
//! made the change becomes an error; what was only read is told as it is.

use alloc::collections::VecDeque;

use crate::Output;
use crate::command::Error;
use crate::journal::{Epoch, Verdict};
use crate::reply::{Reply, Wire};

/// The replies of an [`Output`] that wait, in their order.
#[derive(Debug, Default)]
pub(crate) struct Held {
    holds: VecDeque<Hold>,
    /// Bytes sent since there is this list.
    sent: u64,
    /// The last epoch whose end somebody is told of.
    awaited: Epoch,
}

/// A reply that waits.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// Where it begins and ends, counted from the first byte that was sent since there is the list.
    start: u64,
    end: u64,
    epoch: Epoch,
    /// The language of the error that takes its place where the change failed; `None` where it changes nothing.
    instead: Option<Wire>,
}

impl Held {
    /// Bytes before the first of them; `None` where none waits.
    #[inline]
    pub(crate) fn ready(&self) -> Option<usize> {
        let first = self.holds.front()?;
        Some((first.start - self.sent) as usize)
    }

    /// So many bytes were sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n as u64;
    }

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.holds.capacity() * size_of::<Hold>()
    }
}

impl Output {
    /// Holds what was appended since `len` bytes waited, until `epoch` is decided. Where that fails, an error in the
    /// language of `instead` takes its place.
    pub(crate) fn hold(&mut self, len: usize, epoch: Epoch, instead: Option<Wire>) {
        let waiting = self.len();
        let held = self.held_mut().get_or_insert_default();
        let start = held.sent + len as u64;
        let end = held.sent + waiting as u64;
        match held.holds.back_mut() {
            // One hold does for a pipeline of reads.
            Some(last) if last.epoch == epoch && last.instead.is_none() && instead.is_none() => {
                last.end = end;
            }
            _ => held.holds.push_back(Hold {
                start,
                end,
                epoch,
                instead,
            }),
        }
    }

    /// The first epoch that something waits for; `None` where nothing waits.
    #[must_use]
    #[inline]
    pub fn held_until(&self) -> Option<Epoch> {
        self.held()?.holds.front().map(|hold| hold.epoch)
    }

    /// Whether nobody was asked to tell of the end of an epoch yet; now somebody is.
    pub(crate) fn awaits(&mut self, epoch: Epoch) -> bool {
        let awaited = &mut self.held_mut().get_or_insert_default().awaited;
        let fresh = *awaited < epoch;
        *awaited = epoch.max(*awaited);
        fresh
    }

    /// Lets go what is decided.
    pub(crate) fn settle(&mut self, verdict: impl Fn(Epoch) -> Verdict) {
        while let Some(mut held) = self.held_mut().take() {
            let Some(&hold) = held.holds.front() else {
                // An idle connection has no list.
                return;
            };
            let verdict = verdict(hold.epoch);
            if verdict != Verdict::Pending {
                held.holds.pop_front();
            }
            match (verdict, hold.instead) {
                (Verdict::Failed, Some(wire)) => self.replace(hold, wire, &mut held),
                (Verdict::Durable | Verdict::Pending | Verdict::Failed, _) => {}
            }
            *self.held_mut() = Some(held);
            if verdict == Verdict::Pending {
                return;
            }
        }
    }

    /// Puts an error into the place of a reply. Seldom done: all that waits is copied.
    fn replace(&mut self, hold: Hold, wire: Wire, held: &mut Held) {
        let mut error = Output::new();
        let mut reply = Reply::new(&mut error, wire);
        if let Wire::Text(_) = wire {
            reply.error(Error::Unwritten.text());
        } else {
            reply.error(Error::Unwritten);
        }
        let mut all = self.to_vec();
        let (start, end) = (
            (hold.start - held.sent) as usize,
            (hold.end - held.sent) as usize,
        );
        let (before, now) = (all.len(), error.to_vec());
        all.splice(start..end, now);
        let longer = all.len() as i64 - before as i64;
        for later in &mut held.holds {
            later.start = later.start.wrapping_add_signed(longer);
            later.end = later.end.wrapping_add_signed(longer);
        }
        let waits = self.len();
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
    use alloc::vec::Vec;

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
