//! SLOWLOG: the last calls that took long.

use super::Error;
use super::subcommand::{self, Subcommand};
use crate::exec::{Args, Exec, Outcome, Step};
use crate::stats::SlowCall;

#[rustfmt::skip]
pub(super) static SLOWLOG: [Subcommand; 4] = [
    Subcommand { name: "get", arity: -2, usage: "[count]", summary: "Returns the latest slow calls", run: get },
    Subcommand { name: "len", arity: 2, usage: "", summary: "Returns the number of slow calls that are kept", run: len },
    Subcommand { name: "reset", arity: 2, usage: "", summary: "Forgets the slow calls", run: reset },
    subcommand::HELP,
];

/// Calls that are told where nobody says how many.
const FEW: usize = 10;

fn get(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let count = match args.len() {
        2 => FEW,
        3 => match args.integer(2)? {
            -1 => usize::MAX,
            count => usize::try_from(count)
                .map_err(|_| Error::Other("ERR count should be greater than or equal to -1"))?,
        },
        _ => return Err(Error::Syntax),
    };
    let calls = exec.service.slow_calls(count);
    exec.budget.spend(calls.len() * 10);
    let mut reply = exec.reply();
    reply.array_json(calls.len());
    for call in &calls {
        let SlowCall {
            id,
            at,
            micros,
            words,
            client,
            name,
        } = call;
        reply.array(6);
        for number in [*id, at.0 / 1000, *micros] {
            reply.integer(number as i64);
        }
        reply.array(words.len());
        words.iter().for_each(|word| reply.bulk(word));
        // The engine knows connections by their numbers, as CLIENT ID gives them.
        reply.bulk(alloc::format!("id={client}").as_bytes());
        reply.bulk(name);
    }
    Ok(Step::Done)
}

fn len(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let len = exec.service.slow.lock().len();
    exec.reply().integer(len as i64);
    Ok(Step::Done)
}

fn reset(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let old = exec.service.slow.lock().clear();
    drop(old);
    exec.reply().ok();
    Ok(Step::Done)
}
