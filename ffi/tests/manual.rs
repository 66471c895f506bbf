//! The manual page, `man/libantcache.3`, is the header for man(1).

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the header declares and says of it.
struct Entry {
    declaration: String,
    text: Vec<String>,
    /// Fields of a struct, numbers of an enum.
    members: Vec<Entry>,
}

/// The paragraphs of a comment, its marks taken off.
fn paragraphs(comment: &[&str]) -> Vec<String> {
    let marks = |line: &&str| line.trim().trim_start_matches(['/', '*']).trim().to_owned();
    let lines: Vec<String> = comment.iter().map(marks).collect();
    let found = lines.split(String::is_empty).map(|lines| lines.join(" "));
    found.filter(|text| !text.is_empty()).collect()
}

/// Takes lines off the front, up to the first one that `is_last`.
fn take<'h>(lines: &mut &[&'h str], is_last: impl Fn(&str) -> bool) -> Vec<&'h str> {
    let last = lines.iter().position(|line| is_last(line)).unwrap();
    let (taken, rest) = lines.split_at(last + 1);
    *lines = rest;
    taken.to_vec()
}

/// Everything with a comment of its own.
fn entries(mut lines: &[&str]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(first) = lines.iter().position(|line| line.trim() == "/**") {
        lines = &lines[first..];
        let comment = take(&mut lines, |line| line.trim() == "*/");
        let text = paragraphs(&comment[..comment.len() - 1]);
        let mut declared = take(&mut lines, |line| {
            let is_number = line.contains(" = ") && line.ends_with(',');
            line.ends_with([';', '{']) || is_number || line.starts_with("#define")
        });
        // How an enum gets its size is of no interest to who reads about it.
        declared.retain(|line| line.starts_with("#define") || !line.trim().starts_with(['#', ':']));
        let mut members = Vec::new();
        if declared.last().unwrap().ends_with('{') {
            members = self::entries(&take(&mut lines, |line| line.starts_with('}')));
        }
        let declaration = declared.join(" ").replace("typedef struct", "struct");
        let words: Vec<&str> = declaration.split_whitespace().collect();
        entries.push(Entry {
            declaration: words.join(" ").trim_end_matches([',', '{', ' ']).to_owned(),
            text,
            members,
        });
    }
    entries
}

/// A text as troff takes it; what stands in backquotes in italics.
fn escaped(text: &str) -> String {
    let mut italic = false;
    let mut page = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => page += "\\e",
            '-' => page += "\\-",
            '\'' => page += "\\(aq",
            '`' => {
                italic = !italic;
                page += if italic { "\\fI" } else { "\\fR" };
            }
            letter => page.push(letter),
        }
    }
    page
}

/// An entry: its declaration, and indented what it is.
fn show(page: &mut String, entry: &Entry) {
    writeln!(page, ".TP\n.B {}", escaped(&entry.declaration)).unwrap();
    writeln!(page, "{}", escaped(&entry.text.join("\n.IP\n"))).unwrap();
    if !entry.members.is_empty() {
        page.push_str(".RS\n");
        entry.members.iter().for_each(|member| show(page, member));
        page.push_str(".RE\n");
    }
}

/// Where in the page an entry stands.
fn section(entry: &Entry) -> &'static str {
    match entry.declaration.as_str() {
        text if text.starts_with("#define") => "CONSTANTS",
        text if text.ends_with(");") && !text.starts_with("typedef") => "FUNCTIONS",
        _ => "TYPES",
    }
}

fn page(header: &str) -> String {
    let lines: Vec<&str> = header.lines().collect();
    let mut rest = &lines[..];
    let head = take(&mut rest, |line| line == " */");
    let head = paragraphs(&head);
    let place = head.iter().position(|text| text == "CONVENTIONS").unwrap();
    let mut page = format!(
        ".\\\" Made of include/antcache.h by tests/manual.rs.\n\
         .TH LIBANTCACHE 3 \"\" \"Ant-Cache {}\" \"C Library\"\n.nh\n.ad l\n.SH NAME\n{}\n.SH SYNOPSIS\n.nf\n.B #include <antcache.h>\n\
         .PP\ncc ... $(pkg\\-config \\-\\-cflags \\-\\-libs antcache)\n.fi\n.SH CONVENTIONS\n",
        env!("CARGO_PKG_VERSION"),
        escaped(&head[0]).replace(':', " \\-").trim_end_matches('.')
    );
    for text in &head[place + 1..] {
        writeln!(page, ".PP\n{}", escaped(text)).unwrap();
    }
    let entries = entries(rest);
    for title in ["CONSTANTS", "TYPES", "FUNCTIONS"] {
        writeln!(page, ".SH {title}").unwrap();
        let its = entries.iter().filter(|entry| section(entry) == title);
        its.for_each(|entry| show(&mut page, entry));
    }
    page
}

fn manual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man/libantcache.3")
}

#[test]
fn the_manual_page_says_what_the_header_says() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/antcache.h");
    let made = page(&fs::read_to_string(header).unwrap());
    if fs::read_to_string(manual()).unwrap_or_default() != made {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libantcache.3");
        fs::write(&fresh, made).unwrap();
        panic!(
            "the manual page is not that of the header; cp {} {}",
            fresh.display(),
            manual().display()
        );
    }
}

#[test]
fn man_shows_the_page_without_a_complaint() {
    let mut groff = Command::new("groff");
    let shown = groff
        .args("-mandoc -Tutf8 -ww -P-cbou".split(' '))
        .arg(manual())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&shown.stderr);
    assert!(
        shown.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    let text = String::from_utf8(shown.stdout).unwrap();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "libantcache - an embedded cache",
        "#define ANTCACHE_MAX_KEY 65535 The longest key in bytes.",
        "ANTCACHE_NODE_DOWN = -36",
        "void antcache_free(void *memory); Frees what",
        "antcache_status antcache_cache_get(const struct antcache_cache *cache, const void *key, size_t key_len,",
    ] {
        assert!(words.contains(part), "{part} is not in it:\n{words}");
    }
}
