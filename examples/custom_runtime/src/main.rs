//! Serves on 127.0.0.1:8890 until the end of its input: `cargo run -p ant-cache-custom-runtime`.

use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::thread;

use ant_cache_core::service::Options;
use ant_cache_custom_runtime::PollLoop;
use ant_cache_host::process::random_bits;
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};

fn main() -> Result<(), Box<dyn Error>> {
    let mut listeners = Listeners::new();
    listeners.tcp("127.0.0.1", 8890)?;
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
    Ok(PollLoop.serve(host, listeners, shutdown)?)
}
