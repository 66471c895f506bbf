"""The cache backend for Django::

    CACHES = {
        "default": {
            "BACKEND": "antcache.contrib.django.AntCache",
            "LOCATION": "127.0.0.1:8890",
        }
    }

``LOCATION`` is ``host:port``, ``/path`` of a Unix socket, or a list of these, over which keys are then spread.
``OPTIONS`` are those of :class:`antcache.Client` or :class:`antcache.ShardedClient`. Django's ``MAX_ENTRIES`` and
``CULL_FREQUENCY`` have no effect: what goes when memory is short is the server's to choose.
"""

# The framework has no types of its own.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator,no-any-return,no-untyped-call"

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.utils.functional import cached_property

from antcache import Client, Node, ShardedClient

from ._values import CountableSerializer

_MISSING = object()


class AntCache(BaseCache):
    """Django's cache on one server or several."""

    def __init__(self, location: str | Iterable[str], params: dict[str, Any]) -> None:
        super().__init__(params)
        listed = location.replace(";", ",").split(",") if isinstance(location, str) else list(location)
        self._nodes = [Node.parse(node.strip()) for node in listed if node.strip()] or [Node()]
        self._settings = {"serializer": CountableSerializer(), **params.get("OPTIONS", {})}
        for culling in "MAX_ENTRIES", "CULL_FREQUENCY":
            # Django's own, which BaseCache has read. The server evicts by memory, and by what is in use.
            self._settings.pop(culling, None)

    @cached_property
    def _client(self) -> Client | ShardedClient:
        if len(self._nodes) > 1:
            return ShardedClient(self._nodes, **self._settings)
        node = self._nodes[0]
        return Client(node.host, node.port, unix_socket=node.unix_socket, **self._settings)

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """The time to live; 0 for what is not to be kept at all."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else max(0, timeout)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        key = self.make_and_validate_key(key, version=version)
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            return not self._client.exists(key)
        return self._client.set(key, value, ttl, nx=True)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self._client.get(self.make_and_validate_key(key, version=version), default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        key = self.make_and_validate_key(key, version=version)
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            self._client.delete(key)
        else:
            self._client.set(key, value, ttl)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        key = self.make_and_validate_key(key, version=version)
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            return self._client.delete(key)
        if ttl is None:
            self._client.persist(key)
            return self._client.exists(key)
        return self._client.touch(key, ttl)

    def delete(self, key: Any, version: Any = None) -> bool:
        return self._client.delete(self.make_and_validate_key(key, version=version))

    def has_key(self, key: Any, version: Any = None) -> bool:
        return self._client.exists(self.make_and_validate_key(key, version=version))

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        full = self.make_and_validate_key(key, version=version)
        if not self._client.exists(full):
            raise ValueError(f"Key '{key}' not found.")
        return self._client.incr(full, delta)

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        names = {self.make_and_validate_key(key, version=version): key for key in keys}
        return {names[key]: value for key, value in self._client.get_many(names).items()}

    def set_many(self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> list[Any]:
        values = {self.make_and_validate_key(key, version=version): value for key, value in data.items()}
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            self._client.delete_many(values)
        else:
            self._client.set_many(values, ttl)
        return []

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        self._client.delete_many([self.make_and_validate_key(key, version=version) for key in keys])

    def clear(self) -> bool:
        self._client.flush_all()
        return True
