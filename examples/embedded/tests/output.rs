//! The example does what it says.

use std::process::Command;

#[test]
fn it_prints_what_happened() {
    let output = Command::new(env!("CARGO_BIN_EXE_ant-cache-embedded-example"))
        .output()
        .expect("the example runs");
    let printed = String::from_utf8(output.stdout).expect("it prints text");
    assert!(output.status.success(), "{}: {printed}", output.status);
    let expected = "\
        4 threads read 100 pages each, 636000 bytes\n\
        pages rendered: 100\n\
        no such page: there is no page 100\n\
        held after its removal: 1500 bytes\n\
        lease: thread 1 true, thread 2 false\n\
        the lease ends in half a minute: true\n\
        pages in the cache: 99\n\
        entries: 100, hits and misses: 402, loads: 101\n";
    assert_eq!(printed, expected);
}
