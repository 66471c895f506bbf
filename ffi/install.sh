#!/bin/sh
# Installs libantcache as it was built into a directory of cargo's: libraries, header, manual page and a file for pkg-config.
# DESTDIR, where set, stands before the prefix on disk but not in what is written.
set -eu
built=${1:?usage: ffi/install.sh DIRECTORY-OF-LIBRARIES PREFIX}
prefix=${2:?usage: ffi/install.sh DIRECTORY-OF-LIBRARIES PREFIX}
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml" | head -n 1)
to=${DESTDIR:-}$prefix

mkdir -p "$to/lib/pkgconfig" "$to/include" "$to/share/man/man3"
install -m 755 "$built/libantcache.so" "$to/lib/libantcache.so.$version"
# The name that programs ask for is the library's soname, see build.rs.
ln -sf "libantcache.so.$version" "$to/lib/libantcache.so.0"
ln -sf libantcache.so.0 "$to/lib/libantcache.so"
install -m 644 "$built/libantcache.a" "$to/lib/libantcache.a"
install -m 644 "$here/include/antcache.h" "$to/include/antcache.h"
install -m 644 "$here/man/libantcache.3" "$to/share/man/man3/libantcache.3"
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|" "$here/antcache.pc.in" > "$to/lib/pkgconfig/antcache.pc"
