"""The view of exits that are thought of: what would be sent, where each order waits, and what risk says to it."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.control.present.orders import plain
from engine.control.views_orders import ExitsPreview
from engine.errors import ConflictError, ValidationError
from engine.execution.emulation import waits_here
from engine.model.decimals import ZERO
from engine.model.ids import MANUAL, InstrumentId
from engine.model.instrument import CASH_KINDS
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from engine.control.requests_exits import PlaceExits, PreviewExits
    from engine.engine import Engine
    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument

__all__ = ["check_sides", "exit_requests", "exits_preview"]

STOP_AWAY, TARGET_AWAY = Decimal("0.02"), Decimal("0.04")
"""Where exits are proposed: a gain twice as far from the market as the loss."""
AT_VENUE, HERE = "rests at the venue", "only while the engine lives"


def check_sides(engine: Engine, request: PreviewExits) -> None:
    """Refuse exits that would end a position the wrong way round, or at once.

    Raises:
        ValidationError: No price is given, stop and target stand on the wrong sides of each other, or one of them on
            the wrong side of the market.
    """
    stop, target = request.stop_price, request.target_price
    if stop is None and target is None:
        raise ValidationError("Give a stop price, a target price, or both; nothing was sent.")
    if stop is not None and target is not None and (target > stop) is not (request.side is OrderSide.SELL):
        raise ValidationError(
            "To sell, the target is above the stop; to buy, below it. Check side, stop price and target price."
        )
    mark = engine.mark(InstrumentId(request.instrument))
    for name, price, sign in (("stop", stop, -1), ("target", target, 1)):
        # Of a long position the stop is below the market and the target above it; of a short one, the other way round.
        if mark is not None and price is not None and (price - mark) * -request.side.sign * sign <= 0:
            raise ValidationError(
                f"The {name} at {plain(price)} is on the wrong side of the market at {plain(mark)}: it would be "
                "executed at once. To leave now, close the position."
            )


def exit_requests(
    engine: Engine, request: PlaceExits | PreviewExits, quantity: Decimal, reason: str, group: str | None
) -> list[OrderRequest]:
    """The orders that exits come to, the stop first.

    Args:
        engine: Knows the account.
        request: What is asked for.
        quantity: Base units, or contracts.
        reason: Why, for the record.
        group: Name of the group of which the first to be executed ends the other; of no use to one alone.
    """
    instrument = InstrumentId(request.instrument)
    levels = ((OrderType.STOP_LOSS, request.stop_price), (OrderType.TAKE_PROFIT, request.target_price))
    return [
        OrderRequest(
            account=engine.account_for(instrument, request.account),
            instrument=instrument,
            owner=MANUAL,
            side=request.side,
            type=kind,
            quantity=quantity,
            stop_price=level,
            reduce_only=getattr(request, "reduce_only", True),
            oco_group=group if None not in (request.stop_price, request.target_price) else None,
            decision=Decision(reason=reason),
        )
        for kind, level in levels
        if level is not None
    ]


def exits_preview(engine: Engine, asked: PreviewExits) -> ExitsPreview:
    """What exits would come to; nothing is booked.

    Raises:
        NotFoundError: No such instrument or account.
        ConflictError: There is no position of one's own that an order of this side would reduce.
        ValidationError: Stop and target stand on the wrong sides of each other.
    """
    key = InstrumentId(asked.instrument)
    instrument = engine.hub.market(key).instrument
    account = engine.account_for(key, asked.account)
    quantity = asked.quantity or _held(engine, account, instrument, asked.side)
    if asked.stop_price is None and asked.target_price is None:
        asked = asked.model_copy(update=_proposed(engine, account, instrument, asked.side))
    check_sides(engine, asked)
    venue, cash = engine.unit(key).venue, instrument.kind in CASH_KINDS
    both = None not in (asked.stop_price, asked.target_price)
    stop_held = waits_here(venue, OrderType.STOP_LOSS, cash=cash)
    # The stop goes first: where the venue links no orders, the target waits here if the stop rests there.
    target_held = waits_here(venue, OrderType.TAKE_PROFIT, cash=cash, beside=both and not stop_held)
    orders = exit_requests(engine, asked, quantity, "preview", None)
    refusals = {refusal.message: refusal for order in orders for refusal in engine.desk.judge(order).refusals}
    return ExitsPreview(
        instrument=key,
        account=account,
        side=asked.side,
        quantity=quantity,
        stop_price=asked.stop_price,
        target_price=asked.target_price,
        stop_held=stop_held,
        target_held=target_held,
        refusals=tuple(refusals.values()),
        sentence=_sentence(asked, instrument, account, quantity, stop_held=stop_held, target_held=target_held),
    )


def _held(engine: Engine, account: AccountId, instrument: Instrument, side: OrderSide) -> Decimal:
    """All whole lots of one's own position that an order of this side would reduce."""
    position = engine.state.owned.get((MANUAL, account, instrument.id))
    held = position.quantity if position is not None else ZERO
    quantity = instrument.floor_quantity(abs(held))
    if not quantity or (held > 0) is not (side is OrderSide.SELL):
        raise ConflictError(
            f"You have no position in {instrument.id} that a {side} would reduce; those of bots are looked after by "
            "the bots."
        )
    return quantity


def _proposed(engine: Engine, account: AccountId, instrument: Instrument, side: OrderSide) -> dict[str, Decimal | None]:
    position = engine.state.owned.get((MANUAL, account, instrument.id))
    price = engine.mark(instrument.id) or (position.average_price() if position is not None else None)
    if price is None:
        raise ConflictError(f"Nothing is known of the price of {instrument.id} yet; name a stop or a target price.")
    way = -side.sign
    with decimal.localcontext(VIEW):
        return {
            "stop_price": instrument.round_price(price * (1 - way * STOP_AWAY)),
            "target_price": instrument.round_price(price * (1 + way * TARGET_AWAY)),
        }


def _sentence(
    asked: PreviewExits,
    instrument: Instrument,
    account: AccountId,
    quantity: Decimal,
    *,
    stop_held: bool,
    target_held: bool,
) -> str:
    unit = instrument.base if instrument.kind in CASH_KINDS else "contracts"
    parts = [
        f"{word} at {plain(price)} {instrument.quote} ({HERE if held else AT_VENUE})"
        for word, price, held in (
            ("stop", asked.stop_price, stop_held),
            ("target", asked.target_price, target_held),
        )
        if price is not None
    ]
    what = f"{asked.side.upper()} {plain(quantity)} {unit} of {instrument.symbol}"
    end = "; the first that is executed ends the other" if len(parts) > 1 else ""
    return f"{what}: {', '.join(parts)}{end}, on {instrument.venue}, account {account}"
