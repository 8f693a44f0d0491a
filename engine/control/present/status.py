"""The view of the engine as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.dust import is_dust
from engine.control.present.portfolio import day_change
from engine.control.views import EngineStatus, Place
from engine.execution.connection import ConnectionState
from engine.health import resident_bytes
from engine.model.account import TradingMode
from engine.model.entries import BotState
from engine.model.ids import AccountId
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.venue_unit import VenueUnit

__all__ = ["engine_status"]


def engine_status(engine: Engine) -> EngineStatus:
    """The engine now."""
    state, now = engine.state, engine.clock.now()
    modes = {account.mode for unit in engine.venues.values() for account in unit.accounts.values()}
    whole = engine.total()
    halt = state.halts.get(ENGINE_SCOPE)
    equity = whole.value if whole.known else None
    age = engine.hub.feed_age_ns(now)
    usage = engine.journal.usage
    return EngineStatus(
        # Where any order is real, everything is looked at as if it were.
        mode=TradingMode.LIVE if TradingMode.LIVE in modes else next(iter(modes)),
        account=engine.account,
        venue=engine.venue.id,
        base_currency=engine.base_currency,
        release=engine.release,
        pid=engine.pid,
        instance=engine.journal.meta.instance,
        epoch=engine.journal.epoch,
        started=engine.started,
        now=now,
        seq=engine.ledger.seq,
        durable_seq=engine.journal.durable_seq,
        trading=state.trading_state(),
        trading_reason=halt.reason if halt is not None else "",
        lag_ms=engine.lag.last_second_ms,
        lag_p99_ms=engine.lag.p99_ms,
        rss_bytes=resident_bytes(),
        journal_bytes=usage.total if usage is not None else 0,
        journal_budget_bytes=usage.budget if usage is not None else 0,
        running_bots=sum(bot.state is BotState.RUNNING for bot in state.bots.values()),
        open_orders=len(state.orders),
        open_positions=sum(bool(p.lots) and not is_dust(engine, p) for p in state.owned.values()),
        unsent=engine.dispatcher.waiting,
        open_breakers=len(state.breakers),
        equity=equity,
        day_change=day_change(engine, equity)[0],
        feed_age_ms=None if age is None else age / 1e6,
        failure=engine.failure,
        care=engine.caution.words,
        testnet=_only_testnets(engine),
        locked=tuple(unit.id for unit in engine.venues.values() if unit.connection.state is ConnectionState.LOCKED),
        away=tuple(unit.id for unit in engine.venues.values() if unit.connection.lost),
        places=tuple(place for unit in engine.venues.values() for place in _places(engine, unit)),
    )


def _places(engine: Engine, unit: VenueUnit) -> list[Place]:
    if not unit.accounts:
        return [Place(venue=unit.id, account=AccountId(""), mode=TradingMode.PAPER)]
    wanted = engine.settings.venues.get(unit.id.lower())
    return [
        Place(
            venue=unit.id,
            account=account.id,
            mode=account.mode,
            testnet=account.mode is TradingMode.LIVE and wanted is not None and wanted.testnet,
            known=engine.knows(account.id),
        )
        for account in unit.accounts.values()
    ]


def _only_testnets(engine: Engine) -> bool:
    """Whether no order leaves for an exchange where money is real."""
    live = [
        engine.settings.venues.get(unit.id.lower())
        for unit in engine.venues.values()
        if any(account.mode is TradingMode.LIVE for account in unit.accounts.values())
    ]
    return bool(live) and all(venue is not None and venue.testnet for venue in live)
