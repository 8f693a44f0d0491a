"""Which instruments a person has chosen to watch, kept in the home folder over restarts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from engine.errors import StorageError
from engine.logs import get_logger
from engine.model.ids import InstrumentId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["WatchList"]

log = get_logger(__name__)


class WatchList:
    """The file. Everything here blocks.

    Args:
        home: The home folder.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / "watched.json"

    def load(self) -> tuple[InstrumentId, ...]:
        """What was chosen; nothing where nothing was, or where it cannot be read."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            # What is lost is a person's choice of what to look at; nothing is traded by it.
            log.warning("what was watched cannot be read", problem=str(error))
            return ()
        if not isinstance(found, list):
            return ()
        return tuple(InstrumentId(str(one)) for one in found)

    def keep(self, instruments: Iterable[InstrumentId]) -> None:
        """Write what is chosen, all or nothing.

        Raises:
            StorageError: It cannot be written.
        """
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                json.dump(list(instruments), file, indent=2)
            fresh.replace(self._file)
        except OSError as error:
            raise StorageError(
                f"What is watched could not be kept ({error.strerror}); it is watched until the engine ends."
            ) from error
