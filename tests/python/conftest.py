"""A server for the tests of the program from outside."""

import os
import pathlib
import re
import subprocess

import pytest


def pytest_addoption(parser):
    parser.addoption("--server", required=True, type=pathlib.Path, help="the program under test")
    parser.addoption("--picture", help="file for a picture of the metrics page")


class Server:
    """A running server, with settings from nobody but the test."""

    def __init__(self, program, *words):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANT_CACHE_")}
        command = [program, "--port", "0", "--log-level", "warn", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.ready = self.process.stdout.readline()
        address = re.search(r"ready on 127\.0\.0\.1:(\d+)", self.ready)
        assert address, "the server did not start"
        self.port = int(address[1])

    def stop(self):
        """Ends it as an operator would. It must end well."""
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0


@pytest.fixture
def start(request):
    """Starts servers with the words that it is given; they must end well."""
    servers = []

    def start(*words):
        servers.append(Server(request.config.getoption("--server"), *words))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(params=["single", "pooled"])
def server(request, start):
    """An empty server of each architecture."""
    return start("--server", request.param)
