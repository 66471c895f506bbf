#!/usr/bin/env python3
"""Measures libantcache: the embedded cache from C beside the same from Rust, the client beside hiredis.

    python3 scripts/c_bench.py          both, after building what they need; a few minutes on an idle machine
    python3 scripts/c_bench.py cache    one of them
    python3 scripts/c_bench.py client

What is compared runs in turn, and the figures are medians; behind the ratio stands in which range half of the rounds have
it. Needs gcc, and for the client libhiredis-dev."""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ROUNDS = 7
# Two that talk to each other are measured on a core each: where the kernel moves them about, a request takes 40 to 80 µs.
SERVER_CORE, CLIENT_CORE = 0, 1


def run(*command, **more):
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, text=True, cwd=ROOT, **more)


def output(*command, **more):
    return run(*command, stdout=subprocess.PIPE, **more).stdout


def on(core):
    """What a program does first to stay on a core, where there are two."""
    return lambda: os.sched_setaffinity(0, {core} & os.sched_getaffinity(0) or os.sched_getaffinity(0))


def build(scratch):
    """Builds and installs the library, and builds the programs; says where."""
    run("cargo", "build", "--release", "--package", "ant-cache-ffi", "--package", "ant-cache-cli")
    run("cargo", "build", "--release", "--package", "ant-cache-core", "--features", "std", "--example", "cache_speed")
    run("ffi/install.sh", TARGET / "release", scratch)
    flags = [f"-I{scratch}/include", f"-L{scratch}/lib", f"-Wl,-rpath,{scratch}/lib", "-lantcache", "-lpthread", "-lm"]
    run("gcc", "-O2", "examples/c/bench.c", "-o", f"{scratch}/bench", *flags)
    run("gcc", "-O2", "scripts/c_bench/clients.c", "-o", f"{scratch}/clients", "-lhiredis", *flags)


def show(name, ours, theirs):
    ratios = [one / other for one, other in zip(ours, theirs)]
    low, _, high = statistics.quantiles(ratios, method="inclusive")
    print(
        f"{name:24} {statistics.median(ours):9.2f} {statistics.median(theirs):9.2f}"
        f"   {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})",
        flush=True,
    )


def cache(scratch):
    """The embedded cache: C beside Rust."""
    print("embedded cache, millions of calls a second        C      Rust   ratio")
    rust = TARGET / "release" / "examples" / "cache_speed"
    for shape in "zipf", "uniform":
        for threads in 1, 2:
            found = {}
            for _ in range(ROUNDS):
                for language, program in ("c", f"{scratch}/bench"), ("rust", rust):
                    for line in output(program, shape, threads).splitlines():
                        call, speed = line.split()
                        found.setdefault((language, call), []).append(float(speed))
            for call in "get", "set":
                show(f"{shape}, {threads} threads, {call}", found["c", call], found["rust", call])


def client(scratch):
    """The client: libantcache beside hiredis."""
    print("client, thousands of GETs a second                ours   hiredis   ratio")
    program = TARGET / "release" / "ant-cache-cli"
    command = [program, "serve", "--port", "0", "--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=on(SERVER_CORE)) as server:
        try:
            port = re.search(r":(\d+)", server.stdout.readline())[1]
            found = {}
            for line in output(f"{scratch}/clients", port, preexec_fn=on(CLIENT_CORE)).splitlines():
                kind, ours, theirs = line.rsplit(maxsplit=2)
                found.setdefault(kind, []).append((float(ours), float(theirs)))
            for kind, pairs in found.items():
                show(kind, *zip(*pairs))
        finally:
            server.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[[], "cache", "client"], help="both where there is nothing")
    parser.add_argument("--built", metavar="DIRECTORY", help="use what an earlier run left there, or leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kept = options.built or scratch
        if not (pathlib.Path(kept) / "bench").exists():
            build(kept)
        for what in options.what or ["cache", "client"]:
            {"cache": cache, "client": client}[what](kept)


if __name__ == "__main__":
    main()
