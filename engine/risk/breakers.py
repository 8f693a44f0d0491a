"""The breakers on equity: losses of day, week and month, drawdown, and the hard drawdown that calls the emergency stop.

Plain objects: `evaluate` looks at the state and the marks and returns the facts to record. Which breakers are open is
part of the state, so it survives a restart. A breaker that cannot be evaluated halts trading.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.logs import get_logger
from engine.model.decimals import ZERO, within
from engine.model.entries import BREAKER_ACTOR, BreakerEntry, TradingState
from engine.model.ids import AccountId
from engine.model.limits import RiskLimits
from engine.model.protections import ProtectionSettings
from engine.model.valuation import VIEW
from engine.risk.equities import Equities, Measured
from engine.risk.periods import PERIODS, Period, bounds
from engine.risk.rules import BREAKER_FAILED
from engine.risk.words import amount, percent
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.risk.picture import Picture
    from engine.state import EngineState

__all__ = [
    "BREAKERS",
    "BREAKER_ACTOR",
    "EVALUATION",
    "MANUAL_TRIP",
    "Breaker",
    "BreakerStanding",
    "Breakers",
    "Measured",
    "trip_reason",
]

log = get_logger(__name__)

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
EVALUATION = "evaluation"
"""Name under which a failure outside any single breaker is tripped."""
UNKNOWN_NS = 30 * NS_PER_S
"""An account that holds positions and could not be valued for so long is one whose breakers failed."""
MANUAL_TRIP = "manual"
"""Value with which a breaker is tripped that somebody opened by hand."""
_RATIO = Decimal("0.0001")
_NEVER = 1 << 63


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """One breaker on an account's equity."""

    name: str
    label: str
    measure: Callable[[Measured], Decimal]
    """Present loss as a fraction."""
    threshold: Callable[[RiskLimits], Decimal]
    """Fraction at or above which it trips."""
    reference: Literal["peak", "day_start", "week_start", "month_start"]
    """Field of the comparison that a forced reset begins anew."""
    state: TradingState = TradingState.REDUCING
    emergency: bool = False
    """True when it also calls the emergency stop."""
    hold_ns: int = 0
    """How long after the trip a reset needs force."""
    recovers: bool = False
    """True when a trial begins by itself once that time is over and the loss is below the limit again."""
    period: Period | None = None
    """Where given, entries pass smaller until this period ends, instead of none."""
    unless: str = ""
    """What has to be done before it is reset, as the end of its reason; empty where nothing is special."""


class BreakerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a breaker stands."""

    name: str
    label: str
    scope: str
    threshold: Decimal
    value: Decimal | None
    """Present loss as a fraction; None while equity is not known."""
    open: BreakerEntry | None
    ends: int = 0
    """UTC nanoseconds at which its period, its pause or its trial ends; 0 where nothing does."""
    words: str = ""
    """Value in words where it is no loss."""
    threshold_words: str = ""
    """Threshold in words, likewise."""
    share: float | None = None
    """Used part of the threshold, likewise."""


def _loss(now: Decimal, reference: Decimal) -> Decimal:
    return max((reference - now) / reference, ZERO) if reference > ZERO else ZERO


BREAKERS: tuple[Breaker, ...] = (
    Breaker(
        name="daily_loss",
        label="Loss of the day",
        measure=lambda m: _loss(m.equity, m.day_start),
        threshold=lambda limits: limits.max_daily_loss_pct,
        reference="day_start",
        hold_ns=NS_PER_DAY,
        recovers=True,
    ),
    Breaker(
        name="weekly_loss",
        label="Loss of the week",
        measure=lambda m: _loss(m.equity, m.week_start),
        threshold=lambda limits: limits.max_weekly_loss_pct,
        reference="week_start",
        period="week",
    ),
    Breaker(
        name="monthly_loss",
        label="Loss of the month",
        measure=lambda m: _loss(m.equity, m.month_start),
        threshold=lambda limits: limits.max_monthly_loss_pct,
        reference="month_start",
        unless=" Review the strategies; trading goes on when this breaker is reset by hand.",
    ),
    Breaker(
        name="drawdown",
        label="Drawdown",
        measure=lambda m: _loss(m.equity, m.peak),
        threshold=lambda limits: limits.breaker_drawdown_pct,
        reference="peak",
    ),
    Breaker(
        name="max_drawdown",
        label="Hard drawdown",
        measure=lambda m: _loss(m.equity, m.peak),
        threshold=lambda limits: limits.max_drawdown_pct,
        reference="peak",
        state=TradingState.HALTED,
        emergency=True,
    ),
)
"""The breakers in the order in which they are judged."""

_ON_EQUITY = frozenset(breaker.measure for breaker in BREAKERS)
"""Measures of which the loss is the fall of equity below the reference."""
_CLEARLY = 1e-9
"""Part of the comparison by which equity has to be clear of it."""
_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


def trip_reason(breaker: Breaker, account: AccountId, measured: Measured, limits: RiskLimits, base: str) -> str:
    """Why a breaker opens, in words; run it in the `VIEW` context.

    Args:
        breaker: Which.
        account: Whose.
        measured: What was compared.
        limits: The limits in force.
        base: The account's currency.
    """
    compared: Decimal = getattr(measured, breaker.reference)
    smaller = "" if breaker.period is None else f" Entries are smaller until the next {breaker.period} begins."
    value = breaker.measure(measured)
    return (
        f"{breaker.label} of {account}: equity is {amount(measured.equity, base)}, {percent(value)} "
        f"below {amount(compared, base)}; the limit is {percent(breaker.threshold(limits))}.{breaker.unless}{smaller}"
    )


class Breakers:
    """All breakers of all accounts.

    Args:
        state: What the engine knows.
        picture: Values of the moment.
        limits: Gives the limits in force.
        record_every_ns: Marks and equity are journalled at most this often unless a breaker decides.
        breakers: What is judged.
        settings: Where periods begin, and how long a trial lasts.
    """

    def __init__(
        self,
        state: EngineState,
        picture: Picture,
        limits: Callable[[], RiskLimits],
        *,
        record_every_ns: int = 10 * NS_PER_S,
        breakers: tuple[Breaker, ...] = BREAKERS,
        settings: ProtectionSettings | None = None,
    ) -> None:
        self.settings = settings or ProtectionSettings()
        self.equities = Equities(state, picture, self.settings, record_every_ns)
        self._state = state
        self._picture = picture
        self._limits = limits
        self._breakers = breakers
        self._kept_of: RiskLimits | None = None
        self._kept: dict[str, float] = {}
        """What part of the comparison must be left for a breaker to stay closed."""
        self._quiet = (-1, -1)
        """Fact and day up to which nothing can have changed."""

    @property
    def unknown(self) -> dict[AccountId, tuple[str, ...]]:
        """Accounts that could not be valued at the last look, with what has no price; entries are refused meanwhile."""
        return self.equities.unknown

    # --- judging -----------------------------------------------------------------------------------------------------

    def evaluate(self, now: int) -> tuple[ev.Event, ...]:
        """Judge all breakers. Never raises.

        Returns:
            Facts to record, in order: marks and equity when due, breakers that trip, the trading state they order.
        """
        day = now // NS_PER_DAY
        if (self._state.seq, day) == self._quiet and now < self._next_period():
            self.equities.looked = now
            return ()
        outer = decimal.getcontext()
        decimal.setcontext(VIEW)
        try:
            self._picture.look()
            limits = self._limits()
            facts: list[ev.Event] = []
            quiet = not self._state.breakers
            for account in self._state.accounts:
                if account in self._picture.doubtful:
                    # What is not known is not judged; nothing is opened there meanwhile.
                    quiet = False
                    continue
                found, calm = self._judge(account, now, limits)
                facts += found
                quiet = quiet and calm
            # Nothing held means nothing moves until the next fact; a backtest spends most bars like that.
            self._quiet = (self._state.seq, day) if quiet and not facts else (-1, -1)
            return tuple(facts)
        except Exception as error:
            log.exception("breakers could not be evaluated")
            return tuple(self._failed(EVALUATION, ENGINE_SCOPE, error))
        finally:
            self.equities.looked = now
            decimal.setcontext(outer)

    def is_quiet(self, now: int) -> bool:
        """Whether a look would not even value the accounts, because nothing is held and nothing has happened."""
        return (self._state.seq, now // NS_PER_DAY) == self._quiet

    def calm(self, account: AccountId, equity: Decimal, now: int, *, moves: bool) -> tuple[float, float, int] | None:
        """Between which values of equity, and until when, nothing here is booked; None where that cannot be told.

        Call it right after `evaluate`, while nothing was booked since; `until` in UTC nanoseconds, exclusive.
        """
        peak, ends = self.equities.peak_due(account), [entry.end for entry in self._state.periods.values()]
        if peak is None or len(ends) != len(PERIODS) or self.unknown or now >= min(ends):
            return None
        until = min((now // NS_PER_DAY + 1) * NS_PER_DAY, *ends)
        if moves:
            until = min(until, self.equities.next_due(now))
        known = self._state.equity[account]
        starts = {f"{period}_start": self._state.periods[account, period].equity for period in PERIODS}
        starts["peak"] = max(known.peak, equity)
        limits, floor = self._limits(), 0.0
        for breaker in self._breakers:
            if (breaker.name, account) not in self._state.breakers:
                floor = max(floor, float(starts[breaker.reference]) * (1.0 - float(breaker.threshold(limits))))
        for entry in self._state.breakers.values():
            until = min(until, self._rests_until(entry, now))
        return floor, float(peak), until

    def _rests_until(self, entry: BreakerEntry, now: int) -> int:
        """Until when a breaker that is not closed stays as it is, whatever equity does."""
        breaker = next((one for one in self._breakers if one.name == entry.breaker), None)
        if entry.held or (breaker is not None and not entry.reduces and not breaker.recovers):
            return _NEVER
        if breaker is None or entry.value == BREAKER_FAILED or (entry.reduces and breaker.period is None):
            return now
        return entry.until if entry.reduces else max(entry.since + breaker.hold_ns, now)

    @property
    def emergency(self) -> str:
        """Why an open breaker demands the emergency stop; empty when none does."""
        demanding = {breaker.name for breaker in self._breakers if breaker.emergency}
        for (name, _), entry in self._state.breakers.items():
            if name in demanding and entry.value not in (BREAKER_FAILED, MANUAL_TRIP):
                return entry.reason
        return ""

    def _judge(self, account: AccountId, now: int, limits: RiskLimits) -> tuple[list[ev.Event], bool]:
        measured = self.equities.measure(account, now)
        if measured is None:
            return self._blind(account, now), False
        self.equities.unknown_since.pop(account, None)
        periods = self.equities.begin_periods(account, measured, now)
        trips: list[ev.Event] = []
        for breaker in self._breakers:
            entry = self._state.breakers.get((breaker.name, account))
            try:
                if entry is None and self._is_far(breaker, measured, limits):
                    continue
                if entry is None or (entry.reduces and breaker.period is None):
                    trips += self._judge_one(breaker, account, measured, limits, now)
                if entry is not None and not trips:
                    trips += self._recover(breaker, entry, measured, limits, now)
            except Exception as error:
                log.exception("a breaker could not be evaluated", breaker=breaker.name, account=account)
                trips += self._failed(breaker.name, account, error)
        moves = self.equities.moves(account)
        facts = self.equities.due(account, measured, now, decided=bool(trips), moves=moves)
        self.equities.see(account, measured.equity, now)
        return [*periods, *facts, *_strictest(trips)], not moves

    def _is_far(self, breaker: Breaker, measured: Measured, limits: RiskLimits) -> bool:
        """Whether equity is so far above what trips a breaker on it that rounding cannot matter."""
        if breaker.measure not in _ON_EQUITY:
            return False
        if limits is not self._kept_of:
            self._kept_of = limits
            self._kept.clear()
        kept = self._kept.get(breaker.name)
        if kept is None:
            kept = self._kept[breaker.name] = 1.0 - float(breaker.threshold(limits)) + _CLEARLY
        return float(measured.equity) > float(getattr(measured, breaker.reference)) * kept

    def _judge_one(
        self, breaker: Breaker, account: AccountId, measured: Measured, limits: RiskLimits, now: int
    ) -> list[ev.Event]:
        value, threshold = breaker.measure(measured), breaker.threshold(limits)
        if value < threshold:
            return []
        reason = trip_reason(breaker, account, measured, limits, self._state.accounts[account].base_currency)
        tripped = ev.BreakerTripped(
            breaker=breaker.name,
            scope=account,
            value=str(value.quantize(_RATIO)),
            threshold=str(threshold),
            reason=reason,
            reduces=breaker.period is not None,
            until=0 if breaker.period is None else self._end_of(account, breaker.period, now),
        )
        return [tripped] if breaker.period is not None else [tripped, *self._order(breaker.state, reason, breaker.name)]

    def _recover(
        self, breaker: Breaker, entry: BreakerEntry, measured: Measured, limits: RiskLimits, now: int
    ) -> list[ev.Event]:
        """What its own rules of recovery make of a breaker that is not closed."""
        if entry.held or entry.value == BREAKER_FAILED:
            return []
        name, scope = entry.breaker, entry.scope
        if entry.reduces:
            if now < entry.until:
                return []
            over = "The trial is over; the loss stayed below the limit."
            reason = over if breaker.period is None else f"The next {breaker.period} has begun."
            return [ev.BreakerReset(breaker=name, scope=scope, actor=BREAKER_ACTOR + name, reason=reason)]
        pausing = now - entry.since < breaker.hold_ns
        if not breaker.recovers or pausing or breaker.measure(measured) >= breaker.threshold(limits):
            return []
        until = now + self.settings.ns("trial_s")
        reason = f"The pause is over and {breaker.label.lower()} is below its limit: smaller entries pass on trial."
        trial = ev.BreakerHalfOpened(breaker=name, scope=scope, until=until, reason=reason)
        return [trial, *self._lift(name, scope, BREAKER_ACTOR + name, reason)]

    def _lift(self, name: str, scope: str, actor: str, reason: str) -> list[ev.Event]:
        """End the halt that breakers ordered when this is the last one that does; a hold that it covered is back."""
        halt = self._state.halts.get(ENGINE_SCOPE)
        others = (key for key in self._state.breakers if key != (name, scope) and self._halts(key))
        if halt is None or not halt.actor.startswith(BREAKER_ACTOR) or any(others):
            return []
        below = halt.beneath
        after = ev.TradingStateChanged(
            scope=ENGINE_SCOPE,
            state=TradingState.ACTIVE if below is None else below.state,
            reason=f"The last breaker was reset: {reason}" if below is None else below.reason,
            actor=actor if below is None else below.actor,
        )
        return [after]

    def _halts(self, key: tuple[str, str]) -> bool:
        """Whether a breaker that is not closed orders a trading state for the whole engine."""
        return not self._state.breakers[key].reduces and (key[0] == EVALUATION or self.watches(key[0]))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all of these."""
        return tuple(breaker.name for breaker in self._breakers)

    def watches(self, name: str) -> bool:
        """Whether a breaker of this name is one of these."""
        return name in self.names

    def ordered_by(self, name: str, reason: str) -> list[ev.Event]:
        """The trading state that a breaker of this name orders when it is opened by hand; nothing for any other."""
        breaker = next((one for one in self._breakers if one.name == name), None)
        return [] if breaker is None else self._order(breaker.state, reason, name)

    def _end_of(self, account: AccountId, period: Period, now: int) -> int:
        entry = self._state.periods.get((account, period))
        if entry is not None and now < entry.end:
            return entry.end
        return bounds(period, now, self.settings.day_zone, self.settings.day_hour)[1]

    def _next_period(self) -> int:
        return min((entry.end for entry in self._state.periods.values()), default=0)

    def _blind(self, account: AccountId, now: int) -> list[ev.Event]:
        """What follows when an account cannot be valued: nothing at first, prices may be late; then it has failed."""
        held = any(holder == account and position.lots for (holder, _), position in self._state.positions.items())
        if not held:
            self.equities.unknown_since.pop(account, None)
            return []
        if now - self.equities.unknown_since.setdefault(account, now) < UNKNOWN_NS:
            return []
        missing = ", ".join(self.equities.unknown[account])
        return self._failed(
            EVALUATION,
            account,
            f"No breaker of {account} could be evaluated for {UNKNOWN_NS // NS_PER_S} seconds although positions are "
            f"held: no price is known for {missing}.",
        )

    def _failed(self, name: str, scope: str, cause: Exception | str) -> list[ev.Event]:
        """A breaker that cannot be judged protects nothing: trading halts. Told once."""
        known = self._state.breakers.get((name, scope))
        facts: list[ev.Event] = []
        reason = (
            cause
            if isinstance(cause, str)
            else f"The breaker {name.replace('_', ' ')} could not be evaluated ({type(cause).__name__})."
        )
        if known is None or known.value != BREAKER_FAILED:
            tripped = ev.BreakerTripped(breaker=name, scope=scope, value=BREAKER_FAILED, threshold="", reason=reason)
            facts.append(tripped)
        return [*facts, *self._order(TradingState.HALTED, reason, name)]

    def _order(self, state: TradingState, reason: str, name: str) -> list[ev.Event]:
        if _STRICTNESS[self._state.trading_state()] >= _STRICTNESS[state]:
            return []
        actor = BREAKER_ACTOR + name
        return [ev.TradingStateChanged(scope=ENGINE_SCOPE, state=state, reason=reason, actor=actor)]

    # --- resetting ---------------------------------------------------------------------------------------------------

    def reset(
        self, name: str, scope: str, actor: str, reason: str, now: int, *, force: bool = False
    ) -> tuple[ev.Event, ...]:
        """Close an open breaker by hand.

        A reset is refused while its condition persists, for the daily loss also within 24 hours of the trip. Forcing it
        begins the comparison anew at the present equity; a breaker that cannot be evaluated cannot be forced. When the
        last breaker closes, a halt that breakers ordered ends with it, and a hold that it covered is in force again.

        Args:
            name: The breaker.
            scope: Account (or `engine`) it is open for.
            actor: Who resets it.
            reason: Why, for the audit.
            now: UTC nanoseconds.
            force: Reset although the condition persists.

        Returns:
            Facts to record, in order.

        Raises:
            NotFoundError: That breaker is not open.
            ValidationError: No reason is given.
            ConflictError: The condition persists, or the account cannot be valued.
        """
        entry = self._state.breakers.get((name, scope))
        if entry is None:
            known = ", ".join(f"{n} ({s})" for n, s in self._state.breakers) or "none"
            raise NotFoundError(f"The breaker {name} is not open for {scope}; open are: {known}.")
        if not reason.strip():
            raise ValidationError("Say why the breaker is reset; the reason is kept for the audit.")
        with within(VIEW):
            self._picture.look()
            facts = self._reset_one(name, scope, entry, actor, reason, now, force)
        self._quiet = (-1, -1)
        return (*facts, *self._lift(name, scope, actor, reason))

    def _reset_one(
        self, name: str, scope: str, entry: BreakerEntry, actor: str, reason: str, now: int, force: bool
    ) -> list[ev.Event]:
        breaker = next((b for b in self._breakers if b.name == name), None)
        bare = ev.BreakerReset(breaker=name, scope=scope, actor=actor, reason=reason)
        if name == EVALUATION and scope in self._state.accounts:
            self._must_measure(AccountId(scope), now)
        if breaker is None or scope not in self._state.accounts:
            self._must_work(now)
            return [bare]
        account = AccountId(scope)
        measured = self._must_measure(account, now)
        try:
            persists = self._persists(breaker, entry, measured, now)
        except Exception as error:
            raise ConflictError(
                f"The breaker {name} still cannot be evaluated ({type(error).__name__}); see the log, and restart the "
                f"engine once the cause is gone."
            ) from error
        if not persists:
            return [bare]
        if not force or entry.value == BREAKER_FAILED:
            raise ConflictError(f"{persists} Wait, or force the reset to begin the comparison anew at present equity.")
        anew = ev.BreakerReset(
            breaker=name,
            scope=scope,
            actor=actor,
            reason=reason,
            **{breaker.reference: measured.equity},
        )
        return [*self.equities.due(account, measured, now, decided=True), anew]

    def _persists(self, breaker: Breaker, entry: BreakerEntry, measured: Measured, now: int) -> str:
        """Why a reset needs force, as a sentence; empty when it does not."""
        value, threshold = breaker.measure(measured), breaker.threshold(self._limits())
        if value >= threshold:
            return f"{breaker.label} is still {percent(value)}, the limit is {percent(threshold)}."
        if entry.value != BREAKER_FAILED and now - entry.since < breaker.hold_ns:
            hours = (entry.since + breaker.hold_ns - now) / (3600 * NS_PER_S)
            return f"Trading pauses for 24 hours after this breaker tripped; {hours:.1f} hours are left."
        return ""

    def _must_measure(self, account: AccountId, now: int) -> Measured:
        measured = self.equities.measure(account, now)
        if measured is None:
            missing = ", ".join(self.equities.unknown[account])
            raise ConflictError(
                f"The account {account} cannot be valued: no price is known for {missing}. Wait for it."
            )
        return measured

    def _must_work(self, now: int) -> None:
        try:
            limits = self._limits()
            for account in self._state.accounts:
                measured = self.equities.measure(account, now)
                for breaker in self._breakers:
                    if measured is not None:
                        _ = breaker.measure(measured) >= breaker.threshold(limits)
        except Exception as error:
            raise ConflictError(
                f"Breakers still cannot be evaluated ({type(error).__name__}); see the log for the cause."
            ) from error

    # --- showing -----------------------------------------------------------------------------------------------------

    def standings(self, now: int) -> tuple[BreakerStanding, ...]:
        """How all breakers stand, and whatever else is open."""
        rows = []
        with within(VIEW):
            self._picture.look()
            limits = self._limits()
            for account in self._state.accounts:
                measured = self.equities.measure(account, now)
                for breaker in self._breakers:
                    rows.append(
                        BreakerStanding(
                            name=breaker.name,
                            label=breaker.label,
                            scope=account,
                            threshold=breaker.threshold(limits),
                            value=None if measured is None else breaker.measure(measured),
                            open=self._state.breakers.get((breaker.name, account)),
                            ends=self._ends(breaker, account, now),
                        )
                    )
        return tuple(rows)

    def _ends(self, breaker: Breaker, account: AccountId, now: int) -> int:
        entry = self._state.breakers.get((breaker.name, account))
        if entry is not None:
            pause = entry.since + breaker.hold_ns if breaker.recovers and not entry.held else 0
            return entry.until or (pause if pause > now else 0)
        period = breaker.reference.removesuffix("_start")
        found = self._state.periods.get((account, period))
        return found.end if found is not None else 0


def _strictest(trips: list[ev.Event]) -> list[ev.Event]:
    """All trips, then only the strictest trading state that they order."""
    ordered = [fact for fact in trips if isinstance(fact, ev.TradingStateChanged)]
    rest: list[ev.Event] = [fact for fact in trips if not isinstance(fact, ev.TradingStateChanged)]
    if ordered:
        rest.append(max(ordered, key=lambda fact: _STRICTNESS[TradingState(fact.state)]))
    return rest
