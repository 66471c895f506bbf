#!/usr/bin/env bash
# Runs tests under the sanitizers that are there: AddressSanitizer with a nightly toolchain, ThreadSanitizer where it has
# the component rust-src, too, Miri where it is installed. What is absent is skipped, and said so.
#
# ThreadSanitizer must see the standard library's code as well: one that was built without it hides from it that a thread
# was started or has ended, and then every value that is freed afterwards looks like a race.
#
#     scripts/sanitize.sh [address] [thread] [miri]      all three without arguments
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
directory=${CARGO_TARGET_DIR:-target}

# The threads of these tests meet in locks, mailboxes and counters.
packages=(--package ant-cache-core --package ant-cache-host --package ant-cache-runtime-std)

sanitizer() {
    local name=$1
    shift
    echo "--- $name"
    RUSTFLAGS="-Zsanitizer=$name" PROPTEST_CASES=${PROPTEST_CASES:-32} \
        cargo +nightly test "$@" "${packages[@]}" --features ant-cache-core/std --lib --tests \
        --target "$target" --target-dir "$directory/sanitize-$name"
}

for what in "${@:-address thread miri}"; do
    for name in $what; do
        if ! cargo +nightly --version >/dev/null 2>&1; then
            echo "skipped $name: no nightly toolchain (rustup toolchain install nightly)"
            continue
        fi
        case $name in
        address) sanitizer address ;;
        thread)
            if [ -d "$(rustc +nightly --print sysroot)/lib/rustlib/src" ]; then
                sanitizer thread -Zbuild-std
            else
                echo "skipped thread: no rust-src (rustup component add rust-src --toolchain nightly)"
            fi
            ;;
        miri)
            if cargo +nightly miri --version >/dev/null 2>&1; then
                PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation \
                    cargo +nightly miri test --package ant-cache-core --lib store::
            else
                echo "skipped miri: not installed (rustup component add miri --toolchain nightly)"
            fi
            ;;
        *)
            echo "unknown: $name (address, thread or miri)" >&2
            exit 2
            ;;
        esac
    done
done
