//! `ant-cache-cli top` in a real terminal, that of tmux.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::ask;
use crate::child::{Server, run};

/// A terminal of its own, ended with this.
struct Terminal(String);

impl Terminal {
    /// `None` where there is no tmux.
    fn start(program: &str) -> Option<Self> {
        let terminal = Self(format!("ant-cache-top-{}", std::process::id()));
        let size = ["-x", "120", "-y", "40"];
        let words = [&["new-session", "-d"], &size[..], &[program]].concat();
        let output = terminal.tmux(&words)?;
        assert!(output.status.success(), "{output:?}");
        Some(terminal)
    }

    fn tmux(&self, words: &[&str]) -> Option<Output> {
        let base = ["-L", &self.0, "-f", "/dev/null"];
        Command::new("tmux").args(base).args(words).output().ok()
    }

    fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn until(&self, what: &str, mut seen: impl FnMut(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let screen = self.screen();
            if seen(&screen) {
                return;
            }
            assert!(Instant::now() < end, "{what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn figures_are_shown_live_until_somebody_says_stop() {
    let mut server = Server::start(&["--port", "0", "--workers", "4"]);
    let program = env!("CARGO_BIN_EXE_ant-cache-cli");
    let line = format!(
        "{program} top --port {} --interval 0.2; echo ended with $?; cat",
        server.port()
    );
    let Some(terminal) = Terminal::start(&line) else {
        println!("skipped: there is no tmux");
        return;
    };
    terminal.until("the screen", |screen| {
        [
            "Ant-Cache",
            "std pooled",
            "Hit ratio",
            "Workers",
            "Commands",
            "Hot keys",
            "INFO",
        ]
        .iter()
        .all(|word| screen.contains(word))
    });
    ask(&server, "SET key value");
    ask(&server, "GET key");
    terminal.until("new calls", |screen| {
        screen.contains("GET") && screen.contains("100.0 %")
    });
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    terminal.until("a server that is gone", |screen| {
        screen.contains("trying again")
    });
    terminal.tmux(&["send-keys", "q"]);
    terminal.until("the end", |screen| screen.contains("ended with 0"));
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let server = Server::start(&["--port", "0"]);
    let output = run(&["top", "--port", &server.port().to_string()]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && text.contains("ant-cache-cli stats"),
        "{text}"
    );
}
