"""The workloads as plain loops with the fill rules of a peer; with the rules of the workloads, those of `tests.kit`."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tests.bench.peers.catalog import Road

__all__ = ["CAPITAL", "Plain", "plain_run", "wishes"]

FEE, SHARE, CAPITAL = 0.001, 0.95, 1e9
STOP, TARGET = 0.98, 1.04


class Plain(NamedTuple):
    """What a loop gives."""

    trades: list[tuple[int, int, float, float, float]]
    """Bar and price of entry and exit, and quantity: (entry bar, exit bar, entry price, exit price, quantity)."""
    equity: float


def wishes(columns: dict[str, Any], workload: str, fast: int = 20, slow: int = 50) -> tuple[Any, Any]:
    """Whether each bar's close asks for an entry, and for an exit.

    The averages are compared as sums of whole cents, so no rounding decides; z-scores are of 20 closes, divided by the
    deviation of the population.
    """
    close = columns["close"]
    if workload == "W2":
        windows = np.lib.stride_tricks.sliding_window_view(close, 20)
        deviation = windows.std(axis=1)
        z = np.zeros(len(close))
        np.divide(close[19:] - windows.mean(axis=1), deviation, out=z[19:], where=deviation > 0)
        z[:19] = np.nan
        return z < -2, z > -0.5
    sums = np.concatenate([[0], np.cumsum(np.rint(close * 100).astype(np.int64))])
    gap = np.zeros(len(close), dtype=np.int64)
    of_fast, of_slow = sums[slow:] - sums[slow - fast : len(sums) - fast], sums[slow:] - sums[: len(sums) - slow]
    gap[slow - 1 :] = of_fast * slow - of_slow * fast
    return gap > 0, gap < 0


def plain_run(columns: dict[str, Any], road: Road, fast: int = 20, slow: int = 50) -> Plain:
    """The trades of a workload under the fill rules of a road; what is open at the end is sold at the last close."""
    enters, leaves = (column.tolist() for column in wishes(columns, road.workload, fast, slow))
    prices = tuple(columns[name].tolist() for name in ("open", "high", "low", "close"))
    return _Loop(prices, road).run(enters, leaves)


class _Loop:
    def __init__(self, prices: tuple[list[float], ...], road: Road) -> None:
        self.open, self.high, self.low, self.close = prices
        self.road = road
        self.cash, self.units, self.entered, self.paid = CAPITAL, 0.0, 0, 0.0
        self.stop, self.target = 0.0, float("inf")
        self.met = False
        self.trades: list[tuple[int, int, float, float, float]] = []

    def run(self, enters: list[bool], leaves: list[bool]) -> Plain:
        at_close = self.road.fills_at == "close"
        wish = 0
        for i in range(len(self.close)):
            if wish < 0 and not self.road.signal_before_levels:
                self._levels(i)
            if (wish > 0 or (wish < 0 and self.units)) and not at_close:
                self._act(wish, i, self.open[i])
            if self.units and (self.entered != i or self.road.entry_bar_levels):
                self._levels(i)
            wish = -1 if self.units and leaves[i] else 1 if not self.units and enters[i] else 0
            if wish > 0 and self.met and self.road.enters_after_level != "at once":
                wish = 0
            self.met = self.met and self.road.enters_after_level == "exit signal" and not leaves[i]
            if wish and at_close:
                self._act(wish, i, self.close[i])
        if self.units:
            end = len(self.close)
            if self.road.ends_at == "open":
                self._sell(end - 1, self.open[-1])
            else:
                self._sell(end, self.close[-1], fee=0.0 if self.road.ends_at == "mark" else FEE)
        return Plain(self.trades, self.cash)

    def _act(self, wish: int, i: int, price: float) -> None:
        if wish < 0:
            self._sell(i, price)
            return
        decided = price if self.road.fills_at == "close" else self.close[i - 1]
        divisor = {"close": decided, "open": price, "paid": price * (1 + FEE)}[self.road.sized_at]
        units = SHARE * self.cash / divisor
        lot = float(self.road.lot)
        self.units = math.floor(units / lot + 1e-9) * lot if lot else units
        base = decided if self.road.levels_from == "close" else price
        if self.road.workload == "W2":
            self.stop, self.target = (_on_grid(base * share, self.road.tick) for share in (STOP, TARGET))
        self.cash -= self.units * price * (1 + FEE)
        self.entered, self.paid = i, price

    def _sell(self, i: int, price: float, fee: float = FEE) -> None:
        self.cash += self.units * price * (1 - fee)
        self.trades.append((self.entered, i, self.paid, price, float(self.units)))
        self.units = 0.0

    def _levels(self, i: int) -> None:
        rule, opened = self.road.exit_at_levels, self.open[i]
        if self.entered == i and self.road.fills_at == "close":
            return
        stopped, reached = self.low[i] <= self.stop, self.high[i] >= self.target
        self.met = stopped or reached
        both = self.road.both_levels
        if reached and (not stopped or both == "target" or (both == "by colour" and self.close[i] < opened)):
            self._sell(i, max(opened, self.target) if rule == "gap" else self.target)
        elif stopped:
            self._sell(i, self.stop if rule == "level" else min(opened, self.stop))


def _on_grid(level: float, tick: str) -> float:
    if tick == "0":
        return level
    # In decimals, for a level may lie in the middle between two prices.
    step = Decimal(tick)
    return float((Decimal(repr(level)) / step).to_integral_value(ROUND_HALF_EVEN) * step)
