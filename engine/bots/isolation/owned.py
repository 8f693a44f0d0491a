"""What a process does first that belongs to another one: it dies with its owner and keeps its output for messages."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import signal
import sys
from typing import BinaryIO

__all__ = ["claim_output", "die_with"]

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; at once when that has happened already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(ctypes.util.find_library("c") or None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def claim_output() -> BinaryIO:
    """Keep standard output for messages alone; what is printed goes to standard error."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return channel
