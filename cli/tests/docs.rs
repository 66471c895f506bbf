//! The pages for readers lead nowhere that does not exist.

use std::fs;
use std::path::{Path, PathBuf};

/// Every page under `folder`, build products aside.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn links_between_files_lead_somewhere() {
    let mut found = Vec::new();
    pages(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")),
        &mut found,
    );
    let mut links = 0;
    for page in found {
        let text = fs::read_to_string(&page).unwrap();
        for after in text.split("](").skip(1) {
            let target = after.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            assert!(
                page.with_file_name(target).exists(),
                "{} links to {target}",
                page.display()
            );
        }
    }
    assert!(links > 5);
}
