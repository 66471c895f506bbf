//! A server without a command line: `cargo run --example serve -- pooled 8890 200`, stopped by the end of its input.

use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::thread;

use ant_cache_core::service::Options;
use ant_cache_host::process::random_bits;
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};
use ant_cache_runtime_std::{Pooled, Single};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let architecture = args.next().unwrap_or_else(|| "single".into());
    let port = args.next().map_or(Ok(8890), |port| port.parse())?;
    let workers = args.next().as_deref().unwrap_or("200").parse()?;

    let mut listeners = Listeners::new();
    listeners.tcp("127.0.0.1", port)?;
    for listener in listeners.iter() {
        println!("{architecture}: listening on {listener}");
    }
    let shutdown = Shutdown::new()?;
    thread::spawn({
        let shutdown = shutdown.clone();
        move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            shutdown.trigger();
        }
    });
    let options = Options {
        seed: random_bits(),
        ..Options::default()
    };
    let host = Arc::new(Host::new(options, Clock::system()));
    match architecture.as_str() {
        "single" => Single::default().serve(host, listeners, shutdown)?,
        "pooled" => Pooled::new(workers).serve(host, listeners, shutdown)?,
        other => return Err(format!("no such architecture: {other}").into()),
    }
    Ok(())
}
