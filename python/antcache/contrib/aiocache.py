"""The backend for aiocache::

    from antcache.contrib.aiocache import AntCache

    cache = AntCache(endpoint="127.0.0.1", port=8890, namespace="main")

With ``nodes=["a:8890", "b:8890"]`` in place of ``endpoint`` and ``port``, keys are spread over several. ``options`` are those
of :class:`antcache.AsyncClient` or :class:`antcache.AsyncShardedClient`. Values pass through aiocache's serializer, JSON where
none is given. The server has no scripts, so optimistic locks and redlocks are not available.
"""

# The framework has no types of its own.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator,no-any-return,no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiocache.base import BaseCache
from aiocache.serializers import JsonSerializer

from antcache import AsyncClient, AsyncShardedClient
from antcache.errors import ResponseError


class AntCache(BaseCache):
    """aiocache's cache on one server or several."""

    NAME = "antcache"

    def __init__(
        self,
        endpoint: str = "127.0.0.1",
        port: int = 8890,
        nodes: Sequence[str] | None = None,
        serializer: Any = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(serializer=serializer or JsonSerializer(), **kwargs)
        self._endpoint, self._port, self._nodes, self._options = endpoint, int(port), nodes, options or {}
        self.client = self._connect()

    def _connect(self) -> AsyncClient | AsyncShardedClient:
        if self._nodes is None:
            return AsyncClient(self._endpoint, self._port, **self._options)
        return AsyncShardedClient(self._nodes, **self._options)

    def _build_key(self, key: str, namespace: str | None = None) -> str:
        return super()._build_key(key, f"{namespace}:" if namespace else None)

    async def _get(self, key: str, encoding: str | None = "utf-8", _conn: Any = None) -> Any:
        return await self.client.get(key, decode=encoding is not None)

    async def _multi_get(self, keys: Sequence[str], encoding: str | None = "utf-8", _conn: Any = None) -> list[Any]:
        found = await self.client.get_many(keys, decode=encoding is not None)
        return [found.get(key) for key in keys]

    async def _set(self, key: str, value: Any, ttl: Any = None, _cas_token: Any = None, _conn: Any = None) -> bool:
        if _cas_token is not None:
            raise NotImplementedError("the server has no scripts to compare and set with")
        return await self.client.set(key, value, ttl or None)

    async def _multi_set(self, pairs: Any, ttl: Any = None, _conn: Any = None) -> bool:
        await self.client.set_many(dict(pairs), ttl or None)
        return True

    async def _add(self, key: str, value: Any, ttl: Any = None, _conn: Any = None) -> bool:
        if not await self.client.set(key, value, ttl or None, nx=True):
            raise ValueError(f"Key {key} already exists, use .set to update the value")
        return True

    async def _exists(self, key: str, _conn: Any = None) -> bool:
        return await self.client.exists(key)

    async def _increment(self, key: str, delta: int, _conn: Any = None) -> int:
        try:
            return await self.client.incr(key, delta)
        except ResponseError:
            raise TypeError("Value is not an integer") from None

    async def _expire(self, key: str, ttl: Any, _conn: Any = None) -> bool:
        if ttl == 0:
            return await self.client.persist(key)
        return await self.client.expire(key, ttl)

    async def _delete(self, key: str, _conn: Any = None) -> int:
        return int(await self.client.delete(key))

    async def _clear(self, namespace: str | None = None, _conn: Any = None) -> bool:
        if namespace:
            await self.client.delete_many([key async for key in self.client.scan_iter(f"{namespace}:*")])
        else:
            await self.client.flush_all()
        return True

    async def _raw(self, command: str, *args: Any, encoding: str | None = "utf-8", _conn: Any = None, **kwargs: Any) -> Any:
        return await self.client.execute(command, *args, decode=encoding is not None)

    async def _close(self, *args: Any, _conn: Any = None, **kwargs: Any) -> None:
        # For aiocache a closed cache is one without connections, which may be used again.
        client, self.client = self.client, self._connect()
        await client.close()
