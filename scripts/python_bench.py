#!/usr/bin/env python3
"""Measures the Python module beside redis-py with hiredis, pymemcache, pylibmc, cachetools and a bare socket loop.

    scripts/python_bench.py [--rounds 7] [--seconds 0.4] [--strict]

Run it with an interpreter that has a release build of the module (pip install ./python) and the others (pip install redis
hiredis pymemcache pylibmc cachetools; who is missing is left out). All RESP clients talk to the same server, `antcache.Server`
in a process of its own, on another core than the clients; memcached's clients to memcached. In each round everyone is measured
once, in turn, and ratios are taken within a round; the table has medians, and the quartiles of the ratio. The targets are those
of the module's design. An otherwise idle machine with two cores, please.
"""

import argparse
import asyncio
import contextlib
import importlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

import antcache

SERVER_CORE, CLIENT_CORE = 0, 1
MANY = [f"key:{number}" for number in range(100)]
VALUE = "v" * 20

SERVE = """
import antcache, sys, time
with antcache.Server() as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@contextlib.contextmanager
def pinned(command, core):
    """A process on one core; it ends with the block."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.terminate()
        process.wait()


def wire(*words):
    """A request as bytes."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Bare:
    """What any client at least has to do: send these bytes, and wait for as many as come back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def loop(self, *words):
        request, sendall, recv = wire(*words), self.socket.sendall, self.socket.recv

        def once():
            sendall(request)
            return recv(4096)

        return once


def per_second(call, seconds):
    """Calls a second, the loop's own cost included."""
    call()
    calls, start = 0, time.perf_counter()
    end = start + seconds
    while True:
        for _ in range(20):
            call()
        calls += 20
        now = time.perf_counter()
        if now >= end:
            return calls / (now - start)


class Lab:
    def __init__(self, options):
        self.rounds, self.seconds = options.rounds, options.seconds
        self.missed = False

    def compare(self, title, ours, others, targets, measure=per_second):
        """Measures ours and the others in turns. `targets` has what our ratio to another should be at least."""
        rates = {name: [] for name in others}
        mine = []
        for _ in range(self.rounds):
            mine.append(measure(ours, self.seconds))
            for name, call in others.items():
                rates[name].append(measure(call, self.seconds))
        print(f"\n{title}: antcache {statistics.median(mine):,.0f} a second")
        for name, theirs in rates.items():
            ratios = sorted(own / other for own, other in zip(mine, theirs, strict=True))
            ratio = statistics.median(ratios)
            low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
            verdict = ""
            if name in targets:
                met = ratio >= targets[name]
                self.missed |= not met
                verdict = f"  target {targets[name]}: {'met' if met else 'MISSED'}"
            print(f"  {name:<22}{statistics.median(theirs):>12,.0f}   ratio {ratio:5.2f} ({low:.2f} to {high:.2f}){verdict}")


def memcached_clients(stack):
    """Clients of a memcached, by name."""
    if shutil.which("memcached") is None:
        return {}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    stack.enter_context(pinned(["memcached", "-l", "127.0.0.1", "-p", str(port), "-u", "nobody", "-t", "1"], SERVER_CORE))
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            break
        time.sleep(0.01)
    clients = {}
    if pymemcache := module("pymemcache"):
        clients["pymemcache"] = pymemcache.Client(("127.0.0.1", port), no_delay=True)
    if pylibmc := module("pylibmc"):
        clients["pylibmc"] = pylibmc.Client([f"127.0.0.1:{port}"], binary=True, behaviors={"tcp_nodelay": True})
    return clients


def blocking(lab, port, memcached):
    client, bare = antcache.Client(port=port), Bare(port)
    client.set("key", VALUE)
    others = {"bare socket loop": bare.loop("FETCH", "key")}
    redis = module("redis")
    theirs = redis and redis.Redis(port=port)
    if theirs:
        others["redis-py"] = lambda: theirs.get("key")
    for name, other in memcached.items():
        other.set("key", VALUE)
        others[name] = lambda other=other: other.get("key")
    lab.compare("GET", lambda: client.get("key"), others, {"bare socket loop": 0.9, "redis-py": 1.6})

    others = {"bare socket loop": bare.loop("SET", "key", VALUE)}
    if theirs:
        others["redis-py"] = lambda: theirs.set("key", VALUE)
    for name, other in memcached.items():
        others[name] = lambda other=other: other.set("key", VALUE)
    lab.compare("SET", lambda: client.set("key", VALUE), others, {"bare socket loop": 0.9, "redis-py": 1.6})

    def pipeline(make, run):
        def once():
            pipe = make()
            for key in MANY:
                pipe.get(key)
            return run(pipe)

        return once

    client.set_many(dict.fromkeys(MANY, VALUE))
    ours = pipeline(client.pipeline, lambda pipe: pipe.run())
    others = {"redis-py": pipeline(lambda: theirs.pipeline(transaction=False), lambda pipe: pipe.execute())} if theirs else {}
    lab.compare("100 GETs in a pipeline", ours, others, {"redis-py": 5})

    others = {"redis-py (MGET)": lambda: theirs.mget(MANY)} if theirs else {}
    for name, other in memcached.items():
        get_many = getattr(other, "get_multi", None) or other.get_many
        (getattr(other, "set_multi", None) or other.set_many)(dict.fromkeys(MANY, VALUE))
        others[name] = lambda get_many=get_many: get_many(MANY)
    lab.compare("get_many of 100", lambda: client.get_many(MANY), others, {"redis-py (MGET)": 3})

    if theirs:
        default = client.execute("CONFIG", "GET", "busy-poll", decode=True)["busy-poll"]
        for micros in 0, 100:
            client.execute("CONFIG", "SET", "busy-poll", str(micros))
            title = f"of a server with --busy-poll {micros}"
            others = {"redis-py": lambda: theirs.get("key")}
            lab.compare(f"GET {title}", lambda: client.get("key"), others, {})
            others = {"redis-py (MGET)": lambda: theirs.mget(MANY)}
            lab.compare(f"get_many of 100 {title}", lambda: client.get_many(MANY), others, {})
        client.execute("CONFIG", "SET", "busy-poll", default)


def tasks(lab, port):
    """100 concurrent GETs, again and again."""
    redis = module("redis.asyncio")

    async def main():
        ours = antcache.AsyncClient(port=port)
        theirs = redis and redis.Redis(port=port)

        def rounds_of(client):
            async def once():
                await asyncio.gather(*(client.get(key) for key in MANY))

            return once

        async def rate(call, seconds):
            await call()
            calls, start = 0, time.perf_counter()
            while time.perf_counter() < start + seconds:
                await call()
                calls += 1
            return calls * len(MANY) / (time.perf_counter() - start)

        rates = {"ours": [], "redis.asyncio": []}
        for _ in range(lab.rounds):
            rates["ours"].append(await rate(rounds_of(ours), lab.seconds))
            if theirs:
                rates["redis.asyncio"].append(await rate(rounds_of(theirs), lab.seconds))
        await ours.close()
        if theirs:
            await theirs.aclose()
        return rates

    rates = asyncio.run(main())
    measured = {name: iter(values) for name, values in rates.items() if values}
    others = {name: name for name in measured if name != "ours"}
    lab.compare("100 concurrent GETs with asyncio", "ours", others, {"redis.asyncio": 3}, lambda name, _: next(measured[name]))


def embedded(lab):
    cache, plain = antcache.Cache(max_memory=64 << 20), {}
    for store in cache, plain:
        for key in MANY:
            store[key] = VALUE

    def hundred(get):
        def once():
            for key in MANY:
                get(key)

        return once

    others = {"dict.get": hundred(plain.get)}
    if cachetools := module("cachetools"):
        lru = cachetools.LRUCache(1000)
        lru.update(plain)
        others["cachetools LRUCache"] = hundred(lru.get)
    title = "100 gets from the embedded Cache"
    lab.compare(title, hundred(cache.get), others, {"dict.get": 0.3, "cachetools LRUCache": 3})


def lateness(lab):
    """How late the timeout of a server that hangs is."""
    limit, target = 0.2, 0.05

    async def wait(port):
        async with antcache.AsyncClient(port=port, protocol=2, timeout=limit) as client:
            await client.get("key")

    def block(port):
        with antcache.Client(port=port, protocol=2, timeout=limit) as client:
            client.get("key")

    with socket.create_server(("127.0.0.1", 0)) as hung:
        port = hung.getsockname()[1]
        for name, call in ("Client", lambda: block(port)), ("AsyncClient", lambda: asyncio.run(wait(port))):
            late = []
            for _ in range(lab.rounds):
                start = time.perf_counter()
                with contextlib.suppress(antcache.errors.TimeoutError):
                    call()
                late.append(time.perf_counter() - start - limit)
            met = 0 <= max(late) <= target
            lab.missed |= not met
            print(f"\ntimeout of {limit * 1000:.0f} ms, {name}: at most {max(late) * 1000:.1f} ms late  target 50: {'met' if met else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    lab = Lab(options)
    print(f"Python {sys.version.split()[0]}, antcache {antcache.__version__}", end="")
    for name in "redis", "hiredis", "pymemcache", "pylibmc", "cachetools":
        print(f", {name} {getattr(module(name), '__version__', '-')}", end="")
    print()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(pinned([sys.executable, "-c", SERVE], SERVER_CORE))
        port = int(server.stdout.readline())
        memcached = memcached_clients(stack)
        os.sched_setaffinity(0, {CLIENT_CORE})
        blocking(lab, port, memcached)
        tasks(lab, port)
        embedded(lab)
        lateness(lab)
    return 1 if options.strict and lab.missed else 0


if __name__ == "__main__":
    sys.exit(main())
