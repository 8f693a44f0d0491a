"""Where tests put their files: into memory where there is such a place.

Engines wait for the disk at every fact, and tests start hundreds of them: on a disk the tests would mostly wait. What
the power takes with it is tested with a disk of the tests' own (`tests.chaos.disk`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["PLACE", "ROOM", "use"]

PLACE = Path("/dev/shm")
ROOM = 1 << 30
"""Bytes that must be free there: far more than the tests leave at any time."""


def use(place: Path = PLACE) -> bool:
    """Let this process and those it starts make their temporary files there.

    Args:
        place: A folder in memory, as Linux has it.

    Returns:
        Whether they do; False where TMPDIR says where already, and where there is no such place or not the room.
    """
    if "TMPDIR" in os.environ or not _fits(place):
        return False
    os.environ["TMPDIR"] = str(place)
    # Asked for before, it would be remembered.
    tempfile.tempdir = None
    return True


def _fits(place: Path) -> bool:
    if not os.access(place, os.W_OK | os.X_OK):
        return False
    there = os.statvfs(place)
    # The tests build and load a library of their own.
    return there.f_bavail * there.f_frsize >= ROOM and not there.f_flag & os.ST_NOEXEC
