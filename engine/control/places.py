"""Where the doors of a home folder are: the run folder and the names of its sockets.

The folder is its owner's alone (0700), so that nobody else can even reach a socket in it. A socket left behind by a
crash is harmless: whoever holds the home's lock replaces it, and everybody else finds that nobody answers there.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

from engine.errors import ConfigurationError, EngineError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MOST_BYTES",
    "control_socket",
    "handover_socket",
    "open_socket",
    "prepare_run_folder",
    "replay_socket",
    "run_folder",
    "venue_socket",
]

MOST_BYTES = 100
"""Longest path of a socket; the kernels take 104 or 108 bytes with the closing zero."""
FOLDER_MODE = 0o700


def run_folder(home: Path) -> Path:
    """The folder of a home's sockets."""
    return home / "run"


def control_socket(home: Path) -> Path:
    """The socket of operations and topics.

    Raises:
        ConfigurationError: Its path is longer than a socket's may be.
    """
    return _checked(home, "engine.sock")


def handover_socket(home: Path) -> Path:
    """The socket over which a running engine hands over to its successor.

    Raises:
        ConfigurationError: Its path is longer than a socket's may be.
    """
    return _checked(home, "handover.sock")


def venue_socket(home: Path) -> Path:
    """The socket of a paper venue that runs as a process of its own.

    Raises:
        ConfigurationError: Its path is longer than a socket's may be.
    """
    return _checked(home, "venue.sock")


def replay_socket(home: Path, pid: int) -> Path:
    """The socket of a replay, which is its process's own.

    Raises:
        ConfigurationError: Its path is longer than a socket's may be.
    """
    return _checked(home, f"replay-{pid}.sock")


def prepare_run_folder(home: Path) -> Path:
    """Make the run folder, or take away what others may do in it.

    Raises:
        EngineError: It cannot be made, is somebody else's, or is no folder.
    """
    folder = run_folder(home)
    try:
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise EngineError(
                f"{folder} is not a folder of yours, so no socket is opened in it. Remove it, or choose another home "
                "folder with --home."
            )
        if stat.S_IMODE(found.st_mode) != FOLDER_MODE:
            folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise EngineError(
            f"The folder {folder} of the engine's sockets cannot be made ({error.strerror}). Check the rights of the "
            "home folder, or choose another one with --home."
        ) from error
    return folder


def _checked(home: Path, name: str) -> Path:
    path = run_folder(home) / name
    length = len(os.fsencode(path))
    if length > MOST_BYTES:
        raise ConfigurationError(
            f"The path of the socket {path} has {length} bytes; a socket's may have at most {MOST_BYTES}. Choose a "
            "home folder with a shorter path: --home FOLDER.",
            details={"bytes": length, "most": MOST_BYTES},
        )
    return path


def open_socket(path: Path) -> socket.socket:
    """A listening socket that nobody but us may use, in the place of whatever is there.

    Raises:
        EngineError: It cannot be opened.
    """
    # Made under a name of its own and moved: there is never a moment without a socket in its place.
    fresh = path.with_name(f"{os.getpid()}-{path.name[:1]}.new")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fresh.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listening.bind(os.fspath(fresh))
        finally:
            os.umask(before)
        listening.listen(64)
        listening.setblocking(False)
        fresh.replace(path)
    except OSError as error:
        listening.close()
        raise EngineError(
            f"The socket {path} cannot be opened ({error.strerror}). Remove it if it is in the way, or choose another "
            "home folder with --home."
        ) from error
    return listening
