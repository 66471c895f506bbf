//! Every command of docs/PERFORMANCE.md runs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The commands in the document's blocks of shell.
fn commands() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PERFORMANCE.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|rest| rest.split("```").next().unwrap().lines());
    lines.map(str::to_owned).collect()
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"));
    command.args(words).stdin(Stdio::null());
    command
}

/// A server by these words, on a port that is free. Stopped when dropped.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(words: &[&str]) -> Self {
        let mut child = program(&[words, &["--port", "0"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let address = ready.split_once("127.0.0.1:");
        let port = address.unwrap_or_else(|| panic!("{words:?}: {ready}")).1;
        let port = port.split(' ').next().unwrap().trim().to_owned();
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The words with what makes them short and harmless here; of a flag that is given twice the last one counts.
fn here(words: &[&str], port: &str, scratch: &Path) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let has = |words: &[String], flag: &str| words.iter().any(|word| word == flag);
    let mut more: Vec<&str> = Vec::new();
    let (document, out) = (scratch.join("PERFORMANCE.md"), scratch.join("report"));
    if has(&words, "--suite") {
        fs::write(&document, "").unwrap();
        more.extend(["--quick", "--only", "extreme"]);
        more.extend([
            "--out",
            out.to_str().unwrap(),
            "--update",
            document.to_str().unwrap(),
        ]);
    } else if words[0] == "bench" {
        more.extend(["--warmup", "0", "--keys", "1000"]);
        more.extend(if has(&words, "--duration") {
            ["--duration", "0.05"]
        } else {
            ["--ops", "500"]
        });
        more.extend(if has(&words, "--peers") {
            ["--rounds", "1"]
        } else {
            ["--port", port]
        });
    } else if words[0] == "cli" {
        // Before the command, which takes all words that follow.
        words.splice(1..1, ["--port".to_owned(), port.to_owned()]);
    }
    words.extend(more.into_iter().map(str::to_owned));
    words
}

#[test]
fn every_command_of_the_guide_runs() {
    let commands = commands();
    assert!(commands.len() > 15);
    let server = Server::start(&[]);
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    fs::create_dir_all(&scratch).unwrap();
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let Some((&"ant-cache-cli", words)) = words.split_first() else {
            panic!("{command}: no command of this program");
        };
        if words[0].starts_with("--") {
            Server::start(words);
            continue;
        }
        let output = program(&[])
            .args(here(words, &server.port, &scratch))
            .output()
            .unwrap();
        let (text, errors) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        // Whether this machine pleases the doctor is another matter.
        let code = output.status.code().unwrap();
        assert!(
            code == 0 || (code == 1 && words[0] == "doctor"),
            "{command}: {text}{errors}"
        );
        assert!(
            !text.starts_with("(error)") && !text.starts_with("ERR"),
            "{command}: {text}"
        );
    }
}
