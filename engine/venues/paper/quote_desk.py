"""The part of the exchange that follows best prices alone, and that takes other rules of what is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.venues.paper.listing import Listing
    from engine.venues.paper.orders import Report
    from engine.venues.paper.top_matching import TopMatching

__all__ = ["QuoteDesk"]

_NOTHING: tuple[Report, ...] = ()


class QuoteDesk:
    """Mixed into the exchange, which owns everything that is used here."""

    def _reporting(self) -> AbstractContextManager[list[Report]]:
        raise NotImplementedError

    def _listing(self, instrument: InstrumentId) -> Listing:
        raise NotImplementedError

    def take_rules(self, instrument: Instrument) -> None:
        """Let other rules of a listed instrument hold, such as the fees of another tier.

        Raises:
            NotFoundError: It is not listed.
        """
        self._listing(instrument.id).take_rules(instrument)

    def matching(self, instrument: InstrumentId) -> TopMatching:
        """What matches an instrument's orders against its best prices.

        Raises:
            NotFoundError: It is not listed.
            ValidationError: It is not matched against quotes.
        """
        tops = self._listing(instrument).tops
        if tops is None:
            raise ValidationError(f"{instrument} is not matched against quotes.")
        return tops

    def on_quote(
        self, instrument: InstrumentId, ts: int, bid: int, bid_size: int, ask: int, ask_size: int
    ) -> Sequence[Report]:
        """Take the best prices of an instrument that is matched against them.

        Args:
            instrument: Listed as `FillKind.TOP`.
            ts: UTC nanoseconds at the venue.
            bid: Scaled price, as `ask`.
            bid_size: Scaled quantity, as `ask_size`; 0 for an empty side.
            ask: See `bid`.
            ask_size: See `bid_size`.
        """
        tops = self.matching(instrument)
        if tops.passes(ts, bid, bid_size, ask, ask_size):
            return _NOTHING
        with self._reporting() as out:
            tops.on_quote(ts, bid, bid_size, ask, ask_size)
            return out
