"""Functions that remember what they returned."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from . import serializers
from ._cache import Cache
from .errors import DataTypeError

F = TypeVar("F", bound=Callable[..., Any])

_MISSING = object()


def cached(
    store: Any,
    *,
    ttl: timedelta | int | float | None = None,
    key: Callable[..., str | bytes] | None = None,
) -> Callable[[F], F]:
    """Remembers in ``store`` what a function returns for its arguments.

    The store is a :class:`Client`, :class:`ShardedClient` or :class:`Cache` for functions, an :class:`AsyncClient` or
    :class:`AsyncShardedClient` for coroutine functions. Results pass through the serializer of the store, or through JSON
    where it has none.

    Of several threads (or tasks) of this process that call it with the same arguments at once, one calls the function,
    the others wait for what it returns. An exception is not remembered: whoever called gets it, and of those who wait the
    next one calls.

    The key is made of the function's name and its arguments, which must be ``str``, ``bytes``, numbers, ``None`` or tuples
    of these. Others need ``key``, which gets the same arguments and returns the key.

    >>> @cached(client, ttl=60)
    ... def area(width, height):
    ...     print("computing")
    ...     return width * height
    >>> area(3, 4)
    computing
    12
    >>> area(3, height=4)
    12
    >>> area.forget(3, 4)
    True

    The function has two more attributes: ``forget(*args, **kwargs)`` deletes what is remembered for these arguments, and
    ``cache_key(*args, **kwargs)`` tells the key.
    """

    def decorate(function: F) -> F:
        make_key = _key_maker(function) if key is None else key
        kind = _Coroutine if inspect.iscoroutinefunction(function) else _Function
        remembering: F = kind(store, ttl, make_key, function).wrapper()
        return remembering

    return decorate


class _Remembering:
    """What both kinds of functions share."""

    def __init__(
        self, store: Any, ttl: timedelta | int | float | None, key: Callable[..., str | bytes], function: Any
    ) -> None:
        self.store = store
        self.ttl = ttl
        self.key = key
        self.function = function
        stores_anything = isinstance(store, Cache) or store.serializer is not None
        own = None if stores_anything else serializers.json
        self.dumps = own.dumps if own else (lambda value: value)
        self.loads = own.loads if own else (lambda value: value)

    def forget(self, *args: Any, **kwargs: Any) -> Any:
        """Deletes what is remembered for these arguments; returns (or its awaitable does) whether there was anything."""
        return self.store.delete(self.key(*args, **kwargs))

    def wrapper(self) -> Any:
        wrapper: Any = functools.wraps(self.function)(self.calls())
        wrapper.forget = self.forget
        wrapper.cache_key = self.key
        return wrapper

    def calls(self) -> Any:
        raise NotImplementedError


class _Function(_Remembering):
    def calls(self) -> Any:
        locks: dict[str | bytes, tuple[threading.Lock, list[int]]] = {}
        guard = threading.Lock()

        def call(*args: Any, **kwargs: Any) -> Any:
            key = self.key(*args, **kwargs)
            stored = self.store.get(key, _MISSING)
            if stored is not _MISSING:
                return self.loads(stored)
            with guard:
                lock, users = locks.setdefault(key, (threading.Lock(), [0]))
                users[0] += 1
            try:
                with lock:
                    # Another may have computed it while this thread waited.
                    stored = self.store.get(key, _MISSING)
                    if stored is not _MISSING:
                        return self.loads(stored)
                    value = self.function(*args, **kwargs)
                    self.store.set(key, self.dumps(value), self.ttl)
                    return value
            finally:
                with guard:
                    users[0] -= 1
                    if users[0] == 0:
                        locks.pop(key, None)

        return call


class _Coroutine(_Remembering):
    def calls(self) -> Any:
        flights: dict[tuple[asyncio.AbstractEventLoop, str | bytes], tuple[asyncio.Lock, list[int]]] = {}

        async def call(*args: Any, **kwargs: Any) -> Any:
            key = self.key(*args, **kwargs)
            stored = await self.store.get(key, _MISSING)
            if stored is not _MISSING:
                return self.loads(stored)
            flight = (asyncio.get_running_loop(), key)
            lock, users = flights.setdefault(flight, (asyncio.Lock(), [0]))
            users[0] += 1
            try:
                async with lock:
                    stored = await self.store.get(key, _MISSING)
                    if stored is not _MISSING:
                        return self.loads(stored)
                    value = await self.function(*args, **kwargs)
                    await self.store.set(key, self.dumps(value), self.ttl)
                    return value
            finally:
                users[0] -= 1
                if users[0] == 0:
                    flights.pop(flight, None)

        return call


def _key_maker(function: Callable[..., Any]) -> Callable[..., str]:
    """Keys of the function's name and its arguments, the same however they are passed."""
    name = f"{function.__module__}.{function.__qualname__}"
    signature = inspect.signature(function)

    def key(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        words = (_word(value, name) for value in (*bound.args, *sorted(bound.kwargs.items())))
        return f"{name}({','.join(words)})"

    return key


def _word(value: Any, name: str) -> str:
    """An argument as a part of a key. What has no stable text of its own is refused: an address is not one."""
    if value is None or type(value) in (str, bytes, int, float, bool):
        return repr(value)
    if type(value) is tuple:
        return f"({','.join(_word(item, name) for item in value)})"
    kind = type(value).__name__
    raise DataTypeError(f"an argument of type {kind} needs cached(key=...)", node="cached", command=name)
