"""The asyncio client: tasks share a few connections, on which their requests follow each other without waiting.

The codec, the queue of a connection and its deadlines are native (``_antcache.Channel``). Here is which connection a
request takes, and when it is sent again.
"""

# What the native half returns follows from the method, which is a value here.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._antcache import Batch, Channel, Profile
from ._info import parse_info
from .errors import ClosedError, ConnectionError, Error, TimeoutError

if TYPE_CHECKING:
    from typing_extensions import Self

    from .serializers import Serializer

    Key = str | bytes
    Seconds = timedelta | int | float

#: Requests that wait on a connection before another one is opened. Until then one write carries more requests.
_BUSY = 256


class AsyncPipeline(Batch):
    """Requests that are collected and sent together. As :class:`Pipeline`, but :meth:`run` is awaited.

    >>> async def example():
    ...     async with AsyncClient(port=port) as client:
    ...         async with client.pipeline() as pipe:
    ...             pipe.set("a", 1).incr("a")
    ...         return pipe.results
    >>> asyncio.run(example())
    [True, 2]
    """

    #: What the last :meth:`run` returned.
    results: list[Any]
    _client: AsyncClient

    def __new__(cls, client: AsyncClient) -> Self:
        pipeline = super().__new__(cls, client._profile)
        pipeline._client = client
        pipeline.results = []
        return pipeline

    async def run(self, *, raise_errors: bool = True) -> list[Any]:
        """Sends what was collected, and returns one result for each call, in their order. The first that is an exception
        is raised, or, without ``raise_errors``, stands in its place like the others."""
        self.results = await self._client._run(self)
        if raise_errors:
            for result in self.results:
                if isinstance(result, Exception):
                    raise result
        return self.results

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.run()
        else:
            self.clear()

    def __repr__(self) -> str:
        return f"<antcache.AsyncPipeline of {len(self)} calls>"


class AsyncClient:
    """A client of one server for asyncio (and uvloop): the methods of :class:`Client` as coroutines.

    A task that is cancelled, or stops waiting by ``asyncio.wait_for``, leaves the connection in step: its reply is
    dropped when it comes. A client belongs to one event loop at a time, and connects when it is first used.

    >>> async def example():
    ...     async with AsyncClient(port=port) as client:
    ...         await client.set("greeting", "hello")
    ...         return await asyncio.gather(*(client.get("greeting") for _ in range(3)))
    >>> asyncio.run(example())
    [b'hello', b'hello', b'hello']

    :param pool_size: connections at most; a second one is opened only when hundreds of requests wait on the first.
    :param retry: how often a request is sent again after its connection broke, if it does no harm to carry it out twice.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8890,
        *,
        password: str | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
        timeout: float | None = 10.0,
        connect_timeout: float | None = 5.0,
        pool_size: int = 4,
        retry: int = 1,
        protocol: int = 3,
        namespace: Key | None = None,
        serializer: Serializer | None = None,
        decode: bool = False,
    ) -> None:
        if pool_size < 1:
            raise ValueError("pool_size must be at least 1")
        if protocol not in (2, 3):
            raise ValueError("protocol must be 2 or 3")
        for name, limit in ("timeout", timeout), ("connect_timeout", connect_timeout):
            if limit is not None and not 0 < limit < float("inf"):
                raise ValueError(f"{name} must be a positive number of seconds, or None for no limit")
        bracketed = f"[{host}]" if ":" in host else host
        self._node = f"{bracketed}:{port}" if unix_socket is None else os.fspath(unix_socket)
        self._host, self._port, self._path = host, port, unix_socket
        self._password, self._protocol = password, protocol
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._pool_size, self._retry = pool_size, retry
        self._profile = Profile(
            self._node, namespace=namespace, serializer=serializer, decode=decode, protocol=protocol
        )
        self._channels: list[Channel] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    @property
    def node(self) -> str:
        """Where it connects to: ``host:port``, or the path of the Unix socket."""
        return self._node

    @property
    def serializer(self) -> Serializer | None:
        """What values pass through, if anything."""
        return self._profile.serializer

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def close(self) -> None:
        """Closes its connections. Whoever waits for a reply gets a :class:`ConnectionError`."""
        self._closed = True
        channels, self._channels = self._channels, []
        for channel in channels:
            channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<antcache.AsyncClient of {self._node}>"

    # Connections.

    def _ready(self, command: str) -> Channel | None:
        """A connection that a request can take; nothing where one should be made first."""
        if self._closed:
            raise ClosedError("the client is closed", node=self._node, command=command)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move(loop, command)
        least = None
        for channel in self._channels:
            load = channel.load
            if 0 <= load < _BUSY:
                return channel
            if load >= 0 and (least is None or load < least.load):
                least = channel
        self._channels = [channel for channel in self._channels if channel.load >= 0]
        return least if len(self._channels) >= self._pool_size else None

    def _move(self, loop: asyncio.AbstractEventLoop, command: str) -> None:
        """Belongs to another event loop from here on, unless the present one still runs."""
        if self._loop is not None and not self._loop.is_closed() and self._channels:
            raise Error("the client belongs to another event loop", node=self._node, command=command)
        # Connections end with their loop.
        self._channels = []
        self._connecting = asyncio.Lock()
        self._loop = loop

    async def _connect(self, command: str) -> Channel:
        async with self._connecting:
            # Another task may have made one meanwhile.
            ready = self._ready(command)
            if ready is not None:
                return ready
            channel = await self._open(command)
            self._channels.append(channel)
            return channel

    async def _open(self, command: str) -> Channel:
        loop = asyncio.get_running_loop()

        def protocol() -> Any:
            return Channel(self._profile, loop, self._timeout)

        if self._path is not None:
            opening = loop.create_unix_connection(protocol, os.fspath(self._path))
        else:
            opening = loop.create_connection(protocol, self._host, self._port)
        try:
            _, channel = await asyncio.wait_for(opening, self._connect_timeout)
        except asyncio.TimeoutError:
            message = f"cannot connect within {self._connect_timeout} s"
            raise TimeoutError(message, node=self._node, command=command) from None
        except OSError as error:
            raise ConnectionError(f"cannot connect: {error}", node=self._node, command=command) from error
        try:
            await self._greet(channel)
        except BaseException:
            channel.close()
            raise
        return channel

    async def _greet(self, channel: Channel) -> None:
        if self._protocol == 3:
            words = ("HELLO", "3") if self._password is None else ("HELLO", "3", "AUTH", "default", self._password)
            await channel.execute(*words)
        elif self._password is not None:
            await channel.execute("AUTH", self._password)

    async def _on(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of a connection, and once more on another one where that does no harm."""
        retries = self._retry
        while True:
            channel = self._ready(method.__name__) or await self._connect(method.__name__)
            try:
                return await method(channel, *args, **kwargs)
            except ConnectionError as error:
                if retries == 0 or not getattr(error, "repeatable", False):
                    raise
                retries -= 1

    async def _run(self, batch: Batch) -> list[Any]:
        """Sends what a batch has collected; exceptions stand among the results."""
        return await self._on(Channel._run, batch)

    # Requests.

    async def get(self, key: Key, default: Any = None, *, decode: bool | None = None) -> Any:
        """The value of a key, or ``default``. See :meth:`Client.get`."""
        return await self._on(Channel.get, key, default, decode=decode)

    async def set(
        self, key: Key, value: Any, ttl: Seconds | None = None, *, nx: bool = False, xx: bool = False
    ) -> bool:
        """Sets a key. See :meth:`Client.set`."""
        return await self._on(Channel.set, key, value, ttl, nx=nx, xx=xx)

    async def delete(self, key: Key) -> bool:
        """Deletes a key. Returns whether there was one."""
        return await self._on(Channel.delete, key)

    async def get_many(self, keys: Iterable[Key], *, decode: bool | None = None) -> dict[Any, Any]:
        """The values of several keys that there are. See :meth:`Client.get_many`."""
        return await self._on(Channel.get_many, keys, decode=decode)

    async def set_many(self, values: Mapping[Any, Any], ttl: Seconds | None = None) -> None:
        """Sets several keys. See :meth:`Client.set_many`."""
        await self._on(Channel.set_many, values, ttl)

    async def delete_many(self, keys: Iterable[Key]) -> int:
        """Deletes several keys. Returns how many there were."""
        return await self._on(Channel.delete_many, keys)

    async def incr(self, key: Key, amount: int = 1) -> int:
        """Adds to the number at a key. See :meth:`Client.incr`."""
        return await self._on(Channel.incr, key, amount)

    async def decr(self, key: Key, amount: int = 1) -> int:
        """Takes off the number at a key. See :meth:`Client.decr`."""
        return await self._on(Channel.decr, key, amount)

    async def expire(self, key: Key, ttl: Seconds) -> bool:
        """Gives a key a new time to live. Returns whether there is such a key."""
        return await self._on(Channel.expire, key, ttl)

    async def persist(self, key: Key) -> bool:
        """Lets a key live for ever. Returns whether it had a time to live."""
        return await self._on(Channel.persist, key)

    async def ttl(self, key: Key) -> float | None:
        """The seconds that a key has to live. See :meth:`Client.ttl`."""
        return await self._on(Channel.ttl, key)

    async def touch(self, key: Key, ttl: Seconds | None = None) -> bool:
        """Counts as a use of a key. See :meth:`Client.touch`."""
        return await self._on(Channel.touch, key, ttl)

    async def exists(self, key: Key) -> bool:
        """Whether there is such a key."""
        return await self._on(Channel.exists, key)

    async def type(self, key: Key) -> str | None:
        """The type of the value at a key. See :meth:`Client.type`."""
        return await self._on(Channel.type, key)

    async def keys(self, pattern: Key | None = None, *, decode: bool | None = None) -> list[Any]:
        """The keys that match a pattern. See :meth:`Client.keys`."""
        return await self._on(Channel.keys, pattern, decode=decode)

    async def scan(
        self, cursor: int = 0, pattern: Key | None = None, *, count: int = 100, decode: bool | None = None
    ) -> tuple[int, list[Any]]:
        """One step of a walk through the keys. See :meth:`Client.scan`."""
        return await self._on(Channel.scan, cursor, pattern, count=count, decode=decode)

    async def scan_iter(
        self, pattern: Key | None = None, *, count: int = 100, decode: bool | None = None
    ) -> AsyncIterator[Any]:
        """Walks through the keys. See :meth:`Client.scan_iter`."""
        cursor = 0
        while True:
            cursor, keys = await self.scan(cursor, pattern, count=count, decode=decode)
            for key in keys:
                yield key
            if cursor == 0:
                return

    async def flush_all(self) -> None:
        """Deletes all keys. See :meth:`Client.flush_all`."""
        await self._on(Channel.flush_all)

    async def ping(self) -> str:
        """``"PONG"``, where the server answers."""
        return await self._on(Channel.ping)

    async def info(self, section: str | None = None) -> dict[str, str | int | float]:
        """What the server tells about itself: all of it, or a section such as ``"memory"``."""
        words = ("INFO",) if section is None else ("INFO", section)
        return parse_info(await self.execute(*words, decode=True))

    async def execute(self, *words: str | bytes | int, decode: bool | None = None) -> Any:
        """Any command; returns its reply. See :meth:`Client.execute`."""
        return await self._on(Channel.execute, *words, decode=decode)

    def pipeline(self) -> AsyncPipeline:
        """Collects requests, to be sent together."""
        return AsyncPipeline(self)
