"""Raw exchange captures: reading the lines, scaling the numbers, one recording over the parsers of each exchange."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.errors import DataSourceError, DataValidationError
from engine.model.market import BookUpdate, FeedStatus, MarketDatum
from engine.venues.numbers import iso_ns, scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument

__all__ = ["CaptureLine", "CaptureParser", "CaptureRecording", "FeedBook", "Places", "iso_ns", "scaled"]

Level = tuple[int, int]


class CaptureLine(msgspec.Struct, frozen=True):
    """One line of a capture."""

    t: str
    """`config`, `connect`, `send`, `recv` or `http`."""
    ts_ns: int
    """The recorder's clock; good for order, not for latency."""
    conn: str = ""
    url: str = ""
    data: str = ""
    """The payload as it came, JSON in a string."""


class CaptureParser(Protocol):
    """Turns the payloads of one exchange into market events."""

    def feed(self, line: CaptureLine) -> list[MarketDatum]:
        """Events of one `recv` or `http` line, in order."""


class Places:
    """Finds out how many decimal places prices and quantities of each symbol have."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def see(self, symbol: str, levels: Iterable[list[str]]) -> None:
        """Look at (price, quantity, ...) pairs."""
        price, quantity = self._seen.get(symbol, (0, 0))
        for level in levels:
            price = max(price, _decimal_places(level[0]))
            quantity = max(quantity, _decimal_places(level[1]))
        self._seen[symbol] = (price, quantity)

    def symbols(self) -> list[str]:
        """All symbols seen, in order of first sight."""
        return list(self._seen)

    def of(self, symbol: str) -> tuple[int, int]:
        """Places of price and quantity."""
        return self._seen.get(symbol, (0, 0))


def _decimal_places(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


class FeedBook:
    """The feed of one instrument: numbers its updates, keeps time from going back, tells when the book is lost."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.price_places = instrument.price_scale
        self.quantity_places = instrument.quantity_scale
        self.live = False
        """Whether a snapshot has come and no message was missed since."""
        self._seq = -1

    def levels(self, raw: Iterable[list[str]]) -> tuple[Level, ...]:
        """Scaled levels of (price, quantity, ...) strings."""
        price, quantity = self.price_places, self.quantity_places
        return tuple([(scaled(level[0], price), scaled(level[1], quantity)) for level in raw])

    def snapshot(self, ts: int, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> list[MarketDatum]:
        """A whole book, and the news that the feed is live if it was not."""
        events: list[MarketDatum] = []
        if not self.live:
            self.live = True
            events.append(FeedStatus(self.instrument.id, ts, live=True))
        self._seq += 1
        events.append(BookUpdate(self.instrument.id, ts, self._seq, snapshot=True, bids=bids, asks=asks))
        return events

    def update(self, ts: int, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> BookUpdate:
        """Changed levels."""
        self._seq += 1
        return BookUpdate(self.instrument.id, ts, self._seq, snapshot=False, bids=bids, asks=asks)

    def lose(self, ts: int, reason: str) -> list[MarketDatum]:
        """The book can no longer be trusted; nothing follows until the next snapshot."""
        if not self.live:
            return []
        self.live = False
        return [FeedStatus(self.instrument.id, ts, live=False, reason=reason)]


class CaptureRecording:
    """A capture file as a recording.

    Args:
        path: A `.jsonl.gz` or `.jsonl` file, one JSON object a line (see `CaptureLine`).
        venue: Venue part of the instruments' ids; None for the exchange's own name.

    Raises:
        DataSourceError: The file cannot be read.
        DataValidationError: It is no capture of an exchange that is known here, or holds no market data.
    """

    def __init__(self, path: Path, venue: str | None = None) -> None:
        self._path = path
        self.name = path.name
        exchange = _exchange(self._lines())
        survey, self._parser = _parsers(exchange)
        self.exchange = exchange
        self._instruments = survey(self._lines(), venue if venue is not None else exchange.upper())
        first = next(self.events(), None)
        if first is None:
            raise DataValidationError(f"{path.name} holds no books or trades.")
        self._start = first.ts

    @property
    def start_time(self) -> int:
        """UTC nanoseconds of the first event."""
        return self._start

    @property
    def timeframe(self) -> str | None:
        """None: recorded candles of an exchange are not replayed, they follow from the trades."""
        return None

    def instruments(self) -> tuple[Instrument, ...]:
        """What was recorded, with the recorded rules where there were any."""
        return self._instruments

    def events(self) -> Iterator[MarketDatum]:
        """All events, stamped by the exchange; where its messages overtake each other, time stands still."""
        parser = self._parser(self._instruments)
        last = 0
        for line in self._lines():
            if line.t not in ("recv", "http"):
                continue
            for event in parser.feed(line):
                if event.ts >= last:
                    last = event.ts
                    yield event
                else:
                    yield msgspec.structs.replace(event, ts=last)

    def candles(self, instrument: InstrumentId, start: int, end: int) -> list[Candle]:
        """None."""
        return []

    def _lines(self) -> Iterator[CaptureLine]:
        decode = msgspec.json.Decoder(CaptureLine).decode
        number = 0
        try:
            with gzip.open(self._path) if self._path.suffix == ".gz" else self._path.open("rb") as file:
                for raw in file:
                    number += 1
                    yield decode(raw)
        except msgspec.DecodeError as error:
            raise DataValidationError(f"{self.name}: line {number} is not a line of a capture ({error}).") from error
        except (OSError, EOFError) as error:
            raise DataSourceError(f"{self._path} cannot be read: {error}") from error


def _parsers(
    exchange: str,
) -> tuple[
    Callable[[Iterable[CaptureLine], str], tuple[Instrument, ...]],
    Callable[[tuple[Instrument, ...]], CaptureParser],
]:
    if exchange in ("binance", "binanceusdm"):
        from engine.venues.markets import capture_binance

        return capture_binance.survey, capture_binance.BinanceParser
    if exchange == "okx":
        from engine.venues.markets import capture_okx

        return capture_okx.survey, capture_okx.OkxParser
    from engine.venues.markets import capture_coinbase

    return capture_coinbase.survey, capture_coinbase.CoinbaseParser


def _exchange(lines: Iterable[CaptureLine]) -> str:
    """Name of the exchange by the first payload or address that gives it away.

    Raises:
        DataValidationError: None does.
    """
    for line in lines:
        if "fapi.binance.com" in line.url or "fstream.binance.com" in line.url:
            return "binanceusdm"
        if "binance.com" in line.url:
            return "binance"
        if "okx.com" in line.url or "okex.com" in line.url:
            return "okx"
        if "coinbase.com" in line.url:
            return "coinbase"
        if line.t == "recv" and '"e":"depthUpdate"' in line.data:
            return "binanceusdm" if '"pu":' in line.data else "binance"
    raise DataValidationError("The capture shows no message of Binance, OKX or Coinbase.")
