"""Asks venues what became of orders and executions, and carries out what `reconcile` decides about the answers.

A network error is never evidence about an order; only what the venue itself answers is. Nothing here sends an order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from engine import events as ev
from engine.crash_points import crash_point
from engine.errors import ConflictError, JournalError, NotVisibleYetError
from engine.execution.executions import named
from engine.execution.reconcile import (
    Answer,
    Ask,
    Book,
    Books,
    Cancel,
    Decision,
    Halt,
    Policy,
    Untracked,
    reconcile,
    untracked_fills,
)
from engine.logs import get_logger
from engine.model.entries import TradingState
from engine.model.ids import ClientOrderId, venue_of
from engine.model.venue import EXECUTIONS_MISSING
from engine.resilience.handler import ErrorHandler
from engine.state.core import ENGINE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engine.clock import Clock
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.fill import Fill
    from engine.model.ids import AccountId
    from engine.model.order import Order
    from engine.model.venue import Venue, VenueOrder

__all__ = ["ASK_AFTER_S", "Inquiry", "Tally"]

log = get_logger(__name__)

ASK_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between questions about an order of unknown outcome; the last one repeats."""
AT_ONCE = 20
"""Orders that are asked for at the same time after a restart."""
PIECE = 100
"""Executions that are judged at once."""
TURN_NS = 3_000_000
"""Time after which the loop gets its turn while decisions are carried out."""
MARGIN_NS = 120_000_000_000
"""How much older than the last booked fact an execution may be that was not reported."""
_ENDS = (ev.OrderCanceled, ev.OrderExpired, ev.OrderRejected)


@dataclass(slots=True)
class Tally:
    """What one round of questions came to."""

    booked: list[Book] = field(default_factory=list)
    """What was booked, in order."""
    asks: dict[ClientOrderId, Ask] = field(default_factory=dict)
    """Orders whose fate is still open."""
    halts: list[Halt] = field(default_factory=list)
    canceled: list[ClientOrderId] = field(default_factory=list)
    asked: set[ClientOrderId] = field(default_factory=set)
    """Orders that were asked for one by one."""

    def count(self, *kinds: type[ev.Event]) -> int:
        """How many facts of these kinds were booked."""
        return sum(isinstance(event, kinds) for book in self.booked for event in book.events)

    @property
    def ended(self) -> int:
        """Orders that were found to be over."""
        return self.count(*_ENDS)


class Inquiry:
    """Brings what is booked about orders in line with their venue.

    Args:
        ledger: What is booked.
        clock: Gives the pauses.
        timeout_s: Seconds (of real time) that a venue has for one answer.
        untracked: What becomes of working orders of this instance that are not tracked.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        timeout_s: float,
        untracked: Untracked = "adopt",
        *,
        errors: ErrorHandler | None = None,
    ) -> None:
        self._errors = errors or ErrorHandler(clock)
        self._ledger = ledger
        self._clock = clock
        self._timeout_s = timeout_s
        self._untracked = untracked
        self.on_learnt: Callable[[AccountId, Sequence[Book], int], None] | None = None
        """Hears what was booked because of a question, and when the question was asked."""
        self._desk: Desk | None = None
        self._asking: set[ClientOrderId] = set()
        self._catching_up: defaultdict[AccountId, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One catches up at a time with each account; a venue that is slow to answer delays no other."""
        self._caught_up: dict[AccountId, int] = {}
        """When each account's executions were last asked for to the end, UTC nanoseconds."""
        self._last_fact = ledger.state.meta.ts

    def attach(self, desk: Desk) -> None:
        """Name the desk that books the answers; must happen before anything is asked."""
        self._desk = desk

    # --- one order ---------------------------------------------------------------------------------------------------

    async def ask(
        self,
        venue: Venue,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        since: int | None = None,
        changed: bool = False,
    ) -> None:
        """Ask the venue about one order until its state is known; returns at once while somebody else is asking.

        "No such order" counts only from an authenticated answer, and only once the venue's visibility delay is over.

        Args:
            venue: Where the order was sent.
            account: Whose it is.
            client_id: Which.
            since: UTC nanoseconds at which it left at the latest; None for its last change.
            changed: An amendment of unknown outcome is meant: what the venue has is booked even if it is as before.

        Raises:
            JournalError: The answer cannot be booked.
        """
        order = self._ledger.state.orders.get(client_id)
        if order is None or client_id in self._asking:
            return
        self._asking.add(client_id)
        try:
            sent = {client_id: order.updated if since is None else since}
            policy = self._policy(venue, sent=sent, changed=frozenset({client_id}) if changed else frozenset())
            attempt = 0
            while client_id in self._ledger.state.orders:
                await self._clock.sleep(ASK_AFTER_S[min(attempt, len(ASK_AFTER_S)) - 1] if attempt else 0)
                attempt += 1
                if await self._try_to_settle(venue, account, client_id, policy):
                    return
        finally:
            self._asking.discard(client_id)

    async def _try_to_settle(self, venue: Venue, account: AccountId, client_id: ClientOrderId, policy: Policy) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = self._began(venue, account)
                found = {client_id: await venue.order(account, client_id)}
                tally = await self._conclude(venue, account, replace(answer, found=found), policy)
        except JournalError:
            raise
        except Exception as error:  # whatever went wrong on the way is no answer; the question is asked again
            log.warning("cannot ask about an order yet", client_id=client_id, problem=_words(error))
            self._errors.report(error, component="inquiry", operation="ask", order=client_id)
            if isinstance(error, NotVisibleYetError) and error.error_code == EXECUTIONS_MISSING:
                self._need_desk().doubted(client_id, error.message)
            return False
        return client_id not in tally.asks

    # --- a whole account ---------------------------------------------------------------------------------------------

    async def catch_up(self, venue: Venue, account: AccountId) -> str:
        """Book every execution since the last time that is not booked yet.

        Returns:
            The venue's cursor up to which all are booked.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An execution cannot be booked.
        """
        async with self._catching_up[account]:
            asked = self._clock.now()
            fills, cursor = await self._fetch(venue, account)
            await self._book_fills(venue, account, Answer(asked=asked, fills=fills, cursor=cursor), Tally())
            self._caught_up[account] = asked
            return cursor

    async def _fetch(self, venue: Venue, account: AccountId) -> tuple[tuple[Fill, ...], str]:
        """All executions since the books' cursor, and the cursor behind them."""
        cursor = self._ledger.state.cursors.get(account, "")
        found: list[Fill] = []
        while True:
            page, after = await venue.fills_since(account, cursor)
            found += page
            if after == cursor:
                # Named as a whole: two that say the same are told apart by their number among all of them.
                return tuple(named(found)), cursor
            cursor = after

    async def _book_fills(self, venue: Venue, account: AccountId, answer: Answer, tally: Tally) -> None:
        """Book executions piece by piece, and at the end up to where they are known."""
        fills, policy = answer.fills, self._policy(venue)
        for start in range(0, len(fills), PIECE):
            piece = Answer(asked=answer.asked, fills=fills[start : start + PIECE], complete=False)
            await self._carry(account, reconcile(self._books(venue, account), piece, policy), tally)
        end = Answer(asked=answer.asked, cursor=answer.cursor, complete=False)
        await self._carry(account, reconcile(self._books(venue, account), end, policy), tally)

    async def recover(self, venue: Venue, account: AccountId, *, patient: bool = True) -> Tally:
        """Bring our open orders of one account in line with the venue; runs before trading starts.

        Args:
            venue: Where they are.
            account: Whose.
            patient: Wait until the fate of every order is known. Else those to be asked for one by one are left in
                the tally's `asks`: whoever cancels everything does not wait for answers.

        Raises:
            ExchangeError: The venue cannot be asked.
            JournalError: An answer cannot be booked.
        """
        crash_point("recover.begun")
        answer = self._began(venue, account)
        policy = replace(self._policy(venue, sent=answer.before), restarted=True)
        listed = tuple(await venue.open_orders(account))
        tally = await self._conclude(venue, account, replace(answer, listed=listed), policy)
        crash_point("recover.caught_up")
        open_questions = dict(tally.asks)
        if open_questions and patient:
            tally.asked |= set(open_questions)
            answer = self._began(venue, account)
            found = await self._find(venue, account, open_questions)
            changed = frozenset(ask.client_id for ask in open_questions.values() if ask.changed)
            policy = self._policy(venue, sent={ask.client_id: ask.since for ask in open_questions.values()})
            policy = replace(policy, changed=changed)
            tally.asks.clear()
            await self._conclude(venue, account, replace(answer, found=found), policy, tally)
            unanswered = [ask for key, ask in open_questions.items() if key not in found or key in tally.asks]
            await asyncio.gather(
                *(self.ask(venue, account, ask.client_id, since=ask.since, changed=ask.changed) for ask in unanswered)
            )
        crash_point("recover.done")
        return tally

    async def _find(
        self, venue: Venue, account: AccountId, wanted: Iterable[ClientOrderId]
    ) -> dict[ClientOrderId, VenueOrder | None]:
        """Ask for many orders, some at a time; those without an answer are left out."""
        found: dict[ClientOrderId, VenueOrder | None] = {}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(client_id: ClientOrderId) -> None:
            async with gate:
                try:
                    async with asyncio.timeout(self._timeout_s):
                        found[client_id] = await venue.order(account, client_id)
                except Exception as error:  # no answer is no evidence; it is asked for again alone
                    log.warning("cannot ask about an order yet", client_id=client_id, problem=_words(error))

        await asyncio.gather(*map(one, wanted))
        return found

    async def compare(self, venue: Venue, account: AccountId) -> list[ClientOrderId]:
        """Look for executions and changes that were never reported, and for orders that only one side knows.

        Returns:
            Orders that work here and not at the venue: ask for each.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An answer cannot be booked.
        """
        return list((await self.look_over(venue, account)).asks)

    async def look_over(self, venue: Venue, account: AccountId) -> Tally:
        """Do what `compare` does, and tell all that it came to. Raises as `compare`."""
        answer = self._began(venue, account)
        async with asyncio.timeout(self._timeout_s):
            listed = tuple(await venue.open_orders(account))
            return await self._conclude(venue, account, replace(answer, listed=listed), self._policy(venue))

    def orders_at(self, venue: Venue, account: AccountId) -> list[Order]:
        """Our open orders of an account at a venue."""
        return [
            order
            for order in self._ledger.state.orders.values()
            if order.account == account and venue_of(order.instrument) == venue.id
        ]

    # --- the way of an answer ----------------------------------------------------------------------------------------

    def _began(self, venue: Venue, account: AccountId) -> Answer:
        """An answer still without content; what is booked now is what it may judge."""
        before = {order.client_id: order.updated for order in self.orders_at(venue, account)}
        now, kept = self._clock.now(), venue.capabilities.fills_kept_s
        since = self._caught_up.get(account, self._last_fact - MARGIN_NS)
        # A journal without facts has no past that could be missing.
        reaches = kept is None or not self._last_fact or now - since <= kept * 1e9
        return Answer(asked=now, before=before, reaches_back=reaches)

    async def _conclude(
        self, venue: Venue, account: AccountId, answer: Answer, policy: Policy, tally: Tally | None = None
    ) -> Tally:
        """Book what is alive, then all executions, then what is over, so that no order ends before its executions."""
        tally = tally or Tally()
        heard = len(tally.booked)
        async with self._catching_up[account]:
            asked = self._clock.now()
            fills, cursor = await self._fetch(venue, account)
            books = self._books(venue, account)
            early = replace(answer, fills=untracked_fills(books, fills), complete=False)
            carried = await self._carry(account, reconcile(books, early, policy), tally)
            await self._book_fills(venue, account, Answer(asked=asked, fills=fills, cursor=cursor), tally)
            self._caught_up[account] = asked
            rest = replace(policy, changed=policy.changed - carried)
            await self._carry(account, reconcile(self._books(venue, account), answer, rest), tally)
        if self.on_learnt is not None:
            self.on_learnt(account, tally.booked[heard:], answer.asked)
        return tally

    def _policy(
        self,
        venue: Venue,
        *,
        sent: Mapping[ClientOrderId, int] | None = None,
        changed: frozenset[ClientOrderId] = frozenset(),
    ) -> Policy:
        return Policy(
            visibility_ns=int(venue.capabilities.visibility_delay_s * 1e9),
            untracked=self._untracked,
            sent=sent or {},
            changed=changed,
        )

    def _books(self, venue: Venue, account: AccountId) -> Books:
        state = self._ledger.state
        return Books(
            account=account,
            instance=self._need_desk().instance,
            orders={order.client_id: order for order in self.orders_at(venue, account)},
            recent=state.recent,
            strangers=state.external_orders,
            foreign_fills=state.external_fills,
            is_forgotten=state.is_forgotten,
            instruments=state.instruments,
            cursor=state.cursors.get(account, ""),
            opening=state.openings.get(account),
        )

    async def _carry(self, account: AccountId, decisions: Sequence[Decision], tally: Tally) -> set[ClientOrderId]:
        """Do what was decided, giving the loop its turn; returns the orders about which something was booked."""
        carried: set[ClientOrderId] = set()
        began = self._clock.monotonic()
        for decision in decisions:
            match decision:
                case Book():
                    if self._book(account, decision):
                        tally.booked.append(decision)
                        if decision.client_id is not None:
                            carried.add(decision.client_id)
                case Ask(client_id=client_id):
                    tally.asks[client_id] = decision
                case Cancel(client_id=client_id):
                    if self._cancel(decision):
                        tally.canceled.append(client_id)
                case Halt():
                    tally.halts.append(decision)
                    self._halt(decision)
                case _:
                    continue
            if self._clock.monotonic() - began > TURN_NS:
                await asyncio.sleep(0)
                began = self._clock.monotonic()
        return carried

    def _book(self, account: AccountId, decision: Book) -> bool:
        """Book what was decided, unless the world has moved on since."""
        state = self._ledger.state
        if decision.seen is not None and decision.client_id is not None:
            order = state.order(decision.client_id)
            if order is None or order.updated != decision.seen:
                return False
        for event in decision.events:
            match event:
                case ev.OrderOutcomeUnknown():
                    self._need_desk().unknown(event.client_id, event.reason)
                case ev.ExternalFillSeen():
                    self._need_desk().adopt(event.fill)
                case ev.OrderAdopted():
                    if event.client_id in state.orders:
                        return False
                    log.error("an order of ours works at the venue and was not tracked", client_id=event.client_id)
                    self._ledger.record(event)
                case ev.ExternalOrderSeen() | ev.FillsCaughtUp():
                    self._ledger.record(event)
                case _:
                    self._need_desk().on_event(account, event)  # type: ignore[arg-type]
        return True

    def _cancel(self, decision: Cancel) -> bool:
        try:
            self._need_desk().cancel(decision.client_id, decision.reason)
        except ConflictError:
            # It has ended on its own.
            return False
        return True

    def _halt(self, decision: Halt) -> None:
        log.critical("an order cannot be explained", client_id=decision.client_id, why=decision.reason)
        if self._ledger.state.trading_state() is not TradingState.HALTED:
            self._ledger.record(
                ev.TradingStateChanged(
                    scope=ENGINE_SCOPE, state=TradingState.HALTED, reason=decision.reason, actor="recovery"
                )
            )

    def _need_desk(self) -> Desk:
        if self._desk is None:
            raise JournalError("Nobody books what venues answer; attach a desk before orders are sent.")
        return self._desk


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
