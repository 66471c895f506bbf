"""The backend for Flask-Caching::

    app.config["CACHE_TYPE"] = "antcache.contrib.flask_caching.AntCache"
    app.config["CACHE_ANTCACHE_NODES"] = ["127.0.0.1:8890"]
    cache = Cache(app)

With several nodes keys are spread over them. ``CACHE_OPTIONS`` are those of :class:`antcache.Client` or
:class:`antcache.ShardedClient`; ``CACHE_KEY_PREFIX`` stands before all keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask
from flask_caching.backends.base import BaseCache

from antcache import Client, Node, ShardedClient

from ._values import CountableSerializer


class AntCache(BaseCache):
    """Flask-Caching's cache on one server or several. A timeout of 0 means for ever, as in its other backends."""

    def __init__(
        self,
        nodes: Sequence[str] = ("127.0.0.1:8890",),
        default_timeout: int = 300,
        key_prefix: str = "",
        ignore_delete_many_errors: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        settings = {"serializer": CountableSerializer(), **options}
        if key_prefix:
            settings["namespace"] = key_prefix
        self._prefix = key_prefix
        self._client: Client | ShardedClient
        if len(nodes) == 1:
            node = Node.parse(nodes[0])
            self._client = Client(node.host, node.port, unix_socket=node.unix_socket, **settings)
        else:
            self._client = ShardedClient(nodes, **settings)

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> AntCache:
        nodes = config.get("CACHE_ANTCACHE_NODES", ["127.0.0.1:8890"])
        kwargs["nodes"] = [nodes] if isinstance(nodes, str) else list(nodes)
        if config.get("CACHE_KEY_PREFIX"):
            kwargs["key_prefix"] = config["CACHE_KEY_PREFIX"]
        return cls(*args, **kwargs)

    def _ttl(self, timeout: Any) -> Any:
        timeout = self.default_timeout if timeout is None else timeout
        return None if timeout == 0 else timeout

    def get(self, key: str) -> Any:
        return self._client.get(key)

    def get_many(self, *keys: str) -> list[Any]:
        found = self._client.get_many(keys)
        return [found.get(key) for key in keys]

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        return self._client.set(key, value, self._ttl(timeout))

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        return self._client.set(key, value, self._ttl(timeout), nx=True)

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[str]:
        self._client.set_many(mapping, self._ttl(timeout))
        return list(mapping)

    def delete(self, key: str) -> bool:
        return self._client.delete(key)

    def delete_many(self, *keys: str) -> list[str]:
        with self._client.pipeline() as pipe:
            for key in keys:
                pipe.delete(key)
        return [key for key, deleted in zip(keys, pipe.results, strict=True) if deleted]

    def has(self, key: str) -> bool:
        return self._client.exists(key)

    def clear(self) -> bool:
        if self._prefix:
            self._client.delete_many(list(self._client.scan_iter()))
        else:
            self._client.flush_all()
        return True

    def inc(self, key: str, delta: int = 1) -> int:
        return self._client.incr(key, delta)

    def dec(self, key: str, delta: int = 1) -> int:
        return self._client.decr(key, delta)

    def unlink(self, *keys: str) -> list[str]:
        return self.delete_many(*keys)
