"""What may be asked of lists, records, settings and logs: the typed requests of those operations."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from engine.control.requests import Request
from engine.control.requests_research import HistoryPage, RunBacktest, moment
from engine.model.entries import BotState

__all__ = [
    "AcknowledgeAlerts",
    "AlertQuery",
    "ConfigQuery",
    "Describe",
    "ErrorQuery",
    "ListBots",
    "ListPositions",
    "ListRows",
    "LogQuery",
    "ReportQuery",
    "SetConfig",
    "StrategyBacktest",
    "StrategyName",
    "StrategyWindow",
    "TradePage",
    "WholeList",
]

SEVERITIES = Literal["low", "medium", "high", "critical"]
LEVELS = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class ListRows(Request):
    """A list by pages, in an order."""

    limit: int = Field(100, ge=1, le=1000, description="Most rows.")
    page: int = Field(1, ge=1, description="Page of so many rows, from 1.")
    sort: str | None = Field(None, max_length=64, description="Field to sort by; with a - before it the largest first.")


class WholeList(ListRows):
    """A list that is short by nature."""

    limit: int = Field(1000, ge=1, le=1000, description="Most rows.")


class ListBots(ListRows):
    """Which bots to list."""

    state: BotState | None = Field(None, description="Only bots in this state.")
    strategy: str | None = Field(None, description="Only bots of this strategy.")
    instrument: str | None = Field(None, description="Only bots on this instrument.")


class ListPositions(ListRows):
    """Which positions to list."""

    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")
    instrument: str | None = Field(None, description="Only this instrument's.")


class StrategyName(Request):
    """One strategy."""

    name: str = Field(description="Its name.")


class StrategyWindow(StrategyName):
    """One strategy over a time."""

    days: int = Field(30, ge=1, le=3650, description="How many days back from now.")


class StrategyBacktest(RunBacktest):
    """A backtest of one strategy on stored candles."""


class TradePage(HistoryPage):
    """One page of round trips."""


class AlertQuery(ListRows):
    """Which alerts to list."""

    severity: SEVERITIES | None = Field(None, description="Only alerts of at least this severity.")
    kind: str | None = Field(None, max_length=64, description="Only this kind, such as breaker, halt, bot.")
    unread: bool = Field(default=False, description="Only alerts that nobody has acknowledged.")
    text: str | None = Field(None, max_length=200, description="Only alerts whose title or message contains this.")
    since: int | None = Field(None, description="Only from this time on: a day, an ISO time or UTC nanoseconds.")

    @field_validator("since", mode="before")
    @classmethod
    def _a_moment(cls, value: Any) -> Any:
        return moment(value)


class ErrorQuery(Request):
    """Which errors to list."""

    limit: int = Field(100, ge=1, le=1000, description="Most rows.")
    page: int = Field(1, ge=1, description="Page of so many rows, from 1.")
    severity: SEVERITIES | None = Field(None, description="Only errors of at least this severity.")
    component: str | None = Field(None, max_length=128, description="Only of this part, such as venue, feeds, bots.")
    text: str | None = Field(None, max_length=200, description="Only errors whose message contains this.")


class ReportQuery(Request):
    """Which reports on errors to show."""

    kind: Literal["daily", "weekly", "trend"] | None = Field(None, description="Only reports of this kind.")
    limit: int = Field(30, ge=1, le=400, description="Most reports, the newest ones.")


class AcknowledgeAlerts(Request):
    """Which alerts have been seen."""

    ids: list[str] = Field(default_factory=list, max_length=1000, description="Ids of alerts; none of them with `all`.")
    all: bool = Field(default=False, description="Every alert.")


class ConfigQuery(Request):
    """Which settings to show."""

    key: str | None = Field(None, max_length=128, description="A setting or a group, such as paper or paper.seed.")


class SetConfig(Request):
    """Settings to be written to the settings file."""

    values: dict[str, str | int | float | bool | list[Any] | dict[str, Any] | None] = Field(
        min_length=1, description="Setting -> new value, as group.setting; none takes the setting out of the file."
    )


class Describe(Request):
    """What to describe."""

    noun: str | None = Field(None, max_length=64, description="Only what belongs to this noun, such as orders.")


class LogQuery(Request):
    """Which lines of the log to show."""

    limit: int = Field(100, ge=1, le=1000, description="Most lines, the newest ones.")
    level: LEVELS = Field("DEBUG", description="Least level.")
    text: str | None = Field(None, max_length=200, description="Only lines that contain this, whatever its case.")
    log: Literal["engine", "worker", "commands", "process"] = Field("engine", description="Which log.")
