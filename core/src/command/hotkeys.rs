//! HOTKEYS: what is asked for most.

use alloc::format;

use super::Error;
use super::memory::{MOST, option};
use crate::exec::{Args, Exec, Outcome, Step};

/// Replies with the hottest keys, each with its part of all requests in hundredths, and how much too high that may be.
pub(super) fn hot_keys(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let count = match args.len() {
        1 => 10,
        3 if args.is(1, "COUNT") => option(args, 1, MOST)?,
        _ => return Err(Error::Syntax),
    };
    let hot = exec.service.hot_keys(count);
    exec.budget.spend(50);
    let mut reply = exec.reply();
    reply.array_json(hot.len());
    for key in hot {
        reply.array(3);
        reply.bulk(&key.key);
        for part in [key.share, key.error] {
            reply.bulk(format!("{:.2}", part * 100.0).as_bytes());
        }
    }
    Ok(Step::Done)
}
