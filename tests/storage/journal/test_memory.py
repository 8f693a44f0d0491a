"""The journal of a backtest speaks like the durable one and keeps nothing unless asked."""

from __future__ import annotations

import pytest

from engine.errors import StateConsistencyError
from storage.journal import FactJournal, MemoryJournal
from tests.kit.histories import session


async def test_every_fact_is_durable_at_once_and_nothing_is_kept() -> None:
    journal = MemoryJournal()
    told: list[int] = []
    journal.on_durable(told.append)
    for record in session(100)[:100]:
        journal.append(record)
        await journal.wait_durable(record.seq)
    assert journal.durable_seq == 100
    assert told == list(range(1, 101))
    assert journal.records == []
    assert journal.failure is None


def test_it_keeps_the_records_when_asked() -> None:
    journal = MemoryJournal(keep=True)
    records = session(100)
    for record in records:
        journal.append(record)
    assert journal.records == records


async def test_a_gap_and_a_wait_for_nothing_are_refused() -> None:
    journal: FactJournal = MemoryJournal(seq=5)
    records = session(30)
    with pytest.raises(StateConsistencyError):
        journal.append(records[0])
    journal.append(records[5])
    with pytest.raises(StateConsistencyError):
        await journal.wait_durable(7)
