//! `ant-cache-cli top`: a server's figures, live, in a terminal.

mod figures;
mod screen;

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Instant;

use ant_cache_runtime_std::client::{Client, ClientError};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::seconds::seconds;
use crate::server::Server;
use crate::stats::{Reading, connect, hot_keys};
use figures::Figures;

/// Shows a server's figures, live: rates, latency, memory, hit ratio, the worker pool, the hottest keys. q ends it.
///
/// Exit status: 0, 2 if the command line is wrong, there is no terminal or no connection.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    /// Seconds between two looks.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
}

/// The shortest interval: each look makes the server count its keys.
const SHORTEST: Duration = Duration::from_millis(100);

/// Hot keys that are shown.
const HOT_KEYS: usize = 10;

/// Shows the figures until somebody says stop.
pub(crate) fn run(args: &Args) -> ExitCode {
    match show(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ant-cache-cli top: {message}");
            ExitCode::from(2)
        }
    }
}

fn show(args: &Args) -> Result<(), String> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err("there is no terminal; ant-cache-cli stats prints the figures once".to_owned());
    }
    // A server that cannot be reached at all is told without a screen.
    let mut client = connect(&args.server).map_err(|error| error.to_string())?;
    let mut figures = Figures::default();
    look(&mut client, &mut figures).map_err(|error| error.to_string())?;
    let mut terminal = ratatui::try_init().map_err(|error| error.to_string())?;
    let shown = watch(args, &mut client, &mut figures, &mut terminal);
    ratatui::restore();
    shown.map_err(|error| error.to_string())
}

fn look(client: &mut Client, figures: &mut Figures) -> Result<(), ClientError> {
    if !client.is_connected() {
        client.reconnect()?;
    }
    let reading = Reading::take(client)?;
    let hot = hot_keys(client, HOT_KEYS)?;
    figures.add(reading, hot, Instant::now());
    Ok(())
}

/// Draws, waits for keys, and looks again whenever it is time.
fn watch(
    args: &Args,
    client: &mut Client,
    figures: &mut Figures,
    terminal: &mut DefaultTerminal,
) -> io::Result<()> {
    let interval = args.interval.max(SHORTEST);
    let address = args.server.address().to_string();
    let mut next = Instant::now() + interval;
    let mut trouble = None;
    loop {
        terminal.draw(|frame| screen::draw(frame, figures, &address, trouble.as_deref()))?;
        let left = next.saturating_duration_since(Instant::now());
        if event::poll(left)? {
            if is_end(&event::read()?) {
                return Ok(());
            }
            continue;
        }
        // A server that is gone may come back.
        trouble = look(client, figures).err().map(|error| error.to_string());
        next = Instant::now() + interval;
    }
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else {
        return false;
    };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let end = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) || control_c;
    end && key.kind == KeyEventKind::Press
}
