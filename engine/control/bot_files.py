"""A bot in a file: its configuration and what its strategy remembers, to be kept or taken to another engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import ValidationError as PydanticError

from engine.bots.bot import BotMemory, is_sound
from engine.bots.config import BotConfig
from engine.errors import ConfigurationError, ConflictError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.entries import BotEntry

__all__ = ["BotFile", "bot_file", "read_bot", "write_bot"]

FORMAT = 1
MOST_BYTES = 64 << 20


class BotFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds; the memory is base64 in the file."""

    quarterdeck_bot: int
    """Format of the file."""
    config: dict[str, Any]
    memory: bytes = b""
    memory_schema: int = 0
    memory_bar: int = 0
    exported_ns: int = 0

    def configuration(self, name: str = "") -> BotConfig:
        """The configuration, under another name where one is given.

        Raises:
            ConfigurationError: It does not fit this release.
        """
        try:
            return BotConfig.model_validate({**self.config, **({"name": name} if name else {})})
        except PydanticError as error:
            faults = "; ".join(f"{'.'.join(str(p) for p in f['loc'])}: {f['msg']}" for f in error.errors())
            raise ConfigurationError(f"The bot in the file cannot be used here: {faults}.") from None

    def remembered(self) -> bytes:
        """The memory for another bot: what the strategy knows, without the levels of a position that is not there.

        Raises:
            DataError: It cannot be read.
        """
        if not self.memory:
            return b""
        if not is_sound(self.memory):
            raise DataError("The memory in the file cannot be read; import it without (--no-memory).")
        return msgspec.msgpack.encode(BotMemory(runner=msgspec.msgpack.decode(self.memory, type=BotMemory).runner))


def bot_file(entry: BotEntry, config: BotConfig, now: int) -> BotFile:
    """A bot as a file holds it; `now` in UTC nanoseconds."""
    return BotFile(
        quarterdeck_bot=FORMAT,
        config=config.model_dump(mode="json"),
        memory=entry.memory,
        memory_schema=entry.memory_schema,
        memory_bar=entry.memory_bar,
        exported_ns=now,
    )


def write_bot(file: Path, found: BotFile, *, overwrite: bool) -> None:
    """Write a bot to a file. Blocking.

    Raises:
        ConflictError: There is such a file already.
        DataError: It cannot be written.
    """
    body = msgspec.json.format(msgspec.json.encode(found), indent=2)
    try:
        with file.open("wb" if overwrite else "xb") as out:
            out.write(body + b"\n")
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error


def read_bot(file: Path) -> BotFile:
    """Read a bot from a file. Blocking.

    Raises:
        DataError: It cannot be read, is no such file, or is of a later release.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"The file {file} is too large to be a bot.")
        found = msgspec.json.decode(file.read_bytes(), type=BotFile)
    except OSError as error:
        raise DataError(f"The file {file} cannot be read: {error.strerror}. Check the path.") from error
    except msgspec.MsgspecError as error:
        raise DataError(f"The file {file} is no exported bot ({error}).") from None
    if found.quarterdeck_bot > FORMAT:
        raise DataError(f"The file {file} was written by a later release; use that one.")
    return found
