//! The bound on memory, from outside.

use super::child::{program, refusal};
use super::group::Group;

#[test]
fn less_than_the_server_needs_is_refused_with_the_minimum() {
    assert_eq!(
        refusal(&["--max-memory", "1mb", "--workers", "2"]),
        "--max-memory: expected at least 9mb, which the server needs at rest, or 0 for no bound, found 1mb"
    );
    assert_eq!(
        refusal(&["--max-memory", "lots"]),
        "--max-memory: expected a size such as 512mb, a share such as 75%, or 0 for no bound, found \"lots\""
    );
}

#[test]
fn a_share_is_one_of_what_the_container_has() {
    let Some(group) = Group::with_limit(256 << 20) else {
        eprintln!("skipped: no control group can be made here");
        return;
    };
    for (words, bound) in [
        (&["--print-config"][..], "192.00M"),
        (&["--print-config", "--max-memory", "50%"], "128.00M"),
    ] {
        let output = group.around(&program(words)).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let line = printed
            .lines()
            .find(|line| line.starts_with("max_memory"))
            .unwrap();
        assert!(
            line.ends_with(&format!("; {bound} of 256.00M of the container")),
            "{line}"
        );
    }
}
