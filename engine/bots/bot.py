"""A bot at work: turns its strategy's signals into orders and keeps protective orders in step with its position.

Plain and synchronous; the same object trades on paper, live and in a backtest. It never remembers what the state
knows: positions and orders are looked up, only the levels it wants are its own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, OrderRejectionError, StrategyError
from engine.logs import get_logger
from engine.model.order import Decision, Order, OrderRequest, OrderSide, OrderType
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.emergency import is_closing
from engine.strategy.contract import Holding

if TYPE_CHECKING:
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.candle import Bars
    from engine.model.ids import AccountId, ClientOrderId, Owner
    from engine.model.instrument import Instrument
    from engine.model.risk import Quotes
    from engine.strategy.runner import StrategyRunner

__all__ = ["Bot", "BotMemory", "Sizer"]

log = get_logger(__name__)

MAX_PROTECTION_FAILURES = 3
"""Refused protective orders in a row after which the position is closed at the market."""


class Sizer(Protocol):
    """Says how much one entry is."""

    def size(self, signal: Signal, instrument: Instrument, owner: Owner, price: Decimal) -> tuple[Decimal, str]:
        """Quantity in whole lots and, when it is 0, the reason in words."""


class BotMemory(msgspec.Struct, kw_only=True):
    """What a bot must remember over a restart besides what the state knows."""

    runner: bytes = b""
    stop: Decimal | None = None
    """Wanted protective stop price."""
    target: Decimal | None = None
    closing: str = ""
    """Why the position is being closed; empty when it is not."""
    groups: int = 0
    """Protective groups used so far."""


class Bot:
    """One strategy on one instrument of one account."""

    def __init__(
        self,
        owner: Owner,
        account: AccountId,
        instrument: Instrument,
        runner: StrategyRunner,
        desk: Desk,
        ledger: Ledger,
        quotes: Quotes,
        sizer: Sizer,
        params_hash: str = "",
    ) -> None:
        self.owner = owner
        self.account = account
        self.instrument = instrument
        self.runner = runner
        self.entries_allowed = True
        """False while paused: exits and protection go on, nothing is opened."""
        self.memory = BotMemory()
        self.last_signal = ""
        self.last_signal_ts = 0
        self.last_bar_ts = 0
        self._desk = desk
        self._ledger = ledger
        self._quotes = quotes
        self._sizer = sizer
        self._key = (owner, account, instrument.id)
        self._default_stop = float(runner.strategy.params.stop_loss_pct)
        self._strategy = f"{runner.strategy.name}@{runner.strategy.version}"
        self._params_hash = params_hash
        self._amending: set[ClientOrderId] = set()
        self._unsettled = False
        self._protection_failures = 0

    # --- what it holds -----------------------------------------------------------------------------------------------

    @property
    def quantity(self) -> Decimal:
        """Signed quantity that this bot holds."""
        position = self._ledger.state.owned.get(self._key)
        return position.quantity if position is not None and position.lots else Decimal(0)

    def holding(self) -> Holding:
        """What the strategy is told about the position."""
        position = self._ledger.state.owned.get(self._key)
        if position is None or not position.lots:
            return _FLAT
        return Holding(float(position.quantity), float(position.average_price() or 0))

    def orders(self) -> list[Order]:
        """This bot's open orders, oldest first."""
        return [order for order in self._ledger.state.orders.values() if order.owner == self.owner]

    # --- bars --------------------------------------------------------------------------------------------------------

    def on_bars(self, bars: Bars) -> None:
        """Let the strategy decide at the close of each new bar and act on what it wants.

        Raises:
            StrategyError: The strategy failed; nothing of this call was ordered.
        """
        signals = self.runner.on_bars(bars, self.holding())
        self.last_bar_ts = int(bars.ts[-1])
        self.settle()
        for signal in signals:
            self.act(signal)

    def settle(self) -> None:
        """Try again what the venue refused of the protective orders since the last bar."""
        if self._unsettled:
            self._unsettled = False
            self.protect()

    def act(self, signal: Signal) -> None:
        """Carry out one signal."""
        if signal.action is SignalAction.PROTECT:
            self._want(signal)
            self.protect()
            return
        self.last_signal = f"{signal.action} {signal.direction} {signal.confidence:.2f}: {signal.reason}"
        self.last_signal_ts = signal.ts
        self._ledger.record(
            ev.SignalRaised(
                bot=self.owner,
                instrument=signal.instrument,
                action=signal.action,
                direction=signal.direction,
                confidence=signal.confidence,
                reason=signal.reason,
                ts=signal.ts,
            )
        )
        if signal.action is SignalAction.EXIT:
            self.close(signal.reason)
        else:
            self._enter(signal)

    def _enter(self, signal: Signal) -> None:
        side = OrderSide.BUY if signal.direction is SignalDirection.BUY else OrderSide.SELL
        held = self.quantity
        if held and (held > 0) != (side is OrderSide.BUY):
            # The opposite wish ends the position; opening the other way waits for the next signal.
            self.close(signal.reason)
            return
        if not self.entries_allowed or self.memory.closing or self._entry_working():
            return
        quote = self._quotes.quote(self.instrument.id)
        price = quote.mark if quote is not None else None
        if price is None:
            log.warning("no entry without a market", bot=self.owner, instrument=self.instrument.id)
            return
        quantity, reason = self._sizer.size(signal, self.instrument, self.owner, price)
        if not quantity:
            log.info("no entry", bot=self.owner, reason=reason)
            return
        request = OrderRequest(
            account=self.account,
            instrument=self.instrument.id,
            owner=self.owner,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
            decision=self._decision(signal.reason),
        )
        if self._submit(request) is not None:
            stop = signal.stop
            if stop is None and not held:
                stop = float(price) * (1 - side.sign * self._default_stop)
            self._want(signal, stop)

    def _entry_working(self) -> bool:
        return any(not order.reduce_only for order in self.orders())

    def _want(self, signal: Signal, stop: float | None = None) -> None:
        stop = signal.stop if stop is None else stop
        if stop is not None:
            self.memory.stop = self._on_grid(stop)
        if signal.target is not None:
            self.memory.target = self._on_grid(signal.target)

    def _on_grid(self, price: float) -> Decimal:
        return self.instrument.round_price(Decimal(repr(float(price))))

    # --- facts -------------------------------------------------------------------------------------------------------

    def on_record(self, record: ev.Record) -> None:
        """Hear a fact about one of this bot's orders."""
        event = record.event
        match event:
            case ev.OrderFilled() | ev.OrderCanceled() | ev.OrderExpired():
                self.protect()
            case ev.OrderAmended():
                self._amending.discard(event.client_id)
                self.protect()
            case ev.OrderCancelRejected():
                # Asking again at once would get the same answer; the next bar is another matter.
                self._amending.discard(event.client_id)
                self._unsettled = True
            case ev.OrderTriggered():
                self._on_triggered(event)
            case ev.OrderRejected():
                self._on_rejected(event)
            case _:
                pass

    def _on_triggered(self, event: ev.OrderTriggered) -> None:
        """Stop or target closes the position: an entry that still fills must not build it up again."""
        order = self._ledger.state.order(event.client_id)
        if order is not None and order.reduce_only:
            entries = [entry for entry in self.orders() if not entry.reduce_only]
            self._cancel(entries, f"{order.type.replace('_', ' ')} reached")

    def _on_rejected(self, event: ev.OrderRejected) -> None:
        order = self._ledger.state.order(event.client_id)
        if order is None or not order.reduce_only:
            return
        self._protection_failures += 1
        if self._protection_failures < MAX_PROTECTION_FAILURES:
            self.protect()
        elif not self.memory.closing:
            self.close(f"protective orders are refused: {event.reason}")

    # --- protection and exit -----------------------------------------------------------------------------------------

    def protect(self) -> None:
        """Bring protective orders in line with position and wanted levels; changes nothing that is right already."""
        held = self.quantity
        reducing = [order for order in self.orders() if order.reduce_only]
        if not held:
            self._cancel(reducing, "the position is closed")
            if not reducing:
                self.memory.closing = ""
            if not self._entry_working():
                self.memory.stop = self.memory.target = None
            return
        if self._taken_over():
            return
        if self.memory.closing:
            self._continue_closing(reducing)
            return
        self._keep(OrderType.STOP_LOSS, self.memory.stop)
        self._keep(OrderType.TAKE_PROFIT, self.memory.target)

    def _taken_over(self) -> bool:
        """True while an emergency stop closes this position: what it cancels must not be placed again."""
        return is_closing(self._ledger.state, self.instrument.id, self.owner)

    def _keep(self, kind: OrderType, level: Decimal | None) -> None:
        # Looked up anew: the call before may have placed a member of the group, or have ended the position.
        held = self.quantity
        if level is None or not held or self.memory.closing:
            return
        reducing = [order for order in self.orders() if order.reduce_only]
        mine = [order for order in reducing if order.type is kind]
        quantity = abs(held)
        if not mine:
            self._place_protection(held, kind, level, reducing)
            return
        order = mine[0]
        # What is filled of the order already left the position, so it is wanted on top.
        quantity += order.filled
        same = order.stop_price == level and order.quantity == quantity
        if same or order.triggered or order.client_id in self._amending or order.cancel_requested:
            return
        self._amending.add(order.client_id)
        try:
            self._desk.amend(
                order.client_id,
                quantity=None if order.quantity == quantity else quantity,
                stop_price=None if order.stop_price == level else level,
            )
        except (OrderRejectionError, ConflictError, NotFoundError) as error:
            self._amending.discard(order.client_id)
            log.warning("protection could not be moved", bot=self.owner, problem=error.message)

    def _place_protection(self, held: Decimal, kind: OrderType, level: Decimal, reducing: list[Order]) -> None:
        group = next((order.oco_group for order in reducing if order.oco_group), None)
        if group is None:
            self.memory.groups += 1
            group = f"{self.owner}-{self.memory.groups}"
        request = OrderRequest(
            account=self.account,
            instrument=self.instrument.id,
            owner=self.owner,
            side=OrderSide.SELL if held > 0 else OrderSide.BUY,
            type=kind,
            quantity=abs(held),
            stop_price=level,
            reduce_only=True,
            oco_group=group,
            decision=self._decision("protective stop" if kind is OrderType.STOP_LOSS else "take profit"),
        )
        if self._submit(request) is None:
            self._protection_failures += 1
            if self._protection_failures >= MAX_PROTECTION_FAILURES and not self.memory.closing:
                self.close("protective orders are refused")
        else:
            self._protection_failures = 0

    def close(self, reason: str) -> None:
        """Close the whole position: working orders first, so that nothing is sold twice, then a market order."""
        self._cancel([order for order in self.orders() if not order.reduce_only], reason)
        held = self.quantity
        if not held or self.memory.closing or self._taken_over():
            return
        self.memory.closing = reason
        self._continue_closing([order for order in self.orders() if order.reduce_only])

    def _continue_closing(self, reducing: list[Order]) -> None:
        waiting = [order for order in reducing if order.type is not OrderType.MARKET]
        self._cancel(waiting, self.memory.closing)
        # A venue that answers at once has already told of the cancels, and closing went on from there.
        held = self.quantity
        if not held or not self.memory.closing or any(order.reduce_only for order in self.orders()):
            return
        request = OrderRequest(
            account=self.account,
            instrument=self.instrument.id,
            owner=self.owner,
            side=OrderSide.SELL if held > 0 else OrderSide.BUY,
            type=OrderType.MARKET,
            quantity=abs(held),
            reduce_only=True,
            decision=self._decision(self.memory.closing),
        )
        if self._submit(request) is None:
            raise StrategyError(
                f"The position of {abs(held)} {self.instrument.symbol} could not be closed; close it on Portfolio."
            )

    def cancel_all(self, reason: str) -> None:
        """Cancel every open order of this bot."""
        self._cancel(self.orders(), reason)

    def _cancel(self, orders: list[Order], reason: str) -> None:
        for order in orders:
            if order.is_open and not order.cancel_requested:
                self._desk.cancel(order.client_id, reason)

    def _submit(self, request: OrderRequest) -> Order | None:
        try:
            return self._desk.submit(request)
        except OrderRejectionError as error:
            log.info("refused by risk", bot=self.owner, reason=error.message)
            return None

    def _decision(self, reason: str) -> Decision:
        return Decision(reason=reason, strategy=self._strategy, params_hash=self._params_hash or None)

    # --- memory ------------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """The bot's memory, the strategy's included."""
        self.memory.runner = self.runner.save()
        return msgspec.msgpack.encode(self.memory)

    def restore(self, body: bytes) -> None:
        """Take a saved memory back.

        Raises:
            StrategyError: The memory does not fit this strategy's schema; warm up anew.
        """
        try:
            memory = msgspec.msgpack.decode(body, type=BotMemory)
        except msgspec.MsgspecError as error:
            raise StrategyError(
                f"The memory of the bot {self.owner} cannot be read: {error}. Start it anew."
            ) from error
        self.runner.restore(memory.runner)
        self.memory = memory


_FLAT = Holding()
