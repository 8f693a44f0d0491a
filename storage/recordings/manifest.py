"""The manifest of a recorded session: what was recorded, for which bots, under which rules, and what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DataError
from engine.model.ids import InstrumentId
from engine.model.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MANIFEST", "Manifest", "SessionBot", "SessionGap", "SessionInstrument", "read_manifest", "write_manifest"]

MANIFEST = "session.json"
VERSION = 1


class SessionInstrument(msgspec.Struct, kw_only=True):
    """One recorded market."""

    instrument: Instrument
    """With scales, multiplier, and every version of its rules and fees that was known."""
    folder: str
    """Name of its folder in the session's."""
    since: int
    """UTC nanoseconds at which its recording began."""


class SessionBot(msgspec.Struct, kw_only=True, frozen=True):
    """A bot that ran, as it was configured then."""

    id: str
    name: str
    strategy: str
    version: str
    source_hash: str
    """Of the strategy's source; empty when the file could not be read any more."""
    params: dict[str, bool | int | float | str]
    instrument: InstrumentId
    timeframe: str
    account: str
    capital: str
    """Exact, in the account's base currency."""
    since: int
    """UTC nanoseconds from which on the session knows it like this."""


class SessionGap(msgspec.Struct, kw_only=True):
    """A time in which something is missing."""

    instrument: InstrumentId
    start: int
    """UTC nanoseconds of the last event before it."""
    end: int | None = None
    """UTC nanoseconds of the first event after it; None while it lasts, or when the session ended in it."""
    reason: str = ""
    events: int = 0
    """Events that were heard and are not in the files; 0 when it is not known what was missed."""


class Manifest(msgspec.Struct, kw_only=True):
    """A session: one run of an engine, from the first market that was recorded on."""

    version: int = VERSION
    id: str
    release: str
    start: int
    """UTC nanoseconds."""
    end: int | None = None
    """UTC nanoseconds of an orderly end; None while it is recorded, and after a crash."""
    instruments: dict[InstrumentId, SessionInstrument] = {}
    bots: list[SessionBot] = []
    gaps: list[SessionGap] = []
    more_gaps: int = 0
    """Gaps that happened and are not listed, because there were too many."""


def write_manifest(folder: Path, text: bytes) -> None:
    """Put a manifest in the place of the one before; a reader sees the old or the new one."""
    part = folder / f"{MANIFEST}.part"
    with part.open("wb") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    part.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a session's folder.

    Raises:
        DataError: There is none, it cannot be read, or it is of a later release.
    """
    path = folder / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise DataError(f"{folder} is no recorded session: it has no {MANIFEST}.") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"The manifest {path} cannot be read ({error}); delete that recording.") from error
    if found.version > VERSION:
        raise DataError(f"The recording {folder.name} was made by a later release; use that one to read it.")
    return found
