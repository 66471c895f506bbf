//! Where the shell keeps what was typed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// `$XDG_STATE_HOME/ant-cache/history`, or `~/.ant-cache_history`. Nothing without a home. The directory is made.
pub(super) fn file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(state) = absolute("XDG_STATE_HOME") {
        let directory = state.join("ant-cache");
        fs::create_dir_all(&directory).ok()?;
        return Some(directory.join("history"));
    }
    absolute("HOME").map(|home| home.join(Path::new(".ant-cache_history")))
}

/// Whether a line may be kept: not if it has, or may have, a password in it.
pub(super) fn may_keep(line: &str) -> bool {
    let upper = line.to_ascii_uppercase();
    let mut words =
        upper.split(|char: char| char.is_ascii_whitespace() || matches!(char, '"' | '\''));
    let mut next = || {
        words
            .find(|word| !word.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    match next().as_str() {
        "AUTH" => false,
        "HELLO" | "MIGRATE" => !upper.contains("AUTH"),
        "ACL" => next() != "SETUSER",
        "CONFIG" => next() != "SET" || !upper.contains("PASS") && !upper.contains("AUTH"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_kept() {
        for line in [
            "AUTH secret",
            "  auth user secret",
            "\"AUTH\" secret",
            "hello 3 auth default secret",
            "config set requirepass secret",
            "CONFIG SET auth.password secret",
            "acl setuser joe >secret",
        ] {
            assert!(!may_keep(line), "{line}");
        }
        for line in [
            "get auth",
            "hello 3",
            "config get requirepass",
            "config set maxmemory 1gb",
            "",
        ] {
            assert!(may_keep(line), "{line}");
        }
    }

    #[test]
    fn the_place_follows_the_environment() {
        let directory =
            std::env::temp_dir().join(format!("ant-cache-history-{}", std::process::id()));
        let state = directory.clone().into_os_string();
        let with = |name: &str| match name {
            "XDG_STATE_HOME" => Some(state.clone()),
            _ => Some("/home/joe".into()),
        };
        assert_eq!(file(with), Some(directory.join("ant-cache/history")));
        fs::remove_dir_all(&directory).unwrap();
        let without = |name: &str| (name == "HOME").then(|| "/home/joe".into());
        assert_eq!(file(without), Some("/home/joe/.ant-cache_history".into()));
        assert_eq!(
            file(|name: &str| (name == "XDG_STATE_HOME").then(|| "relative".into())),
            None
        );
    }
}
