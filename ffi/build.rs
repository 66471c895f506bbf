//! Gives the shared library its soname. Its number changes when a program that was linked with an older one would no
//! longer run.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libantcache.so.0");
    println!("cargo:rerun-if-changed=build.rs");
}
