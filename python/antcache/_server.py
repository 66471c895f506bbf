"""The server in this process."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from . import _antcache

if TYPE_CHECKING:
    from typing_extensions import Self


class Server(_antcache.Server):
    """The real server, on threads of this process: for tests and tools. It serves from its making on.

    >>> with Server() as server:
    ...     with Client(server.host, server.port) as client:
    ...         client.ping()
    'PONG'
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<antcache.Server on {self.host}:{self.port}{', stopped' if self.stopped else ''}>"
