//! `ant-cache-cli doctor` from outside.

use std::process::{Command, Output};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn doctor(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
        .arg("doctor")
        .args(args)
        .output()
        .unwrap()
}

fn findings(output: &Output) -> Vec<serde_json::Value> {
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

#[test]
fn every_finding_has_a_verdict_and_what_should_change_says_how() {
    let output = doctor(&["--json", "--connections", "1"]);
    let findings = findings(&output);
    assert!(findings.len() > 15);
    let mut problem = false;
    for finding in &findings {
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(
            ["ok", "unknown", "advice", "problem"].contains(&verdict),
            "{finding}"
        );
        let to_change = ["advice", "problem"].contains(&verdict);
        assert_eq!(finding["change"].is_string(), to_change, "{finding}");
        problem |= verdict == "problem";
    }
    assert_eq!(output.status.code(), Some(i32::from(problem)));
}

#[test]
fn too_few_open_files_are_a_problem_that_is_named() {
    // Its child has the limit that this process has.
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(200),
        maximum: limit.maximum.map(|most| most.min(5000)).or(Some(5000)),
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let output = doctor(&["--connections", "900000"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let line = lines.find(|line| line.contains("open files")).unwrap();
    assert!(
        line.starts_with("problem  ") && line.contains("200, at most 5000"),
        "{text}"
    );
    assert!(
        lines
            .next()
            .unwrap()
            .trim()
            .starts_with("why: each connection is an open file"),
        "{text}"
    );
    assert!(
        lines.next().unwrap().contains("LimitNOFILE=900064"),
        "{text}"
    );
    assert!(
        text.lines().last().unwrap().contains(" problems, "),
        "{text}"
    );

    let own = std::process::id().to_string();
    let output = doctor(&["--json", "--pid", &own]);
    let files = &findings(&output)[0];
    assert_eq!(files["value"], "200, at most 5000");
}

#[test]
fn a_process_that_is_not_there() {
    let output = doctor(&["--pid", "4294967295"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("the limits of process 4294967295 cannot be read"),
        "{error}"
    );
}
