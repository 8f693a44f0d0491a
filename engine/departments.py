"""The departments of an engine, each made with what it needs of the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine.bots.allowance import Machine
from engine.bots.coordinator import Coordinator
from engine.bots.manager import BotManager
from engine.bots.market_facts import market_facts
from engine.bots.supervisor import Supervision
from engine.capital.department import CapitalDepartment
from engine.capital.figures import CapitalFigures
from engine.capital.kinds import kind_of
from engine.consistency.recovery import halt_for
from engine.errors import ConfigurationError
from engine.execution.connection import ConnectionState
from engine.execution.derivatives import Derivatives
from engine.model.asset_classes import AssetClasses
from engine.model.decimals import ZERO
from engine.model.entries import TradingState
from engine.model.ids import AccountId, InstrumentId, venue_of
from engine.quality.desk import QualityDesk
from engine.risk.breaker_manager import RiskInputs
from engine.risk.department import RiskDepartment
from engine.risk.emergency import is_closing
from engine.state import ENGINE_SCOPE
from engine.strategy.contract import StrategyType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from engine.bots.manager import Library
    from engine.capital.currencies import Hedge
    from engine.capital.figures import Pool
    from engine.engine import Engine
    from engine.execution.emulation import EmulatingVenue
    from engine.model.entries import BotEntry
    from engine.risk.returns import DailyReturns

__all__ = [
    "attach", "leave_out_absent", "make_bots", "make_capital", "make_derivatives", "make_quality", "make_risk",
    "unreached",
]  # fmt: skip


def make_risk(engine: Engine, account: AccountId, returns: DailyReturns) -> RiskDepartment:
    """The risk department over every account."""
    settings = engine.settings
    return RiskDepartment(
        engine.ledger,
        engine.hub,
        settings.risk,
        account,
        caution=engine.caution,
        correlations=returns,
        volatilities=returns,
        classes=AssetClasses(settings.asset_classes),
        adaptive=settings.adaptive,
        inputs=RiskInputs(settings=settings.protections, markets=engine.hub, errors=engine.errors),
    )


def make_derivatives(engine: Engine) -> Derivatives:
    """What compares positions in derivatives with venues."""
    halt = partial(halt_for, engine.state, engine.risk.hold)
    inquiry, errors, use = engine.dispatcher.inquiry, engine.errors, engine._use
    return Derivatives(engine.ledger, inquiry, engine.mark, engine.next_funding, errors, use, halt)


def make_quality(engine: Engine) -> QualityDesk:
    """What looks after executions that have happened."""

    def oldest_ns() -> int:
        return engine.risk.limits().stale_market_ns

    return QualityDesk(engine.ledger, engine.hub, engine.settings.quality, oldest_ns)


def make_bots(engine: Engine, library: Library) -> BotManager:
    """What runs bots."""
    settings = engine.settings.strategies
    manager = BotManager(
        lambda config: engine.account_for(InstrumentId(config.instrument), config.account),
        engine.ledger,
        engine.desk,
        engine.hub,
        engine.risk.sizer_of,
        library,
        engine._history,
        engine.clock,
        lambda account: engine.capital.free(account),
        settings.max_concurrent_strategies,
        engine.errors,
        engine._heard,
        engine.algos,
        engine.planner,
        Supervision(
            heartbeat_s=settings.heartbeat_seconds,
            save_s=settings.save_seconds,
            restart_delay_s=settings.strategy_restart_delay,
            max_restarts_per_hour=settings.max_restarts_per_hour,
        ),
        Machine.here(settings.memory_budget_mb, settings.cpu_budget_cores),
    )
    manager.limits = engine.risk.limits
    manager.universes.facts = lambda venue, rule: market_facts(engine.venues[venue].guard, rule)
    manager.universes.bring = lambda instrument: engine.venues[venue_of(instrument)].watch([instrument])
    Coordinator(engine.ledger, manager, lambda: engine.risk.gate.picture.commitments, settings.conflict_policy)
    return manager


def make_capital(engine: Engine) -> CapitalDepartment:
    """Pools, reserve, profit and transfers; bots are admitted by it from now on."""
    state, risk = engine.state, engine.risk

    def strategy_of(bot: BotEntry) -> tuple[str, str]:
        running = engine.bots.running.get(bot.id)
        uses_model = running is not None and running.runner.strategy.kind is not StrategyType.STATIC
        try:
            strategy = engine.bots.config(bot).strategy
        except ConfigurationError:
            return "?", ""
        return strategy, kind_of(strategy, uses_model=uses_model)

    def allowed(pool: Pool) -> Decimal:
        held = any(state.trading_state(scope) is not TradingState.ACTIVE for scope in (ENGINE_SCOPE, pool.owner))
        tripped = any(scope in (ENGINE_SCOPE, pool.account) for _, scope in state.breakers)
        return ZERO if held or tripped else risk.caution.factor

    def send_hedge(hedge: Hedge) -> None:
        engine.desk.submit(hedge.order())

    figures = CapitalFigures(
        state,
        risk.budgets,
        engine.rates,
        engine.mark,
        engine.equity,
        engine.bots.account_of,
        strategy_of,
        engine.settings.capital_management,
        lambda: engine.base_currency,
    )
    capital = CapitalDepartment(engine.ledger, figures, allowed, engine.knows)
    engine.bots.admit = capital.check_bot
    capital.send_hedge = send_hedge
    for unit in engine.venues.values():
        for keep in unit.upkeep.values():
            keep.accounts.explain = capital.transfers.explain
    return capital


def unreached(engine: Engine) -> list[str]:
    """Why nothing can be traded at all; a venue that is away alone is no reason to leave the others."""
    units = engine.venues.values()
    if any(unit.connection.state is ConnectionState.ONLINE for unit in units):
        return []
    return [f"{unit.id} is {unit.connection.state}; wait for it." for unit in units]


def leave_out_absent(engine: Engine) -> None:
    """What is booked of an account that nobody here can ask about may have changed since."""
    absent = {account for account in engine.state.accounts if account not in engine.accounts}
    engine.risk.picture.absent |= absent
    engine.risk.picture.doubtful |= absent


def attach(engine: Engine, emulations: Iterable[EmulatingVenue]) -> None:
    """Give emulated orders what they need of a running engine."""
    for emulation in emulations:
        emulation.attach(
            engine.desk,
            engine.ledger,
            engine.hub,
            on_doubt=engine.dispatcher.compare_soon,
            allowed=lambda: engine.recovered and not engine.standstill.frozen,
            margins=engine.dispatcher.margins,
            errors=engine.errors,
            closing=lambda order: is_closing(engine.state, order.owner, order.account, order.instrument),
        )
