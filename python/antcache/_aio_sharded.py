"""The asyncio client of several servers."""

# What the native half returns follows from the method, which is a value here.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _antcache
from ._aio import AsyncClient
from ._shards import Call, CallQueue, Member, Sharded, is_down, listed, raise_first, words_call

if TYPE_CHECKING:
    from typing_extensions import Self

    Key = str | bytes
    Seconds = timedelta | int | float

_MISSING = object()


class AsyncShardedClient(Sharded[AsyncClient]):
    """One client of several servers for asyncio: the methods of :class:`ShardedClient`, which documents the settings, as
    coroutines. ``options`` are those of :class:`AsyncClient`.

    >>> async def example():
    ...     with Server() as a, Server() as b:
    ...         async with AsyncShardedClient([("127.0.0.1", a.port), ("127.0.0.1", b.port)]) as client:
    ...             await client.set_many({f"user:{n}": n for n in range(100)})
    ...             return len(await client.get_many([f"user:{n}" for n in range(100)]))
    >>> asyncio.run(example())
    100
    """

    _client = AsyncClient

    # Nodes.

    async def remove_node(self, name: str) -> None:
        """Removes a node, and closes its connections. Only the keys that it had move."""
        await self._shards.remove(name).close()

    async def close(self) -> None:
        """Closes all connections."""
        for member in self._shards.members:
            await member.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<antcache.AsyncShardedClient of {len(self._shards.members)} nodes>"

    # Calls.

    async def _one(self, call: Call) -> Any:
        shards = self._shards
        while True:
            member = shards.route(call)
            if isinstance(member, Exception):
                return shards.missing(call.miss, member)
            try:
                result = await call.on(member.client)
            except Exception as error:
                if not is_down(error):
                    shards.answered(member)
                    raise
                if not shards.failed(member):
                    return shards.missing(call.miss, error)
            else:
                shards.answered(member)
                return result

    async def _many(self, calls: Sequence[Call]) -> list[Any]:
        """All calls, split by node, sent at once, and their results in their order, exceptions among them."""
        results: list[Any] = [None] * len(calls)
        left: list[int] = list(range(len(calls)))
        while left:
            parts = self._shards.scatter(calls, left, results)
            exchanges = [self._exchange(calls, part) for part in parts]
            replies = await asyncio.gather(*exchanges, return_exceptions=True)
            left = self._shards.gather(calls, parts, replies, results)
        return results

    async def _exchange(self, calls: Sequence[Call], part: tuple[Member[AsyncClient], list[int]]) -> list[Any]:
        member, places = part
        batch = _antcache.Batch(member.client._profile)
        for place in places:
            calls[place].on(batch)
        return await member.client._run(batch)

    async def get(self, key: Key, default: Any = None, *, decode: bool | None = None) -> Any:
        """The value of a key, or ``default``. See :meth:`Client.get`."""
        return await self._one(Call("get", key, (default,), {"decode": decode}, miss=default))

    async def set(self, key: Key, value: Any, ttl: Seconds | None = None, *, nx: bool = False, xx: bool = False) -> bool:
        """Sets a key. See :meth:`Client.set`."""
        return await self._one(Call("set", key, (value, ttl), {"nx": nx, "xx": xx}, miss=False))

    async def delete(self, key: Key) -> bool:
        """Deletes a key. Returns whether there was one."""
        return await self._one(Call("delete", key, miss=False))

    async def incr(self, key: Key, amount: int = 1) -> int:
        """Adds to the number at a key. See :meth:`Client.incr`. With ``on_node_down="miss"`` it raises all the same."""
        return await self._one(Call("incr", key, (amount,)))

    async def decr(self, key: Key, amount: int = 1) -> int:
        """Takes off the number at a key. See :meth:`incr`."""
        return await self._one(Call("decr", key, (amount,)))

    async def expire(self, key: Key, ttl: Seconds) -> bool:
        """Gives a key a new time to live. Returns whether there is such a key."""
        return await self._one(Call("expire", key, (ttl,), miss=False))

    async def persist(self, key: Key) -> bool:
        """Lets a key live for ever. Returns whether it had a time to live."""
        return await self._one(Call("persist", key, miss=False))

    async def ttl(self, key: Key) -> float | None:
        """The seconds that a key has to live. See :meth:`Client.ttl`."""
        return await self._one(Call("ttl", key, miss=None))

    async def touch(self, key: Key, ttl: Seconds | None = None) -> bool:
        """Counts as a use of a key. See :meth:`Client.touch`."""
        return await self._one(Call("touch", key, (ttl,), miss=False))

    async def exists(self, key: Key) -> bool:
        """Whether there is such a key."""
        return await self._one(Call("exists", key, miss=False))

    async def type(self, key: Key) -> str | None:
        """The type of the value at a key. See :meth:`Client.type`."""
        return await self._one(Call("type", key, miss=None))

    async def get_many(self, keys: Iterable[Key], *, decode: bool | None = None) -> dict[Any, Any]:
        """The values of several keys that there are, in the order of the keys. All nodes are asked at once."""
        calls = [Call("get", key, (_MISSING,), {"decode": decode}, miss=_MISSING) for key in listed(keys)]
        results = await self._many(calls)
        raise_first(results)
        return {call.key: result for call, result in zip(calls, results, strict=True) if result is not _MISSING}

    async def set_many(self, values: Mapping[Any, Any], ttl: Seconds | None = None) -> None:
        """Sets several keys, on all nodes at once. It is not atomic."""
        raise_first(await self._many([Call("set", key, (value, ttl), miss=False) for key, value in values.items()]))

    async def delete_many(self, keys: Iterable[Key]) -> int:
        """Deletes several keys, on all nodes at once. Returns how many there were."""
        results = await self._many([Call("delete", key, miss=False) for key in listed(keys)])
        raise_first(results)
        return sum(results)

    async def execute(self, *words: str | bytes | int, decode: bool | None = None) -> Any:
        """Any command whose first argument is its one key; returns its reply. The namespace is not added."""
        return await self._one(words_call(words, decode))

    def pipeline(self) -> AsyncShardedPipeline:
        """Collects requests, to be sent to all nodes at once."""
        return AsyncShardedPipeline(self)

    # All nodes.

    async def _everywhere(self, method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        members = list(self._shards.members)
        calls = [getattr(member.client, method)(*args, **kwargs) for member in members]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for member, result in zip(members, results, strict=True):
            if isinstance(result, Exception) and is_down(result):
                self._shards.failed(member)
            else:
                self._shards.answered(member)
        raise_first(results)
        return {member.node.label: result for member, result in zip(members, results, strict=True)}

    async def keys(self, pattern: Key | None = None, *, decode: bool | None = None) -> list[Any]:
        """The keys of all nodes that match a pattern."""
        found = await self._everywhere("keys", pattern, decode=decode)
        return [key for keys in found.values() for key in keys]

    async def scan_iter(
        self, pattern: Key | None = None, *, count: int = 100, decode: bool | None = None
    ) -> AsyncIterator[Any]:
        """Walks through the keys of one node after the other. See :meth:`Client.scan_iter`."""
        for member in list(self._shards.members):
            async for key in member.client.scan_iter(pattern, count=count, decode=decode):
                yield key

    async def flush_all(self) -> None:
        """Deletes all keys of all nodes. Raises if one cannot be reached, once the others are empty."""
        await self._everywhere("flush_all")

    async def ping(self) -> dict[str, str]:
        """``"PONG"`` of each node, by its name."""
        return await self._everywhere("ping")

    async def info(self, section: str | None = None) -> dict[str, dict[str, str | int | float]]:
        """What each node tells about itself, by its name."""
        return await self._everywhere("info", section)


class AsyncShardedPipeline(CallQueue):
    """Requests that are collected and sent to all nodes at once. As :class:`AsyncPipeline`."""

    def __init__(self, client: AsyncShardedClient) -> None:
        super().__init__()
        self._client = client

    async def run(self, *, raise_errors: bool = True) -> list[Any]:
        """Sends what was collected; one result for each call, in their order. As :meth:`AsyncPipeline.run`."""
        self.results = await self._client._many(self._take())
        if raise_errors:
            raise_first(self.results)
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
