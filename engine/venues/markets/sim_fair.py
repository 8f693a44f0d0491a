"""The live fair prices of the simulated market: bridges from one minute of the path to the next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import random

    from engine.venues.markets.sim_path import FairPath

__all__ = ["GRID_NS", "MINUTE_NS", "FairPrices", "FairState"]

MINUTE_NS = 60_000_000_000
GRID_NS = 100_000_000
"""Fair prices move ten times a second, whatever the rate of book updates."""
_STEPS = MINUTE_NS // GRID_NS
_STEPS_PER_SECOND = 10
_SHOCK = 3.0
"""A minute that moves more standard deviations than this does most of it within a second or two."""


_MOOD = 0.95
_MOOD_MEMORY = 0.75
"""Deviation of the log pace of a second, and how much of it lasts to the next."""


class FairState(msgspec.Struct, array_like=True):
    """Where the bridges stand."""

    minute: int
    """Minutes since 1970."""
    step: int
    """Steps of the grid done in this minute."""
    prices: list[float]
    """Log price in USDT of each asset."""
    paces: list[float]
    """Share of the minute's intrinsic time that passes in each second; sums to 1."""
    left: float
    """Intrinsic time left in the minute."""


class FairPrices:
    """Log prices of the assets on a grid of 100 ms.

    Between two minutes of the path each price is a Brownian bridge with the path's correlations, run in an intrinsic
    time that passes unevenly: most seconds are quiet, some are busy. That keeps the minute's law and gives the tape its
    spells and bursts.

    Args:
        path: Gives the minutes.
        betas: Correlation of each asset with the common factor.
        rng: The market's source of chance.
        ts: UTC nanoseconds at which to stand first.
    """

    def __init__(self, path: FairPath, betas: list[float], rng: random.Random, ts: int) -> None:
        self._path = path
        self._rng = rng
        self._betas = [(b, math.sqrt(1 - b * b)) for b in betas]
        self.state = FairState(minute=0, step=0, prices=[], paces=[], left=1.0)
        self._targets: list[float] = []
        self._sigmas: list[float] = []
        self.heat = 1.0
        """Volatility of this minute relative to its long-run mean."""
        self.pace = 1.0
        """Speed of this second's intrinsic time relative to the mean."""
        self.chunk, self.column = 0, 0
        """The minute's place in the path."""
        self.jump(ts)

    @property
    def next_time(self) -> int:
        """UTC nanoseconds of the next step."""
        return self.state.minute * MINUTE_NS + (self.state.step + 1) * GRID_NS

    def jump(self, ts: int) -> None:
        """Stand at a time at once, at a draw from the bridge's law there."""
        minute, rest = divmod(ts, MINUTE_NS)
        self._enter(minute)
        state = self.state
        state.step = rest // GRID_NS
        done = sum(state.paces[: state.step // _STEPS_PER_SECOND])
        done += state.paces[state.step // _STEPS_PER_SECOND] * (state.step % _STEPS_PER_SECOND) / _STEPS_PER_SECOND
        self._move(min(done, 1.0))
        self._pace()

    def step(self) -> None:
        """Go one step of the grid on."""
        state = self.state
        state.step += 1
        if state.step == _STEPS:
            self._enter(state.minute + 1)
        else:
            self._move(state.paces[(state.step - 1) // _STEPS_PER_SECOND] / _STEPS_PER_SECOND)
        self._pace()

    def resume(self, state: FairState) -> None:
        """Take up a saved state."""
        self._look_up(state.minute)
        self.state = state
        self._pace()

    def _pace(self) -> None:
        self.pace = 60 * self.state.paces[self.state.step // _STEPS_PER_SECOND]

    def _look_up(self, minute: int) -> list[float]:
        """Know the minute's targets; gives the log prices at its open."""
        self.chunk, self.column = self._path.minute(minute)
        chunk, column = self._path.chunk(self.chunk), self.column
        self._targets = chunk.levels[:, column + 1].tolist()
        self._sigmas = chunk.sigma[:, column].tolist()
        self.heat = float(chunk.heat[column])
        opens: list[float] = chunk.levels[:, column].tolist()
        return opens

    def _enter(self, minute: int) -> None:
        opens = self._look_up(minute)
        rng = self._rng
        mood = rng.gauss(0.0, _MOOD)
        paces: list[float] = []
        for _ in range(60):
            mood = _MOOD_MEMORY * mood + rng.gauss(0.0, _MOOD * math.sqrt(1 - _MOOD_MEMORY**2))
            paces.append(math.exp(mood))
        surprise = max(abs(t - o) / s for t, o, s in zip(self._targets, opens, self._sigmas, strict=True))
        if surprise > _SHOCK:
            paces[int(rng.random() * 60)] *= 30 * surprise
        total = sum(paces)
        self.state = FairState(minute=minute, step=0, prices=opens, paces=[p / total for p in paces], left=1.0)

    def _move(self, pace: float) -> None:
        """Let a piece of intrinsic time pass on every bridge."""
        state = self.state
        left = state.left
        if pace <= 0 or left <= 1e-9:
            return
        share = min(pace / left, 1.0)
        spread = math.sqrt(pace * (1 - share))
        gauss = self._rng.gauss
        factor = gauss(0.0, spread)
        prices = state.prices
        for i, (beta, own) in enumerate(self._betas):
            move = beta * factor + own * gauss(0.0, spread)
            prices[i] += (self._targets[i] - prices[i]) * share + self._sigmas[i] * move
        state.left = left - pace
