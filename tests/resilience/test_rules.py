"""Rules from a fact to an action: checked at the start, carried out outside the booking, isolated from each other."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.config import load_settings
from engine.errors import ConfigurationError, ConflictError
from engine.model.faults import Severity
from engine.model.ids import Currency, Owner
from engine.resilience import rules as module
from engine.resilience.handler import ErrorHandler
from engine.resilience.rules import Firing, RuleRunner, RuleSettings, matches

if TYPE_CHECKING:
    from pathlib import Path

TRIP = ev.BreakerTripped(breaker="drawdown", scope="paper", value="0.1", threshold="0.1", reason="it fell")


def rule(name: str = "r", on: str = "BreakerTripped", action: str = "halt", **more: Any) -> RuleSettings:
    return RuleSettings.model_validate({"name": name, "on": on, "action": action, **more})


class Ship:
    """A runner with actions that only note what they were asked."""

    def __init__(self, *rules: RuleSettings) -> None:
        self.clock = SimulatedClock()
        self.errors = ErrorHandler(self.clock)
        self.done: list[tuple[str, str]] = []
        self.fails: set[str] = set()
        self.runner = RuleRunner(rules, self.clock, self.errors, dict.fromkeys(module.ACTIONS, self.act))
        self.seq = 0

    async def act(self, firing: Firing) -> None:
        if firing.rule.name in self.fails:
            raise ConflictError("Not now.")
        self.done.append((firing.rule.name, firing.bot))

    def book(self, event: ev.Event) -> None:
        self.seq += 1
        self.runner.hear(ev.Record(self.seq, self.clock.now(), 1, event))

    async def let_act(self) -> list[tuple[str, str]]:
        task = asyncio.ensure_future(self.runner.run())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found, self.done = self.done, []
        return found


def test_a_rule_matches_by_fact_and_by_patterns_of_its_fields() -> None:
    assert matches(rule(), TRIP)
    assert matches(rule(where={"breaker": "draw*", "scope": "paper"}), TRIP)
    assert not matches(rule(where={"breaker": "daily*"}), TRIP)
    assert not matches(rule(on="BreakerReset"), TRIP)
    money = ev.Deposited(account="paper", currency=Currency("USDT"), amount=D("10.50"))  # type: ignore[arg-type]
    assert matches(rule(on="Deposited", where={"amount": "10.50"}), money)


async def test_it_acts_later_and_not_while_the_fact_is_booked() -> None:
    ship = Ship(rule())
    ship.book(TRIP)
    assert ship.done == []
    assert await ship.let_act() == [("r", "")]


async def test_one_that_fails_keeps_no_other_from_acting_and_is_reported() -> None:
    ship = Ship(rule("first"), rule("second"))
    ship.fails.add("first")
    ship.book(TRIP)
    assert await ship.let_act() == [("second", "")]
    (group,) = ship.errors.groups()
    assert (group.component, group.operation, group.message) == ("rules", "halt", "Not now.")


async def test_within_its_cooldown_it_does_not_act_again() -> None:
    ship = Ship(rule(cooldown_s=60))
    ship.book(TRIP)
    ship.book(TRIP)
    assert len(await ship.let_act()) == 1
    ship.clock.set(ship.clock.now() + 59_999_999_999)
    ship.book(TRIP)
    assert await ship.let_act() == []
    ship.clock.set(ship.clock.now() + 1)
    ship.book(TRIP)
    assert len(await ship.let_act()) == 1


async def test_a_bot_is_the_one_of_the_fact_unless_one_is_named() -> None:
    failed = ev.BotStateChanged(bot=Owner("bot-1"), state="error")
    ship = Ship(rule("own", "BotStateChanged", "pause_bot"), rule("named", "BotStateChanged", "pause_bot", bot="trend"))
    ship.book(failed)
    assert await ship.let_act() == [("own", "bot-1"), ("named", "trend")]


async def test_too_many_at_once_are_told_and_do_not_fill_the_memory() -> None:
    ship = Ship(*(rule(f"r{number}", cooldown_s=0) for number in range(3)))
    for _ in range(module.WAITING):
        ship.book(TRIP)
    assert len(ship.runner._waiting) == module.WAITING
    assert ship.errors.notices[-1].severity is Severity.HIGH


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('on = "BreakerTriped"\naction = "halt"', "there is no fact 'BreakerTriped'; did you mean BreakerTripped?"),
        ('on = "BreakerTripped"\naction = "explode"', "'alert', 'pause_bot', 'halt' or 'start_backup'"),
        ('on = "BreakerTripped"\naction = "halt"\nwhere = { colour = "red" }', "has no field colour; it has breaker"),
        ('on = "BreakerTripped"\naction = "pause_bot"', "is about no bot; say which one"),
        ('on = "BreakerTripped"\naction = "halt"\nbot = "x"', "bot is for pause_bot"),
        ('on = "BreakerTripped"\naction = "halt"\nwhat = "x"', "rules.0.what"),
    ],
)
def test_a_rule_that_makes_no_sense_stops_the_start_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.toml").write_text(f'[[rules]]\nname = "r"\n{text}\n')
    with pytest.raises(ConfigurationError) as fault:
        load_settings(tmp_path, {})
    assert said in str(fault.value)
    assert str(tmp_path / "config.toml") in str(fault.value)


def test_rules_and_error_handling_are_read_from_the_file_only(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[[rules]]\nname = "r"\non = "BreakerTripped"\naction = "halt"\n'
        "[error_handling.network_errors]\nmax_attempts = 3\n[error_handling.severities]\nvalidation = 'high'\n"
    )
    found = load_settings(tmp_path, {})
    assert [one.name for one in found.rules] == ["r"]
    assert (found.error_handling.network_errors.max_attempts, found.error_handling.network_errors.max_delay) == (3, 60)
    assert found.error_handling.severities == {"validation": Severity.HIGH}
    with pytest.raises(ConfigurationError, match="QUARTERDECK_RULES names no setting"):
        load_settings(tmp_path, {"QUARTERDECK_RULES": "[]"})
    (tmp_path / "config.toml").write_text('[[rules]]\nname = "r"\non = "BreakerTripped"\naction = "halt"\n' * 2)
    with pytest.raises(ConfigurationError, match="several rules named r"):
        load_settings(tmp_path, {})
