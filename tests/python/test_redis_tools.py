"""redis-cli, redis-benchmark and nc, as Debian has them, against every architecture."""

import csv
import io
import re
import subprocess

import pytest


def run(*words, stdin="", check=True):
    result = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60)
    assert not check or (result.returncode, result.stderr) == (0, ""), result
    return result


@pytest.fixture
def cli(server):
    """Runs redis-cli with the words that it is given; what it prints."""

    def cli(*words, stdin="", **options):
        return run("redis-cli", "-p", str(server.port), *words, stdin=stdin, **options).stdout

    return cli


def fill(cli):
    lines = ["MSET a 1 b 2 c 3", "SETS list x y z", "SETX user name ann age 7", 'SET big "%s"' % ("x" * 3000)]
    assert cli(stdin="\n".join(lines) + "\n") == "OK\n" * 4


def test_a_session_through_a_pipe(cli):
    session = [
        ("ping", "PONG"),
        ('set greeting "hello  world"', "OK"),
        ("get greeting", "hello  world"),
        ("get nothing", ""),
        ("incr greeting", "ERR value is not an integer or out of range\n"),
        ("setx user name ann age 7", "OK"),
        ("hgetall user", "name\nann\nage\n7"),
        ("lrange user 0 -1", "WRONGTYPE Operation against a key holding the wrong kind of value\n"),
        ("2 incr count", "1\n2"),
        ("type user", "hash"),
        ("ttl user", "-1"),
        ("nonsense", "ERR unknown command 'nonsense', with args beginning with: \n"),
        ("client getname", ""),
        ("dbsize", "3"),
        ("flushall", "OK"),
    ]
    printed = cli(stdin="".join(line + "\n" for line, _ in session))
    assert printed == "".join(reply + "\n" for _, reply in session)


def test_for_people(cli):
    fill(cli)
    assert cli("--no-raw", "hgetall", "user") == '1) "name"\n2) "ann"\n3) "age"\n4) "7"\n'
    assert cli("-3", "--no-raw", "hgetall", "user") == '1# "name" => "ann"\n2# "age" => "7"\n'
    assert cli("-3", "--no-raw", "get", "nothing") == "(nil)\n"
    assert cli("--no-raw", "mget", "a", "nothing") == '1) "1"\n2) (nil)\n'
    assert cli("--json", "hgetall", "user") == '{"name":"ann","age":"7"}\n'
    assert next(csv.reader(io.StringIO(cli("--csv", "lrange", "list", "0", "-1")))) == ["x", "y", "z"]
    assert cli("-r", "3", "incr", "count") == "1\n2\n3\n"
    assert cli("-x", "set", "read", stdin="two\nlines") == "OK\n"
    assert cli("get", "read") == "two\nlines\n"


def test_exit_status(server):
    for words, status in [("get a", 0), ("get", 1), ("nonsense", 1)]:
        result = run("redis-cli", "-p", str(server.port), "-e", *words.split(), check=False)
        assert result.returncode == status, result


def test_walks(cli):
    fill(cli)
    assert sorted(cli("--scan").split()) == ["a", "b", "big", "c", "list", "user"]
    assert sorted(cli("--scan", "--pattern", "b*").split()) == ["b", "big"]
    report = cli("--bigkeys")
    assert re.search(r"Biggest string found '?\"?big\"?'? has 3000 bytes", report), report
    assert re.search(r"Biggest +list found '?\"?list\"?'? has 3 items", report), report
    assert re.search(r"Biggest +hash found '?\"?user\"?'? has 2 fields", report), report


def test_mass_insertion(cli):
    requests = "".join(f"*3\r\n$3\r\nSET\r\n$8\r\nkey:{n:04}\r\n$1\r\n{n % 10}\r\n" for n in range(5000))
    report = cli("--pipe", stdin=requests)
    assert report.endswith("errors: 0, replies: 5000\n"), report
    assert cli("dbsize") == "5000\n"


def test_by_hand(server):
    # -N: the end of the input is passed on, and the replies still come.
    session = run("nc", "-N", "127.0.0.1", str(server.port), stdin='SET k -t 1h "a  b"\nGET k\nSETS l 1 2\nGET l\n')
    assert session.stdout == "OK\na  b\nOK\n[1 2]\n"


@pytest.mark.parametrize("depth", [1, 16])
def test_benchmark(server, cli, depth):
    report = run(
        *["redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr,mset"],
        *["-n", "10000", "-c", "20", "-r", "1000", "-P", str(depth), "--csv"],
    ).stdout
    rows = list(csv.DictReader(io.StringIO(report)))
    names = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
    assert [row["test"] for row in rows] == names
    assert all(float(row["rps"]) > 0 for row in rows)
    assert "total_error_replies:0" in cli("info", "stats").split()
