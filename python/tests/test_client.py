"""The blocking client against the real server, on every runtime and architecture."""

import datetime
import math
import os
import signal
import threading
import time

import antcache
import pytest
from antcache import errors, serializers


def test_strings_come_back_as_bytes_or_text(client):
    assert client.get("nothing") is None
    assert client.get("nothing", 7) == 7
    for value, stored in [("grün", "grün".encode()), (b"\0\xff\r\n", b"\0\xff\r\n"), (-5, b"-5"), (2**70, b"%d" % 2**70)]:
        assert client.set("key", value) is True
        assert client.get("key") == stored
    assert client.set("key", bytearray(b"ab")) and client.get("key", decode=True) == "ab"
    assert client.set("key", memoryview(b"abcd")[1:3]) and client.get("key") == b"bc"
    assert client.set("key", "") and client.get("key") == b""


def test_lists_and_dicts_come_back_as_such(client):
    client.set("list", ["a", b"\xff", 3])
    client.set("tuple", ("x",))
    client.set("dict", {"legs": 6, b"b": "v"})
    assert client.get("list") == [b"a", b"\xff", b"3"]
    assert client.get("tuple", decode=True) == ["x"]
    assert client.get("dict") == {b"legs": b"6", b"b": b"v"}
    assert client.get("dict", decode=True) == {"legs": "6", "b": "v"}
    assert [client.type(key) for key in ("list", "dict", "none")] == ["list", "hash", None]
    with pytest.raises(errors.WrongTypeError, match=f"127.0.0.1:{client.node[10:]}: INCRBY: WRONGTYPE"):
        client.incr("list")


def test_a_list_may_begin_like_an_option(client):
    for value in (["-t"], ["-t", "5"], ["-t", "5s", "x"]):
        for ttl in (None, 100):
            client.set("key", value, ttl)
            assert client.get("key", decode=True) == value
            assert client.ttl("key") == math.inf if ttl is None else 99 < client.ttl("key") <= 100
    client.set("key", {"-t": "5s", "a": "b"})
    assert client.get("key", decode=True) == {"-t": "5s", "a": "b"}
    for kwargs in ({}, {"ttl": 5}, {"nx": True}, {"xx": True}, {"ttl": 5, "xx": True}):
        client.set("string", "old")
        if "nx" in kwargs:
            client.delete("string")
        assert client.set("string", "-t", **kwargs) is True
        assert client.get("string") == b"-t"


def test_conditions(client):
    assert client.set("key", "a", xx=True) is False
    assert client.set("key", "a", nx=True) is True
    assert client.set("key", "b", nx=True) is False
    assert client.set("key", "c", xx=True) is True
    assert client.get("key") == b"c"
    assert client.set("key", ["x"], nx=True) is False
    assert client.set("list", ["x"], nx=True) is True
    assert client.set("dict", {"a": 1}, ttl=9, nx=True) is True


@pytest.mark.parametrize("ttl", [100, 100.0, datetime.timedelta(seconds=100)], ids=repr)
def test_times_to_live(client, ttl):
    client.set("key", "value", ttl)
    assert 99 < client.ttl("key") <= 100
    assert client.persist("key") is True and client.ttl("key") == math.inf
    assert client.persist("key") is False
    assert client.expire("key", ttl) is True and 99 < client.ttl("key") <= 100
    assert client.touch("key", 1000) is True and client.ttl("key") > 100
    assert client.touch("key") is True
    assert (client.expire("no", ttl), client.touch("no"), client.ttl("no")) == (False, False, None)
    client.set("list", ["x"], ttl)
    assert 99 < client.ttl("list") <= 100


def test_a_fraction_of_a_millisecond_is_rounded_up(client):
    assert client.execute("SET", "k", "v", "PX", 2) == "OK"
    client.set("key", "value", 0.0000001)
    client.set("other", "value", 3600.0004)
    assert 3599 < client.ttl("other") <= 3600.001


def test_numbers(client):
    assert [client.incr("n"), client.incr("n", 41), client.decr("n"), client.decr("n", 2**40)] == [1, 42, 41, 41 - 2**40]
    assert client.incr("n", -1) == 40 - 2**40


def test_several_keys(client):
    values = {f"key {n}": str(n) for n in range(300)}
    client.set_many({**values, "list": ["a"]}, ttl=50)
    assert 49 < client.ttl("list") <= 50
    found = client.get_many([*values, "none", "list"], decode=True)
    assert found == {**values, "list": ["a"]}
    assert list(found) == [*values, "list"]
    assert client.get_many(iter(["list"])) == client.get_many(("list",)) == client.get_many({"list"}) == {"list": [b"a"]}
    assert client.delete_many(["list", *values, "none"]) == 301
    assert client.get_many([]) == {} and client.delete_many([]) == 0
    assert client.set_many({}) is None
    for one in ("key", b"key", 5):
        with pytest.raises(errors.DataTypeError):
            client.get_many(one)


def test_walks(client):
    names = {f"key {n}" for n in range(500)}
    client.set_many({**dict.fromkeys(names, 1), "other": 1})
    assert set(client.keys("key*", decode=True)) == names
    assert len(client.keys()) == 501
    assert set(client.scan_iter("key*", count=7, decode=True)) == names
    assert {*client.scan_iter()} == {name.encode() for name in names} | {b"other"}
    client.flush_all()
    assert client.keys() == [] and list(client.scan_iter()) == []


def test_it_is_like_a_mapping(client):
    client["key"] = "value"
    assert client["key"] == b"value" and "key" in client
    del client["key"]
    assert "key" not in client and not client.exists("key")
    with pytest.raises(KeyError, match="'key'"):
        client["key"]
    with pytest.raises(KeyError):
        del client["key"]


def test_facts(client):
    info = client.info()
    assert info["redis_version"] == "7.0.15" and isinstance(info["uptime_in_seconds"], int)
    assert "used_memory" not in client.info("clients")
    assert client.ping() == "PONG"


def test_any_command(client):
    assert client.execute("SET", "key", 1) == "OK"
    assert client.execute(b"APPEND", "key", b"23") == 3
    assert client.execute("MGET", "key", "no") == [b"123", None]
    assert client.execute("CONFIG", "GET", "timeout", decode=True) == {"timeout": "0"}
    with pytest.raises(errors.ResponseError, match="FOO: ERR unknown command"):
        client.execute("FOO")


def test_pipelines(client):
    with client.pipeline() as pipe:
        assert pipe.set("a", 1).incr("a").get_many(["a", "b"]).get("a", decode=True).get("no", 5) is pipe
        assert len(pipe) == 5
    assert pipe.results == [True, 2, {"a": b"2"}, "2", 5]
    pipe.set("list", ["x"]).incr("list").set_many({"m": 1, "n": 2}).incr("n")
    with pytest.raises(errors.WrongTypeError, match="INCRBY"):
        pipe.run()
    assert pipe.results[0] is True and pipe.results[2:] == [None, 3]
    pipe.incr("list").get("m")
    first, second = pipe.run(raise_errors=False)
    assert isinstance(first, errors.WrongTypeError) and second == b"1"
    assert client.pipeline().run() == []
    with pytest.raises(RuntimeError), client.pipeline() as pipe:
        pipe.set("never", 1)
        raise RuntimeError
    assert len(pipe) == 0 and not client.exists("never")


def test_a_pipeline_longer_than_every_buffer(client):
    big = b"x" * 100_000
    pipe = client.pipeline()
    for number in range(200):
        pipe.set(f"key {number}", big).get(f"key {number}")
    assert pipe.run() == [True, big] * 200


def test_a_namespace_is_a_prefix(server, client):
    with antcache.Client(port=server.port, namespace="a*:") as spaced:
        spaced.set_many({"x": 1, "y": 2})
        client.set("ab:z", 3)
        assert sorted(client.keys()) == [b"a*:x", b"a*:y", b"ab:z"]
        assert sorted(spaced.keys()) == [b"x", b"y"] == sorted(spaced.scan_iter())
        assert spaced.get_many(["x", "z"]) == {"x": b"1"}
        assert "x" in spaced and spaced.delete("x") and not client.exists("a*:x")
        with pytest.raises(errors.DataError, match="every namespace"):
            spaced.flush_all()


def test_serializers(server):
    value = {"name": "Ada", "born": 1815, "tags": [None, True, 1.5]}
    packed = serializers.Compressed(serializers.json, threshold=10)
    for serializer in serializers.json, serializers.pickle, packed:
        with antcache.Client(port=server.port, serializer=serializer) as client:
            assert client.set("key", value) and client.get("key") == value == client["key"]
            client.set("key", None)
            assert client.get("key", "default") is None
            client.set_many({"a": [1], "b": 2})
            assert client.get_many(["a", "b", "c"]) == {"a": [1], "b": 2}
            with client.pipeline() as pipe:
                pipe.get("a")
            assert pipe.results == [[1]]


def test_text_by_default(server):
    with antcache.Client(port=server.port, decode=True) as client:
        client.set("key", "value")
        assert client.get("key") == "value" and client.get("key", decode=False) == b"value"
        assert client.keys() == ["key"]
        client.set("key", b"\xff")
        with pytest.raises(errors.DataError, match="not UTF-8"):
            client.get("key")
        assert client.get("key", decode=False) == b"\xff"


def test_the_old_protocol(server):
    with antcache.Client(port=server.port, protocol=2) as client:
        client.set_many({"a": 1, "b": ["x"]})
        assert client.get("a") == b"1" and client.get_many(["a", "b", "c"]) == {"a": b"1"}
        with pytest.raises(errors.WrongTypeError):
            client.get("b")


def test_passwords_and_unix_sockets(tmp_path):
    path = tmp_path / "socket"
    with antcache.Server(password="sesame", unix_socket=path) as server:
        for protocol in 2, 3:
            with antcache.Client(unix_socket=path, password="sesame", protocol=protocol) as client:
                assert client.node == str(path) and client.set("key", 1)
        with antcache.Client(port=server.port, password="guess") as client:
            with pytest.raises(errors.AuthenticationError, match=f":{server.port}: FETCH: WRONGPASS"):
                client.get("key")
        with antcache.Client(port=server.port, protocol=2) as client:
            with pytest.raises(errors.AuthenticationError, match="NOAUTH"):
                client.get("key")


BAD_KEYS = [(1, errors.DataTypeError), (None, errors.DataTypeError), (["a"], errors.DataTypeError), ("", errors.DataError)]
BAD_KEYS += [("x" * 65536, errors.DataError), ("\ud800", errors.DataError)]


@pytest.mark.parametrize("key, error", BAD_KEYS, ids=lambda value: repr(value)[:20])
def test_bad_keys(client, key, error):
    calls = [
        lambda: client.get(key),
        lambda: client.set(key, 1),
        lambda: client.get_many([key]),
        lambda: client.set_many([(key, 1)] if isinstance(key, list) else {key: 1}),
        lambda: client.incr(key),
        lambda: client.pipeline().get(key),
        lambda: client[key],
    ]
    for call in calls:
        with pytest.raises((error, TypeError) if isinstance(key, list) else error) as caught:
            call()
        if isinstance(caught.value, errors.Error):
            assert caught.value.node == client.node and caught.value.command in str(caught.value)
    assert client.ping() == "PONG"


@pytest.mark.parametrize("key", ["a\0b", b"\n", "\r\n", " ", "é", "x" * 65535], ids=lambda key: repr(key)[:10])
def test_odd_keys_are_legal(client, key):
    client.set(key, "value")
    assert client.get(key) == b"value" and key in client
    assert client.keys() == [key.encode() if isinstance(key, str) else key]


@pytest.mark.parametrize("ttl", [0, -1, math.nan, math.inf, -math.inf, 1e300, 10**400, datetime.timedelta(0), "5", True])
def test_bad_times_to_live(client, ttl):
    for call in (
        lambda: client.set("key", 1, ttl),
        lambda: client.set("key", ["x"], ttl),
        lambda: client.set_many({"key": 1}, ttl),
        lambda: client.expire("key", ttl),
        lambda: client.touch("key", ttl),
    ):
        with pytest.raises(errors.DataError, match="a ttl must be"):
            call()
    assert not client.exists("key")


@pytest.mark.parametrize("value", [1.5, None, True, object(), [[1]], {"a": {}}, {1.5: "a"}, [None], set()], ids=repr)
def test_bad_values(client, value):
    with pytest.raises(errors.DataTypeError, match="must be str, bytes or int, not"):
        client.set("key", value)


def test_more_bad_arguments(client):
    for call in (
        lambda: client.set("key", []),
        lambda: client.set("key", {}),
        lambda: client.set("key", ["x"], xx=True),
        lambda: client.set("key", "x", nx=True, xx=True),
        lambda: client.execute(),
        lambda: client.execute(""),
        lambda: client.execute("SET", "key", 1.5),
        lambda: client.incr("key", 1.5),
        lambda: client.incr("key", 2**63),
        lambda: client.incr("key", "1"),
    ):
        with pytest.raises(errors.DataError):
            call()
    for kwargs in (
        {"pool_size": 0},
        {"timeout": 0},
        {"timeout": -1},
        {"connect_timeout": math.nan},
        {"busy_poll": -1},
        {"busy_poll": 0.01},
        {"busy_poll": math.nan},
        {"protocol": 4},
    ):
        with pytest.raises(ValueError, match="must be"):
            antcache.Client(**kwargs)


def test_a_closed_client(server):
    client = antcache.Client(port=server.port)
    client.set("key", 1)
    client.close()
    client.close()
    assert client.closed
    for call in (lambda: client.get("key"), lambda: client.get_many([]), client.pipeline().get("key").run, client.info):
        with pytest.raises(errors.ClosedError, match="closed"):
            call()


def test_nobody_listens(dead):
    with antcache.Client(port=dead) as client:
        with pytest.raises(errors.ConnectionError, match=f"127.0.0.1:{dead}: FETCH: cannot connect") as caught:
            client.get("key")
        assert isinstance(caught.value, ConnectionError)
        assert caught.value.node == f"127.0.0.1:{dead}" and caught.value.command == "FETCH"


def test_a_pool_is_shared_by_threads(server):
    with antcache.Client(port=server.port, pool_size=3) as client:
        failures = []

        def work(number):
            try:
                for step in range(100):
                    client.set(f"{number}:{step}", step)
                    assert client.get(f"{number}:{step}") == b"%d" % step
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        clients = client.info("clients")["connected_clients"]
        assert clients <= 4, "three of the pool, and the one that another fixture may have"


def test_a_child_of_a_fork_has_its_own_connections(server, client):
    client.set("key", "parent")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client.set("key", "child")
            os.write(write, client.get("key"))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100) == b"child"
    assert client.get("key") == b"child"


def test_a_signal_ends_a_wait(fake):
    hung = fake(lambda connection, number: time.sleep(60))

    class Ring(Exception):
        pass

    def ring(number, frame):
        raise Ring

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with antcache.Client(port=hung.port, protocol=2, timeout=30) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            start = time.monotonic()
            with pytest.raises(Ring):
                client.get("key")
            assert time.monotonic() - start < 10
    finally:
        signal.signal(signal.SIGALRM, before)
