"""Operations on everything at once, or on everything of a part of trading: pause, stop, close."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.closing import close_position
from engine.control.present.bots import bot_row
from engine.control.present.emergency import scope_of
from engine.control.present.orders import order_row
from engine.control.registry import Role, Tier, operation
from engine.control.requests_emergency import CloseAll, PauseAll, StopAll
from engine.errors import QuarterdeckError
from engine.logs import get_logger
from engine.model.dust import too_small
from engine.model.entries import BotState
from engine.model.ids import InstrumentId
from engine.risk.scopes import Scope, strategy_of
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.context import Context
    from engine.control.views import BotRow, OrderRow
    from engine.engine import Engine
    from engine.model.entries import BotEntry
    from engine.model.ids import AccountId, Owner

log = get_logger(__name__)

UP = frozenset({BotState.RUNNING, BotState.PAUSED, BotState.STOPPING, BotState.ERROR, BotState.RECOVERING})


@operation("bots.pause_all", PauseAll, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def pause_all(context: Context, request: PauseAll) -> list[BotRow]:
    """No new entries by any bot of a part of trading; positions stay protected. Tells the bots that it paused."""
    engine = context.need_engine()
    scope = scope_of(engine, request.scope)
    return _each(engine, scope, frozenset({BotState.RUNNING}), engine.bots.pause)


@operation("bots.stop_all", StopAll, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def stop_all(context: Context, request: StopAll) -> list[BotRow]:
    """Stop every bot of a part of trading: leave everything, cancel their orders, or close their positions."""
    engine = context.need_engine()
    scope, reason = scope_of(engine, request.scope), f"stopped by {context.actor}: {request.reason}"
    return _each(engine, scope, UP, lambda entry: engine.bots.stop(entry, request.positions, reason))


def _each(engine: Engine, scope: Scope, states: frozenset[BotState], act: Callable[[BotEntry], None]) -> list[BotRow]:
    """Do something to every bot of a scope; one with which it fails keeps no other from it."""
    done = []
    for entry in tuple(engine.state.bots.values()):
        if entry.state not in states:
            continue
        try:
            if not _covers(engine, scope, entry):
                continue
            act(entry)
        except QuarterdeckError as error:
            log.error("a bot does not do what all were told", bot=entry.id, problem=error.message)
            continue
        done.append(entry)
    return [bot_row(engine, entry) for entry in done]


def _covers(engine: Engine, scope: Scope, entry: BotEntry) -> bool:
    if scope in (Scope(), Scope(owner=entry.id), Scope(strategy=strategy_of(engine.state, entry.id))):
        # Where it trades does not matter then, and is not known of one whose configuration cannot be read.
        return True
    instrument, account = InstrumentId(engine.bots.config(entry).instrument), engine.bots.account_of(entry)
    return account is not None and scope.covers(engine.state, entry.id, account, instrument)


@operation("portfolio.close_all", CloseAll, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def close_all(context: Context, request: CloseAll) -> list[OrderRow]:
    """Close every position of a part of trading at the market; trading goes on. Dust is left."""
    engine = context.need_engine()
    scope = scope_of(engine, request.scope)

    async def close(key: tuple[Owner, AccountId, InstrumentId]) -> list[OrderRow]:
        try:
            orders = await close_position(context, engine.state.owned[key], key[0])
        except QuarterdeckError as error:
            log.error("a position is not closed", owner=key[0], instrument=key[2], problem=error.message)
            return []
        return [order_row(engine, order) for order in orders]

    wanted = [
        key
        for key, position in engine.state.owned.items()
        if position.lots
        and key[0] != EXTERNAL
        and scope.covers(engine.state, *key)
        and not too_small(engine.state.instruments[key[2]], position.quantity, engine.mark(key[2]))
    ]
    return [row for rows in await asyncio.gather(*(close(key) for key in wanted)) for row in rows]
