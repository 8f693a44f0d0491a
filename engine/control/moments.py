"""Times as commands and files write them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso", "stamp"]


def stamp(ns: int) -> str:
    """UTC nanoseconds as a part of a file's name."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y%m%dT%H%M%S}Z"


def iso(ns: int) -> str:
    """UTC nanoseconds as ISO 8601 with milliseconds."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 10**6 % 1000:03d}Z"
