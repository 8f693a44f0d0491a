"""What both kinds of arbitrage share: their parameters, what they learn from shortfalls, and watching the venues."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
from pydantic import Field

from engine.strategy.arbitrage.legs import LegPolicy
from engine.strategy.arbitrage.scanner import ScanRules
from engine.strategy.contract import StrategyMemory, StrategyParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.strategy.arbitrage.scanner import Opportunity
    from engine.strategy.views import Context, MarketView

__all__ = ["KEPT_NS", "ArbitrageMemory", "ArbitrageParams", "note_refused", "watch_latency"]

NS_PER_MS = 1_000_000
KEPT_NS = 30_000_000_000
"""How long a trade that has ended is remembered, for executions that come late."""
NS_PER_HOUR = 3_600_000_000_000
LEARN = 0.1
"""Weight of the newest trade in the mean shortfall."""


class ArbitrageParams(StrategyParams):
    """Parameters that every arbitrage has."""

    min_profit_threshold: float = Field(0.001, ge=0, le=0.5, description="Least profit after fees, as a fraction.")
    max_execution_time: float = Field(500.0, gt=0, le=600_000, description="Longest time to send all legs, in ms.")
    max_position_size: float = Field(0.1, gt=0, le=1, description="Most that is put in, as a fraction of the capital.")
    max_open_arbitrages: int = Field(5, ge=1, le=100, description="Most that are under way at once.")
    partial_fill_timeout: float = Field(
        1000.0, gt=0, le=600_000, description="Time for a leg that was sent, in ms, before it is unwound."
    )
    latency_threshold: float = Field(
        100.0, gt=0, le=60_000, description="Slowest answer of a venue that is used, in ms."
    )
    stale_after: float = Field(1000.0, gt=0, le=60_000, description="Oldest book that is used, in ms.")
    latency_cost: float = Field(
        0.0, ge=0, le=1, description="Taken off the profit for each second of age and latency, as a fraction."
    )
    slippage_limit: float = Field(0.0005, ge=0, le=0.1, description="Most that depth may cost, as a fraction.")
    depth: int = Field(20, ge=1, le=200, description="Levels of a book that are used.")
    retries: int = Field(1, ge=0, le=3, description="Further attempts of a lagging leg at its limit.")
    crosses: int = Field(1, ge=0, le=3, description="Then attempts across the spread.")
    unwinds: int = Field(3, ge=1, le=8, description="Attempts to undo what cannot be completed.")
    cross_slippage: float = Field(0.001, ge=0, le=0.1, description="Worst price of crossing, as a fraction.")
    unwind_slippage: float = Field(0.005, ge=0, le=0.2, description="Worst price of unwinding, as a fraction.")
    learn_shortfall: bool = Field(True, description="Whether what trades fell short of is added to the threshold.")

    @property
    def policy(self) -> LegPolicy:
        """How a lagging leg is pursued."""
        return LegPolicy(
            retries=self.retries,
            crosses=self.crosses,
            unwinds=self.unwinds,
            cross_slippage=self.cross_slippage,
            unwind_slippage=self.unwind_slippage,
            within_ns=int(self.partial_fill_timeout * NS_PER_MS),
        )

    def scan(self, shortfall: float) -> ScanRules:
        """What counts as an opportunity, after what earlier ones fell short of."""
        return ScanRules(
            min_profit=self.min_profit_threshold + (max(0.0, shortfall) if self.learn_shortfall else 0.0),
            slippage_limit=self.slippage_limit,
            stale_ms=self.stale_after,
            latency_ms=self.latency_threshold,
            latency_cost=self.latency_cost,
            depth=self.depth,
        )


class ArbitrageMemory(StrategyMemory):
    """What every arbitrage remembers."""

    count: int = 0
    """Trades begun."""
    expected: float = 0.0
    """Sum of the profits that were seen."""
    realised: float = 0.0
    """Sum of what came of them."""
    shortfall: float = 0.0
    """Exponential mean of (expected − realised) ÷ put in."""
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    """How often which limit stood against an opportunity."""
    slow: list[str] = msgspec.field(default_factory=list)
    """Venues whose latency is above the threshold."""

    faded: int = 0
    last: int = 0
    """Number of the newest trade."""

    def fade(self, now: int) -> None:
        """Forget half of the shortfall in an hour, so that a threshold which lets nothing through comes down again."""
        if self.faded and now > self.faded:
            self.shortfall *= math.exp2((self.faded - now) / NS_PER_HOUR)
        self.faded = max(now, self.faded)

    def number(self, now: int) -> int:
        """Number of a new trade: by time, so that none comes twice even where the memory is older than the orders."""
        self.count += 1
        self.last = max(now // NS_PER_MS, self.last + 1)
        return self.last

    def learn(self, expected: float, realised: float, put_in: float) -> None:
        """Take in how a trade has ended; all in one currency."""
        self.expected += expected
        self.realised += realised
        if put_in > 0.0:
            self.shortfall += LEARN * ((expected - realised) / put_in - self.shortfall)


def note_refused(memory: ArbitrageMemory, found: Opportunity, ctx: Context) -> None:
    """Record an opportunity that is not traded, with its reason."""
    # The kind of reason, without its figures, so that there are few of them.
    kind = " ".join(word for word in found.refused.split() if not any(sign.isdigit() for sign in word))[:80]
    if kind in memory.refused or len(memory.refused) < 100:
        memory.refused[kind] = memory.refused.get(kind, 0) + 1
    ctx.note("last refused", f"{' → '.join(found.markets)}: {found.refused}")


def watch_latency(memory: ArbitrageMemory, markets: Iterable[MarketView], limit_ms: float, ctx: Context) -> None:
    """Tell when a venue has become too slow to be used, and when it has recovered."""
    slowest: dict[str, int] = {}
    for market in markets:
        slowest[market.venue] = max(slowest.get(market.venue, 0), market.latency_ns)
    slow: Callable[[str], bool] = lambda venue: slowest[venue] > limit_ms * NS_PER_MS  # noqa: E731 - said twice below
    for venue in sorted(slowest):
        if slow(venue) and venue not in memory.slow:
            memory.slow.append(venue)
            ctx.alert(
                f"{venue} answers in {slowest[venue] / NS_PER_MS:.0f} ms, more than {limit_ms:g} ms; its markets are "
                "left out until it is faster."
            )
        elif not slow(venue) and venue in memory.slow:
            memory.slow.remove(venue)
            ctx.alert(f"{venue} answers within {limit_ms:g} ms again; its markets are used again.")
