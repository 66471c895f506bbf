//! Core links no standard library: `examples/no_std`, a program that has none, is built, run and looked into.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the example, in release as it would be used; returns the program.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--manifest-path",
        ])
        .arg(root().join("examples/no_std/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // What this run was built with (coverage, sanitizers) may need std.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the example is built");
    target.join("release/ant-cache-no-std-example")
}

/// The names of a program's symbols.
fn symbols(program: &Path) -> String {
    let output = Command::new("nm")
        .arg(program)
        .output()
        .expect("nm of binutils runs");
    assert!(output.status.success(), "nm reads {}", program.display());
    String::from_utf8(output.stdout).expect("symbols are ASCII")
}

/// Mangled names carry the crate's name with its length.
const STD: &str = "3std";
const CORE: &str = "14ant_cache_core";

#[test]
fn the_engine_serves_without_a_standard_library() {
    let program = build();
    let output = Command::new(&program).output().expect("the example runs");
    let printed = String::from_utf8(output.stdout).expect("it prints ASCII");
    assert!(output.status.success(), "{}: {printed}", output.status);
    for line in [
        "  1999 ms  GET greeting\\n -> hello from nowhere\\n",
        "  2000 ms  GET greeting\\n -> NULL\\n",
        " 62000 ms  *2\\r\\n$3\\r\\nGET\\r\\n$4\\r\\nhits\\r\\n -> $-1\\r\\n",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line} in {printed}"
        );
    }

    let linked = symbols(&program);
    assert!(
        linked.contains(CORE),
        "the program has symbols, core's among them"
    );
    let of_std: Vec<_> = linked.lines().filter(|line| line.contains(STD)).collect();
    assert!(of_std.is_empty(), "{of_std:#?}");
    // The same look finds std where it is.
    let this = std::env::current_exe().expect("this program has a path");
    assert!(symbols(&this).contains(STD), "std's symbols are recognised");
}

/// Name and version of each package in a lock file.
fn locked(path: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join(path)).expect("the lock file is committed");
    let value = |line: Option<&str>, key: &str| {
        let line = line.and_then(|line| line.strip_prefix(key));
        line.expect("a lock file as cargo writes it")
            .trim_matches('"')
            .to_owned()
    };
    let packages = text.split("[[package]]\n").skip(1).map(str::lines);
    packages
        .map(|mut lines| {
            (
                value(lines.next(), "name = "),
                value(lines.next(), "version = "),
            )
        })
        .collect()
}

#[test]
fn the_example_uses_the_versions_that_the_project_uses() {
    let project = locked("Cargo.lock");
    let example = locked("examples/no_std/Cargo.lock");
    let others = example
        .iter()
        .filter(|(name, _)| name != "ant-cache-no-std-example");
    for package in others {
        assert!(project.contains(package), "{package:?}");
    }
    assert!(example.len() > 2);
}
