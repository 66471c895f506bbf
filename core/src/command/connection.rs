//! The connection: who the client is, and which protocol it speaks.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use super::Error;
use super::error::echoed;
use super::options;
use super::subcommand::{self, Subcommand};
use crate::exec::{Args, Exec, Outcome, Step};
use crate::protocol::{Dialect, Eol};
use crate::session::Cause;
use crate::{limits, number};

/// The version of Redis that replies follow to the byte. Clients decide by it which commands they may use.
pub(super) const REDIS_VERSION: &str = "7.0.15";

/// The only user: passwords belong to it.
const USER: &[u8] = b"default";

const WRONG_PASSWORD: Error =
    Error::Other("WRONGPASS invalid username-password pair or user is disabled.");

pub(super) fn auth(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (user, password) = match args.len() {
        2 => (USER, args.get(1)),
        3 => (args.get(1), args.get(2)),
        _ => return Err(Error::Syntax),
    };
    let required = exec.service.settings.password().is_some();
    if !required && args.len() == 2 && !exec.is_text() {
        return Err(Error::Other(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ));
    }
    match authenticate(exec, user, password) {
        Err(_) if exec.is_text() => return Err(Error::Other("ERR invalid password")),
        authenticated => authenticated?,
    }
    match (exec.is_text(), required) {
        (false, _) => exec.reply().ok(),
        (true, true) => exec.reply().status("OK authenticated"),
        (true, false) => exec.reply().status("OK no authentication required"),
    }
    Ok(Step::Done)
}

/// Lets the connection use all commands, if the password is right or none is required.
fn authenticate(exec: &mut Exec<'_>, user: &[u8], password: &[u8]) -> Result<(), Error> {
    if user != USER || !exec.service.settings.admits(password) {
        return Err(WRONG_PASSWORD);
    }
    exec.client.authenticated = true;
    Ok(())
}

pub(super) fn hello(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    options::few(args, 2)?;
    let mut resp3 = exec.client.resp3;
    if args.len() > 1 {
        resp3 = match number::parse_i64(args.get(1)) {
            Some(2) => false,
            Some(3) => true,
            Some(_) => return Err(Error::Other("NOPROTO unsupported protocol version")),
            None => {
                return Err(Error::Other(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
        };
    }
    // Each option takes effect as it is read: a wrong one does not undo those before it, as in Redis.
    let mut index = 2;
    while index < args.len() {
        let values = args.len() - index - 1;
        if args.is(index, "AUTH") && values >= 2 {
            authenticate(exec, args.get(index + 1), args.get(index + 2))?;
            index += 3;
        } else if args.is(index, "SETNAME") && values >= 1 {
            set_name(exec, args.get(index + 1))?;
            index += 2;
        } else {
            let option = echoed(args.get(index));
            return Err(Error::Made(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if !exec.client.authenticated {
        return Err(Error::Other(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version \
             at the same time",
        ));
    }
    exec.client.resp3 = resp3;
    let id = exec.client.id as i64;
    let mut reply = exec.reply();
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    for (field, value) in [("proto", if resp3 { 3 } else { 2 }), ("id", id)] {
        reply.bulk(field.as_bytes());
        reply.integer(value);
    }
    for (field, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Step::Done)
}

pub(super) fn ping(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    match (args.len(), exec.dialect) {
        // What asks this way is a health check or a benchmark made for Redis's inline commands.
        (1, Dialect::Text(Eol::CrLf)) => exec.reply().raw_line(b"+PONG"),
        (1, _) => exec.reply().status("PONG"),
        (2, _) => exec.reply().bulk(args.get(1)),
        (len, _) => return Err(Error::Arity(exec.command, len)),
    }
    Ok(Step::Done)
}

pub(super) fn echo(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    exec.reply().bulk(args.get(1));
    Ok(Step::Done)
}

pub(super) fn quit(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    exec.reply().ok();
    exec.client.close = Some(Cause::Quit);
    Ok(Step::Done)
}

pub(super) fn reset(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let client = &mut exec.client;
    client.end_monitor(exec.service);
    client.resp3 = false;
    client.name = Box::default();
    client.authenticated = exec.service.settings.password().is_none();
    client.strange_since = exec.now;
    exec.reply().status("RESET");
    Ok(Step::Done)
}

pub(super) fn select(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    match i32::try_from(args.integer(1)?) {
        Ok(0) => exec.reply().ok(),
        Ok(_) => return Err(Error::Other("ERR DB index is out of range")),
        Err(_) => {
            return Err(Error::Other(
                "ERR value is out of range, value must between -2147483648 and 2147483647",
            ));
        }
    }
    Ok(Step::Done)
}

#[rustfmt::skip]
pub(super) static CLIENT: [Subcommand; 8] = [
    Subcommand { name: "getname", arity: 2, usage: "", summary: "Returns the name of the connection", run: get_name },
    Subcommand { name: "id", arity: 2, usage: "", summary: "Returns the number of the connection", run: id },
    Subcommand { name: "info", arity: 2, usage: "", summary: "Tells about the connection", run: info },
    Subcommand { name: "no-evict", arity: 3, usage: "<ON | OFF>", summary: "Does nothing: clients are never evicted", run: no_evict },
    Subcommand { name: "no-touch", arity: 3, usage: "<ON | OFF>", summary: "Does nothing: reads keep no times", run: no_evict },
    Subcommand { name: "setinfo", arity: 4, usage: "<LIB-NAME name | LIB-VER version>", summary: "Tells the server about the client library", run: set_info },
    Subcommand { name: "setname", arity: 3, usage: "name", summary: "Names the connection", run: client_set_name },
    subcommand::HELP,
];

/// A name or a version that can stand in a line of CLIENT INFO; `what` it is, for the error.
fn attribute(value: &[u8], what: &str) -> Result<Box<[u8]>, Error> {
    if value.len() > limits::MAX_NAME {
        let most = limits::MAX_NAME;
        return Err(Error::Made(format!(
            "ERR {what} cannot be longer than {most} bytes."
        )));
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        return Err(Error::Made(format!(
            "ERR {what} cannot contain spaces, newlines or special characters."
        )));
    }
    Ok(Box::from(value))
}

fn set_name(exec: &mut Exec<'_>, name: &[u8]) -> Result<(), Error> {
    exec.client.name = attribute(name, "Client names")?;
    Ok(())
}

fn client_set_name(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    set_name(exec, args.get(2))?;
    exec.reply().ok();
    Ok(Step::Done)
}

fn get_name(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let name = exec.client.name.clone();
    if name.is_empty() {
        exec.reply().null()
    } else {
        exec.reply().bulk(&name)
    }
    Ok(Step::Done)
}

fn id(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let id = exec.client.id as i64;
    exec.reply().integer(id);
    Ok(Step::Done)
}

/// What newer servers than 7.0 answer: every client library of today asks.
fn set_info(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let name = echoed(args.get(2));
    let Some(index) = ["LIB-NAME", "LIB-VER"]
        .iter()
        .position(|name| args.is(2, name))
    else {
        return Err(Error::Made(format!("ERR Unrecognized option '{name}'")));
    };
    exec.client.library[index] = attribute(args.get(3), &name)?;
    exec.reply().ok();
    Ok(Step::Done)
}

fn no_evict(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    if !args.is(2, "ON") && !args.is(2, "OFF") {
        return Err(Error::Syntax);
    }
    exec.reply().ok();
    Ok(Step::Done)
}

/// Redis's line, without the address that was connected to. Clients read all of the numbers; those of what we lack are 0.
fn info(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let client = &exec.client;
    let [library, version] = client
        .library
        .each_ref()
        .map(|text| String::from_utf8_lossy(text));
    let line = format!(
        "id={} addr={} name={} age={} idle=0 flags={} db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 \
         multi-mem=0 obl=0 oll=0 omem={} tot-mem={} events=r cmd=client|info user=default redir=-1 resp={} \
         lib-name={library} lib-ver={version}\n",
        client.id,
        client.origin(exec.service),
        String::from_utf8_lossy(&client.name),
        exec.now.since(client.since) / 1000,
        if client.monitor.is_some() { "O" } else { "N" },
        exec.output.len(),
        exec.output.memory(),
        if client.resp3 { 3 } else { 2 },
    );
    exec.reply().verbatim(&line);
    Ok(Step::Done)
}
