#!/usr/bin/env python3
"""Measures the server beside redis-server and memcached, each on one core, with the load on another.

    scripts/measure.py compare    processor time of SET and GET, beside the others and a server that does nothing
    scripts/measure.py workers    what 200 workers cost more than 2
    scripts/measure.py poll       what a lone client gains where workers poll before they sleep, and what it costs
    scripts/measure.py keys       what others feel while one client lists 5 million keys in a loop
    scripts/measure.py idle       what 10,000 idle connections cost, and what 100 busy ones feel beside them
    scripts/measure.py metrics    what counting and timing cost, beside the same program without

Each prints a table and, where there is a target, whether it is met. Every figure is the median of several rounds; in
each round all servers are measured one after the other, and ratios are taken within a round, so that a machine that
gets slower does not favour one of them. Servers listen on free ports of 127.0.0.1 and are stopped at the end.

Needs two cores, redis-server and memcached (apt-get install redis-server memcached), and an otherwise idle machine.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOST = "127.0.0.1"
SERVER_CORE, LOAD_CORE = 0, 1
CLIENTS = 100
VALUE_SIZE = 16
STD_POOLED, SMOL_SINGLE, SMOL_POOLED = "std pooled 200", "smol single", "smol pooled 200"
# Each runtime and architecture: its name here, and the flags that choose it.
SHAPES = {
    "std single": ["--runtime", "std", "--server", "single"],
    STD_POOLED: ["--runtime", "std", "--workers", "200"],
    SMOL_SINGLE: ["--runtime", "smol", "--server", "single"],
    SMOL_POOLED: ["--runtime", "smol", "--workers", "200"],
}
# Line feeds of a request in RESP: what the floor counts.
LINES = {"set": 7, "get": 5}


class Failure(Exception):
    """A run that cannot go on, in one line."""


# --- Programs


def build(*package, **environment):
    """Builds a program; returns its path."""
    command = ["cargo", "build", "--release", "--quiet", "--message-format=json", "--package", *package]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise Failure("the build failed")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable"))


def build_unmetered():
    """Builds the program without counters and timers, in a folder of its own; returns its path."""
    target = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "unmetered")
    return build("ant-cache-cli", RUSTFLAGS="--cfg antcache_unmetered", CARGO_TARGET_DIR=target)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Server:
    """A server process on the servers' core."""

    def __init__(self, name, command, dialect="resp", bench_args=()):
        self.name = name
        self.dialect = dialect
        self.bench_args = list(bench_args)
        self.port = free_port()
        command = [part.replace("{port}", str(self.port)) for part in command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
        self.errors = []
        self.drain = threading.Thread(target=self._drain, daemon=True)
        self.drain.start()
        self._wait()

    def _drain(self):
        for line in self.process.stderr:
            self.errors = (self.errors + [line.decode(errors="replace").strip()])[-3:]

    def _wait(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            time.sleep(0.02)
        self.stop()
        self.drain.join(1)
        raise Failure(f"{self.name} does not start: {' '.join(self.errors)}")

    @property
    def pid(self):
        return self.process.pid

    def rss(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise Failure(f"{self.name} has ended")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Lab:
    """The programs, the servers that were started, and how long to measure."""

    def __init__(self, options, stack):
        self.options = options
        self.stack = stack
        self.program = build("ant-cache-cli")
        self.floor_program = build("ant-cache-runtime-std", "--example", "floor")

    def start(self, *args, **kwargs):
        server = Server(*args, **kwargs)
        self.stack.callback(server.stop)
        return server

    def ant(self, name, *args, program=None):
        return self.start(name, [program or self.program, "--host", HOST, "--port", "{port}", "--log-level", "warn", *args])

    def redis(self):
        command = ["redis-server", "--bind", HOST, "--port", "{port}", "--save", "", "--appendonly", "no"]
        return self.start("redis", command)

    def memcached(self):
        command = ["memcached", "-l", HOST, "-p", "{port}", "-t", "1", "-m", "1024"]
        if os.geteuid() == 0:
            command += ["-u", "nobody"]
        return self.start("memcached", command, dialect="memcached")

    def floor(self, operation, reply):
        """Answers every request of this kind with the same reply, so only one key is asked for."""
        command = [self.floor_program, "--port", "{port}", "--lines", str(LINES[operation]), "--reply", reply]
        return self.start(f"floor {operation}", command, bench_args=["--keys", "1"])

    def bench(self, server, *args, seconds=None, ops=None):
        """Runs the load generator on the load's core, for a time or a number of requests; returns its report."""
        seconds = seconds or self.options.seconds
        length = ["--ops", str(ops)] if ops else ["--duration", str(seconds)]
        command = [
            self.program, "bench", "--json", "--host", HOST, "--port", str(server.port),
            "--server-pid", str(server.pid), "--dialect", server.dialect, "--clients", str(CLIENTS),
            "--value-size", str(VALUE_SIZE), "--warmup", str(seconds / 5), *length,
            *args, *server.bench_args,
        ]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=600,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
        report = json.loads(done.stdout) if done.stdout else {"tests": []}
        wrong = [test["first_error"] or test["failure"] for test in report["tests"]]
        if done.returncode:
            reasons = [reason for reason in wrong if reason] + [done.stderr.strip()]
            raise Failure(f"{server.name}: {'; '.join(reasons)}")
        test = report["tests"][0]
        if test["generator"]["is_the_limit"]:
            print(f"  (the load generator was the limit at {server.name})", file=sys.stderr)
        return test

    def rounds(self):
        for index in range(self.options.rounds):
            print(f"round {index + 1} of {self.options.rounds}", file=sys.stderr)
            yield index


# --- Figures


def median(values):
    return statistics.median(values)


def spread(values):
    """How far apart the rounds were, as a part of their median."""
    return (max(values) - min(values)) / median(values)


def ratio(ours, theirs):
    """The median of the ratios within each round."""
    return median([our / their for our, their in zip(ours, theirs)])


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())
    print()


class Verdicts:
    """Whether targets are met."""

    def __init__(self):
        self.missed = 0

    def check(self, what, value, limit):
        """Says how a value stands to the most that it may be."""
        met = value <= limit
        self.missed += not met
        print(f"{'met   ' if met else 'MISSED'}  {what}: {value:.3f} (at most {limit:.2f})")


def cost(test):
    return test["server"]["cpu_us_per_op"]


def latency(tests, quantile):
    return median([test["latency_us"][quantile] for test in tests])


def latencies(tests, form):
    return [form.format(latency(tests, quantile)) for quantile in ("p50", "p99", "p99.9")]


# --- compare


def compare(lab, verdicts):
    servers = [
        lab.redis(),
        lab.memcached(),
        lab.ant("std pooled 2", "--workers", "2"),
        *[lab.ant(name, *flags) for name, flags in SHAPES.items()],
    ]
    # The floor's reply to GET is the value that the generator expects of its one key.
    lab.bench(servers[0], "--test", "ping", "--prefill", "--keys", "1", seconds=0.1)
    value = one_value(servers[0])
    floors = {
        "set": lab.floor("set", "+OK\\r\\n"),
        "get": lab.floor("get", f"${VALUE_SIZE}\\r\\n{value}\\r\\n"),
    }
    cells = [(operation, pipeline) for pipeline in (1, 16) for operation in ("set", "get")]
    results = {cell: {} for cell in cells}
    for _ in lab.rounds():
        for operation, pipeline in cells:
            for server in [floors[operation], *servers]:
                args = ["--test", operation, "--pipeline", str(pipeline)]
                if operation == "get" and server is not floors["get"]:
                    args.append("--prefill")
                name = "floor" if server is floors[operation] else server.name
                test = lab.bench(server, *args)
                results[operation, pipeline].setdefault(name, []).append(test)
    for cell in cells:
        print_compared(cell, results[cell], verdicts)


def one_value(server):
    with socket.create_connection((HOST, server.port), timeout=5) as connection:
        connection.sendall(b"GET key:000000000000\r\n")
        reply = connection.makefile("rb")
        reply.readline()
        return reply.readline().strip().decode()


def print_compared(cell, results, verdicts):
    operation, pipeline = cell
    costs = {name: [cost(test) for test in tests] for name, tests in results.items()}
    # The better of the two, in each round.
    best = [min(pair) for pair in zip(costs["redis"], costs["memcached"])]
    rows = [[f"{operation.upper()} x {pipeline}", "µs/op", "spread", "to best peer", "to floor", "ops/s", "p50", "p99", "p99.9"]]
    for name, tests in results.items():
        rows.append([
            name,
            f"{median(costs[name]):.3f}",
            f"{100 * spread(costs[name]):.0f} %",
            f"{ratio(costs[name], best):.2f}",
            f"{ratio(costs[name], costs['floor']):.2f}",
            f"{median([test['ops_per_second'] for test in tests]):,.0f}",
            *latencies(tests, "{:,.0f}"),
        ])
    print_table(rows)
    # The targets beside peers are those of pooled threads; a thread a connection pays a context switch a request.
    for name in costs:
        if name.startswith("std pooled"):
            what = f"{operation} x {pipeline}, {name}"
            verdicts.check(f"{what} to the better peer", ratio(costs[name], best), 0.92 if pipeline == 1 else 0.80)
            if pipeline == 1:
                verdicts.check(f"{what} to the floor", ratio(costs[name], costs["floor"]), 1.10)
    limits = {SMOL_SINGLE: 1.08, SMOL_POOLED: 1.12} if pipeline == 1 else {SMOL_SINGLE: 1.05, SMOL_POOLED: 1.05}
    for name, limit in limits.items():
        what = f"{operation} x {pipeline}, {name} to {STD_POOLED}"
        verdicts.check(what, ratio(costs[name], costs[STD_POOLED]), limit)
    print()


# --- workers


def workers(lab, verdicts):
    few, many = lab.ant("2 workers", "--workers", "2"), lab.ant("200 workers", "--workers", "200")
    cells = [(mix, pipeline) for pipeline in (1, 16) for mix in ("1:0", "0:1")]
    results = {(cell, server.name): [] for cell in cells for server in (few, many)}
    for _ in lab.rounds():
        for cell in cells:
            for server in (few, many):
                mix, pipeline = cell
                test = lab.bench(server, "--ratio", mix, "--prefill", "--pipeline", str(pipeline))
                results[cell, server.name].append(test)
    rows = [["", "µs/op", "spread", "ops/s", "p50", "p99", "p99.9"]]
    for (cell, name), tests in results.items():
        costs = [cost(test) for test in tests]
        rows.append([
            f"{tests[0]['test']} x {cell[1]}, {name}",
            f"{median(costs):.3f}",
            f"{100 * spread(costs):.0f} %",
            f"{median([test['ops_per_second'] for test in tests]):,.0f}",
            *latencies(tests, "{:,.0f}"),
        ])
    print_table(rows)
    for cell in cells:
        two, two_hundred = results[cell, few.name], results[cell, many.name]
        what = f"{two[0]['test']} x {cell[1]}, 200 to 2 workers"
        verdicts.check(f"{what}, µs/op", ratio(list(map(cost, two_hundred)), list(map(cost, two))), 1.10)
        tails = [[test["latency_us"]["p99.9"] for test in tests] for tests in (two_hundred, two)]
        verdicts.check(f"{what}, p99.9", ratio(*tails), 1.50)


# --- poll


# Microseconds between a reply and the next request.
PAUSES = (0, 5, 10, 20, 40, 100, 1000)


def processor_time(pid):
    """Seconds that the threads of a process have run."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def paused(server, pause, seconds):
    """One client that asks, takes the reply busily, and lets some time pass: the server's µs a GET, and the client's wait."""
    now, waited, calls = time.perf_counter, 0, 0
    with socket.create_connection((HOST, server.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        start, before = now(), processor_time(server.pid)
        while (asked := now()) < start + seconds:
            connection.send(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
            while True:
                with contextlib.suppress(BlockingIOError):
                    connection.recv(100)
                    break
            answered = now()
            waited += answered - asked
            calls += 1
            resume = answered + pause() * 1e-6
            while now() < resume:
                pass
        return (processor_time(server.pid) - before) / calls * 1e6, waited / calls * 1e6


def pauses(lab, servers):
    """What polling costs and gains, by how long the only client lets pass."""
    kinds = [(f"{pause} µs", lambda pause=pause: pause) for pause in PAUSES]
    kinds += [(f"{pause} µs on average", lambda pause=pause: random.expovariate(1 / pause)) for pause in PAUSES[1:-1]]
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    results = {(kind, server.name): [] for kind, _ in kinds for server in servers}
    for _ in lab.rounds():
        for kind, pause in kinds:
            for server in servers:
                results[kind, server.name].append(paused(server, pause, lab.options.seconds / 5))
    os.sched_setaffinity(0, mine)
    rows = [["one client that pauses for"] + [f"{server.name}: {what}" for server in servers for what in ("wait, µs", "server µs/op")]]
    for kind, _ in kinds:
        measured = [results[kind, server.name] for server in servers]
        rows.append([kind] + [f"{median([test[at] for test in tests]):.1f}" for tests in measured for at in (1, 0)])
    print_table(rows)


def poll(lab, verdicts):
    asleep = lab.ant("sleeps", "--busy-poll", "0")
    polls = lab.ant("polls")
    servers = [asleep, polls, lab.redis()]
    results = {(clients, server.name): [] for clients in (1, 10, CLIENTS) for server in servers}
    for _ in lab.rounds():
        for clients in (1, 10, CLIENTS):
            for server in servers:
                test = lab.bench(server, "--test", "get", "--prefill", "--clients", str(clients))
                results[clients, server.name].append(test)
    rows = [["GET", "p50, µs", "p99", "p99.9", "server µs/op", "spread"]]
    for (clients, name), tests in results.items():
        costs = [cost(test) for test in tests]
        rows.append([
            f"{clients} clients, {name}",
            *latencies(tests, "{:,.1f}"),
            f"{median(costs):.2f}",
            f"{100 * spread(costs):.0f} %",
        ])
    print_table(rows)
    busy = [list(map(cost, results[CLIENTS, server.name])) for server in (polls, asleep)]
    verdicts.check(f"{CLIENTS} clients, µs/op, polls to sleeps", ratio(*busy), 1.10)
    print()
    pauses(lab, [asleep, polls])


# --- keys


class Lister(threading.Thread):
    """Sends KEYS * again and again, and only counts the bytes that come."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection = socket.create_connection((HOST, server.port), timeout=120)
        self.ending = threading.Event()
        self.seconds = []
        self.bytes = 0
        self.failure = None

    def run(self):
        try:
            while not self.ending.is_set():
                self._once()
        except OSError as error:
            self.failure = error

    def _once(self):
        # The answer to PING is where the list ends: no need to parse millions of keys.
        started = time.monotonic()
        self.connection.sendall(b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n*1\r\n$4\r\nPING\r\n")
        buffer, tail, received = bytearray(1 << 20), b"", 0
        while not tail.endswith(b"+PONG\r\n"):
            got = self.connection.recv_into(buffer)
            if not got:
                raise OSError("the server closed the connection")
            received += got
            tail = (tail + bytes(buffer[max(0, got - 7):got]))[-7:]
        self.seconds.append(time.monotonic() - started)
        self.bytes = received

    def end(self):
        self.ending.set()
        self.join(120)
        self.connection.close()


def keys(lab, verdicts):
    count = 200_000 if lab.options.quick else 5_000_000
    servers = [lab.ant("ant pooled 200", "--workers", "200")]
    if lab.options.peers:
        servers.append(lab.redis())
    load = ["--ratio", "1:9", "--keys", str(count)]
    results = {(server.name, listing): [] for server in servers for listing in (False, True)}
    lists = {server.name: [] for server in servers}
    for server in servers:
        lab.bench(server, *load, "--prefill", seconds=0.5)
    for _ in lab.rounds():
        for server in servers:
            results[server.name, False].append(lab.bench(server, *load))
            lister = Lister(server)
            lister.start()
            try:
                results[server.name, True].append(lab.bench(server, *load))
            finally:
                lister.end()
            if lister.failure:
                raise Failure(f"{server.name}: KEYS: {lister.failure}")
            if lister.bytes < count * 16:
                raise Failure(f"{server.name}: KEYS answered only {lister.bytes} bytes")
            lists[server.name] += lister.seconds
    rows = [["", "ops/s", "p50", "p99", "p99.9", "max"]]
    for (name, listing), tests in results.items():
        rows.append([
            f"{name}, {'beside KEYS *' if listing else 'alone'}",
            f"{median([test['ops_per_second'] for test in tests]):,.0f}",
            *[f"{latency(tests, quantile):,.0f}" for quantile in ("p50", "p99", "p99.9", "max")],
        ])
    print_table(rows)
    for server in servers:
        print(f"{server.name}: KEYS * of {count:,} keys took {median(lists[server.name]):.2f} s")
    for server in servers[:1]:
        beside, alone = ([test["latency_us"]["p99"] for test in results[server.name, listing]] for listing in (True, False))
        verdicts.check(f"{server.name}, p99 beside KEYS * to alone", ratio(beside, alone), 2.0)


# --- idle


def idle(lab, verdicts):
    count = 1_000 if lab.options.quick else 10_000
    names = [STD_POOLED, SMOL_SINGLE, SMOL_POOLED]
    servers = [lab.ant(name, *SHAPES[name], "--max-connections", str(count + 1000)) for name in names]
    load = ["--ratio", "1:9", "--prefill"]
    alone, beside, memory = ({name: [] for name in names} for _ in range(3))
    for server in servers:
        # Whatever the load itself allocates is there before the first connection is counted.
        lab.bench(server, *load)
    for _ in lab.rounds():
        for server in servers:
            alone[server.name].append(lab.bench(server, *load))
            before = server.rss()
            connections = [open_idle(server) for _ in range(count)]
            time.sleep(0.5)
            memory[server.name].append((server.rss() - before) / count)
            beside[server.name].append(lab.bench(server, *load))
            for connection in connections:
                connection.close()
            time.sleep(0.5)
    rows = [["100 busy connections", "µs/op", "ops/s", "p50", "p99", "p99.9"]]
    for name in names:
        for where, tests in (("alone", alone[name]), (f"beside {count:,} idle", beside[name])):
            rows.append([
                f"{name}, {where}",
                f"{median([cost(test) for test in tests]):.3f}",
                f"{median([test['ops_per_second'] for test in tests]):,.0f}",
                *latencies(tests, "{:,.0f}"),
            ])
    print_table(rows)
    for name in names:
        # Memory that was given back and is used again does not show: the first round is the one that counts.
        verdicts.check(f"{name}, bytes of resident memory an idle connection", max(memory[name]), 2048)
        costs = [list(map(cost, tests[name])) for tests in (beside, alone)]
        verdicts.check(f"{name}, µs/op beside idle connections to alone", ratio(*costs), 1.10)


def open_idle(server):
    """A connection that has been used once, as real ones are."""
    connection = socket.create_connection((HOST, server.port), timeout=10)
    connection.sendall(b"PING\r\n")
    if not connection.recv(64).startswith(b"+PONG"):
        raise Failure(f"{server.name} does not answer PING")
    return connection


# --- metrics


def metrics(lab, verdicts):
    programs = {"metered": lab.program, "unmetered": build_unmetered()}
    cells = [(operation, pipeline) for pipeline in (1, 16) for operation in ("set", "get")]
    costs = {(cell, name): [] for cell in cells for name in programs}
    for index in lab.rounds():
        # New ones each round, the other one first: where memory lies makes as much of a difference as what is sought.
        names = sorted(programs, reverse=index % 2)
        servers = {name: lab.ant(name, program=programs[name]) for name in names}
        for cell in cells:
            for name, server in servers.items():
                test = lab.bench(server, "--test", cell[0], "--pipeline", str(cell[1]), "--prefill")
                costs[cell, name].append(cost(test))
        for server in servers.values():
            server.stop()
    rows = [["", "metered", "spread", "unmetered", "spread", "ratio", "half of the rounds"]]
    for operation, pipeline in cells:
        cell = operation, pipeline
        both = [costs[cell, name] for name in programs]
        ratios = [our / their for our, their in zip(*both)]
        # A single round has no quartiles.
        low, _, high = statistics.quantiles(ratios * 2 if len(ratios) == 1 else ratios, method="inclusive")
        cells_of = [text for values in both for text in (f"{median(values):.3f}", f"{100 * spread(values):.0f} %")]
        rows.append([f"{operation.upper()} x {pipeline}, µs/op", *cells_of, f"{median(ratios):.4f}", f"{low:.3f} to {high:.3f}"])
    print_table(rows)
    for cell in cells:
        value = ratio(costs[cell, "metered"], costs[cell, "unmetered"])
        verdicts.check(f"{cell[0]} x {cell[1]}, with metrics to without", value, 1.01)


# --- The command line


def describe_machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    print(f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}")
    for program in ("redis-server", "memcached"):
        if shutil.which(program):
            print(subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip())
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"WARNING: other programs are running (load average {load:.1f}): the figures will be noisy")
    print()


def main():
    commands = {"compare": compare, "workers": workers, "poll": poll, "keys": keys, "idle": idle, "metrics": metrics}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=commands)
    parser.add_argument("--quick", action="store_true", help="a minute instead of many: shows that it works, proves nothing")
    parser.add_argument("--rounds", type=int, help="rounds (5; 2 with --quick)")
    parser.add_argument("--seconds", type=float, help="seconds of each measurement (3; 1 with --quick)")
    parser.add_argument("--peers", action="store_true", help="keys: measure redis-server, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)

    needed = [program for program in ("redis-server", "memcached") if not shutil.which(program)]
    if options.what == "compare" and needed:
        raise Failure(f"missing: {', '.join(needed)} (apt-get install redis-server memcached)")
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise Failure("two cores are needed: one for the server, one for the load")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    verdicts = Verdicts()
    with contextlib.ExitStack() as stack:
        lab = Lab(options, stack)
        describe_machine()
        # Children keep the affinity that they are given themselves.
        os.sched_setaffinity(0, {LOAD_CORE})
        commands[options.what](lab, verdicts)
    return 1 if options.strict and verdicts.missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"measure.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(1)
