"""The home folder: the one place where Quarterdeck writes, made for its owner alone."""

from __future__ import annotations

import contextlib
import os
import shlex
from typing import TYPE_CHECKING

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "HOME_VARIABLE",
    "command_line",
    "default_home",
    "open_process_log",
    "prepare_home",
    "process_log",
    "resolve_home",
]

HOME_VARIABLE = "QUARTERDECK_HOME"
LOG_LIMIT = 1024 * 1024


def default_home() -> Path:
    """The platform's usual place for an application's data."""
    from platformdirs import user_data_path

    return user_data_path("quarterdeck", appauthor=False)


def resolve_home(said: Path | None = None) -> Path:
    """The home folder's absolute path: what was said, else `QUARTERDECK_HOME`, else the platform's usual place."""
    from pathlib import Path

    return Path(said or os.environ.get(HOME_VARIABLE) or default_home()).expanduser().absolute()


def prepare_home(home: Path) -> Path:
    """Make the home folder if it is missing, readable by its owner alone (mode 0700).

    Raises:
        ConfigurationError: It is not a folder, or it cannot be made or written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(home, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"The home folder {home} cannot be used ({reason}). Name another with --home or {HOME_VARIABLE}."
        ) from error
    if not usable:
        raise ConfigurationError(
            f"The home folder {home} may not be read and written by you. Change its owner or mode, "
            f"or name another with --home or {HOME_VARIABLE}."
        )
    return home


def process_log(home: Path) -> Path:
    """Where the engine's process writes what it would have printed, such as the trace of a crash."""
    return home / "logs" / "process.log"


@contextlib.contextmanager
def open_process_log(home: Path) -> Iterator[int]:
    """A descriptor of that file, for a process that is being started; it is begun anew when it has grown large."""
    path = process_log(home)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def command_line(home: Path, command: str) -> str:
    """How a person types a command for this home folder, with `--home` only where it is needed."""
    if home == resolve_home():
        return f"quarterdeck {command}"
    return f"quarterdeck --home {shlex.quote(str(home))} {command}"
