"""`journal`, `doctor` and `backup`, from what is typed to what is printed and what is on the disk."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

import pytest

from console import cli
from engine.control.lock import EngineLock
from storage.journal import Journal, MoveRules
from storage.journal.archive import archive_folder
from storage.journal.cut import cut
from storage.journal.mover import move
from tests.control.house import deck
from tests.kit.histories import kinds, session
from tests.storage.journal.helpers import execute, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RECORDS = session(700)
LAST = len(RECORDS)


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("source")
    store(home / "journal.db", RECORDS)
    cut(home / "journal.db", kept=2)
    move(home / "journal.db", MoveRules(hot_days=0, budget_bytes=1, segment_facts=250))
    return home


@pytest.fixture
def home(source: Path, tmp_path: Path) -> Path:
    target = tmp_path / "home"
    shutil.copytree(source, target)
    target.chmod(0o700)
    return target


@pytest.fixture
def _quiet_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], _quiet_logs: None) -> Callable[..., Said]:
    def command(*arguments: str, home: Path = home) -> Said:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--home", str(home), *arguments])
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return command


def contents(home: Path) -> dict[str, str]:
    """Everything in a home folder but what SQLite makes for readers."""
    files = (file for file in home.rglob("*") if file.is_file() and not file.name.endswith(("-shm", "-wal")))
    return {str(file.relative_to(home)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


# --- journal ---------------------------------------------------------------------------------------------------------


def test_info_says_what_there_is_without_changing_anything(run: Callable[..., Said], home: Path) -> None:
    before = contents(home)
    said = run("journal", "info")
    assert said.status == 0, said.err
    assert f"facts      {LAST:,}, from 2023-11-14T22:13:20" in said.out
    assert "500 facts in 2 files" in said.out
    found = json.loads(run("journal", "info", "--json").out)
    assert (found["facts"], found["archived"], found["mark"]) == (LAST, 500, LAST)
    assert found["bytes"]["all"] > found["bytes"]["journal"] > 0
    assert contents(home) == before


def test_verify_finds_everything_whole_and_names_what_is_not(run: Callable[..., Said], home: Path) -> None:
    said = run("journal", "verify", "--replay")
    assert (said.status, said.err) == (0, "")
    assert f"{LAST} facts (500 archived) and 1 snapshots are whole" in said.out
    execute(home / "journal.db", "UPDATE events SET subject = 'other' WHERE seq = 600")
    said = run("journal", "verify")
    assert said.status == 1
    assert "Fact 600 is whole, but stored under a wrong name" in said.err
    segment = next(archive_folder(home / "journal.db").glob("facts-*251*.segment"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    found = json.loads(run("journal", "verify", "--json").out)
    assert "its checksum does not match" in found["problems"][0]


def test_export_writes_facts_as_lines_by_number_time_kind_and_owner(
    run: Callable[..., Said], home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "facts.jsonl"
    said = run("journal", "export", str(file))
    assert said.out == f"{LAST} facts are in {file}.\n"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, LAST + 1))
    assert rows[5]["time"].endswith("Z")
    assert run("journal", "export", str(file)).status == 1
    fills = [json.loads(line) for line in run("journal", "export", "--kind", "OrderFilled").out.splitlines()]
    assert len(fills) == kinds(RECORDS)["OrderFilled"]
    assert isinstance(fills[0]["fact"]["fill"]["price"], str), "exact, not a float"
    part = run("journal", "export", "--after", "240", "--until", "260").out.splitlines()
    assert [json.loads(line)["seq"] for line in part] == list(range(241, 261))
    middle = rows[400]["time"]
    times = run("journal", "export", "--since", middle, "--before", rows[420]["time"]).out.splitlines()
    assert 18 <= len(times) <= 21
    assert json.loads(times[0])["time"] >= middle
    said = run("journal", "export", "--kind", "OrderFiled")
    assert (said.status, "Did you mean OrderFilled?" in said.err) == (1, True)


def test_repair_asks_says_what_is_lost_and_does_it(
    run: Callable[..., Said], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("journal", "repair", "--yes").out == "The journal is whole; nothing was done.\n"
    shutil.rmtree(home / "journal.snapshots")
    execute(home / "journal.db", "DELETE FROM events WHERE seq > 650")
    before = contents(home)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = run("journal", "repair")
    assert refused.status == 1
    assert "The state can be vouched for up to fact 650 of 700." in refused.out
    assert "Facts 651 to 700 (50) will be lost." in refused.out
    assert contents(home) == before | {"engine.lock": contents(home)["engine.lock"]}
    said = run("journal", "repair", "--yes")
    assert said.status == 0, said.err
    assert "it ends at fact 651" in said.out
    assert Journal.open(home / "journal.db").recovered.state.seq == 651
    assert run("journal", "verify").status == 0


def test_repair_and_restore_want_nobody_at_work(run: Callable[..., Said], home: Path) -> None:
    with EngineLock.acquire(home, release="2.1.0"):
        said = run("journal", "repair", "--yes")
    assert said.status != 0
    assert f"process {os.getpid()}" in said.err


def test_archive_moves_at_once_and_packs_the_file(run: Callable[..., Said], home: Path) -> None:
    assert "Nothing was to be moved." in run("journal", "archive", "--older-than", "0").out
    found = json.loads(run("journal", "archive", "--json").out)
    assert (found["from"], found["to"], found["packed"]) == (500, 500, True)
    assert run("journal", "verify").status == 0


def test_without_a_journal_every_command_says_so(run: Callable[..., Said], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for words in (["info"], ["verify"], ["export"], ["repair", "--yes"], ["archive"]):
        said = run("journal", *words, home=empty)
        assert (said.status, "There is no journal in" in said.err) == (1, True), words
    assert not (empty / "journal.db").exists()


# --- doctor ----------------------------------------------------------------------------------------------------------


def rows_of(said: Said) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(said.out)}


@pytest.mark.parametrize("deep", [False, True])
def test_the_doctor_looks_at_everything_and_changes_nothing(run: Callable[..., Said], home: Path, deep: bool) -> None:
    before = contents(home)
    said = run("doctor", "--json", *(["--deep"] if deep else []))
    rows = rows_of(said)
    assert {row["state"] for name, row in rows.items() if name not in ("paper venue", "engine", "reports")} == {"ok"}
    assert rows["engine"]["state"] == "off"
    assert rows["paper venue"]["state"] == "failed", "the journal was made without one"
    assert said.status == 1
    assert contents(home) == before


def test_the_doctor_names_damage_and_what_to_do(run: Callable[..., Said], home: Path) -> None:
    (home / "paper.db").write_bytes(b"no database" * 500)
    (home / "config.toml").write_text("[jurnal]\n")
    (home / "config.toml").chmod(0o644)
    home.chmod(0o755)
    (home / "journal.hwm").write_bytes(b"\0" * 1024)
    (home / "journal.db.new").write_text("")
    said = run("doctor")
    assert said.status == 1
    assert "FAILED   settings" in said.out
    assert "WARNING  home         Others may look into" in said.out
    assert f"-> chmod 600 {home / 'config.toml'}" in said.out
    assert "FAILED   journal" in said.out
    assert "`quarterdeck journal repair`" in said.out
    assert "paper.db is damaged or cannot be read" in said.out
    assert "journal.db.new" in said.out


def test_the_doctor_of_a_home_that_is_not_there_says_only_that(run: Callable[..., Said], tmp_path: Path) -> None:
    said = run("doctor", home=tmp_path / "nowhere")
    assert said.status == 0
    assert said.out.count("\n") == 2
    assert not (tmp_path / "nowhere").exists()


def test_a_lock_without_an_answer_is_an_engine_that_hangs(run: Callable[..., Said], home: Path) -> None:
    with EngineLock.acquire(home, release="2.1.0"):
        rows = rows_of(run("doctor", "--json"))
    assert rows["engine"]["state"] == "failed"
    assert "does not answer" in rows["engine"]["words"]
    assert "`quarterdeck stop --now`" in rows["engine"]["advice"]


async def test_a_running_engine_is_asked_and_its_reports_are_compared(tmp_path: Path) -> None:
    import asyncio

    from engine.control.doctor import diagnose

    async with deck(tmp_path) as on:
        await on.market(quantity="0.001")
        with EngineLock.acquire(tmp_path, release="2.1.0"):
            found = {finding.name: finding for finding in await asyncio.to_thread(diagnose, tmp_path)}
    assert found["engine"].state == "ok", found["engine"]
    assert "Orders can be placed." in found["engine"].words
    assert found["journal"].state == "ok"
    assert found["paper venue"].state == "ok"


# --- backup ----------------------------------------------------------------------------------------------------------


def test_a_backup_is_made_listed_checked_and_put_back(run: Callable[..., Said], home: Path, tmp_path: Path) -> None:
    assert "There is no backup yet" in run("backup", "list").out
    said = run("backup", "create")
    assert said.status == 0, said.err
    assert f"{LAST} facts" in said.out
    [row] = json.loads(run("backup", "list", "--json").out)
    assert row["seq"] == LAST
    assert row["name"] in run("backup", "list").out
    assert run("backup", "verify").out == f"{row['path']} is whole.\n"
    other = tmp_path / "other"
    said = run("backup", "restore", "--from", str(home), "--yes", home=other)
    assert said.status == 0, said.err
    assert f"is as it was at fact {LAST}" in said.out
    said = run("backup", "restore", row["path"], "--yes", home=other)
    assert (said.status, "--over" in said.err) == (1, True)
    said = run("backup", "restore", row["path"], "--yes", "--over", "--json", home=other)
    assert json.loads(said.out)["aside"].startswith(str(other / "replaced-"))
    with sqlite3.connect(f"{row['path']}/journal.db") as damaged:
        damaged.execute("DELETE FROM events WHERE seq = 600")
    damaged.close()
    said = run("backup", "verify", row["name"])
    assert (said.status, "journal.db is not what was copied." in said.err) == (1, True)
    assert run("backup", "restore", "nothing", "--yes").status == 1
