#!/usr/bin/env python3
"""Measures what the server's memory is spent on, beside redis-server and memcached.

    scripts/memory.py entries      resident memory an entry takes, by number of keys and size of values
    scripts/memory.py turnover     the same at the bound, when every key has been replaced by others ten times
    scripts/memory.py churn        resident beside live bytes, while sizes change and most keys go
    scripts/memory.py bound        resident memory and throughput when three times the bound is written
    scripts/memory.py allocators   entries, churn and speed with each memory allocator that the server can be built with

Each prints a table and, where there is a target, whether it is met. Servers listen on free ports of 127.0.0.1 and are
stopped at the end. Resident memory hardly depends on what else the machine does; throughput does.

Needs redis-server and memcached (apt-get install redis-server memcached), and about 2 GiB of free memory.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

from measure import HOST, ROOT, Failure, Server

KEYS = [900_000, 1_000_000, 1_300_000, 1_800_000]
# Bytes an entry may take at a million keys, by size of value; a time to live may add TTL.
TARGETS = {8: 56, 32: 80, 200: 245}
TTL = 10
SETS_AT_ONCE = 1000
ALLOCATORS = ["system", "mimalloc", "jemalloc"]


# --- Programs


def build(allocator=None):
    """Builds the server with an allocator, or with the one it ships with; returns a copy of the program."""
    command = ["cargo", "build", "--release", "--quiet", "--package", "ant-cache-cli"]
    if allocator:
        command += ["--no-default-features"]
        command += [] if allocator == "system" else ["--features", allocator]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Failure("the build failed")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    built = os.path.join(target, "release", "ant-cache-cli")
    if not allocator:
        return built
    copy = f"{built}-{allocator}"
    shutil.copy2(built, copy)
    return copy


def ant(stack, program, *args, name="ant-cache"):
    command = [program, "--host", HOST, "--port", "{port}", "--log-level", "warn", "--workers", "2", *args]
    return started(stack, Server(name, command))


def redis(stack, *args):
    command = ["redis-server", "--port", "{port}", "--bind", HOST, "--save", "", "--appendonly", "no", *args]
    return started(stack, Server("redis", command))


def memcached(stack, megabytes=1024):
    command = ["memcached", "-l", HOST, "-p", "{port}", "-U", "0", "-m", str(megabytes), "-t", "2"]
    # As root it asks for a user to become.
    command += ["-u", "nobody"] if os.getuid() == 0 else []
    return started(stack, Server("memcached", command, dialect="memcached"))


def started(stack, server):
    stack.callback(server.stop)
    return server


# --- Load


class Client:
    """One connection that sends many requests before it reads the replies."""

    def __init__(self, server):
        self.dialect = server.dialect
        self.socket = socket.create_connection((HOST, server.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, requests):
        """Sends these requests, each answered by one line; returns the number of refusals."""
        self.socket.sendall(b"".join(requests))
        lines, refused, rest = 0, 0, b""
        while lines < len(requests):
            data = self.socket.recv(1 << 16)
            if not data:
                raise Failure("the server closed the connection")
            data = rest + data
            end = data.rfind(b"\n") + 1
            lines += data.count(b"\n", 0, end)
            refused += data.count(b"-", 0, end) + data.count(b"SERVER_ERROR", 0, end)
            rest = data[end:]
        return refused

    def set(self, keys, size, ttl=0):
        """Sets `keys` to values of `size` bytes; returns the number of refusals."""
        value = b"v" * size
        if self.dialect == "memcached":
            form = b"set %%s 0 %d %d\r\n%s\r\n" % (ttl, size, value)
        elif ttl:
            form = b"*5\r\n$3\r\nSET\r\n$11\r\n%%s\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$%d\r\n%d\r\n"
            form = form % (size, value, len(str(ttl)), ttl)
        else:
            form = b"*3\r\n$3\r\nSET\r\n$11\r\n%%s\r\n$%d\r\n%s\r\n" % (size, value)
        at_once = max(1, min(SETS_AT_ONCE, (1 << 20) // (size + 50)))
        return self._each(keys, form, at_once)

    def delete(self, keys):
        form = b"delete %s\r\n" if self.dialect == "memcached" else b"*2\r\n$3\r\nDEL\r\n$11\r\n%s\r\n"
        return self._each(keys, form, SETS_AT_ONCE)

    def _each(self, keys, form, at_once):
        refused = 0
        for first in range(0, len(keys), at_once):
            # Eleven bytes each; ten million keys on they come again.
            names = [b"key:%07d" % (key % 10_000_000) for key in keys[first : first + at_once]]
            refused += self.send([form % name for name in names])
        return refused

    def info(self):
        """INFO as a dictionary."""
        self.socket.sendall(b"*1\r\n$4\r\nINFO\r\n")
        data = b""
        while True:
            data += self.socket.recv(1 << 16)
            head, found, body = data.partition(b"\r\n")
            if found and len(body) >= int(head[1:]) + 2:
                lines = body.decode().splitlines()
                return dict(line.split(":", 1) for line in lines if ":" in line)


# --- What is measured


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |")
    print()


def growth(server, counts, size, ttl=0):
    """Bytes of resident memory that an entry takes, after each of `counts` keys."""
    client = Client(server)
    client.set(range(1), 1)
    client.delete(range(1))
    base, done, found = server.rss(), 0, []
    for count in counts:
        if client.set(range(done, count), size, ttl):
            raise Failure(f"{server.name} refused a write")
        done = count
        found.append((server.rss() - base) / count)
    server.stop()
    return found


def entries(options):
    program, rows, good = options.program or build(), [], True
    for size, ttl in [(8, 0), (32, 0), (200, 0), (32, 3600)]:
        for start in [lambda stack: ant(stack, program, "--max-memory", "0"), redis, memcached]:
            with contextlib.ExitStack() as stack:
                server = start(stack)
                found = growth(server, KEYS, size, ttl)
            verdict = ""
            if server.name == "ant-cache":
                at_a_million = found[KEYS.index(1_000_000)]
                if not ttl and size == 32:
                    plain = at_a_million
                most = plain + TTL if ttl else TARGETS[size]
                good &= at_a_million <= most
                verdict = f"at most {most:.0f}: {'met' if at_a_million <= most else 'missed'}"
            rows.append([f"{size}{' + TTL' if ttl else ''}", server.name, *(f"{x:.1f}" for x in found), verdict])
    table(["value, bytes", "server", *(f"{n / 1e6:.1f} M keys" for n in KEYS), "target at 1.0 M"], rows)
    return good


def turnover(options):
    """Fills the bound once, then nine times more with other keys."""
    program, rows, good = options.program or build(), [], True
    for size in [8, 32, 200]:
        with contextlib.ExitStack() as stack:
            server = ant(stack, program, "--max-memory", f"{options.bound}mb")
            client, step, keys = Client(server), 100_000, 0
            while int(client.info().get("evicted_keys", 0)) == 0:
                client.set(range(keys, keys + step), size)
                keys += step
                if keys * (size + 11) > 2 * options.bound << 20:
                    raise Failure("the bound was passed and nothing evicted")
            first, held = server.rss(), int(client.info()["keys"])
            for _ in range(9):
                client.set(range(keys, keys + held), size)
                keys += held
            last, now = server.rss(), int(client.info()["keys"])
            ratio = (last / now) / (first / held)
            good &= ratio <= 1.10
            rows.append([size, held, now, f"{first / held:.1f}", f"{last / now:.1f}", f"{ratio:.3f}"])
    table(["value, bytes", "keys at first", "keys at last", "bytes each", "bytes each at last", "ratio (at most 1.10)"], rows)
    return good


CHURN = [64, 200, 1000, 100, 3000]


def churn(start, live):
    """Fills with values of one size until `live` bytes of keys and values live, deletes 90 %, goes on with another."""
    with contextlib.ExitStack() as stack:
        server = start(stack)
        client, draw = Client(server), random.Random(1)
        sizes, next_key, found = {}, 0, []

        def ratio():
            # What was freed may be on its way back to the system.
            time.sleep(2)
            return server.rss() / sum(size + 11 for size in sizes.values())

        for size in CHURN:
            need = live - sum(size + 11 for size in sizes.values())
            keys = range(next_key, next_key + need // (size + 11))
            next_key = keys.stop
            client.set(keys, size)
            sizes.update(dict.fromkeys(keys, size))
            found.append(ratio())
            if size != CHURN[-1]:
                gone = draw.sample(sorted(sizes), len(sizes) * 9 // 10)
                client.delete(gone)
                for key in gone:
                    del sizes[key]
        return found


def churns(options):
    program, rows, good = options.program or build(), [], True
    starts = {
        "ant-cache": lambda stack: ant(stack, program, "--max-memory", "0"),
        "redis": redis,
        "memcached": lambda stack: memcached(stack, 2048),
    }
    for name, start in starts.items():
        found = churn(start, options.live << 20)
        rows.append([name, *(f"{x:.2f}" for x in found)])
        if name == "ant-cache":
            good = found[-1] <= 1.25
    table(["server", *(f"filled with {size} B" for size in CHURN)], rows)
    print(f"ant-cache at the end, at most 1.25: {'met' if good else 'missed'}")
    return good


class Peak(threading.Thread):
    """Samples the resident memory of a server."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.most, self.over = server, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, self.server.rss())

    def end(self):
        self.over.set()
        self.join()
        return self.most


def bound(options):
    """Writes values of 8 bytes to 1 MiB, three times the bound in all, and as much without a bound."""
    program, rows, rates = options.program or build(), [], {}
    limit = options.bound << 20
    for name, words in [("bound", f"{options.bound}mb"), ("none", "0")]:
        with contextlib.ExitStack() as stack:
            server = ant(stack, program, "--max-memory", words)
            client, draw, peak = Client(server), random.Random(7), Peak(server)
            peak.start()
            written, keys, begun = 0, 0, time.monotonic()
            while written < 3 * limit:
                size = int(8 * (1 << 17) ** draw.random())
                count = max(1, min(500, (1 << 20) // (size + 11)))
                client.set(range(keys, keys + count), size)
                keys += count
                written += count * (size + 11)
            rates[name] = written / (time.monotonic() - begun) / 1e6
            info, most = client.info(), peak.end()
            rows.append([name, info["keys"], info.get("evicted_keys"), f"{most / (1 << 20):.1f}", f"{rates[name]:.0f}"])
    table(["bound", "keys at last", "evicted", "most resident, MiB", "MB/s"], rows)
    most = float(rows[0][3]) / options.bound
    speed = rates["bound"] / rates["none"]
    print(f"resident, of the bound, at most 1.10: {most:.3f}, {'met' if most <= 1.1 else 'missed'}")
    print(f"throughput while evicting, of that without, at least 0.7: {speed:.2f}, {'met' if speed >= 0.7 else 'missed'}")
    return most <= 1.1 and speed >= 0.7


def allocators(options):
    rows = []
    for name in ALLOCATORS:
        program = build(name)

        def start(stack):
            return ant(stack, program, "--max-memory", "0", name=name)

        row = [name]
        for size in [8, 32, 200]:
            with contextlib.ExitStack() as stack:
                row.append(f"{growth(start(stack), [1_000_000], size)[0]:.1f}")
        row.append(" ".join(f"{x:.2f}" for x in churn(start, options.live << 20)))
        with contextlib.ExitStack() as stack:
            row += speeds(program, start(stack), options.seconds)
        rows.append(row)
    table(["allocator", "8 B", "32 B", "200 B", "churn", *(f"{name}, µs" for name, _ in LOADS)], rows)
    return True


# The load generator's words for each load, pipelined by 16.
LOADS = [("SET 32 B", "set", 32), ("SET 2 KiB", "set", 2048), ("GET 2 KiB", "get", 2048)]


def speeds(program, server, seconds):
    """Microseconds of the server's processor time an operation, for each load."""
    found = []
    for _, command, size in LOADS:
        line = [program, "bench", "--json", "--host", HOST, "--port", str(server.port), "--server-pid", str(server.pid)]
        line += ["--test", command, "--value-size", str(size), "--pipeline", "16", "--clients", "50"]
        line += ["--keys", "100000", "--prefill", "--duration", str(seconds)]
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Failure("the load generator failed")
        found.append(f"{json.loads(done.stdout)['tests'][0]['server']['cpu_us_per_op']:.3f}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = {"entries": entries, "turnover": turnover, "churn": churns, "bound": bound, "allocators": allocators}
    parser.add_argument("what", choices=what)
    parser.add_argument("--bound", type=int, default=128, metavar="MIB", help="the bound [128]")
    parser.add_argument("--live", type=int, default=128, metavar="MIB", help="live bytes of churn [128]")
    parser.add_argument("--seconds", type=int, default=3, help="length of a load [3]")
    parser.add_argument("--program", help="the server to measure, instead of building it (not for allocators)")
    options = parser.parse_args()
    try:
        return 0 if what[options.what](options) else 1
    except Failure as failure:
        print(f"memory.py: {failure}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
