"""A backup that is taken while orders fill brings everything back, and a damaged one is never put anywhere."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.backup_schedule import LOOK_S, BackupSchedule
from engine.control.backups import create_backup, find_backup, kept, list_backups, prune, verify_backup
from engine.control.jobs import Jobs
from engine.control.lock import EngineLock
from engine.control.restore import restore_backup
from engine.control.views_records import BackupRow
from engine.errors import (
    ConflictError,
    EngineAlreadyRunningError,
    NotFoundError,
    QuarterdeckError,
    StateCorruptionError,
    StorageError,
)
from engine.model.entries import TradingState
from engine.model.ids import AccountId, Currency
from storage.journal import Journal, MoveRules, replay
from storage.journal.cut import cut
from storage.journal.mover import move
from tests.control.house import Deck, deck
from tests.kit.histories import session
from tests.storage.journal.helpers import store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAPER, COIN = AccountId("paper"), Currency("BTC")
DAY = 86_400 * 10**9
NOW = 20_600 * DAY


def made(home: Path, now: int = NOW, **more: Any) -> BackupRow:
    return create_backup(home, load_settings(home, {}), "2.1.0", now, **more)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has a history, an archive, strategies, settings and candles, and no engine."""
    home = tmp_path_factory.mktemp("source")
    path = home / "journal.db"
    store(path, session(900))
    cut(path, kept=2)
    move(path, MoveRules(hot_days=0, budget_bytes=1, segment_facts=300))
    (home / "config.toml").write_text("[journal]\nsnapshots_kept = 4\n")
    (home / "strategies" / "mine").mkdir(parents=True)
    (home / "strategies" / "mine" / "one.py").write_text("# mine\n")
    (home / "candles").mkdir()
    (home / "candles" / "bars.bin").write_bytes(b"bars")
    (home / "logs").mkdir()
    (home / "logs" / "engine.log").write_text("noise")
    return home


@pytest.fixture
def home(source: Path, tmp_path: Path) -> Path:
    target = tmp_path / "home"
    shutil.copytree(source, target)
    return target


# --- while the engine runs -------------------------------------------------------------------------------------------


async def held(on: Deck) -> D:
    return on.engine.state.balance(PAPER, COIN).total


async def test_a_backup_made_while_orders_fill_is_restored_into_another_home_and_goes_on(tmp_path: Path) -> None:
    home, other = tmp_path / "one", tmp_path / "other"
    home.mkdir()
    async with deck(home) as on:
        await on.market(quantity="0.001")
        resting = await on.limit(quantity="0.001")
        job = await on.call("backup.create")
        # Filled while it is being made: in the journal's copy or not, the venue's copy knows it or it never happened.
        await on.market(quantity="0.0005")
        job = await on.call("jobs.get", id=job.id, wait=60)
        assert job.state == "done", job.message
        rows = await on.call("backup.list")
        assert [row.name for row in rows] == [job.result]
        after = await on.market(quantity="0.0003")
        instance = on.engine.journal.meta.instance
        with pytest.raises(EngineAlreadyRunningError), EngineLock.acquire(home, release="2.1.0"):
            restore_backup(home, find_backup(home, load_settings(home, {}), "latest"), "2.1.0", over=True)
    backup = find_backup(home, load_settings(home, {}), "latest")
    assert verify_backup(backup) == []
    done = restore_backup(other, backup, "2.1.0")
    assert done["aside"] is None
    async with deck(other) as on:
        state = on.engine.state
        assert on.host.engine is not None
        assert isinstance(on.engine.journal, Journal)
        assert on.engine.journal.recovered.restored
        assert on.engine.journal.meta.instance not in (instance, done["instance"])
        assert state.trading_state() is TradingState.ACTIVE, state.halts
        venue = {balance.currency: balance.total for balance in await on.engine.venue.balances(PAPER)}
        assert await held(on) == venue[COIN]
        assert await held(on) in (D("0.001"), D("0.0015"))
        assert resting.client_id in state.orders
        assert state.order(after.client_id) is None
        again = await on.market(quantity="0.0002")
        assert again.client_id != after.client_id


async def test_a_journal_and_mark_that_are_copied_back_never_repeat_an_order_id(tmp_path: Path) -> None:
    """The copy is not noticed: journal and mark fit. The venue knows the ids of the runs that are forgotten."""
    async with deck(tmp_path) as on:
        await on.limit(quantity="0.0005")
    copies = {name: (tmp_path / name).read_bytes() for name in ("journal.db", "journal.hwm")}
    async with deck(tmp_path) as on:
        forgotten = [await on.limit(quantity=f"0.000{n}") for n in range(2, 6)]
        epoch = on.engine.journal.epoch
    for name, content in copies.items():
        (tmp_path / name).write_bytes(content)
    shutil.rmtree(tmp_path / "journal.snapshots", ignore_errors=True)
    async with deck(tmp_path) as on:
        assert on.engine.journal.epoch == epoch
        assert isinstance(on.engine.journal, Journal)
        assert not on.engine.journal.recovered.restored
        again = [await on.limit(quantity=f"0.000{n}") for n in range(2, 6)]
        assert not {row.client_id for row in again} & {row.client_id for row in forgotten}


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_a_backup_holds_all_that_matters_and_nothing_that_does_not(home: Path) -> None:
    row = made(home)
    folder = home / "backups" / row.name
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {"journal.db", "config.toml", "strategies/mine/one.py", "manifest.json"} <= names
    assert sum(name.startswith("journal.archive/facts-") for name in names) == 3
    assert any(name.startswith("journal.snapshots/") for name in names)
    assert not any(
        name.startswith(("candles", "logs", "backups", "run")) or name.endswith((".hwm", ".lock")) for name in names
    )
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))
    assert (row.seq, row.problem) == (900, "")
    assert (home / "backups" / made(home, NOW + DAY, candles=True).name / "candles" / "bars.bin").exists()


def test_what_belongs_to_exchanges_comes_back_but_consent_to_trade_real_money(home: Path, tmp_path: Path) -> None:
    (home / "watched.json").write_text('["OKX:BTC/USDT"]')
    (home / "keys.sealed").write_bytes(b"sealed")
    (home / "live.json").write_bytes(b"[]")
    # What an engine has written last is in the log beside the file, and nowhere else.
    with closing(sqlite3.connect(home / "paper-OKX.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("CREATE TABLE accounts (id TEXT)")
        writer.execute("INSERT INTO accounts VALUES ('paper-okx')")
        backup = home / "backups" / made(home).name
    assert verify_backup(backup) == []
    names = {file.name for file in backup.iterdir()}
    assert {"watched.json", "keys.sealed", "paper-OKX.db"} <= names
    assert not names & {"live.json", "paper-OKX.db-wal", "paper-OKX.db-shm"}

    other = tmp_path / "other"
    other.mkdir()
    store(other / "journal.db", session(200, seed=3))
    (other / "live.json").write_bytes(b"[]")
    (backup / "live.json").write_bytes(b"[]")  # as in a backup of an earlier release
    aside = restore_backup(other, backup, "2.1.0", over=True)["aside"]
    assert (other / "keys.sealed").read_bytes() == b"sealed"
    assert (other / "watched.json").read_text() == '["OKX:BTC/USDT"]'
    for name in ("keys.sealed", "watched.json", "paper-OKX.db"):
        assert (other / name).stat().st_mode & 0o077 == 0, name
    with closing(sqlite3.connect(other / "paper-OKX.db")) as reader:
        assert reader.execute("SELECT id FROM accounts").fetchall() == [("paper-okx",)]
    assert not (other / "live.json").exists()
    assert "live.json" in os.listdir(aside)


def test_a_damaged_paper_venue_of_an_exchange_makes_a_backup_a_damaged_one(home: Path) -> None:
    with closing(sqlite3.connect(home / "paper-OKX.db")) as writer:
        writer.execute("CREATE TABLE accounts (id TEXT)")
    backup = home / "backups" / made(home).name
    (backup / "paper-OKX.db").unlink()
    assert verify_backup(backup) == ["paper-OKX.db is missing."]


def test_it_is_put_into_an_empty_home_and_has_the_same_state(home: Path, tmp_path: Path) -> None:
    row = made(home)
    other = tmp_path / "other"
    done = restore_backup(other, home / "backups" / row.name, "2.1.0")
    assert (done["seq"], done["aside"]) == (900, None)
    assert replay(other / "journal.db").state_hash() == replay(home / "journal.db").state_hash()
    assert load_settings(other, {}).journal.snapshots_kept == 4
    assert not list(other.glob("*.hwm"))
    assert not list(other.glob(".restoring-*"))
    recovered = Journal.open(other / "journal.db").recovered
    assert recovered.restored
    assert recovered.snapshot_seq == 900


def test_a_home_in_use_is_replaced_only_when_asked_and_kept_aside(home: Path, tmp_path: Path) -> None:
    backup = home / "backups" / made(home).name
    other = tmp_path / "other"
    other.mkdir()
    store(other / "journal.db", session(200, seed=3))
    (other / "notes.txt").write_text("keep me")
    before = (other / "journal.db").read_bytes()
    with pytest.raises(ConflictError, match=r"is not empty.*--over"):
        restore_backup(other, backup, "2.1.0")
    assert (other / "journal.db").read_bytes() == before
    done = restore_backup(other, backup, "2.1.0", over=True)
    aside = done["aside"]
    assert aside is not None
    assert sorted(os.listdir(aside)) == ["journal.db", "journal.hwm", "notes.txt"]
    assert Journal.open(other / "journal.db").recovered.state.seq == 900


@pytest.mark.parametrize("empty", [True, False])
def test_a_restore_that_is_cut_short_leaves_a_home_that_does_not_start_and_can_be_done_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    from pathlib import Path as AnyPath

    backup = home / "backups" / made(home).name
    real = AnyPath.rename
    for crash in range(1, 7 if empty else 9):
        other = tmp_path / f"other-{crash}"
        other.mkdir()
        if not empty:
            store(other / "journal.db", session(950, seed=3))
        moves = iter(range(100))

        def rename(self: Path, target: Path, crash: int = crash, moves: Iterator[int] = moves) -> Path:
            if next(moves) == crash:
                raise KeyboardInterrupt
            return real(self, target)

        monkeypatch.setattr(AnyPath, "rename", rename)
        try:
            restore_backup(other, backup, "2.1.0", over=True)
        except KeyboardInterrupt:
            monkeypatch.undo()
            with pytest.raises(StateCorruptionError, match=r"gone|belongs to|its end is lost"):
                Journal.open(other / "journal.db")
        monkeypatch.undo()
        restore_backup(other, backup, "2.1.0", over=True)
        assert Journal.open(other / "journal.db").recovered.state.seq == 900


def test_a_restore_cut_short_at_its_very_end_does_not_go_on_under_the_old_instance(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path as AnyPath

    backup = home / "backups" / made(home).name
    other, real = tmp_path / "other", AnyPath.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.name == "journal.hwm":
            raise KeyboardInterrupt
        real(self, missing_ok)

    monkeypatch.setattr(AnyPath, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        restore_backup(other, backup, "2.1.0")
    monkeypatch.undo()
    with pytest.raises(StateCorruptionError, match="its end is lost"):
        Journal.open(other / "journal.db")
    restore_backup(other, backup, "2.1.0", over=True)
    assert Journal.open(other / "journal.db").recovered.restored


def test_what_a_restore_puts_back_is_on_the_disk_before_the_mark_that_vouched_for_it_goes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = home / "backups" / made(home).name
    synced: set[int] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    restore_backup(tmp_path / "other", backup, "2.1.0")
    files = [file for file in (tmp_path / "other").rglob("*") if file.is_file() and file.suffix != ".lock"]
    assert len(files) > 2
    assert [file.name for file in files if file.stat().st_ino not in synced] == []


@pytest.mark.parametrize("name", ["journal.db", "config.toml", "manifest.json"])
def test_a_damaged_backup_is_found_out_and_never_put_back(home: Path, tmp_path: Path, name: str) -> None:
    backup = home / "backups" / made(home).name
    content = bytearray((backup / name).read_bytes())
    content[len(content) // 2] ^= 0x15
    (backup / name).write_bytes(content)
    other = tmp_path / "other"
    with pytest.raises(StorageError):
        restore_backup(other, backup, "2.1.0")
    assert not (other / "journal.db").exists()
    if name == "manifest.json":
        return
    assert verify_backup(backup) == [f"{name} is not what was copied."]
    (backup / name).unlink()
    assert verify_backup(backup) == [f"{name} is missing."]


def test_a_backup_that_fails_leaves_nothing_half_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(QuarterdeckError, match=r"No space left|disk is full"):
        made(home)
    monkeypatch.undo()
    assert [path.name for path in (home / "backups").iterdir()] == [".lock"]
    made(home)
    with pytest.raises(ConflictError, match="exists already"):
        made(home)


def test_an_empty_home_has_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing to back up"):
        made(tmp_path)
    with pytest.raises(NotFoundError, match="no backup"):
        find_backup(tmp_path, load_settings(tmp_path, {}), "latest")


# --- which are kept, and when ----------------------------------------------------------------------------------------


def test_the_newest_of_days_weeks_and_months_is_kept() -> None:
    rows = [BackupRow(name=str(n), path="", created=NOW - n * DAY // 2) for n in range(800)]
    names = kept(rows, daily=7, weekly=4, monthly=12)
    ages = sorted(NOW // DAY - row.created // DAY for row in rows if row.name in names)
    assert ages[:7] == [0, 1, 2, 3, 4, 5, 6]
    assert 17 <= len(names) <= 22
    assert ages[-1] > 300
    assert kept([], 7, 4, 12) == set()
    assert kept(rows[:1], 7, 4, 12) == {"0"}


def test_what_is_not_kept_goes_and_what_cannot_be_read_stays(home: Path) -> None:
    for age in (0, 1, 2, 40, 41):
        made(home, NOW - age * DAY)
    odd = home / "backups" / "backup-odd"
    odd.mkdir()
    settings = load_settings(home, {})
    few = settings.model_copy(
        update={"backup": settings.backup.model_copy(update={"keep_daily": 2, "keep_weekly": 0, "keep_monthly": 2})}
    )
    assert len(prune(home, few)) == 2
    rows = list_backups(home, few)
    assert [bool(row.problem) for row in rows].count(True) == 1
    assert sorted((NOW - row.created) // DAY for row in rows if not row.problem) == [0, 1, 40]
    assert odd.exists()


class Moments(SystemClock):
    """Real but for the time of day, and for sleeps, which are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.ns = NOW
        self.slept: list[float] = []

    def now(self) -> int:
        return self.ns


async def test_a_backup_is_made_when_the_newest_one_is_too_old(home: Path) -> None:
    clock = Moments()
    jobs = Jobs(home, SystemClock())
    schedule = BackupSchedule(home, load_settings(home, {}), jobs, clock)
    made(home, NOW - DAY + 10**9)
    assert not await schedule.look()
    assert schedule.newest == NOW - DAY + 10**9
    clock.ns += 10**9
    assert await schedule.look(), schedule.problem
    assert schedule.problem == ""
    (home / "journal.db").unlink()
    for row in list_backups(home, load_settings(home, {})):
        shutil.rmtree(row.path)
    assert not await schedule.look()
    assert "nothing to back up" in schedule.problem
    await jobs.close()
    assert LOOK_S >= 60
    assert dataclasses.is_dataclass(MoveRules)
