"""Following a journal that is being written, and taking it over in one step or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import JournalError, StaleEpochError, StateConsistencyError, StateCorruptionError
from storage.journal import Follower, Journal
from storage.journal.mark import HighWaterMark
from storage.journal.recovery import mark_path
from tests.kit.histories import session
from tests.kit.waiting import eventually
from tests.storage.journal.helpers import QUIET, append, append_raw, execute, opened, store_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.events import Record

RECORDS = session(600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Journal]:
    journal = opened(path)
    journal.start()
    await append(journal, RECORDS[:300])
    yield journal
    await journal.close()


def after(record: Record, seq: int, epoch: int) -> Record:
    return msgspec.structs.replace(record, seq=seq, epoch=epoch)


async def test_a_follower_reaches_the_writers_state_fact_by_fact(path: Path, writer: Journal) -> None:
    follower = Follower.open(path, QUIET)
    heard: list[int] = []
    follower.heard = lambda record: heard.append(record.seq)
    await append(writer, RECORDS[300:])
    assert follower.catch_up(450) == 450
    assert follower.catch_up() == 600
    assert heard == list(range(301, 601))
    states = Follower.open(path, QUIET)
    assert follower.state.state_hash() == states.state.state_hash()
    for one in (follower, states):
        one.close()


async def test_following_changes_nothing_on_the_disk(path: Path, writer: Journal) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.glob("journal.db")}
    follower = Follower.open(path, QUIET)
    follower.catch_up()
    follower.close()
    assert {file.name: file.read_bytes() for file in path.parent.glob("journal.db")} == before
    await append(writer, RECORDS[300:310])


async def test_after_the_switch_the_predecessor_is_refused_and_the_successor_goes_on(path: Path) -> None:
    writer = opened(path)
    writer.start()
    await append(writer, RECORDS[:300])
    follower = Follower.open(path, QUIET)
    taken = follower.prepare(writer.epoch)
    follower.close()
    assert taken.epoch == 2
    taken.open_epoch()
    taken.start()
    await append(taken, [after(RECORDS[300], 301, 2)])
    writer.append(after(RECORDS[300], 301, 1))
    with pytest.raises(JournalError, match="Another engine has taken over"):
        await asyncio.wait_for(writer.wait_durable(301), 10)
    assert isinstance(writer.failure, StaleEpochError)
    await taken.close()
    await writer.close()
    again = Journal.open(path, QUIET)
    assert (again.recovered.state.seq, again.meta.epoch) == (301, 2)


async def test_a_predecessor_that_wrote_on_is_not_taken_over(path: Path, writer: Journal) -> None:
    follower = Follower.open(path, QUIET)
    taken = follower.prepare(writer.epoch)
    follower.close()
    await append(writer, RECORDS[300:301])
    with pytest.raises(StateConsistencyError, match="written to after"):
        taken.open_epoch()
    taken.abandon()
    await append(writer, RECORDS[301:302])


async def test_only_one_successor_gets_the_right_to_write(path: Path, writer: Journal) -> None:
    takers = []
    for _ in range(2):
        follower = Follower.open(path, QUIET)
        takers.append(follower.prepare(writer.epoch))
        follower.close()
    first, second = takers
    first.open_epoch()
    with pytest.raises(StaleEpochError, match="moved on"):
        second.open_epoch()
    first.abandon()
    second.abandon()


async def test_nothing_is_written_under_an_epoch_that_was_not_opened(path: Path, writer: Journal) -> None:
    follower = Follower.open(path, QUIET)
    taken = follower.prepare(writer.epoch)
    follower.close()
    taken.start()
    taken.append(after(RECORDS[300], 301, 2))
    with pytest.raises(JournalError):
        await asyncio.wait_for(taken.wait_durable(301), 10)
    await taken.close()
    await append(writer, RECORDS[300:301])


async def test_a_journal_of_a_newer_release_is_not_followed(path: Path) -> None:
    await store_async(path, RECORDS[:10])
    append_raw(path, {"t": "MoonReached", "moon": "Europa"})
    with pytest.raises(StateCorruptionError, match="newer release"):
        Follower.open(path, QUIET)
    execute(path, "PRAGMA user_version = 99")
    with pytest.raises(StateCorruptionError, match=r"written by a newer release \(format 99"):
        Follower.open(path, QUIET)


async def test_the_mark_follows_the_commits(path: Path, writer: Journal) -> None:
    await eventually(lambda: writer.marked)
    mark = HighWaterMark.read(mark_path(path))
    assert mark is not None
    assert mark.seq == 300
