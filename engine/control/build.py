"""Which build of the program this is: two processes with the same release may still run different code."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

__all__ = ["build_id", "release"]

_PACKAGE = Path(__file__).resolve().parent.parent


@functools.cache
def release() -> str:
    """Version of the program that is installed."""
    from importlib.metadata import version

    return version("quarterdeck")


@functools.cache
def build_id() -> str:
    """Twelve letters that differ when a module of the engine was changed.

    They are made from names, sizes and times of the files as they are when a process first asks.
    """
    found = hashlib.sha256()
    for folder, folders, files in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                about = os.stat(path)
                found.update(f"{os.path.relpath(path, _PACKAGE)} {about.st_size} {about.st_mtime_ns}\n".encode())
    return found.hexdigest()[:12]
