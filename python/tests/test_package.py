"""The package itself: its docstrings, its types, and its wheel in an environment without anything else."""

import asyncio
import doctest
import pathlib
import subprocess
import sys
import venv

import antcache
import pytest
from antcache._info import parse_info
from antcache.contrib._values import CountableSerializer

PACKAGE = pathlib.Path(antcache.__file__).parent
MODULES = ["__init__", "_aio", "_aio_sharded", "_cache", "_cached", "_client", "_info", "_server", "_sharded", "_shards"]
MODULES += ["errors", "serializers"]
FILES = [*(f"{name}.py" for name in MODULES), "contrib/_values.py", "_antcache.pyi"]


@pytest.mark.parametrize("name", FILES)
def test_examples_in_docstrings(one, name):
    """Sources are read as texts, which stubs are as well: each docstring is an example of its own."""
    text = (PACKAGE / name).read_text()
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    tried = 0
    for number, part in enumerate(text.split('"""')[1::2]):
        part = part.replace("\\\\", "\\")
        with antcache.Client(port=one.port) as client:
            client.flush_all()
            names = {**vars(antcache), **vars(antcache.serializers), **vars(antcache.errors)}
            names.update(asyncio=asyncio, client=client, port=one.port, CountableSerializer=CountableSerializer)
            names["parse_info"] = parse_info
            test = doctest.DocTestParser().get_doctest(part, names, f"{name}:{number}", name, 0)
            tried += len(test.examples)
            runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert tried > 0


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_types_are_strict(tmp_path):
    run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "--package", "antcache", cwd=tmp_path)


TYPED = """
import antcache
from typing_extensions import assert_type

client = antcache.Client()
assert_type(client.set("a", 1, nx=True), bool)
assert_type(client.incr("a"), int)
assert_type(client.ttl("a"), float | None)
assert_type(client.pipeline().get("a").set("b", 1), antcache.Pipeline)
assert_type(antcache.Cache().get_or_set("a", lambda: 5), int)

@antcache.cached(client)
def double(number: int) -> int:
    return 2 * number

assert_type(double(2), int)
double("2")
client.set(5, 1)
client.set("a", 1, ttl="soon")
antcache.Client(pool_size="2")
"""


def test_a_program_is_checked_against_the_types(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    lines = [line.split(": error:")[0].rpartition(":")[2] for line in done.stdout.splitlines() if ": error:" in line]
    bad = [number for number, line in enumerate(file.read_text().splitlines(), 1) if line.startswith(("double(\"", "client.set(", "antcache.Client(pool"))]
    assert [int(line) for line in lines] == bad, done.stdout


def test_stubs_say_what_is_there(tmp_path):
    output = run(sys.executable, "-m", "mypy.stubtest", "antcache._antcache", cwd=tmp_path)
    assert "no issues found" in output


PROGRAM = """
import asyncio, sys, antcache
with antcache.Server(runtime="smol") as server, antcache.Client(port=server.port) as client:
    client.set("key", {"a": 1})
    assert client.get("key") == {b"a": b"1"}

    async def main():
        async with antcache.AsyncClient(port=server.port) as tasks:
            return await tasks.get("key", decode=True)

    assert asyncio.run(main()) == {"a": "1"}
assert antcache.Cache().get_or_set("a", lambda: [1]) == [1]
assert not any(name.startswith(("django", "flask", "aiocache", "pytest")) for name in sys.modules)
print(antcache.__version__)
"""


def test_the_wheel_in_an_empty_environment(request, tmp_path):
    wheels = list(pathlib.Path(request.config.getoption("--wheels")).glob("*.whl"))
    assert len(wheels) == 1
    assert wheels[0].name.startswith(f"antcache-{antcache.__version__}-cp310-abi3-")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    target = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target, *wheels)
    version = run(python, "-I", "-c", PROGRAM, cwd=tmp_path)
    assert version.strip() == antcache.__version__
