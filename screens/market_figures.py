"""What the doors say about a market, made into what the widgets show. Pure functions only."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from engine.model.ids import symbol_of
from engine.model.order import OrderSide, OrderStatus, OrderType
from screens.formats import DASH, MASK, clock, compact, decimals_of, exact, number, percent, scaled
from screens.where import HERE, WHERE, short_symbol
from widgets.candle_chart import Bar, Marker
from widgets.ladder import LastTrade, Level
from widgets.sparkline import direction_ink, spark
from widgets.table_cells import Cell, Column
from widgets.trade_tape import Trade

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo
    from decimal import Decimal

    from engine.control.views import BookView, FillRow, InstrumentRow, OrderRow, TickerRow, TradeRow, TradesView
    from engine.model.candle import Candle
    from screens.where import Where
    from widgets.glyphs import Glyphs

__all__ = [
    "MARKET_COLUMNS",
    "ORDER_COLUMNS",
    "HELD_WORDS",
    "TYPE_WORDS",
    "bar",
    "levels",
    "market_cells",
    "markers",
    "order_cells",
    "order_words",
    "own_sizes",
    "price_decimals",
    "spread_text",
    "tape",
]

HELD_STATE, HELD_WORDS = "in engine", "only while the engine lives"
"""Of an order that waits in the engine and not at the venue."""
TYPE_WORDS = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP_LOSS: "stop",
    OrderType.TAKE_PROFIT: "take profit",
}
SHORT_TYPES = TYPE_WORDS | {OrderType.TAKE_PROFIT: "target"}
STATUS_WORDS = {
    OrderStatus.PENDING: ("sending", "muted"),
    OrderStatus.SUBMITTED: ("sent", "muted"),
    OrderStatus.UNKNOWN: ("UNKNOWN", "breach"),
    OrderStatus.ACCEPTED: ("working", "text"),
    OrderStatus.PARTIALLY_FILLED: ("partly", "own"),
}
ORDER_COLUMNS = (
    Column("side", "Side", 6),
    Column("quantity", "Amount", 9, align="right"),
    Column("price", "Price", 11, align="right"),
    Column("filled", "Filled", 6, align="right", priority=2),
    Column("symbol", "Symbol", 9),
    WHERE,
    Column("type", "Type", 6, priority=1),
    Column("state", "State", 10, priority=1),
    Column("owner", "Owner", 10, priority=3),
    Column("time", "Since", 8, priority=4),
    Column("why", "Why", 14, priority=6, flex=True),
    Column("id", "Order", 10, priority=5),
)
MARKET_COLUMNS = (
    Column("symbol", "Market", 9, flex=True),
    WHERE,
    Column("last", "Last", 10, align="right"),
    Column("change", "24 h", 10, align="right"),
    Column("spark", "", 12, priority=1),
)
NO_TICKS = 2


def price_decimals(book: BookView) -> int:
    """Return how many decimals a price on the book's tick has."""
    scale, tick = book.price_scale, book.tick
    while scale and tick % 10 == 0:
        scale, tick = scale - 1, tick // 10
    return scale


def levels(book: BookView, side: OrderSide, visible: int) -> list[Level]:
    """Return one side of a book for the ladder; depth bars compare with the larger side of what is visible."""
    decimals, places = price_decimals(book), min(5, book.quantity_scale)
    whole = max(
        sum(quantity for _, quantity in book.bids[:visible]), sum(quantity for _, quantity in book.asks[:visible]), 1
    )
    total, found = 0, []
    for price, quantity in book.bids if side is OrderSide.BUY else book.asks:
        total += quantity
        found.append(
            Level(
                price,
                scaled(price, book.price_scale, decimals),
                scaled(quantity, book.quantity_scale, places),
                scaled(total, book.quantity_scale, min(3, places)),
                min(1.0, total / whole),
            )
        )
    return found


def own_sizes(book: BookView, *, hidden: bool = False) -> dict[int, str]:
    """Return the open size of one's own orders by price; hidden leaves the mark without the size."""
    if hidden:
        return {level.price: "" for level in book.own}
    sums: dict[int, int] = {}
    for level in book.own:
        sums[level.price] = sums.get(level.price, 0) + level.quantity
    return {price: _trimmed(scaled(size, book.quantity_scale, book.quantity_scale)) for price, size in sums.items()}


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def last_trade(book: BookView) -> LastTrade | None:
    """Return the last trade for the ladder."""
    if book.last is None:
        return None
    price = scaled(book.last, book.price_scale, price_decimals(book))
    return LastTrade(book.last, price, book.last_side is not OrderSide.SELL)


def spread_text(book: BookView) -> str:
    """Return the spread as a price difference and in basis points of the middle; empty for a one-sided book."""
    if not book.bids or not book.asks:
        return ""
    bid, ask = book.bids[0][0], book.asks[0][0]
    points = (ask - bid) / ((ask + bid) / 2) * 10_000
    places = 1 if points >= 1 else 2
    return f"{scaled(ask - bid, book.price_scale, price_decimals(book))} · {points:.{places}f} bp"


@lru_cache(maxsize=2048)
def _trade(row: TradeRow, price_scale: int, quantity_scale: int, decimals: int, zone: tzinfo) -> Trade:
    return Trade(
        clock(row.ts, zone),
        scaled(row.price, price_scale, decimals),
        scaled(row.quantity, quantity_scale, min(5, quantity_scale)),
        row.aggressor is OrderSide.BUY,
    )


def tape(view: TradesView, decimals: int, zone: tzinfo) -> list[Trade]:
    """Return the trades for the tape, newest first."""
    return [_trade(row, view.price_scale, view.quantity_scale, decimals, zone) for row in view.trades]


def bar(candle: Candle) -> Bar:
    """Return a candle for the chart."""
    return Bar(candle.ts, candle.open, candle.high, candle.low, candle.close, candle.volume)


def markers(fills: Iterable[FillRow], instrument: str) -> list[Marker]:
    """Return our executions of one instrument for the chart."""
    return [
        Marker(fill.ts, "entry" if fill.side is OrderSide.BUY else "exit", fill.side is OrderSide.BUY)
        for fill in fills
        if fill.instrument == instrument
    ]


def side_cell(side: OrderSide, glyphs: Glyphs) -> Cell:
    """Return a side as sign, word and ink."""
    buy = side is OrderSide.BUY
    return Cell(f"{glyphs.buy if buy else glyphs.sell} {side.value}", "bid" if buy else "ask", value=side.value)


def order_cells(
    row: OrderRow,
    instrument: InstrumentRow | None,
    glyphs: Glyphs,
    zone: tzinfo,
    *,
    hidden: bool = False,
    where: Where = HERE,
) -> tuple[Cell, ...]:
    """Return an open order as a row of the orders table; the instrument, where known, gives the decimals."""
    price = row.price if row.price is not None else row.stop_price
    share = row.filled / row.quantity if row.quantity else None
    state, ink = ("cancelling", "warn") if row.cancel_requested else STATUS_WORDS.get(row.status, (row.status, "text"))
    if row.held and not row.cancel_requested:
        state, ink = HELD_STATE, "warn"
    return (
        side_cell(row.side, glyphs),
        Cell(MASK if hidden else exact(row.quantity), value=row.quantity),
        Cell(price_text(price, instrument) if price is not None else "market", value=price),
        Cell(percent(share, 0) if row.filled else DASH, "muted" if not row.filled else "text", value=share),
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument, row.account),
        Cell(SHORT_TYPES.get(row.type, row.type.value), "muted"),
        Cell(state, ink),
        Cell(row.owner_name, "muted"),
        Cell(clock(row.created, zone), "muted", value=row.created),
        Cell(f"{HELD_WORDS}: {row.reason}" if row.held else row.reason, "muted"),
        Cell(row.client_id, "faint"),
    )


def order_words(row: OrderRow, where: Where = HERE) -> str:
    """Return an order in words, for a sentence about it."""
    price = row.price if row.price is not None else row.stop_price
    left = row.quantity - row.filled
    at = f" at {exact(price)}" if price is not None else ""
    part = f" ({exact(left)} still open)" if row.filled else ""
    kind = TYPE_WORDS.get(row.type, row.type.value)
    place = where.on(row.instrument, row.account)
    return f"{row.side.value} {exact(row.quantity)} {symbol_of(row.instrument)} {kind}{at}{part}{place}"


def market_cells(
    row: TickerRow, instruments: Mapping[str, InstrumentRow], glyphs: Glyphs, width: int = 12, where: Where = HERE
) -> tuple[Cell, ...]:
    """Return a market as a row of the list of instruments."""
    known = instruments.get(row.instrument)
    change = change_parts(row.change_pct, glyphs)
    return (
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument),
        Cell(price_text(row.last, known), "text", value=row.last),
        Cell(change[0], change[1], value=row.change_pct),
        Cell(spark(row.spark, width, glyphs), direction_ink(row.spark)),
    )


def price_text(price: Decimal | None, instrument: InstrumentRow | None) -> str:
    """Return a price with its instrument's decimals."""
    return number(price, decimals_of(instrument.price_tick) if instrument is not None else NO_TICKS)


def change_parts(change: float | None, glyphs: Glyphs) -> tuple[str, str]:
    """Return a change over a day as text with sign and arrow, and its ink."""
    if change is None:
        return DASH, "muted"
    sign, ink = (glyphs.up, "gain") if change > 0 else (glyphs.down, "loss") if change < 0 else (glyphs.flat, "neutral")
    return f"{sign} {percent(change, signed=True)}", ink


def ticker_pieces(
    row: TickerRow | None, instrument: InstrumentRow | None, glyphs: Glyphs, where: Where = HERE, waiting: str = ""
) -> Sequence[tuple[str, str, int]]:
    """Return the line above the book as pieces of text with ink and importance (0 never leaves)."""
    if instrument is None:
        return [(waiting, "muted", 0)]
    pieces = [(f"{instrument.symbol}{where.beside(instrument.id)}", "accent", 0)]
    if row is None or row.last is None:
        return [*pieces, ("no price yet", "muted", 0)]
    change, ink = change_parts(row.change_pct, glyphs)
    decimals = decimals_of(instrument.price_tick)
    return [
        *pieces,
        (price_text(row.last, instrument), "strong", 0),
        (change, ink, 0),
        (f"bid {price_text(row.bid, instrument)}", "bid", 1),
        (f"ask {price_text(row.ask, instrument)}", "ask", 1),
        (f"high {number(row.high, decimals)}", "muted", 3),
        (f"low {number(row.low, decimals)}", "muted", 3),
        (f"vol {compact(row.volume)} {instrument.base}", "muted", 4),
    ]
