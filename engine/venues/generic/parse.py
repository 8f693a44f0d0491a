"""ccxt's unified structures as model objects. Numbers are exact decimals; a float never gets past here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import DataValidationError
from engine.model.candle import Candle
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import MarketTrade, Ticker
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import VenueBalance, VenueOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.venue import OrderCommand

__all__ = [
    "balances", "candle", "exact", "fill", "instrument", "levels", "market_trade", "order", "ticker",
]  # fmt: skip

MS = 1_000_000


def exact(value: Any) -> Decimal | None:
    """A number as ccxt gives it: text, a whole number or a decimal; None for none.

    Raises:
        DataValidationError: It is a float, which may be any of many numbers.
    """
    if value is None or value == "":
        return None
    if isinstance(value, float):
        raise DataValidationError(f"ccxt gives {value!r} as a float; only exact numbers are booked.")
    found = value if isinstance(value, Decimal) else Decimal(str(value))
    return found if found.is_finite() else None


def _shortest(value: Any) -> Decimal | None:
    """A number that ccxt has as a float whatever it is told, in books and constants: its shortest text is meant."""
    return exact(repr(value) if isinstance(value, float) else value)


def _or_zero(value: Any) -> Decimal:
    return exact(value) or Decimal(0)


def _places(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _step(value: Any, *, places: bool) -> Decimal:
    """A step; ccxt gives it as such, or as a number of decimal places."""
    number = _shortest(value)
    if number is None or (number <= 0 and not places):
        return Decimal(1).scaleb(-8)
    return Decimal(1).scaleb(-int(number)) if places else number.normalize()


def instrument(venue: VenueId, market: dict[str, Any], *, places: bool) -> Instrument | None:
    """A market that can be traded here: spot, or a linear perpetual; None for anything else.

    Args:
        venue: Whose it is.
        market: ccxt's unified market.
        places: Whether its precision counts decimal places rather than naming steps.
    """
    perpetual = bool(market.get("swap") and market.get("linear"))
    if market.get("active") is False or not (market.get("spot") or perpetual) or not market.get("quote"):
        return None
    tick = _step(market["precision"].get("price"), places=places)
    lot = _step(market["precision"].get("amount"), places=places)
    limits = market.get("limits") or {}
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick,
        lot=lot,
        min_quantity=_shortest((limits.get("amount") or {}).get("min")) or Decimal(0),
        max_quantity=_shortest((limits.get("amount") or {}).get("max")) or Decimal(0),
        min_notional=_shortest((limits.get("cost") or {}).get("min")) or Decimal(0),
        maker_fee=_shortest(market.get("maker")) or Decimal(0),
        taker_fee=_shortest(market.get("taker")) or Decimal(0),
    )
    return Instrument(
        id=InstrumentId(f"{venue}:{market['symbol']}"),
        venue=venue,
        symbol=str(market["symbol"]),
        kind=InstrumentKind.LINEAR_PERPETUAL if perpetual else InstrumentKind.SPOT,
        base=Currency(market["base"]),
        quote=Currency(market["quote"]),
        settle=Currency(market.get("settle") or market["quote"]),
        rules=(rules,),
        multiplier=_shortest(market.get("contractSize")) or Decimal(1) if perpetual else Decimal(1),
        price_scale=max(8, _places(tick)),
        quantity_scale=max(8, _places(lot)),
    )


def levels(side: Sequence[Sequence[Any]], of: Instrument, depth: int) -> dict[int, int]:
    """The first levels of a side in scaled integers, on the instrument's own grid of decimal places."""
    found: dict[int, int] = {}
    for level in side[:depth]:
        price, quantity = _shortest(level[0]), _shortest(level[1])
        if price is not None and quantity:
            key = int(price.scaleb(of.price_scale).to_integral_value())
            found[key] = found.get(key, 0) + int(quantity.scaleb(of.quantity_scale).to_integral_value())
    return found


def market_trade(told: dict[str, Any], of: Instrument) -> MarketTrade | None:
    """A public execution; None for one that lacks price, quantity or side."""
    price, quantity = exact(told.get("price")), exact(told.get("amount"))
    if price is None or not quantity or told.get("side") not in {"buy", "sell"}:
        return None
    return MarketTrade(
        instrument=of.id,
        ts=int(told.get("timestamp") or 0) * MS,
        trade_id=TradeId(str(told.get("id") or f"{told.get('timestamp')}-{price}-{quantity}")),
        price=int(price.scaleb(of.price_scale).to_integral_value()),
        quantity=int(quantity.scaleb(of.quantity_scale).to_integral_value()),
        aggressor=OrderSide(told["side"]),
    )


def candle(row: Sequence[Any], of: Instrument, timeframe: str) -> Candle:
    """A bar; bars are computed with, never booked, so that they hold floats."""
    opened, high, low, close = (float(value or 0) for value in row[1:5])
    return Candle(of.id, timeframe, int(row[0]) * MS, opened, high, low, close, float(row[5] or 0))


STATUSES = {
    "open": OrderStatus.ACCEPTED,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "canceling": OrderStatus.ACCEPTED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


def order(
    told: dict[str, Any], account: AccountId, of: Instrument, asked: OrderCommand | None = None
) -> VenueOrder | None:
    """An order; None for a telling that lacks what makes one, such as the bare id in some answers.

    Args:
        told: ccxt's unified order.
        account: Whose.
        of: Its market.
        asked: As it was sent, for what ccxt leaves out.
    """
    quantity = exact(told.get("amount"))
    side = told.get("side")
    if asked is not None:
        quantity, side = asked.quantity if quantity is None else quantity, side or asked.side.value
    if not told.get("id") or quantity is None or side not in {"buy", "sell"}:
        return None
    filled = exact(told.get("filled"))
    if filled is None:
        if told.get("status") not in {"open", "rejected", None}:
            # An end without a word about what was executed says nothing.
            return None
        filled = Decimal(0)
    created = int(told.get("timestamp") or 0) * MS
    changed = told.get("lastUpdateTimestamp") or told.get("lastTradeTimestamp")
    stop = exact(told.get("triggerPrice"))
    kind = OrderType.MARKET if told.get("type") == "market" else OrderType.LIMIT
    at_once = told.get("timeInForce") in {"IOC", "FOK"} or kind is OrderType.MARKET
    return VenueOrder(
        client_id=ClientOrderId(str(told.get("clientOrderId") or "")),
        venue_order_id=VenueOrderId(str(told["id"])),
        account=account,
        instrument=of.id,
        side=OrderSide(side),
        type=OrderType.STOP_LOSS if stop else kind,
        quantity=quantity,
        filled=filled,
        status=_status(told, filled, quantity, at_once or (asked is not None and asked.tif is not TimeInForce.GTC)),
        created=created,
        updated=int(changed) * MS if changed else created,
        price=exact(told.get("price")) if kind is OrderType.LIMIT else None,
        stop_price=stop,
    )


def _status(told: dict[str, Any], filled: Decimal, quantity: Decimal, at_once: bool) -> OrderStatus:
    """Where an order is; exchanges call the end of one that was not executed to the last closed or cancelled alike."""
    status = STATUSES.get(str(told.get("status")), OrderStatus.ACCEPTED)
    if status is OrderStatus.ACCEPTED and filled:
        return OrderStatus.PARTIALLY_FILLED
    if status is OrderStatus.FILLED and filled < quantity:
        status = OrderStatus.CANCELED
    if status is OrderStatus.CANCELED:
        if filled >= quantity:
            return OrderStatus.FILLED
        # Nobody cancels what lasts no time.
        return OrderStatus.EXPIRED if at_once else OrderStatus.CANCELED
    return status


def fill(told: dict[str, Any], account: AccountId, of: Instrument, client_id: ClientOrderId) -> Fill:
    """An execution of an order; where the venue does not tell the fee it is the one that its rules ask for."""
    maker = told.get("takerOrMaker") == "maker"
    price, quantity = _or_zero(told["price"]), _or_zero(told["amount"])
    fee = told.get("fee") or next(iter(told.get("fees") or ()), None) or {}
    cost, currency = exact(fee.get("cost")), fee.get("currency")
    if cost is None or not currency:
        rules = of.rules_at(int(told["timestamp"]) * MS)
        cost = of.notional(price, quantity) * (rules.maker_fee if maker else rules.taker_fee)
        currency = of.settle
    return Fill(
        venue=of.venue,
        account=account,
        instrument=of.id,
        trade_id=TradeId(str(told["id"])),
        venue_order_id=VenueOrderId(str(told["order"])),
        client_id=client_id,
        side=OrderSide(told["side"]),
        price=price,
        quantity=quantity,
        fee=cost,
        fee_currency=Currency(currency),
        liquidity=Liquidity.MAKER if maker else Liquidity.TAKER,
        ts=int(told["timestamp"]) * MS,
    )


def balances(told: dict[str, Any]) -> list[VenueBalance]:
    """All balances that are not zero."""
    found = []
    for currency, total in (told.get("total") or {}).items():
        whole = _or_zero(total)
        if whole:
            locked = _or_zero((told.get("used") or {}).get(currency))
            found.append(VenueBalance(currency=Currency(currency), total=whole, locked=locked))
    return found


def ticker(told: dict[str, Any], of: Instrument, now: int) -> Ticker:
    """The last 24 hours."""
    return Ticker(
        instrument=of.id,
        ts=int(told["timestamp"]) * MS if told.get("timestamp") else now,
        bid=exact(told.get("bid")),
        ask=exact(told.get("ask")),
        last=exact(told.get("last")),
        open=exact(told.get("open")),
        high=exact(told.get("high")),
        low=exact(told.get("low")),
        base_volume=exact(told.get("baseVolume")),
        quote_volume=exact(told.get("quoteVolume")),
    )
