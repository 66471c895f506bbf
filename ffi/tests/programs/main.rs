//! C programs, built against the library as it is installed, and run.

mod docs;
mod examples;
mod interface;
mod nulls;
mod toolbox;

use toolbox::{DIALECTS, Linked, SANITIZERS, compile, own, run, succeed};

/// The programs that use each function as it should be used.
const GOOD: [&str; 4] = ["cache", "session", "network", "sharded"];

/// The same, and those that do what they should not.
const ALL: [&str; 6] = [
    "cache", "session", "network", "sharded", "threads", "misuse",
];

#[test]
fn every_program_is_right_in_every_dialect() {
    for name in ALL {
        for dialect in DIALECTS {
            run(&compile(&own(name), dialect, Linked::Shared, &[]));
        }
    }
}

#[test]
fn valgrind_finds_no_error_and_no_leak() {
    for name in GOOD {
        let program = compile(&own(name), DIALECTS[0], Linked::Shared, &[]);
        let mut valgrind = std::process::Command::new("valgrind");
        valgrind.args(
            "--quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect".split(' '),
        );
        succeed(valgrind.arg(&program).arg(env!("CARGO_TARGET_TMPDIR")));
    }
}

#[test]
fn the_sanitizers_find_nothing_in_a_program_that_holds_the_library() {
    for name in ["cache", "session", "network", "sharded", "threads"] {
        run(&compile(
            &own(name),
            DIALECTS[0],
            Linked::Static,
            &SANITIZERS,
        ));
    }
}

/// The library stands where it was installed, and nothing else of this repository is asked for.
#[test]
fn a_program_is_linked_without_the_sources() {
    let elsewhere = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    for name in ["cache.c", "check.h"] {
        std::fs::copy(own("cache").with_file_name(name), elsewhere.join(name)).unwrap();
    }
    let program = compile(&elsewhere.join("cache.c"), DIALECTS[0], Linked::Static, &[]);
    run(&program);
    let needed = succeed(
        std::process::Command::new("readelf")
            .arg("-d")
            .arg(&program),
    );
    assert!(!String::from_utf8_lossy(&needed.stdout).contains("libantcache"));
}
