"""The paper exchange: accounts, orders and their life, without input or output; the time is passed in.

Every changing call returns the private events it caused, in order. The same calls in the same order give the same
events. What fills when is decided by a fill model per instrument; what a fill does to money, to OCO siblings and to
reduce-only orders is decided here, for all models alike.

Rules of the house: buys hold price x quantity and the worst fee, sells hold base; reduce-only orders hold nothing and
shrink with the position (the account's holding of the base currency); an OCO group holds what its largest member needs.
What one member fills the others lose; when one ends, all end. A market order whose balance does not cover the price it
meets fills what is covered, the rest is canceled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.errors import NotFoundError, OrderRejectionError, ValidationError
from engine.events import OrderAccepted, OrderAmended, OrderCancelRejected
from engine.model.candle import Candle, timeframe_ns
from engine.model.decimals import ZERO, exact
from engine.model.ids import Currency
from engine.model.instrument import InstrumentKind
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, MarkPrice
from engine.model.order import OrderStatus
from engine.venues.paper.accounts import PaperAccount
from engine.venues.paper.admission import accept, change, reject
from engine.venues.paper.changes import Changes, Counters, ExchangeImage
from engine.venues.paper.checks import Refused
from engine.venues.paper.core import ENDED_KEPT, Core, Reporting
from engine.venues.paper.cursors import Cursors
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.listing import Listing
from engine.venues.paper.orders import PaperOrder, RejectCode, Report
from engine.venues.paper.perpetual import PerpetualListing
from engine.venues.paper.perpetual_desk import PerpetualDesk
from engine.venues.paper.quote_desk import QuoteDesk
from engine.venues.paper.settings import PaperSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import OrderCommand, VenueBalance, VenueOrder

__all__ = ["PaperExchange"]

_NOTHING: tuple[Report, ...] = ()


class PaperExchange(PerpetualDesk, QuoteDesk):
    """A whole exchange as a plain object. Not thread-safe.

    Args:
        venue: Name that fills carry.
        instruments: What can be traded.
        settings: Fees, shorts and fill behaviour.
        kind: What orders are matched against; `list_instrument` may say otherwise for single instruments.
        track: Remember changes for `take_changes` (a store); off in a backtest.
    """

    def __init__(
        self,
        venue: VenueId,
        instruments: Iterable[Instrument],
        settings: PaperSettings | None = None,
        *,
        kind: FillKind = FillKind.BOOK,
        track: bool = False,
    ) -> None:
        self._core = Core(venue, settings or PaperSettings(), track=track)
        self._listings = self._core.listings
        self.cursors = Cursors(self._core)
        self.broken: set[InstrumentId] = set()
        """Instruments whose book lost an update and needs a snapshot through `on_book`."""
        for instrument in instruments:
            self.list_instrument(instrument, kind)

    # --- accounts and instruments ------------------------------------------------------------------------------------

    def list_instrument(self, instrument: Instrument, kind: FillKind) -> None:
        """Make an instrument tradable, or replace its matching; it must have no working orders then.

        Raises:
            ValidationError: It has working orders.
        """
        known = self._listings.get(instrument.id)
        if known is not None and known.model.working():
            raise ValidationError(f"{instrument.id} has working orders; cancel them before it is listed anew.")
        perpetual = instrument.kind is InstrumentKind.LINEAR_PERPETUAL
        self._listings[instrument.id] = (PerpetualListing if perpetual else Listing)(instrument, self._core, kind)

    def kind_of(self, instrument: InstrumentId) -> FillKind:
        """What an instrument's orders are matched against.

        Raises:
            NotFoundError: It is not listed.
        """
        return self._listing(instrument).kind

    def instruments(self) -> list[InstrumentId]:
        """Everything that is listed."""
        return list(self._listings)

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """What is listed under an id.

        Raises:
            NotFoundError: Nothing is.
        """
        return self._listing(instrument).instrument

    def open_account(self, account: AccountId, balances: Mapping[Currency, Decimal] | None = None) -> None:
        """Open an account with these balances (default: the settings' ones); an account that exists stays as it is."""
        if account in self._core.accounts:
            return
        start = balances if balances is not None else self._core.settings.balances
        opened = PaperAccount(account, {Currency(c): amount for c, amount in start.items()})
        self._core.accounts[account] = opened
        self._core.touch_account(opened)

    def deposit(self, account: AccountId, currency: Currency, amount: Decimal) -> None:
        """Add money, or take it out when the amount is negative.

        Raises:
            NotFoundError: No such account.
            ValidationError: More would be taken out than is free.
        """
        found = self._account(account)
        with exact():
            if amount < 0 and found.free(currency) + amount < 0:
                free = found.free(currency).normalize()
                raise ValidationError(f"{-amount} {currency} cannot be withdrawn from {account}: {free:f} is free.")
            found.move(currency, amount)
        self._core.touch_account(found)

    # --- orders ------------------------------------------------------------------------------------------------------

    def place(self, command: OrderCommand, now: int) -> Sequence[Report]:
        """Take an order: OrderAccepted and what follows at once, or OrderRejected.

        Raises:
            OrderRejectionError: The client order id was seen before (`error_code` duplicate_client_id). The order of
                that id is untouched, so this is no OrderRejected, which would speak of that one.
        """
        core, key = self._core, (command.account, command.client_id)
        if key in core.open or key in core.ended:
            raise OrderRejectionError(
                f"The client order id {command.client_id} was used before; look the order up instead of sending again.",
                error_code=RejectCode.DUPLICATE,
            )
        with self._reporting() as out:
            try:
                order, listing = accept(core, command, now)
            except Refused as refused:
                reject(core, command, refused, now)
                return out
            core.emit(
                command.account,
                OrderAccepted(client_id=command.client_id, venue_order_id=order.venue_order_id, ts=now),
            )
            if command.reduce_only and order.remaining > listing.reducible(order):
                listing.resize(order, listing.reducible(order), now)
            listing.model.add(order, now)
            return out

    def cancel(self, account: AccountId, client_id: ClientOrderId, now: int) -> Sequence[Report]:
        """End a working order (OrderCanceled, and its OCO siblings'), or OrderCancelRejected."""
        with self._reporting() as out:
            order = self._core.open.get((account, client_id))
            if order is None:
                self._cancel_rejected(account, client_id, self._not_open(account, client_id), now)
            else:
                self._listings[order.command.instrument].end(order, OrderStatus.CANCELED, "canceled on request", now)
            return out

    def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        now: int,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Sequence[Report]:
        """Change a working order in place (OrderAmended, and what follows at once), or OrderCancelRejected.

        The quantity is the whole order's, what is filled included. A smaller quantity keeps the place in the queue.
        """
        with self._reporting() as out:
            order = self._core.open.get((account, client_id))
            if order is None:
                self._cancel_rejected(account, client_id, self._not_open(account, client_id), now)
                return out
            listing = self._listings[order.command.instrument]
            before = order.quantity, order.price, order.stop
            try:
                change(order, listing, now, quantity, price, stop_price)
            except Refused as refused:
                order.quantity, order.price, order.stop = before
                self._cancel_rejected(account, client_id, refused, now)
                return out
            order.updated = now
            self._core.touch(order)
            self._core.emit(
                account,
                OrderAmended(
                    client_id=client_id,
                    ts=now,
                    quantity=None if quantity is None else listing.amount(order.quantity),
                    price=price,
                    stop_price=stop_price,
                ),
            )
            keeps_place = order.quantity <= before[0] and (order.price, order.stop) == before[1:]
            listing.model.amended(order, now, keeps_place=keeps_place)
            return out

    # --- the market --------------------------------------------------------------------------------------------------

    def on_bar(
        self,
        instrument: InstrumentId,
        ts_open: int,
        ts_close: int,
        o: float,
        h: float,
        l: float,  # noqa: E741
        c: float,
        v: float,
        reaction: Callable[[AccountId, VenueEvent], None] | None = None,
    ) -> Sequence[Report]:
        """Let a closed bar fill the orders that arrived at or before its open.

        Args:
            instrument: One that is matched against bars.
            ts_open: UTC nanoseconds of the bar's open.
            ts_close: UTC nanoseconds of its end, which is the next bar's open.
            o: Open price; `h`, `l`, `c` high, low and close; quote currency.
            h: See `o`.
            l: See `o`.
            c: See `o`.
            v: Volume in base units.
            reaction: Called with each report right when it happens; it may place, amend and cancel, and what it places
                works on the rest of the bar's path. The reports it was given are also returned.

        Returns:
            What happened, in order.
        """
        listing = self._listings[instrument]
        bars = listing.bars
        if bars is None:
            raise ValidationError(f"{instrument} is matched against a book and takes no bars.")
        if l > bars.below and h < bars.above:
            bars.last = c
            return self._revalue(listing, ts_close) if isinstance(listing, PerpetualListing) else _NOTHING
        core = self._core
        with self._reporting() as out:
            core.reaction, core.reacted = reaction, 0
            try:
                bars.on_bar(ts_open, ts_close, o, h, l, c, v)
                if isinstance(listing, PerpetualListing):
                    listing.check(ts_close)
                core.react()
            finally:
                core.reaction = None
            return out

    def mark(self, instrument: InstrumentId, price: float) -> None:
        """Tell the last price of an instrument that is matched against bars, without matching."""
        bars = self._listing(instrument).bars
        if bars is not None:
            bars.last = price

    def reach(self, instrument: InstrumentId) -> tuple[float, float]:
        """A bar whose low is above the first and whose high is below the second price reaches no working order."""
        return self._listing(instrument).reach

    def on_book(self, update: BookUpdate) -> Sequence[Report]:
        """Follow a book. After a lost update the instrument is in `broken` until a snapshot comes."""
        listing = self._listings.get(update.instrument)
        if listing is None or listing.books is None:
            return _NOTHING
        with self._reporting() as out:
            if listing.books.on_book(update):
                self.broken.discard(update.instrument)
            else:
                self.broken.add(update.instrument)
            return out

    def on_trade(self, trade: MarketTrade) -> Sequence[Report]:
        """Let a public trade fill resting orders and set off triggers."""
        listing = self._listings.get(trade.instrument)
        if listing is None or listing.books is None:
            return _NOTHING
        with self._reporting() as out:
            listing.books.on_trade(trade)
            return out

    def on_market(self, event: MarketEvent) -> Sequence[Report]:
        """Take whatever a market delivers; growing candles and those of instruments with a book change nothing."""
        if isinstance(event, BookUpdate):
            return self.on_book(event)
        if isinstance(event, MarketTrade):
            return self.on_trade(event)
        if isinstance(event, MarkPrice):
            return self.on_mark(event)
        listing = self._listings.get(event.instrument)
        if isinstance(event, Candle):
            if listing is None or listing.bars is None or not event.closed:
                return _NOTHING
            end = event.ts + timeframe_ns(event.timeframe)
            return self.on_bar(
                event.instrument, event.ts, end, event.open, event.high, event.low, event.close, event.volume
            )
        if isinstance(event, FeedStatus) and listing is not None and listing.books is not None:
            listing.books.open = event.live
        return _NOTHING

    # --- queries -----------------------------------------------------------------------------------------------------

    def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """An order by our id; None when it never arrived (or ended long ago, see `ENDED_KEPT`)."""
        key = account, client_id
        order = self._core.open.get(key) or self._core.ended.get(key)
        return None if order is None else self.view(order)

    def view(self, order: PaperOrder) -> VenueOrder | None:
        """An order as a query shows it; None when its instrument is not listed any more."""
        listing = self._listings.get(order.command.instrument)
        return None if listing is None else listing.view(order)

    def open_orders(self, account: AccountId) -> list[VenueOrder]:
        """All working orders of an account, oldest first. Raises NotFoundError."""
        self._account(account)
        return [
            self._listings[order.command.instrument].view(order)
            for order in self._core.open.values()
            if order.command.account == account
        ]

    def balances(self, account: AccountId) -> list[VenueBalance]:
        """All non-zero balances of an account.

        Raises:
            NotFoundError: No such account.
        """
        return self._account(account).balances()

    def fills_since(self, account: AccountId, cursor: str) -> tuple[list[Fill], str]:
        """Executions after a cursor ("" for all kept), oldest first, and the next cursor.

        Raises:
            ValidationError: The cursor is none of ours.
            StateConsistencyError: It is of another store, or of a later time than this one.
        """
        after = self.cursors.number(cursor)
        fills = [stored.fill for stored in self._core.fills if stored.number > after]
        return [fill for fill in fills if fill.account == account], self.cursors.of(self._core.counters.fill)

    @property
    def oldest_fill(self) -> int:
        """Number of the oldest fill in memory; older ones are in the store. One more than the last when none is."""
        fills = self._core.fills
        return fills[0].number if fills else self._core.counters.fill + 1

    # --- storing -----------------------------------------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether `take_changes` would give anything."""
        return self._core.changed

    @property
    def forgets(self) -> bool:
        """Whether ended orders have begun to leave memory, so that an old id is known to the store alone."""
        return len(self._core.ended) >= ENDED_KEPT

    def take_changes(self) -> Changes:
        """Everything that changed since the last call (only with `track`)."""
        return msgspec.structs.replace(self._core.take_changes(), perpetuals=self._perpetual_images())

    def queues(self) -> list[PaperOrder]:
        """Working orders with a place in a queue, which moves without a report."""
        return [order for order in self._core.open.values() if order.ahead]

    def restore(self, image: ExchangeImage, run: str = "") -> None:
        """Take up a stored exchange; call it once, before anything else, with all its instruments listed.

        `run` begins the ids of orders and trades from now on.

        Raises:
            NotFoundError: A working order's instrument is not listed.
        """
        core = self._core
        for stored in image.accounts:
            account = PaperAccount(stored.account, stored.totals)
            core.accounts[stored.account] = account
            account.shorts.update(stored.shorts)
            account.positions.update(stored.positions)
            account.margins.update(stored.margins)
            for instrument_id, short in stored.shorts.items():
                quote = self._listing(instrument_id).instrument.quote
                account.locked[quote] = account.locked.get(quote, ZERO) + short.held
        counters = image.counters
        core.counters = Counters(counters.order, counters.trade, counters.fill, counters.payment)
        core.store, core.run = image.store, run
        core.fills.extend(image.fills)
        core.payments.extend(image.payments)
        self._restore_perpetuals(image.perpetuals)
        for order in image.ended_orders:
            core.ended[order.command.account, order.command.client_id] = order
        for order in image.open_orders:
            listing = self._listing(order.command.instrument)
            # What it holds is worked out anew, so that the sum of the parts is what the account has locked.
            order.held = ZERO
            self._account(order.command.account).join(order)
            with exact():
                listing.rehold(order)
            core.admit(order)
            listing.model.restore(order)
        core.take_changes()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _reporting(self) -> Reporting:
        """Collect the reports of one call; calls from inside a reaction collect their own."""
        return Reporting(self._core)

    def _listing(self, instrument: InstrumentId) -> Listing:
        listing = self._listings.get(instrument)
        if listing is None:
            raise NotFoundError(f"The venue {self._core.venue} does not trade {instrument}.")
        return listing

    def _account(self, account: AccountId) -> PaperAccount:
        found = self._core.accounts.get(account)
        if found is None:
            known = ", ".join(sorted(self._core.accounts)) or "none"
            raise NotFoundError(f"The venue {self._core.venue} has no account {account}; it has: {known}.")
        return found

    def _not_open(self, account: AccountId, client_id: ClientOrderId) -> Refused:
        ended = self._core.ended.get((account, client_id))
        if ended is None:
            return Refused(RejectCode.UNKNOWN_ORDER, f"There is no order {client_id} in the account {account}.")
        return Refused(RejectCode.ALREADY_ENDED, f"The order {client_id} is already {ended.status}.")

    def _cancel_rejected(self, account: AccountId, client_id: ClientOrderId, refused: Refused, now: int) -> None:
        self._core.emit(
            account, OrderCancelRejected(client_id=client_id, code=refused.code, reason=refused.reason, ts=now)
        )
