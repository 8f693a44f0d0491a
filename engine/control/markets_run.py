"""A run over several markets from what is asked to what is kept; used by the operation and by the worker process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError as PydanticError

from engine.backtest.markets.spec import MarketsSpec
from engine.control.backtesting import FinishedRun, day
from engine.control.recording import recordings_folder
from engine.errors import DataError, ValidationError
from engine.model.limit_profiles import RESEARCH
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.requests_markets import MarketAsked, RunMarkets
    from engine.model.limits import RiskLimits
    from engine.strategy.loader import LoadedStrategy, StrategyRegistry
    from storage.candles import CandleStore

__all__ = ["execute_markets", "make_markets_spec"]


def make_markets_spec(asked: RunMarkets, found: LoadedStrategy, limits: RiskLimits, home: Path) -> MarketsSpec:
    """The full specification of what was asked.

    Args:
        asked: The request.
        found: Its strategy.
        limits: Those of the settings; the request may change some.
        home: Where recordings are looked for by their id.

    Raises:
        ConfigurationError: A parameter cannot be used, or the strategy decides on bars.
        DataError: A file or a recording is not there.
        ValidationError: Anything else of the request cannot be used.
    """
    strategy = found.build_event(asked.params)
    values = asked.model_dump(
        exclude={"strategy", "strategy_file", "params", "limits", "markets", "timeframe"}, exclude_none=True
    )
    timeframe = asked.timeframe or found.cls.timeframe
    values |= {
        "strategy": found.name,
        "strategy_file": None if found.origin == "built-in" else found.path,
        "params": {name: value for name, value in strategy.params.model_dump(mode="json").items() if value is not None},
        "markets": [_source(market, timeframe, home) for market in asked.markets],
    }
    try:
        base = RESEARCH if asked.profile == "research" else limits
        changed = {**base.model_dump(), **(asked.limits or {})}
        return MarketsSpec(**values, limits=type(limits).model_validate(changed))
    except PydanticError as error:
        faults = [f"{'.'.join(str(part) for part in f['loc']) or 'request'}: {f['msg']}" for f in error.errors()]
        raise ValidationError(f"The backtest cannot be run: {'; '.join(faults)}.", details={"faults": faults}) from None


def _source(market: MarketAsked, timeframe: str, home: Path) -> dict[str, Any]:
    key = CandleSet.of(market.venue, market.symbol, market.timeframe or timeframe)
    named = market.model_dump() | {"venue": key.venue.lower(), "symbol": key.symbol, "timeframe": key.timeframe}
    for kind in ("quotes", "recording", "funding"):
        place = named[kind]
        if place is None:
            continue
        path = Path(place).expanduser()
        if kind == "recording" and not path.exists():
            path = recordings_folder(home) / place
        if not path.exists():
            raise DataError(f"There is no {kind} file {place}; check the path, or list what is recorded.")
        named[kind] = str(path.absolute())
    return named


def execute_markets(
    spec: MarketsSpec,
    registry: StrategyRegistry,
    candles: CandleStore,
    release: str,
    progress: Callable[[float, str], None],
) -> FinishedRun:
    """Run a specification over its markets; blocks for as long as it takes. Raises as `prepare_markets`."""
    from engine.backtest.markets.prepare import prepare_markets

    progress(0.0, "reading the markets")
    prepared = prepare_markets(spec, candles, registry, release)
    first, last = prepared.first, prepared.last

    def tell(share: float) -> None:
        progress(share, day(first + int((last - first) * share)))

    return FinishedRun(prepared=prepared, result=prepared.execute(tell))
