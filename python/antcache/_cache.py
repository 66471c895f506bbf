"""The embedded cache: what its native base does not need to be fast at."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from . import _antcache

F = TypeVar("F", bound=Callable[..., Any])


class CacheInfo(NamedTuple):
    """As ``functools.lru_cache`` has it."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class _Items(ItemsView[Any, Any]):
    """All pairs, copied when the walk begins."""

    _mapping: Cache

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self._mapping._list(values=True))


class _Values(ValuesView[Any]):
    _mapping: Cache

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping._list(values=True))


class Cache(_antcache.Cache, MutableMapping[Any, Any]):
    """A cache in this process: a mapping with a bound on memory, times to live, and eviction.

    Keys are ``str`` or ``bytes``. Values are stored as bytes, so each look-up returns a new object: ``bytes`` and ``str``
    are copied, anything else is pickled. Any number of threads may use it.

    >>> cache = Cache(max_memory=64 << 20, ttl=300)
    >>> cache["user:1"] = {"name": "Ada"}
    >>> cache["user:1"], "user:2" in cache, len(cache)
    ({'name': 'Ada'}, False, 1)
    >>> cache.set("lock", "mine", ttl=10, nx=True), cache.set("lock", "mine", ttl=10, nx=True)
    (True, False)
    >>> cache.get_or_set("answer", lambda: 6 * 7)
    42
    >>> sorted(cache)
    ['answer', 'lock', 'user:1']

    The stub of its native base documents the methods; those of ``collections.abc.MutableMapping`` are there as well.
    """

    #: For :func:`cached`: values need no serializer here.
    serializer = None

    def __iter__(self) -> Iterator[Any]:
        """The keys, copied when the walk begins."""
        return iter(self._list())

    def items(self) -> ItemsView[Any, Any]:
        """Keys and values; both are copied when a walk begins."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """The values; they are copied when a walk begins."""
        return _Values(self)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Cache cannot be pickled: it belongs to its process")

    def memoize(self, function: F | None = None, *, ttl: timedelta | int | float | None = None) -> Any:
        """Remembers what a function returns for its arguments, as ``functools.lru_cache`` does.

        Arguments must be picklable; those that are equal but pickled differently (``1`` and ``1.0``) count as different.
        Of several threads that call it with the same arguments at once, one computes and the others wait.

        >>> cache = Cache(max_entries=1000)
        >>> @cache.memoize
        ... def fib(n):
        ...     return n if n < 2 else fib(n - 1) + fib(n - 2)
        >>> fib(80)
        23416728348467685
        >>> fib.cache_info().currsize
        81

        The function has the attributes of one that ``lru_cache`` made: ``cache_info()``, whose hits and misses count
        this function's calls, ``cache_clear()``, and ``__wrapped__``.
        """
        if function is None:
            return functools.partial(self.memoize, ttl=ttl)
        return _Memoized(self, function, ttl).wrapper()

    def __repr__(self) -> str:
        return f"<antcache.Cache of {len(self)} entries>"


class _Memoized:
    """One function that a cache remembers."""

    def __init__(self, cache: Cache, function: Callable[..., Any], ttl: timedelta | int | float | None) -> None:
        self.cache = cache
        self.function = function
        self.ttl = ttl
        self.prefix = f"{function.__module__}.{function.__qualname__}:".encode()
        self.calls = 0
        self.misses = 0

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        named = tuple(sorted(kwargs.items())) if kwargs else ()
        return self.prefix + pickle.dumps((args, named), 5)

    def wrapper(self) -> Any:
        get_or_set, function, make_key, ttl = self.cache.get_or_set, self.function, self.key, self.ttl

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1

            def load() -> Any:
                self.misses += 1
                return function(*args, **kwargs)

            return get_or_set(make_key(args, kwargs), load, ttl)

        wrapper: Any = call
        wrapper.cache_info = self.info
        wrapper.cache_clear = self.clear
        return wrapper

    def keys(self) -> list[bytes]:
        return [key for key in self.cache if isinstance(key, bytes) and key.startswith(self.prefix)]

    def info(self) -> CacheInfo:
        return CacheInfo(self.calls - self.misses, self.misses, self.cache.max_entries, len(self.keys()))

    def clear(self) -> None:
        for key in self.keys():
            self.cache.delete(key)
        self.calls = self.misses = 0
