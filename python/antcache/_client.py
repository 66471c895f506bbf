"""The blocking client: what its native base does not need to be fast at."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _antcache
from ._info import parse_info

if TYPE_CHECKING:
    from typing_extensions import Self


class Pipeline(_antcache.Batch):
    """Requests that are collected and sent together, in one go each way.

    Every method of a client that asks one server returns the pipeline itself; :meth:`run` sends what was collected, and
    so does leaving a ``with`` block without an exception.

    >>> with client.pipeline() as pipe:
    ...     pipe.set("a", 1).incr("a").get("a")
    <antcache.Pipeline of 3 calls>
    >>> pipe.results
    [True, 2, b'2']

    It is no transaction: requests of others may be executed in between. A pipeline belongs to one thread.
    """

    #: What the last :meth:`run` returned.
    results: list[Any]
    _client: Client

    def __new__(cls, client: Client) -> Self:
        pipeline = super().__new__(cls, client._profile)
        pipeline._client = client
        pipeline.results = []
        return pipeline

    def run(self, *, raise_errors: bool = True) -> list[Any]:
        """Sends what was collected, and returns one result for each call, in their order.

        Where the server answers one of them with an error, the others are carried out all the same. The first such
        exception is raised once all results are in :attr:`results`, or, without ``raise_errors``, it stands in its place
        like the others.
        """
        self.results = self._client._run(self)
        if raise_errors:
            for result in self.results:
                if isinstance(result, Exception):
                    raise result
        return self.results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.run()
        else:
            self.clear()

    def __repr__(self) -> str:
        return f"<antcache.Pipeline of {len(self)} calls>"


class Client(_antcache.Client):
    """A client of one server: :class:`antcache.Client`; the stub of its native base documents the methods."""

    def pipeline(self) -> Pipeline:
        """Collects requests, to be sent together."""
        return Pipeline(self)

    def scan_iter(
        self, pattern: str | bytes | None = None, *, count: int = 100, decode: bool | None = None
    ) -> Iterator[Any]:
        """Walks through the keys, about ``count`` a request, while others use the server.

        A key that exists throughout is met at least once; one that is set or deleted meanwhile perhaps.
        """
        cursor = 0
        while True:
            cursor, keys = self.scan(cursor, pattern, count=count, decode=decode)
            yield from keys
            if cursor == 0:
                return

    def info(self, section: str | None = None) -> dict[str, str | int | float]:
        """What the server tells about itself: all of it, or a section such as ``"memory"``."""
        words = ("INFO",) if section is None else ("INFO", section)
        return parse_info(self.execute(*words, decode=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<antcache.Client of {self.node}>"
