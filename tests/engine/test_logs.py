"""Logs: JSON lines in files, correlation over tasks, no secrets, nothing on the terminal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from engine import logs
from engine.clock import SimulatedClock
from engine.config import LogSettings
from engine.logs import add_context, add_secret, configure_logs, current_operation, get_logger, operation, redact, timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = 'hun"ter2-é-secret'


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level, known = list(root.handlers), root.level, list(logs._secrets)
    yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    logs._secrets[:] = known
    logs._configure(structlog.processors.JSONRenderer(serializer=logs._to_json))
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # pytest's own handlers stay out of the way: `configure_logs` closes whatever it replaces.
    logging.getLogger().handlers.clear()
    return configure_logs(tmp_path / "logs", LogSettings(level="DEBUG"), SimulatedClock())


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_are_json_lines_with_level_time_and_fields(path: Path) -> None:
    get_logger("engine.x").info("order sent", client_id="Q1", quantity=Decimal("0.10"))
    record = written(path)[0]
    assert record["event"] == "order sent"
    assert (record["level"], record["logger"]) == ("info", "engine.x")
    assert (record["client_id"], record["quantity"]) == ("Q1", "0.10")
    assert record["timestamp"].endswith("Z")


def test_records_of_libraries_go_the_same_way(path: Path) -> None:
    logging.getLogger("library").warning("connection %s lost", 7)
    record = written(path)[0]
    assert (record["event"], record["level"], record["logger"]) == ("connection 7 lost", "warning", "library")


def test_an_exception_is_written_with_its_trace(path: Path) -> None:
    try:
        raise LookupError("gone")
    except LookupError:
        get_logger("x").exception("failed")
    assert "LookupError: gone" in written(path)[0]["exception"]


def test_warnings_of_libraries_go_to_the_file(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "old" in written(path)[0]["event"]


# --- correlation -----------------------------------------------------------------------------------------------------


async def test_tasks_started_inside_an_operation_carry_its_id_and_others_do_not(path: Path) -> None:
    log = get_logger("x")

    async def work(name: str) -> None:
        await asyncio.sleep(0)
        log.info(name, seen=current_operation())

    with operation("orders.place-1", venue="SIM"):
        inside = asyncio.ensure_future(work("inside"))
        add_context(bot="trend")
        log.info("here")
    await asyncio.gather(inside, asyncio.ensure_future(work("outside")))
    by_name = {record["event"]: record for record in written(path)}
    assert by_name["inside"]["correlation"] == by_name["inside"]["seen"] == "orders.place-1"
    assert by_name["here"]["bot"] == "trend"
    assert by_name["inside"]["venue"] == "SIM"
    assert "correlation" not in by_name["outside"]
    assert by_name["outside"]["seen"] == ""


# --- secrets ---------------------------------------------------------------------------------------------------------


class Holder:
    def __repr__(self) -> str:
        return f"Holder({SECRET})"


def test_no_secret_reaches_a_record_however_it_comes(path: Path) -> None:
    add_secret(SECRET)
    log = get_logger("x")
    log.info(f"text with {SECRET} inside", detail={"deep": [f"x{SECRET}"]}, holder=Holder(), raw=SECRET.encode())
    log.info("by key", api_key="abc", db_password=12345678, nested={"Passphrase": "p", "fine": 1})
    log.info("error", error=RuntimeError(SECRET))
    logging.getLogger("lib").warning("header %s", {"Authorization": f"Bearer {SECRET}"})
    try:
        raise LookupError(SECRET)
    except LookupError:
        log.exception("failed")
    text = path.read_text(encoding="utf-8")
    for form in (SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], "12345678"):
        assert form not in text
    assert written(path)[1]["nested"] == {"Passphrase": "***", "fine": 1}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("password=abc123 and more", "password=*** and more"),
        ("{'api_key': 'abc123'}", "{'api_key': ***}"),
        ("Authorization: Bearer abc123", "Authorization: ***"),
        ("?signature=abc123&symbol=BTC", "?signature=***&symbol=BTC"),
        ("postgresql://user:abc123@host/db", "postgresql://user:***@host/db"),
        ("12 tokens were left", "12 tokens were left"),
        ("see https://example.org/a", "see https://example.org/a"),
    ],
)
def test_text_that_names_a_secret_loses_it(said: str, shown: str) -> None:
    assert redact(said) == shown


def test_a_secret_inside_another_leaves_no_rest() -> None:
    add_secret("abcdef")
    add_secret("abcdefgh")
    assert redact("abcdefgh") == "***"


def test_short_texts_are_no_secrets() -> None:
    add_secret("is")
    assert redact("this is it") == "this is it"


@pytest.mark.parametrize("value", [None, True, "", 0, 1.5, "x", ["a"], {"a": 1}])
def test_plain_values_stay_what_they_are(value: object) -> None:
    assert redact(value) == value


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_are_rotated_by_size_and_only_so_many_are_kept(tmp_path: Path) -> None:
    logging.getLogger().handlers.clear()
    path = configure_logs(tmp_path, LogSettings(max_megabytes=1, files=3), SimulatedClock())
    log = get_logger("x")
    for _ in range(45):
        log.info("x" * 100_000)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["engine.log", "engine.log.1", "engine.log.2"]
    assert all(file.stat().st_size <= 1_000_000 for file in tmp_path.iterdir())
    assert path.is_file()


def test_old_files_are_removed_at_the_start_and_at_every_rotation(tmp_path: Path) -> None:
    logging.getLogger().handlers.clear()
    clock = SimulatedClock()
    day = 86_400

    def aged(name: str, days: int) -> Path:
        file = tmp_path / name
        file.write_text("{}\n", encoding="utf-8")
        when = clock.now() / 1e9 - days * day
        os.utime(file, (when, when))
        return file

    old, young, other = aged("engine.log.4", 91), aged("engine.log.3", 89), aged("notes.txt", 400)
    configure_logs(tmp_path, LogSettings(max_megabytes=1), clock)
    assert not old.exists()
    assert young.exists()
    assert other.exists()
    clock.set(clock.now() + 2 * day * 10**9)
    for _ in range(11):
        get_logger("x").info("x" * 100_000)
    assert not (tmp_path / "engine.log.4").exists(), "the young one has grown old and moved on by one"


def test_a_second_configuration_replaces_the_first(tmp_path: Path) -> None:
    logging.getLogger().handlers.clear()
    first = configure_logs(tmp_path / "a", LogSettings(), SimulatedClock())
    second = configure_logs(tmp_path / "b", LogSettings(level="ERROR"), SimulatedClock())
    get_logger("x").info("too low")
    get_logger("x").error("high")
    assert not first.exists()
    assert [record["event"] for record in written(second)] == ["high"]


def test_nothing_is_ever_printed_to_standard_output(tmp_path: Path) -> None:
    program = """
import sys, logging, warnings
from pathlib import Path
from engine.logs import configure_logs, get_logger
log = get_logger("engine.x")
log.info("before")
log.warning("before", password="abcdef")
if len(sys.argv) > 1:
    from engine.clock import SystemClock
    from engine.config import LogSettings
    configure_logs(Path(sys.argv[1]), LogSettings(), SystemClock())
    log.error("after")
    logging.getLogger("lib").critical("after")
    warnings.warn("after")
"""
    bare = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert bare.stdout == "", "results alone go there"
    assert "abcdef" not in bare.stderr
    configured = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert configured.stdout == ""
    assert "after" not in configured.stderr
    assert (tmp_path / "engine.log").read_text(encoding="utf-8").count("after") == 3


# --- timing ----------------------------------------------------------------------------------------------------------


async def test_calls_are_timed_with_their_outcome_and_errors_pass_through(path: Path) -> None:
    clock = SimulatedClock()

    @timed(clock)
    async def later() -> int:
        clock.set(clock.now() + 2_500_000)
        return 5

    @timed(clock)
    def now(*, fail: bool) -> int:
        if fail:
            raise LookupError("gone")
        return 6

    @timed(clock)
    async def later_fails() -> None:
        raise LookupError("late")

    assert await later() == 5
    assert now(fail=False) == 6
    with pytest.raises(LookupError, match="gone"):
        now(fail=True)
    with pytest.raises(LookupError, match="late"):
        await later_fails()
    first, second, third, fourth = (record for record in written(path) if record["logger"] == "timing")
    assert (first["duration_ms"], first["success"]) == (2.5, True)
    assert second["success"] is True
    assert (third["success"], third["error"]) == (False, "gone")
    assert fourth["success"] is False
