"""Protective orders and the closing of one bot's position, derived from what is held and from the wanted levels.

Plain and synchronous. What is right already is left alone; what was refused is tried again at the next bar and not
before, so that no answer leads straight to the same question.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, OrderRejectionError, StrategyError
from engine.execution.emulation import is_held
from engine.logs import get_logger
from engine.model.algos import ParentStatus
from engine.model.dust import closable
from engine.model.order import Decision, Order, OrderRequest, OrderSide, OrderType
from engine.model.venue import AMEND_UNSUPPORTED
from engine.risk.emergency import is_closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, ClientOrderId, Owner
    from engine.model.instrument import Instrument
    from engine.model.risk import Quotes

__all__ = ["MAX_REFUSALS", "BotMemory", "Protection"]

log = get_logger(__name__)

MAX_REFUSALS = 3
"""Refused protective stops in a row after which the position is closed at the market, and tries to close it a bar."""
_ZERO = Decimal(0)


class BotMemory(msgspec.Struct, kw_only=True):
    """What a bot must remember over a restart besides what the state knows."""

    runner: bytes = b""
    stop: Decimal | None = None
    """Wanted protective stop price."""
    target: Decimal | None = None
    closing: str = ""
    """Why the position is being closed; empty when it is not."""


class Protection:
    """Looks after one owner's position in one instrument.

    Args:
        owner: The bot.
        account: Where it trades.
        instrument: What it trades.
        desk: Takes orders.
        ledger: Its state is what is held and open.
        quotes: Present markets, by which dust is told.
        default_stop: Distance of a stop that nobody has named, as a fraction of the entry price.
        decision: Makes the reason of an order.
    """

    def __init__(
        self,
        owner: Owner,
        account: AccountId,
        instrument: Instrument,
        desk: Desk,
        ledger: Ledger,
        quotes: Quotes,
        default_stop: float,
        decision: Callable[[str], Decision],
    ) -> None:
        self.memory = BotMemory()
        self._owner = owner
        self._account = account
        self._instrument = instrument
        self._desk = desk
        self._ledger = ledger
        self._quotes = quotes
        self._default_stop = default_stop
        self._decision = decision
        self._key = (owner, account, instrument.id)
        self._amending: set[ClientOrderId] = set()
        self._asked: dict[ClientOrderId, tuple[Decimal, Decimal]] = {}
        """The last quantity and level that each order was asked to have."""
        self._refusals: Counter[OrderType] = Counter()
        self._tries = 0
        """Orders to close the position since the last bar or execution."""
        self._unsettled = False
        self._held: tuple[int, object, Decimal] = (-1, None, _ZERO)
        """What could be closed after a fact, at a quote."""
        self._rigid = False
        """Whether the venue changes no protective order in place."""

    # --- what is held ------------------------------------------------------------------------------------------------

    @property
    def quantity(self) -> Decimal:
        """Signed quantity held, to the last digit."""
        position = self._ledger.state.owned.get(self._key)
        return position.quantity if position is not None and position.lots else _ZERO

    @property
    def held(self) -> Decimal:
        """Signed quantity that an order can close, in whole lots; 0 for a rest too small to be traded."""
        quantity = self.quantity
        if not quantity:
            return _ZERO
        quote, seq = self._quotes.quote(self._instrument.id), self._ledger.state.meta.seq
        if self._held[0] == seq and self._held[1] is quote:
            return self._held[2]
        whole = closable(self._instrument, quantity, None if quote is None else quote.mark)
        if not whole and self.reducing():
            # While an order that closes it rests, no fall of its price may take that away as meant for nothing.
            whole = closable(self._instrument, quantity, None)
        held = whole if quantity > 0 else -whole
        self._held = (seq, quote, held)
        return held

    def orders(self) -> list[Order]:
        """The bot's open orders, oldest first."""
        return [order for order in self._ledger.state.orders.values() if order.owner == self._owner]

    def reducing(self) -> list[Order]:
        """Those of them that can only shrink the position."""
        owner = self._owner
        return [order for order in self._ledger.state.orders.values() if order.reduce_only and order.owner == owner]

    def entering(self) -> list[Order]:
        """Those of them that can open or enlarge it."""
        owner = self._owner
        return [order for order in self._ledger.state.orders.values() if not order.reduce_only and order.owner == owner]

    @property
    def is_entering(self) -> bool:
        """Whether anything is under way that can open or enlarge it, parent orders included."""
        return bool(self.entering()) or any(
            parent.owner == self._owner for parent in self._ledger.state.parents.values()
        )

    def withdraw(self, reason: str) -> None:
        """End the bot's parent orders: they place nothing more, and their orders are cancelled."""
        for parent in tuple(self._ledger.state.parents.values()):
            if parent.owner == self._owner and parent.status is not ParentStatus.ENDING:
                self._ledger.record(ev.ParentCancelRequested(parent=parent.id, reason=reason))

    # --- what happens ------------------------------------------------------------------------------------------------

    def on_fact(self, event: ev.Event) -> None:
        """Hear a fact about one of the bot's orders, or that the venue has closed of its position."""
        react = _REACTIONS.get(type(event))
        if react is not None:
            react(self, event)

    def _on_filled(self, _: ev.OrderFilled) -> None:
        self._tries = 0
        self.protect()

    def _on_liquidated(self, _: ev.PositionLiquidated) -> None:
        # The venue has shrunk its own reduce-only orders, or not: what is left is compared anew.
        self.heal()

    def _on_ended(self, event: ev.OrderCanceled | ev.OrderExpired) -> None:
        self._forget(event.client_id)
        self.protect()

    def _on_amended(self, event: ev.OrderAmended) -> None:
        self._amending.discard(event.client_id)
        self.protect()

    def _on_accepted(self, event: ev.OrderAccepted) -> None:
        if self._refusals:
            order = self._ledger.state.order(event.client_id)
            if order is not None and order.reduce_only:
                del self._refusals[order.type]

    def _on_unchanged(self, event: ev.OrderCancelRejected) -> None:
        self._amending.discard(event.client_id)
        if event.code == AMEND_UNSUPPORTED:
            self._rigid = True
            self._replace(event.client_id)
        else:
            # Asking again at once would get the same answer; the next bar is another matter.
            self._unsettled = True

    def _replace(self, client_id: ClientOrderId) -> None:
        """Cancel an order that cannot be changed in place; its end has another one placed."""
        order = self._ledger.state.orders.get(client_id)
        if order is not None:
            self._asked.pop(client_id, None)
            self.cancel([order], "it is replaced by one that fits the position")

    def _forget(self, client_id: ClientOrderId) -> None:
        self._amending.discard(client_id)
        self._asked.pop(client_id, None)

    def _on_triggered(self, event: ev.OrderTriggered) -> None:
        """Stop or target closes the position: an entry that still fills must not build it up again."""
        order = self._ledger.state.order(event.client_id)
        if order is not None and order.reduce_only:
            reason = f"{order.type.replace('_', ' ')} reached"
            self.withdraw(reason)
            self.cancel(self.entering(), reason)

    def _on_rejected(self, event: ev.OrderRejected) -> None:
        self._forget(event.client_id)
        order = self._ledger.state.order(event.client_id)
        if order is not None and order.reduce_only and order.type is not OrderType.MARKET:
            self._not_protected(order.type, event.reason)
        self.protect()

    @property
    def unsettled(self) -> bool:
        """Whether something was refused or left undone that is tried again at the next bar."""
        return self._unsettled

    def settle(self) -> None:
        """A bar has closed: try again what was refused or left undone since the last one."""
        if self._unsettled:
            self.heal()

    def heal(self) -> None:
        """Compare everything anew, also what was asked for already."""
        self._unsettled = False
        self._tries = 0
        self._asked.clear()
        self.protect()

    # --- protecting --------------------------------------------------------------------------------------------------

    def protect(self) -> None:
        """Bring protective orders in line with position and wanted levels; changes nothing that is right already."""
        memory = self.memory
        if not self.held:
            self._on_flat()
        elif is_closing(self._ledger.state, *self._key):
            # What an emergency stop cancels must not be placed again.
            return
        elif memory.closing:
            self._continue_closing()
        else:
            if memory.stop is None:
                memory.stop = self._stop_that_rests() or self._stop_from_entry()
            self._keep(OrderType.STOP_LOSS, memory.stop)
            self._keep(OrderType.TAKE_PROFIT, memory.target)

    def _on_flat(self) -> None:
        self.cancel(self.reducing(), "the position is closed")
        if not self.reducing():
            self.memory.closing = ""
        if not self.is_entering:
            self.memory.stop = self.memory.target = None
            self._refusals.clear()

    def _stop_that_rests(self) -> Decimal | None:
        """What was wanted when it was placed: a bot that died before its memory was kept has nothing better."""
        return next((order.stop_price for order in self.reducing() if order.type is OrderType.STOP_LOSS), None)

    def _stop_from_entry(self) -> Decimal | None:
        """No position goes without a stop, not even when what was wanted of it is lost."""
        position = self._ledger.state.owned[self._key]
        entry = position.average_price()
        if entry is None:
            return None
        away = 1 - (1 if position.quantity > 0 else -1) * self._default_stop
        return self._instrument.round_price(Decimal(repr(float(entry) * away)))

    def _keep(self, kind: OrderType, level: Decimal | None) -> None:
        # Looked up anew: the call before may have placed a member of the group, or have ended the position.
        held = self.held
        if level is None or not held or self.memory.closing:
            return
        reducing = self.reducing()
        mine = next((order for order in reducing if order.type is kind), None)
        if mine is not None:
            self._move(mine, held, level)
        elif not any(order.cancel_requested for order in reducing):
            # Beside an order that is being cancelled there is no room yet; its end asks again.
            self._place(kind, held, level, reducing)

    def _move(self, order: Order, held: Decimal, level: Decimal) -> None:
        # What is filled of the order already left the position, so it is wanted on top.
        wanted = (abs(held) + order.filled, level)
        client_id = order.client_id
        if (order.quantity, order.stop_price) == wanted or self._asked.get(client_id) == wanted:
            return
        if order.triggered or order.cancel_requested or client_id in self._amending:
            return
        if self._rigid and not is_held(order):
            self._replace(client_id)
            return
        self._amending.add(client_id)
        self._asked[client_id] = wanted
        try:
            self._desk.amend(
                client_id,
                quantity=None if order.quantity == wanted[0] else wanted[0],
                stop_price=None if order.stop_price == level else level,
            )
        except (OrderRejectionError, ConflictError, NotFoundError) as error:
            self._amending.discard(client_id)
            self._unsettled = True
            log.warning("protection could not be moved", bot=self._owner, problem=error.message)

    def _place(self, kind: OrderType, held: Decimal, level: Decimal, reducing: list[Order]) -> None:
        group = next((order.oco_group for order in reducing if order.oco_group), None)
        request = self._exit(
            kind,
            held,
            "protective stop" if kind is OrderType.STOP_LOSS else "take profit",
            stop_price=level,
            # The number of the next fact makes a group that never was and, after a restart, never will be again.
            oco_group=group or f"{self._owner}-{self._ledger.seq + 1}",
        )
        try:
            self._desk.submit(request)
        except OrderRejectionError as error:
            self._not_protected(kind, error.message)

    def _not_protected(self, kind: OrderType, why: str) -> None:
        log.warning("a protective order is refused", bot=self._owner, type=kind, reason=why)
        self._unsettled = True
        self._refusals[kind] += 1
        if kind is OrderType.STOP_LOSS and self._refusals[kind] >= MAX_REFUSALS and not self.memory.closing:
            self.close(f"protective orders are refused: {why}")

    # --- closing -----------------------------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Close the whole position: working orders first, so that nothing is sold twice, then a market order.

        Raises:
            StrategyError: Risk refuses to let it be closed, again and again.
        """
        self.withdraw(reason)
        self.cancel(self.entering(), reason)
        if not self.held or is_closing(self._ledger.state, *self._key):
            return
        self.memory.closing = self.memory.closing or reason
        self._continue_closing()

    def _continue_closing(self) -> None:
        tries = self._tries
        self.cancel([order for order in self.reducing() if order.type is not OrderType.MARKET], self.memory.closing)
        # A venue that answers at once has already told of the cancels, and closing went on from there.
        held = self.held
        if not held or not self.memory.closing or self._tries != tries or self.reducing():
            return
        if self._tries >= MAX_REFUSALS:
            self._unsettled = True
            log.error("a position cannot be closed for now; it is tried again at the next bar", bot=self._owner)
            return
        self._tries += 1
        try:
            self._desk.submit(self._exit(OrderType.MARKET, held, self.memory.closing))
        except OrderRejectionError as error:
            self._unsettled = True
            self._refusals[OrderType.MARKET] += 1
            if self._refusals[OrderType.MARKET] >= MAX_REFUSALS:
                raise StrategyError(
                    f"The position of {abs(held):f} {self._instrument.symbol} could not be closed "
                    f"({error.message.rstrip('.')}); close it on Portfolio."
                ) from error

    def cancel(self, orders: Iterable[Order], reason: str) -> None:
        """Cancel orders that nobody is cancelling yet."""
        for order in orders:
            if order.is_open and not order.cancel_requested:
                self._desk.cancel(order.client_id, reason)

    def _exit(
        self,
        kind: OrderType,
        held: Decimal,
        reason: str,
        stop_price: Decimal | None = None,
        oco_group: str | None = None,
    ) -> OrderRequest:
        return OrderRequest(
            account=self._account,
            instrument=self._instrument.id,
            owner=self._owner,
            side=OrderSide.SELL if held > 0 else OrderSide.BUY,
            type=kind,
            quantity=abs(held),
            stop_price=stop_price,
            reduce_only=True,
            oco_group=oco_group,
            decision=self._decision(reason),
        )


_REACTIONS: dict[type, Callable[[Protection, Any], None]] = {
    ev.OrderFilled: Protection._on_filled,
    ev.PositionLiquidated: Protection._on_liquidated,
    ev.OrderCanceled: Protection._on_ended,
    ev.OrderExpired: Protection._on_ended,
    ev.OrderAmended: Protection._on_amended,
    ev.OrderCancelRejected: Protection._on_unchanged,
    ev.OrderAccepted: Protection._on_accepted,
    ev.OrderTriggered: Protection._on_triggered,
    ev.OrderRejected: Protection._on_rejected,
}
"""What follows on which fact."""
