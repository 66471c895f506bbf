//! What concerns the files: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF, SHUTDOWN, and their section of INFO.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

use super::Error;
use super::info::Fields;
use crate::Millis;
use crate::exec::{Args, Continue, Exec, Outcome, Step};
use crate::journal::Journal;

/// Milliseconds between two looks whether a snapshot is complete.
const LOOK: u64 = 10;

const NO_DIRECTORY: &str =
    "ERR persistence is not configured: the server has no data directory (--dir)";

fn journal<'a>(exec: &Exec<'a>) -> Result<&'a Journal, Error> {
    let journal = exec.store().journal();
    if journal.is_recording() {
        Ok(journal)
    } else {
        Err(Error::Other(NO_DIRECTORY))
    }
}

pub(super) fn save(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let status = journal(exec)?.status();
    if status.is_saving() {
        return Err(Error::Other("ERR Background save already in progress"));
    }
    let mut saving = Box::new(Saving(status.ask()));
    Ok(if saving.resume(exec, args) {
        Step::Done
    } else {
        Step::More(saving)
    })
}

/// A SAVE that waits for its snapshot.
struct Saving(u64);

impl Continue for Saving {
    fn resume(&mut self, exec: &mut Exec<'_>, _: &Args<'_>) -> bool {
        match exec.store().journal().status().outcome(self.0) {
            None => {
                exec.nap(LOOK);
                return false;
            }
            Some(Ok(())) => exec.reply().ok(),
            Some(Err(error)) => {
                exec.fail(&Error::Made(format!("ERR the snapshot failed: {error}")))
            }
        }
        true
    }
}

pub(super) fn bgsave(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    match args.len() {
        1 => {}
        2 if args.is(1, "SCHEDULE") => {}
        _ => return Err(Error::Syntax),
    }
    let status = journal(exec)?.status();
    if status.is_saving() && args.len() == 1 {
        return Err(Error::Other("ERR Background save already in progress"));
    }
    status.ask();
    exec.reply().status("Background saving started");
    Ok(Step::Done)
}

/// The log begins anew with every snapshot, so that this is one.
pub(super) fn bgrewriteaof(exec: &mut Exec<'_>, _: &Args<'_>) -> Outcome {
    let status = journal(exec)?.status();
    if status.is_saving() {
        return Err(Error::Other(
            "ERR Background append only file rewriting already in progress",
        ));
    }
    status.ask();
    exec.reply()
        .status("Background append only file rewriting started");
    Ok(Step::Done)
}

pub(super) fn lastsave(exec: &mut Exec<'_>, _: &Args<'_>) -> Outcome {
    let seconds = last_save(exec.store().journal(), exec.service.started());
    exec.reply().integer(seconds as i64);
    Ok(Step::Done)
}

/// Seconds since 1970 at which the last snapshot was made; the start of the server where there is none, as in Redis.
fn last_save(journal: &Journal, started: Millis) -> u64 {
    match journal.status().saves().last {
        Millis(0) => started.0 / 1000,
        last => last.0 / 1000,
    }
}

pub(super) fn shutdown(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (mut save, mut force) = (None, false);
    for index in 1..args.len() {
        let is = |word| args.is(index, word);
        if is("SAVE") && save.is_none() {
            save = Some(true);
        } else if is("NOSAVE") && save.is_none() {
            save = Some(false);
        } else if is("FORCE") {
            force = true;
        } else if !is("NOW") {
            return Err(Error::Syntax);
        }
    }
    let journal = exec.store().journal();
    if journal.is_recording() && journal.is_failing() && !force && save != Some(false) {
        return Err(Error::Other(
            "ERR changes are not on the disk, see INFO persistence; SHUTDOWN NOSAVE gives them up",
        ));
    }
    let save = save == Some(true) && journal.is_recording();
    if !exec.service.stop(save) {
        return Err(Error::Other(
            "ERR this server is a part of another program, which does not let it be stopped",
        ));
    }
    // Nothing is answered where it works, as in Redis.
    exec.client.close = Some(crate::Cause::Quit);
    Ok(Step::Done)
}

/// The section of INFO. `changes` were ever made.
pub(super) fn fields(journal: &Journal, changes: u64, started: Millis, now: Millis) -> Fields {
    let (saves, log) = (journal.status().saves(), journal.status().log());
    let on = journal.is_recording();
    let number = |yes: bool| u64::from(yes).to_string();
    let word = |ok: bool| if ok { "ok" } else { "err" }.to_string();
    let running = match saves.since {
        Some(since) => (now.since(since) / 1000).to_string(),
        None => "-1".to_string(),
    };
    let took = if saves.completed == 0 {
        "-1".to_string()
    } else {
        saves.took.div_ceil(1000).to_string()
    };
    let mut fields = alloc::vec![
        ("loading", "0".to_string()),
        (
            "rdb_changes_since_last_save",
            changes.saturating_sub(saves.changes).to_string()
        ),
        ("rdb_bgsave_in_progress", number(saves.since.is_some())),
        (
            "rdb_last_save_time",
            last_save(journal, started).to_string()
        ),
        ("rdb_last_bgsave_status", word(saves.error.is_none())),
        ("rdb_last_bgsave_time_sec", took),
        ("rdb_current_bgsave_time_sec", running),
        ("rdb_saves", saves.completed.to_string()),
        ("aof_enabled", number(on)),
        (
            "aof_rewrite_in_progress",
            number(on && saves.since.is_some())
        ),
        ("aof_last_bgrewrite_status", word(saves.error.is_none())),
        ("aof_last_write_status", word(!journal.is_failing())),
    ];
    if on {
        fields.extend([
            ("aof_current_size", log.bytes.to_string()),
            ("aof_base_size", saves.bytes.to_string()),
            ("aof_buffer_length", journal.backlog().to_string()),
            ("acl_epoch_durable", journal.durable().0.to_string()),
            ("acl_bytes_written", log.written.to_string()),
            ("acl_records_written", log.records.to_string()),
            ("acl_syncs", log.syncs.to_string()),
            ("acl_errors", log.errors.to_string()),
        ]);
        let errors = [
            ("acl_last_error", journal.status().error()),
            ("atd_last_error", saves.error),
        ];
        for (name, error) in errors {
            // A line of INFO ends with its line.
            fields.extend(error.map(|error| (name, error.replace(['\r', '\n'], " "))));
        }
    }
    fields
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
}
