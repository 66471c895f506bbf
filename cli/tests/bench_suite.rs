//! `ant-cache-cli bench --suite` and `--peers`, in a hurry: that all is measured and reported, not what comes out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"))
        .arg("bench")
        .args(args)
        .env_remove("ANT_CACHE_PASSWORD")
        // What a user has set for a server of their own must not reach those that are measured.
        .env("ANT_CACHE_PORT", "1")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder for one test, empty.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

const PARTS: [&str; 10] = [
    "architectures",
    "workers",
    "profiles",
    "values",
    "latency",
    "extreme",
    "pipelines",
    "connections",
    "persistence",
    "peers",
];

/// Checks that each tag that is opened is closed, in order. Returns all names of tags, opened ones only.
fn tags(markup: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for piece in markup.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "in {piece}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        if !tag.starts_with('!') && !tag.ends_with('/') && name != "meta" {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert_eq!(open, Vec::<String>::new());
    all
}

#[test]
fn a_full_suite_measures_every_part_and_writes_a_page_that_needs_nothing_else() {
    let folder = scratch("suite");
    let document = folder.join("GUIDE.md");
    let section = |name: &str| format!("<!-- measured {name} -->\nold\n<!-- end -->\n");
    fs::write(
        &document,
        format!("# Guide\n{}{}", section("targets"), section("workers")),
    )
    .unwrap();
    let out = folder.join("report");
    let output = bench(&[
        "--suite",
        "full",
        "--quick",
        "--out",
        out.to_str().unwrap(),
        "--update",
        document.to_str().unwrap(),
    ]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    assert!(
        text.contains("the document has no <!-- measured values -->"),
        "{text}"
    );

    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let tags = tags(&page);
    assert!(tags.iter().filter(|tag| *tag == "svg").count() >= 7);
    assert!(
        !tags
            .iter()
            .any(|tag| ["script", "link", "img"].contains(&&**tag))
    );
    assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("url("));
    assert!(page.contains("Measured in a hurry"));
    assert!(page.contains("<dt>Machine</dt>") && page.contains("<dt>Rounds</dt>"));
    assert!(!page.contains("Measured otherwise"));
    for part in PARTS {
        assert!(page.contains(&format!("<h2 id=\"{part}\">")), "{part}");
        let file = fs::read(out.join(format!("{part}.json"))).unwrap();
        let part: Value = serde_json::from_slice(&file).unwrap();
        let tables = part["tables"].as_array().unwrap();
        assert!(!tables.is_empty());
        for table in tables {
            let columns = table["columns"].as_array().unwrap().len();
            let rows = table["rows"].as_array().unwrap();
            assert!(!rows.is_empty());
            assert!(
                rows.iter()
                    .all(|row| row.as_array().unwrap().len() == columns),
                "{table}"
            );
        }
        for plot in part["plots"].as_array().unwrap() {
            let picture = format!("{}.svg", plot["name"].as_str().unwrap());
            let picture = fs::read_to_string(out.join(picture)).unwrap();
            assert!(self::tags(&picture).contains(&"polyline".to_owned()));
        }
    }

    let guide = fs::read_to_string(&document).unwrap();
    assert!(
        guide.starts_with("# Guide\n<!-- measured targets -->\n\nMachine: "),
        "{guide}"
    );
    assert!(
        guide.contains("![Throughput by workers, 50 clients](img/bench-workers.svg)"),
        "{guide}"
    );
    assert!(!guide.contains("old"));
    assert!(folder.join("img/bench-workers.svg").exists());
}

#[test]
fn a_part_is_measured_again_and_the_others_stay() {
    let folder = scratch("again");
    let out = folder.to_str().unwrap();
    let run = |only: &str| {
        let output = bench(&[
            "--suite", "seed", "--quick", "--rounds", "2", "--out", out, "--only", only,
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output), format!("{only}\n"));
    };
    run("architectures");
    let first = fs::read(folder.join("architectures.json")).unwrap();
    run("extreme");
    assert_eq!(fs::read(folder.join("architectures.json")).unwrap(), first);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("id=\"architectures\"") && page.contains("id=\"extreme\""));
    assert!(!page.contains("Measured otherwise"));
    let part: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(part["conditions"]["rounds"], 2);
    let targets = part["targets"].as_array().unwrap();
    let whats: Vec<_> = targets
        .iter()
        .map(|target| target["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        whats,
        [
            "operations a second, every architecture",
            "mean latency, every architecture",
            "P95, every architecture",
            "P99, every architecture",
            "connection errors",
            "replies that take over 1 s",
            "wrong replies",
        ]
    );

    // A file from another version is no reason to show half of a report.
    fs::write(folder.join("workers.json"), "{}").unwrap();
    let output = bench(&[
        "--suite", "seed", "--quick", "--out", out, "--only", "extreme",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("measure it again: --only workers"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn peers_are_measured_in_turn() {
    let load = [
        "--peers",
        "--test",
        "get",
        "--ops",
        "2000",
        "--prefill",
        "--keys",
        "100",
        "--rounds",
        "2",
    ];
    let output = bench(&[&load[..], &["--warmup", "0", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let servers = report["servers"].as_array().unwrap();
    let names: Vec<_> = servers
        .iter()
        .map(|server| server["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[0], "ant-cache");
    assert!(
        names.contains(&"redis-server") && names.contains(&"memcached"),
        "{names:?}"
    );
    for server in servers {
        let rounds = server["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 2);
        assert!(
            rounds
                .iter()
                .all(|round| round["replies"] == 2000 && round["errors"] == 0),
            "{server}"
        );
    }

    let output = bench(&[
        "--peers", "--test", "incr", "--ops", "500", "--rounds", "1", "--warmup", "0",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stderr(&output),
        "ant-cache-cli bench: left out: memcached has no incr\n"
    );
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("\nredis-server  ") && table.contains(" ± "),
        "{table}"
    );
}

#[test]
fn what_does_not_go_together() {
    for (args, message) in [
        (
            &["--suite", "seed", "--only", "nothing"][..],
            "the parts of this suite are architectures, workers",
        ),
        (
            &["--suite", "seed", "--only", "peers"],
            "the parts of this suite are architectures, workers",
        ),
        (
            &["--suite", "seed", "--clients", "5"],
            "cannot be used with",
        ),
        (&["--suite", "some"], "[possible values: seed, full]"),
        (&["--only", "workers"], "--suite <SUITE>"),
        (&["--quick"], "--suite <SUITE>"),
        (&["--rounds", "2"], "--rounds goes with --peers or --suite"),
        (&["--peers"], "--peers compares one test"),
        (&["--peers", "--port", "1"], "cannot be used with"),
        (
            &["--suite", "seed", "--out", "/proc/nothing"],
            "/proc/nothing: ",
        ),
    ] {
        let output = bench(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(message),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}
