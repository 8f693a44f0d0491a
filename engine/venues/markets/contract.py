"""The market contract: what a paper venue asks of the market it matches orders against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import BookUpdate, MarketDatum
    from engine.model.order import OrderSide

__all__ = ["Market"]


class Market(Protocol):
    """A deterministic market without I/O: the time is passed in, events come out.

    The same seed (or recording) and the same calls give the same events; how a span is cut into `advance` calls makes
    no difference. A market emits `BookUpdate`s, `MarketTrade`s and `FeedStatus`; only a replay of candles emits
    `Candle`s, everybody else builds them from the trades (`engine.model.candle_builder`).

    Not thread-safe, but for `history`, which may run beside everything else.
    """

    @property
    def start_time(self) -> int:
        """UTC nanoseconds at which the market begins."""

    @property
    def now(self) -> int:
        """UTC nanoseconds up to which it has been advanced."""

    @property
    def depletes(self) -> bool:
        """Whether `impact` takes the executed quantity out of the market's own book.

        If so, the next update of that level shows what is left and a matching overlay may forget what it took; if not
        (replays), the overlay alone remembers it.
        """

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments with their rules, in a fixed order."""

    def live(self, instrument: InstrumentId) -> bool:
        """Whether the instrument has a book that is being kept up to date now.

        Raises:
            NotFoundError: The market has no such instrument.
        """

    def next_time(self) -> int | None:
        """UTC nanoseconds at which the next event is due; None when there will be none."""

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """All events due after `now` up to and including `to_ns`, in order of time; a time in the past gives none."""

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """Move on to `to_ns` without telling what happened on the way; gives one snapshot for each live instrument.

        Meant for the gap after a restart. It costs milliseconds whatever the gap; the candles of the gap are there
        in `history`.
        """

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book now; the next update of the instrument follows its `seq`.

        Raises:
            NotFoundError: The market has no such instrument.
        """

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Let one aggressive execution of the trader press on the market; replays ignore it.

        Call it once per fill that took liquidity; resting orders that are hit were already part of the market's own
        flow.

        Args:
            instrument: What was traded.
            ts: UTC nanoseconds of the execution.
            side: Side of the trader's order.
            quantity: Executed scaled quantity, > 0.
            price: Scaled price of the level that was hit.
        """

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """The newest `limit` candles closed at or before `end_ns` and `now`, oldest first; fewer where none exist.

        May be called from another thread.

        Raises:
            NotFoundError: The market has no such instrument.
            ValidationError: The timeframe is unknown or shorter than what the market keeps.
        """

    def save(self) -> bytes:
        """Everything needed to go on at `now` after a restart."""

    def restore(self, data: bytes) -> None:
        """Take up a saved state; the events that follow are those the saved market would have given.

        Raises:
            StateCorruptionError: The data is damaged or belongs to another market.
        """
