"""Rules for the entries of bots: their own, stricter limits, and that bots do not stand or trade against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.decimals import ZERO
from engine.model.instrument import CASH_KINDS, InstrumentKind
from engine.model.order import OrderSide, OrderType
from engine.model.owner_limits import terms_of_owner
from engine.model.risk import Refusal, RefusalCode
from engine.risk.words import amount, percent, plain
from engine.state.capital import settled_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from engine.model.commitments import Commitments, Line
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.risk.case import Case
    from engine.state import EngineState

__all__ = ["BOT_RULES", "opponents"]


def own_losses(case: Case) -> Iterator[Refusal]:
    """The losses that a bot's own configuration allows it; what else it bounds is judged with the limits for all."""
    owner = case.request.owner
    own = terms_of_owner(case.state, owner).risk
    if own.max_daily_loss_pct is None and own.max_drawdown_pct is None:
        return
    result = _result(case, owner)
    if result is None:
        yield _unknown(f"the losses of {_name(case.state, owner)}: prices or rates are missing")
        return
    entry = case.state.capital.get(case.request.account)
    days = entry.days.get(owner, []) if entry is not None else []
    capital = case.state.bots[owner].capital
    peak = max((ZERO, result, *(mark.result for mark in days)))
    for limit, since, word in (
        (own.max_daily_loss_pct, days[-1].result if days else ZERO, "since the start of the day"),
        (own.max_drawdown_pct, peak, "from its best"),
    ):
        if limit is not None and since - result >= limit * capital:
            yield Refusal(
                code=RefusalCode.LOCKED,
                message=f"The bot {case.state.bots[owner].name} has lost {amount(since - result, case.base)} {word}; "
                f"its own limit is {percent(limit)} of its capital ({amount(limit * capital, case.base)}). It enters "
                "nothing until that is less.",
                limit=str(limit * capital),
                value=str(since - result),
            )


def _result(case: Case, owner: Owner) -> Decimal | None:
    """Realised and open profit of a bot in all time after costs; None while something has no price."""
    budget = case.budgets.budget(owner) if case.budgets is not None else None
    if budget is None or budget.missing:
        return None
    total = budget.realised + settled_of(case.state, owner)
    for (who, _, instrument_id), position in case.state.owned.items():
        if who != owner or not position.lots:
            continue
        instrument, mark = case.state.instruments[instrument_id], case.picture.mark(instrument_id)
        rate = case.picture.rates.rate(instrument.settle, case.base, instrument.venue)
        if mark is None or rate is None:
            return None
        total += position.unrealised(mark, instrument.multiplier) * rate
    return total


def opposed(case: Case) -> Iterator[Refusal]:
    """No bot enters against another one: the newer is refused, also where the other has another contract."""
    request = case.request
    if case.instrument.kind is InstrumentKind.SPOT and request.side is OrderSide.SELL:
        # Nobody is short on spot; whose the coins are is said by other rules.
        return
    for owner, instrument, line in opponents(
        case.state, case.picture.commitments, request.owner, request.account, case.instrument.id, request.side
    ):
        if instrument == case.instrument.id and case.instrument.kind not in CASH_KINDS:
            # That there is but one position in a contract is said by a rule of its own.
            continue
        held = f"holds {plain(line.quantity)}" if line.quantity else "is entering"
        yield Refusal(
            code=RefusalCode.OPPOSED,
            message=f"The bot {case.state.bots[owner].name} {held} in {instrument} the other way, in the same account; "
            f"bots do not enter against each other. Wait until it has left, or give one of them another account.",
            value=owner,
        )
        return


def opponents(
    state: EngineState,
    commitments: Commitments,
    owner: Owner,
    account: AccountId,
    instrument: InstrumentId,
    side: OrderSide,
) -> Iterator[tuple[Owner, InstrumentId, Line]]:
    """Other bots that stand, or are about to stand, against an entry of a bot: same account, base and quote."""
    if owner not in state.bots:
        return
    here, found = state.instruments[instrument], []
    against = OrderSide.SELL if side is OrderSide.BUY else OrderSide.BUY
    for (who, where, other), line in commitments.owned.items():
        if where != account or who == owner or who not in state.bots:
            continue
        there = state.instruments[other]
        if there.base != here.base or there.quote != here.quote:
            continue
        # With a position, what works the other way takes profit or stops a loss; without one it enters.
        entering = not line.quantity and line.working(against) > ZERO and there.kind is not InstrumentKind.SPOT
        if line.quantity * side.sign < ZERO or entering:
            found.append((who, other, line))
    yield from sorted(found, key=lambda one: one[:2])


def crossing(case: Case) -> Iterator[Refusal]:
    """No bot's entry executes against an order of another bot in the same account."""
    request = case.request
    if request.owner not in case.state.bots or request.post_only:
        return
    quote = case.quote
    touch = None if quote is None else quote.ask if request.side is OrderSide.BUY else quote.bid
    price = request.price if request.type is OrderType.LIMIT else touch if request.type is OrderType.MARKET else None
    if price is None:
        return
    for order in case.state.orders.values():
        if (
            order.instrument == request.instrument
            and order.account == request.account
            and order.owner != request.owner
            and order.owner in case.state.bots
            and order.type is OrderType.LIMIT
            and order.side is not request.side
            and order.price is not None
            and (order.price - price) * request.side.sign <= ZERO
        ):
            yield Refusal(
                code=RefusalCode.CROSSING,
                message=f"The entry would execute against the order of {_name(case.state, order.owner)} at "
                f"{plain(order.price)} in the same account; bots do not trade against each other.",
                limit=str(order.price),
                value=str(price),
            )
            return


def _name(state: EngineState, owner: Owner) -> str:
    return f"the bot {state.bots[owner].name}"


def _unknown(what: str) -> Refusal:
    return Refusal(
        code=RefusalCode.EVALUATION_FAILED,
        message=f"Nobody can tell {what}; until that is known nothing new is opened.",
    )


BOT_RULES = (own_losses, opposed, crossing)
"""All of them, in the order in which their reasons are listed."""
