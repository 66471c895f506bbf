"""The reply of INFO as a dict."""

from __future__ import annotations


def parse_info(text: str) -> dict[str, str | int | float]:
    r"""The fields, numbers as numbers.

    >>> parse_info("# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:5\r\nmem_fragmentation_ratio:1.25\r\n")
    {'redis_version': '7.0.15', 'uptime_in_seconds': 5, 'mem_fragmentation_ratio': 1.25}
    """
    fields = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: _number(value) for name, colon, value in fields if colon}


def _number(text: str) -> str | int | float:
    for number in int, float:
        try:
            return number(text)
        except ValueError:
            pass
    return text
