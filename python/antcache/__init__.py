"""Ant-Cache for Python: clients, an embedded cache, and the server itself.

>>> with Server() as server, Client(port=server.port) as client:
...     client.set("greeting", "hello", ttl=60)
...     client.get("greeting", decode=True)
True
'hello'

:class:`Client` blocks, :class:`AsyncClient` is for asyncio, :class:`ShardedClient` and :class:`AsyncShardedClient` spread
keys over several servers. :class:`Cache` is the store inside this process, :class:`Server` the real server inside this
process. :func:`cached` remembers what a function returned, in any of them.
"""

from . import errors, serializers
from ._aio import AsyncClient, AsyncPipeline
from ._aio_sharded import AsyncShardedClient, AsyncShardedPipeline
from ._antcache import __version__
from ._cache import Cache
from ._cached import cached
from ._client import Client, Pipeline
from ._server import Server
from ._sharded import ShardedClient, ShardedPipeline
from ._shards import Node, NodeStats
from .errors import Error

__all__ = [
    "AsyncClient",
    "AsyncPipeline",
    "AsyncShardedClient",
    "AsyncShardedPipeline",
    "Cache",
    "Client",
    "Error",
    "Node",
    "NodeStats",
    "Pipeline",
    "Server",
    "ShardedClient",
    "ShardedPipeline",
    "__version__",
    "cached",
    "errors",
    "serializers",
]
