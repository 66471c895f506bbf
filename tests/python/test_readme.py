"""The sessions in README.md happen as they stand there."""

import pathlib
import re
import shlex
import socket
import subprocess

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```text\n(.*?)```", README, re.DOTALL)


def by_hand(block, port):
    """A session of lines: requests and replies take turns."""
    lines = block.splitlines()[1:]
    assert len(lines) >= 2 and len(lines) % 2 == 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rw") as file:
        for request, reply in zip(lines[::2], lines[1::2]):
            file.write(request + "\n")
            file.flush()
            assert file.readline() == reply + "\n", request


def by_redis_cli(block, port):
    """Command lines, each with what it prints."""
    for command, printed in re.findall(r"^\$ (.*)\n((?:[^$].*\n)+)", block, re.MULTILINE):
        # Not on a terminal it would print replies raw.
        words = shlex.split(command.replace("-p 8890", f"--no-raw -p {port}"))
        result = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
        assert result.stdout == printed, command


def test_sessions(server):
    hand, redis_cli = BLOCKS
    by_hand(hand, server.port)
    by_redis_cli(redis_cli, server.port)
