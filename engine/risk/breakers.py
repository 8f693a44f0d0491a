"""Trading circuit breakers: daily loss, drawdown, and the hard drawdown that calls the emergency stop.

Plain objects: `evaluate` looks at the state and the marks and returns the facts to record. Which breakers are open is
part of the state, so it survives a restart. A breaker that cannot be evaluated halts trading.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.entries import BREAKER_ACTOR, BreakerEntry, EquityEntry, TradingState
from engine.model.ids import AccountId
from engine.model.limits import RiskLimits
from engine.model.valuation import VIEW
from engine.risk.rules import BREAKER_FAILED
from engine.risk.words import amount, percent
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.risk.picture import Picture
    from engine.state import EngineState

__all__ = ["BREAKERS", "BREAKER_ACTOR", "Breaker", "BreakerMemory", "BreakerStanding", "Breakers", "Measured"]

log = get_logger(__name__)

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
EVALUATION = "evaluation"
"""Name under which a failure outside any single breaker is tripped."""
UNKNOWN_NS = 30 * NS_PER_S
"""An account that holds positions and could not be valued for so long is one whose breakers failed."""
_PLACES = Decimal("0.00000001")
_RATIO = Decimal("0.0001")
_PEAK_STEP = Decimal("1.001")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Equity now, and what it is compared with, in the account's base currency."""

    equity: Decimal
    peak: Decimal
    day_start: Decimal


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """One breaker on an account's equity."""

    name: str
    label: str
    measure: Callable[[Measured], Decimal]
    """Present loss as a fraction."""
    threshold: Callable[[RiskLimits], Decimal]
    """Fraction at or above which it trips."""
    reference: Literal["peak", "day_start"]
    """Field of the comparison that a forced reset begins anew: `peak` or `day_start`."""
    state: TradingState = TradingState.REDUCING
    emergency: bool = False
    """True when it also calls the emergency stop."""
    hold_ns: int = 0
    """How long after the trip a reset needs force."""


class BreakerMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What the breakers remember beside the state; times in UTC nanoseconds."""

    looked: int = -1
    seen: dict[AccountId, tuple[int, Decimal, Decimal, int]] = {}
    unknown_since: dict[AccountId, int] = {}


class _Seen(NamedTuple):
    """Equity at the last judgement, and what was journalled of it by then."""

    ts: int
    equity: Decimal
    recorded: Decimal
    recorded_ts: int


class BreakerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a breaker stands."""

    name: str
    label: str
    scope: str
    threshold: Decimal
    value: Decimal | None
    """Present loss as a fraction; None while equity is not known."""
    open: BreakerEntry | None


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

_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Breakers:
    """All breakers of all accounts.

    Args:
        state: What the engine knows.
        picture: Values of the moment.
        limits: Gives the limits in force.
        record_every_ns: Marks and equity are journalled at most this often unless a breaker decides.
        breakers: What is judged.
    """

    def __init__(
        self,
        state: EngineState,
        picture: Picture,
        limits: Callable[[], RiskLimits],
        *,
        record_every_ns: int = 10 * NS_PER_S,
        breakers: tuple[Breaker, ...] = BREAKERS,
    ) -> None:
        self._state = state
        self._picture = picture
        self._limits = limits
        self._record_every_ns = record_every_ns
        self._breakers = breakers
        self._quiet = (-1, -1)
        """Fact and day up to which nothing can have changed."""
        self._looked = -1
        """When the breakers were last judged."""
        self._seen: dict[AccountId, _Seen] = {}
        self._unknown_since: dict[AccountId, int] = {}
        self.unknown: dict[AccountId, tuple[str, ...]] = {}
        """Accounts that could not be valued at the last look, with what has no price; entries are refused meanwhile."""

    # --- judging -----------------------------------------------------------------------------------------------------

    def evaluate(self, now: int) -> tuple[ev.Event, ...]:
        """Judge all breakers. Never raises.

        Returns:
            Facts to record, in order: marks and equity when due, breakers that trip, the trading state they order.
        """
        day = now // NS_PER_DAY
        if (self._state.seq, day) == self._quiet:
            self._looked = now
            return ()
        outer = decimal.getcontext()
        decimal.setcontext(VIEW)
        try:
            self._picture.look()
            limits = self._limits()
            facts: list[ev.Event] = []
            quiet = True
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
            self._looked = now
            decimal.setcontext(outer)

    @property
    def emergency(self) -> str:
        """Why an open breaker demands the emergency stop; empty when none does."""
        demanding = {breaker.name for breaker in self._breakers if breaker.emergency}
        for (name, _), entry in self._state.breakers.items():
            if name in demanding and entry.value != BREAKER_FAILED:
                return entry.reason
        return ""

    def _judge(self, account: AccountId, now: int, limits: RiskLimits) -> tuple[list[ev.Event], bool]:
        measured = self._measure(account, now)
        if measured is None:
            return self._blind(account, now), False
        self._unknown_since.pop(account, None)
        trips: list[ev.Event] = []
        for breaker in self._breakers:
            if (breaker.name, account) in self._state.breakers:
                continue
            try:
                trips += self._judge_one(breaker, account, measured, limits)
            except Exception as error:
                log.exception("a breaker could not be evaluated", breaker=breaker.name, account=account)
                trips += self._failed(breaker.name, account, error)
        moves = self._moves(account)
        facts = self._due(account, measured, now, decided=bool(trips), moves=moves)
        self._see(account, measured.equity, now)
        return [*facts, *_strictest(trips)] if trips else facts, not moves

    def _judge_one(
        self, breaker: Breaker, account: AccountId, measured: Measured, limits: RiskLimits
    ) -> list[ev.Event]:
        value, threshold = breaker.measure(measured), breaker.threshold(limits)
        if value < threshold:
            return []
        base = self._state.accounts[account].base_currency
        compared: Decimal = getattr(measured, breaker.reference)
        reason = (
            f"{breaker.label} of {account}: equity is {amount(measured.equity, base)}, {percent(value)} below "
            f"{amount(compared, base)}; the limit is {percent(threshold)}."
        )
        tripped = ev.BreakerTripped(
            breaker=breaker.name,
            scope=account,
            value=str(value.quantize(_RATIO)),
            threshold=str(threshold),
            reason=reason,
        )
        return [tripped, *self._order(breaker.state, reason, breaker.name)]

    def _blind(self, account: AccountId, now: int) -> list[ev.Event]:
        """What follows when an account cannot be valued: nothing at first, prices may be late; then it has failed."""
        held = any(holder == account and position.lots for (holder, _), position in self._state.positions.items())
        if not held:
            self._unknown_since.pop(account, None)
            return []
        if now - self._unknown_since.setdefault(account, now) < UNKNOWN_NS:
            return []
        missing = ", ".join(self.unknown[account])
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

    # --- measuring ---------------------------------------------------------------------------------------------------

    def _measure(self, account: AccountId, now: int) -> Measured | None:
        value = self._picture.equity(account)
        if not value.known:
            self.unknown[account] = value.missing
            return None
        self.unknown.pop(account, None)
        equity = value.value.quantize(_PLACES)
        entry = self._state.equity.get(account)
        if entry is None:
            return Measured(equity=equity, peak=equity, day_start=equity)
        # The first look of a day compares with the last equity of the days before.
        start = self._before(account, entry)[0] if now // NS_PER_DAY > entry.day else entry.day_start
        return Measured(equity=equity, peak=max(entry.peak, equity), day_start=start)

    def _see(self, account: AccountId, equity: Decimal, now: int) -> None:
        entry = self._state.equity.get(account)
        if entry is not None:
            self._seen[account] = _Seen(now, equity, entry.equity, entry.ts)

    def _before(self, account: AccountId, entry: EquityEntry) -> tuple[Decimal, int]:
        """The last equity that was looked at or journalled, whichever is later, and when."""
        seen = self._seen.get(account)
        if seen is None or seen.recorded_ts != entry.ts:
            return entry.equity, entry.ts
        # Money that was moved since then has been added to what is journalled.
        return seen.equity + entry.equity - seen.recorded, seen.ts

    def _due(
        self, account: AccountId, measured: Measured, now: int, *, decided: bool, moves: bool = True
    ) -> list[ev.Event]:
        entry, equity = self._state.equity.get(account), measured.equity
        if not decided and entry is not None and not self._is_due(entry, equity, now, moves):
            return []
        facts = [*self._marks(account, now), ev.EquityRecorded(account=account, equity=equity, ts=now)]
        if entry is not None and now // NS_PER_DAY > entry.day and measured.day_start != entry.equity:
            # The day begins with what the one before ended with, not with what happened to be journalled of it.
            _, ended = self._before(account, entry)
            facts.insert(0, ev.EquityRecorded(account=account, equity=measured.day_start, ts=ended))
        return facts

    def _is_due(self, entry: EquityEntry, equity: Decimal, now: int, moves: bool) -> bool:
        # A new peak is kept although the time has not come, or the drawdown from it would be measured too small.
        if now // NS_PER_DAY > entry.day or equity > entry.peak * _PEAK_STEP:
            return True
        if equity == entry.equity:
            return False
        # What a closed position has left behind is kept at once: it is what the next day begins with.
        return now // self._record_every_ns > self._looked // self._record_every_ns or not moves

    def _marks(self, account: AccountId, now: int) -> list[ev.Event]:
        facts: list[ev.Event] = []
        for (holder, instrument), position in self._state.positions.items():
            mark = self._picture.mark(instrument) if holder == account and position.lots else None
            if mark is not None:
                facts.append(ev.MarkRecorded(instrument=instrument, price=mark.quantize(_PLACES), ts=now))
        return facts

    def _moves(self, account: AccountId) -> bool:
        """True when prices can change the account's value."""
        base = self._state.accounts[account].base_currency
        for currency, balance in self._state.balances[account].items():
            if currency != base and balance.total:
                return True
        return any(holder == account and position.lots for (holder, _), position in self._state.positions.items())

    # --- memory ------------------------------------------------------------------------------------------------------

    def save(self) -> BreakerMemory:
        """What another process must know to go on judging as this one would."""
        seen = {account: tuple(values) for account, values in self._seen.items()}
        return BreakerMemory(looked=self._looked, seen=seen, unknown_since=dict(self._unknown_since))  # type: ignore[arg-type]

    def restore(self, memory: BreakerMemory) -> None:
        """Go on from what another process remembered."""
        self._looked = memory.looked
        self._seen = {account: _Seen(*values) for account, values in memory.seen.items()}
        self._unknown_since = dict(memory.unknown_since)

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
        with decimal.localcontext(VIEW):
            self._picture.look()
            facts = self._reset_one(name, scope, entry, actor, reason, now, force)
        self._quiet = (-1, -1)
        halt = self._state.halts.get(ENGINE_SCOPE)
        if len(self._state.breakers) == 1 and halt is not None and halt.actor.startswith(BREAKER_ACTOR):
            below = halt.beneath
            after = ev.TradingStateChanged(
                scope=ENGINE_SCOPE,
                state=TradingState.ACTIVE if below is None else below.state,
                reason=f"The last breaker was reset: {reason}" if below is None else below.reason,
                actor=actor if below is None else below.actor,
            )
            facts.append(after)
        return tuple(facts)

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
            peak=measured.equity if breaker.reference == "peak" else None,
            day_start=measured.equity if breaker.reference == "day_start" else None,
        )
        return [*self._due(account, measured, now, decided=True), anew]

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
        measured = self._measure(account, now)
        if measured is None:
            missing = ", ".join(self.unknown[account])
            raise ConflictError(
                f"The account {account} cannot be valued: no price is known for {missing}. Wait for it."
            )
        return measured

    def _must_work(self, now: int) -> None:
        try:
            limits = self._limits()
            for account in self._state.accounts:
                measured = self._measure(account, now)
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
        with decimal.localcontext(VIEW):
            self._picture.look()
            limits = self._limits()
            for account in self._state.accounts:
                measured = self._measure(account, now)
                for breaker in self._breakers:
                    rows.append(
                        BreakerStanding(
                            name=breaker.name,
                            label=breaker.label,
                            scope=account,
                            threshold=breaker.threshold(limits),
                            value=None if measured is None else breaker.measure(measured),
                            open=self._state.breakers.get((breaker.name, account)),
                        )
                    )
        shown = {(row.name, row.scope) for row in rows}
        for (name, scope), entry in self._state.breakers.items():
            if (name, scope) not in shown:
                label = name.replace("_", " ").capitalize()
                rows.append(
                    BreakerStanding(name=name, label=label, scope=scope, threshold=ZERO, value=None, open=entry)
                )
        return tuple(rows)


def _strictest(trips: list[ev.Event]) -> list[ev.Event]:
    """All trips, then only the strictest trading state that they order."""
    ordered = [fact for fact in trips if isinstance(fact, ev.TradingStateChanged)]
    rest: list[ev.Event] = [fact for fact in trips if not isinstance(fact, ev.TradingStateChanged)]
    if ordered:
        rest.append(max(ordered, key=lambda fact: _STRICTNESS[TradingState(fact.state)]))
    return rest
