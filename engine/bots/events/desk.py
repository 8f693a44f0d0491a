"""The working orders of one event bot: what is wanted by key, what works, and the requests that lead from one there.

Plain and synchronous. A key never works twice: what replaces an order waits until that one is known to have ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from engine.bots.events.keys import Role, key_text, read_key, valid_key
from engine.errors import OrderRejectionError, StrategyError
from engine.execution.together import submit_together
from engine.model.order import Decision, OrderRequest, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.strategy.intents import Quote, Take, Want
from engine.strategy.views import OrderUpdate, OwnOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId, Owner
    from engine.model.instrument import Instrument
    from engine.model.order import Order
    from engine.strategy.views import Context, MarketView

__all__ = ["Place", "WorkingOrders"]

REFUSED_NS = 1_000_000_000
"""A refused order of the same key is not tried again within this time: nothing is booked over and over."""
LONGEST_REFUSED_NS = 60 * REFUSED_NS
"""The time doubles with each refusal of the key that follows, up to this."""
_EPSILON = 1e-9


@dataclass(slots=True)
class Place:
    """One market of a bot, with what its orders need."""

    instrument: Instrument
    account: AccountId
    view: MarketView
    tick: Decimal
    lot: Decimal


@dataclass(slots=True)
class _Working:
    """An order that has not ended, and what shall come after it."""

    client_id: ClientOrderId
    place: Place
    own: OwnOrder
    next: Want | None = None
    want: Want | None = None
    """What it was sent for; None of one that takes, or that was taken over."""


class WorkingOrders:
    """See the module.

    Args:
        owner: The bot.
        places: Its markets.
        desk: Takes the requests.
        ledger: The desk's.
        context: Its `orders` are kept here.
        tell: Hears what became of an order; asks nothing back at once.
        strategy: `name@version`, kept with each order.
        params_hash: Of the parameters, likewise.
    """

    def __init__(
        self,
        owner: Owner,
        places: Iterable[Place],
        desk: Desk,
        ledger: Ledger,
        context: Context,
        tell: Callable[[OrderUpdate], None],
        strategy: str,
        params_hash: str,
    ) -> None:
        self._owner = owner
        self._places = {place.instrument.id: place for place in places}
        self._desk = desk
        self._ledger = ledger
        self._context = context
        self._tell = tell
        self._facts = (strategy, params_hash)
        self._by_client: dict[ClientOrderId, _Working] = {}
        self._by_key: dict[tuple[InstrumentId, str], _Working] = {}
        self._refused: dict[tuple[InstrumentId, str], tuple[int, int]] = {}
        self.owed: dict[tuple[InstrumentId, str], tuple[Want, Role]] = {}
        """What the strategy wants and does not have, because it was refused or taken away without its doing."""

    def __len__(self) -> int:
        return len(self._by_client)

    # --- what is wanted ----------------------------------------------------------------------------------------------

    def quote(self, quote: Quote) -> None:
        """Bring the quotes of one instrument in line with a whole set."""
        place, wanted = self._place(quote.instrument), {want.key for want in quote.wants}
        if len(wanted) != len(quote.wants):
            raise StrategyError(f"the quotes of {quote.instrument} use a key twice")
        for own in [own for own in self._context.orders[quote.instrument].values() if own.quoted]:
            if own.key not in wanted:
                self.cancel(quote.instrument, own.key, "not quoted any more")
        for owed, (_, role) in tuple(self.owed.items()):
            if owed[0] == quote.instrument and role is Role.QUOTE:
                del self.owed[owed]
        for want in quote.wants:
            self._have(place, want, Role.QUOTE, quote.tolerance, quote.size_tolerance)

    def rest(self, instrument: InstrumentId, want: Want) -> None:
        """Have one order working besides the quotes."""
        self._have(self._place(instrument), want, Role.PLACED, 0.0, 0.0)

    def take(self, take: Take) -> None:
        """Send an order that takes."""
        place = self._place(take.instrument)
        request = self._taking(place, take)
        if isinstance(request, str):
            self._refuse(take, take.price, request)
            return
        try:
            self._keep(self._desk.submit(request))
        except OrderRejectionError as error:
            self._refuse(take, take.price, error.message)

    def legs(self, takes: tuple[Take, ...]) -> None:
        """Send several that take, or none of them where one is refused."""
        requests = [self._taking(self._place(take.instrument), take) for take in takes]
        reasons = [self._against(request) for request in requests]
        if any(reasons):
            for take, reason in zip(takes, reasons, strict=True):
                self._refuse(take, take.price, reason or "another leg was refused")
            return
        refused: list[int] = []
        sent = [request for request in requests if not isinstance(request, str)]
        try:
            for order in submit_together(self._desk, self._ledger, sent, refused.append):
                self._keep(order)
        except OrderRejectionError as error:
            # Those before the refused one were booked, and tell of their own end.
            for place, take in enumerate(takes[refused[0] :]):
                self._refuse(take, take.price, "another leg was refused" if place else error.message)

    def cancel(self, instrument: InstrumentId, key: str, reason: str) -> None:
        """End one order; what was to replace it is not sent either, nor asked for again."""
        self.owed.pop((instrument, key), None)
        working = self._by_key.get((instrument, key))
        if working is not None:
            self._end(working, reason or "not wanted any more")

    def _end(self, working: _Working, reason: str) -> None:
        working.next = None
        if not working.own.canceling:
            working.own.canceling = True
            self._desk.cancel(working.client_id, reason)

    def cancel_all(self, reason: str, instrument: InstrumentId | None = None) -> None:
        """End all orders, of one instrument or of all; nothing of it is asked for again."""
        for owed in tuple(self.owed):
            if instrument in (None, owed[0]):
                del self.owed[owed]
        for working in list(self._by_client.values()):
            own = working.own
            if instrument in (None, own.instrument):
                self.cancel(own.instrument, own.key, reason)

    def withdraw(self, reason: str, instrument: InstrumentId | None = None, *, entries_only: bool = False) -> None:
        """End orders for the time being, of one instrument or of all; they are owed to the strategy.

        With `entries_only` those that reduce a position stay.
        """
        for working in list(self._by_client.values()):
            own = working.own
            if instrument not in (None, own.instrument):
                continue
            if entries_only and reduces(working.place.view.position, own.side, own.left):
                continue
            want = working.next
            if want is None and working.want is not None and not own.canceling:
                want = msgspec.structs.replace(working.want, quantity=own.left)
            if want is not None:
                # Before it is cancelled: the answer may come at once, and its strategy may want something else then.
                self.owed[own.instrument, own.key] = (want, Role.QUOTE if own.quoted else Role.PLACED)
            self._end(working, reason)

    def ask_again(self, instrument: InstrumentId) -> None:
        """Ask for what is owed in a market, as far as its time has come; called when the strategy has had its say."""
        for (where, key), (want, role) in tuple(self.owed.items()):
            wait, _ = self._refused.get((where, key), (0, 0))
            if where == instrument and self._context.now >= wait:
                del self.owed[where, key]
                self._have(self._places[where], want, role, 0.0, 0.0)

    # --- what is -----------------------------------------------------------------------------------------------------

    def adopt(self, order: Order) -> OwnOrder | None:
        """Know an open order by its key; None for one that is not of this bot's strategy."""
        known = self._by_client.get(order.client_id)
        if known is not None:
            return known.own
        found, place = read_key(order.decision.reason), self._places.get(order.instrument)
        if found is None or place is None:
            return None
        role, key = found
        own = OwnOrder(
            key,
            order.instrument,
            order.side,
            float(order.price or 0),
            float(order.quantity),
            float(order.filled),
            order.created,
            acked=order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED),
            canceling=order.cancel_requested,
            quoted=role is Role.QUOTE,
        )
        working = _Working(order.client_id, place, own)
        self._by_client[order.client_id] = self._by_key[order.instrument, key] = working
        self._context.orders[order.instrument][key] = own
        return own

    def own(self, client_id: ClientOrderId) -> OwnOrder | None:
        """The order of a client id; None when it has ended or was never the strategy's."""
        working = self._by_client.get(client_id)
        return None if working is None else working.own

    def ended(self, client_id: ClientOrderId) -> Want | None:
        """Forget an order that has ended; gives what is to come after it."""
        working = self._by_client.pop(client_id, None)
        if working is None:
            return None
        own = working.own
        if self._by_key.get((own.instrument, own.key)) is working:
            del self._by_key[own.instrument, own.key]
            self._context.orders[own.instrument].pop(own.key, None)
        return working.next

    def filled(self, client_id: ClientOrderId) -> None:
        """An order was executed: what was to replace it was wanted without knowing that, and is not sent."""
        working = self._by_client.get(client_id)
        if working is not None:
            working.next = None
            self.owed.pop((working.own.instrument, working.own.key), None)

    def follow(self, instrument: InstrumentId, want: Want, *, quoted: bool) -> None:
        """Send what was to come after an order that has ended now."""
        self._have(self._places[instrument], want, Role.QUOTE if quoted else Role.PLACED, 0.0, 0.0)

    def update(self, own: OwnOrder, status: OrderStatus, reason: str = "") -> None:
        """Tell what became of an order."""
        at = self._context.now
        self._tell(
            OrderUpdate(own.key, own.instrument, own.side, status, own.price, own.quantity, own.filled, at, reason)
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _place(self, instrument: InstrumentId) -> Place:
        place = self._places.get(instrument)
        if place is None:
            raise StrategyError(f"{instrument} is no market of this bot")
        return place

    def _have(self, place: Place, want: Want, role: Role, tolerance: float, size_tolerance: float) -> None:
        """Let an order be, place it, or replace what works under its key."""
        _check(want.key, want.quantity, want.price)
        view, buy = place.view, want.side is OrderSide.BUY
        if self.owed:
            self.owed.pop((view.id, want.key), None)
        ticks = want.price / view.tick
        ticks = math.floor(ticks + _EPSILON) if buy else math.ceil(ticks - _EPSILON)
        lots = math.floor(want.quantity / view.lot + _EPSILON)
        working = self._by_key.get((view.id, want.key))
        if working is None:
            self._send(place, want, role, ticks, lots)
            return
        own = working.own
        if own.canceling:
            working.next = want
            return
        quantity = lots * view.lot
        if (
            own.side is want.side
            and abs(round(own.price / view.tick) - ticks) <= tolerance * ticks + 0.5
            and (
                abs(own.quantity - quantity) <= view.lot / 2
                or abs(own.left - quantity) <= size_tolerance * quantity + view.lot / 2
            )
        ):
            return
        # A cancel may be answered at once, so what comes after it is known before.
        working.next = want
        own.canceling = True
        self._desk.cancel(working.client_id, "replaced")

    def _send(self, place: Place, want: Want, role: Role, ticks: int, lots: int) -> None:
        view, context = place.view, self._context
        if context.now < self._refused.get((view.id, want.key), (0, 0))[0]:
            self.owed[view.id, want.key] = (want, role)
            return
        quantity, price = lots * place.lot, ticks * place.tick
        if not context.may_enter and not reduces(view.position, want.side, want.quantity):
            self.owed[view.id, want.key] = (want, role)
            return
        if lots <= 0 or ticks <= 0 or not view.tradable(want.quantity, ticks * view.tick):
            self.owed[view.id, want.key] = (want, role)
            self._refuse(want, want.price, "it is smaller than the venue takes", view.id)
            return
        request = OrderRequest(
            account=place.account,
            instrument=view.id,
            owner=self._owner,
            side=want.side,
            type=OrderType.LIMIT,
            quantity=quantity,
            price=price,
            post_only=want.post_only,
            reduce_only=want.reduce_only,
            decision=self._decision(role, want.key, want.reason),
        )
        try:
            self._keep(self._desk.submit(request), want)
            self._refused.pop((view.id, want.key), None)
        except OrderRejectionError as error:
            self.owed[view.id, want.key] = (want, role)
            self._refuse(want, want.price, error.message, view.id)

    def _keep(self, order: Order, want: Want | None = None) -> None:
        """Know an order at once: while a fact is being told, its own intent is told only afterwards."""
        if order.is_open:
            self.adopt(order)
            working = self._by_client.get(order.client_id)
            if working is not None:
                working.want = want

    def _taking(self, place: Place, take: Take) -> OrderRequest | str:
        """The request of an order that takes, or why there is none."""
        _check(take.key, take.quantity, take.price)
        view, quantity = place.view, math.floor(take.quantity / place.view.lot + _EPSILON) * place.lot
        if (view.id, take.key) in self._by_key:
            return f"an order {take.key} is still working"
        if not self._context.may_enter and not reduces(view.position, take.side, take.quantity):
            return "the bot opens nothing now"
        if quantity <= 0:
            return "it is smaller than the venue takes"
        price = None
        if take.price is not None:
            ticks = take.price / view.tick
            up = take.side is OrderSide.SELL
            price = (math.ceil(ticks - _EPSILON) if up else math.floor(ticks + _EPSILON)) * place.tick
        return OrderRequest(
            account=place.account,
            instrument=view.id,
            owner=self._owner,
            side=take.side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=quantity,
            price=price,
            tif=TimeInForce.GTC if price is None else TimeInForce.IOC,
            reduce_only=take.reduce_only,
            decision=self._decision(Role.TAKE, take.key, take.reason),
        )

    def _against(self, request: OrderRequest | str) -> str:
        """What speaks against a request; empty where nothing does."""
        if isinstance(request, str):
            return request
        verdict = self._desk.judge(request)
        return "" if verdict.passed else verdict.refusals[0].message

    def _decision(self, role: Role, key: str, reason: str) -> Decision:
        strategy, params_hash = self._facts
        return Decision(reason=key_text(role, key, reason), strategy=strategy, params_hash=params_hash or None)

    def _refuse(
        self, asked: Want | Take, price: float | None, reason: str, instrument: InstrumentId | None = None
    ) -> None:
        at = self._context.now
        where = asked.instrument if isinstance(asked, Take) else instrument
        if where is None:
            return
        if isinstance(asked, Want):
            _, before = self._refused.get((where, asked.key), (0, 0))
            wait = min(2 * before, LONGEST_REFUSED_NS) or REFUSED_NS
            self._refused[where, asked.key] = (at + wait, wait)
        self._context.note("refused", f"{asked.key}: {reason}")
        self._tell(
            OrderUpdate(
                asked.key, where, asked.side, OrderStatus.REJECTED, price or 0.0, asked.quantity, 0.0, at, reason
            )
        )


def reduces(position: float, side: OrderSide, quantity: float) -> bool:
    """Whether an order can only make a position smaller."""
    return position * side.sign < 0 and quantity <= abs(position) * (1 + _EPSILON)


def _check(key: str, quantity: float, price: float | None) -> None:
    if not valid_key(key):
        raise StrategyError(f"the key {key!r} must be lower-case letters, digits, _ and -, at most 24")
    if not (math.isfinite(quantity) and quantity > 0):
        raise StrategyError(f"the quantity {quantity} of {key} is none")
    if price is not None and not (math.isfinite(price) and price > 0):
        raise StrategyError(f"the price {price} of {key} is none")
