"""The command `panic` goes on without an engine that cannot do it, and claims nothing that it has not seen."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from console import panic_command
from console.cli import root
from engine.errors import AuthenticationError, EngineNotRunningError, JournalError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


class Doing:
    """What is done without the engine, for the time of a test."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.done += 1
        return {"by": "panic", "killed": [], "epoch": 2, "left": []}


@pytest.fixture
def directly(monkeypatch: pytest.MonkeyPatch) -> Doing:
    doing = Doing()
    monkeypatch.setattr(panic_command, "_directly", doing)
    return doing


def panic(home: Path, *more: str) -> Result:
    return CliRunner().invoke(root, ["--home", str(home), "panic", "--yes", *more])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (JournalError("The disk is full."), "cannot do it: The disk is full."),
        (EngineNotRunningError("Nobody."), "was not reached: Nobody."),
        (TimeoutError(), "did not answer within 2 s"),
    ],
)
def test_an_engine_that_cannot_stop_everything_is_gone_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directly: Doing, error: Exception, says: str
) -> None:
    async def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(panic_command, "_by_engine", fails)
    assert isinstance(panic(tmp_path).exception, EngineNotRunningError)
    assert directly.done == 0, "nobody has agreed to a kill"
    found = panic(tmp_path, "--direct")
    assert (found.exit_code, directly.done) == (0, 1)
    assert says in found.stderr


def test_an_engine_of_another_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directly: Doing
) -> None:
    async def fails(*_: Any) -> Any:
        raise AuthenticationError("It belongs to another user.")

    monkeypatch.setattr(panic_command, "_by_engine", fails)
    assert isinstance(panic(tmp_path, "--direct").exception, AuthenticationError)
    assert directly.done == 0


class Link:
    """An engine that accepted the stop."""

    def __init__(self, *, skew: str = "", hangs: bool = False) -> None:
        self.skew = skew
        self._hangs = hangs

    async def call(self, operation: str, params: Any = None) -> Any:
        if self._hangs:
            await asyncio.Event().wait()
        assert operation == "engine.status"
        return type("Status", (), {"values": {"open_orders": 0}})


async def test_what_another_release_cannot_be_asked_is_not_said_to_be_closed() -> None:
    found = await panic_command._until_done(Link(skew="It is older."), "all", 1.0)  # type: ignore[arg-type]
    assert found["left"] == ["positions were not looked at: It is older."]


async def test_an_engine_that_hangs_after_its_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panic_command, "ANSWER_S", 0.01)
    with pytest.raises(TimeoutError):
        await panic_command._until_done(Link(hangs=True), "all", 60.0)  # type: ignore[arg-type]


class Trading:
    """An engine of this release with one bot, whose stop is done but for one position."""

    skew = ""

    async def call(self, operation: str, params: Any = None) -> Any:
        if operation == "bots.list":
            return [SimpleNamespace(id="bot1", name="t1")]
        assert operation == "risk.overview"
        row = SimpleNamespace(owner_name="t1", quantity=Decimal("0.1"), instrument="SIM:BTC/USDT", reason="too small")
        stop = SimpleNamespace(scope="bot:t1", done=True, unclosable=(row,), problems=(), orders=0, positions=0)
        return SimpleNamespace(stops=(stop,))


@pytest.mark.parametrize("scope", ["bot:t1", "bot:bot1", " bot:t1"])
async def test_what_a_part_could_not_close_is_told_however_the_bot_is_written(scope: str) -> None:
    found = await panic_command._until_done(Trading(), scope, 1.0)  # type: ignore[arg-type]
    assert found["left"] == ["position of t1: 0.1 of SIM:BTC/USDT: too small"]


async def test_a_stop_that_the_engine_does_not_show_is_not_said_to_be_done() -> None:
    found = await panic_command._until_done(Trading(), "venue:SIM", 0.0)  # type: ignore[arg-type]
    assert found["left"] == ["how far the stop of venue:SIM is: the engine does not say"]
