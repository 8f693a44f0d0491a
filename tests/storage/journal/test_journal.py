"""The journal as the loop sees it: in order, durable before it says so, and silent once it failed."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import ConflictError, JournalError, StaleEpochError, StateConsistencyError
from storage.journal import Journal, Reader, replay
from storage.journal.mark import HighWaterMark
from storage.journal.recovery import mark_path
from tests.kit.histories import session
from tests.storage.journal.helpers import QUIET, append, opened, store_async

if TYPE_CHECKING:
    from pathlib import Path

    from engine.errors import QuarterdeckError
    from engine.events import Record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def in_epoch(record: Record, epoch: int) -> Record:
    return msgspec.structs.replace(record, epoch=epoch)


async def test_what_was_appended_is_there_after_reopening(path: Path) -> None:
    records = session(300)
    await store_async(path, records)
    reader = Reader(path)
    assert list(reader.records()) == records
    reader.close()
    again = Journal.open(path, QUIET)
    assert again.recovered.state.state_hash() == replay(path).state_hash()
    assert again.durable_seq == len(records)


async def test_a_fact_is_not_durable_before_it_was_committed_by_the_writer(path: Path) -> None:
    journal = opened(path)
    journal.start()
    records = session(50)
    for record in records:
        journal.append(record)
    # Nothing was awaited since: no callback has run, and whatever the writer did is on the disk.
    durable = journal.durable_seq
    reader = Reader(path)
    assert reader.last_seq() >= durable
    await journal.wait_durable(len(records))
    assert reader.last_seq() == len(records)
    reader.close()
    await journal.close()


async def test_durable_callbacks_come_on_a_later_turn_in_order_and_coalesced(path: Path) -> None:
    journal = opened(path)
    journal.start()
    told: list[int] = []
    journal.on_durable(told.append)
    records = session(500)
    for record in records:
        journal.append(record)
    assert told == []
    await append(journal, [])
    await asyncio.wait_for(journal.wait_durable(len(records)), 10)
    assert told == sorted(set(told))
    assert told[-1] == len(records)
    assert len(told) < len(records) / 5
    await journal.close()


async def test_a_listener_that_raises_does_not_keep_the_next_one_from_hearing(path: Path) -> None:
    journal = opened(path)
    journal.start()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))

    def broken(_seq: int) -> None:
        raise ValueError("broken listener")

    told: list[int] = []
    journal.on_durable(broken)
    journal.on_durable(told.append)
    await append(journal, session(30)[:10])
    await journal.close()
    assert told[-1] == 10
    assert [str(error) for error in reported] == ["broken listener"] * len(told)


async def test_closing_writes_what_is_queued_and_marks_it(path: Path) -> None:
    records = session(2_000)
    journal = opened(path)
    journal.start()
    waiting = asyncio.ensure_future(journal.wait_durable(len(records)))
    for record in records:
        journal.append(record)
    await journal.close()
    await waiting
    assert journal.backlog == 0
    mark = HighWaterMark.read(mark_path(path))
    assert mark is not None
    assert mark.seq == len(records)


@pytest.mark.parametrize("change", [{"seq": 5}, {"seq": 1}, {"epoch": 7}])
async def test_a_number_or_epoch_that_does_not_follow_is_refused(path: Path, change: dict[str, int]) -> None:
    journal = opened(path)
    journal.start()
    first, second = session(30)[:2]
    journal.append(first)
    with pytest.raises(StateConsistencyError, match="cannot follow fact 1"):
        journal.append(msgspec.structs.replace(second, **change))
    await journal.close()


async def test_nothing_can_be_appended_before_the_start_or_without_an_epoch(path: Path) -> None:
    journal = Journal.open(path, QUIET)
    with pytest.raises(ConflictError, match="open_epoch"):
        journal.start()
    journal.open_epoch()
    with pytest.raises(JournalError, match="not started"):
        journal.append(session(30)[0])


async def test_too_many_facts_waiting_fail_the_journal_and_release_nothing(path: Path) -> None:
    journal = opened(path, dataclasses.replace(QUIET, queue_limit=20))
    journal.start()
    released: list[int] = []
    failures: list[QuarterdeckError] = []
    journal.on_durable(released.append)
    journal.on_failure(failures.append)
    # Another program holds the right to write, so the writer's commit has to wait.
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    records = session(200)

    def append_all() -> None:
        for record in records:
            journal.append(record)

    with pytest.raises(JournalError, match="the disk does not follow"):
        append_all()
    with pytest.raises(JournalError):
        await journal.wait_durable(1)
    blocker.execute("ROLLBACK")
    blocker.close()
    await asyncio.sleep(0)
    with pytest.raises(JournalError):
        journal.append(records[-1])
    await journal.close()
    assert [failure.error_code for failure in failures] == ["queue_full"]
    assert released == []
    assert journal.failure is not None


async def test_a_writer_of_an_older_epoch_fails_and_writes_nothing_more(path: Path) -> None:
    records = session(60)
    old = opened(path)
    old.start()
    failures: list[QuarterdeckError] = []
    released: list[int] = []
    await append(old, records[:20])
    old.on_failure(failures.append)
    old.on_durable(released.append)

    new = Journal.open(path, QUIET)
    assert new.open_epoch() == old.epoch + 1
    old.append(records[20])
    with pytest.raises(JournalError) as caught:
        await old.wait_durable(21)
    assert caught.value.error_code == "stale_epoch"
    assert isinstance(failures[0], StaleEpochError)
    with pytest.raises(JournalError, match="must exit"):
        old.append(records[21])
    await old.close()
    assert released == []

    new.start()
    await append(new, [in_epoch(record, new.epoch) for record in records[20:40]])
    await new.close()
    assert replay(path).seq == 40


async def test_a_successor_folds_what_was_written_while_it_was_warming_up(path: Path) -> None:
    records = session(80)
    old = opened(path)
    old.start()
    await append(old, records[:30])
    new = Journal.open(path, QUIET)
    await append(old, records[30:50])
    assert new.catch_up() == 20
    await append(old, records[50:70])
    await old.close()
    new.open_epoch()
    assert new.recovered.state.seq == new.durable_seq == 70
    new.start()
    await append(new, [in_epoch(record, new.epoch) for record in records[70:]])
    with pytest.raises(ConflictError):
        new.catch_up()
    await new.close()
    assert Journal.open(path).recovered.state.seq == len(records)


async def test_the_epoch_grows_with_every_opening_and_the_instance_stays(path: Path) -> None:
    first, second = opened(path), opened(path)
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.meta.instance == second.meta.instance
    assert len(first.meta.instance) == 8
    assert first.meta.instance[0].isalpha()


async def test_the_files_can_be_read_by_their_owner_only(path: Path) -> None:
    journal = opened(path)
    journal.start()
    await append(journal, session(30)[:10])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert set(modes) >= {"journal.db", "journal.db-wal", "journal.hwm"}
    assert set(modes.values()) == {0o600}
    await journal.close()


async def test_waiting_for_what_is_durable_already_returns_at_once(path: Path) -> None:
    journal = opened(path)
    journal.start()
    await append(journal, session(30)[:10])
    await asyncio.wait_for(journal.wait_durable(3), 0.001)
    await journal.close()


async def test_a_mark_that_cannot_be_written_halts_the_journal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(path)
    journal.start()
    failures: list[QuarterdeckError] = []
    failed = asyncio.Event()
    journal.on_failure(failures.append)
    journal.on_failure(lambda _failure: failed.set())

    def broken(_self: HighWaterMark, _mark: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(HighWaterMark, "write", broken)
    records = session(30)
    journal.append(records[0])
    await asyncio.wait_for(failed.wait(), 10)
    with pytest.raises(JournalError, match="high-water mark"):
        journal.append(records[1])
    await journal.close()
    assert [failure.error_code for failure in failures] == ["mark"]


async def test_a_journal_is_started_once(path: Path) -> None:
    journal = opened(path)
    journal.start()
    with pytest.raises(ConflictError, match="already"):
        journal.start()
    await journal.close()


async def test_a_listener_of_failures_that_comes_late_hears_at_once(path: Path) -> None:
    journal = opened(path, dataclasses.replace(QUIET, queue_limit=0))
    journal.start()
    with pytest.raises(JournalError):
        journal.append(session(30)[0])
    heard: list[QuarterdeckError] = []
    journal.on_failure(heard.append)
    assert heard == [journal.failure]
    await journal.close()


async def test_what_is_queued_at_the_end_is_kept_and_what_comes_after_it_is_refused(path: Path) -> None:
    journal = opened(path)
    journal.start()
    records = session(60)
    for record in records[:50]:
        journal.append(record)
    closing = asyncio.ensure_future(journal.close())
    await asyncio.sleep(0)
    with pytest.raises(JournalError, match="closed"):
        journal.append(records[50])
    with pytest.raises(JournalError, match="closed"):
        await asyncio.wait_for(journal.wait_durable(51), 5)
    await closing
    assert journal.durable_seq == 50
    with pytest.raises(JournalError, match="closed"):
        journal.append(records[50])


async def test_whoever_still_waits_at_the_end_is_told_that_it_was_not_kept(path: Path) -> None:
    journal = opened(path)
    journal.start()
    waiting = asyncio.ensure_future(journal.wait_durable(1))
    await asyncio.sleep(0)
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await asyncio.wait_for(waiting, 5)
