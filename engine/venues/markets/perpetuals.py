"""Linear perpetuals beside the spot instruments of another market, with mark and index prices and a funding rate.

A perpetual's book and tape are those of its spot pair, moved by a premium that lives for half a minute and then moves
again, in which case the whole book is sent anew. The premium is the sum of a slow and a fast mean-reverting process,
both pure functions of seed and time, so there is nothing to be saved of them. The funding rate follows Binance's
published formula: premium + clamp(interest - premium, -0.05 %, 0.05 %), with an interest of 0.01 % a period.
"""

from __future__ import annotations

import math
import random
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StateCorruptionError
from engine.model.ids import InstrumentId, TradeId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.margin import MarginTier
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, MarkPrice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.model.candle import Candle
    from engine.model.market import MarketDatum
    from engine.model.order import OrderSide
    from engine.venues.markets.contract import Market

__all__ = ["CONTRACTS", "PerpetualMarket"]

CONTRACTS = {"BTC/USDT": Decimal("0.001"), "ETH/USDT": Decimal("0.01")}
"""Spot pairs that get a perpetual, with the base units of one contract."""
TYPICAL = {"BTC": Decimal(65_000), "ETH": Decimal(2_600)}
"""Prices by which premiums are turned into ticks."""
TIERS = (
    MarginTier(maintenance=Decimal("0.005"), max_leverage=Decimal(20)),
    MarginTier(
        maintenance=Decimal("0.01"), max_leverage=Decimal(10), from_notional=Decimal(250_000), deduction=Decimal(1250)
    ),
    MarginTier(
        maintenance=Decimal("0.025"),
        max_leverage=Decimal(5),
        from_notional=Decimal(1_000_000),
        deduction=Decimal(16250),
    ),
)
MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.0005")
STEP_NS = 30_000_000_000
"""How long a premium holds."""
SLOW_STEPS = 120
"""Steps of half a minute to one of the slow process: an hour."""
MARK_NS = 1_000_000_000
INTEREST, BAND, MOST = 1e-4, 5e-4, 3e-3
"""Of the funding rate: interest, clamp of its distance from the premium, and largest rate a period."""
_FAST, _SLOW = 1.4e-4, 5e-4
"""Standard deviations of the two processes, as fractions of the price."""
_KEEP, _MEMORY = 0.9, 60
_MAGIC = b"perpetuals-1:"


class _Saved(msgspec.Struct, array_like=True):
    inner: bytes
    seqs: dict[InstrumentId, int]
    next_mark: int


class PerpetualMarket:
    """A `Market` (`engine.venues.markets.contract`) over another one that has the spot pairs.

    Args:
        inner: The market it is laid over; nobody else may advance it.
        seed: Of the premiums.
        funding_hours: Hours between two payments, counted from the beginning of the UTC day.
    """

    def __init__(self, inner: Market, *, seed: int = 1, funding_hours: float = 8.0) -> None:
        self._inner = inner
        self._seed = seed
        self._period = int(funding_hours * 3_600_000_000_000)
        spot = {i.symbol: i for i in inner.instruments() if i.kind is InstrumentKind.SPOT}
        self._spot = {_perpetual(spot[s], size).id: spot[s] for s, size in CONTRACTS.items() if s in spot}
        self._made = {spot[s].id: _perpetual(spot[s], size) for s, size in CONTRACTS.items() if s in spot}
        """Perpetuals by the id of their spot pair."""
        self._seqs: dict[InstrumentId, int] = dict.fromkeys(self._spot, 0)
        self._next_mark = self._after(inner.now)

    @property
    def start_time(self) -> int:
        """UTC nanoseconds at which the market began."""
        return self._inner.start_time

    @property
    def now(self) -> int:
        """UTC nanoseconds up to which it has been advanced."""
        return self._inner.now

    @property
    def depletes(self) -> bool:
        """As the market below."""
        return self._inner.depletes

    def instruments(self) -> tuple[Instrument, ...]:
        """Those of the market below, then the perpetuals."""
        return (*self._inner.instruments(), *self._made.values())

    def live(self, instrument: InstrumentId) -> bool:
        """Whether there is a book now; that of the spot pair for a perpetual. Raises NotFoundError."""
        return self._inner.live(self._below(instrument))

    def next_time(self) -> int | None:
        """UTC nanoseconds of the next event."""
        due = self._inner.next_time()
        return None if due is None else min(due, self._next_mark)

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """All events due up to a time, in order."""
        events: list[MarketDatum] = []
        while self._next_mark <= to_ns:
            at = self._next_mark
            # What is due at that very moment comes after it, and moves with the new premium.
            events += self._with_perpetuals(self._inner.advance(at - 1))
            if at % STEP_NS == 0:
                events += [self._renewed(key, at) for key in self._spot if self.live(key)]
            events += self._marks(at)
            self._next_mark = at + MARK_NS
        events += self._with_perpetuals(self._inner.advance(to_ns))
        return events

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """Move on without telling what happened on the way; one snapshot for each live instrument."""
        events = self._inner.skip(to_ns)
        self._next_mark = self._after(max(to_ns, self._inner.now))
        return [*events, *(self._renewed(key, self._inner.now) for key in self._spot if self.live(key))]

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book now. Raises NotFoundError."""
        below = self._inner.snapshot(self._below(instrument))
        made = self._made.get(below.instrument) if instrument in self._spot else None
        return below if made is None else self._moved(below, made, self._seqs[made.id], self.now)

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Let one aggressive execution press on the market of the spot pair."""
        spot = self._spot.get(instrument)
        if spot is None:
            self._inner.impact(instrument, ts, side, quantity, price)
            return
        made = self._made[spot.id]
        self._inner.impact(spot.id, ts, side, quantity * _ratio(spot, made), price - self._shift(made, self.now))

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """Candles; those of the spot pair for a perpetual, with the volume in contracts. Raises as the one below."""
        spot = self._spot.get(instrument)
        if spot is None:
            return self._inner.history(instrument, timeframe, end_ns, limit)
        ratio = _ratio(spot, self._made[spot.id])
        below = self._inner.history(spot.id, timeframe, end_ns, limit)
        return [msgspec.structs.replace(bar, instrument=instrument, volume=bar.volume / ratio) for bar in below]

    def save(self) -> bytes:
        """Everything needed to go on."""
        return _MAGIC + msgspec.msgpack.encode(_Saved(self._inner.save(), self._seqs, self._next_mark))

    def restore(self, data: bytes) -> None:
        """Take up a saved state, also one of the market below alone, from before it had perpetuals.

        Raises:
            StateCorruptionError: The data is damaged or belongs to another market.
        """
        if not data.startswith(_MAGIC):
            self._inner.restore(data)
            self._next_mark = self._after(self._inner.now)
            return
        try:
            saved = msgspec.msgpack.decode(data[len(_MAGIC) :], type=_Saved)
        except msgspec.MsgspecError as error:
            raise StateCorruptionError(
                f"The saved state of the perpetuals cannot be read ({error}); start the paper venue anew."
            ) from error
        self._inner.restore(saved.inner)
        self._seqs |= {key: saved.seqs.get(key, 0) for key in self._spot}
        self._next_mark = saved.next_mark

    # --- inside ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _after(now: int) -> int:
        return (now // MARK_NS + 1) * MARK_NS

    def _below(self, instrument: InstrumentId) -> InstrumentId:
        spot = self._spot.get(instrument)
        return instrument if spot is None else spot.id

    def _with_perpetuals(self, events: Sequence[MarketDatum]) -> Iterator[MarketDatum]:
        for event in events:
            yield event
            made = self._made.get(event.instrument)
            if made is None:
                continue
            match event:
                case BookUpdate():
                    self._seqs[made.id] += 1
                    yield self._moved(event, made, self._seqs[made.id], event.ts)
                case MarketTrade():
                    yield MarketTrade(
                        made.id,
                        event.ts,
                        TradeId(f"{event.trade_id}p"),
                        event.price + self._shift(made, event.ts),
                        max(event.quantity // _ratio(self._spot[made.id], made), 1),
                        event.aggressor,
                    )
                case FeedStatus():
                    yield FeedStatus(made.id, event.ts, live=event.live, reason=event.reason)
                case _:
                    pass

    def _moved(self, book: BookUpdate, made: Instrument, seq: int, at: int) -> BookUpdate:
        shift = self._shift(made, at)
        ratio = _ratio(self._spot[made.id], made)

        def levels(side: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
            return tuple((price + shift, max(quantity // ratio, 1) if quantity else 0) for price, quantity in side)

        return BookUpdate(made.id, book.ts, seq, snapshot=book.snapshot, bids=levels(book.bids), asks=levels(book.asks))

    def _renewed(self, key: InstrumentId, at: int) -> BookUpdate:
        made = self._made[self._spot[key].id]
        self._seqs[key] += 1
        book = self._moved(self._inner.snapshot(self._spot[key].id), made, self._seqs[key], at)
        return BookUpdate(key, at, book.seq, snapshot=True, bids=book.bids, asks=book.asks)

    def _shift(self, made: Instrument, ts: int) -> int:
        """By how many scaled price units the perpetual's book is moved: whole ticks."""
        # It must stay as it is between two snapshots, so it hangs on the pair's typical price, not on the book.
        tick, typical = made.current_rules.price_tick, TYPICAL[made.base]
        return round(float(typical / tick) * self._premium(made.symbol, ts)) * made.price_to_int(tick)

    def _marks(self, at: int) -> Iterator[MarkPrice]:
        for key, spot in self._spot.items():
            if not self._inner.live(spot.id):
                continue
            book, made = self._inner.snapshot(spot.id), self._made[spot.id]
            if not book.bids or not book.asks:
                continue
            index = (spot.price_from_int(book.bids[0][0]) + spot.price_from_int(book.asks[0][0])) / 2
            mark = index + made.price_from_int(self._shift(made, at))
            rate = self._rate(made.symbol, at)
            yield MarkPrice(
                key,
                at,
                mark=mark,
                index=index,
                funding_rate=Decimal(f"{rate:.6f}"),
                next_funding=(at // self._period + 1) * self._period,
            )

    def _premium(self, symbol: str, ts: int) -> float:
        step = ts // STEP_NS
        slow = _process(self._seed, f"{symbol}/slow", step // SLOW_STEPS) * _SLOW
        return slow + _process(self._seed, f"{symbol}/fast", step) * _FAST

    def _rate(self, symbol: str, ts: int) -> float:
        """The rate of the running period: by the slow premium, which is what the mean over it comes to."""
        premium = _process(self._seed, f"{symbol}/slow", ts // STEP_NS // SLOW_STEPS) * _SLOW
        rate = premium + min(max(INTEREST - premium, -BAND), BAND)
        return min(max(rate, -MOST), MOST)


@lru_cache(maxsize=4096)
def _noise(seed: int, name: str, step: int) -> float:
    return random.Random(f"{seed}/{name}/{step}").gauss(0.0, 1.0)


@lru_cache(maxsize=1024)
def _process(seed: int, name: str, step: int) -> float:
    """A stationary first-order autoregressive process of variance 1 as a function of its step."""
    weight = math.sqrt(1 - _KEEP * _KEEP)
    return weight * sum(_KEEP**back * _noise(seed, name, step - back) for back in range(_MEMORY))


def _ratio(spot: Instrument, made: Instrument) -> int:
    """Scaled units of the spot pair in one contract."""
    return spot.quantity_to_int(made.multiplier)


def _perpetual(spot: Instrument, size: Decimal) -> Instrument:
    rules = spot.current_rules
    symbol = f"{spot.symbol}:{spot.quote}"
    return Instrument(
        id=instrument_id(spot.venue, symbol),
        venue=spot.venue,
        symbol=symbol,
        kind=InstrumentKind.LINEAR_PERPETUAL,
        base=spot.base,
        quote=spot.quote,
        settle=spot.quote,
        rules=(
            InstrumentRules(
                valid_from=0,
                price_tick=rules.price_tick,
                lot=Decimal(1),
                min_quantity=Decimal(1),
                min_notional=rules.min_notional,
                maker_fee=MAKER_FEE,
                taker_fee=TAKER_FEE,
                margin=TIERS,
            ),
        ),
        multiplier=size,
        price_scale=spot.price_scale,
        quantity_scale=0,
    )
