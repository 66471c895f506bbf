//! `docs/PROTOCOL.md` is true: its examples are executed, its tables are those of the command table, its limits are those
//! of the engine.

use std::collections::HashSet;

use ant_cache_core::command::{Group, table};
use ant_cache_core::limits;
use ant_cache_core::protocol::{Parsed, Parser, RequestLimits};
use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings;
use ant_cache_tests::{Peer, request};

const PAGE: &str = include_str!("../../docs/PROTOCOL.md");

/// A block of the page that is executed.
struct Example {
    /// Its first line's number on the page.
    line: usize,
    resp: bool,
    password: Option<&'static str>,
    lines: Vec<&'static str>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in PAGE.lines().enumerate() {
        match line.strip_prefix("```") {
            Some("") => inside = false,
            Some(info) => {
                let (dialect, rest) = info.split_once(' ').unwrap_or((info, ""));
                assert!(
                    matches!(dialect, "text" | "resp"),
                    "line {}: {info}",
                    number + 1
                );
                inside = true;
                examples.push(Example {
                    line: number + 2,
                    resp: dialect == "resp",
                    password: rest.strip_prefix("password="),
                    lines: Vec::new(),
                });
            }
            None if inside => examples.last_mut().unwrap().lines.push(line),
            None => {}
        }
    }
    examples
}

/// The words of a line, as the text dialect reads them.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut bytes = format!("{line}\n").into_bytes();
    let mut spans = Vec::new();
    let limits = RequestLimits {
        bytes: 1 << 20,
        args: 1 << 10,
    };
    let parsed = Parser::default().next(&mut bytes, &mut spans, limits);
    assert!(matches!(parsed, Parsed::Request(_)), "{line}: {parsed:?}");
    spans.iter().map(|span| span.of(&bytes).to_vec()).collect()
}

/// The time of a line that lets it pass.
fn passing(line: &str) -> Option<&str> {
    line.strip_prefix("# ")?.strip_suffix(" later")
}

impl Example {
    fn run(&self) {
        let settings = Settings::default();
        settings.set_password(self.password.map(|password| password.as_bytes().to_vec()));
        let mut peer = Peer::new(Options {
            settings,
            ..Options::default()
        });
        let mut rest = &self.lines[..];
        while let [line, after @ ..] = rest {
            let number = self.line + self.lines.len() - rest.len();
            if let Some(time) = passing(line) {
                let (count, unit) = time.split_once(' ').expect("a number and a unit");
                let unit = match unit {
                    "ms" => 1,
                    "s" => 1000,
                    "m" => 60_000,
                    _ => panic!("line {number}: unit {unit}"),
                };
                peer.pass(count.parse::<u64>().expect("a number") * unit);
                rest = after;
                continue;
            }
            let asked = line
                .strip_prefix("> ")
                .unwrap_or_else(|| panic!("line {number}: no request: {line}"));
            let replies = after
                .iter()
                .take_while(|line| !line.starts_with("> ") && passing(line).is_none());
            let (expected, after) = after.split_at(replies.count());
            self.check(&mut peer, asked, expected, number);
            rest = after;
        }
    }

    /// Sends one request and compares the reply with the lines that the page shows.
    fn check(&self, peer: &mut Peer, asked: &str, expected: &[&str], number: usize) {
        let reply = if self.resp {
            peer.send(&request(&words(asked)))
        } else {
            peer.send(format!("{asked}\n").as_bytes())
        };
        let end = if self.resp { "\r\n" } else { "\n" };
        let reply = String::from_utf8(reply).expect("UTF-8");
        let reply = reply.strip_suffix(end).expect("a reply ends its last line");
        let mut reply: Vec<&str> = reply.split(end).collect();
        let mut expected = expected.to_vec();
        let closed = expected.last() == Some(&"(closed)");
        if closed {
            expected.pop();
        }
        if expected.last() == Some(&"…") {
            expected.pop();
            assert!(
                reply.len() > expected.len(),
                "line {number}: nothing was left out"
            );
            reply.truncate(expected.len());
        }
        assert_eq!(reply, expected, "line {number}: {asked}");
        assert_eq!(peer.closed().is_some(), closed, "line {number}: {asked}");
    }
}

#[test]
fn examples_answer_as_the_page_says() {
    let examples = examples();
    assert!(examples.len() > 10);
    examples.iter().for_each(Example::run);
}

#[test]
fn every_command_has_an_example() {
    let examples = examples();
    let requests = examples.iter().flat_map(|example| &example.lines);
    let names: HashSet<String> = requests
        .filter_map(|line| line.strip_prefix("> ")?.split(' ').next())
        .map(str::to_lowercase)
        .collect();
    let missing: Vec<_> = table()
        .iter()
        .map(|command| command.name)
        .filter(|name| !names.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The table of a family, as it must stand on the page.
fn family(group: Group) -> String {
    let mut rows = String::from("| command | what it does |\n|---|---|\n");
    let mut row = |words: &str, usage: &str, summary: &str| {
        let usage = usage.replace('|', "\\|");
        let words = words.to_uppercase();
        rows += &format!(
            "| `{}` | {summary} |\n",
            format!("{words} {usage}").trim_end()
        );
    };
    for command in table().iter().filter(|command| command.group == group) {
        match command.subcommands() {
            [] => row(command.name, command.usage, command.summary),
            subs => subs.iter().for_each(|sub| {
                row(
                    &format!("{} {}", command.name, sub.name),
                    sub.usage,
                    sub.summary,
                );
            }),
        }
    }
    rows
}

#[test]
fn tables_are_those_of_the_command_table() {
    for group in Group::ALL {
        let begin = format!("<!-- {} -->\n", group.name());
        let (_, rest) = PAGE
            .split_once(&begin)
            .unwrap_or_else(|| panic!("no {begin}"));
        let (shown, _) = rest.split_once("<!-- end -->").expect("an end");
        let expected = family(group);
        assert_eq!(
            shown, expected,
            "between {begin} and the end must stand\n{expected}"
        );
    }
}

#[test]
fn limits_are_those_of_the_engine() {
    let (_, shown) = PAGE
        .split_once("\n## Limits\n")
        .expect("a section of limits");
    let with_commas = |number: usize| {
        let digits = number.to_string();
        let groups: Vec<_> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| str::from_utf8(group).unwrap())
            .collect();
        groups.join(",")
    };
    for limit in [
        format!(
            "| {} MiB, {} words |",
            limits::MAX_REQUEST >> 20,
            with_commas(limits::MAX_ARGS)
        ),
        format!("| {} bytes |", with_commas(limits::MAX_KEY)),
        format!("`HELLO` | {} |", with_commas(limits::MAX_NAMES)),
        format!("settings | {} bytes |", with_commas(limits::MAX_NAME)),
        format!("sets | {} bytes |", with_commas(limits::MAX_PASSWORD)),
        format!("makes | {} MiB |", limits::MAX_STRING >> 20),
        format!("| {} MiB; ", limits::MAX_UNREAD >> 20),
        format!("| {} s (`send-timeout`) |", Settings::SEND_TIMEOUT / 1000),
        format!(
            "| {} (`maxclients`) |",
            with_commas(Settings::MAX_CONNECTIONS as usize)
        ),
        format!(
            "| {} KiB a request, {} s |",
            limits::MAX_REQUEST_UNAUTHENTICATED >> 10,
            limits::AUTH_DEADLINE / 1000
        ),
    ] {
        assert!(shown.contains(&limit), "{limit}");
    }
}
