"""The sharded clients: against three real servers, against the real twemproxy, and with nodes that fail."""

import asyncio
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys

import antcache
import pytest
from antcache import AsyncShardedClient, Node, ShardedClient, errors

NUTCRACKER = "/usr/sbin/nutcracker"
if not pathlib.Path(NUTCRACKER).exists():
    NUTCRACKER = shutil.which("nutcracker")


@pytest.fixture(scope="module")
def running():
    servers = [antcache.Server() for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def three(running):
    """Three servers without keys."""
    for server in running:
        with antcache.Client(port=server.port) as client:
            client.flush_all()
    return running


def addresses(servers):
    return [f"127.0.0.1:{server.port}" for server in servers]


def test_keys_lie_where_they_are_asked(three):
    values = {f"key {n}": f"value {n}" for n in range(300)}
    with ShardedClient(addresses(three), decode=True, hash="murmur") as client:
        client.set_many(values)
        assert client.get_many([*values, "none"]) == values
        assert list(client.get_many(["key 9", "none", "key 1"])) == ["key 9", "key 1"]
        held = []
        for server in three:
            with antcache.Client(port=server.port, decode=True) as node:
                keys = node.keys()
                held += keys
                assert {client.node_of(key) for key in keys} == {node.node}
                assert 50 < len(keys) < 150
        assert sorted(held) == sorted(values) == sorted(client.keys()) == sorted(client.scan_iter())
        assert client.delete_many(["key 1", "key 2", "none"]) == 2
        assert all(stats.answered and not stats.failed and not stats.down for stats in client.stats())


def test_every_method(three):
    with ShardedClient(addresses(three), decode=True, namespace="n:") as client:
        assert client.set("key", "value", 100) and not client.set("key", "other", nx=True)
        assert client.get("key") == "value" and client.get("no", 5) == 5 and client.get("key", decode=False) == b"value"
        assert 99 < client.ttl("key") <= 100 and client.expire("key", 9) and client.persist("key")
        assert client.touch("key", 5) and client.exists("key") and client.type("key") == "string"
        assert (client.incr("n"), client.incr("n", 9), client.decr("n", 4)) == (1, 10, 6)
        client["item"] = "x"
        assert client["item"] == "x" and "item" in client
        del client["item"]
        with pytest.raises(KeyError):
            client["item"]
        with pytest.raises(KeyError):
            del client["item"]
        assert client.execute("STRLEN", "n:key") == 5
        assert client.delete("key") is True
        assert set(client.ping().values()) == {"PONG"} and set(client.ping()) == set(addresses(three))
        assert all(info["redis_version"] for info in client.info("server").values())
        with client.pipeline() as pipe:
            for number in range(20):
                pipe.set(f"p{number}", number).incr(f"p{number}")
        assert pipe.results == [result for number in range(20) for result in (True, number + 1)]
        pipe.set("list", ["x"]).incr("list").get("p3")
        with pytest.raises(errors.WrongTypeError):
            pipe.run()
        assert pipe.results[0] is True and pipe.results[2] == "4"
        for bad in (lambda: client.get(""), lambda: client.get_many("key"), lambda: client.execute("PING"), lambda: client.get(1)):
            with pytest.raises(errors.DataError):
                bad()
    with ShardedClient(addresses(three)) as client:
        client.flush_all()
        assert client.keys() == []


def test_the_same_with_tasks(three):
    async def main():
        async with AsyncShardedClient(addresses(three), decode=True) as client:
            values = {f"key {n}": f"value {n}" for n in range(300)}
            await client.set_many(values, ttl=100)
            assert await client.get_many([*values, "none"]) == values
            assert await asyncio.gather(*(client.get(key) for key in values)) == list(values.values())
            assert sorted(await client.keys()) == sorted(values)
            assert {key async for key in client.scan_iter()} == set(values)
            assert await client.delete("key 1") and await client.delete_many(["key 1", "key 2"]) == 1
            assert await client.incr("n") == 1 and await client.decr("n") == 0
            assert await client.exists("n") and await client.type("n") == "string" and await client.ttl("n") > 1e9
            assert await client.set("a", 1) and await client.expire("a", 9) and await client.persist("a")
            assert await client.touch("a") and await client.execute("STRLEN", "a") == 1
            assert set((await client.ping()).values()) == {"PONG"} and len(await client.info("server")) == 3
            async with client.pipeline() as pipe:
                pipe.set("x", 1).incr("x").get("y", "none")
            assert pipe.results == [True, 2, "none"]
            await client.flush_all()
            assert await client.keys() == []

    asyncio.run(main())


def places(options):
    """Where a ring of three nodes puts a few keys, computed by another interpreter."""
    program = f"""
import antcache
client = antcache.ShardedClient([antcache.Node(port=1, name=name) for name in "abc"], **{options!r})
print("".join(client.node_of(f"key {{n}}") for n in range(200)))
"""
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout


def test_every_process_places_alike():
    for options in ({}, {"distribution": "rendezvous", "hash": "md5"}, {"distribution": "jump", "hash": "murmur3"}):
        assert places(options) == places(options)


@pytest.mark.parametrize("distribution", ["ketama", "rendezvous", "jump"])
def test_a_node_that_comes_or_goes_moves_its_own_keys_only(distribution):
    nodes = [Node(port=1, name=f"node {n}") for n in range(10)]
    keys = [f"key {n}" for n in range(5000)]
    with ShardedClient(nodes, distribution=distribution) as client:
        before = [client.node_of(key) for key in keys]
        client.add_node(Node(port=1, name="new"))
        after = [client.node_of(key) for key in keys]
        moved = [new for old, new in zip(before, after, strict=True) if old != new]
        assert set(moved) == {"new"}
        assert 0.5 < len(moved) / (len(keys) / 11) < 1.6
        client.remove_node("new")
        assert [client.node_of(key) for key in keys] == before
        assert [node.name for node in client.nodes] == [node.name for node in nodes]
        with pytest.raises(ValueError, match="no node 'new'"):
            client.remove_node("new")
        with pytest.raises(ValueError):
            client.add_node(nodes[0])


def test_nodes_that_come_and_go_in_use(three):
    names = addresses(three)
    with ShardedClient(names[:2], hash="murmur") as client:
        client.set_many({f"key {n}": n for n in range(100)})
        client.add_node(names[2])
        kept = len(client.get_many([f"key {n}" for n in range(100)]))
        assert 50 < kept < 95
        client.set_many({f"key {n}": n for n in range(100)})
        client.remove_node(names[0])
        assert len(client.stats()) == 2
        client.set_many({f"key {n}": n for n in range(100)})
        assert len(client.get_many([f"key {n}" for n in range(100)])) == 100


def test_settings_that_make_no_sense():
    node = "127.0.0.1:1"
    for nodes, options in [
        ([], {}),
        ([node, node], {}),
        ([node], {"distribution": "modulo"}),
        ([node], {"hash": "sha1"}),
        ([node], {"hash_tag": "{"}),
        ([node], {"weights": [1, 2]}),
        ([node], {"weights": [0]}),
        ([node], {"on_node_down": "panic"}),
        ([node], {"retry_after": 0}),
        (["127.0.0.1:port"], {}),
        (["127.0.0.1:0"], {}),
        ([":80"], {}),
        ([node], {"pool_size": 0}),
    ]:
        for kind in ShardedClient, AsyncShardedClient:
            with pytest.raises(ValueError):
                kind(nodes, **options)


# Nodes that fail.


def keys_of(client, name, count=5):
    """Some keys of a node."""
    found = (f"key {n}" for n in range(10_000))
    return [key for key in found if client.node_of(key) == name][:count]


def test_a_dead_node_is_ejected_and_comes_back(three):
    with antcache.Server() as server:
        port = server.port
    live = addresses(three)[:2]
    lost = f"127.0.0.1:{port}"
    with ShardedClient([*live, lost], failures=2, retry_after=0.05, longest_retry_after=0.1, hash="murmur") as client:
        key = keys_of(client, lost)[0]
        other = keys_of(client, live[0])[0]
        for _ in range(2):
            with pytest.raises(errors.ConnectionError, match=f"{lost}: FETCH: cannot connect"):
                client.get(key)
        stats = client.stats()[2]
        assert (stats.failed, stats.ejections, stats.down) == (2, 1, True) and 0 <= stats.retry_in <= 0.1
        assert client.set(other, 1) and client.get(other) == b"1"
        # What is asked meanwhile is not sent, or is the one try of its time.
        for _ in range(50):
            with pytest.raises(errors.ConnectionError):
                client.get(key)
        assert client.stats()[2].avoided > 0
        with antcache.Server(port=port):
            while True:
                try:
                    assert client.set(key, "back") is True
                    break
                except errors.ConnectionError:
                    continue
            assert client.get(key) == b"back" and not client.stats()[2].down


def test_what_is_missing_while_a_node_is_down(three, dead):
    lost = f"127.0.0.1:{dead}"
    with ShardedClient([*addresses(three), lost], failures=1, retry_after=60, on_node_down="miss", hash="murmur") as client:
        key, *others = keys_of(client, lost)
        assert client.get(key, "default") == "default"
        assert client.set(key, 1) is False and client.delete(key) is False and client.ttl(key) is None
        assert client.exists(key) is False and client.type(key) is None and client.touch(key) is False
        with pytest.raises(errors.NodeDownError, match=f"{lost}: incr: the node is down"):
            client.incr(key)
        values = {f"key {n}": str(n).encode() for n in range(100)}
        client.set_many(values)
        found = client.get_many(values)
        assert 50 < len(found) < 100 and found.items() <= values.items()
        assert client.delete_many(values) == len(found)
        pipe = client.pipeline().get(key, 7).set(key, 1)
        assert pipe.run() == [7, False]


def test_the_others_take_over_a_dead_node_s_keys(three, dead):
    lost = f"127.0.0.1:{dead}"
    with ShardedClient([*addresses(three), lost], failures=1, retry_after=60, on_node_down="rehash", hash="murmur") as client:
        values = {f"key {n}": str(n).encode() for n in range(200)}
        client.set_many(values)
        assert client.get_many(values) == values
        assert client.incr("key 7") == 8
        assert [stats.down for stats in client.stats()] == [False, False, False, True]

    async def main():
        nodes = [*addresses(three), lost]
        async with AsyncShardedClient(nodes, failures=1, retry_after=60, on_node_down="rehash", hash="murmur") as client:
            await asyncio.gather(*(client.set(key, value) for key, value in values.items()))
            assert await client.get_many(values) == values

    asyncio.run(main())


def test_several_nodes_are_asked_at_once(fake):
    """Each of two servers answers only once both have been asked."""
    asked = []

    def talk(connection, number):
        connection.recv(65536)
        asked.append(1)
        while len(asked) < 2:
            pass
        connection.sendall(b"$1\r\nx\r\n")
        connection.recv(65536)

    nodes = [Node(port=fake(talk).port, name=name) for name in "ab"]
    with ShardedClient(nodes, protocol=2, timeout=20) as client:
        keys = [keys_of(client, name)[0] for name in "ab"]
        assert client.get_many(keys) == dict.fromkeys(keys, b"x")


def test_a_slow_node_fails_alone(three, fake):
    def hang(connection, number):
        while connection.recv(65536):
            pass

    nodes = [Node(port=fake(hang).port, name="slow"), Node(port=three[0].port, name="fast")]
    with ShardedClient(nodes, timeout=0.3, protocol=2, on_node_down="miss") as client:
        slow, fast = keys_of(client, "slow"), keys_of(client, "fast")
        client.set_many(dict.fromkeys(fast, "v"))
        assert client.get_many([*slow, *fast]) == dict.fromkeys(fast, b"v")


# The real twemproxy.


def test_twemproxy_places_the_same_keys(three, tmp_path):
    """Two of every ten hashes and settings; the ring's own tests in Rust try them all."""
    if NUTCRACKER is None:
        pytest.skip("nutcracker, the Debian package of twemproxy, is not installed")
    pools = [
        ("plain", {}, [1, 1, 1]),
        ("weighted", {"hash": "murmur"}, [1, 2, 5]),
        ("tagged", {"hash": "md5", "hash_tag": "{}"}, [1, 1, 1]),
    ]
    settings = "".join(
        f"""{name}:
  listen: {tmp_path}/{name} 0600
  redis: true
  distribution: ketama
  hash: {options.get("hash", "fnv1a_64")}
"""
        + (f'  hash_tag: "{options["hash_tag"]}"\n' if "hash_tag" in options else "")
        + "  servers:\n"
        + "".join(f"    - {node}:{weight}\n" for node, weight in zip(addresses(three), weights, strict=True))
        for name, options, weights in pools
    )
    (tmp_path / "conf.yml").write_text(settings)
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    command = [NUTCRACKER, "-c", tmp_path / "conf.yml", "-a", "127.0.0.1", "-s", str(port), "-p", tmp_path / "pid"]
    proxy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for name, options, weights in pools:
            compare_with_proxy(proxy, three, tmp_path / name, options, weights)
    finally:
        proxy.terminate()
        proxy.wait()


def compare_with_proxy(proxy, servers, path, options, weights):
    chance = random.Random(8)
    keys = [f"user:{{{n % 700}}}:{n}".encode() for n in range(8000)]
    keys += [chance.randbytes(chance.randint(1, 40)) for _ in range(2000)]
    keys = sorted(set(keys))
    for server in servers:
        with antcache.Client(port=server.port) as client:
            client.flush_all()
    with antcache.Client(unix_socket=path, protocol=2, retry=0) as through:
        while True:
            assert proxy.poll() is None, "nutcracker ended"
            try:
                through.set("first", 1)
                break
            except errors.ConnectionError:
                continue
        for start in range(0, len(keys), 500):
            pipe = through.pipeline()
            for key in keys[start : start + 500]:
                pipe.set(key, "x")
            pipe.run()
    with ShardedClient(addresses(servers), weights=weights, **options) as client:
        placed = {node: set() for node in addresses(servers)}
        for key in keys:
            placed[client.node_of(key)].add(key)
        assert len(client.get_many(keys)) == len(keys)
    for server, node in zip(servers, addresses(servers), strict=True):
        with antcache.Client(port=server.port) as one:
            assert set(one.keys()) - {b"first"} == placed[node]
