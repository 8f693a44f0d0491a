"""Locks: for some time bots open nothing in a scope, because of what has just happened there.

After an exit (cooldown), after many losing stops (stop guard), after trades that lost on balance (low profit), and
after a fall of equity, open positions counted (equity). A lock binds bots; orders by hand pass, and exits always do.
The ideas are those of the protections of freqtrade (https://www.freqtrade.io/en/stable/plugins/#protections).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.model.decimals import ZERO
from engine.model.ids import MANUAL
from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderType
from engine.model.risk import Refusal, RefusalCode
from engine.risk.scopes import Scope
from engine.risk.words import percent
from engine.state import ENGINE_SCOPE, EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from engine.model.entries import ExitEntry, LockEntry
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.position import Position
    from engine.model.protections import ProtectionSettings
    from engine.risk.case import Case
    from engine.state import EngineState

__all__ = ["LockKeeper", "locked"]

HOUR_NS = 3_600_000_000_000
_PEAK_NS = HOUR_NS


def locked(case: Case) -> Iterator[Refusal]:
    """Locks that bind the bot which asks; the operator's own orders are bound by none."""
    request = case.request
    if not case.state.locks or request.owner == MANUAL:
        return
    inside = (request.account, *Scope.keys_of(case.state, request.owner, request.account, request.instrument))
    for lock in case.state.locks.values():
        if lock.reduces or lock.until <= case.now or lock.scope not in inside:
            continue
        if lock.instrument in ("", request.instrument):
            yield Refusal(
                code=RefusalCode.LOCKED,
                message=f"Locked for another {_left(lock.until - case.now)} ({lock.reason.rstrip('.')}); exits pass.",
                value=lock.lock,
            )


class LockKeeper:
    """Places locks, and ends them when their time is over.

    Args:
        state: What the engine knows.
        settings: Which locks there are.
        value: Gives a currency's worth in an account's base currency as (account, instrument) -> rate; None unknown.
        equity: Gives an account's last known equity; None while it is not known.
    """

    def __init__(
        self,
        state: EngineState,
        settings: ProtectionSettings,
        value: Callable[[AccountId, InstrumentId], Decimal | None],
        equity: Callable[[AccountId], Decimal | None],
    ) -> None:
        self._state = state
        self._settings = settings
        self._value = value
        self._equity = equity
        # Where nothing is noted yet, trades count from now on.
        self._base: dict[tuple[Owner, AccountId, InstrumentId], Decimal] = {
            key: _net(position) for key, position in state.owned.items() if key not in state.trade_totals
        }
        self._costs: dict[tuple[Owner, AccountId, InstrumentId], Decimal] = {}
        for key, position in state.owned.items():
            self._note_cost(key, position)
        self._high: dict[AccountId, Decimal] = {}
        self._caught_up = False

    # --- hearing -----------------------------------------------------------------------------------------------------

    def on_fill(self, fill: Fill, now: int) -> list[ev.Event]:
        """Facts that follow from an execution of one of our orders, which has been booked."""
        order = self._state.order(fill.client_id)
        if order is None or order.owner in (MANUAL, EXTERNAL):
            return []
        key = (order.owner, fill.account, fill.instrument)
        position = self._state.owned.get(key)
        if position is None:
            return []
        if not self._ended(position, fill):
            self._note_cost(key, position)
            return []
        return self._trade(key, position, now, stopped=order.type is OrderType.STOP_LOSS)

    def on_money(self, *accounts: AccountId) -> None:
        """Money of these accounts was moved from or to outside: what is not journalled yet is measured anew."""
        for account in accounts:
            self._high.pop(account, None)

    def _ended(self, position: Position, fill: Fill) -> bool:
        """Whether an execution left less than a lot, or turned the position over."""
        instrument = self._state.instruments[fill.instrument]
        lot, after = instrument.current_rules.lot, position.quantity
        in_units = instrument.kind in CASH_KINDS and fill.fee_currency == instrument.base
        # A fee that was taken of the units bought is no trade of its own: with it a purchase would look turned over.
        before = after - fill.side.sign * fill.quantity + (fill.fee if in_units else ZERO)
        if abs(before) < lot:
            return False
        return abs(after) < lot or (before > ZERO) is not (after > ZERO)

    def _trade(
        self, key: tuple[Owner, AccountId, InstrumentId], position: Position, now: int, *, stopped: bool
    ) -> list[ev.Event]:
        owner, account, instrument = key
        total = _net(position)
        known = self._state.trade_totals.get(key)
        profit = total - (self._base.get(key, ZERO) if known is None else known)
        ended = ev.TradeEnded(
            owner=owner,
            account=account,
            instrument=instrument,
            profit=profit,
            total=total,
            stopped=stopped,
            ts=now,
            cost=self._costs.pop(key, ZERO),
        )
        self._note_cost(key, position)
        return [ended, *self._after(ended, now)]

    def _note_cost(self, key: tuple[Owner, AccountId, InstrumentId], position: Position) -> None:
        """What is held costs so much now: the largest sum is what the trade's result is measured by."""
        if position.lots and key[0] not in (MANUAL, EXTERNAL):
            cost = abs(position.cost(self._state.instruments[key[2]].multiplier))
            self._costs[key] = max(cost, self._costs.get(key, ZERO))

    def _after(self, ended: ev.TradeEnded, now: int) -> list[ev.Event]:
        settings, facts = self._settings, list[ev.Event]()
        if settings.cooldown_s:
            facts.append(
                ev.LockPlaced(
                    lock=f"cooldown:{ended.owner}:{ended.instrument}",
                    kind="cooldown",
                    scope=ended.owner,
                    instrument=ended.instrument,
                    until=now + settings.ns("cooldown_s"),
                    reason=f"{ended.owner} has just left {ended.instrument}.",
                )
            )
        if ended.stopped and ended.profit < ZERO:
            facts += self._guard(ended, now)
        facts += self._low_profit(ended, now)
        return facts

    # --- the locks ---------------------------------------------------------------------------------------------------

    def _recent(self, span: int, now: int) -> list[ExitEntry]:
        return [one for one in self._state.exits.values() if one.ts > now - span]

    def _guard(self, ended: ev.TradeEnded, now: int) -> Iterator[ev.Event]:
        settings = self._settings
        stops = [
            one for one in self._recent(settings.ns("stop_guard_window_s"), now) if one.stopped and one.profit < ZERO
        ]
        here = 1 + sum(one.instrument == ended.instrument for one in stops)
        within = f"within {_left(settings.ns('stop_guard_window_s'))}"
        until = now + settings.ns("stop_guard_lock_s")
        if settings.stop_guard_stops and here >= settings.stop_guard_stops:
            yield ev.LockPlaced(
                lock=f"stop_guard:{ended.instrument}",
                kind="stop_guard",
                scope=Scope(instrument=ended.instrument).key,
                until=until,
                reason=f"{here} losing stops in {ended.instrument} {within}.",
            )
        if settings.stop_guard_global_stops and 1 + len(stops) >= settings.stop_guard_global_stops:
            yield ev.LockPlaced(
                lock="stop_guard",
                kind="stop_guard",
                scope=ENGINE_SCOPE,
                until=until,
                reason=f"{1 + len(stops)} losing stops {within}.",
            )

    def _low_profit(self, ended: ev.TradeEnded, now: int) -> Iterator[ev.Event]:
        settings = self._settings
        if not settings.low_profit_trades:
            return
        trades = [
            one.profit
            for one in self._recent(settings.ns("low_profit_window_s"), now)
            if (one.account, one.instrument) == (ended.account, ended.instrument)
        ]
        trades.append(ended.profit)
        rate, equity = self._value(ended.account, ended.instrument), self._equity(ended.account)
        if len(trades) < settings.low_profit_trades or rate is None or not equity or equity <= ZERO:
            return
        share = sum(trades, ZERO) * rate / equity
        if share < settings.low_profit_required:
            yield ev.LockPlaced(
                lock=f"low_profit:{ended.account}:{ended.instrument}",
                kind="low_profit",
                scope=Scope(instrument=ended.instrument).key,
                until=now + settings.ns("low_profit_lock_s"),
                reason=f"{len(trades)} trades in {ended.instrument} came to {percent(share)} of equity within "
                f"{_left(settings.ns('low_profit_window_s'))}, below {percent(settings.low_profit_required)}.",
            )

    def _equity_locks(self, now: int) -> Iterator[ev.Event]:
        settings = self._settings
        if not settings.equity_lock_pct:
            return
        for account in self._state.accounts:
            equity = self._equity(account)
            if equity is None:
                continue
            peaks = self._state.peaks.get(account, [])
            high = self._high[account] = max(self._high.get(account, equity), equity)
            if not peaks or now - peaks[-1].ts >= _PEAK_NS:
                yield ev.PeakRecorded(account=account, equity=high, ts=now)
                self._high[account] = equity
            since = now - settings.ns("equity_lock_window_s")
            best = max((high, *(peak.equity for peak in peaks if peak.ts > since)))
            fall = (best - equity) / best if best > ZERO else ZERO
            lock = f"equity:{account}"
            if fall >= settings.equity_lock_pct and lock not in self._state.locks:
                yield ev.LockPlaced(
                    lock=lock,
                    kind="equity",
                    scope=account,
                    until=now + settings.ns("equity_lock_s"),
                    reason=f"Equity of {account} is {percent(fall)} below its highest within "
                    f"{_left(settings.ns('equity_lock_window_s'))}, the limit is {percent(settings.equity_lock_pct)}.",
                )

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> list[ev.Event]:
        """Facts of locks whose time is over, and of those that equity asks for; use it in the `VIEW` context."""
        facts: list[ev.Event] = [
            ev.LockEnded(lock=lock.lock, reason="Its time is over.")
            for lock in self._state.locks.values()
            if lock.until <= now
        ]
        if not self._caught_up:
            self._caught_up = True
            facts += self._missed(now)
        return [*facts, *self._equity_locks(now)]

    def _missed(self, now: int) -> Iterator[ev.Event]:
        """Trades that ended right before a crash, or outside of this engine."""
        for key, total in self._state.trade_totals.items():
            position = self._state.owned.get(key)
            if position is not None and _net(position) != total and not position.lots:
                yield from self._trade(key, position, now, stopped=False)

    # --- what an operator may do -------------------------------------------------------------------------------------

    def lift(self, name: str, actor: str, reason: str) -> ev.LockEnded:
        """End a lock before its time.

        Raises:
            NotFoundError: There is no such lock.
            ValidationError: No reason is given.
        """
        if not reason.strip():
            raise ValidationError("Say why the lock is lifted; the reason is kept for the audit.")
        if name not in self._state.locks:
            raise NotFoundError(f"There is no lock {name}; there are {', '.join(self._state.locks) or 'none'}.")
        return ev.LockEnded(lock=name, reason=reason, actor=actor)

    def place(self, scope: Scope, seconds: float, actor: str, reason: str, now: int) -> ev.LockPlaced:
        """Lock a scope by hand for some time.

        Raises:
            ValidationError: No reason is given.
            ConflictError: It is locked by hand for longer already.
        """
        if not reason.strip():
            raise ValidationError("Say why the scope is locked; the reason is kept for the audit.")
        name, until = f"manual:{scope.key}", now + int(seconds * 1e9)
        known: LockEntry | None = self._state.locks.get(name)
        if known is not None and known.until > until:
            raise ConflictError(
                f"{scope.words.capitalize()} is locked by {known.actor} for another {_left(known.until - now)}; "
                "lift that lock first."
            )
        return ev.LockPlaced(lock=name, kind="manual", scope=scope.key, until=until, reason=reason, actor=actor)


def _net(position: Position) -> Decimal:
    return position.realised - position.fees - position.funding


def _left(ns: int) -> str:
    """A span of time in words."""
    seconds = max(ns, 0) / 1e9
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
