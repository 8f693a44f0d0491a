"""Views of bots and strategies."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

import msgspec

from engine.bots.events.live import LiveEventBot
from engine.capital.performance import Performance
from engine.clock import NS_PER_S
from engine.control.views import BotRow, ParamRow, StrategyRow
from engine.control.views_bots import BotHealth, BotMoment, BotReport, BotSetup
from engine.errors import ConfigurationError
from engine.model.decimals import ZERO
from engine.model.ids import InstrumentId
from engine.model.position import Position
from engine.model.valuation import VIEW
from engine.state.capital import settled_of
from engine.strategy.params import ParamSpec, describe_params

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.bots.config import BotConfig
    from engine.capital.figures import Pool
    from engine.control.round_trips import RoundTrips
    from engine.engine import Engine
    from engine.model.entries import BotEntry
    from engine.strategy.loader import LoadedStrategy

__all__ = ["bot_health", "bot_report", "bot_row", "bot_setup", "owned_pool", "param_row", "strategy_row"]


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
        setup=bot_setup(config),
        health=bot_health(engine, entry),
    )


def bot_setup(config: BotConfig | None) -> BotSetup:
    """How a bot is run."""
    if config is None:
        return BotSetup()
    values = {name: getattr(config, name) for name in BotSetup.__struct_fields__ if name != "universe"}
    rule = config.universe
    return BotSetup(**values, universe={} if rule is None else rule.model_dump(mode="json", exclude_defaults=True))


def bot_health(engine: Engine, entry: BotEntry) -> BotHealth:
    """How a bot is and what it uses."""
    bots, owner = engine.bots, entry.id
    running, usage = bots.running.get(owner), bots.watch.usage(owner)
    allowance = running.allowance if running is not None else None
    return BotHealth(
        notes=dict(running.core.context.notes) if isinstance(running, LiveEventBot) else {},
        alive=(running is not None and running.alive) or (bots.universes.is_parent(entry) and entry.state == "running"),
        looked_after=bots.caretakers.protects(owner),
        tries=bots.supervisor.tries(owner, engine.clock.now()),
        next_try=bots.supervisor.next_try(owner),
        gave_up=bots.supervisor.gave_up(owner),
        memory_mb=usage.memory_mb if usage is not None else None,
        memory_limit_mb=allowance.memory_mb if allowance is not None else 0,
        cpu_share=usage.cpu_share if usage is not None else None,
        cpu_limit=allowance.cpu_share if allowance is not None else 0.0,
        storage_mb=usage.storage_mb if usage is not None else 0.0,
        storage_limit_mb=allowance.storage_mb if allowance is not None else 0,
        throttled=usage is not None and usage.throttled,
    )


def owned_pool(engine: Engine, entry: BotEntry) -> Pool | None:
    """A bot's capital and how it has done; None where its account is not known here."""
    account = engine.bots.account_of(entry)
    pools = engine.capital.figures.pools(account) if account is not None else []
    return next((pool for pool in pools if pool.owner == entry.id), None)


def bot_report(engine: Engine, entry: BotEntry, states: Sequence[BotMoment], trips: RoundTrips | None) -> BotReport:
    """What a bot has done.

    Args:
        engine: Whose bot it is.
        entry: The bot.
        states: Its last states, the newest first.
        trips: Its round trips; None where they are not known.
    """
    row, pool, now = bot_row(engine, entry), owned_pool(engine, entry), engine.clock.now()
    total = day = None
    if pool is not None and not pool.missing:
        with decimal.localcontext(VIEW):
            total = pool.realised + settled_of(engine.state, entry.id) + pool.unrealised
            ended = engine.capital.figures.entry(pool.account).days.get(entry.id, ())
            day = total - (ended[-1].result if ended else ZERO)
    won = sum(1 for trip in trips.rows if trip.pnl > 0) if trips is not None else 0
    trades = len(trips.rows) if trips is not None else 0
    up = next((m.ts for m in states if m.state in ("starting", "recovering", "stopped", "error")), entry.since)
    performance = pool.performance if pool is not None else Performance(days=0, total=0.0)
    state = engine.state
    return BotReport(
        bot=entry.id,
        name=entry.name,
        state=entry.state,
        uptime_s=(now - up) / NS_PER_S if entry.id in engine.bots.running else 0.0,
        states=tuple(states),
        failures=sum(moment.state == "error" for moment in states),
        currency=entry.currency,
        trades=trades,
        won=won,
        win_rate=won / trades if trades else None,
        profit_day=day,
        profit_total=total,
        drawdown=performance.drawdown,
        sharpe=performance.sharpe,
        days=performance.days,
        positions=sum(1 for (owner, _, _), held in state.owned.items() if owner == entry.id and held.lots),
        orders=sum(1 for order in state.orders.values() if order.owner == entry.id),
        signals=entry.signals,
        refusals=entry.refusals,
        last_signal=row.last_signal,
        last_signal_ts=row.last_signal_ts,
        heartbeat=row.heartbeat,
        health=row.health,
        setup=row.setup,
        complete=trips is not None and trips.complete,
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


def _settled(spec: ParamSpec, found: LoadedStrategy) -> ParamSpec:
    """A parameter with the default that is in force here."""
    if spec.name not in found.defaults:
        return spec
    return msgspec.structs.replace(spec, default=found.defaults[spec.name])


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
        params=tuple(param_row(_settled(spec, found)) for spec in describe_params(cls)),
    )
