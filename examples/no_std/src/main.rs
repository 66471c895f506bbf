//! The engine in a program without a standard library: its own allocator over a fixed piece of memory, its own panic
//! handler, a clock that is moved by hand, and a conversation in both dialects.
//!
//! Of the C library it uses the start-up code, `write` and `_exit`: what it takes to be a process and to be seen. A
//! firmware has a serial line and an interrupt instead.
//!
//! `cargo run --release` in this folder prints each request with its reply. The exit status is 0, or 1 where a reply
//! was not the expected one, or 101 after a panic.
#![no_std]
#![no_main]

extern crate alloc;

mod arena;

use core::ffi::c_int;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Input, Millis, Output, Service, Session, Turn};

#[global_allocator]
static ARENA: arena::Arena = arena::Arena::new();

#[link(name = "c")]
unsafe extern "C" {
    fn write(file: c_int, bytes: *const u8, len: usize) -> isize;
    fn _exit(status: c_int) -> !;
}

/// The clock at the start.
const START: Millis = Millis(1_800_000_000_000);

/// Milliseconds that pass, then a request and the reply to it.
#[rustfmt::skip]
const CONVERSATION: [(u64, &[u8], &[u8]); 12] = [
    (0, b"PING\n", b"PONG\n"),
    (0, b"SET greeting -t 2s hello from nowhere\n", b"OK\n"),
    (1999, b"GET greeting\n", b"hello from nowhere\n"),
    (1, b"GET greeting\n", b"NULL\n"),
    (0, b"SETX user name ada field maths\n", b"OK\n"),
    (0, b"GET user\n", b"{\"field\":\"maths\",\"name\":\"ada\"}\n"),
    (0, b"*3\r\n$4\r\nHGET\r\n$4\r\nuser\r\n$4\r\nname\r\n", b"$3\r\nada\r\n"),
    (0, b"*2\r\n$4\r\nINCR\r\n$4\r\nhits\r\n", b":1\r\n"),
    (0, b"*3\r\n$6\r\nEXPIRE\r\n$4\r\nhits\r\n$2\r\n60\r\n", b":1\r\n"),
    (60_000, b"*2\r\n$3\r\nGET\r\n$4\r\nhits\r\n", b"$-1\r\n"),
    (0, b"KEYS *\n", b"user\n"),
    (0, b"QUIT\n", b"OK\n"),
];

/// Where C begins a program.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> c_int {
    // Few shards: each has a page of its own for entries, and one thread has nobody to share them with.
    let service = Service::new(Options {
        seed: 1,
        started: START,
        shards: 4,
        ..Options::default()
    });
    let Ok(session) = service.connect(START) else {
        return 1;
    };
    let counters = service.counters();
    let mut client = Client {
        session,
        counters: &counters,
        input: Input::new(),
        output: Output::new(),
    };
    let mut now = START;
    for (passed, request, expected) in CONVERSATION {
        now = now.plus(passed);
        let reply = client.ask(request, now);
        print(format_args!(
            "{:>6} ms  {} -> {}\n",
            now.since(START),
            request.escape_ascii(),
            reply.escape_ascii()
        ));
        if reply != expected {
            print(format_args!("expected {}\n", expected.escape_ascii()));
            return 1;
        }
        // Removes what has expired and was not asked for. A server calls this when it says.
        service.tick(now, Budget::TURN);
    }
    0
}

/// Both ends of a connection, without a wire between them.
struct Client<'a> {
    session: Session,
    counters: &'a Counters,
    input: Input,
    output: Output,
}

impl Client<'_> {
    fn ask(&mut self, request: &[u8], now: Millis) -> alloc::vec::Vec<u8> {
        self.input.spare()[..request.len()].copy_from_slice(request);
        self.input.filled(request.len());
        loop {
            let mut turn = Turn {
                now,
                budget: Budget::TURN,
                stats: self.counters,
            };
            if !self
                .session
                .turn(&mut turn, &mut self.input, &mut self.output)
                .again
            {
                break;
            }
        }
        let reply = self.output.to_vec();
        self.output.consume(reply.len());
        reply
    }
}

/// Standard output.
struct Stdout;

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the pointer and the length are those of a slice.
            let written = unsafe { write(1, rest.as_ptr(), rest.len()) };
            let written = usize::try_from(written).map_err(|_| fmt::Error)?;
            rest = &rest[written..];
        }
        Ok(())
    }
}

fn print(text: fmt::Arguments<'_>) {
    // Where nobody listens there is nothing to be done.
    let _ = Stdout.write_fmt(text);
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    print(format_args!("{info}\n"));
    // SAFETY: it takes a number and does not come back.
    unsafe { _exit(101) }
}

/// The alloc crate of the toolchain was compiled to be unwound, and names this. With `panic = "abort"` nobody unwinds.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// The same: where a clean-up would go on. Nothing gets here.
#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    // SAFETY: as above.
    unsafe { _exit(101) }
}
