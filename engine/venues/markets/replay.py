"""The replay market: a recording behind the market contract, in its own time or in the venue's.

Two ways to run one:

- In recorded time: the engine's clock shows the recording's time (`engine.clock.SimulatedClock` driven by
  `next_time` as fast as it goes, or a `ReplayClock` at a chosen speed). Nothing is changed in the events.
- In the venue's time: the recording begins at `begin` and plays at `speed` (0 for as fast as it goes); events are
  stamped with the time at which they are due, so that the age of data is true. Bars of candles cannot be squeezed, so
  they play at speed 1 only.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConfigurationError, NotFoundError, StateCorruptionError
from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import CandleBuilder, bar_open
from engine.model.market import BookUpdate, FeedStatus, MarketDatum, MarketTrade, OrderBook
from engine.venues.markets.recording import aggregate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.clock import Clock
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.order import OrderSide
    from engine.venues.markets.recording import Recording

__all__ = ["ReplayClock", "ReplayMarket"]

_KEPT_MINUTES = 10_000
_FASTEST = 1e9
"""A speed at which years pass in a tenth of a second: whoever advances the market sets the pace."""


class ReplayClock:
    """Shows a recording's time, running at a speed.

    Args:
        clock: The clock that really runs.
        start: UTC nanoseconds shown first.
        speed: Recorded seconds a second, > 0.

    Raises:
        ConfigurationError: The speed is not a positive number.
    """

    def __init__(self, clock: Clock, start: int, speed: float) -> None:
        self._clock = clock
        self._start = start
        self._speed = _checked_speed(speed)
        self._zero = clock.monotonic()

    def now(self) -> int:
        """UTC nanoseconds of recorded time."""
        return self._start + int((self._clock.monotonic() - self._zero) * self._speed)

    def monotonic(self) -> int:
        """The same as `now`."""
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Wait that long in recorded time."""
        await self._clock.sleep(seconds / self._speed)


class _Saved(msgspec.Struct):
    recording: str
    count: int
    now: int
    origin: int
    speed: float


class ReplayMarket:
    """A `Market` that plays a recording. When it ends, every instrument reports so once and stays as it was.

    A skip plays on quickly and silently. The trader's executions do not press on it.

    Args:
        recording: What to play.
        begin: UTC nanoseconds at which the recording shall begin; None for its own time.
        speed: Recorded seconds a second, 0 for as fast as it goes; 1 unless `begin` is given.

    Raises:
        ConfigurationError: The speed is no such number, or candles are to be played at another speed than 1.
    """

    def __init__(self, recording: Recording, *, begin: int | None = None, speed: float = 1.0) -> None:
        self._recording = recording
        self._instruments = recording.instruments()
        self._own_time = begin is None
        self._speed = _checked_speed(speed if speed != 0 else _FASTEST)
        if self._speed != 1.0 and (begin is None or recording.timeframe is not None):
            raise ConfigurationError(
                f"{recording.name} cannot be replayed at speed {speed:g}: candles play at speed 1 only; "
                "to go through them faster, run a backtest on them."
                if recording.timeframe is not None
                else f"{recording.name} cannot be replayed at speed {speed:g} in its own time; use a ReplayClock."
            )
        self._first = recording.start_time
        if begin is not None and recording.timeframe is not None:
            # Bars must stay on their grid: begin at the last bar end before.
            begin = begin - (begin - self._first) % timeframe_ns(recording.timeframe)
        self._origin: int = self._first if begin is None else begin
        self._now: int = self._origin - 1
        self._rewind()

    @property
    def start_time(self) -> int:
        """UTC nanoseconds of the first event."""
        return self._origin

    @property
    def now(self) -> int:
        """UTC nanoseconds up to which it has been advanced."""
        return self._now

    @property
    def depletes(self) -> bool:
        """False: a recording does not know the trader."""
        return False

    def instruments(self) -> tuple[Instrument, ...]:
        """All recorded instruments."""
        return self._instruments

    def live(self, instrument: InstrumentId) -> bool:
        """Whether the recording has a book of it now.

        Raises:
            NotFoundError: There is no such instrument.
        """
        self._book(instrument)
        return self._live[instrument]

    def next_time(self) -> int | None:
        """UTC nanoseconds of the next event; None after the end."""
        return None if self._next is None else self._next[0]

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """All events due up to a time, in order."""
        events: list[MarketDatum] = []
        while self._next is not None and self._next[0] <= to_ns:
            events.append(self._take(self._next[1]))
        self._now = max(self._now, to_ns)
        for name, builder in self._builders.items():
            self._minutes[name].extend(builder.roll(self._now))
        return events

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """Play on silently to a time and give one snapshot for each live instrument."""
        if to_ns <= self._now:
            return []
        self.advance(to_ns)
        return [self.snapshot(i.id) for i in self._instruments if self._live[i.id]]

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book now; empty before the first one was recorded.

        Raises:
            NotFoundError: There is no such instrument.
        """
        return self._book(instrument).to_snapshot()

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Nothing: what happened has happened."""

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """The newest closed candles up to a time: the recording's own, or those of its trades so far.

        Raises:
            NotFoundError: There is no such instrument.
            ValidationError: The timeframe is unknown.
        """
        self._book(instrument)
        length = timeframe_ns(timeframe)
        end = bar_open(min(end_ns, self._now), timeframe)
        start = end - max(limit, 0) * length
        own = self._recording.timeframe
        if own is not None:
            shift = self._origin - self._first
            found = self._recording.candles(instrument, start - shift, end - shift)
            candles = [msgspec.structs.replace(c, ts=c.ts + shift) for c in found] if shift else found
        else:
            candles = [c for c in list(self._minutes[instrument]) if start <= c.ts < end]
        if timeframe == (own or "1m"):
            return candles
        return [c for c in aggregate(candles, timeframe) if c.closed]

    def save(self) -> bytes:
        """Where in the recording it stands."""
        return msgspec.msgpack.encode(_Saved(self._recording.name, self._count, self._now, self._origin, self._speed))

    def restore(self, data: bytes) -> None:
        """Go on where a saved replay of the same recording stood.

        Raises:
            StateCorruptionError: The data is damaged or of another recording.
        """
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except msgspec.DecodeError as error:
            raise StateCorruptionError(
                f"The saved state of the replay cannot be read ({error}); start the paper venue anew."
            ) from error
        if saved.recording != self._recording.name:
            raise StateCorruptionError(
                f"The saved replay is of {saved.recording}, not of {self._recording.name}; start the paper venue anew."
            )
        if not self._own_time:
            # Where it stood in the recording, seen at the speed that is wanted now.
            played = saved.now - saved.origin
            self._origin = saved.now - (
                played if saved.speed == self._speed else int(played * saved.speed / self._speed)
            )
        self._rewind()
        while self._count < saved.count and self._next is not None:
            self._take(self._next[1])
        self._now = saved.now

    def _rewind(self) -> None:
        self._books = {i.id: OrderBook(i.id) for i in self._instruments}
        self._live = {i.id: False for i in self._instruments}
        self._builders = {i.id: CandleBuilder(i, "1m") for i in self._instruments}
        self._minutes: dict[InstrumentId, deque[Candle]] = {
            i.id: deque(maxlen=_KEPT_MINUTES) for i in self._instruments
        }
        self._count = 0
        self._now = self._origin - 1
        self._events = self._play()
        self._next: tuple[int, MarketDatum] | None = next(self._events, None)

    def _play(self) -> Iterator[tuple[int, MarketDatum]]:
        """The recording's events in the market's time with the time each is due, and the news of its end."""
        last = self._origin
        for event in self._recording.events():
            recorded = event.ts + timeframe_ns(event.timeframe) if isinstance(event, Candle) else event.ts
            due = recorded if self._own_time else self._origin + self._elapsed(recorded)
            last = max(last, due)
            yield last, event if last == recorded else msgspec.structs.replace(event, ts=event.ts + last - recorded)
        for instrument in self._instruments:
            yield last, FeedStatus(instrument.id, last, live=False, reason="The recording has ended.")

    def _elapsed(self, recorded: int) -> int:
        # Dividing nanoseconds since 1970 as floats would lose hundreds of them; at speed 1 nothing may be lost.
        elapsed = recorded - self._first
        return elapsed if self._speed == 1.0 else int(elapsed / self._speed)

    def _take(self, event: MarketDatum) -> MarketDatum:
        """Let one event happen and look at the next."""
        self._count += 1
        name = event.instrument
        if isinstance(event, BookUpdate):
            self._books[name].apply(event)
            self._live[name] = True
        elif isinstance(event, MarketTrade):
            self._minutes[name].extend(self._builders[name].on_trade(event))
        elif isinstance(event, FeedStatus):
            self._live[name] = event.live
        self._next = next(self._events, None)
        return event

    def _book(self, instrument: InstrumentId) -> OrderBook:
        book = self._books.get(instrument)
        if book is None:
            names = ", ".join(self._books)
            raise NotFoundError(f"The recording {self._recording.name} has no instrument {instrument}; it has {names}.")
        return book


def _checked_speed(speed: float) -> float:
    if not 0 < speed < float("inf"):
        raise ConfigurationError(f"speed must be a positive number, not {speed:g}.")
    return speed
