"""What the doors show of records: round trips, a strategy's performance, alerts, settings, log lines, readiness.

Money is exact (`Decimal`), fractions are of 1, times are UTC nanoseconds. A value that is not known is None.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from engine.control.views import View
from engine.model.ids import Currency, InstrumentId, Owner
from engine.model.order import OrderSide

__all__ = [
    "AlertEntry",
    "AlertPage",
    "ChannelRow",
    "ClientRow",
    "ConfigChange",
    "HandoverRow",
    "LogLine",
    "Readiness",
    "RoundTripRow",
    "SettingChange",
    "SettingRow",
    "StrategyFigures",
    "StrategyPerformance",
    "TradeHistoryView",
]


class ClientRow(View, frozen=True, kw_only=True):
    """One console, command or program that is connected to the engine."""

    id: str
    actor: str
    """The name under which its doings are recorded."""
    release: str
    pid: int
    role: str
    connected: int
    """UTC nanoseconds since when."""
    topics: int
    """What it watches."""
    calls: int
    waiting: int
    """Messages that it has not taken yet."""
    replaced: int
    """States it never saw because a newer one came first."""


class RoundTripRow(View, frozen=True, kw_only=True):
    """What one owner's fills add up to, from flat to flat; prices are means weighted by quantity."""

    owner: Owner
    owner_name: str
    instrument: InstrumentId
    side: OrderSide
    """buy for a long, sell for a short."""
    entry_time: int
    exit_time: int
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal
    fees: Decimal
    pnl: Decimal
    """After fees, in `currency`."""
    currency: Currency


class TradeHistoryView(View, frozen=True, kw_only=True):
    """One page of round trips, the last closed first."""

    rows: tuple[RoundTripRow, ...]
    page: int
    """From 1."""
    pages: int
    total: int
    """Rows on all pages."""
    complete: bool
    """False when there are more fills than are paired at once: the oldest round trips are then not told."""


class StrategyFigures(View, frozen=True, kw_only=True):
    """What the bots of a strategy earned in one currency, from round trips closed in the window."""

    currency: Currency
    capital: Decimal
    """Of its bots together, now."""
    total_trades: int
    winning_trades: int
    losing_trades: int
    total_pnl: Decimal
    """After fees."""
    fees: Decimal
    win_rate: float | None
    profit_factor: float | None
    sharpe_ratio: float | None
    """Of daily results on the capital, annualised; None for fewer than two days with a difference."""
    max_drawdown: float | None
    """Deepest fall of capital plus results, as a fraction."""


class StrategyPerformance(View, frozen=True, kw_only=True):
    """How a strategy has done in a window."""

    strategy: str
    start: int
    end: int
    bots: tuple[str, ...]
    """Names of the bots that use it."""
    figures: tuple[StrategyFigures, ...]
    """One for each currency in which its bots settle."""
    complete: bool
    last_updated: int


class AlertEntry(View, frozen=True, kw_only=True):
    """Something a person should know."""

    id: str
    ts: int
    kind: str
    severity: str
    """low, medium, high or critical."""
    title: str
    message: str
    acknowledged: bool
    fact: int
    """The journal's number of what it is about; 0 when there is none."""


class ChannelRow(View, frozen=True, kw_only=True):
    """One channel that alerts are sent to."""

    name: str
    """The kind of its service and its number."""
    sent: int
    given_up: int
    waiting: int
    problem: str
    """Why the last attempt failed; empty when it did not."""


class AlertPage(View, frozen=True, kw_only=True):
    """One page of alerts, the newest first unless sorted otherwise."""

    rows: tuple[AlertEntry, ...]
    page: int
    pages: int
    total: int


class SettingRow(View, frozen=True, kw_only=True):
    """One setting in force."""

    key: str
    """`group.setting`."""
    value: Any
    """Plain; a secret is masked."""
    default: Any
    source: str
    """Where its value is from: a file, the environment, or the defaults."""
    help: str


class SettingChange(View, frozen=True, kw_only=True):
    """One setting that was written."""

    key: str
    before: Any
    after: Any
    effect: str
    """When it takes effect, in words."""


class ConfigChange(View, frozen=True, kw_only=True):
    """What was written to the settings file."""

    file: str
    changes: tuple[SettingChange, ...]


class LogLine(View, frozen=True, kw_only=True):
    """One line of a log."""

    ts: str
    """ISO 8601, UTC; empty for a line without a time."""
    level: str
    logger: str
    event: str
    fields: dict[str, Any] = msgspec.field(default_factory=dict)


class BackupRow(View, frozen=True, kw_only=True):
    """A copy of the home folder."""

    name: str
    path: str
    created: int
    """When it was begun, UTC nanoseconds."""
    release: str = ""
    instance: str = ""
    seq: int = 0
    """Number of the journal's last fact in it."""
    files: int = 0
    bytes: int = 0
    candles: bool = False
    problem: str = ""
    """Why it cannot be used; empty when it can."""


class HandoverRow(View, frozen=True, kw_only=True):
    """How the last hand-over of the engine to another process went."""

    state: str
    """`none`, `under way`, `failed` or `done`."""
    pid: int
    """The process that wants or wanted to take over; 0 when there was none."""
    release: str
    words: str
    """What is waited for, or why there was no hand-over."""


class Readiness(View, frozen=True, kw_only=True):
    """Whether the engine does its work."""

    ready: bool
    summary: str
    reasons: tuple[str, ...] = ()
    """What is in the way, the most urgent first."""
