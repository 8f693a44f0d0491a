"""What a comparison of bots suggests: more capital for one than for another, other parameters, other limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.capital.performance import Performance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Advice", "Compared", "advise"]

FULL_TRUST = 1.0
"""Figures of fewer days than `Performance.trust` asks for are not compared."""
GAP = 1.0
"""Difference of two Sharpe ratios that is worth a shift of capital."""
DEEP = 0.1
"""Drawdown from which a losing bot's parameters are in question."""
REFUSED, LEAST_SIGNALS = 0.5, 10
"""Share of signals that risk has refused, and of how many at least, from which its limits are in question."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One bot in the comparison."""

    name: str
    account: str
    performance: Performance
    signals: int
    refusals: int


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One suggestion in words."""

    kind: str
    bots: tuple[str, ...]
    text: str


def advise(bots: Sequence[Compared]) -> list[Advice]:
    """Suggestions, the most important first; none where there is not enough history to say anything."""
    return [*_shifts(bots), *_parameters(bots), *_limits(bots)]


def _shifts(bots: Sequence[Compared]) -> Iterator[Advice]:
    # Capital moves within one account.
    for account in sorted({bot.account for bot in bots}):
        known = [
            (bot.performance.sharpe, bot)
            for bot in bots
            if bot.account == account and bot.performance.sharpe is not None and bot.performance.trust >= FULL_TRUST
        ]
        if len(known) < 2:
            continue
        (worst, low), (best, high) = min(known, key=lambda p: p[0]), max(known, key=lambda p: p[0])
        if best > 0 and best - worst >= GAP:
            yield Advice(
                kind="capital",
                bots=(low.name, high.name),
                text=f"{high.name} has a Sharpe ratio of {best:.2f} and {low.name} one of {worst:.2f} over "
                f"{min(low.performance.days, high.performance.days)} days: give {high.name} more of the capital.",
            )


def _parameters(bots: Sequence[Compared]) -> Iterator[Advice]:
    for bot in bots:
        figures = bot.performance
        if figures.trust >= FULL_TRUST and figures.total < 0 and figures.drawdown >= DEEP:
            yield Advice(
                kind="parameters",
                bots=(bot.name,),
                text=f"{bot.name} has lost {-figures.total:.1%} in {figures.days} days and fell by "
                f"{figures.drawdown:.1%} from its peak: try other parameters in a backtest, or pause it.",
            )


def _limits(bots: Sequence[Compared]) -> Iterator[Advice]:
    for bot in bots:
        if bot.signals >= LEAST_SIGNALS and bot.refusals > REFUSED * bot.signals:
            yield Advice(
                kind="signals",
                bots=(bot.name,),
                text=f"Risk has refused {bot.refusals} orders of {bot.name}, which gave {bot.signals} signals: look at "
                "its size and limits.",
            )
