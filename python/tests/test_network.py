"""A network that cuts, delays and splits what the server answers, at every byte."""

import asyncio
import signal
import socket
import threading
import time

import antcache
import pytest
from antcache import errors

#: What the fake server answers to the calls of a dialogue, one after the other.
REPLIES = [b"$5\r\nhello\r\n", b"$-1\r\n", b":42\r\n", b"*2\r\n$1\r\na\r\n$-1\r\n"]
EXPECTED = [b"hello", None, 42, [b"a", None]]
WHOLE = b"".join(REPLIES)


def calls(client):
    """The calls that these are the replies to."""
    return [
        lambda: client.get("a"),
        lambda: client.get("b"),
        lambda: client.incr("n"),
        lambda: client.execute("MGET", "a", "b"),
    ]


def requests(connection):
    """Reads until the client has nothing more to say, and yields at each piece."""
    while connection.recv(65536):
        yield


class Each:
    """The same dialogue with both clients."""

    def __init__(self, port, **settings):
        self.settings = {"port": port, "protocol": 2, "timeout": 20, **settings}

    def blocking(self):
        with antcache.Client(**self.settings) as client:
            return [call() for call in calls(client)]

    def asyncio(self):
        async def main():
            async with antcache.AsyncClient(**self.settings) as client:
                return [await call() for call in calls(client)]

        return asyncio.run(main())

    def pipelined(self):
        with antcache.Client(**self.settings) as client:
            return client.pipeline().get("a").get("b").incr("n").execute("MGET", "a", "b").run()

    def concurrent(self):
        async def main():
            async with antcache.AsyncClient(**self.settings) as client:
                return await asyncio.gather(*(call() for call in calls(client)))

        return asyncio.run(main())


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_replies_split_at_every_byte(fake, kind):
    for cut in range(len(WHOLE) + 1):

        def talk(connection, number, cut=cut):
            sent = 0
            for reply, _ in zip(REPLIES, requests(connection)):
                at = cut - sent
                sent += len(reply)
                if 0 < at < len(reply):
                    connection.sendall(reply[:at])
                    time.sleep(0.001)
                    connection.sendall(reply[at:])
                else:
                    connection.sendall(reply)

        assert getattr(Each(fake(talk).port), kind)() == EXPECTED


@pytest.mark.parametrize("kind", ["pipelined", "concurrent"])
def test_replies_byte_by_byte(fake, kind):
    def talk(connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seen = 0
        while seen < 4:
            seen += connection.recv(65536).count(b"*")
        for byte in WHOLE:
            connection.sendall(bytes([byte]))

    assert getattr(Each(fake(talk).port), kind)() == EXPECTED


@pytest.mark.parametrize("kind", ["blocking", "asyncio", "pipelined", "concurrent"])
def test_a_connection_cut_at_every_byte(fake, kind):
    """What is cut is an error; it is never taken for something else."""

    def serve(cut):
        def talk(connection, number):
            rest = WHOLE[:cut] if number == 1 else b""
            if kind in ("pipelined", "concurrent"):
                connection.recv(65536)
                connection.sendall(rest)
                return
            for reply, _ in zip(REPLIES, requests(connection)):
                connection.sendall(rest[: len(reply)])
                if len(rest) < len(reply):
                    return
                rest = rest[len(reply) :]

        return fake(talk)

    for cut in range(len(WHOLE)):
        with pytest.raises(errors.ConnectionError, match="127.0.0.1:"):
            getattr(Each(serve(cut).port, retry=0), kind)()


def test_a_repeatable_request_is_sent_again_and_no_other(fake):
    def talk(connection, number):
        connection.recv(65536)
        if number > 1:
            connection.sendall(b"$5\r\nhello\r\n")
            connection.recv(65536)

    with antcache.Client(port=fake(talk).port, protocol=2) as client:
        assert client.get("key") == b"hello"
    with antcache.Client(port=fake(talk).port, protocol=2) as client:
        with pytest.raises(errors.ConnectionError, match="INCRBY: the server closed the connection"):
            client.incr("key")

    async def main():
        async with antcache.AsyncClient(port=fake(talk).port, protocol=2) as client:
            assert await client.get("key") == b"hello"
        async with antcache.AsyncClient(port=fake(talk).port, protocol=2) as client:
            with pytest.raises(errors.ConnectionError, match="INCRBY: the server closed the connection"):
                await client.incr("key")

    asyncio.run(main())


GARBAGE = [b"hello\r\n", b"$x\r\n", b"$3\r\nabcd\r\n", b"*1\r\n?\r\n", b"\0\0\0\0\r\n", b":1\r\n:2\r\n", b"+OK\n", b"$-5\r\n"]


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
def test_garbage(fake, garbage):
    def talk(connection, number):
        connection.recv(65536)
        connection.sendall(garbage if number == 1 else b":7\r\n")
        connection.recv(65536)

    with antcache.Client(port=fake(talk).port, protocol=2) as client:
        with pytest.raises(errors.ProtocolError, match="127.0.0.1:[0-9]+: INCRBY: "):
            client.incr("key")
        assert client.incr("key") == 7, "the next call works"


def test_garbage_for_tasks(fake):
    def talk(connection, number):
        connection.recv(65536)
        connection.sendall(b"what?\r\n" if number == 1 else b":7\r\n")
        connection.recv(65536)

    async def main():
        async with antcache.AsyncClient(port=fake(talk).port, protocol=2) as client:
            with pytest.raises(errors.ProtocolError, match="INCRBY"):
                await client.incr("key")
            assert await client.incr("key") == 7, "the next call works"

    asyncio.run(main())


def test_a_reply_of_another_kind(fake):
    def talk(connection, number):
        while connection.recv(65536):
            connection.sendall(b"*0\r\n")

    with antcache.Client(port=fake(talk).port, protocol=2) as client:
        for call in (client.ping, lambda: client.incr("n"), lambda: client.set("a", 1), lambda: client.ttl("a")):
            with pytest.raises(errors.ProtocolError, match="something else"):
                call()


def hang(connection, number):
    """Answers from the second connection on."""
    while connection.recv(65536):
        if number > 1:
            connection.sendall(b"$5\r\nhello\r\n")


def trickle(connection, number):
    """Sends a byte of the first reply again and again, and never its end."""
    connection.recv(65536)
    if number > 1:
        connection.sendall(b"$5\r\nhello\r\n")
        connection.recv(65536)
    connection.sendall(b"$1000\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("talk", [hang, trickle])
def test_the_timeout_ends_a_wait(fake, talk):
    with antcache.Client(port=fake(talk).port, protocol=2, timeout=0.3) as client:
        with pytest.raises(errors.TimeoutError, match="GET: no answer within 300ms") as caught:
            client.get("key")
        assert isinstance(caught.value, TimeoutError)
        assert client.get("key") == b"hello", "the next call works"

    async def main():
        async with antcache.AsyncClient(port=fake(talk).port, protocol=2, timeout=0.3) as client:
            late = await asyncio.gather(*(client.get("key") for _ in range(3)), return_exceptions=True)
            assert [type(error) for error in late] == [errors.TimeoutError] * 3
            assert await client.get("key") == b"hello", "the next call works"

    asyncio.run(main())


def test_a_late_reply_is_not_the_next_one_s(fake):
    """A reply that comes after its timeout belongs to nobody."""
    gone = threading.Event()

    def talk(connection, number):
        connection.recv(65536)
        if number == 1:
            gone.wait(20)
        connection.sendall(b"$4\r\nlate\r\n" if number == 1 else b"$5\r\nfresh\r\n")
        connection.recv(65536)

    async def main():
        async with antcache.AsyncClient(port=fake(talk).port, protocol=2, timeout=0.2) as client:
            with pytest.raises(errors.TimeoutError):
                await client.get("key")
            gone.set()
            assert await client.get("key") == b"fresh"

    asyncio.run(main())


def test_a_reply_that_nobody_asked_for(fake):
    """It is not taken for the reply of the next request, however soon that comes."""
    asked, sent = threading.Event(), threading.Event()

    def talk(connection, number):
        connection.recv(65536)
        connection.sendall(b":%d\r\n" % number)
        if number == 1:
            asked.wait(20)
            connection.sendall(b":1000\r\n")
            sent.set()
        connection.recv(65536)

    with antcache.Client(port=fake(talk).port, protocol=2, pool_size=1, timeout=20) as client:
        assert client.incr("n") == 1
        asked.set()
        assert sent.wait(20)
        assert client.incr("n") == 2


def test_a_pool_that_is_exhausted(fake):
    """One thread sends a large value to a server that takes it slowly; the other finds no connection meanwhile."""
    begun, over = threading.Event(), threading.Event()

    def talk(connection, number):
        while data := connection.recv(1 << 20):
            begun.set()
            over.wait(0.02)
            if data.endswith(b"end\r\n"):
                connection.sendall(b"+OK\r\n")

    with antcache.Client(port=fake(talk).port, protocol=2, pool_size=1, timeout=0.5) as client:
        holder = threading.Thread(target=client.set, args=("key", b"x" * (100 << 20) + b"end"))
        holder.start()
        assert begun.wait(20)
        with pytest.raises(errors.PoolExhaustedError, match="GET: all connections of the pool are in use"):
            client.get("key")
        over.set()
        holder.join()
        over.clear()
        begun.clear()
        holder = threading.Thread(target=client.set, args=("key", b"x" * (100 << 20) + b"end"))
        holder.start()
        assert begun.wait(20)

        class Ring(Exception):
            pass

        def ring(number, frame):
            raise Ring

        before = signal.signal(signal.SIGALRM, ring)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Ring):
                client.get("key")
        finally:
            signal.signal(signal.SIGALRM, before)
        over.set()
        holder.join()
        assert client.set("key", "end") is True, "the next call works"
