//! `help`, completion and hints: what the command table tells.

use ant_cache_core::command::{Command, Group, table};

/// What `help` prints: about everything, a command, or a group (`@string`).
pub(super) fn help(topic: Option<&str>) -> String {
    match topic {
        None => overview(),
        Some(topic) => match topic.strip_prefix('@') {
            Some(group) => of_group(group),
            None => of_command(topic),
        },
    }
}

fn overview() -> String {
    let mut out = String::from(
        "help COMMAND   what a command does\n\
         help @GROUP    the commands of a group\n\
         TAB            completes a command\n\
         quit           leaves\n\nGroups:\n",
    );
    for group in Group::ALL {
        let names: Vec<String> = of(group)
            .map(|command| command.name.to_uppercase())
            .collect();
        out.push_str(&format!("  @{}: {}\n", group.name(), names.join(" ")));
    }
    out
}

fn of_command(name: &str) -> String {
    match find(name) {
        Some(command) => describe(command),
        None => format!("No command '{name}' is known here. 'help' lists all.\n"),
    }
}

fn of_group(name: &str) -> String {
    let group = Group::ALL
        .into_iter()
        .find(|group| group.name().eq_ignore_ascii_case(name));
    match group {
        Some(group) => of(group).map(describe).collect(),
        None => {
            let names: Vec<&str> = Group::ALL.iter().map(|group| group.name()).collect();
            format!(
                "There is no group '{name}'; there are {}.\n",
                names.join(", ")
            )
        }
    }
}

fn describe(command: &Command) -> String {
    let call = format!("{} {}", command.name.to_uppercase(), command.usage);
    format!(
        "  {}\n    {}\n    group: {}\n",
        call.trim_end(),
        command.summary,
        command.group.name()
    )
}

fn of(group: Group) -> impl Iterator<Item = &'static Command> {
    table().iter().filter(move |command| command.group == group)
}

fn find(name: &str) -> Option<&'static Command> {
    table()
        .iter()
        .find(|command| command.name.eq_ignore_ascii_case(name))
}

/// The words that `line` may be completed to, in the case in which it is typed: names of commands, and behind `help`
/// names and groups.
pub(super) fn completions(line: &str) -> Vec<String> {
    let (before, word) = match line.rsplit_once(' ') {
        Some((before, word)) if before.trim().eq_ignore_ascii_case("help") => (Some(before), word),
        Some(_) => return Vec::new(),
        None => (None, line),
    };
    let upper = word.starts_with(|first: char| first.is_ascii_uppercase());
    let in_case = |name: &str| {
        if upper {
            name.to_uppercase()
        } else {
            name.to_owned()
        }
    };
    let commands = table().iter().map(|command| in_case(command.name));
    let groups = Group::ALL.iter().map(|group| format!("@{}", group.name()));
    let own = ["help", "quit", "exit", "clear"].into_iter().map(in_case);
    let all: Vec<String> = match before {
        Some(_) => commands.chain(groups).collect(),
        None => commands.chain(own).collect(),
    };
    let mut fitting: Vec<String> = all
        .into_iter()
        .filter(|name| name.to_lowercase().starts_with(&word.to_lowercase()))
        .map(|name| before.map_or(name.clone(), |before| format!("{before} {name}")))
        .collect();
    fitting.sort_unstable();
    fitting.dedup();
    fitting
}

/// The arguments that a command, completely typed, still takes.
pub(super) fn hint(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let command = find(words.next()?)?;
    let typed = words.count();
    // A name without a space behind it may be the beginning of a longer one.
    if !line.ends_with(' ') {
        return None;
    }
    let left: Vec<&str> = usage_items(command.usage).into_iter().skip(typed).collect();
    (!left.is_empty()).then(|| left.join(" "))
}

/// The words of a usage line; what stands in brackets is one.
fn usage_items(usage: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, char) in usage.char_indices() {
        match char {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => {
                items.push(&usage[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&usage[start..]);
    items.retain(|item| !item.is_empty());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_listed_and_described() {
        let overview = help(None);
        for command in table() {
            let name = command.name.to_uppercase();
            assert!(overview.contains(&name), "{name}");
            assert!(help(Some(command.name)).contains(command.summary), "{name}");
        }
        for group in Group::ALL {
            assert!(
                help(Some(&format!("@{}", group.name()))).contains("group: "),
                "{group:?}"
            );
        }
        assert!(help(Some("nonsense")).contains("'nonsense'"));
        assert!(help(Some("@nonsense")).contains("string"));
    }

    #[test]
    fn completion_keeps_the_case() {
        assert_eq!(completions("incrb"), ["incrby", "incrbyfloat"]);
        assert_eq!(completions("INCRB"), ["INCRBY", "INCRBYFLOAT"]);
        assert_eq!(completions("help incrbyf"), ["help incrbyfloat"]);
        assert_eq!(completions("help @str"), ["help @string"]);
        assert_eq!(completions("qui"), ["quit"]);
        assert!(completions("get k").is_empty());
        assert!(completions("zzz").is_empty());
    }

    #[test]
    fn hints_shrink_as_arguments_are_typed() {
        assert_eq!(
            hint("expire "),
            Some("key seconds [NX | XX | GT | LT]".into())
        );
        assert_eq!(
            hint("EXPIRE k "),
            Some("seconds [NX | XX | GT | LT]".into())
        );
        assert_eq!(hint("expire k 10 NX "), None);
        assert_eq!(hint("get"), None);
        assert_eq!(hint("nonsense "), None);
        assert_eq!(hint(""), None);
    }
}
