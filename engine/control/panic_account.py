"""One account that is emptied at its venue without a journal: again and again, until nothing is left or time is up.

Each round asks anew what is open and held, and whatever fails is asked again in the next one. An order of unknown
outcome is asked for and never sent again; only when every closing order of a market has ended is the next one sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from engine import events as ev
from engine.errors import QuarterdeckError, SecurityError, UnknownOutcomeError
from engine.execution.ids import ClientIds
from engine.model.decimals import ZERO
from engine.model.dust import closable
from engine.model.instrument import CASH_KINDS
from engine.model.market import BookMoved, BookUpdate
from engine.model.order import TERMINAL_STATUSES, OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand
from engine.risk.emergency import CANCEL_WAIT_NS, PAUSES_NS, parts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.control.panic import PanicReport
    from engine.control.panic_venue import PanicLog
    from engine.model.account import Account
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue, VenueOrder

__all__ = ["AccountEmptying", "Heard"]

T = TypeVar("T")

NS_PER_S = 1_000_000_000
LOOK_S = 0.2
"""Rest between two rounds."""
ANSWER_S = 10.0
"""Seconds of real time that a venue has for one answer."""
PRICED_NS = 5 * NS_PER_S
"""Time that markets have to tell a price before it is tried without."""
ASK_AGAIN_NS = 3 * NS_PER_S
"""A cancel that shows no effect is sent again after this time."""
ASK_PAUSE_NS = NS_PER_S
"""Time after which a cancel is sent again that certainly had no effect."""
LATE_NS = NS_PER_S
"""Time after a full execution until what is held is believed to be left, because balances may lag behind."""
REFUSALS = 5
"""Tries in a row, over about seven seconds, after which what the venue refuses is left: it may be worth too little."""
LAST_LOOKS = 5
"""How often it is asked in the end what is left."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Heard:
    """What a venue tells while accounts are emptied there."""

    def __init__(self) -> None:
        self.words: list[str] = []
        """Every execution."""
        self.filled: defaultdict[ClientOrderId, Decimal] = defaultdict(lambda: ZERO)
        self.ended: set[ClientOrderId] = set()
        self.refused: set[ClientOrderId] = set()
        self.priced: set[InstrumentId] = set()
        """Markets that have told a price: one on paper fills nothing before."""

    def event(self, account: AccountId, event: ev.VenueEvent) -> None:
        """Hear what becomes of orders."""
        match event:
            case ev.OrderFilled(fill=fill):
                verb = "sold" if fill.side is OrderSide.SELL else "bought"
                self.words.append(f"{verb} {fill.quantity:f} of {fill.instrument} at {fill.price:f}")
                if fill.client_id is not None:
                    self.filled[fill.client_id] += fill.quantity
            case ev.OrderRejected():
                self.refused.add(event.client_id)
                self.ended.add(event.client_id)
            case ev.OrderCanceled() | ev.OrderExpired():
                self.ended.add(event.client_id)
            case _:
                pass

    def market(self, event: MarketEvent) -> None:
        """Hear of prices."""
        if isinstance(event, BookUpdate | BookMoved):
            self.priced.add(event.instrument)


@dataclass(slots=True)
class _Closing:
    """How the closing of what is held in one market goes."""

    working: dict[ClientOrderId, Decimal] = field(default_factory=dict)
    """Orders whose fate is not known yet, with their quantities."""
    sent: int = 0
    """When the last of them were sent, nanoseconds."""
    due: int = 0
    """When the next ones may be sent."""
    tries: int = 0
    """Tries in a row that closed nothing."""
    short: bool = False
    """Whether one of the last orders did not close all that it was to close."""
    closed: bool = False
    """Whether one of them closed anything."""
    refused: bool = False
    """Whether the venue refused one of them."""
    refusals: int = 0
    """Tries in a row that were refused."""


class AccountEmptying:
    """Empties one account.

    Args:
        venue: Where; it is started, and tells `heard`.
        account: Which.
        instruments: What may be sold or closed.
        covers: Whether what is traded under an id is meant.
        whole: Whether coins are meant that no instrument trades.
        heard: What the venue tells.
        clock: Gives the pauses.
        log: Is told every request before it is sent.
        wait_s: Seconds that it may take.
        say: Told how far it came.
        report: Told what became of everything.
    """

    def __init__(
        self,
        venue: Venue,
        account: Account,
        instruments: Sequence[Instrument],
        covers: Callable[[InstrumentId], bool],
        whole: bool,
        heard: Heard,
        clock: Clock,
        log: PanicLog,
        wait_s: float,
        say: Callable[[str], None],
        report: PanicReport,
    ) -> None:
        self._venue, self._account = venue, account
        self._instruments = {one.id: one for one in instruments}
        base = account.base_currency
        self._traded = {one.base: one for one in instruments if one.quote == base and one.kind in CASH_KINDS}
        self._covers, self._whole = covers, whole
        self._heard, self._clock, self._log = heard, clock, log
        self._say, self._report = say, report
        self._began = clock.monotonic()
        wait = int(wait_s * NS_PER_S)
        self._deadline = self._began + wait
        self._patience = self._began + min(CANCEL_WAIT_NS, wait // 2)
        """Until then orders are to be gone before anything is sold; then what is free is sold."""
        self._asked: dict[ClientOrderId, int] = {}
        self._closings: defaultdict[InstrumentId, _Closing] = defaultdict(_Closing)
        self._ours: set[ClientOrderId] = set()
        self._ids = ClientIds("".join(secrets.choice(_DIGITS) for _ in range(8)), 0)
        self._watched: set[InstrumentId] = set()
        self._answered = False
        self._problem: QuarterdeckError | None = None

    async def run(self) -> None:
        """Go on until nothing is left or the time is up, and report what is left.

        Raises:
            QuarterdeckError: The venue answered nothing at all about this account.
        """
        account = self._account.id
        while True:
            others = await self._open_orders()
            await self._cancel(others or [])
            await self._learn()
            left = True
            if others == [] or self._clock.monotonic() >= self._patience:
                left = await self._close()
            if others == [] and not left:
                break
            if self._clock.monotonic() >= self._deadline:
                break
            await self._clock.sleep(LOOK_S)
        if not self._answered and self._problem is not None:
            raise self._problem
        await self._tell(account)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, what: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What the venue answers; None when it does not, which the next round asks again."""
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await ask()
        except SecurityError as error:
            if not self._answered:
                # A key that is not taken is taken no better a moment later.
                raise
            self._problem = error
        except QuarterdeckError as error:
            self._problem = error
        except TimeoutError:
            self._problem = UnknownOutcomeError(f"{self._venue.id} does not answer within {ANSWER_S:g} s.")
        except Exception as error:  # whatever breaks, everything else is emptied all the same
            self._problem = UnknownOutcomeError(
                f"The answer of {self._venue.id} cannot be used ({type(error).__name__}: {error})."
            )
        else:
            self._answered = True
            return answer
        self._log.note("no answer", account=self._account.id, asked=what, problem=self._problem.message)
        return None

    async def _open_orders(self) -> list[VenueOrder] | None:
        """Open orders that are meant, without our own."""
        found = await self._ask("open orders", lambda: self._venue.open_orders(self._account.id))
        if found is None:
            return None
        return [order for order in found if self._covers(order.instrument) and order.client_id not in self._ours]

    # --- cancelling --------------------------------------------------------------------------------------------------

    async def _cancel(self, orders: Sequence[VenueOrder]) -> None:
        now = self._clock.monotonic()
        # A cancel may be sent again at any time: at worst it finds nothing any more.
        due = [o for o in orders if o.client_id not in self._asked or now - self._asked[o.client_id] >= ASK_AGAIN_NS]
        for order in due:
            self._log.note("cancel", client_id=order.client_id, instrument=order.instrument, quantity=order.quantity)
            self._asked[order.client_id] = now
        account = self._account.id
        ends = await asyncio.gather(*(self._send(o.client_id, self._venue.cancel(account, o.client_id)) for o in due))
        for order, refused in zip(due, ends, strict=True):
            if refused is not None:
                self._asked[order.client_id] = now - ASK_AGAIN_NS + ASK_PAUSE_NS

    async def _send(self, client_id: ClientOrderId, request: Awaitable[None]) -> QuarterdeckError | None:
        """Wait for a request; why it certainly had no effect, else None."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await request
        except UnknownOutcomeError as error:
            self._log.note("no answer", client_id=client_id, problem=error.message)
        except QuarterdeckError as error:
            self._log.note("refused", client_id=client_id, problem=error.message)
            return error
        except Exception as error:  # it may have left: what became of it is asked for
            self._log.note("no answer", client_id=client_id, problem=f"{type(error).__name__}: {error}")
        return None

    # --- closing -----------------------------------------------------------------------------------------------------

    async def _learn(self) -> None:
        """Ask what became of closing orders, and when all of a market have ended, when the next ones may be sent."""
        for closing in self._closings.values():
            if not closing.working:
                continue
            for client_id, quantity in tuple(closing.working.items()):
                filled = await self._fate(client_id, quantity, closing.sent)
                if filled is not None:
                    del closing.working[client_id]
                    closing.short = closing.short or filled < quantity
                    closing.refused = closing.refused or client_id in self._heard.refused
                    closing.closed = closing.closed or filled > ZERO
            if not closing.working:
                self._judge(closing)

    async def _fate(self, client_id: ClientOrderId, quantity: Decimal, sent: int) -> Decimal | None:
        """What an order closed before it ended; None while it may still work."""
        heard = self._heard
        if client_id in heard.ended or heard.filled[client_id] >= quantity:
            return heard.filled[client_id]
        answers: list[VenueOrder | None] = []

        async def look() -> bool:
            answers.append(await self._venue.order(self._account.id, client_id))
            return True

        if not await self._ask("an order", look):
            return None
        found = answers[-1]
        if found is not None:
            if found.status is OrderStatus.REJECTED:
                self._heard.refused.add(client_id)
            return found.filled if found.status in TERMINAL_STATUSES else None
        # Unknown there is believed only once the venue would have to show it.
        hidden = int(self._venue.capabilities.visibility_delay_s * NS_PER_S)
        return ZERO if self._clock.monotonic() - sent >= hidden else None

    def _judge(self, closing: _Closing) -> None:
        now = self._clock.monotonic()
        if closing.closed:
            closing.tries = closing.refusals = 0
        elif closing.refused:
            closing.refusals += 1
        if not closing.short:
            closing.due = now + LATE_NS
            return
        closing.due = now + PAUSES_NS[min(closing.tries, len(PAUSES_NS) - 1)]
        closing.tries += 1

    async def _close(self) -> bool:
        """Send closing orders where they are due; True while there is something that can still be closed."""
        held = await self._held()
        if held is None:
            return True
        wanted, complete = held
        await self._watch([name for name, *_ in wanted])
        left, sending = not complete, list[OrderCommand]()
        now = self._clock.monotonic()
        for name, quantity, derivative in wanted:
            closing = self._closings[name]
            if closing.refusals >= REFUSALS and not closing.working:
                continue
            left = True
            unpriced = name not in self._heard.priced and now < min(self._began + PRICED_NS, self._deadline)
            if closing.working or now < closing.due or unpriced:
                continue
            closing.short = closing.closed = closing.refused = False
            closing.sent = now
            sending += self._commands(name, quantity, derivative, closing)
        for one in sending:
            self._log.note(
                "close", client_id=one.client_id, instrument=one.instrument, side=one.side, quantity=one.quantity
            )
        taken = await asyncio.gather(*(self._send(one.client_id, self._venue.place(one)) for one in sending))
        for one, refused in zip(sending, taken, strict=True):
            closing = self._closings[one.instrument]
            if refused is not None:
                del closing.working[one.client_id]
                closing.short = True
                closing.refused = closing.refused or not refused.retryable
                if not closing.working:
                    self._judge(closing)
        return left or any(closing.working for closing in self._closings.values())

    def _commands(
        self, name: InstrumentId, quantity: Decimal, derivative: bool, closing: _Closing
    ) -> list[OrderCommand]:
        instrument = self._instruments.get(name)
        most = None if instrument is None else instrument.current_rules.max_quantity
        found = []
        for size in parts(abs(quantity), most):
            client_id = self._ids.make(len(self._ours) + 1)
            self._ours.add(client_id)
            closing.working[client_id] = size
            found.append(
                OrderCommand(
                    client_id=client_id,
                    account=self._account.id,
                    instrument=name,
                    side=OrderSide.SELL if quantity > ZERO else OrderSide.BUY,
                    type=OrderType.MARKET,
                    quantity=size,
                    reduce_only=derivative,
                    urgent=True,
                )
            )
        return found

    async def _held(self) -> tuple[list[tuple[InstrumentId, Decimal, bool]], bool] | None:
        """What can be closed now, and whether both coins and positions were told; None when neither was."""
        account = self._account.id
        positions = await self._ask("positions", lambda: self._venue.positions(account))
        balances = await self._ask("balances", lambda: self._venue.balances(account))
        if positions is None and balances is None:
            return None
        wanted = [(one.instrument, one.quantity, True) for one in positions or () if self._covers(one.instrument)]
        for balance in balances or ():
            instrument = self._traded.get(balance.currency)
            if instrument is None:
                continue
            # What an order that is not gone yet holds would make the whole sale fail.
            free = max(balance.total - balance.locked, ZERO) if balance.total > ZERO else balance.total
            if quantity := closable(instrument, free, None):
                wanted.append((instrument.id, quantity if free > ZERO else -quantity, False))
        return wanted, positions is not None and balances is not None

    async def _watch(self, names: Sequence[InstrumentId]) -> None:
        new = sorted(set(names) - self._watched)

        async def watch() -> bool:
            await self._venue.watch(new)
            return True

        if new:
            told = await self._ask("markets", watch)
            self._watched.update(new if told else ())

    # --- what is left ------------------------------------------------------------------------------------------------

    async def _tell(self, account: AccountId) -> None:
        orders = await self._surely("open orders", self._open_orders)
        if orders is not None:
            self._report.cancelled += sorted(set(self._asked) - {order.client_id for order in orders})
            self._report.left += [
                f"order {o.client_id}: {o.side} {o.quantity:f} of {o.instrument} is {o.status}" for o in orders
            ]
            cancelled = len(self._report.cancelled)
            self._say(f"{account}: {cancelled} orders are cancelled in all, {len(orders)} are still open.")
        self._report.left += [
            f"closing order {client_id}: what became of it is not known"
            for closing in self._closings.values()
            for client_id in closing.working
        ]
        balances = await self._surely("balances", lambda: self._venue.balances(account))
        # What cannot be sold here, because nothing trades it against the base currency, is held all the same.
        self._report.left += [
            f"{balance.total:f} {balance.currency} of the account {account}"
            for balance in balances or ()
            if balance.total
            and balance.currency != self._account.base_currency
            and (self._whole or balance.currency in self._traded)
        ]
        positions = await self._surely("positions", lambda: self._venue.positions(account))
        self._report.left += [
            f"a position of {position.quantity:f} in {position.instrument}"
            for position in positions or ()
            if self._covers(position.instrument)
        ]

    async def _surely(self, what: str, ask: Callable[[], Awaitable[T | None]]) -> T | None:
        """Ask a few times; what is not told then counts as left."""
        for look in range(LAST_LOOKS):
            if look:
                await self._clock.sleep(LOOK_S)
            answer = await self._ask(what, ask)
            if answer is not None:
                return answer
        problem = "" if self._problem is None else f" ({self._problem.message})"
        self._report.left.append(f"whatever {what} the account {self._account.id} has: they are not told{problem}")
        return None
