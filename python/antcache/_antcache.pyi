"""The native half of antcache. Its public classes are re-exported by the package with what Python adds to them; what is
said of a method here holds for ``antcache.Client``, ``antcache.Cache`` and ``antcache.Server``, and for the coroutines of
the same name in ``antcache.AsyncClient``.

The examples are run by the tests, with a server that is empty at the beginning of each and a ``client`` of it.
"""

import os
from asyncio import AbstractEventLoop, BaseTransport, Future
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeVar, overload
from typing_extensions import Self, TypeAlias, disjoint_base, final

from .serializers import Serializer

__all__ = [
    "Batch",
    "Cache",
    "Channel",
    "Client",
    "Profile",
    "Ring",
    "Server",
    "__version__",
    "exchange_all",
]

__version__: str

_T = TypeVar("_T")
#: Keys are bytes for the server; ``str`` is encoded as UTF-8. They are not empty and have at most 65,535 bytes.
_Key: TypeAlias = str | bytes | bytearray | memoryview
_Word: TypeAlias = str | bytes | bytearray | memoryview | int
#: A time to live: a ``timedelta`` or seconds, positive and finite, rounded up to a millisecond.
_Seconds: TypeAlias = timedelta | int | float

@disjoint_base
class Client:
    """A client of one server. Threads may share it: each call takes a connection of its pool, and the interpreter's lock
    is released while it waits. A process that is forked gets connections of its own.

    Everything that goes wrong is a subclass of :class:`antcache.Error` whose text names node and command; after any of
    them the next call works.

    :param host: a name or an address. The default is this machine.
    :param password: sent before anything else on each connection.
    :param unix_socket: a path, in place of host and port.
    :param timeout: seconds (10 where none are given) from the moment a request is sent until its reply is complete, and the longest wait for a
        connection of the pool; ``None`` waits for ever.
    :param connect_timeout: seconds (5 where none are given) for each address of the host to accept.
    :param busy_poll: seconds, from 0 to 0.001, for which a thread asks again and again for a reply before it sleeps. To
        wake a thread takes longer than a near server takes to answer. The interpreter's lock is free meanwhile. One thread
        of a process polls at a time; it lets others have the core, and polls rarely where they want it or replies come
        later than that. 0 sleeps at once.
    :param pool_size: connections at most. They are made when they are needed.
    :param retry: how often a call is tried again, on a new connection, where none could be made, or it broke and the
        request does no harm if it is carried out twice (reads, plain sets). A connection that the server had closed while
        it was idle counts as no try.
    :param protocol: 3, or 2 for proxies and servers that know no FETCH: then ``get`` is for strings only.
    :param namespace: a prefix of all keys. Methods take and return keys without it; ``execute`` does not know it.
    :param serializer: an object with ``dumps`` and ``loads``, which every value passes: see :mod:`antcache.serializers`.
    :param decode: whether strings are returned as ``str`` where a call does not say.
    """

    def __new__(
        cls,
        host: str = "127.0.0.1",
        port: int = 8890,
        *,
        password: str | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
        timeout: float | None = ...,
        connect_timeout: float | None = ...,
        busy_poll: float = 0.0001,
        pool_size: int = 16,
        retry: int = 1,
        protocol: int = 3,
        namespace: _Key | None = None,
        serializer: Serializer | None = None,
        decode: bool = False,
    ) -> Self: ...
    @property
    def node(self) -> str:
        """Where it connects to: ``host:port``, or the path of the Unix socket."""

    @property
    def serializer(self) -> Serializer | None:
        """What values pass through, if anything."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    @property
    def _profile(self) -> Profile: ...
    def close(self) -> None:
        """Closes its connections; those in use when their requests end. Calls then raise ``ClosedError``."""

    def get(self, key: _Key, default: Any = None, *, decode: bool | None = None) -> Any:
        """The value of a key, or ``default`` where there is none.

        A string is returned as ``bytes``, or as ``str`` with ``decode=True``; an array as a list of these, an object as a
        dict. With a serializer, strings are what it loads from them.

        >>> client.set("word", "grün")
        True
        >>> client.get("word"), client.get("word", decode=True), client.get("nothing", "default")
        (b'gr\\xc3\\xbcn', 'grün', 'default')
        """

    def set(self, key: _Key, value: Any, ttl: _Seconds | None = None, *, nx: bool = False, xx: bool = False) -> bool:
        """Sets a key, replacing its value, its type and its time to live; without ``ttl`` it never expires.

        ``str``, bytes-like objects and ``int`` become strings, a ``list`` or ``tuple`` of these an array, a ``dict`` of
        these an object (both not empty). With a serializer every value is a string that it dumps.

        With ``nx`` only where there is no such key, with ``xx`` only where there is one (strings only). Returns whether
        it was set.

        >>> client.set("ant", {"legs": 6, "wings": 0}, ttl=60)
        True
        >>> client.get("ant", decode=True)
        {'legs': '6', 'wings': '0'}
        >>> client.set("ant", "other", nx=True)
        False
        """

    def delete(self, key: _Key) -> bool:
        """Deletes a key. Returns whether there was one."""

    def get_many(self, keys: Iterable[_Key], *, decode: bool | None = None) -> dict[Any, Any]:
        """The values of several keys, of any type, in one go: a dict of those that there are, in the order of the keys.

        >>> client.set_many({"a": 1, "b": ["x", "y"]})
        >>> client.get_many(["b", "none", "a"], decode=True)
        {'b': ['x', 'y'], 'a': '1'}
        """

    def set_many(self, values: Mapping[Any, Any], ttl: _Seconds | None = None) -> None:
        """Sets several keys in one go. It is not atomic: others may see some of them set and not the rest."""

    def delete_many(self, keys: Iterable[_Key]) -> int:
        """Deletes several keys in one go. Returns how many there were."""

    def incr(self, key: _Key, amount: int | None = None) -> int:
        """Adds an amount, 1 where none is given, to the number at a key, which counts from 0 where there is none, and returns the sum. Atomic; the time to
        live stays.

        >>> client.incr("visits"), client.incr("visits", 41)
        (1, 42)
        """

    def decr(self, key: _Key, amount: int | None = None) -> int:
        """Takes off the number at a key; as :meth:`incr`."""

    def expire(self, key: _Key, ttl: _Seconds) -> bool:
        """Gives a key a new time to live from now on. Returns whether there is such a key."""

    def persist(self, key: _Key) -> bool:
        """Lets a key live for ever. Returns whether it had a time to live."""

    def ttl(self, key: _Key) -> float | None:
        """The seconds that a key has to live: ``math.inf`` for ever, ``None`` where there is no such key.

        >>> client.set("a", 1)
        True
        >>> client.ttl("a"), client.ttl("none")
        (inf, None)
        """

    def touch(self, key: _Key, ttl: _Seconds | None = None) -> bool:
        """Counts as a use of a key, so that it is not evicted soon, and gives it a new time to live if there is one.
        Returns whether there is such a key."""

    def exists(self, key: _Key) -> bool:
        """Whether there is such a key."""

    def type(self, key: _Key) -> str | None:
        """The type of the value at a key: ``"string"``, ``"list"``, ``"hash"``; ``None`` where there is no such key."""

    def keys(self, pattern: _Key | None = None, *, decode: bool | None = None) -> list[Any]:
        """The keys that match a pattern, or all: ``*`` any bytes, ``?`` one, ``[a-z]`` one of a class. For large stores
        ``scan_iter`` is kinder to memory."""

    def scan(
        self, cursor: int = 0, pattern: _Key | None = None, *, count: int = 100, decode: bool | None = None
    ) -> tuple[int, list[Any]]:
        """One step of a walk through the keys: the cursor to go on with, 0 at the end, and about ``count`` keys."""

    def flush_all(self) -> None:
        """Deletes all keys of the server. Refused to a client with a namespace."""

    def ping(self) -> str:
        """``"PONG"``, where the server answers."""

    def execute(self, *words: _Word, decode: bool | None = None) -> Any:
        """Any command, its words as they are; returns its reply. Statuses are ``str``, strings ``bytes`` or, with
        ``decode``, ``str``. It is sent again after a failure only if it certainly was not sent before.

        >>> client.execute("SET", "key", "value", "EX", 10)
        'OK'
        >>> client.execute("STRLEN", "key")
        5
        """

    def _run(self, batch: Batch) -> list[Any]: ...
    def __getitem__(self, key: _Key, /) -> Any:
        """The value of a key, or a ``KeyError``."""

    def __setitem__(self, key: _Key, value: Any, /) -> None: ...
    def __delitem__(self, key: _Key, /) -> None: ...
    def __contains__(self, key: _Key, /) -> bool: ...

@disjoint_base
class Batch:
    """Requests that are collected, to be sent together: the native base of pipelines. A method does nothing but remember
    the call, and returns the batch itself; its arguments are checked at once."""

    def __new__(cls, profile: Profile) -> Self: ...
    def clear(self) -> None:
        """Forgets what was collected."""

    def __len__(self) -> int:
        """The calls that wait to be sent."""

    def get(self, key: _Key, default: Any = None, *, decode: bool | None = None) -> Self: ...
    def set(
        self, key: _Key, value: Any, ttl: _Seconds | None = None, *, nx: bool = False, xx: bool = False
    ) -> Self: ...
    def delete(self, key: _Key) -> Self: ...
    def get_many(self, keys: Iterable[_Key], *, decode: bool | None = None) -> Self: ...
    def set_many(self, values: Mapping[Any, Any], ttl: _Seconds | None = None) -> Self: ...
    def delete_many(self, keys: Iterable[_Key]) -> Self: ...
    def incr(self, key: _Key, amount: int | None = None) -> Self: ...
    def decr(self, key: _Key, amount: int | None = None) -> Self: ...
    def expire(self, key: _Key, ttl: _Seconds) -> Self: ...
    def persist(self, key: _Key) -> Self: ...
    def ttl(self, key: _Key) -> Self: ...
    def touch(self, key: _Key, ttl: _Seconds | None = None) -> Self: ...
    def exists(self, key: _Key) -> Self: ...
    def type(self, key: _Key) -> Self: ...
    def keys(self, pattern: _Key | None = None, *, decode: bool | None = None) -> Self: ...
    def scan(
        self, cursor: int = 0, pattern: _Key | None = None, *, count: int = 100, decode: bool | None = None
    ) -> Self: ...
    def flush_all(self) -> Self: ...
    def ping(self) -> Self: ...
    def execute(self, *words: _Word, decode: bool | None = None) -> Self: ...

def exchange_all(parts: list[tuple[Client, Batch]]) -> list[list[Any] | Exception]:
    """Sends a batch to each of several servers before any of them is waited for. Returns for each the list of its
    results, or the exception that stopped it."""

@final
class Profile:
    """What the requests of one client have in common."""

    def __new__(
        cls,
        node: str,
        *,
        namespace: _Key | None = None,
        serializer: Serializer | None = None,
        decode: bool = False,
        protocol: int = 3,
    ) -> Self: ...
    @property
    def serializer(self) -> Serializer | None: ...
    def key(self, key: _Key, command: str) -> bytes:
        """A key as the server knows it."""

@final
class Channel:
    """One connection of the asyncio client: an asyncio protocol. Every method queues a request and returns the future of
    its result."""

    def __new__(cls, profile: Profile, event_loop: AbstractEventLoop, timeout: float | None) -> Self: ...
    @property
    def load(self) -> int:
        """Requests that wait for their replies; -1 once nothing can be sent any more."""

    def close(self) -> None: ...
    def _run(self, batch: Batch) -> Future[list[Any]]: ...
    def connection_made(self, transport: BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, error: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def _flush(self) -> None: ...
    def _check_deadlines(self) -> None: ...
    def get(self, key: _Key, default: Any = None, *, decode: bool | None = None) -> Future[Any]: ...
    def set(
        self, key: _Key, value: Any, ttl: _Seconds | None = None, *, nx: bool = False, xx: bool = False
    ) -> Future[bool]: ...
    def delete(self, key: _Key) -> Future[bool]: ...
    def get_many(self, keys: Iterable[_Key], *, decode: bool | None = None) -> Future[dict[Any, Any]]: ...
    def set_many(self, values: Mapping[Any, Any], ttl: _Seconds | None = None) -> Future[None]: ...
    def delete_many(self, keys: Iterable[_Key]) -> Future[int]: ...
    def incr(self, key: _Key, amount: int | None = None) -> Future[int]: ...
    def decr(self, key: _Key, amount: int | None = None) -> Future[int]: ...
    def expire(self, key: _Key, ttl: _Seconds) -> Future[bool]: ...
    def persist(self, key: _Key) -> Future[bool]: ...
    def ttl(self, key: _Key) -> Future[float | None]: ...
    def touch(self, key: _Key, ttl: _Seconds | None = None) -> Future[bool]: ...
    def exists(self, key: _Key) -> Future[bool]: ...
    def type(self, key: _Key) -> Future[str | None]: ...
    def keys(self, pattern: _Key | None = None, *, decode: bool | None = None) -> Future[list[Any]]: ...
    def scan(
        self, cursor: int = 0, pattern: _Key | None = None, *, count: int = 100, decode: bool | None = None
    ) -> Future[tuple[int, list[Any]]]: ...
    def flush_all(self) -> Future[None]: ...
    def ping(self) -> Future[str]: ...
    def execute(self, *words: _Word, decode: bool | None = None) -> Future[Any]: ...

@final
class Ring:
    """Which node has which key, and which nodes are down. Nodes are known by their number."""

    def __new__(
        cls,
        nodes: list[tuple[str, int]],
        *,
        distribution: str = "ketama",
        hash: str = "fnv1a_64",
        hash_tag: str | None = None,
        failures: int = 3,
        retry_after: float = 1.0,
        longest_retry_after: float = 30.0,
        rehash: bool = False,
    ) -> Self: ...
    def place(self, key: bytes) -> int | None: ...
    def route(self, key: bytes) -> tuple[int, bool] | None: ...
    def succeeded(self, number: int) -> None: ...
    def failed(self, number: int) -> bool: ...
    def health(self, number: int) -> tuple[int, float]: ...
    def is_down(self, number: int) -> bool: ...
    def add(self, name: str, weight: int) -> int: ...
    def remove(self, number: int) -> None: ...
    @staticmethod
    def name(host: str, port: int) -> str: ...

@disjoint_base
class Cache:
    """A cache in this process. ``antcache.Cache`` makes a ``MutableMapping`` of it.

    :param max_memory: bytes at most, of keys, values and everything that the cache needs to find them.
    :param max_entries: entries at most.
    :param ttl: the time to live of what is set without one.
    :param eviction: what goes where a bound is reached: ``"adaptive"`` (by recency and frequency), ``"lru"``,
        ``"random"``, ``"ttl"`` (what ends first), or ``"none"``: then what does not fit raises ``FullError``.
    """

    def __new__(
        cls,
        *,
        max_memory: int | None = None,
        max_entries: int | None = None,
        ttl: _Seconds | None = None,
        eviction: Literal["adaptive", "lru", "random", "ttl", "none"] | str = "adaptive",
    ) -> Self: ...
    @property
    def max_memory(self) -> int | None:
        """The bound on memory in bytes, if there is one."""

    @property
    def max_entries(self) -> int | None:
        """The bound on entries, if there is one."""

    @overload
    def get(self, key: str | bytes) -> Any | None: ...
    @overload
    def get(self, key: str | bytes, default: _T) -> Any | _T:
        """The value of a key, or ``default``. It is a new object each time."""

    def set(
        self, key: str | bytes, value: Any, ttl: _Seconds | None = None, *, nx: bool = False, xx: bool = False
    ) -> bool:
        """Sets a key; as ``Client.set``."""

    def get_or_set(self, key: str | bytes, load: Callable[[], _T], ttl: _Seconds | None = None) -> _T:
        """The value of a key; where there is none, what ``load()`` returns, which is set. Of several threads that ask for
        the same key at once one loads, the others wait. What it raises is raised to the one, and another loads."""

    def delete(self, key: str | bytes) -> bool:
        """Deletes a key. Returns whether there was one."""

    def expire(self, key: str | bytes, ttl: _Seconds | None) -> bool:
        """Gives a key a new time to live from now on, or none. Returns whether there is such a key."""

    def ttl(self, key: str | bytes) -> float | None:
        """The seconds that a key has to live: ``math.inf`` for ever, ``None`` where there is no such key."""

    def clear(self) -> None:
        """Deletes all keys."""

    def stats(self) -> dict[str, int]:
        """Counts: ``entries`` and ``memory`` (bytes) there are; ``hits``, ``misses``, ``loads``, ``evictions`` and
        ``expirations`` there were."""

    def _list(self, *, values: bool = False) -> list[Any]: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __getitem__(self, key: str | bytes, /) -> Any: ...
    def __setitem__(self, key: str | bytes, value: Any, /) -> None: ...
    def __delitem__(self, key: str | bytes, /) -> None: ...

@disjoint_base
class Server:
    """The real server, on threads of this process. It serves from its making on.

    :param host: a name or an address to listen on.
    :param port: 0 takes a free one; ``port`` tells which.
    :param unix_socket: a path to listen on as well.
    :param runtime: ``"std"``, threads, or ``"smol"``, executors.
    :param architecture: ``"pooled"``, a few workers, or ``"single"``, a handler a connection.
    :param max_memory: bytes of the store at most.
    :param eviction: as for :class:`Cache`.
    """

    def __new__(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        unix_socket: str | os.PathLike[str] | None = None,
        password: str | None = None,
        runtime: Literal["std", "smol"] | str = "std",
        architecture: Literal["single", "pooled"] | str = "pooled",
        max_memory: int | None = None,
        eviction: str = "adaptive",
    ) -> Self: ...
    @property
    def host(self) -> str:
        """The host that it listens on."""

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""

    @property
    def unix_socket(self) -> os.PathLike[str] | None:
        """The path of its Unix socket, if it has one."""

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""

    def stop(self) -> None:
        """Stops it: what was received is answered, then connections are closed. Returns when it is done."""
