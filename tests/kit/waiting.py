"""Waiting for something to become true, in small steps and not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["eventually"]

STEP_S = 0.001


async def eventually(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Let the event loop run until a condition holds; fails after that many seconds."""
    for _ in range(int(seconds / STEP_S)):
        if true():
            return
        await asyncio.sleep(STEP_S)
    raise AssertionError("waited in vain")
