#!/usr/bin/env python3
"""Measures what keeping changes on the disk costs, beside redis-server with the same settings.

    scripts/persistence.py interval    processor time of SET: fsync interval, no persistence, and appendfsync everysec
    scripts/persistence.py always      SETs a second with 50 clients, and how long one client waits beside one fdatasync
    scripts/persistence.py snapshot    what others feel while 5 million keys are written, memory, and speed
    scripts/persistence.py startup     how long 5 million keys take from a snapshot, and records a second from the log

Each prints a table and whether targets are met. Every figure is the median of several rounds; in each round all servers
are measured one after the other, and ratios are taken within a round. Data directories are made in --dir (the system's
place for temporary files unless given: that should be on a disk) and removed at the end.

Needs two cores, redis-server (apt-get install redis-server), and an otherwise idle machine.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time

import measure
from measure import HOST, LOAD_CORE, SERVER_CORE, Failure, Lab, Verdicts, cost, latencies, median, print_table, ratio, spread

KEYS = 5_000_000
# Snapshots are made when they are asked for. Ours comes as well when the log has outgrown the data; Redis's log is left
# to grow, which spares it the work.
ANT_QUIET = ["--atd-interval", "30d"]
REDIS_QUIET = ["--auto-aof-rewrite-percentage", "0", "--save", ""]


# --- Servers


class Connection:
    """One that asks a question at a time."""

    def __init__(self, server):
        self.socket = socket.create_connection((HOST, server.port), timeout=60)
        self.file = self.socket.makefile("rb")

    def ask(self, line):
        self.socket.sendall(encode(line))
        first = self.file.readline()
        if first[:1] == b"$":
            return self.file.read(int(first[1:]) + 2).decode()
        return first.decode().strip()

    def info(self, field):
        for line in self.ask("INFO persistence").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value
        raise Failure(f"INFO has no {field}")


def encode(line):
    words = line.split(" ")
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


class Disk:
    """Data directories, gone at the end."""

    def __init__(self, lab, parent):
        self.lab = lab
        self.parent = lab.stack.enter_context(tempfile.TemporaryDirectory(prefix="ant-cache-", dir=parent))
        self.count = 0

    def directory(self):
        self.count += 1
        path = os.path.join(self.parent, str(self.count))
        os.mkdir(path)
        return path

    def ant(self, name, fsync, path=None):
        path = path or self.directory()
        return self.lab.ant(name, "--dir", path, "--fsync", fsync, "--max-memory", "0", *ANT_QUIET)

    def redis(self, name, *args, path=None):
        path = path or self.directory()
        command = ["redis-server", "--bind", HOST, "--port", "{port}", "--dir", path, *REDIS_QUIET, *args]
        return self.lab.start(name, command)

    def fdatasync(self, seconds):
        """The median of the seconds that a write of 100 bytes and its fdatasync take, where the servers run: the core that
        the disk interrupts has its answer sooner than another."""
        times = []
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SERVER_CORE})
        path = os.path.join(self.parent, "probe")
        with open(path, "ab", buffering=0) as file:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                started = time.perf_counter()
                file.write(b"x" * 100)
                os.fdatasync(file.fileno())
                times.append(time.perf_counter() - started)
        os.unlink(path)
        os.sched_setaffinity(0, cores)
        return median(times)


def tested_rows(title, results):
    rows = [[title, "µs/op", "spread", "ops/s", "p50", "p99", "p99.9"]]
    for name, tests in results.items():
        costs = list(map(cost, tests))
        rows.append([
            name,
            f"{median(costs):.3f}",
            f"{100 * spread(costs):.0f} %",
            f"{median([test['ops_per_second'] for test in tests]):,.0f}",
            *latencies(tests, "{:,.0f}"),
        ])
    return rows


def at_least(verdicts, what, value, limit):
    met = value >= limit
    verdicts.missed += not met
    print(f"{'met   ' if met else 'MISSED'}  {what}: {value:.2f} (at least {limit:.2f})")


# --- interval


def interval(lab, disk, verdicts):
    without, kept = "ant, no persistence", "ant, interval"
    peer = "redis, everysec"
    servers = [
        lab.ant(without, "--max-memory", "0"),
        disk.ant(kept, "interval"),
        disk.redis("redis, no persistence"),
        disk.redis(peer, "--appendonly", "yes", "--appendfsync", "everysec"),
    ]
    for pipeline in (1, 16):
        results = {server.name: [] for server in servers}
        for _ in lab.rounds():
            for server in servers:
                results[server.name].append(lab.bench(server, "--test", "set", "--pipeline", str(pipeline)))
        print_table(tested_rows(f"SET x {pipeline}", results))
        costs = {name: list(map(cost, tests)) for name, tests in results.items()}
        for what, other, limit in (("no persistence", without, 0.85), ("redis everysec", peer, 1.5)):
            value = ratio(costs[other], costs[kept])
            at_least(verdicts, f"x {pipeline}, SETs a CPU second with interval to {what}", value, limit)
        print()


# --- always


def always(lab, disk, verdicts):
    servers = [
        disk.ant("ant, always", "always"),
        disk.redis("redis, always", "--appendonly", "yes", "--appendfsync", "always"),
    ]
    many = {server.name: [] for server in servers}
    one = {server.name: [] for server in servers}
    probes = []
    for _ in lab.rounds():
        for server in servers:
            many[server.name].append(lab.bench(server, "--test", "set", "--clients", "50"))
            one[server.name].append(lab.bench(server, "--test", "set", "--clients", "1"))
        probes.append(1e6 * disk.fdatasync(1))
    print_table(tested_rows("SET, 50 clients", many))
    print_table(tested_rows("SET, 1 client", one))
    print(f"a write of 100 bytes and its fdatasync: {median(probes):,.0f} µs, spread {100 * spread(probes):.0f} %")
    ours, theirs = ([test["ops_per_second"] for test in tests] for tests in many.values())
    at_least(verdicts, "SETs a second, 50 clients, to redis always", ratio(ours, theirs), 1.0)
    waits = [test["latency_us"]["p50"] for test in one[servers[0].name]]
    verdicts.check("1 client, p50 to one fdatasync", ratio(waits, probes), 1.2)


# --- snapshot


def prefill(lab, server):
    count = 100_000 if lab.options.quick else KEYS
    lab.bench(server, "--test", "ping", "--prefill", "--keys", str(count), seconds=0.2)
    return count


class Saver(threading.Thread):
    """Has snapshots made one after the other; tells how long each took and the most memory that was resident."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.connection = Connection(server)
        self.ending = threading.Event()
        self.seconds = []
        self.most = 0
        self.failure = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.save()
        except (OSError, Failure) as error:
            self.failure = error

    def save(self):
        # One that has begun by itself is not counted.
        self.wait()
        started = time.monotonic()
        reply = self.connection.ask("BGSAVE SCHEDULE")
        if not reply.startswith("+Background"):
            raise Failure(f"BGSAVE: {reply}")
        self.wait()
        if self.connection.info("rdb_last_bgsave_status") != "ok":
            raise Failure("a snapshot failed")
        self.seconds.append(time.monotonic() - started)

    def wait(self):
        # Seldom enough not to be felt: while it is added up, the memory of a process cannot change.
        look = time.monotonic()
        while self.connection.info("rdb_bgsave_in_progress") != "0":
            if time.monotonic() >= look:
                self.most = max(self.most, resident(self.server.pid))
                look = time.monotonic() + 0.1
            time.sleep(0.005)

    def end(self):
        self.ending.set()
        self.join(120)
        if self.failure:
            raise Failure(f"{self.server.name}: {self.failure}")


def resident(pid):
    """Bytes of resident memory of a process and its children, what they share counted once."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = file.read().split()
        if not children:
            return rss(pid)
        return sum(share(process) for process in [pid, *children])
    return 0


def rss(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def share(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


def snapshot(lab, disk, verdicts):
    servers = [disk.ant("ant", "interval"), disk.redis("redis")]
    files = {"ant": "cache.atd", "redis": "dump.rdb"}
    count = 0
    for server in servers:
        count = prefill(lab, server)
    load = ["--ratio", "1:1", "--keys", str(count)]
    alone, beside = ({server.name: [] for server in servers} for _ in range(2))
    growth, quiet, busy, sizes = ({server.name: [] for server in servers} for _ in range(4))
    paths = {"ant": os.path.join(disk.parent, "1"), "redis": os.path.join(disk.parent, "2")}
    for _ in lab.rounds():
        for server in servers:
            name = server.name
            alone[name].append(lab.bench(server, *load))
            before = server.rss()
            saver = Saver(server)
            saver.save()
            quiet[name] += saver.seconds
            sizes[name].append(os.path.getsize(os.path.join(paths[name], files[name])))
            saver.seconds = []
            saver.start()
            try:
                beside[name].append(lab.bench(server, *load))
            finally:
                saver.end()
            busy[name] += saver.seconds
            growth[name].append((saver.most - before) / (1 << 20))
    results = {}
    for server in servers:
        results[f"{server.name}, alone"] = alone[server.name]
        results[f"{server.name}, while saving"] = beside[server.name]
    print_table(tested_rows("SET and GET, 100 clients", results))
    rows = [["snapshot", "MB", "s idle", "MB/s idle", "s under load", "MB/s under load", "MiB more memory"]]
    for server in servers:
        name = server.name
        size = median(sizes[name]) / 1e6
        rows.append([
            name,
            f"{size:,.0f}",
            f"{median(quiet[name]):.2f}",
            f"{size / median(quiet[name]):,.0f}",
            f"{median(busy[name]):.2f}",
            f"{size / median(busy[name]):,.0f}",
            f"{max(growth[name]):,.0f}",
        ])
    print_table(rows)
    tails = [[test["latency_us"]["p99.9"] for test in tests] for tests in (beside["ant"], alone["ant"])]
    grows = [(saving - without) / 1000 for saving, without in zip(*tails)]
    verdicts.check("p99.9 grows by ms", median(grows), 2.0)
    verdicts.check("MiB more memory", max(growth["ant"]), 64.0)
    at_least(verdicts, "MB/s idle", median(sizes["ant"]) / 1e6 / median(quiet["ant"]), 200.0)


# --- startup


def until_ready(start):
    """Starts a server; returns it and the seconds until it answers as one that has everything."""
    started = time.monotonic()
    server = start()
    while Connection(server).ask("PING") != "+PONG":
        time.sleep(0.005)
    return server, time.monotonic() - started


def stop(server, *, kill=False):
    if kill:
        server.process.kill()
        server.process.wait()
    else:
        Connection(server).socket.sendall(encode("SHUTDOWN NOSAVE"))
        server.process.wait(30)


def startup(lab, disk, verdicts):
    ours, theirs, logged = disk.directory(), disk.directory(), disk.directory()

    def ant(path):
        return lambda: disk.ant("ant", "never", path)

    def redis():
        return disk.redis("redis", path=theirs)

    records = 0
    for start, path in ((ant(ours), ours), (redis, theirs), (ant(logged), logged)):
        server = start()
        count = prefill(lab, server)
        if Connection(server).ask("SAVE") != "+OK":
            raise Failure(f"{server.name}: SAVE failed")
        if path == logged:
            connection = Connection(server)
            before = int(connection.info("acl_records_written"))
            prefill(lab, server)
            # The log is written within milliseconds; what is killed had nothing else to do.
            time.sleep(0.5)
            records = int(connection.info("acl_records_written")) - before
            stop(server, kill=True)
        else:
            stop(server)
    seconds = {"snapshot": [], "redis": [], "log": []}
    for _ in lab.rounds():
        for name, start in (("snapshot", ant(ours)), ("redis", redis), ("log", ant(logged))):
            server, took = until_ready(start)
            size = Connection(server).ask("DBSIZE")
            if size != f":{count}":
                raise Failure(f"{name}: {size} keys after the start")
            seconds[name].append(took)
            stop(server, kill=True)
    replay = [records / max(log - load, 1e-3) for log, load in zip(seconds["log"], seconds["snapshot"])]
    rows = [["start with", "s", "spread", "keys or records/s"]]
    for name, what, figure in (
        ("snapshot", "ant, a snapshot", count / median(seconds["snapshot"])),
        ("redis", "redis, an RDB file", count / median(seconds["redis"])),
        ("log", f"ant, that and {records:,} records", median(replay)),
    ):
        rows.append([what, f"{median(seconds[name]):.2f}", f"{100 * spread(seconds[name]):.0f} %", f"{figure:,.0f}"])
    print_table(rows)
    verdicts.check("loading a snapshot to Redis's loading", ratio(seconds["snapshot"], seconds["redis"]), 1.0)
    at_least(verdicts, "records of the log a second, in millions", median(replay) / 1e6, 1.5)


# --- The command line


def main():
    commands = {"interval": interval, "always": always, "snapshot": snapshot, "startup": startup}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=commands)
    parser.add_argument("--quick", action="store_true", help="shows that it works, proves nothing")
    parser.add_argument("--rounds", type=int, help="rounds (5; 2 with --quick)")
    parser.add_argument("--seconds", type=float, help="seconds of each measurement (3; 1 with --quick)")
    parser.add_argument("--dir", help="where data directories are made")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    verdicts = Verdicts()
    with contextlib.ExitStack() as stack:
        lab = Lab(options, stack)
        measure.describe_machine()
        os.sched_setaffinity(0, {LOAD_CORE})
        disk = Disk(lab, options.dir)
        commands[options.what](lab, disk, verdicts)
    return 1 if options.strict and verdicts.missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"persistence.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(1)
