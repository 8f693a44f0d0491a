"""Keeps the source of every version of a strategy that a bot has run, by its hash, so that any can run again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import NotFoundError, StrategyLoadError
from engine.strategy.loader import read_strategy_file

if TYPE_CHECKING:
    from engine.strategy.loader import LoadedStrategy

__all__ = ["FOLDER", "SourceStore"]

FOLDER = "versions"
"""Folder of the home folder with the sources, `HASH.py` each."""


class SourceStore:
    """Sources in a folder. Blocking.

    Args:
        folder: Where they are; made when the first is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where a source is, or would be."""
        return self._folder / f"{digest}.py"

    def digest_of(self, file: str | None) -> str:
        """Hash of the source that a path of this folder stands for; empty for any other path."""
        path = Path(file or "").expanduser()
        return path.stem if file and path.parent == self._folder and path.suffix == ".py" else ""

    def has(self, digest: str) -> bool:
        """Whether a source is kept."""
        return bool(digest) and self.path(digest).is_file()

    def keep(self, source: bytes, digest: str) -> None:
        """Keep a source under its hash; one that is there already stays.

        Raises:
            StrategyLoadError: It cannot be written.
        """
        if self.has(digest):
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".new")
            with os.fdopen(descriptor, "wb") as out:
                out.write(source)
                out.flush()
                os.fsync(out.fileno())
            Path(name).replace(self.path(digest))
        except OSError as error:
            raise StrategyLoadError(
                f"The source of the strategy cannot be kept in {self._folder}: {error.strerror}. Check the folder; "
                "without it this version could not be brought back."
            ) from error

    def read(self, digest: str) -> bytes:
        """A source.

        Raises:
            NotFoundError: It is not kept.
            StrategyLoadError: It is not what it was.
        """
        try:
            source = self.path(digest).read_bytes()
        except OSError:
            raise NotFoundError(
                f"The source {digest} is not kept in {self._folder}; choose another version, or swap the bot to a file."
            ) from None
        if hashlib.sha256(source).hexdigest()[: len(digest)] != digest:
            raise StrategyLoadError(
                f"The source {self.path(digest)} was changed by hand and is not the version it stands for; put it back "
                "from a backup, or choose another version."
            )
        return source

    def load(self, digest: str, shown: Path | None = None) -> LoadedStrategy:
        """Load the strategy of a kept source; its code is run.

        Args:
            digest: Hash of the source.
            shown: The file that it was read from, which messages name; None for where it is kept.

        Raises:
            NotFoundError: It is not kept.
            StrategyLoadError: It is not what it was, or cannot be loaded.
        """
        return read_strategy_file(shown or self.path(digest), self.read(digest))
