//! `ant-cache-cli cli`: a shell for people, and a command for scripts.

mod format;
mod help;
mod history;
mod interactive;
mod session;
mod split;

use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::thread;

use ant_cache_core::client::Value;
use ant_cache_runtime_std::client::{ClientError, ClientOptions, Protocol};

use crate::seconds::seconds;
use crate::server::Server;
use session::{Reply, Session};

/// Talks to a server. With a COMMAND it sends that and prints the reply; else it reads commands, from a terminal with
/// history and completion, or from a pipe.
///
/// Exit status: 0, 1 if the server answered with an error, 2 if the command line is wrong or there is no connection.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    /// Speak the text dialect instead of RESP.
    #[arg(long, conflicts_with = "resp3")]
    text: bool,
    /// Speak RESP version 3.
    #[arg(short = '3', long)]
    resp3: bool,
    /// Send the command so many times; -1 for ever.
    #[arg(
        short, long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..)
    )]
    repeat: i64,
    /// Wait so many seconds after each time.
    #[arg(short, long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    interval: Duration,
    /// Take the last argument from standard input, whatever bytes it has.
    #[arg(short = 'x', long)]
    stdin: bool,
    /// Print bare replies, also at a terminal.
    #[arg(long, conflicts_with = "no_raw")]
    raw: bool,
    /// Print replies as for a terminal, also where there is none.
    #[arg(long)]
    no_raw: bool,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// The server answered with an error.
const ERROR_REPLY: u8 = 1;
/// The command line is wrong, or there is no connection.
const UNUSABLE: u8 = 2;

/// Why the shell ends with a status other than 0.
enum Failure {
    Reply,
    Connection(ClientError),
    Usage(String),
    Terminal(String),
    /// Nobody reads the output any more: no reason to complain.
    Output,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Connection(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Output,
            _ => Self::Terminal(error.to_string()),
        }
    }
}

/// Runs the shell, or the one command.
pub(crate) fn run(args: Args) -> ExitCode {
    let message = match start(args) {
        Ok(()) | Err(Failure::Output) => return ExitCode::SUCCESS,
        Err(Failure::Reply) => return ExitCode::from(ERROR_REPLY),
        Err(Failure::Connection(error)) => error.to_string(),
        Err(Failure::Usage(message) | Failure::Terminal(message)) => message,
    };
    eprintln!("ant-cache-cli cli: {message}");
    ExitCode::from(UNUSABLE)
}

fn start(args: Args) -> Result<(), Failure> {
    let mut session = args.session();
    let terminal = io::stdin().is_terminal();
    let people = if io::stdout().is_terminal() {
        !args.raw
    } else {
        args.no_raw
    };
    let printer = Printer { people };
    let mut command: Vec<Vec<u8>> = args.command.into_iter().map(OsString::into_vec).collect();
    if args.stdin {
        if command.is_empty() {
            return Err(Failure::Usage(
                "-x needs a command that its argument belongs to".into(),
            ));
        }
        let mut last = Vec::new();
        io::stdin().lock().read_to_end(&mut last)?;
        command.push(last);
    }
    if !command.is_empty() {
        return repeat(&command, args.repeat, args.interval, &mut session, &printer);
    }
    if terminal {
        return interactive::run(&mut session, &printer)
            .map_err(|error| Failure::Terminal(error.to_string()));
    }
    piped(&mut session, &printer)
}

impl Args {
    fn session(&self) -> Session {
        let options = ClientOptions {
            // A person decides how long to wait for a long reply.
            read_timeout: None,
            password: self.server.password(),
            protocol: if self.resp3 {
                Protocol::Resp3
            } else {
                Protocol::Resp2
            },
            ..ClientOptions::default()
        };
        Session::new(self.server.address(), options, self.text)
    }
}

/// Sends a command and prints its reply, or with MONITOR all that come; false if it is an error.
fn ask(
    command: &[Vec<u8>],
    session: &mut Session,
    mut print: impl FnMut(&[u8], &Reply) -> io::Result<bool>,
) -> Result<bool, Failure> {
    let name = &command[0];
    if !name.eq_ignore_ascii_case(b"monitor") {
        return Ok(print(name, &session.ask(command)?)?);
    }
    let mut printed = Ok(true);
    session.watch(command, |reply| {
        printed = print(name, reply);
        matches!(printed, Ok(true))
    })?;
    Ok(printed?)
}

/// Sends one command as often as asked for.
fn repeat(
    command: &[Vec<u8>],
    times: i64,
    interval: Duration,
    session: &mut Session,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut failed = false;
    let mut left = times;
    while left != 0 {
        failed |= !ask(command, session, |name, reply| printer.print(name, reply))?;
        left -= i64::from(left > 0);
        if left != 0 && !interval.is_zero() {
            thread::sleep(interval);
        }
    }
    if failed { Err(Failure::Reply) } else { Ok(()) }
}

/// Sends each line of standard input.
fn piped(session: &mut Session, printer: &Printer) -> Result<(), Failure> {
    let mut failed = false;
    for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
        let command = split::split(&line?)
            .map_err(|error| Failure::Usage(format!("line {}: {error}", index + 1)))?;
        match command
            .first()
            .map(|name| name.to_ascii_lowercase())
            .as_deref()
        {
            None => {}
            Some(b"quit" | b"exit") => break,
            Some(_) => {
                failed |= !ask(&command, session, |name, reply| printer.print(name, reply))?;
            }
        }
    }
    if failed { Err(Failure::Reply) } else { Ok(()) }
}

/// How replies are shown.
struct Printer {
    /// As for people, and not bare.
    people: bool,
}

impl Printer {
    /// Prints the reply to a command of this name; false if it is an error. A bare error goes to standard error: what
    /// reads the output takes it for data.
    fn print(&self, name: &[u8], reply: &Reply) -> io::Result<bool> {
        let good = !reply.is_error();
        if self.people {
            io::stdout().write_all(&self.for_people(name, reply))?;
        } else if good {
            io::stdout().write_all(&for_programs(reply))?;
        } else {
            io::stderr().write_all(&for_programs(reply))?;
        }
        io::stdout().flush()?;
        Ok(good)
    }

    fn for_people(&self, name: &[u8], reply: &Reply) -> Vec<u8> {
        /// Commands whose string is a text of many lines.
        const TEXTS: [&[u8]; 3] = [b"info", b"stats", b"help"];
        let mut out = Vec::new();
        match reply {
            Reply::Value(Value::Bulk(text))
                if TEXTS.iter().any(|text| name.eq_ignore_ascii_case(text)) =>
            {
                format::lines(text, &mut out);
            }
            Reply::Value(value) => format::for_people(value, &mut out),
            Reply::Text(text) => format::lines(text, &mut out),
        }
        out
    }
}

/// Strings of either dialect as the bytes that were stored.
fn for_programs(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    match reply {
        Reply::Value(value) => format::for_programs(value, &mut out),
        Reply::Text(line) => {
            // A list of several keys may begin with a quote without being a quoted string.
            out = ant_cache_core::client::unquote(line).map_or(line.clone(), Into::into);
            out.push(b'\n');
        }
    }
    out
}
