"""Answers of Coinbase as model objects: pure functions from records to instruments, orders, executions, prices."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import DataValidationError
from engine.model.candle import Candle, timeframe_ns
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, TradeId, VenueId, VenueOrderId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import BookUpdate, MarketTrade, Ticker
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import Permissions, VenueBalance, VenueOrder
from engine.venues.coinbase.terms import asked
from engine.venues.coinbase.values import amount, iso_ns, some
from engine.venues.coinbase.wire import CandleList, OneOrder, PriceBookAnswer, ProductList, ServerTime, decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.ids import InstrumentId
    from engine.venues.coinbase.frames import StreamCandle, StreamTicker, StreamTrade
    from engine.venues.coinbase.wire import (
        Account,
        CandleRow,
        Fees,
        FillRow,
        Level,
        OrderRow,
        PriceBook,
        Product,
        Rights,
        TradeRow,
    )

__all__ = [
    "balances",
    "book",
    "candles",
    "day",
    "fill",
    "growing",
    "instrument",
    "is_listed",
    "market_trade",
    "order",
    "permissions",
    "product_of",
    "read_book",
    "read_candles",
    "read_order",
    "read_products",
    "read_time",
    "status_of",
    "symbol",
    "ticker",
]

_S = OrderStatus
_STATUS = {
    "PENDING": _S.ACCEPTED,
    "OPEN": _S.ACCEPTED,
    "QUEUED": _S.ACCEPTED,
    "CANCEL_QUEUED": _S.ACCEPTED,
    "EDIT_QUEUED": _S.ACCEPTED,
    "FILLED": _S.FILLED,
    "CANCELLED": _S.CANCELED,
    "EXPIRED": _S.EXPIRED,
    "FAILED": _S.REJECTED,
}
"""Coinbase's order life; anything else, `UNKNOWN_ORDER_STATUS` too, is unknown to us as well."""
_NO_REASON = frozenset({"", "REJECT_REASON_UNSPECIFIED"})


# --- names -----------------------------------------------------------------------------------------------------------


def symbol(product_id: str) -> str:
    """Our symbol of a spot product: `BTC/USD` for `BTC-USD`."""
    return product_id.replace("-", "/", 1)


def product_of(symbol: str) -> str:
    """Coinbase's product of our symbol."""
    return symbol.replace("/", "-", 1)


def _side(word: str) -> OrderSide:
    try:
        return OrderSide(word.lower())
    except ValueError:
        raise DataValidationError(f"Coinbase sent {word[:20]!r} where a side is due.") from None


def _places(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


# --- markets ---------------------------------------------------------------------------------------------------------


def is_listed(product: Product) -> bool:
    """Whether a product can be traded here at all: spot, and neither switched off nor only to be looked at."""
    return (
        product.product_type == "SPOT"
        and not (product.is_disabled or product.view_only)
        and bool(product.base_increment and product.quote_increment)
    )


def instrument(
    product: Product, venue: VenueId, *, maker_fee: Decimal = Decimal(0), taker_fee: Decimal = Decimal(0)
) -> Instrument:
    """A product with its rules as they are now; fees as fractions of the notional."""
    tick = some(product.price_increment) or amount(product.quote_increment)
    lot = amount(product.base_increment)
    if tick <= 0 or lot <= 0:
        raise DataValidationError(f"Coinbase lists {product.product_id} without a step of prices or sizes.")
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick,
        lot=lot,
        min_quantity=amount(product.base_min_size),
        max_quantity=amount(product.base_max_size),
        min_notional=amount(product.quote_min_size),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
    )
    quote = Currency(product.quote_currency_id.upper())
    name = symbol(product.product_id)
    return Instrument(
        id=instrument_id(venue, name),
        venue=venue,
        symbol=name,
        kind=InstrumentKind.SPOT,
        base=Currency(product.base_currency_id.upper()),
        quote=quote,
        settle=quote,
        rules=(rules,),
        price_scale=_places(tick),
        quantity_scale=_places(lot),
    )


def read_products(body: bytes) -> list[Product]:
    """All products of a page. Raises ExchangeError when it is none."""
    return decoded(ProductList, body).products


def ticker(product: Product, of: InstrumentId, ts: int) -> Ticker:
    """The last 24 hours, from the list of products."""
    last, change = some(product.price), some(product.price_percentage_change_24h)
    opened = _opened(last, change, some(product.price_increment) or amount(product.quote_increment))
    return Ticker(
        instrument=of,
        ts=ts,
        bid=some(product.best_bid_price),
        ask=some(product.best_ask_price),
        last=last,
        open=opened,
        high=some(product.high_24h),
        low=some(product.low_24h),
        base_volume=some(product.volume_24h),
        quote_volume=some(product.approximate_quote_24h_volume),
    )


def day(told: StreamTicker, of: Instrument, ts: int) -> Ticker:
    """The last 24 hours, from the stream. Raises DataValidationError."""
    last = some(told.price)
    return Ticker(
        instrument=of.id,
        ts=ts,
        bid=some(told.best_bid),
        ask=some(told.best_ask),
        last=last,
        open=_opened(last, some(told.price_percent_chg_24_h), of.current_rules.price_tick),
        high=some(told.high_24_h),
        low=some(told.low_24_h),
        base_volume=some(told.volume_24_h),
    )


def _opened(last: Decimal | None, change: Decimal | None, step: Decimal) -> Decimal | None:
    """The price 24 hours ago; only the change in percent is told, and prices have at most so many places."""
    if last is None or change is None or change <= -100:
        return None
    return (last / (1 + change / 100)).quantize(step)


def growing(told: StreamCandle, of: Instrument) -> Candle:
    """A candle of five minutes that has not ended, or is not known to have. Raises DataValidationError."""
    opened, high, low, close = (float(amount(price)) for price in (told.open, told.high, told.low, told.close))
    volume = float(amount(told.volume))
    return Candle(of.id, "5m", int(amount(told.start)) * 1_000_000_000, opened, high, low, close, volume, closed=False)


def book(told: PriceBook, of: Instrument, depth: int) -> BookUpdate:
    """A book as a snapshot of at most `depth` levels a side."""
    return BookUpdate(
        of.id,
        iso_ns(told.time),
        0,
        snapshot=True,
        bids=_levels(told.bids[:depth], of),
        asks=_levels(told.asks[:depth], of),
    )


def _levels(levels: Iterable[Level], of: Instrument) -> tuple[tuple[int, int], ...]:
    return tuple((of.price_to_int(amount(level.price)), of.quantity_to_int(amount(level.size))) for level in levels)


def read_book(body: bytes, of: Instrument, depth: int) -> BookUpdate:
    """The book in an answer."""
    return book(decoded(PriceBookAnswer, body).pricebook, of, depth)


def candles(rows: Sequence[CandleRow], of: InstrumentId, timeframe: str, now: int) -> list[Candle]:
    """Candles, oldest first; those still growing at `now` (UTC nanoseconds, the venue's clock) are not closed."""
    length = timeframe_ns(timeframe)
    found = []
    for row in rows:
        ts = int(row.start) * 1_000_000_000
        prices = (float(row.open), float(row.high), float(row.low), float(row.close))
        found.append(Candle(of, timeframe, ts, *prices, float(row.volume), closed=ts + length <= now))
    found.sort(key=lambda candle: candle.ts)
    return found


def read_candles(body: bytes, of: InstrumentId, timeframe: str, now: int) -> list[Candle]:
    """The candles in an answer, oldest first."""
    return candles(decoded(CandleList, body).candles, of, timeframe, now)


def market_trade(row: TradeRow | StreamTrade, of: Instrument) -> MarketTrade:
    """A public trade. Coinbase tells the side of the resting order; the aggressor is the other one."""
    return MarketTrade(
        of.id,
        iso_ns(row.time),
        TradeId(row.trade_id),
        of.price_to_int(amount(row.price)),
        of.quantity_to_int(amount(row.size)),
        _side(row.side).opposite,
    )


def read_time(body: bytes) -> int:
    """The venue's clock in UTC nanoseconds."""
    told = decoded(ServerTime, body)
    if told.millis:
        return int(told.millis) * 1_000_000
    return int(told.seconds) * 1_000_000_000 if told.seconds else iso_ns(told.iso)


# --- accounts --------------------------------------------------------------------------------------------------------


def balances(accounts: Iterable[Account]) -> list[VenueBalance]:
    """All non-zero balances: what is available and what is held for orders, wallets of one currency taken together."""
    free: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}
    for account in accounts:
        name = account.currency.upper()
        free[name] = free.get(name, Decimal(0)) + amount(account.available_balance.value)
        hold = account.hold.value if account.hold is not None else ""
        held[name] = held.get(name, Decimal(0)) + amount(hold)
    return [
        VenueBalance(currency=Currency(name), total=free[name] + held[name], locked=held[name])
        for name in free
        if free[name] or held[name]
    ]


def permissions(rights: Rights) -> Permissions:
    """What a key may do."""
    return Permissions(read=rights.can_view, trade=rights.can_trade, withdraw=rights.can_transfer)


def fees(told: Fees) -> tuple[Decimal, Decimal]:
    """Fees of resting and of crossing orders, as fractions of the notional."""
    return amount(told.fee_tier.maker_fee_rate), amount(told.fee_tier.taker_fee_rate)


# --- orders ----------------------------------------------------------------------------------------------------------


def status_of(status: str, *, filled: Decimal, immediate: bool) -> OrderStatus:
    """Where an order is in our life of it.

    Args:
        status: Coinbase's word.
        filled: What was executed of it.
        immediate: Whether it is IOC or FOK: the rest of such an order expires, even where Coinbase calls it cancelled.
    """
    found = _STATUS.get(status, _S.UNKNOWN)
    if found is _S.ACCEPTED and filled > 0:
        return _S.PARTIALLY_FILLED
    if found is _S.CANCELED and immediate:
        return _S.EXPIRED
    if found is _S.REJECTED and filled > 0:
        return _S.CANCELED
    return found


def order(row: OrderRow, venue: VenueId, account: AccountId, of: Instrument | None) -> VenueOrder:
    """An order as Coinbase lists it.

    Args:
        row: What it tells.
        venue: Ours of its names.
        account: Whose it is.
        of: What is traded; None when it is not listed any more.
    """
    side = _side(row.side)
    filled = amount(row.filled_size)
    wants = asked(side, row.order_configuration or {}, of)
    immediate = row.time_in_force in ("IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
    type_, price, stop_price, quantity = _kind(row), None, None, None
    if wants is not None:
        type_, price, stop_price, quantity = wants.type, wants.price, wants.stop_price, wants.quantity
        immediate = immediate or wants.tif is not TimeInForce.GTC
    created = iso_ns(row.created_time)
    return VenueOrder(
        client_id=ClientOrderId(row.client_order_id),
        venue_order_id=VenueOrderId(row.order_id),
        account=account,
        instrument=instrument_id(venue, symbol(row.product_id)),
        side=side,
        type=type_,
        # An order by value (somebody else's) has no quantity before it is executed.
        quantity=filled if quantity is None else quantity,
        filled=filled,
        status=status_of(row.status, filled=filled, immediate=immediate),
        created=created,
        updated=max(created, iso_ns(row.last_fill_time), iso_ns(row.last_update_time)),
        price=price,
        stop_price=stop_price,
        reason=_reason(row),
    )


def _kind(row: OrderRow) -> OrderType:
    if row.order_type == "MARKET":
        return OrderType.MARKET
    return OrderType.STOP_LOSS if row.order_type == "STOP_LIMIT" else OrderType.LIMIT


def _reason(row: OrderRow) -> str:
    said = row.reject_message or row.cancel_message
    if said:
        return said
    return "" if row.reject_reason in _NO_REASON else row.reject_reason


def read_order(body: bytes, venue: VenueId, account: AccountId, of: Instrument | None) -> VenueOrder:
    """The order in the answer about one."""
    return order(decoded(OneOrder, body).order, venue, account, of)


_LIQUIDITY = {"MAKER": Liquidity.MAKER, "TAKER": Liquidity.TAKER}


def fill(row: FillRow, venue: VenueId, account: AccountId, client_id: ClientOrderId, places: int = 8) -> Fill | None:
    """An execution; None for one that books another back (`REVERSAL`, `CORRECTION`), which only balances show.

    Args:
        row: What Coinbase tells.
        venue: Ours of its names.
        account: Whose it is.
        client_id: Of its order, which Coinbase does not tell here.
        places: Decimal places of quantities, for the executions of somebody's order by value.
    """
    if row.trade_type not in ("FILL", "SYNTHETIC"):
        return None
    name = symbol(row.product_id)
    price, quantity = amount(row.price), amount(row.size)
    if row.size_in_quote and price:
        quantity = (quantity / price).quantize(Decimal(1).scaleb(-places))
    return Fill(
        venue=venue,
        account=account,
        instrument=instrument_id(venue, name),
        trade_id=TradeId(row.trade_id),
        venue_order_id=VenueOrderId(row.order_id),
        client_id=client_id,
        side=_side(row.side),
        price=price,
        quantity=quantity,
        fee=amount(row.commission),
        fee_currency=Currency(name.partition("/")[2].upper()),
        # `UNKNOWN_LIQUIDITY_INDICATOR`: the dearer role, as far as anybody can tell.
        liquidity=_LIQUIDITY.get(row.liquidity_indicator, Liquidity.TAKER),
        ts=iso_ns(row.trade_time),
    )
