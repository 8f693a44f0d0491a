"""The capital department: measures, rebalances, settles, locks and preserves, over one ledger.

Plain and synchronous. `tick` is called from the engine's tick; it looks at capital at most every few seconds, as
nothing of it is in a hurry. What moves is booked as facts; no money leaves a venue by anything that is done here.
"""

from __future__ import annotations

import decimal
import secrets
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.capital.amounts import booked, cent, down
from engine.capital.currencies import exposures, hedges
from engine.capital.kinds import check_minimum
from engine.capital.plan import CapitalPlan, make_plan
from engine.capital.profits import settle, unlock_time
from engine.capital.transfers import Transfers
from engine.errors import (
    CapitalManagementError,
    ConflictError,
    NotFoundError,
    OrderRejectionError,
    ValidationError,
)
from engine.logs import get_logger
from engine.model.capital import FREE, NS_PER_DAY, RESERVE, FlowCause, FundFlow, PoolMeasure
from engine.model.decimals import ZERO, floor_to
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.capital.currencies import CurrencyExposure, Hedge
    from engine.capital.figures import CapitalFigures
    from engine.capital.plan import RiskFactor
    from engine.ledger import Ledger
    from engine.model.entries import BotEntry
    from engine.model.ids import AccountId

__all__ = ["ENGINE", "CapitalDepartment"]

log = get_logger(__name__)

ENGINE = "engine"
"""Actor of what happens by itself."""
LOOK_NS = 5_000_000_000
"""Least time between two looks at what is due."""
NS_PER_HOUR = 3_600_000_000_000
NS_PER_MINUTE = 60_000_000_000


class CapitalDepartment:
    """Everything that moves capital between pools.

    Args:
        ledger: Where facts are booked.
        figures: Capital as it is.
        risk: What risk allows of an increase, 0 to 1.
        steady: Whether an account's books are known to be what its venue says; nothing is moved before.
    """

    def __init__(
        self, ledger: Ledger, figures: CapitalFigures, risk: RiskFactor, steady: Callable[[AccountId], bool]
    ) -> None:
        self.figures = figures
        self.transfers = Transfers(ledger, figures)
        self.send_hedge: Callable[[Hedge], None] | None = None
        """Sends a hedge where the settings let it be sent by itself; None where nothing can."""
        self._ledger = ledger
        self._state = ledger.state
        self._risk = risk
        self._steady = steady
        self._looked = 0
        ledger.subscribe(self._on_record)

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Do what is due: measure the day that ended, open locks, settle profit, rebalance."""
        if now - self._looked < LOOK_NS or self._ledger.failed is not None or self._ledger.sealed:
            return
        self._looked = now
        settings = self.figures.settings
        for account in tuple(self._state.accounts):
            self._open_locks(account, now)
            if not self._steady(account):
                continue
            self._measure(account, now)
            if settings.compounding.automatic and now >= self.settlement_due(account):
                self._settle(account, now, ENGINE)
        if settings.automatic and not self.obstacles(now) and now >= self.rebalancing_due():
            self._rebalance(make_plan(self.figures, now, self._risk), "the daily rebalancing", ENGINE)

        if settings.currencies.automatic and self.send_hedge is not None:
            self._hedge()

    def exposures(self) -> list[CurrencyExposure]:
        """Exposure of every account to every currency, the largest first."""
        figures = self.figures
        settings, total = figures.settings.currencies, figures.metrics().total
        return exposures(self._state, figures.rates, self._state.accounts, figures.base, total, settings)

    def planned_hedges(self) -> list[Hedge]:
        """The orders that would hedge what is exposed to other currencies now."""
        figures = self.figures
        return hedges(self._state, self.exposures(), figures.mark_of, figures.base, figures.settings.currencies)

    def _hedge(self) -> None:
        """Send what is planned, unless an order there still works: it may be the hedge."""
        for hedge in self.planned_hedges():
            busy = any(order.instrument == hedge.instrument for order in self._state.orders.values())
            if busy or self.send_hedge is None or not self._steady(hedge.account):
                continue
            try:
                self.send_hedge(hedge)
            except OrderRejectionError as error:
                log.warning("a hedge was refused", component="capital", currency=hedge.currency, problem=error.message)

    def _first(self, account: AccountId) -> int:
        """When the first bot of an account was made: from then on there is something to look after; 0 for none."""
        return min((bot.created for bot in self.figures.bots_of(account)), default=0)

    def settlement_due(self, account: AccountId) -> int:
        """UTC nanoseconds from which an account's profit is settled; far away where it has no bot."""
        since = self.figures.entry(account).settled_at or self._first(account)
        return since + self.figures.settings.compounding.every_days * NS_PER_DAY if since else 2**63 - 1

    def rebalancing_due(self) -> int:
        """UTC nanoseconds of the next rebalancing; far away where there is no bot."""
        stamps = [self.figures.entry(account).rebalanced_at or self._first(account) for account in self._state.accounts]
        since = max(stamps, default=0)
        return since + int(self.figures.settings.rebalance_frequency_hours * NS_PER_HOUR) if since else 2**63 - 1

    def _measure(self, account: AccountId, now: int) -> None:
        """Once a UTC day has ended, book how the pools stood."""
        ended, entry = now // NS_PER_DAY - 1, self.figures.entry(account)
        bots = self.figures.bots_of(account)
        if all((marks := entry.days.get(bot.id)) and marks[-1].day >= ended for bot in bots):
            return
        late = [
            pool
            for pool in self.figures.pools(account)
            if not pool.missing and (not (marks := entry.days.get(pool.owner)) or marks[-1].day < ended)
        ]
        if not late:
            return
        with decimal.localcontext(VIEW):
            measures = tuple(
                PoolMeasure(
                    pool.owner,
                    booked(pool.capital),
                    booked(pool.realised + pool.unrealised + entry.settled.get(pool.owner, ZERO)),
                )
                for pool in late
            )
        self._ledger.record(ev.PoolsMeasured(account=account, day=ended, pools=measures))

    def _open_locks(self, account: AccountId, now: int) -> None:
        for name, lock in tuple(self.figures.entry(account).locks.items()):
            if now >= lock.unlocks_at:
                why = "the notice has ended" if lock.asked_at else "its time has come"
                self._ledger.record(ev.ProfitUnlocked(account=account, lock=name, reason=why))

    def _on_record(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.BreakerTripped) and event.breaker in self.figures.settings.preserve_on_breakers:
            for account in tuple(self._state.accounts):
                if event.scope in (account, ENGINE) and not self.figures.entry(account).preserved:
                    self._preserve(account, f"the breaker {event.breaker.replace('_', ' ')} is open", ENGINE)

    # --- rebalancing -------------------------------------------------------------------------------------------------

    def obstacles(self, now: int) -> tuple[str, ...]:
        """What keeps capital from being rebalanced now, as sentences; empty when nothing does."""
        found = []
        wait = int(self.figures.settings.fund_flow_cooldown_minutes * NS_PER_MINUTE)
        for account in self._state.accounts:
            entry = self.figures.entry(account)
            if entry.preserved:
                found.append(f"The capital of {account} is preserved: {entry.preserved.rstrip('.')}.")
            if not self._steady(account):
                found.append(f"It is not known yet what the venue says of {account}.")
            left = entry.flowed_at + wait - now if entry.flowed_at else 0
            if left > 0:
                found.append(
                    f"Capital of {account} moved lately; the next flow may be in {left / NS_PER_MINUTE:.0f} min."
                )
        return tuple(found)

    def plan(self) -> CapitalPlan:
        """What rebalancing would do now; nothing is moved."""
        return make_plan(self.figures, self._ledger.clock.now(), self._risk)

    def rebalance(self, actor: str, reason: str) -> CapitalPlan:
        """Carry the plan out; returns it.

        Raises:
            ConflictError: Something stands in the way; all of it is listed.
            CapitalManagementError: Capital cannot be valued.
        """
        now = self._ledger.clock.now()
        obstacles = self.obstacles(now)
        if obstacles:
            raise ConflictError(
                f"Capital is not rebalanced now. {' '.join(obstacles)}", details={"obstacles": list(obstacles)}
            )
        plan = make_plan(self.figures, now, self._risk)
        if plan.metrics.missing:
            raise CapitalManagementError(
                f"Capital cannot be shared out while it cannot be valued: {', '.join(plan.metrics.missing)}."
            )
        self._rebalance(plan, reason, actor)
        return plan

    def _rebalance(self, plan: CapitalPlan, reason: str, actor: str) -> None:
        if plan.metrics.missing:
            return
        for account in tuple(self._state.accounts):
            flows = plan.flows.get(account, ())
            self._move(account, FlowCause.REBALANCE, flows, f"{reason} ({plan.method.replace('_', ' ')})", actor)
            self._keep_reserve(account, actor)

    def _move(self, account: AccountId, cause: FlowCause, flows: tuple[FundFlow, ...], reason: str, actor: str) -> None:
        currency = self._state.accounts[account].base_currency
        self._ledger.record(
            ev.FundsMoved(account=account, currency=currency, cause=cause, flows=flows, reason=reason, actor=actor)
        )
        log.info(
            "capital moved", component="capital", account=account, cause=str(cause), reason=reason, actor=actor,
            flows=[f"{flow.source} -> {flow.target}: {flow.amount} {currency}" for flow in flows],
        )  # fmt: skip

    def _keep_reserve(self, account: AccountId, actor: str) -> None:
        """Book what the reserve lacks or has too much."""
        known = self.figures.account(account)
        if known is None:
            return
        with decimal.localcontext(VIEW):
            wanted = floor_to(self.figures.settings.emergency_reserve_pct * known.equity, cent(known.currency))
            change = wanted - known.booked_reserve
        if not change:
            return
        ends = (FREE, RESERVE) if change > ZERO else (RESERVE, FREE)
        self._move(account, FlowCause.RESERVE, (FundFlow(*ends, abs(change)),), "the reserve follows equity", actor)

    # --- profit ------------------------------------------------------------------------------------------------------

    def settle(self, account: AccountId, actor: str) -> ev.ProfitSettled:
        """Lock a part of the profit made since the last settlement and put the rest to work.

        Raises:
            ConflictError: There is less profit than is settled, or capital is preserved.
            CapitalManagementError: The account cannot be valued.
        """
        if (why := self.figures.entry(account).preserved) != "":
            raise ConflictError(f"The capital of {account} is preserved ({why}); let it flow again first.")
        if self.figures.account(account) is None:
            raise CapitalManagementError(f"{account} cannot be valued; wait until its markets are heard.")
        settled = self._settle(account, self._ledger.clock.now(), actor)
        if settled is None:
            least = self.figures.settings.compounding.minimum
            raise ConflictError(f"The bots of {account} have made less than {least:,.2f} since the last settlement.")
        return settled

    def _settle(self, account: AccountId, now: int, actor: str) -> ev.ProfitSettled | None:
        known = self.figures.account(account)
        if known is None or known.preserved:
            return None
        found = settle(self.figures, account, known, spread=True)
        if found is None:
            return None
        lock = f"lock-{secrets.token_hex(3)}" if found.locked else ""
        event = ev.ProfitSettled(
            account=account,
            currency=known.currency,
            profit=found.profit,
            results=found.results,
            flows=found.flows,
            lock=lock,
            locked=found.locked,
            unlocks_at=unlock_time(now, self.figures.settings.profit_lock) if lock else 0,
            compounded=found.compounded,
            actor=actor,
        )
        self._ledger.record(event)
        log.info(
            "profit settled", component="capital", account=account, profit=str(found.profit), locked=str(found.locked),
            compounded=str(found.compounded), actor=actor,
        )  # fmt: skip
        return event

    def unlock(self, account: AccountId, lock: str, reason: str, actor: str) -> int:
        """Ask for a lock to be opened before its time; returns when it opens, UTC nanoseconds.

        Raises:
            NotFoundError: There is no such lock.
            ValidationError: No reason is given.
            ConflictError: It was asked for already, or opens sooner anyway.
        """
        found = self.figures.entry(account).locks.get(lock)
        if found is None:
            known = ", ".join(self.figures.entry(account).locks) or "none"
            raise NotFoundError(f"There is no locked profit {lock!r} in {account}; there is: {known}.")
        if not reason.strip():
            raise ValidationError("Say why; the reason is kept for the audit.")
        due = self._ledger.clock.now() + int(self.figures.settings.profit_lock.notice_hours * NS_PER_HOUR)
        if found.asked_at:
            raise ConflictError(f"The notice for {lock} runs already.")
        if due >= found.unlocks_at:
            raise ConflictError(f"{lock} opens by itself before a notice would end.")
        self._ledger.record(ev.ProfitUnlockAsked(account=account, lock=lock, due=due, reason=reason, actor=actor))
        return due

    # --- preservation ------------------------------------------------------------------------------------------------

    def preserve(self, account: AccountId, reason: str, actor: str) -> None:
        """Stop flows and new allocations, and bring what is not at work into the reserve.

        Raises:
            ValidationError: No reason is given.
            ConflictError: It is preserved already.
        """
        if not reason.strip():
            raise ValidationError("Say why; the reason is kept for the audit.")
        if self.figures.entry(account).preserved:
            raise ConflictError(f"The capital of {account} is preserved already.")
        self._preserve(account, reason, actor)

    def _preserve(self, account: AccountId, reason: str, actor: str) -> None:
        currency = self._state.accounts[account].base_currency
        with decimal.localcontext(VIEW):
            flows = [
                FundFlow(pool.owner, RESERVE, amount)
                for pool in self.figures.pools(account)
                if not pool.missing and (amount := down(pool.free, currency)) > ZERO
            ]
            known = self.figures.account(account)
            given = sum((flow.amount for flow in flows), ZERO)
            # What the bots hold open and what is kept anyway is not free.
            rest = ZERO if known is None else known.equity - known.locked - known.allocated - known.booked_reserve
            if down(rest, currency):
                flows.append(FundFlow(FREE, RESERVE, down(rest, currency)))
        self._ledger.record(
            ev.CapitalPreserved(
                account=account, on=True, reason=reason, actor=actor, currency=currency, flows=tuple(flows)
            )
        )
        log.warning("capital is preserved", component="capital", account=account, reason=reason, returned=str(given))

    def release(self, account: AccountId, reason: str, actor: str) -> None:
        """Let capital flow again; the reserve gives back what is more than its part.

        Raises:
            ValidationError: No reason is given.
            ConflictError: It is not preserved.
        """
        if not reason.strip():
            raise ValidationError("Say why; the reason is kept for the audit.")
        if not self.figures.entry(account).preserved:
            raise ConflictError(f"The capital of {account} is not preserved.")
        self._ledger.record(ev.CapitalPreserved(account=account, on=False, reason=reason, actor=actor))
        self._keep_reserve(account, actor)

    # --- bots --------------------------------------------------------------------------------------------------------

    def check_bot(self, bot: BotEntry) -> None:
        """Refuse a bot that would trade real money with less than its kind needs, or more than one strategy may have.

        On paper both are told where capital is shown, and nothing is refused.

        Raises:
            InsufficientCapitalError: It has too little.
            CapitalManagementError: It has too much.
        """
        pool = next((pool for pool in self.figures.pools() if pool.owner == bot.id), None)
        if pool is None or not pool.live:
            return
        check_minimum(pool.name, pool.strategy, pool.worth, pool.minimum)
        known = self.figures.account(pool.account)
        share = self.figures.settings.max_allocation_pct
        if known is not None and pool.worth > share * known.equity:
            raise CapitalManagementError(
                f"The bot {pool.name} has a capital of {pool.worth:,.2f}, more than {float(share):.0%} of "
                f"{known.equity:,.2f}; give it less, or raise capital_management.max_allocation_pct."
            )

    def free(self, account: AccountId) -> Decimal | None:
        """What bots may still be given, in the account's base currency; None while it cannot be valued."""
        known = self.figures.account(account)
        if known is None or known.missing:
            return None
        return ZERO if known.preserved else known.available
