"""An exchange without a wire: a market, the project's matching engine, accounts, books, tapes, and an oracle's ledger.

A simulated venue speaks its protocol on top of this: it calls `place`, `cancel`, `amend` and the questions, and hears
what happens through `public` and `private`. Nothing here waits or reads a machine's clock: `follow` moves on to the
present of the clock that was given, `run` does so for ever.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import OrderRejectionError
from engine.events import OrderAccepted, OrderCancelRejected, OrderFilled, OrderRejected
from engine.model.ids import AccountId, ClientOrderId, Currency
from engine.model.instrument import InstrumentKind
from engine.model.margin import UNLEVERED
from engine.model.market import BookUpdate, MarketDatum, MarketTrade, MarkPrice, OrderBook
from engine.model.order import Liquidity, OrderStatus
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from tests.wire.accounts import Key, KeyRing
from tests.wire.faults import Fault, Faults
from tests.wire.ledger import Ledger, WireOrder
from tests.wire.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.ids import InstrumentId, VenueId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginSetting
    from engine.model.venue import FundingPayment, OrderCommand, VenueBalance, VenuePosition
    from engine.venues.markets.contract import Market
    from engine.venues.paper.orders import Report
    from engine.venues.paper.settings import PaperSettings

__all__ = ["Exchange", "Notice", "Outcome"]

FUNDING_NS = 8 * 3_600_000_000_000
TOO_MANY_ORDERS = "max_orders"
"""Code of a refusal that is the venue's and not the matching engine's."""
_NS = 1_000_000_000


@dataclass(frozen=True)
class Notice:
    """A private event and the order it speaks of as it was then."""

    account: AccountId
    event: VenueEvent
    order: WireOrder


@dataclass
class Outcome:
    """What became of a request at once."""

    order: WireOrder | None = None
    """The order, when it was taken (or found)."""
    code: str = ""
    """Why it was refused; empty when it was not."""
    reason: str = ""
    notices: list[Notice] = field(default_factory=list)


class Exchange:
    """A whole exchange as a plain object.

    Args:
        venue: Its name.
        market: Where prices come from; nobody else may advance it.
        clock: What time it is.
        settings: Fees and matching.
        seed: Of keys and faults.
        max_open_orders: Working orders an account may have in one instrument.
    """

    def __init__(
        self,
        venue: VenueId,
        market: Market,
        clock: Clock,
        *,
        settings: PaperSettings | None = None,
        seed: int = 1,
        max_open_orders: int = 200,
    ) -> None:
        self.venue = venue
        self.market = market
        self.clock = clock
        self.skew_ns = 0
        """How far the exchange's own clock is ahead of `clock`."""
        self.fills_late_ns = 0  # how much later than it happened an execution is listed
        self.max_open_orders = max_open_orders
        self.faults = Faults(seed)
        self.keys = KeyRing(seed)
        self.instruments: dict[InstrumentId, Instrument] = {i.id: i for i in market.instruments()}
        self.paper = PaperExchange(venue, market.instruments(), settings, kind=FillKind.BOOK)
        self.ledger = Ledger(market.instruments())
        self.books = {i: OrderBook(i) for i in self.instruments}
        self.tapes = {i: Tape(details, market) for i, details in self.instruments.items()}
        self.public: list[Callable[[MarketDatum], None]] = []
        """Told of everything that happens in the market, in order."""
        self.private: list[Callable[[Notice], None]] = []
        """Told of everything that happens to accounts' orders, in order."""
        self.settled: list[Callable[[set[AccountId]], None]] = []
        """Told, after `private`, whose orders something has happened to."""
        self.money: list[Callable[[AccountId, Currency, Decimal], None]] = []
        """Told of deposits and withdrawals."""
        self.funding: list[Callable[[FundingPayment], None]] = []
        """Told of settled funding."""
        self.marks: dict[InstrumentId, MarkPrice] = {}
        """The last mark of each perpetual."""
        self.mark_overrides: dict[InstrumentId, Decimal] = {}
        """Marks that a test sets instead of the middle of the book."""
        self.funding_rate = Decimal("0.0001")
        """Of every period; longs pay a positive one."""
        self._paid: dict[AccountId, str] = {}
        self._acting: int | None = None
        self._hidden = False
        """Whether any order was ever hidden for a while."""
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = count(1)
        self._countdowns: dict[tuple[AccountId, str], int] = {}
        for instrument in self.instruments:
            if market.live(instrument):
                self._take(market.snapshot(instrument))
        if any(i.kind is InstrumentKind.LINEAR_PERPETUAL for i in self.instruments.values()):
            self._mark()

    # --- time --------------------------------------------------------------------------------------------------------

    def time(self) -> int:
        """UTC nanoseconds without skew: the clock's, or while a timer acts the time that it was due."""
        return self.clock.now() if self._acting is None else self._acting

    def now(self) -> int:
        """UTC nanoseconds by the exchange's own clock, its skew included."""
        return self.time() + self.skew_ns

    def shown(self, ts: int) -> int:
        """A time of an event as the exchange's clock showed it."""
        return ts + self.skew_ns

    def ms(self, ts: int | None = None) -> int:
        """A time (default: now) in milliseconds as the exchange's clock shows it."""
        return (self.now() if ts is None else self.shown(ts)) // 1_000_000

    def at(self, ts: int, act: Callable[[], None]) -> None:
        """Do something when the clock has reached a time."""
        heapq.heappush(self._timers, (ts, next(self._serial), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something a while from now."""
        self.at(self.time() + int(seconds * _NS), act)

    def follow(self) -> None:
        """Live through everything up to the present; from within a timer it does nothing."""
        if self._acting is not None:
            return
        now = self.clock.now()
        while self._timers and self._timers[0][0] <= now:
            due, _, act = heapq.heappop(self._timers)
            self._acting = due
            try:
                self._advance(due)
                act()
            finally:
                self._acting = None
        self._advance(now)

    async def run(self, step_s: float = 0.005) -> None:
        """Follow the clock for ever."""
        while True:
            self.follow()
            await self.clock.sleep(step_s)
            await asyncio.sleep(0)

    # --- accounts ----------------------------------------------------------------------------------------------------

    def open_account(self, account: AccountId, balances: dict[str, Decimal], **key: Any) -> Key:
        """Open an account with money and give a key to it."""
        self.paper.open_account(account, {Currency(c): amount for c, amount in balances.items()})
        return self.keys.issue(account, **key)

    def balances(self, account: AccountId) -> list[VenueBalance]:
        """All non-zero balances."""
        return self.paper.balances(account)

    def deposit(self, account: AccountId, currency: str, amount: Decimal) -> None:
        """Add money from outside, or take it out.

        Raises:
            ValidationError: More would be taken out than is free.
        """
        self.paper.deposit(account, Currency(currency), amount)
        for listener in self.money:
            listener(account, Currency(currency), amount)

    # --- orders ------------------------------------------------------------------------------------------------------

    def place(self, command: OrderCommand, terms: dict[str, Any] | None = None, *, place: str = "order") -> Outcome:
        """Take an order.

        Args:
            command: What is asked.
            terms: The venue's own parameters, kept with the order.
            place: Name of the request, for faults.
        """
        self.follow()
        now = self.time()
        working = self.ledger.open_orders(command.account)
        open_now = sum(1 for o in working if o.command.instrument == command.instrument)
        if open_now >= self.max_open_orders:
            self.ledger.rejections[TOO_MANY_ORDERS] += 1
            return Outcome(code=TOO_MANY_ORDERS, reason=f"No more than {self.max_open_orders} open orders.")
        try:
            reports = self.paper.place(command, now)
        except OrderRejectionError as error:
            self.ledger.rejections[error.error_code or ""] += 1
            return Outcome(code=error.error_code or "", reason=error.message)
        first = reports[0][1]
        if isinstance(first, OrderRejected):
            self.ledger.book(command.account, first)
            return Outcome(code=first.code, reason=first.reason)
        late = self.faults.strike(Fault.LATE_VISIBLE, place)
        visible = now + int(late.delay_s * _NS) if late is not None else 0
        return self._settle(reports, command, terms, visible)

    def cancel(self, account: AccountId, client_id: str) -> Outcome:
        """End a working order."""
        self.follow()
        return self._settle(self.paper.cancel(account, ClientOrderId(client_id), self.time()))

    def amend(
        self,
        account: AccountId,
        client_id: str,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Outcome:
        """Change a working order in place."""
        self.follow()
        name, now = ClientOrderId(client_id), self.time()
        changed = self.paper.amend(account, name, now, quantity=quantity, price=price, stop_price=stop_price)
        return self._settle(changed)

    def end_alone(self, account: AccountId, client_id: str, reason: str) -> Outcome:
        """End a working order but not the members of its group, whose funds they then hold by themselves."""
        core, key = self.paper._core, (account, ClientOrderId(client_id))
        order = core.open[key]
        with self.paper._reporting() as reports:
            listing = core.listings[order.command.instrument]
            listing._end_alone(order, OrderStatus.CANCELED, reason, self.time())
        return self._settle(reports)

    def cancel_all(
        self,
        account: AccountId,
        instrument: InstrumentId | None = None,
        spare: Callable[[WireOrder], bool] | None = None,
    ) -> list[WireOrder]:
        """End all working orders of an account, or of one instrument of it, but those that are spared."""
        found = [o for o in self.open(account) if instrument in (None, o.command.instrument)]
        found = [o for o in found if spare is None or not spare(o)]
        for order in found:
            if order.is_open:
                self.cancel(account, order.client_id)
        return found

    def countdown(
        self,
        account: AccountId,
        seconds: float,
        instrument: InstrumentId | None = None,
        spare: Callable[[WireOrder], bool] | None = None,
    ) -> None:
        """Cancel all orders of an account (or of one instrument of it) unless asked again within so long; 0 stops.

        Args:
            account: Whose orders.
            seconds: How long.
            instrument: Only orders in this one.
            spare: Orders that are left alone.
        """
        key = account, str(instrument)
        ticket = self._countdowns[key] = next(self._serial)

        def strike() -> None:
            if self._countdowns.get(key) == ticket:
                self.cancel_all(account, instrument, spare)

        if seconds > 0:
            self.after(seconds, strike)

    # --- questions ---------------------------------------------------------------------------------------------------

    def visible(self, order: WireOrder | None) -> WireOrder | None:
        """The order, unless nobody is told of it yet."""
        return None if order is None or order.visible_from > self.time() else order

    def find(self, account: AccountId, client_id: str) -> WireOrder | None:
        """An order by the client's id, as far as it is shown."""
        self.follow()
        return self.visible(self.ledger.find(account, client_id))

    def numbered(self, account: AccountId, number: int) -> WireOrder | None:
        """An order by the exchange's number, as far as it is shown."""
        self.follow()
        return self.visible(self.ledger.numbered(account, number))

    def orders(self, account: AccountId) -> list[WireOrder]:
        """All orders of an account that are shown, oldest first."""
        self.follow()
        return [o for o in self.ledger.orders(account) if self.visible(o)]

    def open(self, account: AccountId) -> list[WireOrder]:
        """The working orders among them."""
        self.follow()
        return [o for o in self.ledger.open_orders(account) if self.visible(o)]

    def fills(self, account: AccountId) -> list[tuple[int, Any]]:
        """Number and execution of everything an account has executed, oldest first, as far as it is shown."""
        return list(self.latest_fills(account))[::-1]

    def latest_fills(self, account: AccountId) -> Iterator[tuple[int, Any]]:
        """The same, newest first: whoever wants the latest looks no further."""
        self.follow()
        shown = self.time() - self.fills_late_ns
        for number, fill in reversed(self.ledger.fills_of(account)):
            if self.fills_late_ns and fill.ts > shown:
                continue
            if not self._hidden or self.visible(self.ledger.find(account, fill.client_id)) is not None:
                yield number, fill

    def positions(self, account: AccountId) -> list[VenuePosition]:
        """Open positions in perpetuals."""
        self.follow()
        return self.paper.positions(account, self.time())

    def margin(self, account: AccountId, instrument: InstrumentId) -> MarginSetting:
        """Leverage and margin mode of an account in a perpetual."""
        return self.paper._core.accounts[account].margins.get(instrument, UNLEVERED)

    # --- perpetuals --------------------------------------------------------------------------------------------------

    def mark(self, instrument: InstrumentId) -> Decimal | None:
        """What positions are valued at: the middle of the book on the tick grid, or what a test says."""
        if instrument in self.mark_overrides:
            return self.mark_overrides[instrument]
        book, details = self.books[instrument], self.instruments[instrument]
        if book.best_bid is None or book.best_ask is None:
            return None
        return details.price_from_int((book.best_bid + book.best_ask) // 2)

    def _mark(self) -> None:
        """Tell the marks once a second."""
        for instrument, details in self.instruments.items():
            if details.kind is InstrumentKind.LINEAR_PERPETUAL and (mark := self.mark(instrument)) is not None:
                self.tell_mark(instrument, mark)
        self.after(1.0, self._mark)

    def tell_mark(self, instrument: InstrumentId, mark: Decimal) -> None:
        """Value an instrument now: what is due of funding is paid, what is used up is liquidated."""
        now = self.time()
        due = (now // FUNDING_NS + 1) * FUNDING_NS
        event = MarkPrice(instrument, now, mark, index=mark, funding_rate=self.funding_rate, next_funding=due)
        self.marks[instrument] = event
        self._take(event)
        for account in {key.account for key in self.keys.all()}:
            paid, cursor = self.paper.funding_since(account, self._paid.get(account, ""))
            self._paid[account] = cursor
            for payment in paid:
                for listener in self.funding:
                    listener(payment)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _advance(self, to: int) -> None:
        for event in self.market.advance(to):
            self._take(event)

    def _take(self, event: MarketDatum) -> None:
        """Let one thing happen in the market: matching first, then the book and the tape, then the listeners."""
        self._settle(self.paper.on_market(event))
        if event.instrument in self.paper.broken:
            self._settle(self.paper.on_book(self.market.snapshot(event.instrument)))
        shown: MarketDatum = event
        if isinstance(event, BookUpdate):
            if not self.books[event.instrument].apply(event):
                shown = self.market.snapshot(event.instrument)
                self.books[event.instrument].apply(shown)
        elif isinstance(event, MarketTrade):
            shown = self.tapes[event.instrument].print(event)
        for listener in self.public:
            listener(shown)

    def _settle(
        self,
        reports: Sequence[Report],
        command: OrderCommand | None = None,
        terms: dict[str, Any] | None = None,
        visible_from: int = 0,
    ) -> Outcome:
        """Book what the matching engine reports, press on the market, and tell who listens."""
        outcome = Outcome()
        ids = Counter(e.fill.trade_id for _, e in reports if isinstance(e, OrderFilled))
        for account, event in reports:
            if isinstance(event, OrderCancelRejected):
                outcome.code, outcome.reason = event.code, event.reason
                outcome.order = self.visible(self.ledger.find(account, event.client_id))
                continue
            mine = command if isinstance(event, OrderAccepted) else None
            order = self.ledger.book(account, event, mine, terms)
            if order is None and isinstance(event, OrderFilled):
                order = self.ledger.adopt(event.fill)
                self.ledger.book(account, event)
            if order is None:
                continue
            if mine is not None:
                order.visible_from = visible_from
                self._hidden = self._hidden or visible_from > 0
            if outcome.order is None:
                outcome.order = order
            if isinstance(event, OrderFilled):
                self._press(event, alone=ids[event.fill.trade_id] == 1)
            notice = Notice(account, event, order)
            outcome.notices.append(notice)
            self._tell(notice)
        if outcome.notices:
            touched = {notice.account for notice in outcome.notices}
            for listener in self.settled:
                listener(touched)
        return outcome

    def _press(self, event: OrderFilled, *, alone: bool) -> None:
        """Take what was taken out of the market's book, and print it."""
        fill = event.fill
        if fill.liquidity is not Liquidity.TAKER:
            return
        details = self.instruments[fill.instrument]
        price, quantity = details.price_to_int(fill.price), details.quantity_to_int(fill.quantity)
        if alone:
            self.market.impact(fill.instrument, fill.ts, fill.side, quantity, price)
        trade = self.tapes[fill.instrument].print(
            MarketTrade(fill.instrument, fill.ts, fill.trade_id, price, quantity, fill.side)
        )
        for listener in self.public:
            listener(trade)

    def _tell(self, notice: Notice) -> None:
        if notice.order.visible_from > self.time():
            copy = msgspec.structs.replace(notice.order, fills=list(notice.order.fills))
            held = Notice(notice.account, notice.event, copy)
            self.at(notice.order.visible_from, lambda: self._say(held))
        else:
            self._say(notice)

    def _say(self, notice: Notice) -> None:
        for listener in self.private:
            listener(notice)
