"""Ways to store other values than strings, lists and dicts of strings.

A serializer is any object with ``dumps(value)``, which returns ``str`` or ``bytes``, and ``loads(bytes)``. A client that
has one passes every value through it.

>>> from antcache import Client, serializers
>>> with Client(port=port, serializer=serializers.json) as c:
...     c.set("user:1", {"name": "Ada", "born": 1815, "tags": None})
...     c.get("user:1")
True
{'name': 'Ada', 'born': 1815, 'tags': None}
"""

from __future__ import annotations

import json as _json
import pickle as _pickle
import zlib as _zlib
from typing import Any, Protocol


class Serializer(Protocol):
    """What ``serializer=`` takes."""

    def dumps(self, value: Any, /) -> str | bytes:
        """The value as it is stored."""

    def loads(self, stored: bytes, /) -> Any:
        """The value that was stored."""


class _Json:
    """JSON without white space: readable by everybody. Tuples come back as lists, keys of dicts as strings."""

    def dumps(self, value: Any, /) -> str:
        return _json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def loads(self, stored: bytes, /) -> Any:
        return _json.loads(stored)


class _Pickle:
    """Pickle: nearly any Python object.

    **Warning**: loading a pickle can run any code. Whoever can write to the cache can then run code in every program that
    reads it. Use it only where everybody who reaches the server may do so.
    """

    def dumps(self, value: Any, /) -> bytes:
        return _pickle.dumps(value, _pickle.HIGHEST_PROTOCOL)

    def loads(self, stored: bytes, /) -> Any:
        return _pickle.loads(stored)


class Compressed:
    """Another serializer, whose results are compressed by zlib from ``threshold`` bytes on.

    >>> small = Compressed(json, threshold=100)
    >>> len(small.dumps("a" * 1000)) < 50
    True
    >>> small.loads(small.dumps("a" * 1000)) == "a" * 1000
    True
    """

    def __init__(self, serializer: Serializer, *, threshold: int = 1024, level: int = -1) -> None:
        self._serializer = serializer
        self._threshold = threshold
        self._level = level

    def dumps(self, value: Any, /) -> bytes:
        plain = self._serializer.dumps(value)
        if isinstance(plain, str):
            plain = plain.encode()
        if len(plain) < self._threshold:
            return b"p" + plain
        return b"z" + _zlib.compress(plain, self._level)

    def loads(self, stored: bytes, /) -> Any:
        mark, body = stored[:1], stored[1:]
        if mark not in (b"p", b"z"):
            raise ValueError("not a value that Compressed has stored")
        return self._serializer.loads(_zlib.decompress(body) if mark == b"z" else body)


json: Serializer = _Json()
pickle: Serializer = _Pickle()

__all__ = ["Compressed", "Serializer", "json", "pickle"]
