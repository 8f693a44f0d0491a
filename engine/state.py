"""State is a fold: `EngineState.apply` is the only way anything the engine knows changes.

`apply` is deterministic and in place: no await, no clock, no random, no input or output. It adds, subtracts and
multiplies in one exact decimal context. What is open is kept whole, what is closed as running sums and a bounded
number of recent orders, so that state and snapshots stay small.
"""

from __future__ import annotations

import decimal
import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine import events as ev
from engine.errors import IllegalTransitionError, StateConsistencyError, StateCorruptionError
from engine.model.account import Account, Balance
from engine.model.decimals import EXACT, ZERO
from engine.model.entries import (
    BotEntry,
    BotState,
    BreakerEntry,
    EquityEntry,
    HaltEntry,
    MarkEntry,
    Sums,
    TradingState,
)
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.order import Order, OrderStatus, can_move
from engine.model.position import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from engine.model.fill import Fill

__all__ = ["ENGINE_SCOPE", "EXTERNAL", "RECENT_ORDERS", "EngineState"]

RECENT_ORDERS = 10_000
"""Ended orders kept for late fills and repeats; older ones live in the history store."""
RECENT_EXTERNAL = 10_000
ENGINE_SCOPE = "engine"
EXTERNAL = Owner("external")
NS_PER_DAY = 86_400_000_000_000
_CASH_KINDS = frozenset({InstrumentKind.SPOT, InstrumentKind.MARGIN})
_CHUNK = 100
_Key = TypeVar("_Key")

_encode = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic").encode


class Meta(msgspec.Struct):
    """Where the fold stands."""

    seq: int = 0
    ts: int = 0
    epoch: int = 0
    instance: str = ""
    limits: bytes = b""
    """Validated JSON of the risk limits; empty before the first change."""
    client_orders: int = 0
    """Intents booked in all time."""


class EngineState:
    """Everything the engine knows about money, orders, bots, limits and halts.

    Readers may look at any attribute; only `apply` may change them.
    """

    def __init__(self) -> None:
        self.meta = Meta()
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.accounts: dict[AccountId, Account] = {}
        self.balances: dict[AccountId, dict[Currency, Balance]] = {}
        self.orders: dict[ClientOrderId, Order] = {}
        """Open orders."""
        self.recent: dict[ClientOrderId, Order] = {}
        """The last ended orders, oldest first, at most RECENT_ORDERS."""
        self.positions: dict[tuple[AccountId, InstrumentId], Position] = {}
        """Whole accounts' positions."""
        self.owned: dict[tuple[Owner, AccountId, InstrumentId], Position] = {}
        """Each owner's part of the positions."""
        self.sums: dict[tuple[AccountId, Currency], Sums] = {}
        self.owner_sums: dict[tuple[Owner, Currency], Sums] = {}
        self.bots: dict[Owner, BotEntry] = {}
        self.halts: dict[str, HaltEntry] = {}
        """Trading state by scope; a missing scope is ACTIVE."""
        self.breakers: dict[tuple[str, str], BreakerEntry] = {}
        """Open breakers by (breaker, scope)."""
        self.marks: dict[InstrumentId, MarkEntry] = {}
        self.equity: dict[AccountId, EquityEntry] = {}
        self.external_orders: dict[str, ev.ExternalOrderSeen] = {}
        self.external_fills: dict[str, int] = {}
        """Natural keys of the last external fills."""
        self._oco: dict[str, list[ClientOrderId]] = {}
        self._handlers: dict[type[Any], Callable[[Any, int], None]] = self._build_handlers()

    @property
    def seq(self) -> int:
        """Number of the last applied fact; 0 before the first."""
        return self.meta.seq

    # --- reading -----------------------------------------------------------------------------------------------------

    def order(self, client_id: ClientOrderId) -> Order | None:
        """An open or recently ended order."""
        return self.orders.get(client_id) or self.recent.get(client_id)

    def balance(self, account: AccountId, currency: Currency) -> Balance:
        """A balance; a zero one that is not part of the state when the currency is unknown."""
        found = self.balances.get(account, {}).get(currency)
        return found if found is not None else Balance(currency=currency)

    def position(self, account: AccountId, instrument: InstrumentId) -> Position | None:
        """The account's whole position; None when it never had one."""
        return self.positions.get((account, instrument))

    def trading_state(self, scope: str = ENGINE_SCOPE) -> TradingState:
        """The trading state of a scope."""
        halt = self.halts.get(scope)
        return halt.state if halt is not None else TradingState.ACTIVE

    def has_fill(self, fill: Fill) -> bool:
        """True when this very execution is already booked (as far as recent orders are kept)."""
        order = self.order(fill.client_id)
        return (order is not None and fill.key in order.fill_keys) or fill.key in self.external_fills

    def siblings(self, order: Order) -> list[Order]:
        """The other open orders of an order's OCO group."""
        if order.oco_group is None:
            return []
        ids = self._oco.get(order.oco_group, [])
        return [self.orders[i] for i in ids if i != order.client_id and i in self.orders]

    # --- the fold ----------------------------------------------------------------------------------------------------

    def apply(self, record: ev.Record) -> None:
        """Fold one fact.

        Raises:
            StateConsistencyError: The number does not follow, or the fact contradicts what is known; nothing changed.
            IllegalTransitionError: An order cannot make the move; nothing changed.
        """
        meta = self.meta
        if record.seq != meta.seq + 1:
            raise StateConsistencyError(f"Fact {record.seq} cannot follow fact {meta.seq}; the journal has a gap.")
        if record.epoch < meta.epoch:
            raise StateConsistencyError(f"Fact {record.seq} is of epoch {record.epoch}, older than {meta.epoch}.")
        handler = self._handlers.get(type(record.event))
        if handler is not None:
            outer = decimal.getcontext()
            decimal.setcontext(EXACT)
            try:
                handler(record.event, record.ts)
            finally:
                decimal.setcontext(outer)
        meta.seq = record.seq
        meta.ts = record.ts
        meta.epoch = record.epoch

    def _build_handlers(self) -> dict[type[Any], Callable[[Any, int], None]]:
        return {
            ev.EngineStarted: self._engine_started,
            ev.EpochOpened: self._epoch_opened,
            ev.InstrumentDefined: self._instrument_defined,
            ev.AccountOpened: self._account_opened,
            ev.Deposited: self._deposited,
            ev.Withdrawn: self._withdrawn,
            ev.Transferred: self._transferred,
            ev.BalanceAdjusted: self._balance_adjusted,
            ev.FundingPaid: self._funding_paid,
            ev.InterestCharged: self._interest_charged,
            ev.ExternalOrderSeen: self._external_order,
            ev.ExternalFillSeen: self._external_fill,
            ev.OrderRefused: self._order_refused,
            ev.OrderIntended: self._order_intended,
            ev.OrderSubmitted: self._order_submitted,
            ev.OrderOutcomeUnknown: self._order_unknown,
            ev.OrderAccepted: self._order_accepted,
            ev.OrderRejected: self._order_rejected,
            ev.OrderTriggered: self._order_triggered,
            ev.OrderAmended: self._order_amended,
            ev.OrderFilled: self._order_filled,
            ev.OrderCancelRequested: self._cancel_requested,
            ev.OrderCancelRejected: self._cancel_rejected,
            ev.OrderCanceled: self._order_canceled,
            ev.OrderExpired: self._order_expired,
            ev.BotCreated: self._bot_created,
            ev.BotConfigured: self._bot_configured,
            ev.BotStateChanged: self._bot_state,
            ev.BotMemorySaved: self._bot_memory,
            ev.BotDeleted: self._bot_deleted,
            ev.SignalRaised: self._signal,
            ev.TradingStateChanged: self._trading_state,
            ev.BreakerTripped: self._breaker_tripped,
            ev.BreakerReset: self._breaker_reset,
            ev.LimitsChanged: self._limits,
            ev.MarkRecorded: self._mark,
            ev.EquityRecorded: self._equity,
        }

    # the engine's own life

    def _engine_started(self, event: ev.EngineStarted, _ts: int) -> None:
        self.meta.instance = event.instance

    def _epoch_opened(self, event: ev.EpochOpened, _ts: int) -> None:
        self.meta.instance = event.instance

    # accounts and money

    def _instrument_defined(self, event: ev.InstrumentDefined, _ts: int) -> None:
        self.instruments[event.instrument.id] = event.instrument

    def _account_opened(self, event: ev.AccountOpened, _ts: int) -> None:
        self.accounts[event.account.id] = event.account
        self.balances.setdefault(event.account.id, {})

    def _money(self, account: AccountId, currency: Currency) -> tuple[Balance, Sums]:
        held = self.balances.get(account)
        if held is None:
            raise StateConsistencyError(f"The account {account} is not known.")
        balance = held.get(currency)
        if balance is None:
            balance = held[currency] = Balance(currency=currency)
        return balance, _entry(self.sums, (account, currency))

    def _deposited(self, event: ev.Deposited, _ts: int) -> None:
        balance, sums = self._money(event.account, event.currency)
        balance.total += event.amount
        sums.deposits += event.amount
        self._shift_equity(event.account, event.currency, event.amount)

    def _withdrawn(self, event: ev.Withdrawn, _ts: int) -> None:
        balance, sums = self._money(event.account, event.currency)
        balance.total -= event.amount
        sums.deposits -= event.amount
        self._shift_equity(event.account, event.currency, -event.amount)

    def _transferred(self, event: ev.Transferred, _ts: int) -> None:
        source, out = self._money(event.source, event.currency)
        target, into = self._money(event.target, event.currency)
        source.total -= event.amount
        out.deposits -= event.amount
        target.total += event.amount
        into.deposits += event.amount
        self._shift_equity(event.source, event.currency, -event.amount)
        self._shift_equity(event.target, event.currency, event.amount)

    def _shift_equity(self, account: AccountId, currency: Currency, amount: Decimal) -> None:
        entry = self.equity.get(account)
        base = self.accounts[account].base_currency
        if entry is None:
            return
        if currency != base:
            # The value of other currencies is a matter of marks; the next recorded equity starts the comparison anew.
            del self.equity[account]
            return
        entry.equity += amount
        entry.peak += amount
        entry.day_start += amount

    def _balance_adjusted(self, event: ev.BalanceAdjusted, _ts: int) -> None:
        balance, sums = self._money(event.account, event.currency)
        balance.total += event.amount
        sums.adjustments += event.amount

    def _funding_paid(self, event: ev.FundingPaid, _ts: int) -> None:
        balance, sums = self._money(event.account, event.currency)
        balance.total -= event.amount
        sums.funding += event.amount
        _entry(self.owner_sums, (event.owner, event.currency)).funding += event.amount
        for position in (
            self.positions.get((event.account, event.instrument)),
            self.owned.get((event.owner, event.account, event.instrument)),
        ):
            if position is not None:
                position.funding += event.amount

    def _interest_charged(self, event: ev.InterestCharged, _ts: int) -> None:
        balance, sums = self._money(event.account, event.currency)
        balance.total -= event.amount
        sums.interest += event.amount

    # orders

    def _external_order(self, event: ev.ExternalOrderSeen, _ts: int) -> None:
        key = f"{event.account}|{event.venue_order_id}"
        self.external_orders.pop(key, None)
        if event.open:
            self.external_orders[key] = event

    def _external_fill(self, event: ev.ExternalFillSeen, _ts: int) -> None:
        key = event.fill.key
        if key in self.external_fills:
            return
        self._book(event.fill, EXTERNAL)
        self.external_fills[key] = event.fill.ts
        if len(self.external_fills) > RECENT_EXTERNAL:
            del self.external_fills[next(iter(self.external_fills))]

    def _order_refused(self, event: ev.OrderRefused, _ts: int) -> None:
        bot = self.bots.get(event.owner)
        if bot is not None:
            bot.refusals += 1

    def _order_intended(self, event: ev.OrderIntended, ts: int) -> None:
        if event.client_id in self.orders or event.client_id in self.recent:
            raise StateConsistencyError(f"The client order id {event.client_id} is already used.")
        if event.instrument not in self.instruments:
            raise StateConsistencyError(f"The instrument {event.instrument} is not known.")
        self._money(event.account, event.reserve_currency)
        order = Order(
            client_id=event.client_id,
            account=event.account,
            instrument=event.instrument,
            owner=event.owner,
            side=event.side,
            type=event.type,
            quantity=event.quantity,
            price=event.price,
            stop_price=event.stop_price,
            tif=event.tif,
            post_only=event.post_only,
            reduce_only=event.reduce_only,
            oco_group=event.oco_group,
            status=OrderStatus.PENDING,
            created=ts,
            updated=ts,
            reserve_currency=event.reserve_currency,
            reserve_unit=event.reserve_unit,
            decision=event.decision,
        )
        before = self._held(order)
        self.orders[order.client_id] = order
        if order.oco_group is not None:
            self._oco.setdefault(order.oco_group, []).append(order.client_id)
        self._reserve(order, before)
        self.meta.client_orders += 1

    def _find(self, client_id: ClientOrderId) -> Order:
        order = self.orders.get(client_id) or self.recent.get(client_id)
        if order is None:
            raise StateConsistencyError(f"The order {client_id} is not known.")
        return order

    def _held(self, order: Order) -> Decimal:
        """Funds held for an order and its group: the members of an OCO group can never all fill, the largest counts."""
        if order.oco_group is None:
            return order.reserved if order.client_id in self.orders else ZERO
        held = ZERO
        for client_id in self._oco.get(order.oco_group, ()):
            member = self.orders.get(client_id)
            if member is not None and member.reserve_currency == order.reserve_currency:
                held = max(held, member.reserved)
        return held

    def _reserve(self, order: Order, before: Decimal) -> None:
        after = self._held(order)
        if after != before:
            balance, _ = self._money(order.account, order.reserve_currency)
            balance.reserved += after - before

    def _move(self, order: Order, to: OrderStatus, ts: int, reason: str = "") -> None:
        now = order.status
        if not can_move(now, to):
            raise IllegalTransitionError(f"The order {order.client_id} is {now} and cannot become {to}.")
        before = self._held(order)
        order.status = to
        order.updated = ts
        if reason:
            order.reason = reason
        if order.is_open:
            if order.client_id not in self.orders:
                self._reopen(order)
        elif order.client_id in self.orders:
            self._retire(order)
        self._reserve(order, before)

    def _retire(self, order: Order) -> None:
        del self.orders[order.client_id]
        self.recent[order.client_id] = order
        if order.oco_group is not None:
            members = self._oco.get(order.oco_group, [])
            if order.client_id in members:
                members.remove(order.client_id)
            if not members:
                self._oco.pop(order.oco_group, None)
        if len(self.recent) > RECENT_ORDERS:
            del self.recent[next(iter(self.recent))]

    def _reopen(self, order: Order) -> None:
        del self.recent[order.client_id]
        self.orders[order.client_id] = order
        if order.oco_group is not None:
            self._oco.setdefault(order.oco_group, []).append(order.client_id)

    def _order_submitted(self, event: ev.OrderSubmitted, ts: int) -> None:
        order = self._find(event.client_id)
        # The venue may answer before the send returns; the later notice then changes nothing.
        if order.status is OrderStatus.PENDING:
            self._move(order, OrderStatus.SUBMITTED, ts)

    def _order_unknown(self, event: ev.OrderOutcomeUnknown, ts: int) -> None:
        self._move(self._find(event.client_id), OrderStatus.UNKNOWN, ts, event.reason)

    def _order_accepted(self, event: ev.OrderAccepted, ts: int) -> None:
        order = self._find(event.client_id)
        order.venue_order_id = event.venue_order_id
        if can_move(order.status, OrderStatus.ACCEPTED):
            order.reason = ""
            self._move(order, OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.ACCEPTED, ts)

    def _order_rejected(self, event: ev.OrderRejected, ts: int) -> None:
        self._move(self._find(event.client_id), OrderStatus.REJECTED, ts, event.reason)

    def _order_triggered(self, event: ev.OrderTriggered, ts: int) -> None:
        order = self._find(event.client_id)
        order.triggered = True
        order.updated = ts

    def _order_amended(self, event: ev.OrderAmended, ts: int) -> None:
        order = self._find(event.client_id)
        before = self._held(order)
        if event.quantity is not None:
            order.quantity = event.quantity
        if event.price is not None:
            order.price = event.price
        if event.stop_price is not None:
            order.stop_price = event.stop_price
        if event.reserve_unit is not None:
            order.reserve_unit = event.reserve_unit
        order.updated = ts
        self._reserve(order, before)

    def _order_filled(self, event: ev.OrderFilled, ts: int) -> None:
        fill = event.fill
        order = self._find(fill.client_id)
        key = fill.key
        if key in order.fill_keys:
            return
        instrument = self.instruments[fill.instrument]
        before = self._held(order)
        filled = order.filled + fill.quantity
        to = self._status_after_fill(order, filled)
        if not can_move(order.status, to):
            raise IllegalTransitionError(f"The order {order.client_id} is {order.status} and cannot become {to}.")
        self._book(fill, order.owner)
        order.fill_keys.add(key)
        order.venue_order_id = fill.venue_order_id
        order.filled = filled
        order.cost += fill.price * fill.quantity * instrument.multiplier
        order.fees[fill.fee_currency] = order.fees.get(fill.fee_currency, ZERO) + fill.fee
        order.overfilled = filled > order.quantity
        # The group's hold was measured before the filled quantity changed; _move measures after.
        after_fill = self._held(order)
        if after_fill != before:
            self._money(order.account, order.reserve_currency)[0].reserved += after_fill - before
        self._move(order, to, ts)

    @staticmethod
    def _status_after_fill(order: Order, filled: Decimal) -> OrderStatus:
        if filled >= order.quantity:
            return OrderStatus.FILLED
        if order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            return order.status
        return OrderStatus.PARTIALLY_FILLED

    def _cancel_requested(self, event: ev.OrderCancelRequested, ts: int) -> None:
        order = self._find(event.client_id)
        order.cancel_requested = True
        order.updated = ts

    def _cancel_rejected(self, event: ev.OrderCancelRejected, ts: int) -> None:
        order = self._find(event.client_id)
        order.cancel_requested = False
        order.updated = ts

    def _order_canceled(self, event: ev.OrderCanceled, ts: int) -> None:
        self._move(self._find(event.client_id), OrderStatus.CANCELED, ts, event.reason)

    def _order_expired(self, event: ev.OrderExpired, ts: int) -> None:
        self._move(self._find(event.client_id), OrderStatus.EXPIRED, ts, event.reason)

    def _book(self, fill: Fill, owner: Owner) -> None:
        """Move money and lots for an execution; all look-ups that may fail come first."""
        instrument = self.instruments.get(fill.instrument)
        if instrument is None:
            raise StateConsistencyError(f"The instrument {fill.instrument} of a fill is not known.")
        account, settle, sign = fill.account, instrument.settle, fill.side.sign
        fee_balance, fee_sums = self._money(account, fill.fee_currency)
        settle_balance, sums = self._money(account, settle)
        notional = fill.price * fill.quantity * instrument.multiplier
        cash = instrument.kind in _CASH_KINDS
        in_base = cash and fill.fee_currency == instrument.base and fill.fee != ZERO
        # A fee taken in base units is a sale of those units at the fill's price that pays the fee.
        fee_value = fill.fee * fill.price * instrument.multiplier if in_base else fill.fee
        own_sums = _entry(self.owner_sums, (owner, settle))
        whole, own = self._position_pair(owner, account, fill.instrument)
        realised = whole.book(sign * fill.quantity, fill.price, instrument.multiplier, fill.ts)
        own_realised = own.book(sign * fill.quantity, fill.price, instrument.multiplier, fill.ts)
        if in_base:
            realised += whole.book(-fill.fee, fill.price, instrument.multiplier, fill.ts)
            own_realised += own.book(-fill.fee, fill.price, instrument.multiplier, fill.ts)
        if cash:
            base_balance, _ = self._money(account, instrument.base)
            base_balance.total += sign * fill.quantity
            settle_balance.total -= sign * notional
        else:
            settle_balance.total += realised
        fee_balance.total -= fill.fee
        sums.realised += realised
        sums.volume += notional
        sums.fills += 1
        own_sums.realised += own_realised
        own_sums.volume += notional
        own_sums.fills += 1
        if in_base or fill.fee_currency == settle:
            sums.fees += fee_value
            own_sums.fees += fee_value
            whole.fees += fee_value
            own.fees += fee_value
        else:
            fee_sums.fees += fill.fee
            _entry(self.owner_sums, (owner, fill.fee_currency)).fees += fill.fee

    def _position_pair(self, owner: Owner, account: AccountId, instrument: InstrumentId) -> tuple[Position, Position]:
        whole = self.positions.get((account, instrument))
        if whole is None:
            whole = self.positions[account, instrument] = Position(account=account, instrument=instrument)
        own = self.owned.get((owner, account, instrument))
        if own is None:
            own = self.owned[owner, account, instrument] = Position(account=account, instrument=instrument)
        return whole, own

    # bots

    def _bot_created(self, event: ev.BotCreated, ts: int) -> None:
        if event.bot in self.bots:
            raise StateConsistencyError(f"The bot {event.bot} exists already.")
        self.bots[event.bot] = BotEntry(
            id=event.bot,
            name=event.name,
            config=event.config,
            capital=event.capital,
            currency=event.currency,
            created=ts,
            since=ts,
        )

    def _bot(self, bot: Owner) -> BotEntry:
        entry = self.bots.get(bot)
        if entry is None:
            raise StateConsistencyError(f"The bot {bot} is not known.")
        return entry

    def _bot_configured(self, event: ev.BotConfigured, _ts: int) -> None:
        bot = self._bot(event.bot)
        bot.config = event.config
        bot.capital = event.capital

    def _bot_state(self, event: ev.BotStateChanged, ts: int) -> None:
        bot = self._bot(event.bot)
        bot.state = BotState(event.state)
        bot.reason = event.reason
        bot.since = ts

    def _bot_memory(self, event: ev.BotMemorySaved, _ts: int) -> None:
        bot = self._bot(event.bot)
        bot.memory = event.memory
        bot.memory_schema = event.schema
        bot.memory_bar = event.bar_ts

    def _bot_deleted(self, event: ev.BotDeleted, _ts: int) -> None:
        self._bot(event.bot)
        del self.bots[event.bot]

    def _signal(self, event: ev.SignalRaised, _ts: int) -> None:
        bot = self.bots.get(event.bot)
        if bot is not None:
            bot.signals += 1

    # risk

    def _trading_state(self, event: ev.TradingStateChanged, ts: int) -> None:
        state = TradingState(event.state)
        if state is TradingState.ACTIVE:
            self.halts.pop(event.scope, None)
        else:
            self.halts[event.scope] = HaltEntry(state, event.reason, event.actor, ts)

    def _breaker_tripped(self, event: ev.BreakerTripped, ts: int) -> None:
        self.breakers[event.breaker, event.scope] = BreakerEntry(
            event.breaker, event.scope, event.value, event.threshold, event.reason, ts
        )

    def _breaker_reset(self, event: ev.BreakerReset, _ts: int) -> None:
        self.breakers.pop((event.breaker, event.scope), None)

    def _limits(self, event: ev.LimitsChanged, _ts: int) -> None:
        self.meta.limits = event.limits

    def _mark(self, event: ev.MarkRecorded, _ts: int) -> None:
        self.marks[event.instrument] = MarkEntry(event.price, event.ts)

    def _equity(self, event: ev.EquityRecorded, _ts: int) -> None:
        day = event.ts // NS_PER_DAY
        entry = self.equity.get(event.account)
        if entry is None:
            self.equity[event.account] = EquityEntry(event.equity, event.ts, event.equity, day, event.equity)
            return
        if day > entry.day:
            entry.day, entry.day_start = day, entry.equity
        entry.equity, entry.ts = event.equity, event.ts
        entry.peak = max(entry.peak, event.equity)

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def sections(self) -> Iterator[tuple[str, bytes]]:
        """Canonical encoding in small pieces (at most 100 entries each); the state must not change meanwhile.

        Yields:
            (section name, bytes) in a fixed order; equal states yield equal pieces.
        """
        yield "meta", _encode(self.meta)
        for name in _MAPS:
            mapping: dict[Any, Any] = getattr(self, name)
            chunk: list[tuple[Any, Any]] = []
            for item in mapping.items():
                chunk.append(item)
                if len(chunk) == _CHUNK:
                    yield name, _encode(chunk)
                    chunk = []
            if chunk:
                yield name, _encode(chunk)

    @classmethod
    def from_sections(cls, sections: Iterable[tuple[str, bytes]]) -> EngineState:
        """Build a state from its pieces.

        Raises:
            StateCorruptionError: A piece is unknown or cannot be read.
        """
        state = cls()
        try:
            for name, body in sections:
                if name == "meta":
                    state.meta = msgspec.msgpack.decode(body, type=Meta)
                else:
                    getattr(state, name).update(msgspec.msgpack.decode(body, type=_MAPS[name]))
        except (msgspec.MsgspecError, KeyError) as error:
            raise StateCorruptionError(f"A snapshot of the engine's state cannot be read: {error}.") from error
        for order in state.orders.values():
            if order.oco_group is not None:
                state._oco.setdefault(order.oco_group, []).append(order.client_id)
        return state

    def state_hash(self) -> str:
        """Hex digest over all sections; equal for equal histories."""
        digest = hashlib.blake2b(digest_size=16)
        for name, body in self.sections():
            digest.update(name.encode())
            digest.update(body)
        return digest.hexdigest()


def _entry(mapping: dict[_Key, Sums], key: _Key) -> Sums:
    found = mapping.get(key)
    if found is None:
        found = mapping[key] = Sums()
    return found


_MAPS: dict[str, Any] = {
    "instruments": list[tuple[InstrumentId, Instrument]],
    "accounts": list[tuple[AccountId, Account]],
    "balances": list[tuple[AccountId, dict[Currency, Balance]]],
    "orders": list[tuple[ClientOrderId, Order]],
    "recent": list[tuple[ClientOrderId, Order]],
    "positions": list[tuple[tuple[AccountId, InstrumentId], Position]],
    "owned": list[tuple[tuple[Owner, AccountId, InstrumentId], Position]],
    "sums": list[tuple[tuple[AccountId, Currency], Sums]],
    "owner_sums": list[tuple[tuple[Owner, Currency], Sums]],
    "bots": list[tuple[Owner, BotEntry]],
    "halts": list[tuple[str, HaltEntry]],
    "breakers": list[tuple[tuple[str, str], BreakerEntry]],
    "marks": list[tuple[InstrumentId, MarkEntry]],
    "equity": list[tuple[AccountId, EquityEntry]],
    "external_orders": list[tuple[str, ev.ExternalOrderSeen]],
    "external_fills": list[tuple[str, int]],
}
