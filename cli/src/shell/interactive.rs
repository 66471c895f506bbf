//! The shell at a terminal: a prompt, line editing, history, completion.

use core::fmt::Write as _;
use std::borrow::Cow;
use std::io::{self, Write};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use super::session::Session;
use super::{Failure, Printer, help, history, split};

/// Lines of history that are kept.
const HISTORY: usize = 1000;

/// Asks for lines and does what they say, until the end.
///
/// # Errors
/// Where the terminal cannot be read from or written to.
pub(super) fn run(session: &mut Session, printer: &Printer) -> Result<(), ReadlineError> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(rustyline::CompletionType::List)
        .auto_add_history(false)
        .build();
    let mut editor: Editor<Assistant, DefaultHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Assistant));
    let file = history::file(|name| std::env::var_os(name));
    if let Some(file) = &file {
        // There may be none yet, and a shell without history is still a shell.
        let _ = editor.load_history(file);
    }
    if let Err(error) = session.connect() {
        eprintln!("{error}");
    }
    loop {
        match editor.readline(&prompt(session)) {
            Ok(line) => {
                if history::may_keep(&line) {
                    editor.add_history_entry(&line)?;
                }
                if !act(&line, session, printer, &mut editor)? {
                    break;
                }
            }
            // Ctrl-C drops the line.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        }
    }
    if let Some(file) = &file
        && let Err(error) = editor.save_history(file)
    {
        eprintln!("{}: {error}", file.display());
    }
    Ok(())
}

fn prompt(session: &Session) -> String {
    if session.is_connected() {
        format!("{}> ", session.address())
    } else {
        "not connected> ".into()
    }
}

/// Does what one line says; false ends the shell.
fn act(
    line: &str,
    session: &mut Session,
    printer: &Printer,
    editor: &mut Editor<Assistant, DefaultHistory>,
) -> Result<bool, ReadlineError> {
    let args = match split::split(line.as_bytes()) {
        Ok(args) => args,
        Err(error) => {
            println!("Invalid arguments: {error}");
            return Ok(true);
        }
    };
    let Some(name) = args.first() else {
        return Ok(true);
    };
    let topic = args.get(1).map(|topic| String::from_utf8_lossy(topic));
    match name.to_ascii_lowercase().as_slice() {
        b"quit" | b"exit" => return Ok(false),
        b"help" | b"?" => print!("{}", help::help(topic.as_deref())),
        b"clear" => editor.clear_screen()?,
        _ => {
            let asked = super::ask(&args, session, |name, reply| {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&printer.for_people(name, reply))?;
                stdout.flush()?;
                Ok(!reply.is_error())
            });
            match asked {
                Ok(_) => {}
                Err(Failure::Connection(error)) => println!("{error}"),
                // The output is gone.
                Err(_) => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            }
        }
    }
    Ok(true)
}

/// What the editor asks while a line is typed.
struct Assistant;

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, help::completions(&line[..pos])))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        if pos == line.len() {
            help::hint(line)
        } else {
            None
        }
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        let mut dim = String::new();
        let _ = write!(dim, "\x1b[2m{hint}\x1b[0m");
        dim.into()
    }
}
