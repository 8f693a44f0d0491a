"""Start-up recovers everything, and refuses a journal that lost or changed anything."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import JournalError, StateCorruptionError
from engine.model.ids import InstrumentId
from engine.state import EngineState
from storage.journal import Journal, JournalOptions, Reader, replay
from storage.journal.recovery import mark_path, snapshot_folder
from storage.journal.schema import SCHEMA_VERSION
from storage.journal.snapshots import SnapshotStore
from tests.kit.histories import histories, session
from tests.storage.journal.helpers import QUIET, append, append_raw, execute, opened, store

if TYPE_CHECKING:
    from engine.events import Record

SNAPPY = JournalOptions(snapshot_every=100, mark_interval_s=0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "journal.db"
    store(found, session(400))
    return found


def cut_snapshots(path: Path, *numbers: int) -> None:
    """Snapshots of the history at these facts, as the engine would have cut them on the way."""
    reader = Reader(path)
    links = dict(reader._connection.execute("SELECT seq, hash FROM events"))
    journal_id = reader._connection.execute("SELECT journal_id FROM meta").fetchone()[0]
    reader.close()
    for number in numbers:
        SnapshotStore(snapshot_folder(path)).write(replay(path, until=number), journal_id, links[number])


def refused(path: Path, match: str) -> StateCorruptionError:
    with pytest.raises(StateCorruptionError, match=match) as caught:
        Journal.open(path)
    return caught.value


def last(path: Path) -> int:
    reader = Reader(path)
    try:
        return reader.last_seq()
    finally:
        reader.close()


@pytest.mark.parametrize("column", ["body", "hash", "ts", "epoch"])
def test_a_changed_value_is_noticed_at_the_fact_it_was_changed_in(path: Path, column: str) -> None:
    if column in ("ts", "epoch"):
        execute(path, f"UPDATE events SET {column} = {column} + 1 WHERE seq = 123")
    else:
        original = Reader(path)._connection.execute(f"SELECT {column} FROM events WHERE seq = 123").fetchone()[0]
        flipped = original[:5] + bytes([original[5] ^ 1]) + original[6:]
        execute(path, f"UPDATE events SET {column} = ? WHERE seq = 123", flipped)
    assert refused(path, "Fact 123 of the journal is not what was written").details == {"seq": 123}


def test_a_change_under_a_snapshot_is_noticed_as_well(path: Path) -> None:
    cut_snapshots(path, 300)
    assert Journal.open(path).recovered.snapshot_seq == 300
    execute(path, "UPDATE events SET ts = ts + 1 WHERE seq = 123")
    refused(path, "Fact 123")
    # A long journal is checked from its snapshot on only; a full check finds it.
    assert Journal.open(path, JournalOptions(full_check_below=0)).recovered.snapshot_seq == 300
    reader = Reader(path)
    with pytest.raises(StateCorruptionError, match="Fact 123"):
        reader.verify()
    reader.close()


def test_a_missing_fact_is_noticed(path: Path) -> None:
    execute(path, "DELETE FROM events WHERE seq BETWEEN 200 AND 210")
    refused(path, "lacks the facts 200 to 210")


def test_a_damaged_page_of_the_file_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(4096 * 4, len(content), 4096):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    refused(path, "damaged")


def test_a_lost_tail_is_refused_with_a_way_out(path: Path) -> None:
    total = last(path)
    execute(path, "DELETE FROM events WHERE seq > 390")
    error = refused(path, f"ends at fact 390, but {total} facts were durable")
    assert "`quarterdeck journal repair`" in error.message


def test_the_way_out_of_a_lost_tail_goes_on_under_a_new_instance(path: Path) -> None:
    cut_snapshots(path, 100, 395)
    before = Journal.open(path).meta
    execute(path, "DELETE FROM events WHERE seq > 390")
    mark_path(path).unlink()
    journal = Journal.open(path)
    assert journal.recovered.restored
    assert journal.recovered.state.seq == 390
    assert journal.recovered.snapshot_seq == 100
    assert journal.meta.instance != before.instance
    assert journal.meta.journal_id == before.journal_id
    # The snapshot of the lost end would otherwise stand in the way of new ones for ever.
    assert SnapshotStore(snapshot_folder(path)).numbers() == [100]
    again = Journal.open(path)
    assert not again.recovered.restored
    assert again.meta.instance == journal.meta.instance


def test_a_journal_that_is_gone_is_refused(path: Path) -> None:
    total = last(path)
    path.unlink()
    refused(path, f"is gone, but its mark says that it held {total} facts")


def test_another_journal_in_its_place_is_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "journal.db"
    other.parent.mkdir()
    store(other, session(500))
    path.write_bytes(other.read_bytes())
    refused(path, "is not the one that its mark belongs to")


def test_a_crash_between_journal_and_mark_at_the_very_first_start_is_no_restore(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    instance = Journal.open(path).meta.instance
    mark_path(path).unlink()
    journal = Journal.open(path)
    assert not journal.recovered.restored
    assert journal.meta.instance == instance
    assert mark_path(path).exists()
    path.unlink()
    assert Journal.open(path).recovered.state.seq == 0


@pytest.mark.parametrize("slot", [0, 512])
def test_a_torn_mark_slot_falls_back_to_the_other(path: Path, slot: int) -> None:
    content = bytearray(mark_path(path).read_bytes())
    content[slot + 12] ^= 1
    mark_path(path).write_bytes(content)
    assert Journal.open(path).recovered.state.seq == last(path)


def test_a_mark_torn_in_both_slots_is_refused_with_a_way_out(path: Path) -> None:
    mark_path(path).write_bytes(b"\0" * 1024)
    assert "`quarterdeck journal repair`" in refused(path, "damaged in both places").message


def test_snapshot_and_tail_give_the_state_of_a_full_replay(path: Path) -> None:
    whole = replay(path).state_hash()
    cut_snapshots(path, 150)
    recovered = Journal.open(path).recovered
    assert (recovered.snapshot_seq, recovered.replayed) == (150, last(path) - 150)
    assert recovered.state.state_hash() == whole


@settings(max_examples=15, deadline=None)
@given(histories(), st.data())
def test_any_history_comes_back_the_same_from_any_snapshot(records: list[Record], data: st.DataObject) -> None:
    live = EngineState()
    for record in records:
        live.apply(record)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        store(path, records)
        assert replay(path).state_hash() == live.state_hash()
        cut = data.draw(st.integers(1, len(records)))
        cut_snapshots(path, cut)
        recovered = Journal.open(path).recovered
        assert recovered.snapshot_seq == cut
        assert recovered.state.state_hash() == live.state_hash()


def test_a_bad_snapshot_falls_back_to_the_one_before_and_at_last_to_a_full_replay(path: Path) -> None:
    cut_snapshots(path, 100, 200, 300)
    store_ = SnapshotStore(snapshot_folder(path))
    whole = replay(path).state_hash()
    for number, before in ((300, 200), (200, 100), (100, 0)):
        content = bytearray(store_.path(number).read_bytes())
        content[len(content) // 2] ^= 1
        store_.path(number).write_bytes(content)
        recovered = Journal.open(path).recovered
        assert recovered.snapshot_seq == before
        assert recovered.state.state_hash() == whole
        assert recovered.notes == [
            f"The snapshot state-{number:012d}.snapshot is damaged: its checksum does not match."
        ]
    assert store_.numbers() == []


@pytest.mark.parametrize("content", [b"", b"QDSNAP1\n", b"x" * 4000])
def test_a_file_that_is_no_snapshot_is_passed_over(path: Path, content: bytes) -> None:
    cut_snapshots(path, 100)
    SnapshotStore(snapshot_folder(path)).path(200).write_bytes(content)
    assert Journal.open(path).recovered.snapshot_seq == 100


@pytest.mark.parametrize("newer", [True, False])
def test_a_snapshot_of_another_fold_is_replayed_instead_and_a_newer_one_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, newer: bool
) -> None:
    cut_snapshots(path, 100)
    monkeypatch.setattr("storage.journal.snapshots.STATE_FORMAT", 0 if newer else 999)
    recovered = Journal.open(path).recovered
    assert recovered.snapshot_seq == 0
    assert recovered.state.seq == last(path)
    assert ("was written by a newer release" in recovered.notes[0]) == newer
    assert SnapshotStore(snapshot_folder(path)).numbers() == ([100] if newer else [])


def test_a_fact_of_an_old_version_is_lifted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lift(old: dict[str, Any]) -> dict[str, Any]:
        return {"t": "MarkRecorded", "instrument": old["symbol"], "price": old["mark"], "ts": old["ts"]}

    monkeypatch.setitem(ev.UPCASTERS, "MarkSeen", lift)
    seq = append_raw(path, {"t": "MarkSeen", "symbol": "SIM:BTC/USDT", "mark": "43000.5", "ts": 17})
    state = Journal.open(path).recovered.state
    assert state.seq == seq
    assert str(state.marks[InstrumentId("SIM:BTC/USDT")].price) == "43000.5"
    reader = Reader(path)
    [record] = reader.records(after=seq - 1)
    reader.close()
    assert isinstance(record.event, ev.MarkRecorded)


def test_a_fact_of_a_newer_release_is_refused_with_a_sentence(path: Path) -> None:
    seq = append_raw(path, {"t": "PositionTeleported@3", "to": "moon"})
    error = refused(path, f"Fact {seq} cannot be read")
    assert "not known to this release" in error.message
    assert "Install the release that wrote it" in error.message


def test_a_format_of_a_newer_release_is_refused(path: Path) -> None:
    execute(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    refused(path, "written by a newer release")


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"")
    refused(path, "is no journal")
    path.write_text("hello, this is certainly not a database\n" * 200)
    refused(path, "damaged")


def test_reading_a_journal_that_is_not_there_is_an_error_and_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        Reader(tmp_path / "journal.db")
    assert list(tmp_path.iterdir()) == []


async def wait_for_snapshot(journal: Journal, seq: int) -> None:
    async with asyncio.timeout(20):
        while journal.snapshot_seq < seq:  # noqa: ASYNC110 - only a thread's file tells
            await asyncio.sleep(0.005)


async def test_snapshots_are_cut_while_facts_are_written_and_the_last_three_stay(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    records = session(1_000)
    journal = opened(path, SNAPPY)
    journal.start()
    for start in range(0, 1_000, 150):
        await append(journal, records[start : start + 150])
        if start >= 100:
            await wait_for_snapshot(journal, start)
    await journal.close()
    numbers = SnapshotStore(snapshot_folder(path)).numbers()
    assert len(numbers) == 3
    recovered = Journal.open(path, QUIET).recovered
    assert recovered.snapshot_seq == numbers[0]
    assert recovered.state.state_hash() == replay(path).state_hash()
    assert not list(snapshot_folder(path).glob("*.new"))


async def test_few_facts_are_worth_a_snapshot_after_some_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = opened(path, JournalOptions(snapshot_seconds=0.01))
    journal.start()
    await append(journal, session(100)[:50])
    await wait_for_snapshot(journal, 1)
    await journal.close()


async def test_a_snapshot_that_cannot_be_cut_is_noted_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = opened(path, SNAPPY)
    snapshot_folder(path).write_text("a file where the folder should be")
    notes: list[str] = []
    noted = asyncio.Event()

    def note(sentence: str) -> None:
        notes.append(sentence)
        noted.set()

    journal.on_note(note)
    journal.start()
    records = session(200)
    await append(journal, records[:150])
    await asyncio.wait_for(noted.wait(), 10)
    await append(journal, records[150:])
    await journal.close()
    assert "No snapshot was cut at fact 150" in notes[0]
    assert journal.failure is None
