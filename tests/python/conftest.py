"""A server for the tests of the program from outside."""

import os
import pathlib
import re
import subprocess

import pytest


def pytest_addoption(parser):
    parser.addoption("--server", required=True, type=pathlib.Path, help="the program under test")


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


@pytest.fixture(params=["single", "pooled"])
def server(request):
    """An empty server of each architecture."""
    server = Server(request.config.getoption("--server"), "--server", request.param)
    yield server
    server.stop()
