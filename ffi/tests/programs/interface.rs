//! What programs that are linked with the library rely on.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::toolbox::{DIALECTS, Linked, compile, output, prefix, repository, succeed};

/// A function of the header.
pub struct Prototype {
    pub returns: String,
    pub name: String,
    /// Type and name of each.
    pub parameters: Vec<(String, String)>,
}

/// The header without comments, each run of blanks as one.
fn header() -> String {
    let header = fs::read_to_string(repository().join("ffi/include/antcache.h")).unwrap();
    let mut text = String::new();
    let mut rest = header.as_str();
    while let Some((before, after)) = rest.split_once("/*") {
        text += before;
        rest = after.split_once("*/").unwrap().1;
    }
    text += rest;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// `const char *name` as its type and its name.
fn declaration(text: &str) -> (String, String) {
    let at = text.rfind([' ', '*']).unwrap() + 1;
    let kind = text[..at].trim_end().replace("struct ", "");
    (kind, text[at..].to_owned())
}

/// The functions of the header, in its order.
pub fn prototypes() -> Vec<Prototype> {
    let header = header();
    let mut found = Vec::new();
    for statement in header.split(';').map(str::trim) {
        let Some((head, parameters)) = statement.split_once('(') else {
            continue;
        };
        let statement_is_function = head
            .rsplit([' ', '*'])
            .next()
            .unwrap()
            .starts_with("antcache_")
            && !head.contains("typedef");
        if !statement_is_function {
            continue;
        }
        // What stands before the first function opens a block.
        let head = head.rsplit(['{', '}']).next().unwrap().trim();
        let (returns, name) = declaration(head);
        let parameters = parameters.trim_end_matches(')').split(',');
        let parameters = parameters.map(str::trim).filter(|text| *text != "void");
        found.push(Prototype {
            returns,
            name,
            parameters: parameters.map(declaration).collect(),
        });
    }
    assert!(found.len() > 50, "the header was not understood");
    found
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let library = prefix().join("lib/libantcache.so");
    let mut nm = Command::new("nm");
    let listed = succeed(
        nm.args(["-D", "--defined-only", "--format=posix"])
            .arg(&library),
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    let exported: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let prototypes = prototypes();
    let declared: BTreeSet<&str> = prototypes.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(exported, declared);
    let dynamic = succeed(Command::new("readelf").arg("-d").arg(&library));
    let dynamic = String::from_utf8(dynamic.stdout).unwrap();
    assert!(dynamic.contains("Library soname: [libantcache.so.0]"));
}

/// A program that prints sizes of all structs, offsets and types of their fields, and the numbers of all enumerators.
fn layouts(header: &str) -> String {
    let mut program = String::from(
        "#include <antcache.h>\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {\n",
    );
    for definition in header.split("typedef struct ").skip(1) {
        let Some((name, rest)) = definition.split_once(" { ") else {
            continue;
        };
        if name.contains(';') {
            continue;
        }
        let fields = rest.split_once(" }").unwrap().0;
        writeln!(program, "printf(\"{name} %d\\n\", (int)sizeof({name}));").unwrap();
        for field in fields
            .split(';')
            .map(str::trim)
            .filter(|field| !field.is_empty())
        {
            let (field, many) = field.split_at(field.find('[').unwrap_or(field.len()));
            let (kind, field) = declaration(field);
            writeln!(
                program,
                "printf(\"{name}.{field} %d {kind}{many}\\n\", (int)offsetof({name}, {field}));"
            )
            .unwrap();
        }
    }
    for definition in header.split("enum ").skip(1) {
        let Some((_, rest)) = definition.split_once('{') else {
            continue;
        };
        for enumerator in rest.split_once('}').unwrap().0.split(',') {
            if let Some((name, _)) = enumerator.split_once('=') {
                let name = name.trim();
                writeln!(program, "printf(\"{name} %d\\n\", (int){name});").unwrap();
            }
        }
    }
    program + "return 0;\n}\n"
}

#[test]
fn nothing_that_programs_rely_on_has_changed() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = scratch.join("layouts.c");
    fs::write(&source, layouts(&header())).unwrap();
    let mut now = output(&compile(&source, DIALECTS[0], Linked::Shared, &[]));
    assert!(now.contains("antcache_error 512\n") && now.contains("ANTCACHE_PROTOCOL -35\n"));
    for Prototype {
        returns,
        name,
        parameters,
    } in prototypes()
    {
        let types: Vec<&str> = parameters.iter().map(|(kind, _)| kind.as_str()).collect();
        writeln!(now, "{returns} {name}({})", types.join(", ")).unwrap();
    }
    let known = repository().join("ffi/tests/abi.txt");
    if fs::read_to_string(&known).unwrap_or_default() != now {
        let fresh = scratch.join("abi.txt");
        fs::write(&fresh, now).unwrap();
        panic!(
            "the interface has changed: diff {0} {1}. What is gone or different breaks programs that are linked already: \
             raise the number in ffi/build.rs and ffi/install.sh, or do it in another way. What is new is fine: cp {1} {0}",
            known.display(),
            fresh.display()
        );
    }
}
