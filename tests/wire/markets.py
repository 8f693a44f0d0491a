"""Markets for simulated venues: another market under a venue's own names and steps, and one that a test scripts."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import NotFoundError
from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import CandleBuilder
from engine.model.ids import Currency, InstrumentId, TradeId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.margin import MarginTier
from engine.model.market import BookUpdate, FeedStatus, MarketDatum, MarketTrade, OrderBook
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.venues.markets.contract import Market

__all__ = ["RelistedMarket", "ScriptedMarket", "perpetual", "spot"]

D = Decimal
TIERS = (
    MarginTier(maintenance=D("0.004"), max_leverage=D(125), from_notional=D(0)),
    MarginTier(maintenance=D("0.005"), max_leverage=D(100), from_notional=D(50_000), deduction=D(50)),
    MarginTier(maintenance=D("0.01"), max_leverage=D(50), from_notional=D(500_000), deduction=D(2_550)),
    MarginTier(maintenance=D("0.025"), max_leverage=D(20), from_notional=D(5_000_000), deduction=D(77_550)),
)
"""Margin tiers of perpetuals, of the size that Binance has for BTC."""


def _places(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def spot(
    venue: str,
    symbol: str,
    *,
    tick: str,
    lot: str,
    min_notional: str = "5",
    maker: str = "0.001",
    taker: str = "0.001",
    max_quantity: str = "9000",
) -> Instrument:
    """A spot instrument as these venues list them."""
    return _instrument(venue, symbol, InstrumentKind.SPOT, D(1), tick, lot, min_notional, maker, taker, max_quantity)


def perpetual(
    venue: str,
    symbol: str,
    *,
    tick: str,
    lot: str,
    multiplier: str = "1",
    min_notional: str = "5",
    maker: str = "0.0002",
    taker: str = "0.0005",
    max_quantity: str = "1000",
    tiers: tuple[MarginTier, ...] = TIERS,
) -> Instrument:
    """A linear perpetual; `symbol` is in ccxt's unified form, `BTC/USDT:USDT`, quantities are in contracts."""
    kind = InstrumentKind.LINEAR_PERPETUAL
    made = _instrument(venue, symbol, kind, D(multiplier), tick, lot, min_notional, maker, taker, max_quantity)
    rules = msgspec.structs.replace(made.rules[0], margin=tiers)
    return msgspec.structs.replace(made, rules=(rules,))


def _instrument(
    venue: str,
    symbol: str,
    kind: InstrumentKind,
    multiplier: Decimal,
    tick: str,
    lot: str,
    min_notional: str,
    maker: str,
    taker: str,
    max_quantity: str,
) -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    rules = InstrumentRules(
        valid_from=0,
        price_tick=D(tick),
        lot=D(lot),
        min_quantity=D(lot),
        max_quantity=D(max_quantity),
        min_notional=D(min_notional),
        maker_fee=D(maker),
        taker_fee=D(taker),
    )
    return Instrument(
        id=InstrumentId(f"{venue}:{symbol}"),
        venue=VenueId(venue),
        symbol=symbol,
        kind=kind,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(settle or quote),
        rules=(rules,),
        multiplier=multiplier,
        price_scale=_places(D(tick)),
        quantity_scale=_places(D(lot)),
    )


class RelistedMarket:
    """A market (`engine.venues.markets.contract.Market`) whose instruments carry a venue's own names and steps.

    One instrument of the source may stand for several (spot and perpetual). Quantities that are less than one lot
    become one lot, so that no level vanishes.

    Args:
        source: Where prices come from.
        listing: Instruments of this market and the id of the source's instrument each of them follows.
    """

    depletes = True

    def __init__(self, source: Market, listing: Iterable[tuple[Instrument, InstrumentId]]) -> None:
        self._source = source
        known = {i.id: i for i in source.instruments()}
        self._by_id: dict[InstrumentId, tuple[Instrument, Instrument]] = {}
        self._followers: dict[InstrumentId, list[Instrument]] = {}
        for instrument, followed in listing:
            self._by_id[instrument.id] = instrument, known[followed]
            self._followers.setdefault(followed, []).append(instrument)

    @property
    def start_time(self) -> int:
        """As the source's."""
        return self._source.start_time

    @property
    def now(self) -> int:
        """As the source's."""
        return self._source.now

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments under their new names."""
        return tuple(mine for mine, _ in self._by_id.values())

    def live(self, instrument: InstrumentId) -> bool:
        """As the followed instrument's."""
        return self._source.live(self._pair(instrument)[1].id)

    def next_time(self) -> int | None:
        """As the source's."""
        return self._source.next_time()

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """The source's events under the new names, once for each follower."""
        return [event for heard in self._source.advance(to_ns) for event in self._translate(heard)]

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """As the source's."""
        return [event for heard in self._source.skip(to_ns) for event in self._translate(heard)]

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book now."""
        mine, source = self._pair(instrument)
        return self._book(self._source.snapshot(source.id), mine, source)

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Press on the followed instrument."""
        mine, source = self._pair(instrument)
        base = mine.quantity_from_int(quantity) * mine.multiplier
        lots = max(1, int(base.scaleb(source.quantity_scale)))
        self._source.impact(source.id, ts, side, lots, int(D(price).scaleb(source.price_scale - mine.price_scale)))

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """The followed instrument's candles, the volume in this one's units."""
        mine, source = self._pair(instrument)
        share = float(1 / mine.multiplier)
        return [
            msgspec.structs.replace(c, instrument=mine.id, volume=c.volume * share)
            for c in self._source.history(source.id, timeframe, end_ns, limit)
        ]

    def save(self) -> bytes:
        """As the source's."""
        return self._source.save()

    def restore(self, data: bytes) -> None:
        """As the source's."""
        self._source.restore(data)

    def _pair(self, instrument: InstrumentId) -> tuple[Instrument, Instrument]:
        found = self._by_id.get(instrument)
        if found is None:
            raise NotFoundError(f"The market has no instrument {instrument}; it has {', '.join(self._by_id)}.")
        return found

    def _translate(self, event: MarketDatum) -> list[MarketDatum]:
        source = self._source_of(event.instrument)
        found: list[MarketDatum] = []
        for mine in self._followers.get(event.instrument, ()):
            if isinstance(event, BookUpdate):
                found.append(self._book(event, mine, source))
            elif isinstance(event, MarketTrade):
                price, quantity = self._level(event.price, event.quantity, mine, source)
                found.append(msgspec.structs.replace(event, instrument=mine.id, price=price, quantity=quantity))
            else:
                found.append(msgspec.structs.replace(event, instrument=mine.id))
        return found

    def _source_of(self, followed: InstrumentId) -> Instrument:
        return next((s for _, s in self._by_id.values() if s.id == followed), next(iter(self._by_id.values()))[1])

    def _book(self, update: BookUpdate, mine: Instrument, source: Instrument) -> BookUpdate:
        sides = (tuple(self._level(p, q, mine, source) for p, q in side) for side in (update.bids, update.asks))
        bids, asks = sides
        return BookUpdate(mine.id, update.ts, update.seq, snapshot=update.snapshot, bids=bids, asks=asks)

    @staticmethod
    def _level(price: int, quantity: int, mine: Instrument, source: Instrument) -> tuple[int, int]:
        if mine.price_scale < source.price_scale:
            raise ValueError(f"{mine.id} has coarser prices than {source.id}, which it follows")
        lots = 0
        if quantity:
            contracts = source.quantity_from_int(quantity) / mine.multiplier
            lots = max(1, int(contracts.scaleb(mine.quantity_scale)))
        return price * 10 ** (mine.price_scale - source.price_scale), lots


class ScriptedMarket:
    """A market in which only what a test says happens, at the next `advance`.

    Args:
        instruments: What can be traded.
        start: UTC nanoseconds at which it begins.
    """

    depletes = True

    def __init__(self, instruments: Sequence[Instrument], start: int) -> None:
        self._instruments = {i.id: i for i in instruments}
        self.start_time = self.now = start
        self._books = {i.id: OrderBook(i.id) for i in instruments}
        self._seq = dict.fromkeys(self._books, 0)
        self._trades = dict.fromkeys(self._books, 0)
        self._due: deque[MarketDatum] = deque()
        self._candles: dict[InstrumentId, list[Candle]] = {i.id: [] for i in instruments}
        self._builders = {i.id: CandleBuilder(i, "1m") for i in instruments}

    # --- the script --------------------------------------------------------------------------------------------------

    def book(self, instrument: InstrumentId, bids: dict[str, str], asks: dict[str, str]) -> None:
        """Set the whole book: price to quantity."""
        self._change(instrument, self._levels(instrument, bids), self._levels(instrument, asks), whole=True)

    def change(self, instrument: InstrumentId, bids: dict[str, str], asks: dict[str, str]) -> None:
        """Change some levels; a quantity of 0 removes one."""
        self._change(instrument, self._levels(instrument, bids), self._levels(instrument, asks), whole=False)

    def trade(self, instrument: InstrumentId, side: OrderSide, price: str, quantity: str) -> None:
        """Let somebody trade; the book stays as it is."""
        details = self._instruments[instrument]
        self._trades[instrument] += 1
        trade = MarketTrade(
            instrument,
            self.now,
            TradeId(str(self._trades[instrument])),
            details.price_to_int(D(price)),
            details.quantity_to_int(D(quantity)),
            side,
        )
        self._due.append(trade)

    # --- the market --------------------------------------------------------------------------------------------------

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments."""
        return tuple(self._instruments.values())

    def live(self, instrument: InstrumentId) -> bool:
        """Always, for an instrument of this market."""
        self._known(instrument)
        return True

    def next_time(self) -> int | None:
        """Now when something waits, else never."""
        return self.now if self._due else None

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """What was said since the last time, stamped now."""
        self.now = max(self.now, to_ns)
        events: list[MarketDatum] = []
        while self._due:
            event = msgspec.structs.replace(self._due.popleft(), ts=self.now)
            if isinstance(event, MarketTrade):
                self._candles[event.instrument] += self._builders[event.instrument].on_trade(event)
            events.append(event)
        for name, builder in self._builders.items():
            self._candles[name] += builder.roll(self.now)
        return events

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """The same as `advance`."""
        return self.advance(to_ns)

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book, what waits to be told included."""
        self._known(instrument)
        book = self._books[instrument].to_snapshot()
        return msgspec.structs.replace(book, seq=self._seq[instrument], ts=self.now)

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Take what was executed out of the book."""
        book = self._books[instrument]
        resting = book.asks if side is OrderSide.BUY else book.bids
        level = ((price, max(0, resting.get(price, 0) - quantity)),)
        bids, asks = ((), level) if side is OrderSide.BUY else (level, ())
        self._change(instrument, bids, asks, whole=False)

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """Closed one-minute candles; of other timeframes there are none."""
        self._known(instrument)
        if timeframe != "1m":
            return []
        closed = [c for c in self._candles[instrument] if c.ts + timeframe_ns("1m") <= end_ns]
        return closed[-limit:]

    def save(self) -> bytes:
        """Nothing is kept."""
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing was kept."""

    def _known(self, instrument: InstrumentId) -> None:
        if instrument not in self._instruments:
            raise NotFoundError(f"The market has no instrument {instrument}.")

    def _levels(self, instrument: InstrumentId, levels: dict[str, str]) -> tuple[tuple[int, int], ...]:
        details = self._instruments[instrument]
        return tuple((details.price_to_int(D(p)), details.quantity_to_int(D(q))) for p, q in levels.items())

    def _change(
        self,
        instrument: InstrumentId,
        bids: tuple[tuple[int, int], ...],
        asks: tuple[tuple[int, int], ...],
        *,
        whole: bool,
    ) -> None:
        book = self._books[instrument]
        if whole:
            bids = tuple({**dict.fromkeys(book.bids, 0), **dict(bids)}.items())
            asks = tuple({**dict.fromkeys(book.asks, 0), **dict(asks)}.items())
        self._seq[instrument] += 1
        update = BookUpdate(instrument, self.now, self._seq[instrument], snapshot=False, bids=bids, asks=asks)
        book.seq = update.seq - 1
        book.apply(update)
        self._due.append(update)

    def pause(self, instrument: InstrumentId, *, live: bool) -> None:
        """Say that an instrument's market is open or not."""
        self._due.append(FeedStatus(instrument, self.now, live))
