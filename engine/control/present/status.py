"""The view of the engine as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.portfolio import day_change
from engine.control.views import EngineStatus
from engine.health import resident_bytes
from engine.model.entries import BotState
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.engine import Engine

__all__ = ["engine_status"]


def engine_status(engine: Engine) -> EngineStatus:
    """The engine now."""
    state, now = engine.state, engine.clock.now()
    account = state.accounts[engine.account]
    halt = state.halts.get(ENGINE_SCOPE)
    equity = engine.equity()
    age = engine.hub.feed_age_ns(now)
    usage = engine.journal.usage
    return EngineStatus(
        mode=account.mode,
        account=engine.account,
        venue=engine.venue.id,
        base_currency=account.base_currency,
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
        open_positions=sum(bool(position.lots) for position in state.owned.values()),
        unsent=engine.dispatcher.waiting,
        open_breakers=len(state.breakers),
        equity=equity,
        day_change=day_change(engine, equity)[0],
        feed_age_ms=None if age is None else age / 1e6,
        failure=engine.failure,
        care=engine.caution.words,
    )
