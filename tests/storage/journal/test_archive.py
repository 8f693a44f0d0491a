"""Closed history in the archive reads as if it had never moved, whenever a crash comes and whatever is damaged."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.errors import ConflictError, StateCorruptionError
from storage.journal import Journal, JournalOptions, MoveRules, Query, Reader, replay
from storage.journal.archive import Archive, archive_folder
from storage.journal.chain import link_at, walk
from storage.journal.codec import genesis
from storage.journal.cut import cut
from storage.journal.mover import movable, move, steps, worth_moving
from storage.journal.recovery import snapshot_folder
from storage.journal.schema import connect, read_meta
from tests.conftest import ROOT
from tests.kit.histories import session
from tests.storage.journal.helpers import QUIET, append, execute, opened, store

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = session(1_200)
SMALL = MoveRules(hot_days=0.0, budget_bytes=1, segment_facts=200, delete_facts=110)
"""Everything below the snapshot moves, in small portions."""
CUT = 900


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal that never moved anything, with a snapshot at fact CUT."""
    path = tmp_path_factory.mktemp("plain") / "journal.db"
    store(path, RECORDS[:CUT])
    cut(path, kept=3)
    _extend(path)
    return path


def _extend(path: Path) -> None:
    """Add the rest as the same epoch would have."""
    from storage.journal.codec import row

    with closing(sqlite3.connect(path)) as connection, connection:
        (head,) = connection.execute("SELECT hash FROM events WHERE seq = ?", (CUT,)).fetchone()
        for record in RECORDS[CUT:]:
            found = row(record, head)
            head = found[-1]
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", found)


def copy_of(plain: Path, folder: Path) -> Path:
    target = folder / "home"
    shutil.copytree(plain.parent, target, ignore=shutil.ignore_patterns("*.hwm"))
    return target / plain.name


@pytest.fixture
def path(plain: Path, tmp_path: Path) -> Path:
    return copy_of(plain, tmp_path)


@pytest.fixture(scope="module")
def moved(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = copy_of(plain, tmp_path_factory.mktemp("moved"))
    assert move(path, SMALL) == (0, 800)
    return path


def archived(path: Path) -> int:
    with closing(connect(path, read_only=True)) as connection:
        return read_meta(connection).archived


def live(path: Path) -> list[int]:
    with closing(connect(path, read_only=True)) as connection:
        return [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]


def everything(path: Path) -> list[ev.Record]:
    with closing(Reader(path)) as reader:
        return list(reader.records())


# --- reading ---------------------------------------------------------------------------------------------------------


def test_what_moved_has_left_the_file_and_is_still_read_checked_and_replayed(moved: Path, plain: Path) -> None:
    assert live(moved) == list(range(801, len(RECORDS) + 1))
    assert len(list(archive_folder(moved).glob("*.segment"))) == 4
    assert everything(moved) == RECORDS
    with closing(Reader(moved)) as one, closing(Reader(plain)) as other:
        assert one.verify() == other.verify()
        assert (one.last_seq(), one.count()) == (len(RECORDS), len(RECORDS))
    assert replay(moved).state_hash() == replay(plain).state_hash()
    for until in (7, 199, 200, 201, 800, 801, 1_055):
        assert replay(moved, until=until).state_hash() == replay(plain, until=until).state_hash()


QUERIES = [
    Query(),
    Query(kinds=("OrderFilled",)),
    Query(kinds=("EquityRecorded", "BotCreated")),
    Query(owner="trend-2"),
    Query(subject="trend-3"),
    Query(correlation="sig-40"),
    Query(kinds=("Nothing",)),
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_way_of_asking_gives_what_it_gave_before(moved: Path, plain: Path, query: Query) -> None:
    chance = random.Random(4)
    with closing(Reader(moved)) as one, closing(Reader(plain)) as other:
        assert list(one.records(query=query)) == list(other.records(query=query))
        assert one.count(query) == other.count(query)
        for _ in range(15):
            at, limit, until = chance.randrange(1_300), chance.randrange(1, 700), chance.randrange(1_300)
            assert one.since(at, limit, query) == other.since(at, limit, query)
            assert one.latest(limit, query, before=at) == other.latest(limit, query, before=at)
            assert list(one.records(at, until, query)) == list(other.records(at, until, query))


def test_times_curves_and_lives_of_orders_are_found_on_both_sides(moved: Path, plain: Path) -> None:
    chance = random.Random(9)
    first, last = RECORDS[0].ts, RECORDS[-1].ts
    with closing(Reader(moved)) as one, closing(Reader(plain)) as other:
        for _ in range(30):
            ts = chance.randrange(first - 10**9, last + 10**9)
            assert one.number_at(ts) == other.number_at(ts)
            until, most = chance.randrange(ts, last + 2 * 10**9), chance.randrange(1, 300)
            for kind in ("EquityRecorded", "MarkRecorded"):
                assert one.thinned(kind, ts, until, most) == other.thinned(kind, ts, until, most)
        for record in RECORDS[:10] + RECORDS[790:810]:
            assert one.number_at(record.ts) == record.seq
        ids = [r.event.client_id for r in RECORDS if isinstance(r.event, ev.OrderIntended)]
        for client_id in ids:
            assert one.order_history(client_id) == other.order_history(client_id)


def test_hashes_are_known_at_every_number(moved: Path, plain: Path) -> None:
    with closing(connect(moved, read_only=True)) as one, closing(connect(plain, read_only=True)) as other:
        name = read_meta(one).journal_id
        for seq in (0, 1, 199, 200, 201, 755, 799, 800, 801, 1_200):
            assert link_at(one, name, seq) == link_at(other, name, seq) is not None
        assert link_at(one, name, 99_999) is None


def test_start_up_takes_the_snapshot_and_without_one_replays_from_the_archive(moved: Path, tmp_path: Path) -> None:
    path = copy_of(moved, tmp_path)
    whole = replay(path).state_hash()
    recovered = Journal.open(path, QUIET).recovered
    assert (recovered.snapshot_seq, recovered.state.state_hash()) == (CUT, whole)
    shutil.rmtree(snapshot_folder(path))
    recovered = Journal.open(path, QUIET).recovered
    assert (recovered.snapshot_seq, recovered.state.state_hash()) == (0, whole)


def test_a_reader_and_a_walk_under_way_do_not_notice_that_facts_move(path: Path) -> None:
    with closing(Reader(path)) as reader, closing(connect(path, read_only=True)) as connection:
        reading = reader.records()
        walking = walk(connection, 0, genesis(read_meta(connection).journal_id))
        found = [next(reading) for _ in range(50)]
        numbers = [next(walking)[0] for _ in range(50)]
        with closing(connect(path)) as other:
            for number, _ in enumerate(steps(other, path, SMALL)):
                found += [next(reading) for _ in range(number % 40)]
                numbers += [next(walking)[0] for _ in range(number % 40)]
        assert found + list(reading) == RECORDS
        assert numbers + [number for number, _, _ in walking] == list(range(1, len(RECORDS) + 1))


# --- moving ----------------------------------------------------------------------------------------------------------


def test_a_crash_between_any_two_steps_loses_nothing_and_the_next_run_goes_on(plain: Path, tmp_path: Path) -> None:
    with closing(connect(copy_of(plain, tmp_path / "count"))) as connection:
        total = [*steps(connection, tmp_path / "count" / "home" / "journal.db", SMALL)]
    assert {"written", "checked", "deleted"} <= set(total)
    for done in range(len(total) + 1):
        path = copy_of(plain, tmp_path / str(done))
        with closing(connect(path)) as connection:
            under_way = steps(connection, path, SMALL)
            for _ in range(done):
                next(under_way)
            under_way.close()
        assert everything(path) == RECORDS, f"after {total[:done][-1:]}"
        with closing(Reader(path)) as reader:
            assert reader.verify()[0] == len(RECORDS)
        move(path, SMALL)
        assert live(path)[0] == 801
        shutil.rmtree(path.parent)


def test_the_program_can_be_killed_while_it_moves(plain: Path, path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from storage.journal import mover, MoveRules;"
        "rules = MoveRules(hot_days=0.0, budget_bytes=1, segment_facts=100, delete_facts=7);"
        "say = lambda: (sys.stdout.write('.'), sys.stdout.flush());"
        "mover.move(Path(sys.argv[1]), rules, say)"
    )
    for words in (3, 60):
        child = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.read(words)
        child.kill()
        child.wait()
        child.stdout.close()
        assert everything(path) == RECORDS
    assert archived(path) > 0
    assert replay(path).state_hash() == replay(plain).state_hash()


def test_only_what_is_old_moves_and_never_what_no_snapshot_covers(path: Path) -> None:
    days = (RECORDS[-1].ts - RECORDS[450].ts) / 86_400e9
    aged = MoveRules(hot_days=days, segment_facts=200)
    assert worth_moving(path, aged)
    assert move(path, aged) == (0, 400)
    assert not worth_moving(path, aged)
    shutil.rmtree(snapshot_folder(path))
    with closing(connect(path)) as connection:
        assert movable(connection, path, SMALL) == 0
    assert not worth_moving(path, SMALL)


def test_within_the_budget_nothing_young_moves(path: Path) -> None:
    assert not worth_moving(path, MoveRules(budget_bytes=10**9, segment_facts=200))
    assert worth_moving(path, MoveRules(budget_bytes=300_000, segment_facts=200))


def test_the_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store(path, session(8_000))
    cut(path, kept=1)
    before = path.stat().st_size
    move(path, MoveRules(hot_days=0, budget_bytes=1, segment_facts=7_900, delete_facts=3_000))
    with closing(Reader(path)) as reader:
        assert reader.count() == reader.last_seq()
    assert path.stat().st_size < before


def test_two_processes_do_not_move_at_once(path: Path) -> None:
    with closing(connect(path)) as connection:
        under_way = steps(connection, path, SMALL)
        next(under_way)
        with pytest.raises(ConflictError, match="try again"):
            move(path, SMALL)
        under_way.close()
    move(path, SMALL)


def test_a_segment_of_a_history_that_was_undone_is_set_aside(plain: Path, moved: Path, tmp_path: Path) -> None:
    """The journal was put back from a copy and went on differently; the archive was not put back."""
    path = tmp_path / "journal.db"
    store(path, session(1_200, seed=2))
    cut(path, kept=1)
    shutil.copytree(archive_folder(moved), archive_folder(path))
    other = everything(path)
    move(path, SMALL)
    assert len(list(archive_folder(path).glob("*.aside"))) == 4
    assert everything(path) == other
    assert archived(path) > 0


async def until_archived(path: Path, seq: int) -> None:
    async with asyncio.timeout(20):
        while archived(path) < seq:  # noqa: ASYNC110 - only another process's file tells
            await asyncio.sleep(0.01)


async def test_the_engine_has_facts_moved_after_a_snapshot_and_says_when_the_budget_is_used_up(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    options = JournalOptions(snapshot_every=300, mark_interval_s=0.0, snapshots_kept=1, moves=SMALL)
    journal = opened(path, options)
    notes: list[str] = []
    journal.on_note(notes.append)
    journal.start()
    await append(journal, RECORDS[:600])
    await until_archived(path, 200)
    await append(journal, RECORDS[600:])
    await until_archived(path, 600)
    usage = journal.usage
    await journal.close()
    assert everything(path) == RECORDS
    assert usage is not None
    assert usage.share > 1
    assert any("of its budget" in note for note in notes)


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_missing_segment_is_named_and_the_engine_starts_from_its_snapshot(moved: Path, tmp_path: Path) -> None:
    path = copy_of(moved, tmp_path)
    (archive_folder(path) / "facts-000000000201-000000000400.segment").unlink()
    with closing(Reader(path)) as reader:
        with pytest.raises(StateCorruptionError, match=r"lacks the facts 201 to 400.*quarterdeck backup list"):
            list(reader.records())
        assert len(list(reader.records(after=400))) == len(RECORDS) - 400
        with pytest.raises(StateCorruptionError, match="lacks the facts"):
            reader.verify()
    assert Journal.open(path, QUIET).recovered.state.seq == len(RECORDS)
    shutil.rmtree(snapshot_folder(path))
    with pytest.raises(StateCorruptionError, match="lacks the facts"):
        Journal.open(path, QUIET)


def test_a_changed_byte_anywhere_in_a_segment_is_noticed(moved: Path, tmp_path: Path) -> None:
    path = copy_of(moved, tmp_path)
    [segment, *_] = Archive(archive_folder(path)).segments()
    content = segment.path.read_bytes()
    chance = random.Random(3)
    places = [*range(12), *(chance.randrange(len(content)) for _ in range(30)), *range(-45, 0, 3)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        segment.path.write_bytes(damaged)
        fresh = Archive(archive_folder(path)).segments()[0]
        with pytest.raises(StateCorruptionError, match="restore it from a backup"):
            fresh.check_digest()
        try:
            found = everything(path)
        except StateCorruptionError:
            continue
        # What a reader was given in spite of it is right: the byte was in a part that it did not need.
        assert found == RECORDS


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_journal_of_the_first_format_is_read_and_brought_up_to_date(path: Path) -> None:
    execute(path, "ALTER TABLE meta DROP COLUMN archived_hash")
    execute(path, "ALTER TABLE meta DROP COLUMN archived")
    execute(path, "PRAGMA user_version = 1")
    assert everything(path) == RECORDS
    recovered = Journal.open(path, QUIET).recovered
    assert recovered.state.seq == len(RECORDS)
    assert recovered.meta.archived == 0
    assert move(path, SMALL) == (0, 800)
    assert everything(path) == RECORDS
