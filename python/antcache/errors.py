"""Everything that antcache raises.

All of it is under :class:`Error`. The text of an exception names the node and the command, which are attributes as well.
Those that mean the same as a built-in exception inherit from it too, so ``except TimeoutError`` needs no import.
"""

from __future__ import annotations

import builtins


class Error(Exception):
    """The base of all.

    >>> print(Error("no answer", node="127.0.0.1:8890", command="GET"))
    127.0.0.1:8890: GET: no answer
    """

    #: ``host:port`` or the path of the Unix socket; ``cache`` or ``server`` for what runs in the process.
    node: str | None
    #: The name of the command, or of the method where there is no command.
    command: str | None
    #: What went wrong, without the place.
    message: str

    def __init__(self, message: str = "", *, node: str | None = None, command: str | None = None) -> None:
        super().__init__(": ".join(part for part in (node, command, message) if part))
        self.message = message
        self.node = node
        self.command = command


class ConnectionError(Error, builtins.ConnectionError):
    """No connection could be made, or it broke before the reply was complete. A request that was sent may have been
    carried out."""


class TimeoutError(Error, builtins.TimeoutError):
    """The server did not answer in time. The request may have been carried out, or may yet be."""


class PoolExhaustedError(TimeoutError):
    """Every connection of the pool was in use for as long as ``timeout``. Nothing was sent."""


class NodeDownError(ConnectionError):
    """The node that the key belongs to has been ejected, and is not tried again yet. Nothing was sent."""


class ProtocolError(Error):
    """The server sent something that is no reply, or more replies than it was asked for. The connection is closed."""


class ResponseError(Error):
    """The server answered with an error. The connection is as good as before."""


class WrongTypeError(ResponseError):
    """The key holds a value of another type than the command works on."""


class AuthenticationError(ResponseError):
    """The password is wrong, or one is required."""


class DataError(Error, ValueError):
    """An argument that no request can be made of: an empty key, a negative time to live. Nothing was sent."""


class DataTypeError(DataError, TypeError):
    """An argument of a type that cannot be sent. Nothing was sent."""


class ClosedError(Error):
    """It was closed before. Nothing was sent."""


class FullError(Error):
    """A :class:`Cache` is full, and its eviction policy lets nothing go."""


class ForkError(Error):
    """It belongs to the process that this one was forked from, and cannot be used here. Make a new one."""


__all__ = [
    "AuthenticationError",
    "ClosedError",
    "ConnectionError",
    "DataError",
    "DataTypeError",
    "Error",
    "ForkError",
    "FullError",
    "NodeDownError",
    "PoolExhaustedError",
    "ProtocolError",
    "ResponseError",
    "TimeoutError",
    "WrongTypeError",
]
