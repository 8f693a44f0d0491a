"""Views of bots and strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.views import BotRow, ParamRow, StrategyRow
from engine.errors import ConfigurationError
from engine.model.decimals import ZERO
from engine.model.ids import InstrumentId
from engine.model.position import Position
from engine.strategy.params import ParamSpec, describe_params

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.engine import Engine
    from engine.model.entries import BotEntry
    from engine.strategy.loader import LoadedStrategy

__all__ = ["bot_row", "param_row", "strategy_row"]


def bot_row(engine: Engine, entry: BotEntry) -> BotRow:
    """A bot with what it holds and has earned; profit in the instrument's settle currency."""
    try:
        config = engine.bots.config(entry)
    except ConfigurationError:
        # A configuration of another release is still a bot that must be seen.
        config = None
    instrument_id = InstrumentId(config.instrument if config is not None else "")
    instrument = engine.state.instruments.get(instrument_id)
    account = engine.bots.account_of(entry) or engine.account
    position = engine.state.owned.get((entry.id, account, instrument_id)) or Position(
        account=account, instrument=instrument_id
    )
    mark = engine.mark(instrument_id)
    unrealised: Decimal | None = ZERO
    fills = 0
    if instrument is not None:
        sums = engine.state.owner_sums.get((entry.id, instrument.settle))
        fills = sums.fills if sums is not None else 0
        if position.lots:
            unrealised = None if mark is None else position.unrealised(mark, instrument.multiplier)
    pnl = None if unrealised is None else position.realised + unrealised - position.fees
    running = engine.bots.running.get(entry.id)
    return BotRow(
        id=entry.id,
        name=entry.name,
        strategy=config.strategy if config is not None else "?",
        strategy_version=running.runner.strategy.version if running is not None else "",
        instrument=instrument_id,
        timeframe=config.timeframe if config is not None else "",
        state=entry.state,
        reason=entry.reason,
        since=entry.since,
        created=entry.created,
        capital=entry.capital,
        currency=entry.currency,
        position=position.quantity,
        realised=position.realised,
        unrealised=unrealised,
        fees=position.fees,
        pnl=pnl,
        pnl_pct=float(pnl / entry.capital) if pnl is not None and entry.capital else None,
        fills=fills,
        signals=entry.signals,
        refusals=entry.refusals,
        last_signal=running.last_signal if running is not None else "",
        last_signal_ts=running.last_signal_ts if running is not None else 0,
        last_bar_ts=running.last_bar_ts if running is not None else entry.memory_bar,
        heartbeat=engine.bots.heartbeats.get(entry.id, 0),
        params=dict(config.params) if config is not None else {},
        autostart=config.autostart if config is not None else False,
        strategy_file=(config.strategy_file or "") if config is not None else "",
        account=account,
        execution=config.execution.model_dump(mode="json", exclude_defaults=True) if config is not None else {},
    )


def param_row(spec: ParamSpec) -> ParamRow:
    """A declared parameter in words."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:g}"

    return ParamRow(
        name=spec.name,
        type=spec.type,
        default="" if spec.default is None else str(spec.default),
        minimum=number(spec.minimum),
        maximum=number(spec.maximum),
        choices=spec.choices,
        help=spec.help,
    )


def strategy_row(found: LoadedStrategy) -> StrategyRow:
    """A strategy that can be used, with its declared parameters."""
    cls = found.cls
    return StrategyRow(
        name=cls.name,
        version=cls.version,
        kind=cls.kind,
        description=(cls.__doc__ or "").strip().partition("\n")[0],
        timeframe=cls.timeframe,
        symbols=cls.symbols,
        source="built-in" if found.origin == "built-in" else found.path,
        params=tuple(param_row(spec) for spec in describe_params(cls)),
    )
