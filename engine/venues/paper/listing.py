"""One instrument at the paper exchange: its rules, its fill model, and what an execution does to money and orders."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.events import OrderAmended, OrderCanceled, OrderExpired, OrderFilled, OrderTriggered
from engine.model.decimals import ONE, ZERO, exact
from engine.model.fill import Fill
from engine.model.instrument import CASH_KINDS
from engine.model.order import Liquidity, OrderStatus
from engine.model.venue import VenueOrder
from engine.venues.paper.accounts import BOUND
from engine.venues.paper.bar_matching import BarMatching
from engine.venues.paper.book_matching import BookMatching
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.orders import Terms, terms_at
from engine.venues.paper.settings import FeeCurrency
from engine.venues.paper.top_matching import TopMatching

if TYPE_CHECKING:
    from engine.model.ids import Currency, TradeId
    from engine.model.instrument import Instrument
    from engine.venues.paper.accounts import PaperAccount
    from engine.venues.paper.core import Core
    from engine.venues.paper.orders import PaperOrder

__all__ = ["Listing"]


class Listing:
    """What the fill model of one instrument may do (`Clearing`), and what an order of it needs and holds."""

    def __init__(self, instrument: Instrument, core: Core, kind: FillKind) -> None:
        self.instrument = instrument
        self.core = core
        self.kind = kind
        self.bars: BarMatching | None = None
        self.books: BookMatching | None = None
        self.tops: TopMatching | None = None
        self.model: BarMatching | BookMatching
        if kind is FillKind.BAR:
            self.model = self.bars = BarMatching(instrument, self, core.settings.bars)
        elif kind is FillKind.TOP:
            self.model = self.books = self.tops = TopMatching(instrument, self, core.settings.book)
        else:
            self.model = self.books = BookMatching(instrument, self, core.settings.book)
        self._terms = terms_at(instrument, 0)
        self._terms_from = 0

    def take_rules(self, instrument: Instrument) -> None:
        """Other rules, such as the fees of another tier, hold from now on; scales and currencies are the same."""
        self.instrument = instrument
        self._terms, self._terms_from = terms_at(instrument, 0), 0

    # --- Clearing ----------------------------------------------------------------------------------------------------

    @property
    def reach(self) -> tuple[float, float]:
        """See `PaperExchange.reach`."""
        return (math.inf, -math.inf) if self.bars is None else (self.bars.below, self.bars.above)

    def terms(self, now: int) -> Terms:
        """The rules in force at a UTC nanosecond time."""
        if not self._terms_from <= now < self._terms.until:
            self._terms, self._terms_from = terms_at(self.instrument, now), now
        return self._terms

    def new_trade_id(self) -> TradeId:
        """The next trade id of the exchange."""
        return self.core.new_trade_id()

    def react(self) -> None:
        """Hand on what was reported so far."""
        self.core.react()

    def trigger(self, order: PaperOrder, ts: int) -> None:
        """Report that an order's trigger was reached."""
        order.triggered = True
        order.updated = ts
        self.core.touch(order)
        self.core.emit(order.command.account, OrderTriggered(client_id=order.command.client_id, ts=ts))

    def fill(
        self,
        order: PaperOrder,
        price: int,
        quantity: int,
        liquidity: Liquidity,
        ts: int,
        trade_id: TradeId | None = None,
    ) -> int:
        """Book an execution as far as money allows; see `Clearing.fill`."""
        with exact():
            booked = self.payable(order, price, quantity)
            if booked:
                self._book(order, price, booked, liquidity, ts, trade_id or self.core.new_trade_id())
            if booked < quantity and order.is_open:
                reduces = order.command.reduce_only
                reason = "the position is closed" if reduces else "the balance does not cover the rest"
                self.end(order, OrderStatus.CANCELED, reason, ts)
        return booked

    def payable(self, order: PaperOrder, price: int, quantity: int) -> int:
        """How much of a scaled quantity the balance and a reduce-only position allow at a scaled price."""
        with exact():
            return self._payable(order, price, quantity)

    def end(self, order: PaperOrder, status: OrderStatus, reason: str, ts: int) -> None:
        """End an order without a fill, and its OCO siblings with it."""
        siblings = self.account_of(order).siblings(order)
        self._end_alone(order, status, reason, ts)
        self._end_all(siblings, ts)

    # --- showing -----------------------------------------------------------------------------------------------------

    def price(self, scaled: int) -> Decimal:
        """A scaled price with as many decimal places as the tick has."""
        return _shown(scaled, self.instrument.price_scale, self._terms.price_digits)

    def amount(self, scaled: int) -> Decimal:
        """A scaled quantity with as many decimal places as the lot has."""
        return _shown(scaled, self.instrument.quantity_scale, self._terms.quantity_digits)

    def view(self, order: PaperOrder) -> VenueOrder:
        """An order as a query shows it."""
        command = order.command
        rejected = order.status is OrderStatus.REJECTED
        return VenueOrder(
            client_id=command.client_id,
            venue_order_id=order.venue_order_id,
            account=command.account,
            instrument=command.instrument,
            side=command.side,
            type=command.type,
            quantity=command.quantity if rejected else self.amount(order.quantity),
            filled=self.amount(order.filled),
            status=order.status,
            created=order.created,
            updated=order.updated,
            price=command.price if order.price is None else self.price(order.price),
            stop_price=command.stop_price if order.stop is None else self.price(order.stop),
            reason=order.reason,
        )

    # --- what an order needs -----------------------------------------------------------------------------------------

    def account_of(self, order: PaperOrder) -> PaperAccount:
        """The account an order belongs to."""
        return self.core.accounts[order.command.account]

    def need(self, order: PaperOrder) -> tuple[Currency, Decimal]:
        """Currency and amount an order has to hold for what is left of it; run it in the exact context."""
        instrument = self.instrument
        account = self.account_of(order)
        left = instrument.quantity_from_int(order.remaining)
        shorting = self.core.settings.allow_short
        currency = instrument.quote if order.buy or shorting else instrument.base
        if order.command.reduce_only:
            return currency, ZERO
        if not order.buy and not shorting:
            return currency, left
        price = self._unit_price(order)
        if not order.buy:
            uncovered = left - max(account.total(instrument.base), ZERO)
            return currency, instrument.notional(price, max(uncovered, ZERO))
        cost = instrument.notional(price, left) * (ONE + self._fee_in_quote(order))
        return currency, max(cost - account.released(instrument.id, left), ZERO)

    def reducible(self, order: PaperOrder) -> int:
        """Scaled quantity, in whole lots, by which an order could reduce the account's position."""
        held = self.account_of(order).total(self.instrument.base)
        return self._whole_lots(-held if order.buy else held, self._terms.lot)

    def rehold(self, order: PaperOrder) -> None:
        """Hold what is left to hold for an order; run it in the exact context."""
        currency, amount = self.need(order)
        self.account_of(order).hold(order, currency, amount)

    # --- booking -----------------------------------------------------------------------------------------------------

    def _book(
        self, order: PaperOrder, price: int, quantity: int, liquidity: Liquidity, ts: int, trade_id: TradeId
    ) -> None:
        command = order.command
        account = self.account_of(order)
        siblings = account.siblings(order)
        at, amount = self.price(price), self.amount(quantity)
        fee, fee_currency = self._fee(order, at, amount, liquidity)
        account.hold(order, order.held_currency, ZERO)
        order.updated = ts
        self._move(account, order, at, amount)
        account.move(fee_currency, -fee)
        order.filled += quantity
        done = order.remaining <= 0
        if done:
            self._retire(order, OrderStatus.FILLED, ts)
        else:
            order.status = OrderStatus.PARTIALLY_FILLED
            self.rehold(order)
            self.core.touch(order)
        self.core.touch_account(account)
        fill = Fill(
            venue=self.core.venue,
            account=command.account,
            instrument=command.instrument,
            trade_id=trade_id,
            venue_order_id=order.venue_order_id,
            client_id=command.client_id,
            side=command.side,
            price=at,
            quantity=amount,
            fee=fee,
            fee_currency=fee_currency,
            liquidity=liquidity,
            ts=ts,
        )
        self.core.keep_fill(fill)
        self.core.emit(account.id, OrderFilled(fill=fill))
        if done:
            self._end_all(siblings, ts)
        else:
            self._take_from(siblings, quantity, ts)
        self._shrink_reducing(account, ts)

    def _move(self, account: PaperAccount, order: PaperOrder, price: Decimal, amount: Decimal) -> None:
        instrument = self.instrument
        value = instrument.notional(price, amount)
        if order.buy:
            account.move(instrument.quote, -value)
            account.move(instrument.base, amount)
            account.cover_short(instrument, amount)
            return
        owned = max(account.total(instrument.base), ZERO)
        account.move(instrument.base, -amount)
        account.move(instrument.quote, value)
        if amount > owned:
            account.open_short(instrument, amount - owned, instrument.notional(price, amount - owned))

    def _fee(
        self, order: PaperOrder, price: Decimal, amount: Decimal, liquidity: Liquidity
    ) -> tuple[Decimal, Currency]:
        rate = self._terms.maker_fee if liquidity is Liquidity.MAKER else self._terms.taker_fee
        if order.buy and self.core.settings.fee_currency is FeeCurrency.RECEIVED:
            return amount * rate, self.instrument.base
        return self.instrument.notional(price, amount) * rate, self.instrument.quote

    def _fee_in_quote(self, order: PaperOrder) -> Decimal:
        """The worst fee rate that a buy pays in quote currency."""
        return ZERO if self.core.settings.fee_currency is FeeCurrency.RECEIVED else self._terms.worst_fee

    def _unit_price(self, order: PaperOrder) -> Decimal:
        price = order.price
        if price is None:
            price = order.stop if order.waits else self.model.reference(buy=order.buy)
        return self.instrument.price_from_int(price or 0)

    def _payable(self, order: PaperOrder, price: int, quantity: int) -> int:
        instrument, account = self.instrument, self.account_of(order)
        if order.command.reduce_only:
            quantity = min(quantity, self.reducible(order))
        at, amount = instrument.price_from_int(price), instrument.quantity_from_int(quantity)
        if order.buy:
            unit = instrument.notional(at, ONE) * (ONE + self._fee_in_quote(order))
            funds = account.available(order, instrument.quote) + account.released(instrument.id, amount)
        elif self.core.settings.allow_short and not order.command.reduce_only:
            unit = instrument.notional(at, ONE)
            funds = account.available(order, instrument.quote) + unit * max(account.total(instrument.base), ZERO)
        else:
            unit, funds = ONE, account.available(order, instrument.base)
        if unit * amount <= funds:
            return quantity
        return self._whole_lots(BOUND.divide(max(funds, ZERO), unit), self._terms.lot)

    def _whole_lots(self, amount: Decimal, lot: int) -> int:
        scaled = int(amount.scaleb(self.instrument.quantity_scale, context=BOUND)) if amount > 0 else 0
        return scaled - scaled % lot

    # --- orders that hang together -----------------------------------------------------------------------------------

    def _retire(self, order: PaperOrder, status: OrderStatus, ts: int, reason: str = "") -> None:
        with exact():
            self.account_of(order).drop(order)
        order.status = status
        order.updated = ts
        order.reason = reason
        self.model.remove(order)
        self.core.retire(order)

    def _end_alone(self, order: PaperOrder, status: OrderStatus, reason: str, ts: int) -> None:
        self._retire(order, status, ts, reason)
        name = order.command.client_id
        kind = OrderExpired if status is OrderStatus.EXPIRED else OrderCanceled
        self.core.emit(order.command.account, kind(client_id=name, reason=reason, ts=ts))

    def _end_all(self, siblings: list[PaperOrder], ts: int) -> None:
        for sibling in siblings:
            if sibling.is_open:
                self._listing_of(sibling)._end_alone(sibling, OrderStatus.CANCELED, "its OCO sibling ended", ts)

    def _take_from(self, siblings: list[PaperOrder], quantity: int, ts: int) -> None:
        for sibling in siblings:
            listing = self._listing_of(sibling)
            if sibling.remaining <= quantity:
                listing._end_alone(sibling, OrderStatus.CANCELED, "its OCO sibling filled all of it", ts)
            else:
                listing.resize(sibling, sibling.quantity - quantity, ts)

    def _shrink_reducing(self, account: PaperAccount, ts: int) -> None:
        for order in list(self.core.reducing):
            listing = self._listing_of(order)
            if not self._touches(listing) or order.command.account != account.id or not order.is_open:
                continue
            most = listing.reducible(order)
            if most < listing.terms(ts).lot:
                listing.end(order, OrderStatus.CANCELED, "the position is closed", ts)
            elif order.remaining > most:
                listing.resize(order, order.filled + most, ts)

    def _touches(self, other: Listing) -> bool:
        """Whether an execution here changes what orders of another listing could reduce."""
        return other.instrument.kind in CASH_KINDS and other.instrument.base == self.instrument.base

    def resize(self, order: PaperOrder, quantity: int, ts: int) -> None:
        """Shrink a working order on the exchange's own account and report it."""
        order.quantity = quantity
        order.updated = ts
        with exact():
            self.rehold(order)
        self.core.touch(order)
        amount = self.instrument.quantity_from_int(quantity)
        self.core.emit(order.command.account, OrderAmended(client_id=order.command.client_id, ts=ts, quantity=amount))
        self.model.amended(order, ts, keeps_place=True)

    def _listing_of(self, order: PaperOrder) -> Listing:
        return self.core.listings[order.command.instrument]


def _shown(scaled: int, scale: int, digits: int) -> Decimal:
    whole, rest = divmod(scaled, 10 ** max(scale - digits, 0))
    # An older, finer grid may have left digits that the present one does not show.
    return Decimal(scaled).scaleb(-scale) if rest else Decimal(whole).scaleb(-min(digits, scale))
