"""Our orders as OKX wants to be asked for them.

Ordinary orders go to `trade/order`, stop and take-profit orders to `trade/order-algo` as one-way conditional orders
whose trigger is the last price. Sizes are in base currency for spot, market buys included, and in contracts for swaps.

An OCO of OKX (`ordType` oco) is one order with two triggers under one id. Here the two legs are two orders with an id
each, which may be changed and cancelled apart, so the pair is not given to OKX as one; the engine links them itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import ValidationError
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.venues.okx.tables import request

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.instrument import Instrument
    from engine.model.venue import MarginMode, OrderCommand
    from engine.venues.native.request import Endpoint

__all__ = ["WAITING", "amend_algo", "amend_order", "cancel_algo", "cancel_order", "place"]

WAITING = frozenset({OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
"""Kinds that wait for a trigger as algo orders."""
_AT_MARKET = "-1"
Request = tuple["Endpoint", Any]


def text(value: Decimal) -> str:
    """A number as OKX reads it, never with an exponent."""
    return format(value.normalize(), "f")


def place(symbol: str, instrument: Instrument, command: OrderCommand, mode: MarginMode) -> Request:
    """The request that sends an order.

    Args:
        symbol: OKX's name of the instrument.
        instrument: What it is.
        command: The order.
        mode: Margin mode of swaps; spot is paid in cash.

    Raises:
        ValidationError: OKX has no such order; nothing was sent.
    """
    swap = instrument.kind is not InstrumentKind.SPOT
    common: dict[str, Any] = {
        "instId": symbol,
        "tdMode": mode.value if swap else "cash",
        "side": command.side.value,
        "sz": text(command.quantity),
    }
    if command.reduce_only and swap:
        common["reduceOnly"] = True
    if command.type in WAITING:
        return _waiting(command, common, swap=swap)
    if command.type is OrderType.LIMIT and command.price is None:
        raise ValidationError("A limit order needs a price.")
    kind = _kind(command)
    common |= {"clOrdId": command.client_id, "ordType": kind}
    if command.price is not None:
        common["px"] = text(command.price)
    if kind == "market" and not swap:
        common["tgtCcy"] = "base_ccy"
    return request("place", **common)


def _kind(command: OrderCommand) -> str:
    if command.post_only:
        if command.type is OrderType.MARKET or command.tif is not TimeInForce.GTC:
            raise ValidationError("A post-only order rests, so it is a limit order that is good till cancelled.")
        return "post_only"
    if command.type is OrderType.MARKET:
        # With a price it is a market order with a collar: what cannot be had within it is not wanted.
        return "market" if command.price is None else "ioc"
    return {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}[command.tif]


def _waiting(command: OrderCommand, common: dict[str, Any], *, swap: bool) -> Request:
    if command.stop_price is None:
        raise ValidationError("A stop or take-profit order needs a trigger price.")
    if command.post_only:
        raise ValidationError("OKX has no post-only stop and take-profit orders.")
    side = "sl" if command.type is OrderType.STOP_LOSS else "tp"
    common |= {
        "algoClOrdId": command.client_id,
        "ordType": "conditional",
        f"{side}TriggerPx": text(command.stop_price),
        f"{side}TriggerPxType": "last",
        f"{side}OrdPx": _AT_MARKET if command.price is None else text(command.price),
    }
    if not swap:
        common["tgtCcy"] = "base_ccy"
    return request("place_algo", **common)


def cancel_order(symbol: str, *, client_id: str | None = None, order_id: str | None = None) -> Request:
    """The request that cancels an ordinary order by our id or by OKX's."""
    return request("cancel", instId=symbol, clOrdId=client_id, ordId=order_id)


def cancel_algo(symbol: str, *, client_id: str | None = None, algo_id: str | None = None) -> Request:
    """The request that cancels an algo order by our id or by OKX's; OKX wants a list."""
    endpoint, params = request("cancel_algo", instId=symbol, algoClOrdId=client_id, algoId=algo_id)
    return endpoint, [params]


def amend_order(symbol: str, client_id: str, tag: str, *, quantity: Decimal | None, price: Decimal | None) -> Request:
    """The request that changes an ordinary order; the quantity counts what is filled already.

    Args:
        symbol: OKX's name of the instrument.
        client_id: Our id.
        tag: Names the change, so that its outcome is told apart.
        quantity: New quantity; None keeps it.
        price: New price; None keeps it.
    """
    return request(
        "amend",
        instId=symbol,
        clOrdId=client_id,
        reqId=tag,
        newSz=None if quantity is None else text(quantity),
        newPx=None if price is None else text(price),
    )


def amend_algo(
    symbol: str,
    client_id: str,
    tag: str,
    kind: OrderType,
    *,
    quantity: Decimal | None,
    price: Decimal | None,
    stop_price: Decimal | None,
) -> Request:
    """The request that changes a stop or take-profit order that still waits."""
    side = "Sl" if kind is OrderType.STOP_LOSS else "Tp"
    changes = {
        f"new{side}TriggerPx": None if stop_price is None else text(stop_price),
        f"new{side}OrdPx": None if price is None else text(price),
    }
    return request(
        "amend_algo",
        instId=symbol,
        algoClOrdId=client_id,
        reqId=tag,
        newSz=None if quantity is None else text(quantity),
        **changes,
    )
