"""A venue before another one that does in the engine what that one cannot: triggers, groups, reduce-only, collars.

What it holds is in the journal like every order (accepted under an id that begins with `engine-`), so that a restart or
a hand-over finds it again. A protective stop rests at the venue wherever that takes one; of a group whose members the
venue would both want funds for, the stop rests there and the others are held here.

An order that is held is sent once, under its own id: when its price was reached, the members of its group at the venue
are cancelled, and what they have not executed is sent. Whether a process that ended meanwhile had sent it is asked
for, never guessed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import msgspec

from engine import events as ev
from engine.errors import (
    ConflictError,
    ExchangeConnectionError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    HandoverError,
    JournalError,
    ValidationError,
)
from engine.execution.emulation.held import WAITING, Held, command_of, goes_before, held_id, is_held, must_hold, reached
from engine.execution.emulation.rest import Rest
from engine.execution.emulation.terms import as_asked, fitted
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.ids import venue_of
from engine.model.instrument import InstrumentKind
from engine.model.venue import AMEND_UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.execution.desk import Desk
    from engine.execution.margins import Margins
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.order import Order, OrderType
    from engine.model.risk import Quotes
    from engine.model.venue import Capabilities, OrderCommand, Venue, VenueOrder
    from engine.resilience.handler import ErrorHandler

__all__ = ["EmulatingVenue", "emulated", "waits_here"]

log = get_logger(__name__)

AGAIN_S = (0.25, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to send an order that certainly did not leave; the last one repeats."""
LOOKS_A_CANCEL = 20
LOOK_S = 0.05
"""How often it is looked whether the other members of a group have ended."""
_CASH = frozenset({InstrumentKind.SPOT, InstrumentKind.MARGIN})
_DID_NOT_LEAVE = (ExchangeConnectionError, ExchangeRateLimitError)
_REFUSED = (ExchangeInsufficientFundsError, ValidationError)


def emulated(venue: Venue, clock: Clock) -> Venue:
    """A venue that can do everything an order may ask for: itself where it can, else with an emulation before it."""
    able = venue.capabilities
    if able.oco and able.reduce_only and able.amend and able.collar and able.order_types >= WAITING:
        return venue
    return cast("Venue", EmulatingVenue(venue, clock))


def waits_here(venue: Venue, kind: OrderType, *, cash: bool, beside: bool = False) -> bool:
    """Whether an order to a venue would wait in the engine, and so only while the engine lives; see `must_hold`."""
    able = venue.inner.capabilities if isinstance(venue, EmulatingVenue) else venue.capabilities
    return must_hold(able, kind, cash=cash, beside=beside)


class EmulatingVenue:
    """See the module. What it does not emulate is asked of the venue behind it.

    Args:
        inner: The venue itself.
        clock: Gives time and pauses.
    """

    def __init__(self, inner: Venue, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._held: dict[ClientOrderId, Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._allowed: Callable[[], bool] = lambda: True
        self._desk: Desk | None = None
        self._ledger: Ledger | None = None
        self._quotes: Quotes | None = None
        self._on_doubt: Callable[[], None] = lambda: None
        self._margins: Margins | None = None
        self._rest: Rest | None = None
        self._attached = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> Venue:
        """The venue itself."""
        return self._inner

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do, and what is done for it."""
        able = self._inner.capabilities
        return msgspec.structs.replace(able, order_types=able.order_types | WAITING, oco=True, reduce_only=True)

    @capabilities.setter
    def capabilities(self, value: Capabilities) -> None:
        self._inner.capabilities = value

    def attach(
        self,
        desk: Desk,
        ledger: Ledger,
        quotes: Quotes,
        *,
        on_doubt: Callable[[], None],
        allowed: Callable[[], bool],
        margins: Margins,
        errors: ErrorHandler,
        closing: Callable[[Order], bool],
    ) -> None:
        """Know the engine, and take up what it held before this start.

        Args:
            desk: Cancels members of a group, and books what happens to what is held.
            ledger: Its state knows all orders; its facts are heard.
            quotes: Present markets.
            on_doubt: Asks for a comparison with the venue, because the fate of an order is not known.
            allowed: Whether anything may be sent now; not while another process takes over.
            margins: Establishes at which leverage something would be opened.
            errors: Is told when what a person wants protected is not.
            closing: Whether an emergency stop has taken over what an order belongs to.
        """
        self._desk, self._ledger, self._quotes = desk, ledger, quotes
        self._on_doubt, self._allowed, self._margins = on_doubt, allowed, margins
        self._rest = Rest(desk, ledger, self, errors, allowed=allowed, closing=closing)
        self._attached = self._clock.now()
        for order in ledger.state.orders.values():
            if venue_of(order.instrument) == self._inner.id and is_held(order):
                self._held[order.client_id] = Held(
                    command=command_of(order), since=order.updated, triggered=order.triggered
                )
        ledger.subscribe(self._hear)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def place(self, command: OrderCommand) -> None:
        """Send an order, or hold it here. Raises as the venue does."""
        if not self._is_held_here(command):
            await self._inner.place(self._fitted(command))
            return
        if command.post_only:
            raise ValidationError(
                f"{self._inner.id} cannot keep a post-only order in a group with a stop; leave post-only out."
            )
        self._take(command)

    def _take(self, command: OrderCommand) -> None:
        now, client_id = self._clock.now(), command.client_id
        self._held[client_id] = Held(command=command, since=now)
        self._tell(command.account, ev.OrderAccepted(client_id=client_id, venue_order_id=held_id(client_id), ts=now))
        self.on_market(command.instrument)

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask to cancel. Raises as the venue does."""
        held = self._held.get(client_id)
        if held is not None and not held.firing:
            # Whether one that was reached was sent is still being asked for; who finds out sees that it is not wanted.
            if not held.triggered:
                self._end(held, "withdrawn before its price was reached")
            return
        while held is not None and held.firing:
            # It is looked before it leaves whether it is still wanted.
            await self._clock.sleep(LOOK_S)
        if client_id in self._need_ledger().state.orders:
            await self._inner.cancel(account, client_id)

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Change a working order. Raises as the venue does, and ValidationError where it changes none in place."""
        held = self._held.get(client_id)
        if held is not None and not held.triggered:
            command = held.command
            held.command = msgspec.structs.replace(
                command,
                quantity=command.quantity if quantity is None else quantity,
                price=command.price if price is None else price,
                stop_price=command.stop_price if stop_price is None else stop_price,
            )
            changed = ev.OrderAmended(
                client_id=client_id, ts=self._clock.now(), quantity=quantity, price=price, stop_price=stop_price
            )
            self._tell(account, changed)
            self.on_market(command.instrument)
            return
        if not self._inner.capabilities.amend:
            raise ValidationError(
                f"{self._inner.id} changes no order in place; cancel it and place another one.",
                error_code=AMEND_UNSUPPORTED,
            )
        await self._inner.amend(account, client_id, quantity=quantity, price=price, stop_price=stop_price)

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up. Raises as the venue does."""
        held = self._held.get(client_id)
        if held is None:
            found = await self._inner.order(account, client_id)
            return None if found is None else self._as_asked(found)
        if held.triggered:
            found = await self._inner.order(account, client_id)
            if found is not None:
                self._held.pop(client_id, None)
                return self._as_asked(found)
        return held.as_venue_order(self._clock.now())

    async def close(self) -> None:
        """Begin nothing more, and close the venue; what is held is found again at the next start."""
        for task in tuple(self._tasks):
            task.cancel()
        await self._inner.close()

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        """All working orders, those held here too. Raises as the venue does."""
        listed = [self._as_asked(order) for order in await self._inner.open_orders(account)]
        there, now = {order.client_id for order in listed}, self._clock.now()
        held = [one for one in self._held.values() if one.command.account == account]
        return listed + [one.as_venue_order(now) for one in held if one.command.client_id not in there]

    def _as_asked(self, there: VenueOrder) -> VenueOrder:
        return as_asked(there, self._ledger.state.order(there.client_id) if self._ledger is not None else None)

    def _is_held_here(self, command: OrderCommand) -> bool:
        state = self._need_ledger().state
        members = state.oco.get(command.oco_group, ()) if command.oco_group is not None else ()
        others = (state.orders[one] for one in members if one in state.orders and one != command.client_id)
        able, held = self._inner.capabilities, self._held.keys()
        beside = any(goes_before(other, command, members, able, held) for other in others)
        cash = state.instruments[command.instrument].kind in _CASH
        return must_hold(able, command.type, cash=cash, beside=beside)

    def _fitted(self, command: OrderCommand) -> OrderCommand:
        """The order without what the venue does not know; the gate and the group's links see to that here."""
        quote = self._quotes.quote(command.instrument) if self._quotes is not None else None
        return fitted(command, self._inner.capabilities, self._need_ledger().state.instruments, quote)

    # --- what happens ------------------------------------------------------------------------------------------------

    def on_market(self, instrument: InstrumentId) -> None:
        """A market has moved: send what waits for that price."""
        quotes = self._quotes
        waiting = [held for held in self._held.values() if not held.triggered and held.command.instrument == instrument]
        if not waiting or quotes is None or not self._allowed():
            return
        quote = quotes.quote(instrument)
        if quote is None:
            return
        for held in waiting:
            # Of a group the first one that is reached ends the others, which so may be gone by now.
            client_id = held.command.client_id
            if client_id in self._held and self._is_wanted(client_id) and reached(held.command, quote):
                self._trigger(held)

    def _trigger(self, held: Held) -> None:
        held.triggered = True
        command = held.command
        self._tell(command.account, ev.OrderTriggered(client_id=command.client_id, ts=self._clock.now()))
        order = self._need_ledger().state.orders.get(command.client_id)
        if order is not None and self._rest is not None and not self._inner.capabilities.oco:
            self._rest.stand_beside(order)
        self._begin(held)

    def _begin(self, held: Held) -> None:
        held.firing = True
        self._keep(self._fire(held), f"send {held.command.client_id}")

    def _hear(self, record: ev.Record) -> None:
        """What happens to one member of a group matters to the others, where the venue does not see to that."""
        match record.event:
            case ev.OrderFilled() as event:
                client_id = event.fill.client_id
            case (
                ev.OrderAccepted() | ev.OrderAmended() | ev.OrderCancelRejected()
                | ev.OrderCanceled() | ev.OrderExpired() | ev.OrderRejected()
            ) as event:  # fmt: skip
                client_id = event.client_id
            case _:
                return
        order = self._need_ledger().state.order(client_id)
        if self._inner.capabilities.oco or order is None or venue_of(order.instrument) != self._inner.id:
            return
        if not order.is_open:
            self._held.pop(client_id, None)
        if order.oco_group is not None and self._rest is not None:
            self._rest.hear(order, event)

    # --- for the stops of groups -------------------------------------------------------------------------------------

    def hold(self, order: Order) -> None:
        """Hold an order that is booked and has not left yet."""
        self._take(command_of(order))

    def let_go(self, client_id: ClientOrderId, reason: str) -> None:
        """End an order that is held and was not reached."""
        held = self._held.get(client_id)
        if held is not None and not held.triggered:
            self._end(held, reason)

    def later(self, what: Callable[[], None], pause_s: float) -> None:
        """Do something after so many seconds, once anything may be booked."""
        self._keep(self._do_later(what, pause_s), "see to a stop")

    async def _do_later(self, what: Callable[[], None], pause_s: float) -> None:
        await self._clock.sleep(pause_s)
        while not self._allowed():
            await self._clock.sleep(LOOK_S)
        try:
            what()
        except (HandoverError, JournalError) as error:
            log.error("stops are not seen to: the journal failed", problem=error.message)

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _members(self, order: Order) -> list[Order]:
        return self._need_ledger().state.siblings(order)

    def _withdraw(self, order: Order, reason: str) -> None:
        assert self._desk is not None
        try:
            self._desk.cancel(order.client_id, reason)
        except (ConflictError, JournalError) as error:
            log.info("a member of a group is not cancelled", client_id=order.client_id, problem=error.message)

    # --- sending what was held ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Go on with what was reached before this process began; waits for a venue that is away."""
        doubtful = [held for held in self._held.values() if held.triggered and not held.firing]
        if self._rest is not None:
            self.later(self._rest.resume, 0)
        await asyncio.gather(*(self._find_out(held) for held in doubtful))

    async def _find_out(self, held: Held) -> None:
        """Whether the process before had sent an order: only the venue's answer tells, and only in its time."""
        command, attempt = held.command, 0
        # It may have left at the very end of the process before, whenever its price had been reached.
        asked_from = self._attached + int(self._inner.capabilities.visibility_delay_s * 1e9)
        while command.client_id in self._held:
            try:
                found = await self._inner.order(command.account, command.client_id)
                if found is not None:
                    self._held.pop(command.client_id, None)
                    self._on_doubt()
                    order = self._need_ledger().state.order(command.client_id)
                    if order is not None and order.cancel_requested:
                        self._withdraw(order, "it was withdrawn before it was known to be at the venue")
                    return
                if self._clock.now() >= asked_from:
                    self._begin(held)
                    return
            except Exception as error:  # whatever it was, it is no evidence; it is asked again
                log.warning("cannot ask about a held order yet", client_id=command.client_id, problem=str(error))
            await self._pause(attempt)
            attempt += 1

    async def _fire(self, held: Held) -> None:
        """Root of the task that sends one order whose price was reached."""
        client_id = held.command.client_id
        try:
            order = self._need_ledger().state.orders.get(client_id)
            if order is None or not self._is_wanted(client_id):
                # The stop beside it was reached meanwhile, and each would wait for the other's end.
                self._end(held, "withdrawn before it was sent")
                return
            rest = self._rest
            members = [o for o in self._members(order) if rest is None or not rest.stays(order, o)]
            for other in members:
                self._withdraw(other, f"{held.command.type.replace('_', ' ')} of its group was reached")
            await self._until_ended(members)
            left = rest.left(order) if rest is not None else None
            if left is None:
                left = held.command.quantity - sum((other.executed for other in members), ZERO)
            left = min(left, held.command.quantity)
            await self._send(held, left)
        except JournalError as error:
            log.error("a held order is not sent: the journal failed", client_id=client_id, problem=error.message)
        except Exception:  # a fault of ours about one order; whether it left is asked for
            log.exception("a held order could not be sent", client_id=client_id)
            self._held.pop(client_id, None)
            self._on_doubt()
        finally:
            held.firing = False

    async def _until_ended(self, members: Sequence[Order]) -> None:
        """Wait until the other members are over; a cancel that was refused is asked for again."""
        looks = 0
        while any(other.is_open for other in members):
            await self._clock.sleep(LOOK_S)
            looks += 1
            if looks % LOOKS_A_CANCEL == 0 and self._allowed():
                for other in members:
                    if other.is_open and not other.cancel_requested:
                        self._withdraw(other, "another order of its group was reached")

    async def _send(self, held: Held, left: Decimal) -> None:
        ledger, client_id = self._need_ledger(), held.command.client_id
        while not self._allowed():
            await self._clock.sleep(LOOK_S)
        instrument = ledger.state.instruments[held.command.instrument]
        left = instrument.floor_quantity(left) if left > ZERO else ZERO
        if left <= ZERO:
            self._end(held, "the other order of its group was executed")
            return
        if left != held.command.quantity:
            self._tell(held.command.account, ev.OrderAmended(client_id=client_id, ts=self._clock.now(), quantity=left))
        command, attempt = self._fitted(held.sent_as(left)), 0
        await ledger.journal.wait_durable(ledger.seq)
        while self._is_wanted(client_id):
            if not self._allowed():
                # Should another process take over now, it asks the venue and goes on.
                await self._clock.sleep(LOOK_S)
                continue
            try:
                await self._leave(command)
                self._held.pop(client_id, None)
                return
            except _DID_NOT_LEAVE as error:
                log.warning("a held order did not leave; it is tried again", client_id=client_id, problem=error.message)
            except _REFUSED as error:
                self._end(held, f"the venue refuses it: {error.message}")
                return
            except Exception as error:  # no error is evidence of what became of the order
                log.warning("outcome of a held order unknown", client_id=client_id, problem=str(error))
                self._held.pop(client_id, None)
                self._on_doubt()
                return
            await self._pause(attempt)
            attempt += 1
        self._end(held, "withdrawn before it was sent")

    async def _leave(self, command: OrderCommand) -> None:
        assert self._margins is not None
        command = await self._margins.of_held(cast("Venue", self), command)
        if not self._is_wanted(command.client_id) or not self._allowed():
            raise ExchangeConnectionError("It was withdrawn, or everything is held, while its leverage was asked for.")
        await self._inner.place(command)

    def _is_wanted(self, client_id: ClientOrderId) -> bool:
        order = self._need_ledger().state.orders.get(client_id)
        return order is not None and not order.cancel_requested

    def _end(self, held: Held, reason: str) -> None:
        client_id = held.command.client_id
        self._held.pop(client_id, None)
        self._tell(held.command.account, ev.OrderCanceled(client_id=client_id, reason=reason, ts=self._clock.now()))

    async def _pause(self, attempt: int) -> None:
        await self._clock.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])

    def _tell(self, account: AccountId, event: ev.VenueEvent) -> None:
        assert self._desk is not None
        self._desk.on_event(account, event)

    def _need_ledger(self) -> Ledger:
        if self._ledger is None:
            raise JournalError("Nothing can be held yet; attach the engine first.")
        return self._ledger
