//! `ant-cache-cli serve`: the server.

mod args;
mod descriptors;
mod host;
mod metrics;
mod signals;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use ant_cache_host::config::{
    self, Architecture, Level, LogFormat, Runtime as RuntimeName, Settings,
};
use ant_cache_host::persist::Persistence;
use ant_cache_host::{Host, Listeners, Runtime, Shutdown};
use ant_cache_runtime_smol as smol;
use ant_cache_runtime_std as threads;
use tracing::level_filters::LevelFilter;

pub(crate) use args::{Args, flags};

/// The exit code for what whoever started the server can mend: a bad setting, an address in use.
const USAGE: u8 = 2;

/// Serves until a signal says stop.
pub(crate) fn run(args: Args) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain("error", &message);
            ExitCode::from(USAGE)
        }
    }
}

fn start(args: Args) -> Result<(), String> {
    let (layers, settings) =
        config::load(args.settings, std::env::vars_os()).map_err(|error| error.to_string())?;
    if args.print_config {
        return write!(io::stdout(), "{layers}").map_err(|error| format!("cannot print: {error}"));
    }
    let warnings = settings.warnings.iter().cloned();
    for warning in warnings.chain(descriptors::raise(settings.max_connections)) {
        complain("warning", &warning);
    }
    log(settings.log_level, settings.log_format);
    let listeners = settings.listen().map_err(|error| error.to_string())?;
    let shutdown = Shutdown::new().map_err(|error| format!("cannot start: {error}"))?;
    signals::trigger(&shutdown).map_err(|error| format!("cannot handle signals: {error}"))?;
    let metrics = metrics::listen(&settings)?;
    let address = metrics.as_ref().map(metrics::Listening::address);
    let host = host::host(&settings, &listeners, address);
    host.service().set_stopper(shutdown.waker());
    let metrics = metrics
        .map(|metrics| metrics.serve(&settings, &host, &shutdown))
        .transpose()
        .map_err(|error| format!("cannot start: {error}"))?;
    let persistence = match &settings.persistence {
        Some(options) => Some(
            Persistence::open(options, host.service(), host.clock())
                .map_err(|error| error.to_string())?,
        ),
        None => None,
    };
    if let Some(metrics) = &metrics {
        metrics.set_ready();
    }
    let served = serve(&settings, Arc::clone(&host), listeners, shutdown)
        .map_err(|error| format!("cannot serve: {error}"));
    if let Some(persistence) = persistence {
        persistence
            .close(host.service().wants_final_save())
            .map_err(|error| format!("not all changes are on the disk: {error}"))?;
    }
    served
}

/// Says what is about to serve, and serves.
fn serve(
    settings: &Settings,
    host: Arc<Host>,
    listeners: Listeners,
    shutdown: Shutdown,
) -> io::Result<()> {
    let &Settings {
        workers,
        stack_size,
        ..
    } = settings;
    let (executors, lanes) = (settings.executor_count(), settings.lane_count());
    let ready = |size: &[(NonZeroUsize, &str)]| announce(settings, &listeners, size);
    match (settings.runtime, settings.architecture) {
        (RuntimeName::Std, Architecture::Single) => {
            ready(&[]);
            threads::Single { stack_size }.serve(host, listeners, shutdown)
        }
        (RuntimeName::Std, Architecture::Pooled) => {
            ready(&[(workers, "worker"), (lanes, "lane")]);
            let pooled = threads::Pooled {
                workers,
                lanes,
                stack_size,
            };
            pooled.serve(host, listeners, shutdown)
        }
        (RuntimeName::Smol, Architecture::Single) => {
            ready(&[(executors, "executor")]);
            let single = smol::Single {
                executors,
                stack_size,
            };
            single.serve(host, listeners, shutdown)
        }
        (RuntimeName::Smol, Architecture::Pooled) => {
            ready(&[(workers, "worker"), (lanes, "lane")]);
            let pooled = smol::Pooled {
                workers,
                lanes,
                stack_size,
            };
            pooled.serve(host, listeners, shutdown)
        }
    }
}

/// Logs to standard error from here on. Whatever becomes of that file, the server goes on.
fn log(level: Level, format: LogFormat) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(io::stderr)
        // Its report would go to the same closed file, and panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// The one line of a start that went well.
fn announce(settings: &Settings, listeners: &Listeners, size: &[(NonZeroUsize, &str)]) {
    let places: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let places = places.join(" and ");
    let Settings {
        runtime,
        architecture,
        ..
    } = settings;
    let size: String = size
        .iter()
        .map(|&(n, noun)| format!(", {}", counted(n, noun)))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let mut out = io::stdout();
    // Where nobody reads it, the server serves all the same.
    let _ = writeln!(
        out,
        "ant-cache {version} ready on {places} (runtime {runtime}, {architecture}{size})"
    );
    let _ = out.flush();
}

fn counted(n: NonZeroUsize, noun: &str) -> String {
    format!("{n} {noun}{}", if n.get() == 1 { "" } else { "s" })
}

/// One line on standard error. Where that is closed, nobody is left to tell.
fn complain(kind: &str, message: &str) {
    let _ = writeln!(io::stderr(), "ant-cache-cli: {kind}: {message}");
}
