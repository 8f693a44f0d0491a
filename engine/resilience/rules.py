"""Rules: when a fact of this kind is booked, do that. Read from the settings, checked before anything starts.

    [[rules]]
    name = "pause after liquidation"
    on = "PositionLiquidated"
    where = { instrument = "SIM:*" }
    action = "halt"

Rules act outside the step that books the fact, one after the other, and whatever one of them raises stays with it.
"""

from __future__ import annotations

import asyncio
import difflib
from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, Self, get_args

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine import events as ev
from engine.errors import JournalError, QuarterdeckError
from engine.logs import get_logger, operation
from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from engine.clock import Clock
    from engine.resilience.handler import ErrorHandler

__all__ = ["ACTIONS", "RuleAction", "RuleRunner", "RuleSettings", "matches"]

log = get_logger(__name__)

RuleAction = Literal["alert", "pause_bot", "halt", "start_backup"]
ACTIONS: tuple[str, ...] = get_args(RuleAction)
WAITING = 100
"""Actions that may wait; a rule that fires faster than it can be carried out loses the newest, and that is told."""
_FACTS = {cls.__name__: cls for cls in get_args(ev.Event)}


class RuleSettings(BaseModel):
    """One rule."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=100, description="What it is called in the log and in the audit.")
    on: str = Field(description="Name of the fact, such as BreakerTripped.")
    where: dict[str, str] = Field(
        default_factory=dict, description="Field of the fact -> what it must be; * and ? stand for any text."
    )
    action: RuleAction = Field(description="alert, pause_bot, halt or start_backup.")
    bot: str = Field("", description="For pause_bot: which bot; empty for the one that the fact is about.")
    severity: Severity = Field(Severity.HIGH, description="For alert: how bad it is.")
    cooldown_s: float = Field(60.0, ge=0, le=86_400, description="Seconds after it acted in which it does not again.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        fact = _FACTS.get(self.on)
        if fact is None:
            near = difflib.get_close_matches(self.on, _FACTS, 1, 0.4)
            raise ValueError(f"there is no fact {self.on!r}" + (f"; did you mean {near[0]}?" if near else ""))
        fields = fact.__struct_fields__
        unknown = sorted(set(self.where) - set(fields))
        if unknown:
            raise ValueError(f"{self.on} has no field {', '.join(unknown)}; it has {', '.join(fields)}")
        if self.action == "pause_bot" and not self.bot and not {"bot", "owner"} & set(fields):
            raise ValueError(f"{self.on} is about no bot; say which one to pause with bot")
        if self.bot and self.action != "pause_bot":
            raise ValueError(f"bot is for pause_bot, not for {self.action}")
        return self


def matches(rule: RuleSettings, event: ev.Event) -> bool:
    """Whether a fact is one that a rule waits for."""
    if ev.event_name(event) != rule.on:
        return False
    return all(fnmatchcase(_text(getattr(event, name)), pattern) for name, pattern in rule.where.items())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class Firing(msgspec.Struct, frozen=True):
    """A rule that is to act, and the fact that made it."""

    rule: RuleSettings
    record: ev.Record

    @property
    def bot(self) -> str:
        """The bot that is meant; empty when none is."""
        event = self.record.event
        return self.rule.bot or str(getattr(event, "bot", "") or getattr(event, "owner", ""))

    @property
    def reason(self) -> str:
        """Why it acts, for the audit."""
        return f"Rule {self.rule.name!r}: {self.rule.on} at fact {self.record.seq}."


class RuleRunner:
    """Hears facts, and acts on them on a task of its own.

    Args:
        rules: The rules.
        clock: Measures the cooldown.
        errors: Hears what goes wrong.
        actions: What each action does.
    """

    def __init__(
        self,
        rules: Sequence[RuleSettings],
        clock: Clock,
        errors: ErrorHandler,
        actions: Mapping[str, Callable[[Firing], Awaitable[None]]],
    ) -> None:
        self._by_fact: dict[str, list[RuleSettings]] = {}
        for rule in rules:
            self._by_fact.setdefault(rule.on, []).append(rule)
        self._clock = clock
        self._errors = errors
        self._actions = actions
        self._waiting: deque[Firing] = deque()
        self._wake = asyncio.Event()
        self._acted: dict[str, int] = {}
        self.fired = 0
        """How often a rule has acted since the start."""

    def hear(self, record: ev.Record) -> None:
        """Take a fact in; subscribe this to the ledger. Never raises: whoever booked must not suffer for a rule."""
        rules = self._by_fact.get(ev.event_name(record.event))
        if not rules:
            return
        try:
            for rule in rules:
                if matches(rule, record.event):
                    self._fire(rule, record)
        except Exception as error:
            self._errors.report(error, component="rules", operation="match", fact=ev.event_name(record.event))

    def _fire(self, rule: RuleSettings, record: ev.Record) -> None:
        now, last = self._clock.now(), self._acted.get(rule.name)
        if last is not None and now - last < rule.cooldown_s * 1e9:
            return
        if len(self._waiting) >= WAITING:
            self._errors.alert(Severity.HIGH, "rules", f"The rule {rule.name!r} was not carried out: too many wait.")
            return
        self._acted[rule.name] = now
        self._waiting.append(Firing(rule, record))
        self._wake.set()

    async def run(self) -> None:
        """Act until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._act(self._waiting.popleft())

    async def _act(self, firing: Firing) -> None:
        rule = firing.rule
        self.fired += 1
        try:
            with operation(f"rule-{rule.name}-{firing.record.seq}"):
                log.warning("a rule acts", rule=rule.name, action=rule.action, seq=firing.record.seq)
                await self._actions[rule.action](firing)
        except JournalError as error:
            log.error("a rule waits: the journal failed", rule=rule.name, problem=error.message)
        except Exception as error:  # one rule's failure must not keep the others from acting
            if not isinstance(error, QuarterdeckError):
                log.exception("a rule failed", rule=rule.name)
            self._errors.report(error, component="rules", operation=rule.action, bot=firing.bot, rule=rule.name)
