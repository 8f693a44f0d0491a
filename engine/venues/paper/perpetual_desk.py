"""The part of the paper exchange that is about perpetuals, and about whole accounts of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.order import OrderStatus
from engine.venues.paper.changes import PerpetualImage
from engine.venues.paper.perpetual import PerpetualListing, refresh, set_margin, venue_positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from decimal import Decimal

    from engine.model.ids import AccountId, InstrumentId
    from engine.model.margin import MarginMode, MarginSetting
    from engine.model.market import MarkPrice
    from engine.model.venue import FundingPayment, VenuePosition
    from engine.venues.paper.accounts import PaperAccount
    from engine.venues.paper.core import Core
    from engine.venues.paper.cursors import Cursors
    from engine.venues.paper.listing import Listing
    from engine.venues.paper.orders import Report

__all__ = ["PerpetualDesk"]

_NOTHING: tuple[Report, ...] = ()


class PerpetualDesk:
    """Mixed into the exchange, which owns everything that is used here."""

    cursors: Cursors
    _core: Core
    _listings: dict[InstrumentId, Listing]

    def _reporting(self) -> AbstractContextManager[list[Report]]:
        raise NotImplementedError

    def _listing(self, instrument: InstrumentId) -> Listing:
        raise NotImplementedError

    def _account(self, account: AccountId) -> PaperAccount:
        raise NotImplementedError

    def set_margin(self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode) -> None:
        """Set leverage and margin mode of an account in a perpetual.

        Raises:
            NotFoundError: No such account or instrument.
            ValidationError: It cannot be set; see `engine.venues.paper.perpetual.set_margin`.
        """
        set_margin(self._core, self._account(account), self._listing(instrument), leverage, mode)

    def margin(self, account: AccountId, instrument: InstrumentId) -> MarginSetting:
        """Leverage and margin mode of an account in a perpetual.

        Raises:
            NotFoundError: No such account or instrument.
            ValidationError: It is no perpetual.
        """
        listing = self._listing(instrument)
        if not isinstance(listing, PerpetualListing):
            raise ValidationError(f"{instrument} is no perpetual.")
        return listing.setting(self._account(account))

    def positions(self, account: AccountId, now: int) -> list[VenuePosition]:
        """All open positions of an account in perpetuals. Raises NotFoundError."""
        return venue_positions(self._core, self._account(account), now)

    def on_mark(self, event: MarkPrice) -> Sequence[Report]:
        """Take the mark of a perpetual: funding that is due is paid, positions without margin are closed."""
        listing = self._listings.get(event.instrument)
        if not isinstance(listing, PerpetualListing):
            return _NOTHING
        with self._reporting() as out:
            listing.on_mark(event)
            return out

    def _revalue(self, listing: PerpetualListing, ts: int) -> Sequence[Report]:
        """Close what a new price leaves without margin."""
        with self._reporting() as out:
            listing.check(ts)
            return out

    def deleverage(self, account: AccountId, instrument: InstrumentId, quantity: Decimal, now: int) -> Sequence[Report]:
        """Close a part of a position against somebody's liquidation, as a venue may at any time.

        Raises:
            NotFoundError: No such account or instrument.
            ValidationError: There is no such position.
        """
        listing = self._listing(instrument)
        if not isinstance(listing, PerpetualListing):
            raise ValidationError(f"{instrument} is no perpetual.")
        with self._reporting() as out:
            listing.deleverage(self._account(account), quantity, now)
            return out

    def funding_since(self, account: AccountId, cursor: str) -> tuple[list[FundingPayment], str]:
        """Funding after a cursor ("" for all kept), oldest first, and the next cursor. Raises as `fills_since`."""
        after = self.cursors.payment(cursor)
        found = [stored.payment for stored in self._core.payments if stored.number > after]
        return [one for one in found if one.account == account], self.cursors.of(self._core.counters.payment)

    @property
    def oldest_payment(self) -> int:
        """Number of the oldest payment in memory. One more than the last when none is."""
        payments = self._core.payments
        return payments[0].number if payments else self._core.counters.payment + 1

    def cancel_all(self, account: AccountId, reason: str, now: int) -> Sequence[Report]:
        """End all working orders of an account but those that protect: reduce-only ones that wait for a trigger."""
        with self._reporting() as out:
            for order in list(self._core.open.values()):
                protects = order.waits and order.command.reduce_only
                if order.command.account == account and order.is_open and not protects:
                    self._listings[order.command.instrument].end(order, OrderStatus.CANCELED, reason, now)
            return out

    def _restore_perpetuals(self, images: Iterable[PerpetualImage]) -> None:
        for image in images:
            listing = self._listings.get(image.instrument)
            if isinstance(listing, PerpetualListing):
                listing.mark, listing.rate, listing.next_funding = image.mark, image.rate, image.next_funding
        for account in self._core.accounts.values():
            for key in account.positions:
                refresh(self._core, account, self._listing(key).instrument.settle)

    def _perpetual_images(self) -> tuple[PerpetualImage, ...]:
        return tuple(
            PerpetualImage(key, listing.mark, listing.rate, listing.next_funding)
            for key, listing in self._listings.items()
            if isinstance(listing, PerpetualListing)
        )
