"""Views of orders, fills and previews."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.control.present.derivatives import standing_after
from engine.control.views import FillRow, OrderPreview, OrderRow
from engine.errors import ValidationError
from engine.execution.emulation import is_held
from engine.execution.selection import choose
from engine.model.decimals import ONE, ZERO
from engine.model.ids import MANUAL, InstrumentId, Owner
from engine.model.instrument import CASH_KINDS, InstrumentKind
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from engine.model.reserve import expected_price, reservation

if TYPE_CHECKING:
    from engine.control.requests import PreviewOrder
    from engine.engine import Engine
    from engine.events import OrderFilled
    from engine.execution.selection import SelectionSettings
    from engine.model.impact import ImpactEstimate
    from engine.model.instrument import Instrument
    from engine.model.market import BookView
    from engine.model.order import Order
    from engine.model.risk import Quote

__all__ = ["fill_row", "order_row", "owner_name", "plain", "preview", "to_request"]

_SHOWN = decimal.Context(prec=28)


def owner_name(engine: Engine, owner: Owner) -> str:
    """What a person calls an owner: the bot's name, `manual` or `external`."""
    bot = engine.state.bots.get(owner)
    return bot.name if bot is not None else str(owner)


def order_row(engine: Engine, order: Order) -> OrderRow:
    """An order as a row."""
    return OrderRow(
        client_id=order.client_id,
        venue_order_id=str(order.venue_order_id or ""),
        account=order.account,
        instrument=order.instrument,
        owner=order.owner,
        owner_name=owner_name(engine, order.owner),
        side=order.side,
        type=order.type,
        tif=order.tif,
        quantity=order.quantity,
        filled=order.filled,
        price=order.price,
        stop_price=order.stop_price,
        average_price=_SHOWN.divide(order.cost, order.filled) if order.filled else None,
        status=order.status,
        cancel_requested=order.cancel_requested,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        created=order.created,
        updated=order.updated,
        reason=order.reason or order.decision.reason,
        held=is_held(order),
    )


def fill_row(engine: Engine, seq: int, event: OrderFilled) -> FillRow:
    """An execution as a row; `seq` is the fact's number."""
    fill = event.fill
    order = engine.state.order(fill.client_id)
    owner = order.owner if order is not None else Owner("unknown")
    return FillRow(
        seq=seq,
        ts=fill.ts,
        instrument=fill.instrument,
        owner=owner,
        owner_name=owner_name(engine, owner),
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        liquidity=fill.liquidity,
        client_id=fill.client_id,
        account=fill.account,
    )


def to_request(engine: Engine, asked: PreviewOrder, quantity: Decimal, reason: str) -> OrderRequest:
    """The order request of what a person asked for, as a manual order."""
    return OrderRequest(
        account=engine.account_for(InstrumentId(asked.instrument), asked.account),
        instrument=InstrumentId(asked.instrument),
        owner=MANUAL,
        side=asked.side,
        type=asked.type,
        quantity=quantity,
        price=asked.price,
        stop_price=asked.stop_price,
        tif=asked.tif,
        post_only=asked.post_only,
        reduce_only=asked.reduce_only,
        decision=Decision(reason=reason),
    )


def preview(engine: Engine, asked: PreviewOrder) -> OrderPreview:
    """What an order would cost now and whether risk would let it pass; nothing is booked.

    Raises:
        NotFoundError: No such instrument.
        ValidationError: Neither a quantity nor a share is given.
    """
    market = engine.hub.market(InstrumentId(asked.instrument))
    instrument, quote = market.instrument, market.quote()
    draft = to_request(engine, asked, asked.quantity or ONE, "preview")
    leverage = engine.state.margin(draft.account, instrument.id).leverage
    currency, unit = reservation(draft, instrument, quote, leverage)
    engine.risk.picture.look()
    free = max(
        engine.risk.picture.free_units(MANUAL, draft.account, currency)
        if currency == instrument.base
        else engine.risk.picture.free_funds(draft.account, currency),
        ZERO,
    )
    quantity = asked.quantity
    if quantity is None:
        if asked.percent is None:
            raise ValidationError("Say how much: a quantity, or a share of what is free.")
        quantity = _share(instrument, free * asked.percent, unit)
    request = to_request(engine, asked, quantity, "preview")
    verdict = engine.desk.judge(request)
    price, slippage = _likely_price(request, instrument, market.book, quote)
    engine.impact.look_soon(instrument.id)
    impact = engine.impact.of_request(request)
    notional = fee = total = None
    if price is not None:
        rules = instrument.current_rules
        notional = instrument.notional(price, quantity)
        rate = rules.maker_fee if asked.type is OrderType.LIMIT and asked.post_only else rules.taker_fee
        fee = notional * rate
        total = notional + fee if asked.side is OrderSide.BUY else notional - fee
    return OrderPreview(
        instrument=instrument.id,
        side=asked.side,
        type=asked.type,
        quantity=quantity,
        price=asked.price,
        stop_price=asked.stop_price,
        expected_price=price,
        notional=notional,
        fee=fee,
        total=total,
        currency=instrument.quote,
        available=free,
        available_currency=currency,
        slippage_pct=slippage,
        passed=verdict.passed,
        refusals=verdict.refusals,
        sentence=_sentence(request, instrument),
        impact=impact,
        advice=_advice(impact, engine.planner.rules),
        **_derivative(engine, request, instrument, price),
    )


def _advice(impact: ImpactEstimate | None, rules: SelectionSettings) -> str:
    """How an order with a large impact would better be traded."""
    choice = choose(impact, settings=rules) if impact is not None else None
    if choice is None or not choice.duration_ns:
        return ""
    way = str(choice.algorithm).replace("_", " ")
    return f"Better over {choice.duration_ns / 60e9:.0f} min by {way}."


def _derivative(
    engine: Engine, request: OrderRequest, instrument: Instrument, price: Decimal | None
) -> dict[str, Decimal | None]:
    """What a preview says about margin; nothing for spot."""
    if instrument.kind in CASH_KINDS or price is None:
        return {}
    signed = request.side.sign * request.quantity
    margin, liquidation = standing_after(engine, request.account, instrument, signed, price)
    leverage = engine.state.margin(request.account, instrument.id).leverage
    return {"leverage": leverage, "margin": margin, "liquidation_price": liquidation}


def _share(instrument: Instrument, funds: Decimal, unit: Decimal) -> Decimal:
    return instrument.floor_quantity(funds / unit) if unit else ZERO


def _likely_price(
    request: OrderRequest, instrument: Instrument, book: BookView, quote: Quote | None
) -> tuple[Decimal | None, float | None]:
    """The mean price from the visible book for what executes at once, and its distance from the middle."""
    price = expected_price(request, quote)
    mark = quote.mark if quote is not None else None
    if request.type is OrderType.MARKET and request.quantity > 0:
        left = instrument.quantity_to_int(instrument.floor_quantity(request.quantity))
        wanted, value = left, 0
        for level, available in book.levels(request.side):
            take = min(left, available)
            value += take * level
            left -= take
            if not left:
                break
        if wanted and not left:
            price = _SHOWN.divide(instrument.price_from_int(value), Decimal(wanted))
            price = instrument.round_price(price, up=request.side is OrderSide.BUY)
    if price is None or not mark:
        return price, None
    return price, float(price / mark - 1) * request.side.sign


def plain(value: Decimal) -> str:
    """An amount without trailing zeros, as a sentence says it."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sentence(request: OrderRequest, instrument: Instrument) -> str:
    unit = instrument.base if instrument.kind in CASH_KINDS else "contracts"
    parts = [f"{request.side.upper()} {plain(request.quantity)} {unit} of {instrument.symbol}"]
    match request.type:
        case OrderType.MARKET:
            parts.append("at the market")
        case OrderType.LIMIT:
            parts.append(f"at {plain(request.price or ZERO)} {instrument.quote} or better")
        case _:
            way = "stop" if request.type is OrderType.STOP_LOSS else "take profit"
            parts.append(f"as a {way} triggered at {plain(request.stop_price or ZERO)} {instrument.quote}")
            if request.price is not None:
                parts.append(f"with the limit {plain(request.price)}")
    if request.type is not OrderType.MARKET:
        parts.append(f"({request.tif})")
    if request.post_only:
        parts.append("post-only")
    if request.reduce_only:
        parts.append("reduce-only")
    kind = "" if instrument.kind is InstrumentKind.SPOT else f" {instrument.kind.replace('_', ' ')}"
    return f"{' '.join(parts)}{kind} on {instrument.venue}, account {request.account}"
