"""How the engine's own life, bots, halts, marks and equity move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.entries import (
    BREAKER_ACTOR,
    BotEntry,
    BotState,
    EquityEntry,
    HaltEntry,
    MarkEntry,
    TradingState,
)
from engine.state.capital import forget_pool

if TYPE_CHECKING:
    from engine.model.ids import Owner
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS", "RECENT_REQUESTS"]

NS_PER_DAY = 86_400_000_000_000
RECENT_REQUESTS = 2_000
"""Ids of mutating requests kept, so that a repeat is known even after a restart."""


def _engine_started(state: EngineState, event: ev.EngineStarted, _ts: int) -> None:
    state.meta.instance = event.instance


def _epoch_opened(state: EngineState, event: ev.EpochOpened, _ts: int) -> None:
    state.meta.instance = event.instance
    # Nothing of an earlier run is still under way: the next answer about an order is the last one.
    for order in state.orders.values():
        order.pending_amends = min(order.pending_amends, 1)


def _operator_acted(state: EngineState, event: ev.OperatorActed, ts: int) -> None:
    if not event.request_id:
        return
    state.requests[event.request_id] = ts
    if len(state.requests) > RECENT_REQUESTS:
        del state.requests[next(iter(state.requests))]


def _bot_created(state: EngineState, event: ev.BotCreated, ts: int) -> None:
    if event.bot in state.bots:
        raise StateConsistencyError(f"The bot {event.bot} exists already.")
    state.bots[event.bot] = BotEntry(
        id=event.bot,
        name=event.name,
        config=event.config,
        capital=event.capital,
        currency=event.currency,
        created=ts,
        since=ts,
    )


def _bot(state: EngineState, bot: Owner) -> BotEntry:
    entry = state.bots.get(bot)
    if entry is None:
        raise StateConsistencyError(f"The bot {bot} is not known.")
    return entry


def _bot_configured(state: EngineState, event: ev.BotConfigured, _ts: int) -> None:
    bot = _bot(state, event.bot)
    bot.config = event.config
    bot.capital = event.capital


def _bot_state(state: EngineState, event: ev.BotStateChanged, ts: int) -> None:
    bot = _bot(state, event.bot)
    bot.state = BotState(event.state)
    bot.reason = event.reason
    bot.since = ts


def _bot_memory(state: EngineState, event: ev.BotMemorySaved, _ts: int) -> None:
    bot = _bot(state, event.bot)
    bot.memory = event.memory
    bot.memory_schema = event.schema
    bot.memory_bar = event.bar_ts


def _bot_deleted(state: EngineState, event: ev.BotDeleted, _ts: int) -> None:
    _bot(state, event.bot)
    del state.bots[event.bot]
    forget_pool(state, event.bot)
    state.restarts.pop(event.bot, None)


def _signal(state: EngineState, event: ev.SignalRaised, _ts: int) -> None:
    bot = state.bots.get(event.bot)
    if bot is not None:
        bot.signals += 1


def _trading_state(state: EngineState, event: ev.TradingStateChanged, ts: int) -> None:
    trading = TradingState(event.state)
    if trading is TradingState.ACTIVE:
        state.halts.pop(event.scope, None)
    else:
        beneath = state.halts.get(event.scope) if event.actor.startswith(BREAKER_ACTOR) else None
        if beneath is not None and beneath.actor.startswith(BREAKER_ACTOR):
            beneath = beneath.beneath
        state.halts[event.scope] = HaltEntry(trading, event.reason, event.actor, ts, beneath)


def _limits(state: EngineState, event: ev.LimitsChanged, _ts: int) -> None:
    state.meta.limits = event.limits


def _mark(state: EngineState, event: ev.MarkRecorded, _ts: int) -> None:
    state.marks[event.instrument] = MarkEntry(event.price, event.ts)


def _equity(state: EngineState, event: ev.EquityRecorded, _ts: int) -> None:
    day = event.ts // NS_PER_DAY
    entry = state.equity.get(event.account)
    if entry is None:
        state.equity[event.account] = EquityEntry(event.equity, event.ts, event.equity, day, event.equity)
        return
    if day > entry.day:
        entry.day, entry.day_start = day, entry.equity
    entry.equity, entry.ts = event.equity, event.ts
    entry.peak = max(entry.peak, event.equity)


HANDLERS: Handlers = {
    ev.EngineStarted: _engine_started,
    ev.EpochOpened: _epoch_opened,
    ev.OperatorActed: _operator_acted,
    ev.BotCreated: _bot_created,
    ev.BotConfigured: _bot_configured,
    ev.BotStateChanged: _bot_state,
    ev.BotMemorySaved: _bot_memory,
    ev.BotDeleted: _bot_deleted,
    ev.SignalRaised: _signal,
    ev.TradingStateChanged: _trading_state,
    ev.LimitsChanged: _limits,
    ev.MarkRecorded: _mark,
    ev.EquityRecorded: _equity,
}
