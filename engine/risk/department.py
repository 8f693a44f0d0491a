"""The risk department: gate, sizing, breakers and emergency stop over one ledger, and what an operator may do to them.

Plain and synchronous; `tick` is called from the engine's tick and once a bar in a backtest.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import ConflictError, JournalError, ValidationError
from engine.logs import get_logger
from engine.model.asset_classes import AssetClasses
from engine.model.budget import BotBudgets
from engine.model.commitments import Commitments
from engine.model.decimals import within
from engine.model.entries import TradingState
from engine.model.ids import ClientOrderId, Owner
from engine.model.valuation import VIEW
from engine.resilience.caution import Caution
from engine.risk.adaptation import Adaptation
from engine.risk.breaker_manager import ManagerCarried, RiskInputs, manage
from engine.risk.breakers import BREAKER_ACTOR, Breakers
from engine.risk.clusters import Clusters
from engine.risk.emergency import EMERGENCY_ACTOR, EmergencyStop
from engine.risk.exposure import Grouping
from engine.risk.gate import RiskGate
from engine.risk.limits import StateLimits
from engine.risk.locks import LockKeeper
from engine.risk.picture import Picture
from engine.risk.recovery import RecoveryCheck, RecoveryStep
from engine.risk.reductions import StateReductions
from engine.risk.scopes import Scope
from engine.risk.sizing import PositionSizer
from engine.risk.stop_progress import Progress, StopTimers
from engine.risk.timing import StepTimes
from engine.risk.uses import limit_uses
from engine.risk.watch import LimitWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from decimal import Decimal

    from engine.ledger import Ledger
    from engine.model.adaptation import AdaptiveSettings
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.limits import RiskLimits
    from engine.model.regime import Regimes
    from engine.model.risk import Correlations, Quotes, Volatilities
    from engine.risk.breakers import BreakerStanding
    from engine.risk.emergency import OrderPort
    from engine.risk.uses import LimitUse

__all__ = ["RiskCarried", "RiskDepartment"]

log = get_logger(__name__)

WHOLE = Scope()
_HEARD = frozenset({ev.Deposited, ev.Withdrawn, ev.Transferred, ev.OrderFilled})
FORCED = (BREAKER_ACTOR, EMERGENCY_ACTOR, "engine", "recovery")
"""Begins the actors of halts that no person chose: what follows on them begins with care."""


class RiskCarried(msgspec.Struct, frozen=True, kw_only=True):
    """What risk knows beside the state, for the process that takes over."""

    sent: dict[Owner, list[int]] = {}
    """Order times within the last minute by owner."""
    breakers: ManagerCarried = ManagerCarried()
    stops: dict[str, StopTimers] = {}
    """Emergency stops under way by scope."""
    closers: list[ClientOrderId] = []
    """Orders that emergency stops sent."""


class RiskDepartment:
    """Everything that protects against loss, wired together.

    Args:
        ledger: Where facts are booked.
        quotes: Present markets.
        limits: The limits of the settings; those last journalled outrank them.
        account: The account that is meant where none is named.
        record_every_s: Equity and marks are journalled at most this often.
        caution: What is impaired; None where nothing ever is.
        inputs: What breakers and locks listen to beside equity; None where there are only those on equity.
        correlations: How markets move together; None where nobody knows.
        adaptive: Figures of adaptive risk; None for the built-in ones.
        regimes: Who knows market regimes; None where nobody does, so that everything is static.
        volatilities: How much markets move; None where nobody knows.
        classes: Classes of assets; None for the usual ones.
    """

    def __init__(
        self,
        ledger: Ledger,
        quotes: Quotes,
        limits: RiskLimits,
        account: AccountId,
        *,
        record_every_s: float = 10.0,
        caution: Caution | None = None,
        inputs: RiskInputs | None = None,
        correlations: Correlations | None = None,
        adaptive: AdaptiveSettings | None = None,
        regimes: Regimes | None = None,
        volatilities: Volatilities | None = None,
        classes: AssetClasses | None = None,
    ) -> None:
        state, self.caution = ledger.state, caution or Caution()
        self.limits = StateLimits(state, limits)
        self.correlations = correlations
        self.adaptation = Adaptation(self.limits, adaptive, ledger.clock.now, regimes)
        self.commitments = Commitments(state)
        ledger.subscribe(self._hear)
        self.budgets = BotBudgets(state, self.commitments, quotes)
        self.grouping = Grouping.by(classes or AssetClasses(), Clusters(correlations))
        in_force = self.adaptation.limits
        self.times = StepTimes(ledger.clock.monotonic)
        """How long gate, sizes, breakers, limits and metrics take."""
        self.gate = RiskGate(
            state, quotes, in_force, self.commitments, self.budgets, self.caution, self.grouping, self.times
        )
        self._quotes = quotes
        self._volatilities = volatilities
        self._sizers: dict[AccountId, PositionSizer] = {}
        self.picture = Picture(state, quotes, self.commitments)
        self._inputs = inputs or RiskInputs()
        if inputs is not None and inputs.model is None:
            self._inputs = msgspec.structs.replace(inputs, model=self.adaptation.heard)
        settings = self._inputs.settings
        self.breakers = Breakers(
            state,
            self.picture,
            self.limits,
            record_every_ns=int(record_every_s * 1_000_000_000),
            settings=settings,
        )
        self.manager = manage(state, quotes, self.breakers, self._inputs)
        """All breakers together."""
        self.locks = LockKeeper(state, settings, self._rate, self.breakers.equities.last)
        self.caution.reductions = StateReductions(state)
        self.recovery_check = RecoveryCheck(state, self.picture, self.limits, self.uses)
        self.watch = LimitWatch(state, self.picture, in_force, self.grouping, self.caution, account)
        self._ledger = ledger
        self._state = state
        self._account = account
        self._port: OrderPort | None = None
        self.unsettled: set[AccountId] = set()
        """Accounts that emergency stops leave alone until it is known what is open and held there."""
        self._stops: dict[str, EmergencyStop] = {}
        self._carried: dict[str, StopTimers] = {}

    @property
    def sizer(self) -> PositionSizer:
        """Sizes entries of the account that is meant where none is named."""
        return self.sizer_of(self._account)

    def sizer_of(self, account: AccountId) -> PositionSizer:
        """Sizes entries of an account."""
        sizer = self._sizers.get(account)
        if sizer is None:
            sizer = self._sizers[account] = PositionSizer(
                account,
                self._state,
                self._quotes,
                self.adaptation.limits,
                self.commitments,
                self.budgets,
                self.caution,
                self.adaptation,
                grouping=self.grouping,
                volatilities=self._volatilities,
                times=self.times,
            )
        return sizer

    def attach(self, port: OrderPort) -> None:
        """Name the order desk; an emergency stop cannot act before."""
        self._port = port

    def _hear(self, record: ev.Record) -> None:
        self.commitments.hear(record)
        if self._ledger.following:
            return
        event = record.event
        if type(event) not in _HEARD:
            return
        if isinstance(event, ev.OrderFilled):
            with within(VIEW):
                self.picture.look()
                facts = self.locks.on_fill(event.fill, record.ts)
            # Where nobody listens to markets nothing is locked; what a trade came to is known all the same.
            self._book(fact for fact in facts if self._inputs.markets is not None or isinstance(fact, ev.TradeEnded))
        elif isinstance(event, ev.Transferred):
            self.locks.on_money(event.source, event.target)
        elif isinstance(event, ev.Deposited | ev.Withdrawn):
            self.locks.on_money(event.account)

    def _book(self, facts: Iterable[ev.Event]) -> None:
        for fact in facts:
            self._ledger.record(fact)

    def _rate(self, account: AccountId, instrument: InstrumentId) -> Decimal | None:
        known = self._state.instruments[instrument]
        return self.picture.rates.rate(known.settle, self._state.accounts[account].base_currency, known.venue)

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Carry emergency stops on, then judge breakers, locks and limits; books what follows from it.

        Each has its turn whatever becomes of the others.

        Raises:
            JournalError: Nothing can be booked any more, so that the others wait.
            Exception: What the first of those that failed raised, after all had their turn. What is not judged protects
                nothing: whoever calls lets nothing be entered then.
        """
        if self._stops or self._state.halts or self._state.locks or self._inputs.markets is not None:
            self._take(self._turns(now))
        else:
            self._take((self._judge_breakers, self._judge_limits, self._obey_breakers), now)

    def tick_stops(self, now: int) -> None:
        """Carry emergency stops on and judge nothing, as long as not everything is known; raises as `tick`."""
        self._take(self._stop_turns(now))

    def _take(self, turns: Iterable[Callable[..., object]], *now: int) -> None:
        if self._ledger.failed is not None:
            return
        failed: list[Exception] = []
        for turn in turns:
            try:
                turn(*now)
            except JournalError:
                raise
            except Exception as error:  # one that breaks must freeze no emergency stop, and spare nobody else's limits
                log.exception("a part of risk failed")
                failed.append(error)
        if failed:
            raise failed[0]

    def _stop_turns(self, now: int) -> Iterator[Callable[[], object]]:
        if self._port is None:
            return
        for key, halt in tuple(self._state.halts.items()):
            if key not in self._stops and halt.actor.startswith(EMERGENCY_ACTOR):
                # After a restart: the state demands it, and nobody is doing it.
                yield partial(self._begin, Scope.parse(key), halt.actor, halt.reason, now)
        for key, stop in tuple(self._stops.items()):
            yield partial(self._carry_on, key, stop, now)

    def _turns(self, now: int) -> Iterator[Callable[[], object]]:
        yield from self._stop_turns(now)
        yield partial(self._judge_breakers, now)
        if self._inputs.markets is not None or self._state.locks:
            yield partial(self._keep_locks, now)
        yield partial(self._judge_limits, now)
        yield partial(self._obey_breakers, now)

    def _carry_on(self, key: str, stop: EmergencyStop, now: int) -> None:
        if self._state.trading_state(key) is not TradingState.HALTED:
            self._end(key)
        elif stop.advance(now).done:
            self.gate.closing.discard(stop.scope)
        else:
            self.gate.closing.add(stop.scope)

    def _judge_breakers(self, now: int) -> None:
        with self.times.step("breakers"):
            found = self.manager.evaluate(now)
        self._book(found)

    def _keep_locks(self, now: int) -> None:
        with within(VIEW):
            self._book(self.locks.tick(now))

    def _judge_limits(self, now: int) -> None:
        with self.times.step("limits"):
            found = self.watch.evaluate(now)
        self._book(found)

    def _obey_breakers(self, now: int) -> None:
        if self._port is None or not self._state.breakers or WHOLE.key in self._stops:
            return
        demanded = self.breakers.emergency
        if demanded:
            self._begin(WHOLE, "breaker", demanded, now)

    def heard(self, instrument: InstrumentId, now: int) -> None:
        """A market has moved: look at the limits again where its price counts, at most every few milliseconds."""
        if self._ledger.failed is None and self.watch.due(instrument, now):
            self._judge_limits(now)

    def _begin(self, scope: Scope, actor: str, reason: str, now: int) -> Progress:
        if self._port is None:
            raise ConflictError("The emergency stop has no order desk yet; the engine is still starting.")
        stop = self._stops.get(scope.key)
        if stop is None:
            stop = self._stops[scope.key] = EmergencyStop(
                self._state,
                self.picture,
                self._port,
                self._ledger.record,
                self.gate.closers,
                scope,
                actor,
                reason,
                self.unsettled,
            )
            if scope.key in self._carried:
                stop.go_on_from(self._carried.pop(scope.key))
        self.gate.closing.add(scope)
        progress = stop.begin(now)
        if progress.done:
            self.gate.closing.discard(scope)
        return progress

    def _end(self, key: str) -> None:
        self.gate.closing.discard(self._stops.pop(key).scope)

    # --- what an operator may do -------------------------------------------------------------------------------------

    def emergency(self, actor: str, reason: str, scope: Scope = WHOLE) -> Progress:
        """Block new orders in a scope, cancel all of its orders and close all of its positions; repeats are harmless.

        Raises:
            ConflictError: The engine is still starting.
            JournalError: Nothing can be booked any more.
        """
        return self._begin(scope, actor, reason.strip() or "asked for by the operator", self._ledger.clock.now())

    def block(self, reason: str, scope: Scope = WHOLE) -> None:
        """Book that a scope is stopped by an emergency; it is cancelled and closed as soon as there is a desk."""
        halt = self._state.halts.get(scope.key)
        if halt is None or not halt.actor.startswith(EMERGENCY_ACTOR):
            self._ledger.record(
                ev.TradingStateChanged(
                    scope=scope.key, state=TradingState.HALTED, reason=reason, actor=f"{EMERGENCY_ACTOR}panic"
                )
            )

    def hold(self, actor: str, reason: str, state: TradingState, scope: Scope = WHOLE) -> None:
        """Let a scope only reduce (REDUCING) or stop it until released (HALTED); orders and positions stay.

        Raises:
            ValidationError: No reason is given, or ACTIVE is asked for, which is what `release` is for.
            ConflictError: The scope is already held more strictly.
        """
        if state is TradingState.ACTIVE:
            raise ValidationError("Trading becomes active again by a release, which checks first.")
        _need(reason)
        if self._state.trading_state(scope.key) is TradingState.HALTED:
            raise ConflictError(f"{scope.words.capitalize()} is already halted; release it first.")
        self._ledger.record(ev.TradingStateChanged(scope=scope.key, state=state, reason=reason, actor=actor))

    def release(self, actor: str, reason: str, scope: Scope = WHOLE) -> None:
        """Let a held scope trade again, after every check has passed.

        Raises:
            ValidationError: No reason is given.
            ConflictError: The scope is not held, or checks failed; all of them are listed.
        """
        _need(reason)
        if self._state.trading_state(scope.key) is TradingState.ACTIVE:
            raise ConflictError(f"{scope.words.capitalize()} is not held; there is nothing to release.")
        problems = self.obstacles(scope)
        if problems:
            raise ConflictError(
                f"{scope.words.capitalize()} cannot be released yet. {' '.join(problems)}",
                details={"obstacles": list(problems)},
            )
        # Whoever held trading for reasons of their own goes on as before; after anything else it begins with care.
        forced = self._state.halts[scope.key].actor.startswith(FORCED)
        self._ledger.record(
            ev.TradingStateChanged(scope=scope.key, state=TradingState.ACTIVE, reason=reason, actor=actor)
        )
        if forced:
            self._begin_with_care(scope, actor)
        if scope.key in self._stops:
            self._end(scope.key)

    def _begin_with_care(self, scope: Scope, actor: str) -> None:
        settings = self._inputs.settings
        self._ledger.record(
            ev.LockPlaced(
                lock=f"recovery:{scope.key}",
                kind="recovery",
                scope=scope.key,
                until=self._ledger.clock.now() + settings.ns("trial_s"),
                reason=f"Trading resumed after a recovery; entries are smaller for {settings.trial_s / 60:g} min.",
                reduces=True,
                actor=actor,
            )
        )

    def obstacles(self, scope: Scope = WHOLE) -> tuple[str, ...]:
        """What speaks against a release now, as sentences; empty when nothing does."""
        found: list[str] = []
        stop = self._stops.get(scope.key)
        if stop is not None and not stop.progress().done:
            found.append(stop.progress().words)
        return (*found, *(problem for step in self.recovery(scope) for problem in step.problems))

    def recovery(self, scope: Scope = WHOLE) -> tuple[RecoveryStep, ...]:
        """The steps of the recovery procedure as they stand now."""
        return self.recovery_check.steps(scope, self._ledger.clock.now())

    def trip_breaker(self, actor: str, reason: str, name: str, scope: str = "") -> None:
        """Open a breaker by hand, or hold an open one; see `BreakerManager.trip` for what is refused."""
        self._book(self.manager.trip(name, scope, actor, reason))

    def lift_lock(self, actor: str, reason: str, lock: str) -> None:
        """End a lock before its time; see `LockKeeper.lift` for what is refused."""
        self._ledger.record(self.locks.lift(lock, actor, reason))

    def place_lock(self, actor: str, reason: str, scope: Scope, seconds: float) -> None:
        """Lock a scope for bots by hand; see `LockKeeper.place` for what is refused."""
        self._ledger.record(self.locks.place(scope, seconds, actor, reason, self._ledger.clock.now()))

    def reset_breaker(
        self, actor: str, reason: str, name: str, scope: str | None = None, *, force: bool = False
    ) -> None:
        """Close an open breaker by hand; see `Breakers.reset` for what is refused.

        Args:
            actor: Who resets it.
            reason: Why.
            name: The breaker.
            scope: What it is open for; None for the department's account, else for whatever it is open for.
            force: Reset although its condition persists, and begin the comparison anew.
        """
        if scope is None:
            open_for = [where for breaker, where in self._state.breakers if breaker == name]
            scope = self._account if self._account in open_for or not open_for else open_for[0]
        self._book(self.manager.reset(name, scope, actor, reason, self._ledger.clock.now(), force=force))

    def change_limits(self, actor: str, changes: dict[str, object]) -> RiskLimits:
        """Put some limits to new values; they hold from the next check on.

        Raises:
            ConfigurationError: A change is unknown or out of bounds; nothing was changed.
        """
        limits = self.limits().changed(changes)
        self._ledger.record(ev.LimitsChanged(limits=limits.encode(), actor=actor))
        return limits

    # --- being handed over -------------------------------------------------------------------------------------------

    def carry(self) -> RiskCarried:
        """What another process needs beside the state to go on as this one would."""
        return RiskCarried(
            sent=self.gate.throttle.save(self._ledger.clock.now()),
            breakers=self.manager.save(),
            stops={key: stop.timers() for key, stop in self._stops.items()},
            closers=[client_id for client_id in self.gate.closers.ids if client_id in self._state.orders],
        )

    def take(self, carried: RiskCarried) -> None:
        """Go on from what another process carried here; before the first tick."""
        self.gate.throttle.restore(carried.sent)
        self.gate.closers.remember(carried.closers)
        self.manager.restore(carried.breakers)
        self._carried = dict(carried.stops)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def uses(self, account: AccountId | None = None) -> tuple[LimitUse, ...]:
        """Every limit and how much of it is used."""
        return limit_uses(
            self.picture,
            self.gate.throttle,
            self.adaptation.limits(),
            self._account if account is None else account,
            self._ledger.clock.now(),
            self.standings(),
            self.grouping,
        )

    def standings(self) -> tuple[BreakerStanding, ...]:
        """How all breakers stand."""
        return self.manager.standings(self._ledger.clock.now())

    @property
    def stops(self) -> tuple[Progress, ...]:
        """Progress of every emergency stop that is not released, those that are done too."""
        return tuple(stop.progress() for stop in self._stops.values())

    @property
    def emergency_words(self) -> str:
        """Progress of the emergency stops that are not done; empty when there is none."""
        return " ".join(progress.words for progress in self.stops if not progress.done)


def _need(reason: str) -> None:
    if not reason.strip():
        raise ValidationError("Say why; the reason is kept for the audit.")
