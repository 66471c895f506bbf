"""redis-py, as it comes, against every architecture in both versions of its protocol."""

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(request, server):
    with redis.Redis(port=server.port, protocol=request.param, decode_responses=True, socket_timeout=10) as client:
        yield client


def test_strings(client):
    assert client.ping()
    assert client.set("a", "1") is True
    assert client.get("a") == "1"
    assert client.set("a", "2", nx=True) is None
    assert client.set("a", "2", xx=True, get=True) == "1"
    assert client.incrby("a", 40) == 42
    assert client.incrbyfloat("a", 0.5) == 42.5
    assert client.append("a", "!") == 5
    assert client.getrange("a", 0, 1) == "42"
    assert client.getdel("a") == "42.5!"
    assert client.get("a") is None
    assert client.mset({"x": "1", "y": "2"}) is True
    assert client.mget("x", "nothing", "y") == ["1", None, "2"]
    assert client.exists("x", "y", "z") == 2
    assert client.delete("x", "y", "z") == 2


def test_bytes_survive(server):
    with redis.Redis(port=server.port, socket_timeout=10) as client:
        value = bytes(range(256)) * 100
        client.set(b"\r\n\0\xff", value)
        assert client.get(b"\r\n\0\xff") == value


def test_time_to_live(client):
    client.set("k", "v", ex=1000)
    assert 0 < client.ttl("k") <= 1000
    assert client.persist("k") is True
    assert client.ttl("k") == -1
    assert client.pexpire("k", 500_000, gt=True) is False
    assert client.pexpireat("k", 1) is True
    assert client.get("k") is None
    assert client.ttl("k") == -2


def test_arrays_and_objects(client):
    assert client.execute_command("SETS", "list", "a", "b c", "d") == "OK"
    assert client.lrange("list", 0, -1) == ["a", "b c", "d"]
    assert client.llen("list") == 3
    assert client.lindex("list", -1) == "d"
    assert client.type("list") == "list"
    assert client.execute_command("SETX", "hash", "f", "1", "g", "2") == "OK"
    assert client.hgetall("hash") == {"f": "1", "g": "2"}
    assert client.hmget("hash", ["g", "none"]) == ["2", None]
    assert sorted(client.hkeys("hash")) == ["f", "g"]
    assert client.hexists("hash", "f") is True
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE"):
        client.get("list")


def test_many_keys(client):
    names = {f"key:{n}" for n in range(1000)}
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.set(name, name.upper())
        assert pipeline.execute() == [True] * len(names)
    assert client.dbsize() == len(names)
    assert set(client.scan_iter(match="key:*", count=50)) == names
    assert set(client.keys("key:99?")) == {f"key:{n}" for n in range(990, 1000)}
    assert client.randomkey() in names
    assert client.rename("key:1", "renamed") is True
    assert client.flushall() is True
    assert client.dbsize() == 0


def test_what_monitors_read(client):
    info = client.info()
    assert info["role"] == "master" and info["connected_clients"] >= 1 and info["tcp_port"] > 0
    assert info["process_id"] > 0 and info["used_memory_rss"] > 0 and info["arch_bits"] == 64
    assert client.config_get("maxclients") == {"maxclients": "10000"}
    assert client.client_setname("tester") is True
    assert client.client_getname() == "tester"
    assert client.command_count() > 50
    with pytest.raises(redis.ResponseError, match="^unknown command"):
        client.execute_command("NOSUCH", "x")


def test_password(start):
    server = start("--host", "127.0.0.1", "--password", "open sesame")
    for protocol in (2, 3):
        with redis.Redis(port=server.port, password="open sesame", protocol=protocol, socket_timeout=10) as client:
            assert client.set("k", "v")
    # As it comes it tries again after seconds, as if a password could become right.
    once = Retry(NoBackoff(), 0)
    for password in (None, "wrong"):
        with redis.Redis(port=server.port, password=password, retry=once, socket_timeout=10) as client:
            with pytest.raises(redis.AuthenticationError):
                client.get("k")


def test_a_unix_socket(start, tmp_path):
    path = tmp_path / "cache.sock"
    start("--unix-socket", path)
    with redis.Redis(unix_socket_path=str(path), socket_timeout=10) as client:
        assert client.set("k", "v") and client.get("k") == b"v"
