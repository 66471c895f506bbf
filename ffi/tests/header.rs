//! `include/antcache.h` is what cbindgen makes of the source.

use std::fs;
use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(root)
        .with_config(config)
        .generate()
        .unwrap()
        .write(&mut made);
    let header = root.join("include/antcache.h");
    if fs::read(&header).unwrap_or_default() != made {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("antcache.h");
        fs::write(&fresh, made).unwrap();
        panic!(
            "the header is not that of the source; cp {} {}",
            fresh.display(),
            header.display()
        );
    }
}
