"""Operations on strategies: what can be used, with which parameters, and how its bots have done; and round trips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.ops.backtests import run as run_backtest
from engine.control.ops.history import owner_names, owner_of
from engine.control.present.bots import strategy_row
from engine.control.present.listing import listed
from engine.control.registry import Role, operation
from engine.control.requests import StrategyFile
from engine.control.requests_listing import StrategyBacktest, StrategyName, StrategyWindow, TradePage, WholeList
from engine.control.views_records import StrategyPerformance, TradeHistoryView
from engine.errors import ConfigurationError
from engine.model.decimals import ZERO
from engine.strategy.beside import find_beside

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.bots.config import BotConfig
    from engine.control.context import Context
    from engine.control.round_trips import RoundTrips
    from engine.control.views import JobRow, StrategyRow
    from engine.engine import Engine
    from engine.model.entries import BotEntry
    from engine.model.ids import Currency
    from storage.database import Database

NS_PER_DAY = 86_400_000_000_000


@operation("strategies.list", WholeList, offline=True)
async def strategies(context: Context, request: WholeList) -> list[StrategyRow]:
    """All strategies that can be used, with their declared parameters."""
    return listed([strategy_row(found) for found in context.strategies.all()], request)


@operation("strategies.config", StrategyName, offline=True)
async def config(context: Context, request: StrategyName) -> StrategyRow:
    """One strategy with every parameter, its default and its bounds."""
    return strategy_row(await find_beside(context.strategies, request.name, None))


@operation("strategies.load", StrategyFile, Role.TRADER, offline=True)
async def load_strategy(context: Context, request: StrategyFile) -> StrategyRow:
    """Load the strategy of a file, so that its parameters are known and it can be used by name."""
    return strategy_row(await find_beside(context.strategies, "", request.file))


@operation("strategies.backtest", StrategyBacktest, Role.TRADER, mutates=True, offline=True)
async def backtest(context: Context, request: StrategyBacktest) -> JobRow:
    """Check a backtest of a strategy and queue it as a job; the same as backtests.run."""
    job: JobRow = await run_backtest(context, request)
    return job


@operation("strategies.performance", StrategyWindow)
async def performance(context: Context, request: StrategyWindow) -> StrategyPerformance:
    """How a strategy's bots have done over the last days: round trips, profit, win rate, Sharpe ratio, drawdown."""
    from engine.control.round_trips import figures_of, round_trips

    engine = context.need_engine()
    found = await find_beside(context.strategies, request.name, None)
    bots = _bots_of(engine, found.cls.name)
    end = engine.clock.now() + 1
    start = end - request.days * NS_PER_DAY
    capital: dict[Currency, Decimal] = {}
    for entry, _ in bots:
        capital[entry.currency] = capital.get(entry.currency, ZERO) + entry.capital
    instruments, name = dict(engine.state.instruments), owner_names(context)
    owners = [entry.id for entry, _ in bots]

    async def work(database: Database) -> StrategyPerformance:
        trips = await round_trips(database, instruments, name, owners=owners)
        return StrategyPerformance(
            strategy=found.cls.name,
            start=start,
            end=end,
            bots=tuple(entry.name for entry, _ in bots),
            figures=figures_of(trips.rows, capital, start, end),
            complete=trips.complete,
            last_updated=end,
        )

    return await context.need_reports().run(work)


def _bots_of(engine: Engine, strategy: str) -> list[tuple[BotEntry, BotConfig]]:
    found = []
    for entry in engine.state.bots.values():
        try:
            config = engine.bots.config(entry)
        except ConfigurationError:
            # A configuration of another release names no strategy that is known here.
            continue
        if config.strategy == strategy:
            found.append((entry, config))
    return found


@operation("trades.list", TradePage)
async def trades(context: Context, request: TradePage) -> TradeHistoryView:
    """Round trips from flat to flat, the last closed first, paired from the executions of their owner."""
    from engine.control.round_trips import round_trips

    engine = context.need_engine()
    owner = owner_of(context, request.owner)
    instruments, name = dict(engine.state.instruments), owner_names(context)

    async def work(database: Database) -> RoundTrips:
        owners = None if owner is None else [owner]
        return await round_trips(database, instruments, name, owners=owners, instrument=request.instrument)

    trips = await context.need_reports().run(work)
    first = (request.page - 1) * request.size
    return TradeHistoryView(
        rows=tuple(trips.rows[first : first + request.size]),
        page=request.page,
        pages=-(-len(trips.rows) // request.size),
        total=len(trips.rows),
        complete=trips.complete,
    )
