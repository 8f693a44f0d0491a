"""Monte Carlo: what a run might have come to, had chance dealt otherwise.

Three ways draw prices and let the strategy trade them again (`prices`, `parametric`, `noise`); two work on what the
run left behind: blocks of its returns (`returns`) and the order of its trades (`trades`).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.backtest.analysis.bootstrap import (
    SCENARIOS,
    Scenario,
    block_indices,
    block_length,
    find_jumps,
    shuffled,
    stressed,
)
from engine.backtest.analysis.many import curve_figures, day_columns, trade_figures
from engine.backtest.analysis.paths import PriceModel
from engine.backtest.metrics import NS_PER_DAY
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.analysis.paths import PricePaths
    from engine.backtest.outcome import BacktestResult
    from engine.model.candle import Bars, FloatArray

    Figures = dict[str, FloatArray]

__all__ = ["REPRICED", "MonteCarloSettings", "Traded", "run_monte_carlo"]

REPRICED = ("prices", "parametric", "noise")
"""Methods that draw prices, which the strategy trades again."""

CHUNK = 50
"""Paths made at once: few enough for the processor's cache, many enough that numpy pays."""
FAN_POINTS = 60
FAN = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FALLS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75)
"""Drawdowns whose probability is told."""


class Traded(Protocol):
    """Lets the strategy trade paths."""

    threads: int
    """How many calls may be made at the same time."""

    def __call__(self, paths: PricePaths) -> tuple[FloatArray, FloatArray]:
        """Equity of every path, shape (paths, n + 1), and the profits of its trades, filled up with NaN."""


class MonteCarloSettings(BaseModel):
    """What to draw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["prices", "parametric", "noise", "returns", "trades"] = Field(
        "prices", description="What is drawn: prices that the strategy trades again, or the run's returns or trades."
    )
    iterations: int = Field(1000, ge=10, le=1_000_000, description="Paths of each scenario.")
    seed: int = Field(42, ge=0, lt=1 << 63, description="Random start value.")
    levels: tuple[float, ...] = Field((0.95, 0.99), min_length=1, max_length=5, description="Confidence levels.")
    scenarios: tuple[Literal["normal", "stress", "extreme"], ...] = Field(
        ("normal", "stress", "extreme"),
        min_length=1,
        description="Volatility as it was, twice it, four times and jumps.",
    )
    block: float | None = Field(None, ge=1, description="Mean bars of a block; None for the cube root of the bars.")
    noise: float = Field(0.25, gt=0, le=5, description="Noise on prices as a share of the returns' deviation.")

    @field_validator("levels")
    @classmethod
    def _levels(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0.5 <= level < 1.0 for level in value):
            raise ValueError("confidence levels lie from 0.5 to below 1, such as 0.95")
        return tuple(sorted(set(value)))


def run_monte_carlo(
    settings: MonteCarloSettings,
    result: BacktestResult,
    bars: Bars,
    *,
    risk_free_rate: float,
    drawdown_limit: float,
    traded: Traded | None = None,
    least_price: float = 1e-9,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Draw paths of every scenario and sum them up.

    Args:
        settings: What to draw.
        result: The run.
        bars: The bars that it traded.
        risk_free_rate: A year, as a fraction.
        drawdown_limit: A drawdown beyond it counts as a failure.
        traded: Lets the strategy trade paths; needed by the three ways that draw prices.
        least_price: No drawn close falls below it.
        progress: Hears the share done and the scenario.

    Returns:
        Plain values: `scenarios` by name, each with `metrics` (mean, deviation, median, worst, best, `intervals` by
        level, and the run's own `actual`), `drawdown`, `tail`, `worst`, `fan` and `probabilities`.

    Raises:
        DataError: The run is too short, has too few trades, or lost everything.
    """
    source = _source(settings, result, bars, traded, least_price)
    source.risk_free_rate = risk_free_rate
    told = progress or (lambda _share, _words: None)
    scenarios: dict[str, Any] = {}
    for number, name in enumerate(settings.scenarios):
        chunks = _chunks(settings, list(SCENARIOS).index(name))
        gathered: list[tuple[Figures, FloatArray]] = []
        with ThreadPoolExecutor(source.threads) as pool:
            work = pool.map(lambda chunk: source.figures(chunk[0], chunk[1], SCENARIOS[name]), chunks)  # noqa: B023
            for done, figures in enumerate(work, 1):
                gathered.append(figures)
                told((number + done / len(chunks)) / len(settings.scenarios), name)
        scenarios[name] = _summary(settings, gathered, source, result, drawdown_limit)
    return {
        "method": settings.method,
        "iterations": settings.iterations,
        "seed": settings.seed,
        "levels": list(settings.levels),
        "bars": len(bars),
        "days": source.days,
        "assumptions": source.words,
        "scenarios": scenarios,
    }


def _chunks(settings: MonteCarloSettings, stream: int) -> list[tuple[np.random.Generator, int]]:
    """Generators of their own for every chunk, so that the order in which they are worked off changes nothing."""
    counts = [min(CHUNK, settings.iterations - first) for first in range(0, settings.iterations, CHUNK)]
    seeds = np.random.SeedSequence([settings.seed, stream]).spawn(len(counts))
    return [(np.random.Generator(np.random.SFC64(seed)), count) for seed, count in zip(seeds, counts, strict=True)]


# --- sources ---------------------------------------------------------------------------------------------------------


class _Source:
    """Makes equity curves and the profits of their trades; `figures` sums a chunk of them up."""

    threads = 2
    words: dict[str, str]

    def __init__(self, settings: MonteCarloSettings, result: BacktestResult) -> None:
        self.settings = settings
        self.start = float(result.equity[0])
        self.ts = result.ts
        self.days = (int(result.ts[-1]) - int(result.ts[0])) / NS_PER_DAY
        self.risk_free_rate = 0.0
        self.daily = day_columns(self.ts)

    def curves(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> tuple[FloatArray, FloatArray | None]:
        """Equity, shape (paths, len(ts)), and profits of trades where the way tells them."""
        raise NotImplementedError

    def figures(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> tuple[Figures, FloatArray]:
        """Figures of a chunk, and its curves at the fan's points."""
        equity, profits = self.curves(rng, paths, scenario)
        figures = curve_figures(equity, self.daily, self.days, self.risk_free_rate, self.settings.levels)
        if profits is not None:
            figures |= trade_figures(profits)
        return figures, equity[:, self.fan]

    @property
    def fan(self) -> Any:
        """Columns at which the spread of the curves is told."""
        return np.linspace(0, len(self.ts) - 1, min(FAN_POINTS, len(self.ts))).astype(np.int64)


class _Prices(_Source):
    """The strategy trades drawn prices."""

    def __init__(
        self, settings: MonteCarloSettings, result: BacktestResult, bars: Bars, traded: Traded, least: float
    ) -> None:
        super().__init__(settings, result)
        assert settings.method in REPRICED
        way: Any = settings.method
        self._model = PriceModel(bars, way, block=settings.block, noise=settings.noise, least=least)
        self._traded = traded
        self.threads = traded.threads
        self.words = _price_words(self._model)

    def curves(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> tuple[FloatArray, FloatArray | None]:
        """Trade drawn prices."""
        return self._traded(self._model.draw(rng, paths, scenario))


class _Returns(_Source):
    """Blocks of the run's own returns, bar by bar."""

    def __init__(self, settings: MonteCarloSettings, result: BacktestResult) -> None:
        super().__init__(settings, result)
        if float(result.equity.min()) <= 0:
            raise DataError("The run lost everything; its returns cannot be drawn again. Use --method prices.")
        self._steps = np.diff(np.log(result.equity))
        if len(self._steps) < 2 or float(self._steps.var()) < 1e-24:
            raise DataError("The equity of the run never moves; there are no returns to draw from.")
        self._mean, self._variance = float(self._steps.mean()), float(self._steps.var())
        # While flat a run has no returns, so what is normal is told by the others.
        self._jumps = find_jumps(self._steps[self._steps != 0.0])
        self._block = settings.block or float(block_length(len(self._steps)))
        self.words = {
            "paths": f"Blocks of {self._block:.0f} of the run's own bar returns in the mean, drawn with replacement.",
            "strategy": "The strategy is not asked again: how it would have answered other prices is not told.",
        }

    def curves(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> tuple[FloatArray, FloatArray | None]:
        """Put returns together."""
        count = len(self._steps)
        steps = self._steps[block_indices(rng, count, count, paths, self._block)]
        steps = stressed(rng, steps, scenario, self._jumps, self._mean, self._variance)
        equity = np.empty((paths, count + 1))
        equity[:, 0] = 0.0
        np.cumsum(steps, axis=1, out=equity[:, 1:])
        np.exp(np.clip(equity, -700, 700, out=equity), out=equity)
        equity *= self.start
        return equity, None


class _Trades(_Source):
    """The run's trades in another order, at the times at which it closed trades."""

    def __init__(self, settings: MonteCarloSettings, result: BacktestResult) -> None:
        super().__init__(settings, result)
        if len(result.trades) < 5:
            raise DataError(
                f"The run has {len(result.trades)} trades; their order needs 5 or more. Use another method."
            )
        exits = np.array([trade.exit_time for trade in result.trades], dtype=np.int64)
        profits = np.array([float(trade.pnl) for trade in result.trades])
        before = self.start + np.concatenate(([0.0], np.cumsum(profits)[:-1]))
        if float(before.min()) <= 0:
            raise DataError("The run lost everything; the order of its trades cannot be told. Use --method prices.")
        self._shares = np.maximum(profits / before, -1.0)
        # One value at the start, one at each exit and one at the end, when the last holds on.
        self.ts = np.concatenate((result.ts[:1], exits, result.ts[-1:]))
        self.daily = day_columns(self.ts)
        self.words = {
            "paths": "The run's trades in random order, each once and worth the same share of the equity as it was; "
            "equity moves when a trade closes.",
            "strategy": "The return of all trades together does not depend on their order, the drawdown does.",
        }

    def curves(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> tuple[FloatArray, FloatArray | None]:
        """Shuffle and scale."""
        mean = float(self._shares.mean())
        shares = shuffled(rng, np.maximum(mean + scenario.scale * (self._shares - mean), -1.0), paths)
        if scenario.jumps:
            # The worst trade comes again, at random places.
            worst = float(self._shares.min()) * scenario.scale
            places = rng.random(shares.shape) < 1.0 / max(len(self._shares), 20)
            shares = np.where(places, np.maximum(np.minimum(shares, worst), -1.0), shares)
        equity = np.empty((paths, shares.shape[1] + 2))
        equity[:, 0] = self.start
        equity[:, 1:-1] = self.start * np.cumprod(1.0 + shares, axis=1)
        equity[:, -1] = equity[:, -2]
        return equity, np.diff(equity[:, :-1], axis=1)


def _source(
    settings: MonteCarloSettings, result: BacktestResult, bars: Bars, traded: Traded | None, least: float
) -> _Source:
    if settings.method == "returns":
        return _Returns(settings, result)
    if settings.method == "trades":
        return _Trades(settings, result)
    if traded is None:
        raise DataError("Drawn prices need the strategy to trade them.")
    return _Prices(settings, result, bars, traded, least)


def _price_words(model: PriceModel) -> dict[str, str]:
    if model.way == "noise":
        paths = f"The history with noise on each close, {model.noise:g} of the deviation of its returns."
    elif model.volatility is not None:
        fitted = model.volatility
        paths = (
            f"GARCH(1,1) fitted to the history (alpha {fitted.alpha:.3f}, beta {fitted.beta:.3f}), with the history's "
            "own standardised shocks; bars take their shape from the history, in the size of the volatility."
        )
    else:
        paths = f"Blocks of {model.block:.0f} bars of the history in the mean, drawn with replacement."
    jumps = model.jumps
    return {
        "paths": paths,
        "strategy": "The strategy trades every path anew under the rules of the run.",
        "jumps": (
            f"An extreme path has jumps at {jumps.rate:.2%} of its bars, {jumps.mean:+.2%} ± {jumps.deviation:.2%} "
            "before they are scaled."
        ),
    }


# --- sums ------------------------------------------------------------------------------------------------------------


def _summary(
    settings: MonteCarloSettings,
    gathered: list[tuple[Figures, FloatArray]],
    source: _Source,
    result: BacktestResult,
    drawdown_limit: float,
) -> dict[str, Any]:
    figures = {name: np.concatenate([part[name] for part, _ in gathered]) for name in gathered[0][0]}
    curves = np.concatenate([curve for _, curve in gathered])
    total, falls = figures["total_return"], figures["max_drawdown"]
    worst = int(np.argmin(total))
    quantiles = np.quantile(curves, FAN, axis=0)
    return {
        "metrics": {
            name: _spread(values, result.metrics.get(name), settings.levels) for name, values in figures.items()
        },
        "drawdown": {
            "exceeds": [[fall, float((falls > fall).mean())] for fall in FALLS],
            "quantiles": [[share, float(np.quantile(falls, share))] for share in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)],
            "worst": float(falls.max()),
        },
        "tail": {f"{level * 100:g}": _tail_of(total, level) for level in settings.levels},
        "worst": {"path": worst, "total_return": float(total[worst]), "max_drawdown": float(falls[worst])},
        "probabilities": {
            "loss": float((total < 0).mean()),
            "half_lost": float((total <= -0.5).mean()),
            "drawdown_limit": float((falls > drawdown_limit).mean()),
            "below_actual": _share_below(total, result.metrics.get("total_return")),
        },
        "fan": {
            "ts": [int(ts) for ts in source.ts[source.fan]],
            "levels": list(FAN),
            "equity": [[float(value) for value in row] for row in quantiles],
        },
    }


def _share_below(values: FloatArray, actual: float | None) -> float | None:
    return None if actual is None else float((values < actual).mean())


def _tail_of(total: FloatArray, level: float) -> dict[str, float]:
    """Value at risk and expected shortfall of the whole period's return over the paths, at least 0."""
    limit = float(np.quantile(total, 1.0 - level))
    return {
        "value_at_risk": max(0.0, -limit),
        "expected_shortfall": max(0.0, -float(total[total <= limit].mean())),
    }


def _spread(values: FloatArray, actual: float | None, levels: tuple[float, ...]) -> dict[str, Any]:
    """How one figure is spread over the paths; those for which it cannot be computed are left out and counted."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"actual": actual, "known": 0}
    intervals = {}
    for level in levels:
        low, high = np.quantile(known, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
        intervals[f"{level * 100:g}"] = [float(low), float(high)]
    return {
        "actual": actual if actual is None or math.isfinite(actual) else None,
        "known": len(known),
        "mean": float(known.mean()),
        "deviation": float(known.std(ddof=1)) if len(known) > 1 else 0.0,
        "median": float(np.median(known)),
        "lowest": float(known.min()),
        "highest": float(known.max()),
        "intervals": intervals,
    }
