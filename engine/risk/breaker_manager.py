"""Manages all breakers together: opens them, tries them again, closes them, and does what an operator asks.

A breaker is closed, open (no entries in its scope), or half-open (smaller entries on trial). One that opened by itself
tries again once its condition has been gone for a while, closes when the trial ends without a relapse, and opens again
at a relapse. One that was opened or held by hand stays so until it is reset by hand. All of that is in facts, so it
survives restarts; for how long a condition has been gone is counted anew after one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.logs import get_logger
from engine.model.breaker_inputs import Confidences, ErrorSource, Markets
from engine.model.decimals import ZERO
from engine.model.entries import BREAKER_ACTOR
from engine.model.ids import InstrumentId
from engine.model.protections import ProtectionSettings
from engine.risk.breakers import EVALUATION, MANUAL_TRIP, BreakerStanding
from engine.risk.equities import EquityMemory
from engine.risk.market_memory import MarketCarried, Memory
from engine.risk.rules import BREAKER_FAILED
from engine.risk.watches import ConfidenceWatch, ErrorWatch, instrument_scope, market_watches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Candle
    from engine.model.entries import BreakerEntry
    from engine.model.risk import Quotes
    from engine.risk.breakers import Breakers
    from engine.risk.watches import Watch
    from engine.state import EngineState

__all__ = ["BreakerManager", "ManagerCarried", "RiskInputs", "manage"]

log = get_logger(__name__)


class ManagerCarried(msgspec.Struct, frozen=True, kw_only=True):
    """What breakers know beside the state, for the process that takes over."""

    equity: EquityMemory = EquityMemory()
    markets: dict[InstrumentId, MarketCarried] = {}
    clear_since: list[tuple[str, str, int]] = []
    """Breaker, scope and UTC nanoseconds since when the condition of an open one is gone."""


class RiskInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What breakers and locks listen to beside equity."""

    settings: ProtectionSettings = ProtectionSettings()
    markets: Markets | None = None
    """None where no market is listened to: then only equity is judged, and no lock is placed by itself."""
    errors: ErrorSource | None = None
    model: Confidences | None = None
    """None for the model of adaptive risk."""


def manage(state: EngineState, quotes: Quotes, equity: Breakers, inputs: RiskInputs) -> BreakerManager:
    """All breakers that the inputs allow."""
    settings = inputs.settings
    memory = None if inputs.markets is None else Memory(quotes, inputs.markets, settings)
    watches: list[Watch] = [] if memory is None else [*market_watches(memory, settings)]
    if inputs.errors is not None:
        watches.append(ErrorWatch(inputs.errors, settings.max_errors_per_minute))
    if memory is not None or inputs.model is not None:
        least = float(settings.min_model_confidence)
        watches.append(ConfidenceWatch(inputs.model, least, settings.model_predictions))
    return BreakerManager(state, equity, watches, memory, settings)


class BreakerManager:
    """All breakers.

    Args:
        state: What the engine knows.
        equity: The breakers on accounts' equity.
        watches: All others.
        memory: What is remembered of markets; None where none is listened to.
        settings: How breakers are tried again.
    """

    def __init__(
        self,
        state: EngineState,
        equity: Breakers,
        watches: Sequence[Watch],
        memory: Memory | None,
        settings: ProtectionSettings,
    ) -> None:
        self._state = state
        self._equity = equity
        self._watches = {watch.name: watch for watch in watches}
        self._memory = memory
        self._settings = settings
        self._clear_since: dict[tuple[str, str], int] = {}

    # --- the past of markets -----------------------------------------------------------------------------------------

    def wants_past(self, instrument: InstrumentId) -> int:
        """How many closed bars of one volatility period are missing of a market that is heard; 0 for none."""
        known = None if self._memory is None else self._memory.known.get(instrument)
        return 2 * self._settings.volatility_periods + 2 if known is not None and known.short else 0

    def take_past(self, instrument: InstrumentId, bars: Sequence[Candle], now: int) -> None:
        """Let a market's volatility be told from these bars and what is heard after them."""
        known = None if self._memory is None else self._memory.known.get(instrument)
        if known is not None and known.warm(bars, now):
            log.info("the volatility of a market is known from its past", instrument=instrument)

    # --- judging -----------------------------------------------------------------------------------------------------

    def evaluate(self, now: int) -> tuple[ev.Event, ...]:
        """Judge everything. Never raises.

        Returns:
            Facts to record, in order.
        """
        facts = self._equity.evaluate(now)
        if not self._watches:
            return facts
        return (*facts, *self._evaluate_watches(now))

    def _evaluate_watches(self, now: int) -> list[ev.Event]:
        facts: list[ev.Event] = []
        blind: Exception | None = None
        if self._memory is not None:
            try:
                self._memory.look(now)
            except Exception as error:
                log.exception("markets could not be looked at")
                blind = error
        pending: dict[str, list[str]] = {}
        for name, scope in self._state.breakers:
            pending.setdefault(name, []).append(scope)
        for watch in self._watches.values():
            for scope in dict.fromkeys((*watch.scopes(), *pending.get(watch.name, ()))):
                try:
                    if blind is not None:
                        raise blind
                    value = watch.value(scope, now)
                    facts += self._step(watch, scope, value, now)
                except Exception as error:
                    if blind is None:
                        log.exception("a breaker could not be evaluated", breaker=watch.name, scope=scope)
                    facts += self._failed(watch, scope, error)
        return facts

    def _step(self, watch: Watch, scope: str, value: float | None, now: int) -> list[ev.Event]:
        key = (watch.name, scope)
        entry, bad = self._state.breakers.get(key), value is not None and watch.trips(value)
        if entry is None:
            return [self._trip(watch, scope, value)] if bad and value is not None else []
        if entry.held or value is None:
            # What nobody can tell is not known to be well.
            self._clear_since.pop(key, None)
            return []
        if entry.reduces:
            if bad:
                return [self._trip(watch, scope, value)]
            return [] if now < entry.until else [_closed(key, "The trial is over, and the condition did not return.")]
        if bad:
            self._clear_since.pop(key, None)
            return []
        since = self._clear_since.setdefault(key, now)
        if now - since < self._settings.ns("recovery_s"):
            return []
        self._clear_since.pop(key, None)
        reason = (
            f"{watch.label} has been {watch.words(value)} or better for {self._settings.recovery_s:g} s: smaller "
            "entries pass on trial."
        )
        until = now + self._settings.ns("trial_s")
        return [ev.BreakerHalfOpened(breaker=watch.name, scope=scope, until=until, reason=reason)]

    def _trip(self, watch: Watch, scope: str, value: float) -> ev.BreakerTripped:
        self._clear_since.pop((watch.name, scope), None)
        return ev.BreakerTripped(
            breaker=watch.name,
            scope=scope,
            value=watch.words(value),
            threshold=watch.words(watch.threshold),
            reason=watch.reason(scope, value),
        )

    def _failed(self, watch: Watch, scope: str, error: Exception) -> list[ev.Event]:
        """A breaker that cannot be judged protects nothing: it opens. Told once."""
        self._clear_since.pop((watch.name, scope), None)
        entry = self._state.breakers.get((watch.name, scope))
        if entry is not None and not entry.reduces:
            return []
        reason = f"The breaker {watch.name.replace('_', ' ')} could not be evaluated ({type(error).__name__})."
        return [ev.BreakerTripped(breaker=watch.name, scope=scope, value=BREAKER_FAILED, threshold="", reason=reason)]

    # --- what an operator may do -------------------------------------------------------------------------------------

    def scope_of(self, name: str, scope: str) -> str:
        """The scope that is meant, where an instrument is written without its kind.

        Raises:
            NotFoundError: There is no such breaker, or it is not judged for that scope.
        """
        if name in self._watches:
            known = {*self._watches[name].scopes(), *(where for what, where in self._state.breakers if what == name)}
        elif self._equity.watches(name):
            known = set(self._state.accounts)
        elif name == EVALUATION:
            known = {where for what, where in self._state.breakers if what == name}
        else:
            names = ", ".join((*self._equity.names, *self._watches))
            raise NotFoundError(f"There is no breaker {name}; there are {names}.")
        for one in (scope, instrument_scope(scope)):
            if one in known:
                return one
        if not scope and len(known) == 1:
            return next(iter(known))
        said = f"is not judged for {scope}" if scope else "is judged for several things; say which"
        raise NotFoundError(f"The breaker {name} {said}: {', '.join(sorted(known)) or 'nothing yet'}.")

    def trip(self, name: str, scope: str, actor: str, reason: str) -> tuple[ev.Event, ...]:
        """Open a breaker by hand, or keep an open one so, until it is reset by hand.

        Args:
            name: The breaker.
            scope: For which account, instrument or the engine.
            actor: Who does it.
            reason: Why, for the audit.

        Returns:
            Facts to record, in order.

        Raises:
            NotFoundError: There is no such breaker.
            ValidationError: No reason is given.
            ConflictError: It is held already.
        """
        _need(reason)
        scope = self.scope_of(name, scope)
        entry = self._state.breakers.get((name, scope))
        facts: list[ev.Event] = []
        if entry is None:
            facts.append(
                ev.BreakerTripped(
                    breaker=name,
                    scope=scope,
                    value=MANUAL_TRIP,
                    threshold="",
                    reason=f"Opened by hand: {reason}",
                    held=actor,
                )
            )
        elif entry.held:
            raise ConflictError(f"The breaker {name} is held open for {scope} by {entry.held} already.")
        else:
            facts.append(ev.BreakerHeld(breaker=name, scope=scope, actor=actor, reason=reason))
        self._clear_since.pop((name, scope), None)
        return (*facts, *self._equity.ordered_by(name, reason))

    def reset(
        self, name: str, scope: str, actor: str, reason: str, now: int, *, force: bool = False
    ) -> tuple[ev.Event, ...]:
        """Close a breaker by hand; see `Breakers.reset` for those on equity.

        Any other is refused while its condition persists or nobody can tell. Forcing it begins the measuring anew,
        where that is possible.

        Raises:
            NotFoundError: That breaker is not open.
            ValidationError: No reason is given.
            ConflictError: The condition persists, or cannot be evaluated.
        """
        watch = self._watches.get(name)
        if watch is None:
            return self._equity.reset(name, scope, actor, reason, now, force=force)
        scope = self.scope_of(name, scope)
        if (name, scope) not in self._state.breakers:
            raise NotFoundError(f"The breaker {name} is not open for {scope}.")
        _need(reason)
        if force:
            watch.forget(scope, now)
        try:
            value = watch.value(scope, now)
        except Exception as error:
            raise ConflictError(
                f"The breaker {name} still cannot be evaluated ({type(error).__name__}); see the log for the cause."
            ) from error
        if value is None and not force:
            raise ConflictError(f"Nobody can tell yet whether {watch.label.lower()} is well. Wait, or force the reset.")
        if value is not None and watch.trips(value):
            how = "that cannot be forced" if force else "wait, or force the reset to begin its measuring anew"
            raise ConflictError(
                f"{watch.label} is still {watch.words(value)}, the limit is {watch.words(watch.threshold)}; {how}."
            )
        return (ev.BreakerReset(breaker=name, scope=scope, actor=actor, reason=reason),)

    # --- showing -----------------------------------------------------------------------------------------------------

    def standings(self, now: int) -> tuple[BreakerStanding, ...]:
        """How all breakers stand: each on equity, of others the nearest of each kind, and whatever is not closed."""
        rows = list(self._equity.standings(now))
        for watch in self._watches.values():
            rows.append(self._nearest(watch, now))
        shown = {(row.name, row.scope) for row in rows}
        for (name, scope), entry in self._state.breakers.items():
            if (name, scope) not in shown:
                rows.append(self._pending(name, scope, entry, now))
        return tuple(rows)

    def _nearest(self, watch: Watch, now: int) -> BreakerStanding:
        found: tuple[float, str, float] | None = None
        for scope in watch.scopes():
            try:
                value = watch.value(scope, now)
            except Exception:
                # It is told as one that failed; the others can be shown.
                log.exception("a breaker could not be shown", breaker=watch.name, scope=scope)
                continue
            if value is not None and (found is None or watch.share(value) > found[0]):
                found = (watch.share(value), scope, value)
        if found is None:
            scope = next(iter(watch.scopes()), "")
            return self._row(watch, scope, None, None)
        return self._row(watch, found[1], found[2], found[0])

    def _pending(self, name: str, scope: str, entry: BreakerEntry, now: int) -> BreakerStanding:
        watch = self._watches.get(name)
        if watch is None:
            label = name.replace("_", " ").capitalize()
            return BreakerStanding(name=name, label=label, scope=scope, threshold=ZERO, value=None, open=entry)
        try:
            value = watch.value(scope, now)
        except Exception:
            log.exception("a breaker could not be shown", breaker=name, scope=scope)
            value = None
        return self._row(watch, scope, value, None if value is None else watch.share(value))

    def _row(self, watch: Watch, scope: str, value: float | None, share: float | None) -> BreakerStanding:
        entry = self._state.breakers.get((watch.name, scope))
        ends = 0
        if entry is not None:
            since = self._clear_since.get((watch.name, scope))
            ends = entry.until or (0 if since is None else since + self._settings.ns("recovery_s"))
        return BreakerStanding(
            name=watch.name,
            label=watch.label,
            scope=scope,
            threshold=ZERO,
            value=None,
            open=entry,
            ends=ends,
            words=watch.absent if value is None else watch.words(value),
            threshold_words=watch.words(watch.threshold),
            share=share,
        )

    # --- being handed over -------------------------------------------------------------------------------------------

    def save(self) -> ManagerCarried:
        """What another process must know to go on judging as this one would."""
        return ManagerCarried(
            equity=self._equity.equities.save(),
            markets={} if self._memory is None else self._memory.save(),
            clear_since=[(*key, since) for key, since in self._clear_since.items()],
        )

    def restore(self, carried: ManagerCarried) -> None:
        """Go on from what another process remembered."""
        self._equity.equities.restore(carried.equity)
        if self._memory is not None:
            self._memory.restore(carried.markets)
        self._clear_since = {(name, scope): since for name, scope, since in carried.clear_since}


def _closed(key: tuple[str, str], reason: str) -> ev.BreakerReset:
    return ev.BreakerReset(breaker=key[0], scope=key[1], actor=BREAKER_ACTOR + key[0], reason=reason)


def _need(reason: str) -> None:
    if not reason.strip():
        raise ValidationError("Say why; the reason is kept for the audit.")
