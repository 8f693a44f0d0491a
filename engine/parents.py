"""Parent orders in the running engine: whether each may act now, and what is told when one stops itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import NotFoundError
from engine.execution.algos.offsets import Offsets
from engine.execution.algos.planner import Planner
from engine.execution.algos.supervisor import Algos, Standing
from engine.execution.emulation import is_held
from engine.execution.impact_desk import ImpactDesk
from engine.execution.selection import SelectionSettings
from engine.model.entries import BotState
from engine.model.ids import MANUAL
from engine.risk.emergency import EMERGENCY_ACTOR
from engine.risk.scopes import Scope
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.errors import QuarterdeckError
    from engine.model.algos import Parent
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import BookView
    from engine.model.order import Order

__all__ = ["make_algos", "make_impact", "make_planner", "standing"]

_GONE = frozenset({BotState.STOPPED, BotState.ERROR})
_NOT_UP = frozenset({BotState.STARTING, BotState.RECOVERING})


def make_impact(engine: Engine) -> ImpactDesk:
    """What estimates the impact of an engine's orders; it learns from those that have been filled."""

    def book(instrument: InstrumentId) -> tuple[Instrument, BookView] | None:
        market = engine.hub.markets.get(instrument)
        return None if market is None or market.broken or not market.live else (market.instrument, market.book)

    impact = ImpactDesk(
        engine.clock,
        book,
        engine._history,
        engine.state.order,
        engine.state.parent,
        engine.settings.execution.profile_days,
    )
    engine.desk.estimate = impact.of_request
    impact.recall(engine.state.recent.values())
    engine.ledger.subscribe(impact.hear)
    return impact


def make_planner(engine: Engine) -> Planner:
    """What lays out schedules for an engine's parent orders."""
    settings = engine.settings.execution
    rules = SelectionSettings(impact_limit=float(settings.impact_limit), participation=float(settings.participation))
    return Planner(engine.impact, engine.clock, rules)


def make_algos(engine: Engine) -> Algos:
    """The supervisor of an engine's parent orders."""

    def can_amend(order: Order) -> bool:
        try:
            return is_held(order) or engine.unit(order.instrument).venue.capabilities.amend
        except NotFoundError:
            return False

    def on_stop(parent: Parent, error: QuarterdeckError) -> None:
        engine.errors.report(error, component="execution", operation="parent order", parent=parent.id)

    return Algos(
        engine.ledger,
        engine.desk,
        engine.hub,
        engine.hub,
        standing=lambda parent, now: standing(engine, parent, now),
        can_amend=can_amend,
        on_stop=on_stop,
        offsets=Offsets(engine.ledger, float(engine.settings.quality.fill_rate_target)),
    )


def standing(engine: Engine, parent: Parent, now: int) -> Standing:
    """Whether a parent may act: an emergency stop ends it, any other halt lets nothing be entered meanwhile."""
    state, blocked = engine.state, ""
    for key in Scope.keys_of(state, parent.owner, parent.account, parent.instrument):
        halt = state.halts.get(key)
        if halt is not None and halt.actor.startswith(EMERGENCY_ACTOR):
            return Standing(over=f"emergency stop: {halt.reason}")
        if halt is not None:
            blocked = blocked or f"{Scope.parse(key).words} is {halt.state} ({halt.reason})"
    if parent.owner != MANUAL:
        bot = state.bots.get(parent.owner)
        if bot is None or bot.state in _GONE:
            return Standing(over="its bot does not run")
        if bot.state in _NOT_UP:
            blocked = blocked or "its bot is not up yet"
    for (name, scope), breaker in state.breakers.items():
        if scope in (ENGINE_SCOPE, parent.account):
            blocked = blocked or f"the breaker {name.replace('_', ' ')} is open ({breaker.reason})"
    return Standing(blocked=blocked or _market_words(engine, parent, now))


def _market_words(engine: Engine, parent: Parent, now: int) -> str:
    quote, limits = engine.hub.quote(parent.instrument), engine.risk.limits()
    if quote is None or quote.mark is None:
        return "nothing is known of its market yet"
    age = now - quote.ts
    return f"its market was last heard {age / 1e9:.0f} s ago" if age > limits.stale_market_ns else ""
