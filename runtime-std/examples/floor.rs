//! A server that does nothing but the input and output of one: the floor under every measurement.
//!
//! One thread, one level-triggered epoll loop. It counts line feeds, takes every N-th for the end of a request, and
//! answers each with the same reply. A real server cannot cost less than this on the same machine; what it costs more
//! is its own doing.
//!
//! ```text
//! cargo run --release --example floor -- --port 7777 --lines 5 --reply '$4\r\ntest\r\n'
//! ```
//!
//! A GET in RESP has 5 line feeds, a SET 7, a request of the text dialect 1. `ant-cache-cli bench --keys 1` sends
//! requests whose right reply is always the same.

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

struct Settings {
    port: u16,
    /// Line feeds of one request.
    lines: usize,
    reply: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    /// Line feeds of the begun request.
    lines: usize,
    /// Replies that the socket did not take yet.
    unsent: Vec<u8>,
}

fn main() -> ExitCode {
    match settings(std::env::args().skip(1)) {
        Ok(settings) => match serve(&settings) {
            Ok(never) => match never {},
            Err(error) => {
                eprintln!("floor: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!(
                "floor: {error}\nusage: floor [--port PORT] [--lines N] [--reply TEXT-WITH-ESCAPES]"
            );
            ExitCode::from(2)
        }
    }
}

fn settings(mut args: impl Iterator<Item = String>) -> Result<Settings, String> {
    let mut settings = Settings {
        port: 7777,
        lines: 1,
        reply: b"OK\n".to_vec(),
    };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || {
            value
                .parse::<u16>()
                .map_err(|_| format!("{flag}: '{value}' is no number"))
        };
        match flag.as_str() {
            "--port" => settings.port = number()?,
            "--lines" => settings.lines = usize::from(number()?.max(1)),
            "--reply" => {
                settings.reply = value.replace("\\r", "\r").replace("\\n", "\n").into_bytes()
            }
            _ => return Err(format!("unknown option {flag}")),
        }
    }
    Ok(settings)
}

fn serve(settings: &Settings) -> io::Result<core::convert::Infallible> {
    /// The listener's token; the connections' are their indices.
    const LISTENER: u64 = u64::MAX;
    let listener = TcpListener::bind(("127.0.0.1", settings.port))?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    eprintln!(
        "floor: listening on {}, {} lines a request",
        listener.local_addr()?,
        settings.lines
    );

    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut input = vec![0; 64 << 10];
    let mut replies = Vec::new();
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let token = event.data.u64();
            if token == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let socket = OwnedFd::from(stream);
                let data = EventData::new_u64(connections.len() as u64);
                epoll::add(&epoll, &socket, data, EventFlags::IN)?;
                connections.push(Some(Connection {
                    socket,
                    lines: 0,
                    unsent: Vec::new(),
                }));
                continue;
            }
            let place = &mut connections[token as usize];
            let Some(connection) = place else { continue };
            let interest = match connection.turn(settings, &mut input, &mut replies) {
                Ok(Some(interest)) => interest,
                Ok(None) => continue,
                // Closing takes it out of the poller, too.
                Err(_) => {
                    *place = None;
                    continue;
                }
            };
            epoll::modify(&epoll, &connection.socket, event.data, interest)?;
        }
    }
}

impl Connection {
    /// Reads once and answers; returns what to watch for, if that has changed.
    fn turn(
        &mut self,
        settings: &Settings,
        input: &mut [u8],
        replies: &mut Vec<u8>,
    ) -> Result<Option<EventFlags>, Errno> {
        if !self.unsent.is_empty() {
            let sent = self.send(&self.unsent)?;
            self.unsent.drain(..sent);
            return Ok(self.unsent.is_empty().then_some(EventFlags::IN));
        }
        let (_, got) = recv(&self.socket, &mut *input, RecvFlags::empty())?;
        if got == 0 {
            return Err(Errno::PIPE);
        }
        self.lines += input[..got].iter().filter(|&&byte| byte == b'\n').count();
        let requests = self.lines / settings.lines;
        self.lines %= settings.lines;
        replies.clear();
        for _ in 0..requests {
            replies.extend_from_slice(&settings.reply);
        }
        let sent = self.send(replies)?;
        self.unsent.extend_from_slice(&replies[sent..]);
        Ok((!self.unsent.is_empty()).then_some(EventFlags::OUT))
    }

    /// Sends what the socket takes.
    fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => Ok(0),
            other => other,
        }
    }
}
