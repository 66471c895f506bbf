//! The page for readers: its commands run, its fragments compile.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::toolbox::{DIALECTS, Linked, compile, prefix, repository, succeed};

/// The blocks of this language in docs/C.md.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/C.md")).unwrap();
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn its_commands_run() {
    // Built by now, and make finds it done.
    prefix();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = scratch.join("home");
    let blocks = blocks("sh");
    assert_eq!(blocks.len(), 3);
    let mut shell = Command::new("sh");
    shell
        .args(["-eu", "-c", &blocks.concat()])
        .current_dir(repository())
        .env("HOME", &home)
        // Cargo's own directory is the user's.
        .env("CARGO_HOME", cargo_home())
        .env("CARGO_TARGET_DIR", scratch.parent().unwrap())
        .env("PROFILE", "dev");
    let result = succeed(&mut shell);
    fs::remove_file(repository().join("embedded")).unwrap();
    let said = String::from_utf8_lossy(&result.stdout).into_owned();
    assert_eq!(said.matches("user 1 is Ada").count(), 2, "{said}");
}

fn cargo_home() -> std::path::PathBuf {
    std::env::var_os("CARGO_HOME")
        .map_or_else(|| std::env::home_dir().unwrap().join(".cargo"), Into::into)
}

#[test]
fn its_fragments_compile() {
    let blocks = blocks("c");
    assert!(blocks.len() > 3);
    let mut program = String::from("#include <antcache.h>\n#include <stdio.h>\n");
    for (number, block) in blocks.iter().enumerate() {
        writeln!(
            program,
            "void fragment_{number}(void);\nvoid fragment_{number}(void) {{\n{block}}}"
        )
        .unwrap();
    }
    program += "int main(void) { return 0; }\n";
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fragments.c");
    fs::write(&source, program).unwrap();
    for dialect in DIALECTS {
        compile(&source, dialect, Linked::Shared, &[]);
    }
}
