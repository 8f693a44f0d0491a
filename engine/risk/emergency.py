"""The emergency stop: block new orders, cancel what works, close what is held.

A step machine without input or output of its own. Every step is derived from the state, so it can be begun again at any
time, goes on after a restart, and needs nothing from the bots: one that hangs is closed like all others.
"""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Protocol

from engine import events as ev
from engine.errors import ConflictError, QuarterdeckError
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.dust import too_small
from engine.model.entries import TradingState
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, Owner
from engine.model.order import Decision, Order, OrderRequest, OrderSide, OrderStatus, OrderType
from engine.model.valuation import VIEW
from engine.risk.scopes import Scope
from engine.risk.stop_progress import Progress, StopTimers, Unclosable
from engine.risk.words import plain
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from decimal import Decimal

    from engine.model.instrument import Instrument
    from engine.risk.picture import Picture
    from engine.state import EngineState

__all__ = [
    "CANCEL_WAIT_NS",
    "EMERGENCY_ACTOR",
    "EMERGENCY_REASON",
    "GIVE_WAY",
    "PAUSES_NS",
    "Closers",
    "EmergencyStop",
    "OrderPort",
    "is_closing",
    "parts",
]

log = get_logger(__name__)

NS_PER_S = 1_000_000_000
EMERGENCY_ACTOR = "emergency:"
"""Begins the actor of every halt that an emergency stop ordered."""
EMERGENCY_REASON = "emergency stop"
"""Begins the reason of every order that an emergency stop sends."""
ASK_AGAIN_NS = 5 * NS_PER_S
"""A cancel that shows no effect is asked for again after this time."""
ASK_PAUSE_NS = NS_PER_S
"""Shortest time between two cancels of one order, even when the venue refuses at once."""
CANCEL_WAIT_NS = 2 * NS_PER_S
"""A position is closed as far as it is free when its other orders are still not gone after this time."""
PARTS = 5
"""Orders that close one position at the same time, where the venue takes no single one that is large enough."""
GIVE_WAY = 3
"""Tries in a row that closed nothing, after which a position counts as one that cannot be closed; it is tried on."""
PAUSES_NS = tuple(int(seconds * NS_PER_S) for seconds in (0.5, 0.5, 2, 4, 8, 15))
"""Between tries; after `GIVE_WAY` of them, about a second after the first, a thin book is known to be one."""

_Key = tuple[Owner, AccountId, InstrumentId]


class OrderPort(Protocol):
    """The part of the order desk that the emergency stop needs."""

    def submit(self, request: OrderRequest) -> Order:
        """Check, book and queue an order. Raises OrderRejectionError when risk refuses it."""

    def cancel(self, client_id: ClientOrderId, reason: str) -> object:
        """Ask for the end of an open order. Raises ConflictError when it has already ended."""


class Closers:
    """The orders that emergency stops sent themselves, known by identity and not by what they say of themselves.

    A hand-over carries them along; after a crash those still open count as anybody's, are cancelled, and what they
    leave is closed anew.
    """

    def __init__(self) -> None:
        self._sending: OrderRequest | None = None
        self._ids: set[ClientOrderId] = set()

    @property
    def ids(self) -> frozenset[ClientOrderId]:
        """The orders that were sent."""
        return frozenset(self._ids)

    def remember(self, ids: Iterable[ClientOrderId]) -> None:
        """Know orders that another process sent for the same stops."""
        self._ids.update(ids)

    def submit(self, port: OrderPort, request: OrderRequest) -> ClientOrderId:
        """Submit a closing order, remember it and give its id. Raises what the port raises."""
        self._sending = request
        try:
            client_id = port.submit(request).client_id
            self._ids.add(client_id)
            return client_id
        finally:
            self._sending = None

    def sends(self, request: OrderRequest) -> bool:
        """True while an emergency stop is submitting this very request."""
        return request is self._sending

    def sent(self, order: Order) -> bool:
        """True for an order that an emergency stop submitted."""
        return order.client_id in self._ids


def is_closing(state: EngineState, owner: Owner, account: AccountId, instrument: InstrumentId) -> bool:
    """True when an emergency stop has taken an owner's orders and position in an instrument over until a release."""
    if not state.halts:
        return False
    halts = (state.halts.get(key) for key in Scope.keys_of(state, owner, account, instrument))
    return any(halt is not None and halt.actor.startswith(EMERGENCY_ACTOR) for halt in halts)


class EmergencyStop:
    """Stops one scope. Call `begin` once and `advance` on every tick until it is done.

    Args:
        state: What the engine knows.
        picture: Values of the moment.
        port: Where orders are submitted and cancelled.
        record: Books a fact.
        closers: Orders of emergency stops, shared with the gate and all other stops.
        scope: What is stopped.
        actor: Who asked.
        reason: Why.
        unsettled: Accounts of which it is not known yet what is open and held; nothing is sent there.
    """

    def __init__(
        self,
        state: EngineState,
        picture: Picture,
        port: OrderPort,
        record: Callable[[ev.Event], object],
        closers: Closers,
        scope: Scope,
        actor: str,
        reason: str,
        unsettled: Collection[AccountId] = (),
    ) -> None:
        self.scope = scope
        self.reason = reason
        self._state = state
        self._picture = picture
        self._port = port
        self._record = record
        self._closers = closers
        self._unsettled = unsettled
        self._actor = actor if actor.startswith(EMERGENCY_ACTOR) else EMERGENCY_ACTOR + actor
        self._began = 0
        self._asked: dict[ClientOrderId, int] = {}
        self._tries: dict[_Key, int] = {}
        self._next_try: dict[_Key, int] = {}
        self._sent: dict[_Key, list[ClientOrderId]] = {}
        """The closing orders of the last try, until they are judged."""
        self._problems: dict[str, str] = {}
        self._left: dict[_Key, tuple[str, bool]] = {}
        """Why a position could not be closed, and whether that is final."""

    def begin(self, now: int) -> Progress:
        """Block new orders and take the first steps; harmless when it already was begun."""
        halt = self._state.halts.get(self.scope.key)
        if halt is None or halt.state is not TradingState.HALTED or not halt.actor.startswith(EMERGENCY_ACTOR):
            self._record(
                ev.TradingStateChanged(
                    scope=self.scope.key, state=TradingState.HALTED, reason=self.reason, actor=self._actor
                )
            )
        self._began = self._began or now
        return self.advance(now)

    def timers(self) -> StopTimers:
        """When it did what."""
        tries = [(*key, tries, self._next_try.get(key, 0)) for key, tries in self._tries.items()]
        sent = [(*key, list(ids)) for key, ids in self._sent.items()]
        return StopTimers(began=self._began, asked=dict(self._asked), tries=tries, sent=sent)

    def go_on_from(self, timers: StopTimers) -> None:
        """Take over the pace of another process."""
        self._began, self._asked = timers.began, dict(timers.asked)
        self._tries = {(owner, account, market): tries for owner, account, market, tries, _ in timers.tries}
        self._next_try = {(owner, account, market): due for owner, account, market, _, due in timers.tries}
        self._sent = {(owner, account, market): list(ids) for owner, account, market, ids in timers.sent}

    def advance(self, now: int) -> Progress:
        """Cancel and close as far as is possible now. Refusals are noted and tried again, never raised."""
        for order in self._to_cancel():
            self._cancel(order, now)
        for key in self._held():
            if key[1] not in self._unsettled:
                self._close(key, now)
        return self.progress()

    def progress(self) -> Progress:
        """How far it has come."""
        held = self._held()
        for key in tuple(self._left):
            if key not in held:
                del self._left[key]
        orders = sum(1 for order in self._state.orders.values() if self._covers(order))
        return Progress(
            scope=self.scope,
            reason=self.reason,
            actor=self._actor,
            began=self._began,
            orders=orders,
            positions=sum(1 for key in held if not self._left.get(key, ("", False))[1]),
            left=tuple(self._unclosable(key, *self._left[key]) for key in held if key in self._left),
            problems=tuple(self._problems.values()),
        )

    def _unclosable(self, key: _Key, reason: str, final: bool) -> Unclosable:
        owner, account, instrument = key
        quantity = self._state.owned[key].quantity
        return Unclosable(
            owner=owner, account=account, instrument=instrument, quantity=quantity, reason=reason, final=final
        )

    # --- cancelling --------------------------------------------------------------------------------------------------

    def _covers(self, order: Order) -> bool:
        return self.scope.covers(self._state, order.owner, order.account, order.instrument)

    def _to_cancel(self) -> list[Order]:
        orders = self._state.orders.values()
        return [
            order
            for order in orders
            if self._covers(order) and order.account not in self._unsettled and not self._closers.sent(order)
        ]

    def _cancel(self, order: Order, now: int) -> None:
        asked = self._asked.get(order.client_id)
        pause = ASK_AGAIN_NS if order.cancel_requested else ASK_PAUSE_NS
        if asked is not None and now - asked < pause:
            return
        self._asked[order.client_id] = now
        self._try(order.client_id, lambda: self._port.cancel(order.client_id, f"{EMERGENCY_REASON}: {self.reason}"))

    # --- closing -----------------------------------------------------------------------------------------------------

    def _held(self) -> list[_Key]:
        return [
            key
            for key, position in self._state.owned.items()
            if position.lots and key[0] != EXTERNAL and self.scope.covers(self._state, *key) and self._is_position(key)
        ]

    def _is_position(self, key: _Key) -> bool:
        # Below zero on spot is a sale of deposited coins: there is nothing to close.
        return not self._picture.is_spot(self._state.instruments[key[2]]) or self._state.owned[key].quantity > ZERO

    def _close(self, key: _Key, now: int) -> None:
        owner, account, instrument_id = key
        working = [
            order
            for order in self._state.orders.values()
            if (order.owner, order.account, order.instrument) == key and self._covers(order)
        ]
        if any(self._closers.sent(order) for order in working):
            return
        self._judge(key, now)
        if now < self._next_try.get(key, 0) or (working and now - self._began < CANCEL_WAIT_NS):
            return
        instrument = self._state.instruments[instrument_id]
        side = OrderSide.SELL if self._state.owned[key].quantity > ZERO else OrderSide.BUY
        quantity, why = self._closable(key, instrument, side)
        if not quantity:
            if not working:
                self._left[key] = why, True
            return
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        self._next_try[key] = now + PAUSES_NS[min(tries, len(PAUSES_NS)) - 1]
        for part in parts(quantity, instrument.current_rules.max_quantity):
            request = OrderRequest(
                account=account,
                instrument=instrument_id,
                owner=owner,
                side=side,
                type=OrderType.MARKET,
                quantity=part,
                reduce_only=True,
                urgent=True,
                decision=Decision(reason=f"{EMERGENCY_REASON}: {self.reason}"),
            )
            # Whether the venue takes it is known later; a rejected order is simply followed by the next one.
            self._try(f"{owner} {instrument_id}", lambda request=request: self._send(key, request))  # type: ignore[misc]

    def _send(self, key: _Key, request: OrderRequest) -> None:
        self._sent.setdefault(key, []).append(self._closers.submit(self._port, request))

    def _judge(self, key: _Key, now: int) -> None:
        """Learn from the closing orders that have ended: what they closed, and why not all of it."""
        orders = [order for client_id in self._sent.pop(key, ()) if (order := self._state.order(client_id)) is not None]
        if not orders:
            return
        if all(order.status is OrderStatus.FILLED for order in orders):
            # The venue takes no larger one at once; there is nothing to wait for.
            self._tries[key], self._next_try[key] = 0, now
            self._left.pop(key, None)
            return
        short = next(order for order in orders if order.status is not OrderStatus.FILLED)
        if any(order.filled for order in orders):
            self._tries[key] = 1
        self._left[key] = _shortfall(short), self._tries.get(key, 0) >= GIVE_WAY

    def _closable(self, key: _Key, instrument: Instrument, side: OrderSide) -> tuple[Decimal, str]:
        """Quantity that can be closed now; with 0, why there is none."""
        owner, account, _ = key
        with decimal.localcontext(VIEW):
            self._picture.look()
            open_quantity = abs(self._state.owned[key].quantity)
            most = min(self._picture.reducible(owner, account, instrument, side, everything=True), open_quantity)
            why = too_small(instrument, most, self._picture.mark(instrument.id))
            if not why:
                return instrument.floor_quantity(most), ""
        free = "" if most == open_quantity else f"only {plain(most)} of it is free, "
        return ZERO, f"{free}{why}"

    def _try(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except ConflictError:
            # It has ended in the meantime.
            self._problems.pop(what, None)
        except QuarterdeckError as error:
            log.error("emergency stop: a step was refused", what=what, problem=error.message)
            self._problems[what] = f"{what}: {error.message}"
        else:
            self._problems.pop(what, None)


def parts(quantity: Decimal, most: Decimal | None) -> list[Decimal]:
    """A quantity in orders that the venue takes; what does not fit into `PARTS` of them is left for the next try.

    Args:
        quantity: What is to be closed, without its sign.
        most: The largest order; None where the venue names none.
    """
    if not most or quantity <= most:
        return [quantity]
    whole = min(int(quantity // most), PARTS)
    rest = quantity - whole * most
    return [most] * whole + ([rest] if rest and whole < PARTS else [])


def _shortfall(order: Order) -> str:
    """Why an order did not close what it was to close."""
    if order.status is OrderStatus.REJECTED:
        return f"the venue refuses to close it ({order.reason.rstrip('.') or 'it does not say why'})"
    said = f" ({order.reason.rstrip('.')})" if order.reason else ""
    return f"the book is too thin, only {plain(order.filled)} of {plain(order.quantity)} found a taker{said}"
