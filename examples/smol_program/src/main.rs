//! A smol program that serves a cache beside its own work: `cargo run -p ant-cache-smol-program`, then say something.
//!
//! The program owns the executor and its threads. The server is one future of it, each connection a task, and another
//! future stops the server: here, the end of the program's input.

use std::error::Error;
use std::sync::Arc;

use ant_cache_core::service::Options;
use ant_cache_host::process::random_bits;
use ant_cache_host::{Clock, Host, Listeners};
use ant_cache_runtime_smol::SmolRuntime;
use smol::{Executor, Unblock, channel, future, io};

/// Threads that run the executor.
const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut listeners = Listeners::new();
    listeners.tcp("127.0.0.1", 8890)?;
    for listener in listeners.iter() {
        println!("listening on {listener}; the end of the input ends the program");
    }
    let quit = async {
        let mut input = Unblock::new(std::io::stdin());
        if let Err(error) = io::copy(&mut input, &mut io::sink()).await {
            eprintln!("no more input: {error}");
        }
    };
    program(listeners, quit)?;
    println!("goodbye");
    Ok(())
}

/// The program: a server, and whatever else there is to do, until `quit` is ready.
fn program(listeners: Listeners, quit: impl Future<Output = ()>) -> std::io::Result<()> {
    let options = Options {
        seed: random_bits(),
        ..Options::default()
    };
    let host = Arc::new(Host::new(options, Clock::system()));
    let executor = Arc::new(Executor::new());
    // Ready when the sender is gone, which ends the threads.
    let (running, ended) = channel::bounded::<()>(1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| future::block_on(executor.run(ended.recv())));
        }
        let server = SmolRuntime::new(host, listeners).serve(
            {
                let executor = Arc::clone(&executor);
                move |connection| executor.spawn(connection).detach()
            },
            quit,
        );
        let served = future::block_on(server);
        drop(running);
        served
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_serves_until_it_is_told_to_quit() {
        let mut listeners = Listeners::new();
        listeners.tcp("127.0.0.1", 0).unwrap();
        let address = listeners.iter().find_map(|one| one.address()).unwrap();
        let (quit, quitted) = channel::bounded::<()>(1);
        let client = std::thread::spawn(move || {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"SET k v\nGET k\n").unwrap();
            let mut reply = [0; 5];
            client.read_exact(&mut reply).unwrap();
            drop(quit);
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).unwrap();
            (reply, rest)
        });
        program(listeners, async move {
            let _ = quitted.recv().await;
        })
        .unwrap();
        assert_eq!(client.join().unwrap(), (*b"OK\nv\n", Vec::new()));
    }
}
