"""Every journal a release has left behind replays to the state it had then.

A file holds the journal's own bodies, each as four bytes of length (big-endian) and a MessagePack record. The first
line of `<release>.txt` is the number of facts, the second the state hash.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import events as ev
from engine.state import EngineState

FOLDER = Path(__file__).parent
JOURNALS = sorted(FOLDER.glob("*.journal"))


def bodies(path: Path) -> list[bytes]:
    """The records of a golden journal, oldest first."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def test_this_release_has_left_a_journal() -> None:
    assert JOURNALS


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_a_journal_of_that_release_replays_to_the_state_it_had(path: Path) -> None:
    count, expected = path.with_suffix(".txt").read_text(encoding="utf-8").split()
    state = EngineState()
    records = [ev.decode_record(body) for body in bodies(path)]
    for record in records:
        state.apply(record)
    assert len(records) == int(count)
    assert state.state_hash() == expected


def test_the_golden_journals_together_hold_every_kind_of_fact() -> None:
    held = {ev.event_name(ev.decode_record(body).event) for path in JOURNALS for body in bodies(path)}
    assert {kind.__name__ for kind in ev.Event.__args__} - held == set()
