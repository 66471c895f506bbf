"""Servers of every kind for the tests of the module, and a network that misbehaves."""

import socket
import threading

import antcache
import pytest


def pytest_addoption(parser):
    parser.addoption("--wheels", required=True, help="the directory of the wheel under test")


KINDS = [(runtime, architecture) for runtime in ("std", "smol") for architecture in ("single", "pooled")]


@pytest.fixture(scope="session", params=KINDS, ids="-".join)
def kind(request):
    """A server of each runtime and architecture."""
    runtime, architecture = request.param
    with antcache.Server(runtime=runtime, architecture=architecture) as server:
        yield server


@pytest.fixture
def server(kind):
    """The same, without keys."""
    with antcache.Client(port=kind.port) as client:
        client.flush_all()
    return kind


@pytest.fixture
def client(server):
    with antcache.Client(port=server.port) as client:
        yield client


@pytest.fixture(scope="session")
def one():
    """One server, for tests to which it does not matter which."""
    with antcache.Server() as server:
        yield server


class Fake:
    """A server that does what a test says: ``talk`` gets each connection's socket, and may use it up."""

    def __init__(self, talk):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.talk = talk
        self.accepted = 0
        self.sockets = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(connection)
            threading.Thread(target=self.converse, args=(connection, self.accepted), daemon=True).start()

    def converse(self, connection, number):
        try:
            self.talk(connection, number)
        except OSError:
            pass  # The client has closed.
        finally:
            connection.close()

    def close(self):
        # A thread that accepts does not notice a close.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.sockets:
            connection.close()


@pytest.fixture
def fake():
    """Starts fake servers."""
    fakes = []

    def start(talk):
        fakes.append(Fake(talk))
        return fakes[-1]

    yield start
    for server in fakes:
        server.close()


@pytest.fixture
def dead():
    """A port where nobody listens, and nobody else will."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
