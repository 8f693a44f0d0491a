"""A backtest from what is asked to what is kept: checked up front, run on stored candles, with its identity.

Used by the operation (which checks) and by the worker process (which runs).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError as PydanticError

from engine.backtest.spec import BacktestSpec
from engine.errors import ValidationError
from engine.model.backtest_settings import BacktestingSettings, ExecutionSimulationSettings
from engine.model.limit_profiles import RESEARCH
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.markets.prepare import PreparedMarkets
    from engine.backtest.prepare import PreparedRun
    from engine.backtest.run import BacktestResult
    from engine.control.requests_research import RunBacktest
    from engine.model.limits import RiskLimits
    from engine.strategy.loader import LoadedStrategy, StrategyRegistry
    from storage.candle_sets import StoredSet
    from storage.candles import CandleStore

__all__ = ["FinishedRun", "check_range", "day", "execute", "make_spec"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_PER_DAY = 86_400_000_000_000


def day(ts: int) -> str:
    """UTC nanoseconds as a person writes them, to the minute."""
    return f"{_EPOCH + timedelta(microseconds=ts // 1000):%Y-%m-%d %H:%M}"


def make_spec(
    asked: RunBacktest, found: LoadedStrategy, limits: RiskLimits, usual: BacktestingSettings | None = None
) -> BacktestSpec:
    """The full specification of what was asked: every parameter by value, names as the store writes them.

    Args:
        asked: The request.
        found: Its strategy.
        limits: Those of the settings; the request may take a profile instead, and change some.
        usual: What the settings say of costs and requirements where the request says nothing; None for the built-in.

    Raises:
        ConfigurationError: A parameter is unknown (the nearest is named), of the wrong type or out of bounds.
        ValidationError: Anything else of the request cannot be used.
    """
    strategy = found.build(asked.params)
    key = CandleSet.of(asked.venue, asked.symbol, asked.timeframe or found.cls.timeframe)
    values = _usual(asked, usual or BacktestingSettings())
    values |= asked.model_dump(exclude={"strategy", "strategy_file", "params", "limits"}, exclude_none=True)
    values |= {
        "strategy": found.name,
        "strategy_file": None if found.origin == "built-in" else found.path,
        "params": {name: value for name, value in strategy.params.model_dump(mode="json").items() if value is not None},
        "venue": key.venue.lower(),
        "symbol": key.symbol,
        "timeframe": key.timeframe,
        "road": "kernel" if asked.road == "kernel" else "event",
    }
    try:
        base = RESEARCH if asked.profile == "research" else limits
        changed = {**base.model_dump(), **(asked.limits or {})}
        return BacktestSpec(**values, limits=type(limits).model_validate(changed))
    except PydanticError as error:
        faults = [f"{'.'.join(str(part) for part in f['loc']) or 'request'}: {f['msg']}" for f in error.errors()]
        raise ValidationError(f"The backtest cannot be run: {'; '.join(faults)}.", details={"faults": faults}) from None


def _usual(asked: RunBacktest, usual: BacktestingSettings) -> dict[str, Any]:
    """Costs and requirements of the settings; those of other backtesters' fill rules bring a slippage of their own."""
    costs, metrics = usual.execution, usual.metrics
    values: dict[str, Any] = {
        "maker_fee": costs.commission_rate,
        "taker_fee": costs.commission_rate,
        "risk_free_rate": metrics.risk_free_rate,
        "required_sharpe": metrics.required_sharpe,
        "max_drawdown_limit": metrics.max_drawdown_limit,
    }
    if asked.fills in (None, "quarterdeck") and costs.slippage != ExecutionSimulationSettings().slippage:
        values["slippage"] = costs.slippage
    return values


def check_range(spec: BacktestSpec, stored: StoredSet) -> None:
    """See that the stored candles cover what is asked; the first and last day may be there in part.

    Raises:
        ValidationError: They do not; the message says what is stored.
    """
    room = max(stored.key.length, NS_PER_DAY)
    there = f"{stored.key.words} is stored from {day(stored.start)} to {day(stored.end)} UTC"
    if spec.start is not None and spec.start < stored.start - room:
        raise ValidationError(f"{there}; the run shall begin {day(spec.start)}. Begin later, or import the rest.")
    if spec.end is not None and spec.end > stored.end + room:
        raise ValidationError(f"{there}; the run shall end {day(spec.end)}. End earlier, or import the rest.")
    if (spec.start or 0) >= stored.end or (spec.end is not None and spec.end <= stored.start):
        raise ValidationError(f"{there}; there is nothing in the range of the run. Choose another one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run and everything that says what it was."""

    prepared: PreparedRun | PreparedMarkets
    result: BacktestResult

    @property
    def first(self) -> int:
        """Beginning of the data, UTC nanoseconds."""
        return self.prepared.first

    @property
    def last(self) -> int:
        """End of the data, UTC nanoseconds."""
        return self.prepared.last

    @property
    def figures(self) -> dict[str, Any]:
        """What a person asks first."""
        metrics = self.result.metrics
        wanted = ("trades", "total_return", "sharpe", "max_drawdown", "win_rate", "passed")
        return {
            "hash": self.prepared.run_hash,
            "bars": self.result.bars,
            **{name: metrics.get(name) for name in wanted},
        }

    @property
    def words(self) -> str:
        """The outcome in a line."""
        trades, total = len(self.result.trades), self.result.metrics.get("total_return")
        count = f"{trades:,} trade{'' if trades == 1 else 's'}"
        return count if total is None else f"{count}, {total:+.2%}"


def execute(
    spec: BacktestSpec,
    registry: StrategyRegistry,
    candles: CandleStore,
    release: str,
    progress: Callable[[float, str], None],
) -> FinishedRun:
    """Run a specification on stored candles; blocks for as long as it takes.

    Args:
        spec: What to run.
        registry: Where its strategy is found.
        candles: Where its bars are.
        release: This program's, part of the identity.
        progress: Hears the share done and where in time the run is.

    Raises:
        NotFoundError: Strategy or candles are not there.
        DataError: The range holds no bars, or they cannot be used.
        StrategyError: The strategy failed.
    """
    from engine.backtest.prepare import prepare_run

    progress(0.0, "reading candles")
    prepared = prepare_run(spec, candles, registry, release)
    first, last = int(prepared.bars.ts[0]), int(prepared.bars.ts[-1])

    def tell(share: float) -> None:
        progress(share, day(first + int((last - first) * share))[:10])

    return FinishedRun(prepared=prepared, result=prepared.execute(tell))
