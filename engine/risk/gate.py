"""The risk gate: the one door every order passes, with every reason against it at once.

An order is a *reduction* when it can only shrink the position it belongs to (the owner's; for manual orders the whole
account's), whatever fills first: it and all other open orders of its side together are no larger than the position, and
on spot the account has the units free, for manual orders beside the coins of bots. By hand deposited coins, which are
no position, are sold as a reduction too, but not by an order that is reduce only: that closes what was bought by hand
and no more. Reductions are checked for shape, tick and lot only; no limit, throttle, breaker, halt or stale market
holds them up, so that stops work and positions can always be closed; only while an emergency stop closes a position
itself does it close alone. Everything else is an entry and must pass every rule. A rule that cannot be evaluated
refuses entries and lets reductions through.
"""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from engine.logs import get_logger
from engine.model.asset_classes import AssetClasses
from engine.model.instrument import CASH_KINDS, InstrumentKind
from engine.model.owner_limits import limits_of_owner
from engine.model.risk import Refusal, RefusalCode, Verdict
from engine.model.valuation import VIEW
from engine.resilience.caution import Caution
from engine.risk.case import Case
from engine.risk.clusters import Clusters
from engine.risk.emergency import Closers
from engine.risk.exposure import Grouping
from engine.risk.picture import Picture
from engine.risk.rules import ENTRY_RULES
from engine.risk.shape import shape_refusals
from engine.risk.throttle import Throttle
from engine.risk.timing import StepTimes
from engine.risk.words import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.model.budget import BotBudgets
    from engine.model.commitments import Commitments
    from engine.model.ids import ClientOrderId
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits
    from engine.model.order import OrderRequest
    from engine.model.risk import Quotes
    from engine.risk.scopes import Scope
    from engine.state import EngineState

__all__ = ["RiskGate"]

log = get_logger(__name__)

TRADED = CASH_KINDS | {InstrumentKind.LINEAR_PERPETUAL}
"""Kinds whose profit and margin are understood here."""
_PASSED = Verdict()
_REDUCTION = Verdict(reduces=True)


class RiskGate:
    """Judges orders against the limits in force. Implements `engine.model.risk.Gate`.

    Args:
        state: What the engine knows.
        quotes: Present markets.
        limits: Gives the limits in force.
        commitments: The running sums; subscribe its `hear` to the ledger to make checks cheap.
        budgets: Owners' capital; None where owners have no capital of their own.
        caution: What is impaired; None where nothing ever is.
        grouping: Classes of assets and what moves together; None for the usual classes and no known correlation.
        times: Where it is noted how long checks take; None to measure nothing.
    """

    def __init__(
        self,
        state: EngineState,
        quotes: Quotes,
        limits: Callable[[], RiskLimits],
        commitments: Commitments,
        budgets: BotBudgets | None = None,
        caution: Caution | None = None,
        grouping: Grouping | None = None,
        times: StepTimes | None = None,
    ) -> None:
        self.picture = Picture(state, quotes, commitments)
        self.throttle = Throttle()
        self.closing: set[Scope] = set()
        """Scopes that an emergency stop is closing right now; nobody else may order there, not even reductions."""
        self.closers = Closers()
        """The closing orders of emergency stops."""
        self._state = state
        self._limits = limits
        self._budgets = budgets
        self._caution = caution or Caution()
        self.times = times or StepTimes(lambda: 0)
        """How long checks take."""
        self._monotonic = self.times.monotonic
        self._grouping = grouping or Grouping.by(AssetClasses(), Clusters())

    def check(self, request: OrderRequest, now: int, replaces: ClientOrderId | None = None) -> Verdict:
        """Judge a request without side effects, as if the order `replaces` were already gone.

        Never raises: what cannot be evaluated is refused with EVALUATION_FAILED and logged.
        """
        outer = decimal.getcontext()
        decimal.setcontext(VIEW)
        began = self._monotonic()
        try:
            return self._check(request, now, replaces)
        except Exception as error:
            log.exception("risk check failed", instrument=request.instrument, owner=request.owner)
            return Verdict(refusals=(_failed(error),))
        finally:
            self.times.note("gate", self._monotonic() - began)
            decimal.setcontext(outer)

    def passed(self, request: OrderRequest, now: int) -> None:
        """Count an order that was booked, for the order-rate throttle."""
        self.throttle.count(request.owner, now)

    def _check(self, request: OrderRequest, now: int, replaces: ClientOrderId | None) -> Verdict:
        instrument = self._state.instruments.get(request.instrument)
        unknown = self._unknown(request, instrument)
        if unknown is not None or instrument is None:
            return Verdict(refusals=(unknown,) if unknown is not None else ())
        refusals = [*shape_refusals(request, instrument.rules_at(now)), *self._of_others_group(request)]
        malformed = any(refusal.code is RefusalCode.BAD_ORDER for refusal in refusals)
        if not malformed:
            self.picture.look()
            if self.closing and (other := self._being_closed(request)) is not None:
                return Verdict(refusals=(*refusals, other))
            if self.picture.reduces(request, instrument, replaces, everything=self.closers.sends(request)):
                return Verdict(refusals=tuple(refusals), reduces=True) if refusals else _REDUCTION
            if request.reduce_only:
                refusals.append(self._not_reducing(request, instrument))
        # A request without usable numbers cannot be measured; whether trading is halted can still be said.
        rules = ENTRY_RULES[:1] if malformed else ENTRY_RULES
        limits = self._limits()
        case = Case(
            request=request,
            replaces=replaces,
            instrument=instrument,
            now=now,
            limits=limits,
            own=limits_of_owner(self._state, request.owner, limits),
            state=self._state,
            picture=self.picture,
            throttle=self.throttle,
            budgets=self._budgets,
            caution=self._caution,
            grouping=self._grouping,
        )
        for rule in rules:
            refusals.extend(rule(case))
        return Verdict(refusals=tuple(refusals)) if refusals else _PASSED

    def _unknown(self, request: OrderRequest, instrument: Instrument | None) -> Refusal | None:
        if instrument is None:
            return Refusal(
                code=RefusalCode.UNKNOWN_INSTRUMENT,
                message=f"The instrument {request.instrument} is not known; list the instruments of its venue first.",
            )
        account = self._state.accounts.get(request.account)
        if account is None:
            return Refusal(
                code=RefusalCode.UNKNOWN_ACCOUNT,
                message=f"The account {request.account} is not known; choose one of: "
                f"{', '.join(self._state.accounts) or 'none is open yet'}.",
            )
        if instrument.kind not in TRADED:
            return Refusal(
                code=RefusalCode.KIND,
                message=f"{instrument.id} is of the kind {instrument.kind.replace('_', ' ')}, which is not traded "
                "here; choose spot or a linear perpetual.",
                value=instrument.kind,
            )
        if account.venue != instrument.venue:
            return Refusal(
                code=RefusalCode.UNKNOWN_ACCOUNT,
                message=f"The account {account.id} is at {account.venue} and cannot trade {instrument.id}.",
            )
        return None

    def _of_others_group(self, request: OrderRequest) -> Iterator[Refusal]:
        # A group holds the funds of its largest member only: another owner's would let this one spend what it has not.
        for client_id in self._state.oco.get(request.oco_group or "", ()):
            member = self._state.orders.get(client_id)
            if member is not None and (member.owner, member.account) != (request.owner, request.account):
                yield Refusal(
                    code=RefusalCode.BAD_ORDER,
                    message=f"The group {request.oco_group} belongs to {member.owner} in the account {member.account}; "
                    "orders that end one another must be of one owner and one account.",
                )
                return

    def _being_closed(self, request: OrderRequest) -> Refusal | None:
        # A protective order placed anew for every one that is cancelled would hold the funds that closing needs.
        if self.closers.sends(request):
            return None
        for scope in self.closing:
            if scope.covers(self._state, request.owner, request.account, request.instrument):
                return Refusal(
                    code=RefusalCode.HALTED,
                    message=f"The emergency stop is closing {scope.words}; nothing else is sent until it is done.",
                    value=scope.key,
                )
        return None

    def _not_reducing(self, request: OrderRequest, instrument: Instrument) -> Refusal:
        most = self.picture.reducible(request.owner, request.account, instrument, request.side)
        return Refusal(
            code=RefusalCode.REDUCE_ONLY,
            message=f"The order may only reduce, but {request.side} {plain(request.quantity)} could do more: beside "
            f"the other open orders at most {plain(most)} {instrument.base} can be closed.",
            limit=str(most),
            value=str(request.quantity),
        )


def _failed(error: Exception) -> Refusal:
    return Refusal(
        code=RefusalCode.EVALUATION_FAILED,
        message=f"The risk check itself failed ({type(error).__name__}), so nothing new is opened; "
        f"closing positions still works. The log has the details.",
    )
