"""A pytest plugin, found by pytest where antcache is installed.

``antcache_server`` is a server of the test session, emptied before each test that asks for it; ``antcache_client`` is a
client of it::

    def test_greeting(antcache_client):
        antcache_client.set("greeting", "hello")
        assert antcache_client.get("greeting") == b"hello"
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import antcache


@pytest.fixture(scope="session")
def _antcache_session_server() -> Iterator[antcache.Server]:
    with antcache.Server() as server:
        yield server


@pytest.fixture
def antcache_server(_antcache_session_server: antcache.Server) -> antcache.Server:
    """A running server without keys; ``host`` and ``port`` tell where."""
    with antcache.Client(_antcache_session_server.host, _antcache_session_server.port) as client:
        client.flush_all()
    return _antcache_session_server


@pytest.fixture
def antcache_client(antcache_server: antcache.Server) -> Iterator[antcache.Client]:
    """A client of ``antcache_server``."""
    with antcache.Client(antcache_server.host, antcache_server.port) as client:
        yield client
