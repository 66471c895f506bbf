"""The embedded cache, the decorators, the server, and what a fork leaves of them."""

import asyncio
import contextlib
import inspect
import math
import os
import pickle
import sys
import threading

import antcache
import pytest
from antcache import Cache, cached, errors, serializers
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

VALUES = [b"bytes", "text", "\ud800", b"", "", 5, None, {"a": [1, (2, 3)]}, frozenset({1}), 1.5, "x" * 5000, b"y" * 70000]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_values_come_back_equal(value):
    cache = Cache()
    assert cache.set("key", value) is True
    assert cache.get("key") == value and type(cache["key"]) is type(value)


def test_it_is_a_mapping():
    cache = Cache()
    cache["a"] = 1
    cache[b"a"] = 2
    assert (cache["a"], cache[b"a"], len(cache)) == (1, 2, 2), "as in a dict, they are two keys"
    assert dict(cache) == {"a": 1, b"a": 2} == dict(cache.items()) and sorted(cache.values()) == [1, 2]
    assert "a" in cache and "b" not in cache and list(cache.keys() & {"a", "b"}) == ["a"]
    assert cache.pop("a") == 1 and cache.pop("a", 5) == 5 and cache.setdefault("c", 3) == 3
    cache.update({"d": 4}, e=5)
    assert cache == {b"a": 2, "c": 3, "d": 4, "e": 5} and bool(Cache())
    with pytest.raises(KeyError):
        cache["a"]
    with pytest.raises(KeyError):
        del cache["a"]
    assert cache.popitem()[0] not in cache
    cache.clear()
    assert len(cache) == 0 and list(cache) == []


def test_get_takes_its_arguments_in_every_way():
    cache, default = Cache(), object()
    cache["a"] = "x"
    cache[b"a"] = b"y"
    for key, value in ("a", "x"), (b"a", b"y"), (bytearray(b"a"), b"y"):
        assert cache.get(key) == cache.get(key=key) == cache.get(key, default) == cache.get(default=default, key=key) == value
    assert cache.get("b") is cache.get("b", None) is cache.get(key="b") is None
    assert cache.get("b", default) is cache.get("b", default=default) is cache.get(default=default, key="b") is default
    assert antcache.Cache.get(cache, "a") == "x"

    class Derived(Cache):
        def get(self, key, default=None):
            return super().get(key, default) or "derived"

    derived = Derived()
    derived["a"] = 1
    assert (derived.get("a"), derived.get("b")) == (1, "derived")
    refused = [((), {}), (("a", 1, 2), {}), (("a",), {"key": "a"}), (("a",), {"other": 1}), ((1,), {}), ((None, 1), {}), ((), {"default": 1})]
    for args, named in refused:
        with pytest.raises(TypeError):
            cache.get(*args, **named)
    with pytest.raises(TypeError):
        antcache.Cache.get({}, "a")
    with pytest.raises(errors.DataError):
        cache.get("\ud800")
    signature = inspect.signature(antcache.Cache.get)
    assert str(signature) == "(self, /, key, default=None)" and antcache.Cache.get.__doc__


def test_get_counts_references_as_it_should():
    cache, key, default, wrong = Cache(), "k" * 20, object(), object()
    cache["there"] = "x" * 20

    def ask():
        cache.get(key, default)
        cache.get("there", default)
        cache.get(key=key, default=default)
        for args in (wrong,), (key, default, wrong):
            with contextlib.suppress(TypeError):
                cache.get(*args)

    ask()
    objects = [cache, key, default, wrong, None]
    before = [sys.getrefcount(thing) for thing in objects]
    for _ in range(1000):
        ask()
    after = [sys.getrefcount(thing) for thing in objects]
    assert all(abs(more - less) < 100 for less, more in zip(before, after)), (before, after)


def test_times_to_live_and_conditions():
    cache = Cache(ttl=1000)
    cache["a"] = 1
    cache.set("b", 1, 5)
    assert 999 < cache.ttl("a") <= 1000 and 4 < cache.ttl("b") <= 5 and cache.ttl("c") is None
    assert cache.expire("a", None) is True and cache.ttl("a") == math.inf and cache.expire("c", 5) is False
    assert (cache.set("a", 2, nx=True), cache.set("d", 2, xx=True), cache.set("a", 2, xx=True)) == (False, False, True)
    cache.set("short", 1, 0.001)
    while "short" in cache:
        pass
    assert cache.get("short", "gone") == "gone"


def test_bounds():
    cache = Cache(max_memory=1 << 20)
    for number in range(50_000):
        cache[str(number)] = "x" * 50
    stats = cache.stats()
    assert stats["memory"] <= 1 << 20 and stats["evictions"] > 0 and stats["entries"] == len(cache)
    small = Cache(max_entries=10)
    for number in range(100):
        small[str(number)] = number
    assert len(small) <= 10 and small.max_entries == 10 and small.max_memory is None
    full = Cache(max_entries=1, eviction="none")
    full["a"] = 1
    with pytest.raises(errors.FullError, match=r"cache: \[\]: the cache is full"):
        full["b"] = 1
    with pytest.raises(errors.DataError, match="larger"):
        cache["big"] = "x" * (2 << 20)


def test_bad_arguments():
    cache = Cache()
    for key in (5, None, ["a"]):
        with pytest.raises(errors.DataTypeError, match="cache: get: a key must be str or bytes"):
            cache.get(key)
    with pytest.raises(errors.DataError, match="bytes"):
        cache["x" * 70_000] = 1
    for ttl in (0, -1, math.nan, "5"):
        with pytest.raises(errors.DataError, match="a ttl must be"):
            cache.set("key", 1, ttl)
    with pytest.raises(errors.DataError, match="exclude"):
        cache.set("key", 1, nx=True, xx=True)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        cache["key"] = lambda: None
    for kwargs in ({"max_memory": 0}, {"max_entries": 0}, {"eviction": "fifo"}, {"ttl": -1}):
        with pytest.raises(ValueError):
            Cache(**kwargs)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(cache)


def test_one_thread_loads_and_the_others_wait():
    cache = Cache()
    gate, loads = threading.Event(), []

    def load():
        loads.append(1)
        gate.wait(20)
        return "loaded"

    results = []
    threads = [threading.Thread(target=lambda: results.append(cache.get_or_set("key", load))) for _ in range(8)]
    for thread in threads:
        thread.start()
    while not loads:
        pass
    gate.set()
    for thread in threads:
        thread.join()
    assert results == ["loaded"] * 8 and len(loads) == 1
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("other", lambda: 1 / 0)
    assert cache.get_or_set("other", lambda: 5, 100) == 5 and cache.ttl("other") > 90


def test_memoize():
    cache = Cache(max_entries=1000)
    calls = []

    @cache.memoize(ttl=100)
    def add(a, b=0, **rest):
        """Adds."""
        calls.append((a, b))
        return a + b

    assert [add(1, 2), add(1, 2), add(1, b=2), add(a=1, b=2), add([1], [2])] == [3, 3, 3, 3, [1, 2]]
    assert add.__doc__ == "Adds." and add.__wrapped__(1) == 1
    info = add.cache_info()
    assert (info.hits, info.misses, info.maxsize, info.currsize) == (1, 4, 1000, 4)
    add.cache_clear()
    assert add.cache_info() == (0, 0, 1000, 0) and add(1, 2) == 3 and len(calls) == 6


KEYS = st.one_of(st.text(max_size=3), st.binary(max_size=3))


class AgainstADict(RuleBasedStateMachine):
    """Whatever is done to a cache without bounds, it holds what a dict would."""

    @initialize()
    def begin(self):
        self.cache, self.model = Cache(), {}

    @rule(key=KEYS, value=st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.lists(st.integers())))
    def set(self, key, value):
        self.cache[key] = self.model[key] = value

    @rule(key=KEYS, default=st.integers())
    def get(self, key, default):
        assert self.cache.get(key, default) == self.model.get(key, default)

    @rule(key=KEYS)
    def delete(self, key):
        assert self.cache.delete(key) == (self.model.pop(key, self) is not self)

    @rule()
    def compare(self):
        assert dict(self.cache) == self.model and len(self.cache) == len(self.model)

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.clear()


AgainstADict.TestCase.settings = settings(max_examples=50, deadline=None)
TestAgainstADict = AgainstADict.TestCase

WORDS = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.binary(max_size=20))
VALUE = st.one_of(
    WORDS, st.integers(), st.lists(WORDS, min_size=1, max_size=5), st.dictionaries(WORDS, WORDS, min_size=1, max_size=5)
)


def as_stored(value):
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    if isinstance(value, dict):
        return {as_stored(key): as_stored(item) for key, item in value.items()}
    return value if isinstance(value, bytes) else str(value).encode()


@settings(deadline=None)
@given(key=WORDS.filter(len), value=VALUE, ttl=st.one_of(st.none(), st.floats(10, 1e6)))
def test_every_value_comes_back_from_a_server(one, key, value, ttl):
    with antcache.Client(port=one.port) as client:
        client.set(key, value, ttl)
        assert client.get(key) == as_stored(value) == client.get_many([key])[key] == client[key]
        assert client.ttl(key) == math.inf if ttl is None else ttl - 5 < client.ttl(key) <= ttl + 0.001


@settings(deadline=None)
@given(text=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part)))
def test_serializers_give_back_what_they_took(text):
    for serializer in serializers.json, serializers.pickle, serializers.Compressed(serializers.json, threshold=5):
        dumped = serializer.dumps(text)
        assert serializer.loads(dumped.encode() if isinstance(dumped, str) else dumped) == text


# cached()


def stores(one):
    return [
        antcache.Client(port=one.port),
        antcache.Client(port=one.port, serializer=serializers.pickle),
        antcache.Client(port=one.port, decode=True),
        antcache.ShardedClient([f"127.0.0.1:{one.port}"]),
        Cache(),
    ]


def test_a_function_is_called_once_for_its_arguments(one):
    for store in stores(one):
        with antcache.Client(port=one.port) as client:
            client.flush_all()
        calls = []

        @cached(store, ttl=100)
        def area(width, height=1):
            calls.append((width, height))
            return {"area": width * height, "none": None}

        assert area(3, 4) == area(3, height=4) == area(width=3, height=4) == {"area": 12, "none": None}
        assert area(3) == area(3, 1) and calls == [(3, 4), (3, 1)]
        assert area.forget(3, 4) is True and area.forget(3, 4) is False
        assert area(3, 4)["area"] == 12 and len(calls) == 3
        assert area.cache_key(3, 4).endswith("area(3,4)")


def test_none_is_a_result(one):
    for store in stores(one):
        calls = []

        @cached(store)
        def nothing(store_number, calls=None):
            return seen.append(1)

        seen = []
        key = id(store)
        assert nothing(key) is None and nothing(key) is None and len(seen) == 1
        del calls


def test_arguments_without_a_text_of_their_own_need_a_key(one):
    with antcache.Client(port=one.port) as client:

        @cached(client)
        def bad(argument):
            return 1

        with pytest.raises(errors.DataTypeError, match="type object needs cached"):
            bad(object())

        @cached(client, key=lambda user: f"user:{user['id']}")
        def name(user):
            return user["name"]

        assert name({"id": 1, "name": "Ada"}) == name({"id": 1, "name": "other"}) == "Ada"
        assert bad((1, "a", (None, b"x"))) == 1


def test_of_several_threads_one_calls(one):
    for store in stores(one):
        with antcache.Client(port=one.port) as client:
            client.flush_all()
        gate, calls = threading.Event(), []

        @cached(store)
        def slow(number):
            calls.append(number)
            gate.wait(20)
            return number

        results = []
        threads = [threading.Thread(target=lambda: results.append(slow(7))) for _ in range(5)]
        for thread in threads:
            thread.start()
        while not calls:
            pass
        gate.set()
        for thread in threads:
            thread.join()
        assert results == [7] * 5 and calls == [7]

        @cached(store)
        def failing():
            calls.append("failing")
            raise RuntimeError

        for _ in range(2):
            with pytest.raises(RuntimeError):
                failing()
        assert calls.count("failing") == 2, "an exception is not remembered"


def test_of_several_tasks_one_calls(one):
    async def main():
        for store in (antcache.AsyncClient(port=one.port), antcache.AsyncShardedClient([f"127.0.0.1:{one.port}"])):
            await store.flush_all()
            calls = []

            @cached(store, ttl=100)
            async def slow(number):
                calls.append(number)
                await asyncio.sleep(0.01)
                return number

            assert await asyncio.gather(*(slow(n % 2) for n in range(10))) == [0, 1] * 5
            assert sorted(calls) == [0, 1]
            # One who waits is cancelled, and one who calls: the next calls instead.
            await slow.forget(0)
            first, second = asyncio.ensure_future(slow(0)), asyncio.ensure_future(slow(0))
            await asyncio.sleep(0.005)
            first.cancel()
            assert await second == 0
            await store.close()

    asyncio.run(main())


# The server, and forks.


def test_a_server():
    with antcache.Server() as server:
        assert server.port > 0 and server.host == "127.0.0.1" and server.unix_socket is None and not server.stopped
        with antcache.Client(port=server.port) as client:
            assert client.info("server")["tcp_port"] == server.port
        with pytest.raises(OSError, match="in use"):
            antcache.Server(port=server.port)
    assert server.stopped and "stopped" in repr(server)
    server.stop()
    with antcache.Client(port=server.port) as client:
        with pytest.raises(errors.ConnectionError):
            client.ping()
    for kwargs in ({"runtime": "tokio"}, {"architecture": "both"}, {"eviction": "fifo"}, {"max_memory": 0}):
        with pytest.raises(ValueError):
            antcache.Server(**kwargs)
    with pytest.raises(OSError, match="cannot listen"):
        antcache.Server(host="192.0.2.1")


def test_a_bounded_server():
    with antcache.Server(max_memory=16 << 20, eviction="lru") as server, antcache.Client(port=server.port) as client:
        assert client.info("memory")["maxmemory"] == 16 << 20


def test_a_child_of_a_fork_leaves_the_server_alone():
    with antcache.Server() as server:

        async def use(client):
            await client.ping()
            return client

        loop = asyncio.new_event_loop()
        client = loop.run_until_complete(use(antcache.AsyncClient(port=server.port)))
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                failures = []
                for call in (server.stop, lambda: loop.run_until_complete(client.ping())):
                    try:
                        call()
                    except errors.ForkError:
                        failures.append(1)
                del server
                status = 0 if len(failures) == 2 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert loop.run_until_complete(client.ping()) == "PONG"
        loop.run_until_complete(client.close())
        loop.close()
        with antcache.Client(port=server.port) as other:
            assert other.ping() == "PONG"


def test_the_plugin(antcache_server, antcache_client):
    assert antcache_client.keys() == [] and antcache_server.port
    antcache_client.set("key", 1)


def test_the_plugin_empties_the_server(antcache_client):
    assert antcache_client.keys() == []
