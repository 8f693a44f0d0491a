"""The simulated market: five instruments out of one seed, with books, trades, history and the trader's own impact.

Fair prices of the assets follow `sim_path` (volatility regimes, common factor, fat tails), bridged within the minute by
`sim_fair`. On each book update the market makers of an instrument quote around a reference that follows the fair price
once it has left a band, so that prices rest and then jump; the spread widens and the depth thins with volatility.
What is in the way of a new quote is cancelled or swept. Market orders arrive as a self-exciting process (Hawkes,
"Spectra of some self-exciting and mutually exciting point processes", 1971, exponential kernel), their signs persist,
and they lean towards the fair price. ETH/BTC is made of the same two assets as the USDT pairs, so the triangle is
closed up to spread and band, which is less than the fees of going round it. The trader's own impact: `sim_impact`.
"""

from __future__ import annotations

import heapq
import math
import random
from typing import TYPE_CHECKING

import msgspec

from engine.errors import NotFoundError, StateCorruptionError
from engine.model.order import OrderSide
from engine.venues.markets.sim_fair import MINUTE_NS, FairPrices, FairState
from engine.venues.markets.sim_history import SavedMinutes, SimulatedHistory
from engine.venues.markets.sim_impact import ImpactModel
from engine.venues.markets.sim_pair import PairState, SimulatedPair
from engine.venues.markets.sim_path import FairPath
from engine.venues.markets.sim_profile import ASSETS, PAIRS, PairProfile, SimulatedSettings, make_instrument

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import BookUpdate, MarketDatum

__all__ = ["SimulatedMarket"]

_FORMAT = 1


_Stream = tuple[list[int], float | None]
"""Words and spare normal deviate of a generator."""


class _Saved(msgspec.Struct, array_like=True):
    format: int
    seed: int
    genesis: int
    start: int
    now: int
    serial: int
    agenda: list[tuple[int, int, int]]
    chance: tuple[_Stream, _Stream]
    """The streams of books and of fair prices."""
    fair: FairState
    opens: list[float]
    """The path's log prices at the minute's open, to notice a path that is no longer the same."""
    impact: tuple[int, list[list[float]], list[float]]
    shifts: tuple[list[float], list[int], list[list[float]]]
    pairs: list[PairState]
    minutes: msgspec.Raw
    born: int


class SimulatedMarket:
    """A `Market` out of a seed.

    The past before the start exists too, see `history`. After a restart, `restore` and `skip` continue the same market:
    its fair prices are a function of seed and time, so nothing has to be generated for the gap, and its candles are
    there; only books are made anew. That costs about a millisecond for each day of the gap.

    Args:
        settings: Seed, rate and volatility.
        start: UTC nanoseconds at which it begins; a market that is restored keeps its own beginning.
        pairs: The instruments; fewer of them cost less time.
    """

    def __init__(self, settings: SimulatedSettings, start: int, pairs: tuple[PairProfile, ...] = PAIRS) -> None:
        self.settings = settings
        self._profiles = pairs
        # Fair prices have their own stream, so that the trader's impact on books leaves them as they would have been.
        self._rng = random.Random(f"{settings.seed}/books")
        self._fair_rng = random.Random(f"{settings.seed}/fair")
        self._instruments = tuple(make_instrument(pair, settings.venue) for pair in pairs)
        self._index = {instrument.id: i for i, instrument in enumerate(self._instruments)}
        codes = [a.code for a in ASSETS]
        self._legs = [(codes.index(p.base), codes.index(p.quote) if p.quote in codes else -1) for p in pairs]
        self._start = self._now = self._born = start
        self._serial = 0
        self._agenda: list[tuple[int, int, int]] = []
        self._pairs: list[SimulatedPair] = []
        self._begin(start // MINUTE_NS)
        self._open_books(start)

    @property
    def start_time(self) -> int:
        """UTC nanoseconds at which the market began."""
        return self._start

    @property
    def now(self) -> int:
        """UTC nanoseconds up to which it has been advanced."""
        return self._now

    @property
    def depletes(self) -> bool:
        """True: what the trader takes is gone from the book."""
        return True

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments."""
        return self._instruments

    def live(self, instrument: InstrumentId) -> bool:
        """Always True for an instrument of this market.

        Raises:
            NotFoundError: There is no such instrument.
        """
        self._pair(instrument)
        return True

    def next_time(self) -> int | None:
        """UTC nanoseconds of the next event; there always is one."""
        return self._agenda[0][0]

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """All events due up to a time, in order."""
        events: list[MarketDatum] = []
        agenda = self._agenda
        while agenda[0][0] <= to_ns:
            ts, _, code = heapq.heappop(agenda)
            index, is_trade = divmod(code, 2)
            if self._fair.next_time <= ts:
                self._follow(ts)
            if is_trade:
                events += self._pairs[index].trade(ts)
            else:
                self._quote(index, ts, events)
        self._now = max(self._now, to_ns)
        return events

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """Be at a later time at once: prices where the path has them, fresh books, one snapshot an instrument."""
        if to_ns <= self._now:
            return []
        self._now = self._born = to_ns
        self._fair.jump(to_ns)
        for pair in self._pairs:
            pair.restart_tape()
            pair.state.seq += 1
        self._open_books(to_ns)
        return [pair.snapshot(to_ns) for pair in self._pairs]

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book now.

        Raises:
            NotFoundError: There is no such instrument.
        """
        return self._pairs[self._pair(instrument)].snapshot(self._now)

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Take an execution of the trader out of the book and let it press on the prices (`sim_impact`).

        Raises:
            NotFoundError: There is no such instrument.
        """
        index = self._pair(instrument)
        pair, (base, quote) = self._pairs[index], self._legs[index]
        ladder = pair.asks if side is OrderSide.BUY else pair.bids
        ladder.reduce(price * ladder.sign, quantity)
        details = pair.instrument
        value = side.sign * price * quantity / 10.0 ** (details.price_scale + details.quantity_scale)
        if quote < 0:
            self._impact.press(ts, base, value)
        else:
            value *= math.exp(self._fair.state.prices[quote]) / 2
            self._impact.press(ts, base, value)
            self._impact.press(ts, quote, -value)
        self._history.shift(self._fair.state.minute + 1, self._impact.permanent)
        self._pressure = self._impact.transient(ts)

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """The newest closed candles up to a time; the past goes back more than a year before the start.

        Raises:
            NotFoundError: There is no such instrument.
            ValidationError: The timeframe is not a whole number of minutes.
        """
        # The minute that is being lived is closed only when the market has gone past it.
        end = min(end_ns, self._fair.state.minute * MINUTE_NS)
        return self._history.candles(self._pair(instrument), timeframe, end, limit)

    def save(self) -> bytes:
        """Seed and tick state, some tens of kilobytes."""
        chunk, column = self._fair.chunk, self._fair.column
        saved = _Saved(
            format=_FORMAT,
            seed=self.settings.seed,
            genesis=self._path.genesis,
            start=self._start,
            now=self._now,
            serial=self._serial,
            agenda=self._agenda,
            chance=(_stream(self._rng), _stream(self._fair_rng)),
            fair=self._fair.state,
            opens=self._path.chunk(chunk).levels[:, column].tolist(),
            impact=self._impact.dump(),
            shifts=self._history.dump_shifts(),
            pairs=[pair.dump() for pair in self._pairs],
            minutes=msgspec.Raw(self._history.pack()),
            born=self._born,
        )
        return msgspec.msgpack.encode(saved)

    def restore(self, data: bytes) -> None:
        """Continue a saved market; its beginning replaces this one's, the settings but for the seed stay.

        Raises:
            StateCorruptionError: The data is damaged, of another version, or of a market with another seed.
        """
        saved, minutes = self._decode(data)
        self._start, self._now, self._born = saved.start, saved.now, saved.born
        self._begin(saved.genesis)
        self._serial, self._agenda = saved.serial, saved.agenda
        self._impact.load(saved.impact)
        self._history.load_shifts(saved.shifts)
        self._history.unpack(minutes)
        self._fair.resume(saved.fair)
        self._mend(saved.opens)
        for index, state in enumerate(saved.pairs):
            self._pairs[index].load(state, self._minute_value(index))
        self._pressure = self._impact.transient(self._now)
        for rng, (words, spare) in zip((self._rng, self._fair_rng), saved.chance, strict=True):
            rng.setstate((3, tuple(words), spare))

    def _decode(self, data: bytes) -> tuple[_Saved, SavedMinutes]:
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
            minutes = msgspec.msgpack.decode(saved.minutes, type=SavedMinutes)
        except msgspec.DecodeError as error:
            raise StateCorruptionError(
                f"The saved state of the simulated market cannot be read ({error}); start the paper venue anew."
            ) from error
        if saved.format != _FORMAT or saved.seed != self.settings.seed or len(saved.pairs) != len(self._profiles):
            raise StateCorruptionError(
                f"The saved state belongs to another simulated market (seed {saved.seed}, format {saved.format}), not "
                f"to seed {self.settings.seed}, format {_FORMAT}; set that seed again or start the paper venue anew."
            )
        lengths = [len(words) for words, _ in saved.chance] + [len(saved.fair.prices), len(saved.fair.paces)]
        if lengths != [625, 625, len(ASSETS), 60] or not saved.agenda:
            raise StateCorruptionError(
                "The saved state of the simulated market is incomplete; start the paper venue anew."
            )
        return saved, minutes

    def _begin(self, genesis: int) -> None:
        """Lay everything that hangs on the first minute."""
        self._path = FairPath(self.settings, genesis, ASSETS, self._profiles)
        self._history = SimulatedHistory(self._path, self._profiles, self._instruments)
        self._fair = FairPrices(self._path, [a.beta for a in ASSETS], self._fair_rng, self._now)
        self._impact = ImpactModel(ASSETS, self.settings.volatility)
        self._pressure = [0.0] * len(ASSETS)
        self._pairs = [
            SimulatedPair(profile, instrument, self._rng, self.settings.rate)
            for profile, instrument in zip(self._profiles, self._instruments, strict=True)
        ]

    def _open_books(self, ts: int) -> None:
        self._pressure = self._impact.transient(ts)
        self._agenda.clear()
        for index, pair in enumerate(self._pairs):
            pair.open(self._log_price(index))
            self._push(ts + int(self._rng.random() * 1e9 / self.settings.rate), 2 * index)
        self._enter_minute()

    def _mend(self, opens: list[float]) -> None:
        """Keep the price level where a numerical library has changed its random streams since the state was saved."""
        path = self._path.chunk(self._fair.chunk).levels[:, self._fair.column].tolist()
        gaps = [saved - now for saved, now in zip(opens, path, strict=True)]
        if max(map(abs, gaps)) > 1e-9:
            state, permanent = self._fair.state, self._impact.permanent
            state.prices = [p - g for p, g in zip(state.prices, gaps, strict=True)]
            permanent[:] = [p + g for p, g in zip(permanent, gaps, strict=True)]
            self._history.load_shifts((list(permanent), [], []))

    def _follow(self, ts: int) -> None:
        """Bring the fair prices up to a time."""
        fair = self._fair
        while fair.next_time <= ts:
            minute = fair.state.minute
            fair.step()
            if fair.state.minute != minute:
                self._close_minute()
        if self._impact.active:
            self._pressure = self._impact.transient(ts)

    def _quote(self, index: int, ts: int, events: list[MarketDatum]) -> None:
        fair = self._fair
        pair = self._pairs[index]
        heat = fair.heat * min(max(math.sqrt(fair.pace), 0.4), 5.0)
        events += pair.quote(ts, self._log_price(index), heat)
        wait = (0.5 + 0.5 * self._rng.expovariate(1.0)) / self.settings.rate
        self._push(ts + int(wait * 1e9), 2 * index)
        for at in pair.arrivals(wait, fair.pace):
            self._push(ts + int(at * 1e9), 2 * index + 1)

    def _push(self, ts: int, code: int) -> None:
        self._serial += 1
        heapq.heappush(self._agenda, (ts, self._serial, code))

    def _log_price(self, index: int) -> float:
        base, quote = self._legs[index]
        prices, lasting, fading = self._fair.state.prices, self._impact.permanent, self._pressure
        log = prices[base] + lasting[base] + fading[base]
        return log if quote < 0 else log - prices[quote] - lasting[quote] - fading[quote]

    def _close_minute(self) -> None:
        boundary = self._fair.state.minute * MINUTE_NS
        for index, pair in enumerate(self._pairs):
            for candle in pair.builder.roll(boundary):
                # A minute in which the market began or was skipped into is known better by the path.
                if candle.ts >= self._born:
                    self._history.add(index, candle)
        self._enter_minute()

    def _enter_minute(self) -> None:
        for index, pair in enumerate(self._pairs):
            pair.enter_minute(self._minute_value(index))

    def _minute_value(self, index: int) -> float:
        return float(self._path.texture(self._fair.chunk, index).value[self._fair.column])

    def _pair(self, instrument: InstrumentId) -> int:
        index = self._index.get(instrument)
        if index is None:
            names = ", ".join(self._index)
            raise NotFoundError(f"The simulated market has no instrument {instrument}; it has {names}.")
        return index


def _stream(rng: random.Random) -> _Stream:
    _, words, spare = rng.getstate()
    return list(words), spare
