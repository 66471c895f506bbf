"""The asyncio client: the same methods, and what only tasks can do to a connection."""

import asyncio
import random

import antcache
import pytest
from antcache import errors, serializers

try:
    import uvloop
except ImportError:
    uvloop = None

LOOPS = [asyncio.new_event_loop] + ([uvloop.new_event_loop] if uvloop else [])


@pytest.fixture(params=LOOPS, ids=lambda make: make.__module__.partition(".")[0])
def run(request):
    """Runs a coroutine on each kind of event loop."""

    def run(coroutine):
        loop = request.param()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run


def test_every_method(run, server):
    async def main():
        async with antcache.AsyncClient(port=server.port) as client:
            assert await client.ping() == "PONG"
            assert await client.set("key", "value", 100) is True
            assert await client.set("key", "other", nx=True) is False
            assert await client.get("key") == b"value" and await client.get("no", 5) == 5
            assert await client.get("key", decode=True) == "value"
            assert 99 < await client.ttl("key") <= 100
            assert await client.expire("key", 1000) and await client.persist("key") and await client.touch("key", 9)
            assert (await client.exists("key"), await client.exists("no")) == (True, False)
            assert (await client.type("key"), await client.type("no")) == ("string", None)
            assert (await client.incr("n"), await client.incr("n", 9), await client.decr("n", 4)) == (1, 10, 6)
            await client.set_many({"a": 1, "list": ["x"], "dict": {"f": "v"}})
            assert await client.get_many(["a", "no", "list", "dict"], decode=True) == {
                "a": "1",
                "list": ["x"],
                "dict": {"f": "v"},
            }
            assert await client.get_many([]) == {}
            assert sorted(await client.keys("[ad]*", decode=True)) == ["a", "dict"]
            assert {key async for key in client.scan_iter(count=2)} == {b"key", b"n", b"a", b"list", b"dict"}
            assert await client.delete("a") is True and await client.delete_many(["a", "n", "list"]) == 2
            assert await client.execute("STRLEN", "key") == 5
            assert (await client.info("server"))["tcp_port"] == server.port
            async with client.pipeline() as pipe:
                pipe.set("p", 1).incr("p").get("p")
            assert pipe.results == [True, 2, b"2"]
            pipe.incr("dict").get("p")
            with pytest.raises(errors.WrongTypeError):
                await pipe.run()
            assert pipe.results[1] == b"2"
            await client.flush_all()
            assert await client.keys() == []
        assert client.closed
        with pytest.raises(errors.ClosedError, match="get: the client is closed"):
            await client.get("key")

    run(main())


def test_settings(run, tmp_path):
    async def main():
        path = tmp_path / "socket"
        with antcache.Server(password="sesame", unix_socket=path) as server:
            for protocol in 2, 3:
                settings = {"password": "sesame", "protocol": protocol, "namespace": "n:", "decode": True}
                async with antcache.AsyncClient(unix_socket=path, **settings) as client:
                    await client.set("key", "value")
                    assert await client.get("key") == "value" and await client.keys() == ["key"]
            async with antcache.AsyncClient(port=server.port, password="guess") as client:
                with pytest.raises(errors.AuthenticationError, match="WRONGPASS"):
                    await client.get("key")
            async with antcache.AsyncClient(
                port=server.port, password="sesame", serializer=serializers.json
            ) as client:
                await client.set("json", {"a": [1, None]})
                assert await client.get("json") == {"a": [1, None]}

    run(main())


def test_concurrent_requests_share_few_connections(run, server):
    async def main():
        async with antcache.AsyncClient(port=server.port, pool_size=2) as client:
            await asyncio.gather(*(client.set(f"key {n}", n) for n in range(1000)))
            values = await asyncio.gather(*(client.get(f"key {n}") for n in range(1000)))
            assert values == [b"%d" % n for n in range(1000)]
            clients = (await client.info("clients"))["connected_clients"]
            assert clients <= 2 + 1, "two of the pool, and the one that another fixture may have"

    run(main())


def test_a_cancelled_await_never_takes_another_s_reply(run, one):
    """Tasks are cancelled at random moments; every reply that is read is the right one."""

    async def main(seed):
        chance = random.Random(seed)
        async with antcache.AsyncClient(port=one.port, pool_size=2) as client:
            await client.set_many({f"key {n}": f"value {n}" for n in range(50)})

            async def ask(number):
                for _ in range(20):
                    if chance.random() < 0.5:
                        assert await client.get(f"key {number}", decode=True) == f"value {number}"
                    else:
                        pipe = client.pipeline().get(f"key {number}").ping()
                        assert await pipe.run() == [f"value {number}".encode(), "PONG"]

            tasks = [asyncio.ensure_future(ask(number)) for number in range(50)]
            for _ in range(200):
                await asyncio.sleep(0)
                chance.choice(tasks).cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [result for result in results if isinstance(result, Exception)]
            assert wrong == []
            assert await client.get("key 7") == b"value 7"

    for seed in range(5):
        run(main(seed))


def test_a_cancelled_connect_leaves_nothing_behind(run, one):
    async def main():
        for steps in range(12):
            client = antcache.AsyncClient(port=one.port)
            task = asyncio.ensure_future(client.get("key"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await client.ping() == "PONG"
            await client.close()

    run(main())


def test_a_client_moves_to_the_next_loop(one):
    client = antcache.AsyncClient(port=one.port)
    for _ in range(3):
        assert asyncio.run(client.ping()) == "PONG"

    async def elsewhere():
        await client.ping()
        loop = asyncio.get_running_loop()

        def other():
            with pytest.raises(errors.Error, match="another event loop"):
                asyncio.run(client.ping())

        await loop.run_in_executor(None, other)
        await client.close()

    asyncio.run(elsewhere())


def test_bad_arguments(run, one):
    async def main():
        async with antcache.AsyncClient(port=one.port) as client:
            for call in (client.get(""), client.get(5), client.set("k", 1, ttl=-1), client.set("k", 1.5), client.execute()):
                with pytest.raises(errors.DataError):
                    await call
            assert await client.ping() == "PONG"
        for kwargs in ({"pool_size": 0}, {"timeout": 0}, {"connect_timeout": -1}, {"protocol": 1}):
            with pytest.raises(ValueError, match="must be"):
                antcache.AsyncClient(**kwargs)

    run(main())


def test_nobody_listens(run, dead):
    async def main():
        async with antcache.AsyncClient(port=dead) as client:
            with pytest.raises(errors.ConnectionError, match=f"127.0.0.1:{dead}: get: cannot connect"):
                await client.get("key")

    run(main())
