"""Values as frameworks store them: integers as such, so that the server can count with them, the rest by a serializer."""

from __future__ import annotations

from typing import Any

from ..serializers import Serializer, pickle


class CountableSerializer:
    """Another serializer, but for ``int``.

    >>> countable = CountableSerializer()
    >>> countable.dumps(7), countable.loads(b"7"), countable.loads(countable.dumps("7"))
    (b'7', 7, '7')
    """

    def __init__(self, serializer: Serializer = pickle) -> None:
        self._serializer = serializer

    def dumps(self, value: Any, /) -> bytes:
        if type(value) is int and -(2**63) <= value < 2**63:
            return b"%d" % value
        dumped = self._serializer.dumps(value)
        # The mark is no digit, whatever the serializer makes.
        return b"!" + (dumped.encode() if isinstance(dumped, str) else dumped)

    def loads(self, stored: bytes, /) -> Any:
        return self._serializer.loads(stored[1:]) if stored[:1] == b"!" else int(stored)
