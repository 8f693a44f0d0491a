"""What an analysis works with: stored runs, their candles, and strategies to be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control.analysis_store import StoredRun
from engine.errors import DataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.analysis.compare import Contender
    from engine.backtest.analysis.probe import Probe
    from engine.backtest.analysis.tearsheet import Record
    from engine.backtest.prepare import PreparedRun
    from engine.model.candle import Bars
    from storage.settings import DatabaseSettings

__all__ = ["Bench", "StoredRun", "Tell", "contender"]

Tell = Callable[[float, str], None]
"""Hears the share done and what is done."""


class Bench:
    """What an analysis works with.

    Args:
        home: The home folder.
        database: The report database.
        tell: Hears the share done and what is done.
    """

    def __init__(self, home: Path, database: DatabaseSettings, tell: Tell) -> None:
        self.home, self.database, self.tell = home, database, tell

    def runs(self, names: Sequence[str]) -> list[StoredRun]:
        """Stored runs by their ids."""
        from engine.control.analysis_store import load_runs
        from storage.database import Database

        async def read() -> list[StoredRun]:
            async with Database(self.database, self.home) as opened:
                return await load_runs(opened, names)

        return asyncio.run(read())

    def prepare(self, run: StoredRun) -> PreparedRun:
        """Everything that a stored run read, read again.

        Raises:
            DataError: It traded several markets, which only the event path can, or its candles are gone.
        """
        from importlib.metadata import version

        from engine.backtest.prepare import prepare_run
        from engine.backtest.spec import BacktestSpec
        from engine.strategy.loader import StrategyRegistry
        from storage.candles import CandleStore

        if run.spec.get("markets"):
            raise DataError(
                f"The run {run.id[:8]} traded on the books of several markets and is not traded again here; "
                "`backtest report` and `backtest compare` take it."
            )
        return prepare_run(
            BacktestSpec.model_validate(run.spec),
            CandleStore(self.home / "candles"),
            StrategyRegistry(self.home / "strategies"),
            version("quarterdeck"),
        )

    def other_ratios(self, run: StoredRun) -> list[float]:
        """Sharpe ratios (annualised) of all stored runs of the same strategy and market, this one included."""
        from engine.control.analysis_store import sharpe_ratios
        from storage.database import Database

        async def read() -> list[float]:
            async with Database(self.database, self.home) as opened:
                return await sharpe_ratios(opened, run)

        return asyncio.run(read())

    def bars(self, run: StoredRun) -> Bars | None:
        """The candles of a stored run, with as many before them as regimes need; None when they are gone."""
        from storage.candle_sets import CandleSet
        from storage.candles import CandleStore

        key = CandleSet.of(run.spec["venue"], run.spec["symbol"], run.spec["timeframe"])
        before = 1_000 * key.length
        try:
            bars = CandleStore(self.home / "candles").read(key, int(run.spec["start"]) - before, int(run.spec["end"]))
        except NotFoundError:
            return None
        return bars if len(bars) else None

    def regimes(self, run: StoredRun) -> list[str]:
        """The market's regime at the entry of each trade of a stored run; empty when its candles are gone."""
        import numpy as np

        from engine.backtest.analysis.breakdown import regime_labels
        from engine.model.candle import timeframe_ns

        bars = self.bars(run) if run.trades else None
        if bars is None:
            return []
        ends = bars.ts + timeframe_ns(bars.timeframe)
        # The last bar that had closed when the trade was entered.
        rows = ends.searchsorted(np.array([trade.entry_ns for trade in run.trades]), side="right") - 1
        return regime_labels(bars, rows.tolist())

    def regime_profits(self, run: StoredRun) -> dict[str, float]:
        """Profit of a stored run by the market's regime at entry."""
        profits: dict[str, float] = {}
        for label, trade in zip(self.regimes(run), run.trades, strict=False):
            profits[label] = profits.get(label, 0.0) + float(trade.pnl)
        return profits

    def record(self, run: StoredRun) -> tuple[Record, dict[str, Any]]:
        """What a tear sheet is made of, and the facts that stand on it beside what is computed."""
        import numpy as np

        from engine.backtest.analysis.breakdown import TradeFacts, tag_of
        from engine.backtest.analysis.tearsheet import Record
        from engine.control.backtest_store import trade_json
        from engine.model.order import OrderSide
        from storage.tables.words import PositionSide

        trades = [
            TradeFacts(
                entry=trade.entry_ns,
                exit=trade.exit_ns,
                side=OrderSide.BUY if trade.side is PositionSide.LONG else OrderSide.SELL,
                value=float(trade.entry_price * trade.quantity),
                pnl=float(trade.pnl),
                fees=float(trade.fees),
                symbol=trade.instrument,
                tag=tag_of(trade.entry_reason or ""),
                reason=trade.reason,
            )
            for trade in run.trades
        ]
        record = Record(
            ts=np.array(run.ts, dtype=np.int64),
            equity=np.array(run.equity),
            benchmark=np.array(run.benchmark),
            trades=trades,
            regimes=self.regimes(run),
            risk_free_rate=float(run.spec.get("risk_free_rate", 0.02)),
        )
        facts = {
            "run": {
                "id": run.id,
                "hash": run.hash,
                "strategy": run.strategy,
                "market": run.market,
                "start": int(run.spec["start"]),
                "end": int(run.spec["end"]),
            },
            "params": {name: value for name, value in run.params.items() if value is not None},
            "assumptions": run.assumptions,
            "metrics": run.metrics,
            "trades": [trade_json(trade) for trade in run.trades],
        }
        return record, facts

    def latest(self, run: StoredRun, kinds: Sequence[str]) -> dict[str, Any]:
        """What the newest stored analyses of a run found, by kind; a kind that was never asked for is left out."""
        from engine.control.analysis_store import list_analyses, load_analysis
        from storage.database import Database

        async def read() -> dict[str, Any]:
            found: dict[str, Any] = {}
            async with Database(self.database, self.home) as opened:
                for kind in kinds:
                    rows = await list_analyses(opened, run.id, kind, 1)
                    if rows:
                        found[kind] = (await load_analysis(opened, rows[0].id)).result
            return found

        return asyncio.run(read())

    def probe(self, request: dict[str, Any]) -> tuple[Probe, Bars, str]:
        """A strategy to be asked, the bars of the request, and both in words.

        Raises:
            NotFoundError: There is no such strategy, or no candles.
            ConfigurationError: A parameter cannot be used.
        """
        from engine.backtest.analysis.probe import Probe
        from engine.strategy.loader import StrategyRegistry
        from storage.candle_sets import CandleSet
        from storage.candles import CandleStore

        registry = StrategyRegistry(self.home / "strategies")
        file = request["strategy_file"]
        loaded = registry.load_file(Path(file)) if file else registry.get(request["strategy"])
        key = CandleSet.of(request["venue"], request["symbol"], request["timeframe"] or loaded.cls.timeframe)
        bars = CandleStore(self.home / "candles").read(key, request["start"], request["end"])
        probe = Probe(lambda: loaded.build(request["params"]), key.instrument, key.timeframe)
        return probe, bars, f"{loaded.name} {key.words}"


def contender(run: StoredRun, regimes: dict[str, float] | None = None) -> Contender:
    """A stored run as one of a comparison."""
    import numpy as np

    from engine.backtest.analysis.compare import Contender

    spec, metrics = run.spec, run.metrics
    costs = f"fees {spec.get('maker_fee')} / {spec.get('taker_fee')}, fills {spec.get('fills')}"
    if spec.get("slippage"):
        costs += f", slippage {spec['slippage']}"
    return Contender(
        id=run.id,
        name=f"{run.strategy} {run.id[:8]}",
        strategy=run.strategy,
        market=run.market,
        ts=np.array(run.ts, dtype=np.int64),
        equity=np.array(run.equity),
        trades=len(run.trades),
        fees=float(metrics.get("fees") or 0.0),
        required_sharpe=float(metrics.get("required_sharpe") or 0.0),
        drawdown_limit=float(metrics.get("max_drawdown_limit") or 1.0),
        costs=costs,
        regimes=regimes,
    )
