"""Follows the facts of a journal and keeps a record of every order and every trade, linked by their names.

Pure: no clock, no I/O. It holds what is open and the last ended orders, as the state does; whoever feeds it takes the
records that have changed and stores them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from engine import events as ev
from engine.model.algos import plan_name
from engine.model.decimals import ZERO, exact
from engine.model.ids import ClientOrderId, Currency
from engine.model.instrument import CASH_KINDS
from engine.model.order import TERMINAL_STATUSES, Liquidity, OrderSide, OrderStatus, OrderType, can_move
from engine.model.quality import Attribution, MarkSum, OrderQuality, TradeQuality
from engine.quality.books import Books, Prices
from engine.state import EXTERNAL, RECENT_ORDERS, external_shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.fill import Fill
    from engine.model.ids import AccountId, InstrumentId, Owner, ParentId
    from engine.model.instrument import Instrument
    from engine.model.order import Decision

__all__ = ["KINDS", "Tracker"]

RECENT_PARENTS = 10_000
RECENT_EXTERNAL = 10_000
RECENT_PAYMENTS = 10_000
SIGNAL_NS = 60_000_000_000
"""A decision that comes so much later than a signal is not its consequence, though it says the same."""
HALF = Decimal("0.5")
NS_PER_S = 1_000_000_000
STOPS = (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
_Notice = (
    ev.OrderSubmitted
    | ev.OrderOutcomeUnknown
    | ev.OrderAccepted
    | ev.OrderRejected
    | ev.OrderAmended
    | ev.OrderCanceled
    | ev.OrderExpired
)


class _Plan(NamedTuple):
    """What a parent order gives to its parts."""

    algorithm: str
    decision: Decimal | None
    signal: int


class _Life:
    """What only the tracker needs of an order."""

    def __init__(self, record: OrderQuality) -> None:
        self.record = record
        self.keys: set[str] = set()
        """Executions that were counted."""
        self.groups: dict[int, tuple[Decimal, Decimal]] = {}
        """Time of executions after which the market is to be noted -> quantity, price x quantity."""
        self.before = ZERO
        """Executed before the order was adopted."""


def middle(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """The middle of a book; None while one side is not known."""
    return None if bid is None or ask is None else (bid + ask) * HALF


def decided_at(decision: Decision) -> Decimal | None:
    """The price of a decision: the middle of the book then, else the mark; None where neither was recorded."""
    found = middle(decision.best_bid, decision.best_ask)
    return found if found is not None else decision.mark


class Tracker:
    """The records as far as facts have been heard; feed it every fact of `KINDS` from the first one on, in order."""

    def __init__(self) -> None:
        self.orders: dict[ClientOrderId, OrderQuality] = {}
        """Records of orders that have changed since `take`."""
        self.trades: dict[str, TradeQuality] = {}
        """Likewise of trades."""
        self.instruments: dict[InstrumentId, Instrument] = {}
        self._open: dict[ClientOrderId, _Life] = {}
        self._ended: dict[ClientOrderId, _Life] = {}
        self._books: dict[tuple[Owner, AccountId, InstrumentId], Books] = {}
        self._plans: dict[ParentId, _Plan] = {}
        self._signals: dict[tuple[Owner, InstrumentId], tuple[str, int]] = {}
        self._external: dict[str, None] = {}
        self._payments: dict[str, None] = {}

    # --- for those who feed it

    def take(self) -> tuple[list[OrderQuality], list[TradeQuality]]:
        """The records that have changed since the last call; they go on to change with later facts."""
        orders, trades = list(self.orders.values()), list(self.trades.values())
        self.orders, self.trades = {}, {}
        return orders, trades

    def books(self, owner: Owner, account: AccountId, instrument: InstrumentId) -> Books | None:
        """An owner's books; None where it never had any."""
        return self._books.get((owner, account, instrument))

    def hear(self, record: ev.Record) -> None:
        """Take a fact in."""
        take = _TAKE.get(type(record.event))
        if take is not None:
            with exact():
                take(self, record, record.event)

    def _defined(self, _record: ev.Record, event: ev.InstrumentDefined) -> None:
        self.instruments[event.instrument.id] = event.instrument

    def _signalled(self, record: ev.Record, event: ev.SignalRaised) -> None:
        self._signals[event.bot, event.instrument] = (event.reason, record.ts)

    def _planned(self, record: ev.Record, event: ev.ParentOpened) -> None:
        signal = self._signal_of(event.owner, event.instrument, event.decision, record.ts)
        self._plans[event.parent] = _Plan(plan_name(event.plan), decided_at(event.decision), signal)
        _bound(self._plans, RECENT_PARENTS)

    # --- orders

    def _signal_of(self, owner: Owner, instrument: InstrumentId, decision: Decision, now: int) -> int:
        """When the signal was raised that gave a decision its words; 0 where none did. It leads to one decision."""
        reason, ts = self._signals.get((owner, instrument), ("", 0))
        if not reason or reason != decision.reason or now - ts > SIGNAL_NS:
            return 0
        del self._signals[owner, instrument]
        return ts

    def _intended(self, record: ev.Record, event: ev.OrderIntended) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        plan = self._plans.get(event.parent) if event.parent is not None else None
        decision = decided_at(event.decision)
        signal = self._signal_of(event.owner, event.instrument, event.decision, record.ts)
        order = OrderQuality(
            client_id=event.client_id,
            account=event.account,
            instrument=event.instrument,
            owner=event.owner,
            side=event.side,
            type=event.type,
            quantity=event.quantity,
            currency=instrument.settle,
            multiplier=instrument.multiplier,
            parent=event.parent,
            algorithm="" if plan is None else plan.algorithm,
            strategy=event.decision.strategy or "",
            reason=event.decision.reason,
            price=event.price,
            stop_price=event.stop_price,
            decision=decision if plan is None else plan.decision,
        )
        if event.type in STOPS:
            # What a stop was wanted for is its trigger; how far away the market was when it was placed says nothing.
            order.decision = order.arrival = event.stop_price
        order.chain.intended = record.ts
        order.chain.signal = signal or (0 if plan is None else plan.signal)
        self._open[event.client_id] = _Life(order)
        self.orders[event.client_id] = order

    def _adopted(self, record: ev.Record, event: ev.OrderAdopted) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        life = self._life(event.client_id)
        if life is None:
            order = OrderQuality(
                client_id=event.client_id,
                account=event.account,
                instrument=event.instrument,
                owner=event.owner,
                side=event.side,
                type=event.type,
                quantity=event.quantity,
                currency=instrument.settle,
                multiplier=instrument.multiplier,
                reason="found at the venue",
            )
            life = _Life(order)
        order = life.record
        order.venue_order_id = event.venue_order_id
        order.quantity, order.price, order.stop_price = event.quantity, event.price, event.stop_price
        life.before = event.executed_before
        order.status = OrderStatus.PARTIALLY_FILLED if order.filled + life.before else OrderStatus.ACCEPTED
        self._settle(life, record.ts)

    def _life(self, client_id: ClientOrderId) -> _Life | None:
        return self._open.get(client_id) or self._ended.get(client_id)

    def _moved(self, record: ev.Record, event: _Notice) -> None:
        life = self._life(event.client_id)
        if life is None:
            return
        order, chain = life.record, life.record.chain
        match event:
            case ev.OrderSubmitted():
                chain.sent, chain.durable = record.ts, event.durable
                if order.type not in STOPS:
                    order.arrival = middle(event.best_bid, event.best_ask)
                self._move(order, OrderStatus.SUBMITTED)
            case ev.OrderAccepted():
                order.venue_order_id = event.venue_order_id
                chain.acknowledged = chain.acknowledged or record.ts
                executed = order.filled + life.before
                self._move(order, OrderStatus.PARTIALLY_FILLED if executed else OrderStatus.ACCEPTED)
            case ev.OrderAmended():
                self._amended(life, event)
            case ev.OrderOutcomeUnknown():
                self._move(order, OrderStatus.UNKNOWN)
            case ev.OrderRejected():
                chain.acknowledged = chain.acknowledged or record.ts
                self._move(order, OrderStatus.REJECTED)
            case ev.OrderCanceled():
                self._move(order, OrderStatus.CANCELED)
            case ev.OrderExpired():
                self._move(order, OrderStatus.EXPIRED)
            case _:
                pass
        self._settle(life, record.ts)

    @staticmethod
    def _move(order: OrderQuality, status: OrderStatus) -> None:
        if can_move(order.status, status):
            order.status = status

    def _amended(self, life: _Life, event: ev.OrderAmended) -> None:
        order = life.record
        order.quantity = order.quantity if event.quantity is None else event.quantity
        order.price = order.price if event.price is None else event.price
        if event.stop_price is not None:
            order.stop_price = event.stop_price
            if order.type in STOPS and not order.filled:
                order.decision = order.arrival = event.stop_price
        executed = order.filled + life.before
        if order.status not in TERMINAL_STATUSES and ZERO < executed >= order.quantity:
            order.status = OrderStatus.FILLED

    def _settle(self, life: _Life, ts: int) -> None:
        """Keep an order where it belongs, and note that it has changed."""
        order, key = life.record, life.record.client_id
        self.orders[key] = order
        if order.status in TERMINAL_STATUSES:
            order.chain.ended = order.chain.ended or ts
            self._open.pop(key, None)
            self._ended.pop(key, None)
            self._ended[key] = life
            _bound(self._ended, RECENT_ORDERS)
        else:
            order.chain.ended = 0
            self._ended.pop(key, None)
            self._open[key] = life

    def _filled(self, record: ev.Record, event: ev.OrderFilled) -> None:
        fill = event.fill
        life = self._life(fill.client_id)
        instrument = self.instruments.get(fill.instrument)
        if life is None or instrument is None or fill.key in life.keys:
            return
        life.keys.add(fill.key)
        order, chain, value = life.record, life.record.chain, fill.price * fill.quantity
        order.venue_order_id = fill.venue_order_id
        order.filled += fill.quantity
        order.value += value
        order.fills += 1
        order.maker += fill.quantity if fill.liquidity is Liquidity.MAKER else ZERO
        order.fees[fill.fee_currency] = order.fees.get(fill.fee_currency, ZERO) + fill.fee
        chain.acknowledged = chain.acknowledged or record.ts
        chain.first_fill = chain.first_fill or record.ts
        chain.last_fill = record.ts
        at = min(fill.ts, record.ts)
        quantity, paid = life.groups.get(at, (ZERO, ZERO))
        life.groups[at] = (quantity + fill.quantity, paid + value)
        if order.filled + life.before >= order.quantity:
            order.status = OrderStatus.FILLED
        elif order.status not in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            order.status = OrderStatus.PARTIALLY_FILLED
        prices = Prices.of(order.decision, order.arrival, fill.price)
        signed = fill.side.sign * fill.quantity
        self._book(record, fill, instrument, order.owner, signed, fill.fee, prices, order)
        self._settle(life, record.ts)

    def _marked(self, _record: ev.Record, event: ev.MarkOutRecorded) -> None:
        life = self._life(event.client_id)
        if life is None:
            return
        group = life.groups.get(event.fill_ts)
        if event.last:
            life.groups.pop(event.fill_ts, None)
        if group is None:
            return
        quantity, paid = group
        for mark in event.marks:
            found = life.record.marks.setdefault(str(mark.horizon // NS_PER_S), MarkSum())
            if mark.mid is None:
                found.missing += quantity
                continue
            found.quantity += quantity
            found.paid += paid
            found.mid += mark.mid * quantity
        self.orders[event.client_id] = life.record

    # --- positions and trades

    def _executed_outside(self, record: ev.Record, event: ev.ExternalFillSeen) -> None:
        """An execution of somebody else's order, or a closing by force that hits every owner."""
        fill = event.fill
        instrument = self.instruments.get(fill.instrument)
        if instrument is None or fill.key in self._external:
            return
        self._external[fill.key] = None
        _bound(self._external, RECENT_EXTERNAL)
        prices = Prices.of(None, None, fill.price)
        for share in external_shares(_Held(self, fill), fill):  # type: ignore[arg-type]  # it looks at these alone
            self._book(record, fill, instrument, share.owner, share.quantity, share.fee, prices, None)

    def _book(
        self,
        record: ev.Record,
        fill: Fill,
        instrument: Instrument,
        owner: Owner,
        signed: Decimal,
        fee: Decimal,
        prices: Prices,
        order: OrderQuality | None,
    ) -> None:
        books = self._books_of(owner, fill.account, fill.instrument)
        before = books.quantity
        in_base = fill.fee_currency == instrument.base and fee != ZERO and instrument.kind in CASH_KINDS
        gained = books.book(signed, prices, instrument, fill.ts, fee if in_base else ZERO)
        settled = in_base or fill.fee_currency == instrument.settle
        if settled:
            value = fee * fill.price * instrument.multiplier if in_base else fee
            gained.fees -= value
            books.filled.fees += value
        trade = books.trade
        if trade is None:
            trade = books.trade = _begin(record, instrument, owner, fill, signed)
            trade.attribution.funding, books.owed = -books.owed, ZERO
        trade.attribution.add(gained)
        trade.fills += 1
        if not settled:
            trade.other_fees[fill.fee_currency] = trade.other_fees.get(fill.fee_currency, ZERO) + fee
        if not prices.measured:
            trade.unmeasured += abs(signed)
        ended = books.ended(before, instrument.current_rules.lot)
        rest = books.quantity if ended and before * books.quantity < ZERO else ZERO
        _take_part(trade, signed - rest, fill.price)
        trade.position = ZERO if rest else books.quantity
        if order is not None:
            self._link(order, trade, before, books.quantity, gained)
        self.trades[trade.id] = trade
        if ended:
            trade.closed, books.trade = record.ts, None
        if rest:
            turned = books.trade = _begin(record, instrument, owner, fill, rest, "b")
            _take_part(turned, rest, fill.price)
            turned.position = rest
            self.trades[turned.id] = turned
            if order is not None:
                order.next_trade = turned.id
                turned.orders, turned.strategy = 1, order.strategy

    @staticmethod
    def _link(order: OrderQuality, trade: TradeQuality, before: Decimal, after: Decimal, gained: Attribution) -> None:
        order.attribution.add(gained)
        if order.position_before is None:
            order.position_before = before
        order.position_after = after
        if trade.id not in (order.trade, order.next_trade):
            trade.orders += 1
            trade.strategy = trade.strategy or order.strategy
            if order.trade:
                order.next_trade = trade.id
            else:
                order.trade = trade.id

    def _books_of(self, owner: Owner, account: AccountId, instrument: InstrumentId) -> Books:
        books = self._books.get((owner, account, instrument))
        if books is None:
            books = self._books[owner, account, instrument] = Books(account, instrument)
        return books

    def _funded(self, _record: ev.Record, event: ev.FundingPaid) -> None:
        payment = f"{event.account}|{event.payment}"
        if event.payment and payment in self._payments:
            return
        if event.payment:
            self._payments[payment] = None
            _bound(self._payments, RECENT_PAYMENTS)
        if not any(key[1:] == (event.account, event.instrument) for key in self._books):
            # Nothing was ever held there: it is nobody's trade.
            return
        rest = event.amount
        for part in event.parts:
            self._bear(event, part.owner, part.amount)
            rest -= part.amount
        self._bear(event, event.owner, rest)

    def _bear(self, event: ev.FundingPaid, owner: Owner, amount: Decimal) -> None:
        books = self._books_of(owner, event.account, event.instrument)
        books.filled.funding += amount
        if books.trade is None:
            books.owed += amount
            return
        books.trade.attribution.funding -= amount
        self.trades[books.trade.id] = books.trade

    def _taken_over(self, _record: ev.Record, event: ev.PositionAdopted) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is None:
            return
        books = self._books_of(EXTERNAL, event.account, event.instrument)
        books.book(event.quantity, Prices.of(None, None, event.price), instrument, event.ts, ZERO)

    def held(self, account: AccountId, instrument: InstrumentId) -> dict[Owner, Decimal]:
        """What each owner holds."""
        return {
            owner: books.quantity
            for (owner, holder, what), books in self._books.items()
            if holder == account and what == instrument
        }


class _Held:
    """What sharing a closing by force looks at, as the state has it."""

    def __init__(self, tracker: Tracker, fill: Fill) -> None:
        held = tracker.held(fill.account, fill.instrument)
        self.instruments = tracker.instruments
        self.owned = {(owner, fill.account, fill.instrument): _Quantity(q) for owner, q in held.items()}
        self.positions = {(fill.account, fill.instrument): _Quantity(sum(held.values(), ZERO))} if held else {}


class _Quantity(NamedTuple):
    quantity: Decimal


def _begin(
    record: ev.Record, instrument: Instrument, owner: Owner, fill: Fill, signed: Decimal, end: str = ""
) -> TradeQuality:
    """A trade, named after the fact that began it."""
    return TradeQuality(
        # A closing by force may begin several at one fact: the owner tells them apart.
        id=f"trade-{record.seq}{end}"
        if end or not isinstance(record.event, ev.ExternalFillSeen)
        else f"trade-{record.seq}-{owner}",
        account=fill.account,
        instrument=fill.instrument,
        owner=owner,
        currency=Currency(instrument.settle),
        side=OrderSide.BUY if signed > ZERO else OrderSide.SELL,
        opened=record.ts,
    )


def _take_part(trade: TradeQuality, signed: Decimal, price: Decimal) -> None:
    if (signed > ZERO) is (trade.side is OrderSide.BUY):
        trade.entered += abs(signed)
        trade.entry_value += abs(signed) * price
    else:
        trade.exited += abs(signed)
        trade.exit_value += abs(signed) * price


def _bound(kept: dict[Any, Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]


_TAKE: dict[type[Any], Callable[[Tracker, ev.Record, Any], None]] = {
    ev.InstrumentDefined: Tracker._defined,
    ev.SignalRaised: Tracker._signalled,
    ev.ParentOpened: Tracker._planned,
    ev.OrderIntended: Tracker._intended,
    ev.OrderAdopted: Tracker._adopted,
    **dict.fromkeys(get_args(_Notice), Tracker._moved),
    ev.OrderFilled: Tracker._filled,
    ev.ExternalFillSeen: Tracker._executed_outside,
    ev.FundingPaid: Tracker._funded,
    ev.PositionAdopted: Tracker._taken_over,
    ev.MarkOutRecorded: Tracker._marked,
}
KINDS = tuple(kind.__name__ for kind in _TAKE)
"""Facts that it follows."""
