//! Compilers, and the library where `ffi/install.sh` put it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A compiler and a version of its language.
#[derive(Clone, Copy)]
pub struct Dialect {
    compiler: &'static str,
    language: &'static str,
    standard: &'static str,
}

const fn dialect(
    compiler: &'static str,
    language: &'static str,
    standard: &'static str,
) -> Dialect {
    Dialect {
        compiler,
        language,
        standard,
    }
}

/// What the header has to be valid in.
pub const DIALECTS: [Dialect; 4] = [
    dialect("gcc", "c", "-std=c99"),
    dialect("g++", "c++", "-std=c++11"),
    dialect("clang", "c", "-std=c99"),
    dialect("clang++", "c++", "-std=c++11"),
];

/// Flags by which a program finds what it does wrong in memory.
pub const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// How a program gets the library.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    Shared,
    Static,
}

/// The root of the sources.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A test program's source.
pub fn own(name: &str) -> PathBuf {
    repository()
        .join("ffi/tests/c")
        .join(name)
        .with_extension("c")
}

/// Where the library is installed, as a debug build.
pub fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = scratch.parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args("build --package ant-cache-ffi --locked --target-dir".split(' '));
        succeed(build.arg(target).current_dir(repository()));
        let prefix = scratch.join("prefix");
        let mut install = Command::new(repository().join("ffi/install.sh"));
        succeed(install.arg(target.join("debug")).arg(&prefix));
        prefix
    })
}

/// Runs a command to its end; what it said where it failed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The flags that pkg-config has for the library.
fn flags(query: &[&str]) -> Vec<String> {
    let mut config = Command::new("pkg-config");
    config
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .args(query)
        .arg("antcache");
    let flags = String::from_utf8(succeed(&mut config).stdout).unwrap();
    flags.split_whitespace().map(str::to_owned).collect()
}

/// Compiles a program, warnings denied; returns where it is.
pub fn compile(source: &Path, dialect: Dialect, linked: Linked, more: &[&str]) -> PathBuf {
    static PROGRAMS: AtomicU32 = AtomicU32::new(0);
    let name = source.file_stem().unwrap().to_str().unwrap();
    let number = PROGRAMS.fetch_add(1, Relaxed);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}"));
    let mut compiler = Command::new(dialect.compiler);
    compiler
        .args(["-x", dialect.language, dialect.standard])
        .args("-Wall -Wextra -Werror -pedantic -O1 -g -D_POSIX_C_SOURCE=200809L".split(' '))
        .args(flags(&["--cflags"]))
        .arg(source)
        .args(["-x", "none", "-o"])
        .arg(&program)
        .args(more);
    match linked {
        Linked::Shared => {
            let rpath = format!("-Wl,-rpath,{}", prefix().join("lib").display());
            compiler.args(flags(&["--libs"])).arg(rpath);
        }
        // Otherwise the linker takes the shared one, which is found first.
        Linked::Static => {
            compiler.arg(prefix().join("lib/libantcache.a"));
            let private = flags(&["--static", "--libs-only-l"]);
            compiler.args(private.iter().filter(|flag| *flag != "-lantcache"));
        }
    }
    compiler.arg("-lpthread");
    succeed(&mut compiler);
    program
}

/// Runs a program that must succeed, for a minute at most. Its argument is a directory for its files.
pub fn run(program: &Path) -> Output {
    let mut limited = Command::new("timeout");
    succeed(
        limited
            .arg("60")
            .arg(program)
            .arg(env!("CARGO_TARGET_TMPDIR")),
    )
}

/// What a program that must succeed writes.
pub fn output(program: &Path) -> String {
    String::from_utf8(run(program).stdout).unwrap()
}
