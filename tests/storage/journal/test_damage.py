"""Whatever byte is damaged, a start finds everything or refuses with a way out; a repair brings back what it can."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.errors import JournalError, QuarterdeckError, StateCorruptionError
from engine.state import EngineState
from storage.journal import Journal, JournalOptions, MoveRules, Reader, replay
from storage.journal.archive import archive_folder
from storage.journal.cut import cut
from storage.journal.mark import HighWaterMark
from storage.journal.mover import move
from storage.journal.recovery import mark_path, snapshot_folder
from storage.journal.repair import Repaired, repair
from storage.journal.survey import Survey, survey
from tests.kit.histories import session
from tests.storage.journal.helpers import QUIET, append, execute, opened, store

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = session(330)
LAST = len(RECORDS)


def hashes() -> list[str]:
    """The state's hash after each fact."""
    state, found = EngineState(), [EngineState().state_hash()]
    for record in RECORDS:
        state.apply(record)
        found.append(state.state_hash())
    return found


HASHES = hashes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "journal.db"
    store(path, RECORDS)
    return path


@pytest.fixture
async def logged(tmp_path: Path) -> Path:
    """A journal whose last facts are only in the write-ahead log, as a kill leaves it."""
    path = tmp_path / "running" / "journal.db"
    path.parent.mkdir()
    journal = opened(path)
    journal.start()
    for begin in range(0, LAST, 30):
        await append(journal, RECORDS[begin : begin + 30])
        if begin == 120:
            journal._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    while (mark := HighWaterMark.read(mark_path(path))) is None or mark.seq < LAST:
        os.sched_yield()
    killed = tmp_path / "killed" / "journal.db"
    killed.parent.mkdir()
    for name in ("journal.db", "journal.db-wal", "journal.hwm"):
        shutil.copy2(path.with_name(name), killed.with_name(name))
    await journal.close()
    return killed


def fresh_copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source.parent, target)
    return target / source.name


def flip(file: Path, place: int, bit: int) -> None:
    with file.open("r+b") as opened_:
        opened_.seek(place)
        [byte] = opened_.read(1)
        opened_.seek(place)
        opened_.write(bytes([byte ^ 1 << bit]))


def places(size: int, count: int, chance: random.Random) -> list[int]:
    """Some in every region: file header, page headers, and anywhere."""
    pages = [page + chance.randrange(24) for page in range(0, size, 4096)]
    return [*range(16, 100, 7), *pages, *(chance.randrange(size) for _ in range(count))]


def mended(path: Path) -> tuple[Survey, Repaired]:
    found = survey(path)
    return found, repair(path, found, "20260101T000000Z", 0)


def found_or_refused(path: Path) -> QuarterdeckError | None:
    """A start finds every fact, or refuses in words with a command in them."""
    journal: Journal | None = None
    refusal: QuarterdeckError | None = None
    try:
        journal = Journal.open(path, QUIET)
    except (StateCorruptionError, JournalError) as error:
        refusal = error
    if journal is not None:
        assert journal.recovered.state.state_hash() == HASHES[LAST]
        journal._connection.close()
        return None
    assert refusal is not None
    assert "`quarterdeck " in refusal.message or "Install" in refusal.message, refusal.message
    return refusal


def check_mended(path: Path) -> int:
    """After a repair the state is the one at the last fact that could be kept, and the engine can go on."""
    found = survey(path)
    if not found.state.seq:
        # The root of everything is damaged, and this history has no snapshot.
        with pytest.raises(JournalError, match="Nothing of the journal"):
            repair(path, found, "20260101T000000Z", 0)
        return 0
    done = repair(path, found, "20260101T000000Z", 0)
    assert found.state.state_hash() == HASHES[found.state.seq]
    journal = Journal.open(path, QUIET)
    assert journal.recovered.state.seq == done.seq == found.state.seq + 1
    assert journal.meta.instance == done.instance
    assert not journal.recovered.restored
    journal._connection.close()
    return found.state.seq


def test_a_flipped_bit_anywhere_in_the_file_is_refused_or_does_not_matter(whole: Path, tmp_path: Path) -> None:
    chance, refused, kept = random.Random(5), 0, []
    for number, place in enumerate(places(whole.stat().st_size, 90, chance)):
        path = fresh_copy(whole, tmp_path / "home")
        flip(path, place, chance.randrange(8))
        error = found_or_refused(path)
        refused += error is not None
        if error is not None and "Install" not in error.message and number % 4 == 0:
            kept.append(check_mended(path))
    assert refused > 40
    assert max(kept) > 200


async def test_a_flipped_bit_anywhere_in_the_log_never_loses_a_fact_in_silence(logged: Path, tmp_path: Path) -> None:
    log = logged.with_name("journal.db-wal")
    assert log.stat().st_size > 100_000
    chance, refused, kept = random.Random(6), 0, []
    for number, place in enumerate([*range(0, 32, 3), *places(log.stat().st_size, 60, chance)]):
        path = fresh_copy(logged, tmp_path / "home")
        flip(path.with_name("journal.db-wal"), place, chance.randrange(8))
        error = found_or_refused(path)
        refused += error is not None
        if error is not None and number % 5 == 0:
            assert "its end is lost" in error.message or "damaged" in error.message
            kept.append(check_mended(path))
    assert refused > 60
    assert min(kept) >= 120


async def test_a_log_torn_at_any_length_is_refused(logged: Path, tmp_path: Path) -> None:
    size = logged.with_name("journal.db-wal").stat().st_size
    chance = random.Random(7)
    path = logged
    for length in [0, 1, 31, 32, *(chance.randrange(size) for _ in range(20)), size - 1]:
        path = fresh_copy(logged, tmp_path / "home")
        os.truncate(path.with_name("journal.db-wal"), length)
        assert "its end is lost" in str(found_or_refused(path))
    assert check_mended(path) < LAST


def test_a_torn_file_is_refused(whole: Path, tmp_path: Path) -> None:
    size = whole.stat().st_size
    chance = random.Random(8)
    for length in [0, 50, 4096, *(chance.randrange(size) for _ in range(12)), size - 1]:
        path = fresh_copy(whole, tmp_path / "home")
        os.truncate(path, length)
        assert found_or_refused(path) is not None


@pytest.mark.parametrize("place", [0, 9, 20, 40, 512, 530])
def test_a_damaged_mark_is_made_up_for_by_its_second_place(whole: Path, tmp_path: Path, place: int) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    flip(mark_path(path), place, 3)
    assert found_or_refused(path) is None


def test_a_repair_needs_no_mark(whole: Path, tmp_path: Path) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    mark_path(path).write_bytes(b"x" * 700)
    assert found_or_refused(path) is not None
    assert check_mended(path) == LAST


# --- what a repair keeps ---------------------------------------------------------------------------------------------


def damage_fact(path: Path, seq: int, column: str = "body") -> None:
    execute(path, f"UPDATE events SET {column} = zeroblob(40) WHERE seq = ?", seq)


def test_without_a_snapshot_everything_before_the_damage_is_kept_and_the_rest_is_named(
    whole: Path, tmp_path: Path
) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    damage_fact(path, 250)
    found, done = mended(path)
    assert (found.state.seq, found.lost_end, found.bad) == (249, (250, LAST), [])
    assert {"journal.db", "journal.hwm"} <= {file.name for file in done.aside.iterdir()}
    with sqlite3.connect(done.aside / "journal.db") as damaged:
        assert damaged.execute("SELECT count(*) FROM events").fetchone()[0] == LAST
    damaged.close()
    reader = Reader(path)
    records = list(reader.records())
    reader.close()
    assert records[:-1] == RECORDS[:249]
    told = records[-1].event
    assert isinstance(told, ev.OperatorActed)
    assert told.summary == f"Facts 250 to {LAST} were damaged and could not be kept."
    assert replay(path).seq == 250


@pytest.mark.parametrize("moved", [False, True])
def test_a_hole_before_a_snapshot_costs_only_what_is_in_it(whole: Path, tmp_path: Path, moved: bool) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    _cut_at(path, 200)
    if moved:
        move(path, MoveRules(hot_days=0, budget_bytes=1, segment_facts=50, delete_facts=50))
        _cut_at(path, 280)
    damaged = 240 if moved else 120
    damage_fact(path, damaged)
    damage_fact(path, damaged + 1, "hash")
    found, done = mended(path)
    assert found.bad == [(damaged, damaged)], "a row whose hash alone is damaged is vouched for by the next one"
    assert (found.state.seq, found.lost_end) == (LAST, None)
    assert found.state.state_hash() == HASHES[LAST]
    reader = Reader(path)
    assert [r.seq for r in reader.records()] == [seq for seq in range(1, done.seq + 1) if seq != damaged]
    assert reader.count() == LAST
    with pytest.raises(StateCorruptionError, match=f"{damaged} to {damaged}: they were damaged, and a repair"):
        reader.verify()
    reader.close()
    recovered = Journal.open(path, QUIET).recovered
    assert recovered.snapshot_seq == (280 if moved else 200)
    assert recovered.state.seq == done.seq


def test_a_snapshot_that_outlived_the_end_of_the_journal_is_believed(whole: Path, tmp_path: Path) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    cut(path, kept=3)
    execute(path, "DELETE FROM events WHERE seq > 300")
    found, done = mended(path)
    assert (found.state.seq, found.bad) == (LAST, [(301, LAST)])
    assert Journal.open(path, QUIET).recovered.state.seq == done.seq


def test_with_the_file_gone_a_snapshot_still_brings_the_state_back(whole: Path, tmp_path: Path) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    _cut_at(path, 300)
    path.write_bytes(b"\0" * 9000)
    found, _ = mended(path)
    assert (found.state.seq, found.lost_end, found.bad) == (300, (301, LAST), [(1, 300)])
    recovered = Journal.open(path, QUIET).recovered
    assert recovered.state.seq == 301
    assert archive_folder(path).is_dir()


def test_a_fact_of_a_newer_release_is_no_damage(whole: Path, tmp_path: Path) -> None:
    from tests.storage.journal.helpers import append_raw

    path = fresh_copy(whole, tmp_path / "home")
    append_raw(path, {"t": "PositionTeleported@3", "to": "moon"})
    with pytest.raises(StateCorruptionError, match="nothing is damaged there"):
        survey(path)


def test_a_whole_journal_is_found_whole(whole: Path, tmp_path: Path) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    cut(path, kept=1)
    found = survey(path)
    assert found.whole
    assert found.state.seq == LAST


def test_an_epoch_is_never_opened_twice_even_if_its_number_is_damaged(whole: Path, tmp_path: Path) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    execute(path, "UPDATE meta SET epoch = 0")
    journal = Journal.open(path, QUIET)
    assert journal.open_epoch() == 2


def _cut_at(path: Path, seq: int) -> None:
    from storage.journal.chain import link_at
    from storage.journal.schema import connect, read_meta
    from storage.journal.snapshots import SnapshotStore

    connection = connect(path, read_only=True)
    meta = read_meta(connection)
    head = link_at(connection, meta.journal_id, seq)
    connection.close()
    assert head is not None
    SnapshotStore(snapshot_folder(path)).write(replay(path, until=seq), meta.journal_id, head)


# --- files that may not be used --------------------------------------------------------------------------------------


@contextmanager
def somebody_else() -> Iterator[Path]:
    """A folder that is ours, looked at by a user who is not root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        mine = os.geteuid()
        try:
            if mine == 0:
                os.seteuid(65_534)
            yield folder
        finally:
            os.seteuid(mine)


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o644), (0o755, 0o444), (0o755, 0o000), (0o000, 0o644)])
def test_a_folder_or_file_that_is_not_ours_is_said_in_words(whole: Path, folder_mode: int, file_mode: int) -> None:
    with somebody_else() as folder:
        user = os.geteuid()
        os.seteuid(os.getuid())
        path = fresh_copy(whole, folder / "home")
        for file in path.parent.iterdir():
            file.chmod(file_mode)
        path.parent.chmod(folder_mode)
        os.seteuid(user)
        try:
            with pytest.raises(JournalError) as caught:
                Journal.open(path, QUIET).open_epoch()
        finally:
            os.seteuid(os.getuid())
            path.parent.chmod(0o755)
        assert "cannot be opened or written by you" in caught.value.message
        assert "`quarterdeck doctor`" in caught.value.message
        if os.getuid() == 0:
            assert "belongs to user 0" in caught.value.message or "Make" in caught.value.message


def test_a_start_on_a_full_disk_says_so_and_changes_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh_copy(whole, tmp_path / "home")
    mark_path(path).unlink()
    real = os.open

    def full(name: object, flags: int, *rest: int, **more: int) -> int:
        if str(name).endswith(".new"):
            raise OSError(28, "No space left on device", str(name))
        return real(name, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(JournalError, match=r"the disk is full.*Free space"):
        Journal.open(path, QUIET)
    monkeypatch.undo()
    assert Journal.open(path, QUIET).recovered.state.state_hash() == HASHES[LAST]


async def test_a_database_that_may_not_grow_halts_the_journal_in_words_and_releases_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = opened(path, JournalOptions(snapshot_every=0, mark_interval_s=0.0))
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    journal.start()
    released: list[int] = []
    journal.on_durable(released.append)

    async def write() -> None:
        for begin in range(0, LAST, 20):
            await append(journal, RECORDS[begin : begin + 20])

    with pytest.raises(JournalError, match=r"full.*has halted; nothing was sent.*quarterdeck doctor"):
        await write()
    assert journal.failure is not None
    await journal.close()
    recovered = Journal.open(path, QUIET).recovered
    assert recovered.state.seq == released[-1]
    assert recovered.state.state_hash() == HASHES[released[-1]]
