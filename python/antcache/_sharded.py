"""The blocking client of several servers."""

# What the native half returns follows from the method, which is a value here.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _antcache
from ._client import Client
from ._shards import Call, CallQueue, Member, Sharded, is_down, listed, raise_first, words_call

if TYPE_CHECKING:
    from typing_extensions import Self

    Key = str | bytes
    Seconds = timedelta | int | float

_MISSING = object()


class ShardedClient(Sharded[Client]):
    """One client of several servers, each of which has a part of the keys.

    Which node has a key is computed alike by every process on every machine: by ``distribution`` over the ``hash`` of the
    key, or of what stands between the two characters of ``hash_tag`` in it. With ``"ketama"`` it is twemproxy's rule to
    the last key.

    >>> with Server() as a, Server() as b, Server() as c:
    ...     with ShardedClient([("127.0.0.1", server.port) for server in (a, b, c)]) as client:
    ...         client.set_many({f"user:{n}": n for n in range(100)})
    ...         len(client.get_many([f"user:{n}" for n in range(100)])), client.incr("user:7")
    (100, 8)

    :param nodes: ``"host:port"``, ``(host, port)``, ``"/path"`` of a Unix socket, or :class:`Node`.
    :param distribution: ``"ketama"``, ``"rendezvous"``, ``"jump"`` or ``"modula"``.
    :param hash: ``"fnv1a_64"``, ``"fnv1a_32"``, ``"fnv1_64"``, ``"fnv1_32"``, ``"murmur"``, ``"murmur3"``, ``"md5"``,
        ``"crc16"``, ``"crc32"``, ``"crc32a"``, ``"hsieh"``, ``"jenkins"`` or ``"one_at_a_time"``.
    :param weights: a share for each node.
    :param hash_tag: two characters, such as ``"{}"``: keys with the same tag are on the same node.
    :param on_node_down: what a call does whose node is down. ``"raise"`` raises :class:`NodeDownError`; with ``"miss"``
        reads find nothing and writes store nothing; with ``"rehash"`` the keys of the node are the others' until it is
        back.
    :param failures: after so many in a row a node is down: it is asked nothing for ``retry_after`` seconds, then one
        call tries it. Each try that fails doubles the time, up to ``longest_retry_after``.
    :param options: what :class:`Client` takes, for the client of each node.
    """

    _client = Client

    # Nodes.

    def remove_node(self, name: str) -> None:
        """Removes a node, and closes its connections. Only the keys that it had move."""
        self._shards.remove(name).close()

    def close(self) -> None:
        """Closes all connections."""
        for member in self._shards.members:
            member.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<antcache.ShardedClient of {len(self._shards.members)} nodes>"

    # Calls.

    def _one(self, call: Call) -> Any:
        shards = self._shards
        while True:
            member = shards.route(call)
            if isinstance(member, Exception):
                return shards.missing(call.miss, member)
            try:
                result = call.on(member.client)
            except Exception as error:
                if not is_down(error):
                    shards.answered(member)
                    raise
                if not shards.failed(member):
                    return shards.missing(call.miss, error)
            else:
                shards.answered(member)
                return result

    def _many(self, calls: Sequence[Call]) -> list[Any]:
        """All calls, split by node, sent at once, and their results in their order, exceptions among them."""
        results: list[Any] = [None] * len(calls)
        left: list[int] = list(range(len(calls)))
        while left:
            parts = self._shards.scatter(calls, left, results)
            replies = _antcache.exchange_all([self._batch(calls, part) for part in parts])
            left = self._shards.gather(calls, parts, replies, results)
        return results

    def _batch(self, calls: Sequence[Call], part: tuple[Member[Client], list[int]]) -> tuple[Client, Any]:
        member, places = part
        batch = _antcache.Batch(member.client._profile)
        for place in places:
            calls[place].on(batch)
        return member.client, batch

    def get(self, key: Key, default: Any = None, *, decode: bool | None = None) -> Any:
        """The value of a key, or ``default``. See :meth:`Client.get`."""
        return self._one(Call("get", key, (default,), {"decode": decode}, miss=default))

    def set(self, key: Key, value: Any, ttl: Seconds | None = None, *, nx: bool = False, xx: bool = False) -> bool:
        """Sets a key. See :meth:`Client.set`."""
        return self._one(Call("set", key, (value, ttl), {"nx": nx, "xx": xx}, miss=False))

    def delete(self, key: Key) -> bool:
        """Deletes a key. Returns whether there was one."""
        return self._one(Call("delete", key, miss=False))

    def incr(self, key: Key, amount: int = 1) -> int:
        """Adds to the number at a key. See :meth:`Client.incr`. With ``on_node_down="miss"`` it raises all the same."""
        return self._one(Call("incr", key, (amount,)))

    def decr(self, key: Key, amount: int = 1) -> int:
        """Takes off the number at a key. See :meth:`incr`."""
        return self._one(Call("decr", key, (amount,)))

    def expire(self, key: Key, ttl: Seconds) -> bool:
        """Gives a key a new time to live. Returns whether there is such a key."""
        return self._one(Call("expire", key, (ttl,), miss=False))

    def persist(self, key: Key) -> bool:
        """Lets a key live for ever. Returns whether it had a time to live."""
        return self._one(Call("persist", key, miss=False))

    def ttl(self, key: Key) -> float | None:
        """The seconds that a key has to live. See :meth:`Client.ttl`."""
        return self._one(Call("ttl", key, miss=None))

    def touch(self, key: Key, ttl: Seconds | None = None) -> bool:
        """Counts as a use of a key. See :meth:`Client.touch`."""
        return self._one(Call("touch", key, (ttl,), miss=False))

    def exists(self, key: Key) -> bool:
        """Whether there is such a key."""
        return self._one(Call("exists", key, miss=False))

    def type(self, key: Key) -> str | None:
        """The type of the value at a key. See :meth:`Client.type`."""
        return self._one(Call("type", key, miss=None))

    def get_many(self, keys: Iterable[Key], *, decode: bool | None = None) -> dict[Any, Any]:
        """The values of several keys that there are, in the order of the keys. All nodes are asked at once."""
        calls = [Call("get", key, (_MISSING,), {"decode": decode}, miss=_MISSING) for key in listed(keys)]
        results = self._many(calls)
        raise_first(results)
        return {call.key: result for call, result in zip(calls, results, strict=True) if result is not _MISSING}

    def set_many(self, values: Mapping[Any, Any], ttl: Seconds | None = None) -> None:
        """Sets several keys, on all nodes at once. It is not atomic."""
        raise_first(self._many([Call("set", key, (value, ttl), miss=False) for key, value in values.items()]))

    def delete_many(self, keys: Iterable[Key]) -> int:
        """Deletes several keys, on all nodes at once. Returns how many there were."""
        results = self._many([Call("delete", key, miss=False) for key in listed(keys)])
        raise_first(results)
        return sum(results)

    def execute(self, *words: str | bytes | int, decode: bool | None = None) -> Any:
        """Any command whose first argument is its one key; returns its reply. The namespace is not added."""
        return self._one(words_call(words, decode))

    def pipeline(self) -> ShardedPipeline:
        """Collects requests, to be sent to all nodes at once."""
        return ShardedPipeline(self)

    # All nodes.

    def _everywhere(self, method: str, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        for member in list(self._shards.members):
            try:
                result = getattr(member.client, method)(*args, **kwargs)
            except Exception as error:
                if is_down(error):
                    self._shards.failed(member)
                raise
            self._shards.answered(member)
            yield member.node.label, result

    def keys(self, pattern: Key | None = None, *, decode: bool | None = None) -> list[Any]:
        """The keys of all nodes that match a pattern."""
        return [key for _, keys in self._everywhere("keys", pattern, decode=decode) for key in keys]

    def scan_iter(self, pattern: Key | None = None, *, count: int = 100, decode: bool | None = None) -> Iterator[Any]:
        """Walks through the keys of one node after the other. See :meth:`Client.scan_iter`."""
        for member in list(self._shards.members):
            yield from member.client.scan_iter(pattern, count=count, decode=decode)

    def flush_all(self) -> None:
        """Deletes all keys of all nodes. Raises at the first node that cannot be reached."""
        for _ in self._everywhere("flush_all"):
            pass

    def ping(self) -> dict[str, str]:
        """``"PONG"`` of each node, by its name."""
        return dict(self._everywhere("ping"))

    def info(self, section: str | None = None) -> dict[str, dict[str, str | int | float]]:
        """What each node tells about itself, by its name."""
        return dict(self._everywhere("info", section))

    def __getitem__(self, key: Key) -> Any:
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Key, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: Key) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: Key) -> bool:
        return self.exists(key)


class ShardedPipeline(CallQueue):
    """Requests that are collected and sent to all nodes at once. As :class:`Pipeline`."""

    def __init__(self, client: ShardedClient) -> None:
        super().__init__()
        self._client = client

    def run(self, *, raise_errors: bool = True) -> list[Any]:
        """Sends what was collected; one result for each call, in their order. As :meth:`Pipeline.run`."""
        self.results = self._client._many(self._take())
        if raise_errors:
            raise_first(self.results)
        return self.results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.run()
        else:
            self.clear()
