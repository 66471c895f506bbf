//! NULL for every pointer of every function, made from the header: a status, and nothing written.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::interface::{Prototype, prototypes};
use crate::toolbox::{DIALECTS, Linked, compile, own, run};

/// Parameters that may be NULL, by function; of all functions, by name.
const OPTIONAL: [(&str, &str); 8] = [
    ("antcache_cache_incr", "sum"),
    ("antcache_cache_tick", "next_ms"),
    ("antcache_cache_keys", "context"),
    ("antcache_value_kind", "count"),
    ("antcache_service_tick", "next_ms"),
    ("antcache_client_incr", "sum"),
    ("antcache_sharded_add", "name"),
    ("", "argv_lens"),
];

fn may_be_null(function: &str, parameter: &str) -> bool {
    let listed = OPTIONAL
        .iter()
        .any(|&(of, name)| name == parameter && (of.is_empty() || of == function));
    let settings = parameter == "options" && !function.ends_with("_init");
    listed || settings || parameter == "error"
}

/// A value that is right for a parameter, by what nulls.c has.
fn good(function: &str, kind: &str, name: &str, place: usize) -> String {
    match (kind, name) {
        ("size_t", "size") => {
            let of = match function {
                "antcache_sharded_node_stats" => "antcache_node_stats",
                "antcache_cache_stats" => "antcache_stats",
                init => init.trim_end_matches("_init"),
            };
            format!("sizeof({of})")
        }
        // A pair of settings, and one of everything else.
        ("size_t", "count") if function == "antcache_server_start" => "2".to_owned(),
        ("size_t" | "uint64_t" | "int64_t" | "uint32_t", _) => "1".to_owned(),
        ("const void *const *" | "const char *const *", _) => format!("({kind})words"),
        ("const size_t *", _) => "lens".to_owned(),
        ("const void *" | "void *", _) => "bytes".to_owned(),
        ("const char *", _) => "\"127.0.0.1:1\"".to_owned(),
        ("antcache_key_callback", _) => "stop".to_owned(),
        // An error is filled in where a call fails.
        (_, "options" | "error") => "NULL".to_owned(),
        _ => object(kind).unwrap_or_else(|| {
            // What the function writes to must stay as it is.
            format!("({kind})(void *)scratch[{place}]")
        }),
    }
}

/// The object of nulls.c that a pointer is to, by its type.
fn object(kind: &str) -> Option<String> {
    let of = kind.trim_start_matches("const ").strip_suffix(" *")?;
    let of = of.strip_prefix("antcache_")?;
    let objects = "cache value service session server client pool sharded";
    objects
        .split(' ')
        .any(|object| object == of)
        .then(|| of.to_owned())
}

#[test]
fn null_is_a_status_and_nothing_is_written() {
    let mut calls = String::new();
    let mut count = 0;
    for Prototype {
        returns,
        name,
        parameters,
    } in prototypes()
    {
        if returns != "antcache_status" || name.ends_with("_free") {
            continue;
        }
        for (null, (kind, parameter)) in parameters.iter().enumerate() {
            let is_pointer = kind.ends_with('*') || kind == "antcache_key_callback";
            if !is_pointer || may_be_null(&name, parameter) {
                continue;
            }
            let arguments: Vec<String> = parameters
                .iter()
                .enumerate()
                .map(|(place, (kind, parameter))| {
                    if place == null {
                        "NULL".to_owned()
                    } else {
                        good(&name, kind, parameter, place)
                    }
                })
                .collect();
            writeln!(calls, "REFUSED({name}({}));", arguments.join(", ")).unwrap();
            count += 1;
        }
    }
    assert!(count > 100, "{count} calls");
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(scratch.join("nulls.inc"), calls).unwrap();
    let include = format!("-I{}", scratch.display());
    run(&compile(
        &own("nulls"),
        DIALECTS[0],
        Linked::Shared,
        &[&include],
    ));
}
