//! The licences of everything that is linked or that tests use are among those that `deny.toml` allows.

use std::process::Command;

/// Whether an SPDX expression can be satisfied from what is allowed. Precedence as in SPDX: WITH, then AND, then OR;
/// the slash of old manifests means OR.
fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let value = any(&mut words, allowed);
    assert!(words.is_empty(), "cannot read the licence {expression:?}");
    value
}

fn any(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut value = all(words, allowed);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        value |= all(words, allowed);
    }
    value
}

fn all(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut value = one(words, allowed);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        value &= one(words, allowed);
    }
    value
}

fn one(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let value = any(words, allowed);
            *words = words.strip_prefix(&[")"]).expect("a closing parenthesis");
            value
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed(&format!("{name} WITH {exception}"))
        }
        [name, rest @ ..] => {
            *words = rest;
            allowed(name)
        }
        [] => false,
    }
}

#[test]
fn expressions() {
    let allowed =
        |name: &str| ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].contains(&name);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "(MIT OR X) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR X) AND Y",
        "MIT WITH LLVM-exception",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

#[test]
fn every_package_has_an_allowed_licence() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let policy = std::fs::read_to_string(format!("{root}/deny.toml")).unwrap();
    let policy: toml::Table = policy.parse().unwrap();
    let list = policy["licenses"]["allow"].as_array().unwrap();
    let allowed = |name: &str| list.iter().any(|licence| licence.as_str() == Some(name));
    let exceptions = policy["licenses"]["exceptions"].as_array().unwrap();
    let excepted = |line: &str, licence: &str| {
        let package = line
            .split([' ', '|'])
            .find(|word| word.starts_with(char::is_lowercase));
        exceptions.iter().any(|exception| {
            exception["crate"].as_str() == package
                && exception["allow"]
                    .as_array()
                    .is_some_and(|list| list.contains(&licence.into()))
        })
    };

    // Those of this platform: nothing else was downloaded.
    let output = Command::new(env!("CARGO"))
        .args(
            "tree --workspace --all-features --edges normal,build,dev --prefix none --locked --offline"
                .split(' '),
        )
        .args(["--format", "{l} | {p}"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let packages: Vec<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    assert!(packages.len() > 20);
    let licence = |line: &str| line.split('|').next().unwrap_or_default().to_owned();
    let refused: Vec<&str> = packages
        .into_iter()
        .filter(|line| {
            !is_allowed(&licence(line), &|name| {
                allowed(name) || excepted(line, name)
            })
        })
        .collect();
    assert_eq!(refused, Vec::<&str>::new());
}
