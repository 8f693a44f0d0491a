"""What all instruments of one paper exchange share: accounts, orders, fills, numbers and the reports under way."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.model.ids import TradeId
from engine.venues.paper.changes import Changes, Counters, StoredFill, StoredPayment

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
    from engine.model.venue import FundingPayment
    from engine.venues.paper.accounts import PaperAccount
    from engine.venues.paper.listing import Listing
    from engine.venues.paper.orders import PaperOrder, Report
    from engine.venues.paper.settings import PaperSettings

__all__ = ["ENDED_KEPT", "FILLS_KEPT", "Core"]

ENDED_KEPT = 10_000
"""Ended orders kept in memory for queries and repeated ids."""
FILLS_KEPT = 10_000
"""Fills kept in memory for `fills_since`."""


class Core:
    """Shared state of the exchange's listings.

    Args:
        venue: Name in fills.
        settings: The venue's settings.
        track: Whether to remember what changed, for a store.
    """

    def __init__(self, venue: VenueId, settings: PaperSettings, *, track: bool) -> None:
        self.venue = venue
        self.settings = settings
        self.accounts: dict[AccountId, PaperAccount] = {}
        self.listings: dict[InstrumentId, Listing] = {}
        self.open: dict[tuple[AccountId, ClientOrderId], PaperOrder] = {}
        self.ended: dict[tuple[AccountId, ClientOrderId], PaperOrder] = {}
        self.reducing: list[PaperOrder] = []
        """Open reduce-only orders."""
        self.fills: deque[StoredFill] = deque(maxlen=FILLS_KEPT)
        self.payments: deque[StoredPayment] = deque(maxlen=FILLS_KEPT)
        self.counters = Counters()
        self.store = ""
        """Random name of the store that the numbers of fills belong to."""
        self.run = ""
        """Begins the ids of orders and trades; another one at every start, since a store may be an older copy."""
        self.out: list[Report] = []
        """Reports of the call under way."""
        self.reacted = 0
        """How many of `out` were already handed to `reaction`."""
        self.reaction: Callable[[AccountId, VenueEvent], None] | None = None
        self._track = track
        self._changed_orders: dict[tuple[AccountId, ClientOrderId], PaperOrder] = {}
        self._changed_accounts: dict[AccountId, PaperAccount] = {}
        self._new_fills: list[StoredFill] = []
        self._new_payments: list[StoredPayment] = []

    # --- reports -----------------------------------------------------------------------------------------------------

    def emit(self, account: AccountId, event: VenueEvent) -> None:
        """Report an event."""
        self.out.append((account, event))

    def react(self) -> None:
        """Hand the reports not yet handed on to the reaction, which may call the exchange."""
        if self.reaction is None:
            return
        out = self.out
        while self.reacted < len(out):
            account, event = out[self.reacted]
            self.reacted += 1
            self.reaction(account, event)

    # --- orders and fills --------------------------------------------------------------------------------------------

    def admit(self, order: PaperOrder) -> None:
        """Keep a new working order."""
        self.open[order.command.account, order.command.client_id] = order
        if order.command.reduce_only:
            self.reducing.append(order)
        self.touch(order)

    def retire(self, order: PaperOrder) -> None:
        """Move an order to those that have ended."""
        key = order.command.account, order.command.client_id
        self.open.pop(key, None)
        if order.command.reduce_only and order in self.reducing:
            self.reducing.remove(order)
        self.ended[key] = order
        if len(self.ended) > ENDED_KEPT:
            del self.ended[next(iter(self.ended))]
        self.touch(order)

    def touch(self, order: PaperOrder) -> None:
        """Remember that an order changed."""
        if self._track:
            self._changed_orders[order.command.account, order.command.client_id] = order

    def touch_account(self, account: PaperAccount) -> None:
        """Remember that an account's totals changed."""
        if self._track:
            self._changed_accounts[account.id] = account

    def keep_fill(self, fill: Fill) -> None:
        """Number a fill and keep it for queries."""
        self.counters.fill += 1
        stored = StoredFill(self.counters.fill, fill)
        self.fills.append(stored)
        if self._track:
            self._new_fills.append(stored)

    def keep_payment(self, payment: FundingPayment) -> None:
        """Number a funding payment and keep it for queries."""
        self.counters.payment += 1
        stored = StoredPayment(self.counters.payment, payment)
        self.payments.append(stored)
        if self._track:
            self._new_payments.append(stored)

    def new_trade_id(self) -> TradeId:
        """The next trade id."""
        self.counters.trade += 1
        return TradeId(f"T{self.run}{self.counters.trade}")

    @property
    def changed(self) -> bool:
        """Whether anything changed since `take_changes`."""
        return bool(self._changed_orders or self._changed_accounts or self._new_fills or self._new_payments)

    def take_changes(self) -> Changes:
        """Everything that changed since the last call; empty when nothing is tracked."""
        counters = self.counters
        changes = Changes(
            tuple(self._changed_orders.values()),
            tuple(self._new_fills),
            tuple(account.image() for account in self._changed_accounts.values()),
            Counters(counters.order, counters.trade, counters.fill, counters.payment),
            tuple(self._new_payments),
        )
        self._changed_orders.clear()
        self._changed_accounts.clear()
        self._new_fills.clear()
        self._new_payments.clear()
        return changes


class Reporting:
    """Collects the reports of one call, which are those of the calls that it makes itself and of no others."""

    __slots__ = ("_core", "_outer")

    def __init__(self, core: Core) -> None:
        self._core = core

    def __enter__(self) -> list[Report]:
        core = self._core
        self._outer = core.out
        core.out = []
        return core.out

    def __exit__(self, *_: object) -> None:
        self._core.out = self._outer
