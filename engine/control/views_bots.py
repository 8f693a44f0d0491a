"""Views of how bots are set up, how they are, and what they have done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

__all__ = [
    "BotHealth",
    "BotMoment",
    "BotReport",
    "BotSetup",
    "BotSuggestion",
    "BotVersion",
    "UniverseRow",
    "UniverseView",
]


class BotSetup(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a bot's configuration that says how it is run."""

    mode: str = "paper"
    auto_resume: bool | None = None
    priority: int = 5
    risk: dict[str, str | float | int | bool] = {}
    isolation: str = "task"
    memory_mb: int | None = None
    cpu_share: float = 1.0
    storage_mb: int = 1024
    bar_seconds: float = 5.0
    universe: dict[str, Any] = {}
    """Its rule, what differs from the defaults; empty for a bot on one market."""
    member_of: str = ""
    """Id of the universe that it belongs to."""
    markets: tuple[str, ...] = ()
    """Further instruments of a strategy on books."""


class BotHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a bot is, and what it uses of what it may use."""

    notes: dict[str, float | str] = {}
    """Figures that its strategy shows, such as the spread it quotes."""
    alive: bool = False
    """Whether its strategy can be asked right now."""
    looked_after: bool = False
    """Whether the protection of its position goes on without it."""
    tries: int = 0
    """Restarts within the last hour."""
    next_try: int = 0
    """UTC nanoseconds of the next restart; 0 when none is planned."""
    gave_up: bool = False
    """Failed too often to be restarted."""
    memory_mb: float | None = None
    """None for a strategy in the engine's own process, whose memory cannot be told apart."""
    memory_limit_mb: int = 0
    """0 while it is not up."""
    cpu_share: float | None = None
    """Of one core over the last minute."""
    cpu_limit: float = 0.0
    storage_mb: float = 0.0
    storage_limit_mb: int = 0
    throttled: bool = False


class BotMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A bot was moved in its life."""

    ts: int
    state: str
    reason: str


class BotReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot has done since it was made. Amounts in the base currency of its account."""

    bot: str
    name: str
    state: str
    uptime_s: float
    """Seconds since it was last started; 0 while it is not up."""
    states: tuple[BotMoment, ...]
    """Its last states, the newest first."""
    failures: int
    """How often it failed, among them."""
    currency: str
    trades: int
    """Round trips from flat to flat."""
    won: int
    win_rate: float | None
    profit_day: Decimal | None
    """Realised and open, after costs, since the start of the UTC day; None while something has no price."""
    profit_total: Decimal | None
    drawdown: float
    """Deepest fall from a peak at the ends of days, as a fraction."""
    sharpe: float | None
    """Of daily returns, annualised; None before there are enough days."""
    days: int
    """Days with a return."""
    positions: int
    orders: int
    signals: int
    refusals: int
    last_signal: str
    last_signal_ts: int
    heartbeat: int
    health: BotHealth
    setup: BotSetup
    complete: bool
    """False when older executions were left out."""


class BotSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison of bots suggests; nothing is done by itself."""

    kind: str
    """capital, parameters or signals."""
    bots: tuple[str, ...]
    text: str


class UniverseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One market as a universe's rule sees it."""

    symbol: str
    rank: int
    """By volume of a day among those that fulfil the rule, from 1; 0 for one that does not."""
    volume: Decimal | None = None
    """Of a day, in quote currency."""
    member: bool = False
    """Whether it is a member; in a preview, whether it would be."""
    winding_down: bool = False
    """Out of the universe, and still held."""
    reason: str = ""
    """Why it does not fulfil the rule."""


class UniverseView(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of the markets of a venue at one moment."""

    venue: str
    rule: dict[str, Any]
    """What differs from the defaults."""
    at: int
    """UTC nanoseconds."""
    source: str
    """`venue`, `stored candles`, or the name of the bot whose last refresh it was."""
    rows: tuple[UniverseRow, ...] = ()
    """Members first, then the others by rank, then those that do not fulfil the rule."""
    problem: str = ""
    """Why the last refresh of the bot failed."""
    notes: tuple[str, ...] = ()
    """What one must know to read it."""


class BotVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that a bot has had, with the source of its strategy."""

    version: int
    """From 1, in the order in which they came into force."""
    ts: int
    in_force: bool
    strategy: str
    source: str
    """Hash of the strategy's source; empty where the release of then kept none."""
    kept: bool
    """Whether that source can be had again."""
    strategy_file: str
    timeframe: str
    params: dict[str, str | float | int | bool]
    changed: str
    """What it changed of the version before, in words; empty for the first."""
