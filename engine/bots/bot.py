"""A bot at work: turns its strategy's signals into orders and keeps protective orders in step with its position.

Plain and synchronous; the same object trades on paper, live and in a backtest. It never remembers what the state
knows: positions and orders are looked up, only the levels it wants are its own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine import events as ev
from engine.bots.allowance import Allowance
from engine.bots.isolation.runner import IsolatedRunner
from engine.bots.protection import BotMemory, Protection
from engine.errors import ConflictError, OrderRejectionError, StrategyError
from engine.logs import get_logger
from engine.model.candle import timeframe_ns
from engine.model.order import Decision, Order, OrderRequest, OrderSide, OrderType
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.strategy.contract import Holding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.bots.watching import Watching
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.candle import Bars
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.instrument import Instrument
    from engine.model.regime import MarketRegime
    from engine.model.risk import Quotes
    from engine.strategy.runner import StrategyRunner

__all__ = ["Bot", "BotMemory", "Sizer", "is_sound"]

log = get_logger(__name__)


class Sizer(Protocol):
    """Says how much one entry is."""

    def size(self, signal: Signal, instrument: Instrument, owner: Owner, price: Decimal) -> tuple[Decimal, str]:
        """Quantity in whole lots and, when it is 0, the reason in words."""

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        """Distance of a new position's stop as a fraction of its price; `base` where nothing is adapted."""

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        """The market's regimes; None while they are not known."""


class Bot:
    """One strategy on one instrument of one account.

    `enter` takes its entries where they are not sent as one order; it raises as the desk's `submit` does.
    """

    def __init__(
        self,
        owner: Owner,
        account: AccountId,
        instrument: Instrument,
        runner: StrategyRunner | IsolatedRunner,
        desk: Desk,
        ledger: Ledger,
        quotes: Quotes,
        sizer: Sizer,
        params_hash: str = "",
        enter: Callable[[OrderRequest], object] | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.owner = owner
        self.account = account
        self.instrument = instrument
        self.runner = runner
        self.entries_allowed = True
        """False while paused: exits and protection go on, nothing is opened."""
        self.has_room: Callable[[], bool] = lambda: True
        """Asked before a position is opened; a member of a universe shares a limit with the others."""
        self.last_signal = ""
        self.last_signal_ts = 0
        self.last_bar_ts = 0
        self.busy_ns = 0
        """Time that its strategy has taken for bars so far, in the engine's own process."""
        self.watching: Watching | None = None
        """What it sees of other markets; None for nothing."""
        self.allowance = allowance or Allowance()
        """What it may use."""
        self._desk = desk
        self._send_entry = enter or desk.submit
        self._ledger = ledger
        self._quotes = quotes
        self._sizer = sizer
        self._default_stop = float(runner.strategy.params.stop_loss_pct)
        self._strategy = f"{runner.strategy.name}@{runner.strategy.version}"
        self._params_hash = params_hash
        self._wanted_levels: tuple[Decimal | None, Decimal | None] = (None, None)
        """Stop and target of the last entry, for a corrected one in its place."""
        self._bar_ns = timeframe_ns(runner.timeframe)
        self._asked: dict[int, _Standing] = {}
        """How the position stood when a strategy in its own process was asked, by the close of the bar."""
        self._position = Protection(
            owner, account, instrument, desk, ledger, quotes, self._default_stop, self._decision
        )

    # --- what it holds -----------------------------------------------------------------------------------------------

    @property
    def memory(self) -> BotMemory:
        """What it must remember over a restart."""
        return self._position.memory

    @property
    def protection(self) -> Protection:
        """What looks after its position, with or without its strategy."""
        return self._position

    @property
    def alive(self) -> bool:
        """Whether its strategy can be asked: always here, else as long as its process is there."""
        return not isinstance(self.runner, IsolatedRunner) or bool(self.runner.pid)

    @property
    def answers_later(self) -> bool:
        """Whether what its strategy wants comes after the bar, from a process of its own."""
        return isinstance(self.runner, IsolatedRunner)

    def listen(self, answer: Callable[[list[Signal]], None], failure: Callable[[StrategyError], None]) -> None:
        """Name who hears what its strategy wants, where that comes later, and why it decides nothing more."""
        if isinstance(self.runner, IsolatedRunner):
            self.runner.on_answer, self.runner.on_failure = answer, failure

    def end(self) -> None:
        """Let go of its strategy."""
        if isinstance(self.runner, IsolatedRunner):
            self.runner.end()

    @property
    def has_ended(self) -> bool:
        """Whether nothing runs for it any more."""
        return not isinstance(self.runner, IsolatedRunner) or self.runner.has_ended

    async def ended(self) -> None:
        """Wait until nothing runs for it any more; `end` comes first."""
        if isinstance(self.runner, IsolatedRunner):
            await self.runner.ended()

    @property
    def quantity(self) -> Decimal:
        """Signed quantity that this bot holds and can trade; a rest too small for an order counts as nothing."""
        return self._position.held

    def holding(self) -> Holding:
        """What the strategy is told about the position."""
        if not self._position.held:
            return _FLAT
        position = self._ledger.state.owned[self.owner, self.account, self.instrument.id]
        return Holding(float(position.quantity), float(position.average_price() or 0))

    def orders(self) -> list[Order]:
        """This bot's open orders, oldest first."""
        return self._position.orders()

    # --- bars --------------------------------------------------------------------------------------------------------

    def on_bars(self, bars: Bars) -> None:
        """Let the strategy decide at the close of each new bar and act on what it wants.

        Raises:
            StrategyError: The strategy failed; nothing of this call was ordered.
        """
        bars = self._with_others(bars)
        self.runner.strategy.regime = self._sizer.regime(self.instrument.id)
        if self.answers_later:
            closed = int(bars.ts[-1]) + self._bar_ns
            # An answer that is older than a bar enters nothing: what was so long ago need not be known.
            self._asked = {ts: standing for ts, standing in self._asked.items() if closed - ts <= self._bar_ns}
            self._asked[closed] = self._standing()
        signals = self.runner.on_bars(bars, self.holding())
        self.busy_ns += self.runner.latency_ns
        self.last_bar_ts = int(bars.ts[-1])
        self._position.heal()
        for signal in signals:
            self.act(signal)

    def carry_out(self, signals: Sequence[Signal], now: int) -> None:
        """Act on what its strategy wanted in its own process; `now` in UTC nanoseconds.

        What comes more than a bar late, or was decided at another position than the present one, opens and enlarges
        nothing; exits and levels count all the same.
        """
        for signal in signals:
            late = now - signal.ts > self._bar_ns
            self.act(signal, may_enter=not late and self._asked.get(signal.ts) == self._standing())

    def _standing(self) -> _Standing:
        position = self._ledger.state.owned.get((self.owner, self.account, self.instrument.id))
        if position is None:
            return _NOTHING
        # The profit tells of a position that has come and gone in between.
        return tuple((lot.quantity, lot.price, lot.ts) for lot in position.lots), position.realised

    def take_levels(self, other: Bot) -> None:
        """Want what another instance of this bot wanted of its position."""
        memory = other.memory
        self.memory.stop, self.memory.target, self.memory.closing = memory.stop, memory.target, memory.closing
        self.last_signal, self.last_signal_ts = other.last_signal, other.last_signal_ts

    def miss(self, bars: Bars) -> None:
        """Take in bars that closed too long ago to be acted upon.

        Raises:
            StrategyError: The strategy failed.
        """
        self.warm_up(bars)
        self._position.heal()

    def warm_up(self, bars: Bars) -> None:
        """Take in history without asking for decisions. Raises as `miss`."""
        self.runner.warm_up(self._with_others(bars))
        self.last_bar_ts = int(bars.ts[-1])

    def _with_others(self, bars: Bars) -> Bars:
        return bars if self.watching is None else self.watching.beside(bars)

    def settle(self) -> None:
        """A bar has closed: try again what was refused or left undone since the last one."""
        self._position.settle()

    def act(self, signal: Signal, *, may_enter: bool = True) -> None:
        """Carry out one signal; without `may_enter` it opens and enlarges nothing."""
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
            self._enter(signal, may_enter=may_enter)

    def _enter(self, signal: Signal, *, may_enter: bool) -> None:
        side = OrderSide.BUY if signal.direction is SignalDirection.BUY else OrderSide.SELL
        held = self.quantity
        if held and (held > 0) != (side is OrderSide.BUY):
            # The opposite wish ends the position; opening the other way waits for the next signal.
            self.close(signal.reason)
            return
        if held:
            # The levels of what is held count whether or not anything can be added to it.
            self._want(signal)
            self.protect()
        if not may_enter:
            log.info("no entry", bot=self.owner, reason="it was decided too long ago, or at another position")
            return
        if not self.entries_allowed or self.memory.closing or self._position.is_entering:
            return
        if not held and not self.has_room():
            log.info("no entry", bot=self.owner, reason="its universe holds as many positions as it may")
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
        memory, before = self.memory, (self.memory.stop, self.memory.target)
        if not held:
            # A new position begins with the levels of its own signal alone.
            distance = self._sizer.stop_distance(self.instrument.id, side, self._default_stop)
            memory.stop = self._on_grid(float(price) * (1 - side.sign * distance))
            memory.target = None
        # Wanted before it is ordered: a venue may answer with a fill at once.
        self._want(signal)
        request = OrderRequest(
            account=self.account,
            instrument=self.instrument.id,
            owner=self.owner,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
            decision=self._decision(signal.reason),
        )
        self._wanted_levels = (memory.stop, memory.target)
        try:
            self._send_entry(request)
        except OrderRejectionError as error:
            memory.stop, memory.target = before
            log.info("refused by risk", bot=self.owner, reason=error.message)

    def enter_anew(self, request: OrderRequest) -> Order:
        """Enter with a corrected order in place of one that the venue rejected, with the levels of its signal.

        Raises:
            ConflictError: The bot does not want to enter any more.
            OrderRejectionError: Risk refuses.
        """
        memory, before = self.memory, (self.memory.stop, self.memory.target)
        if not self.entries_allowed or memory.closing or self._position.entering():
            raise ConflictError(f"The bot {self.owner} does not want to enter any more.")
        if not self.quantity:
            memory.stop, memory.target = self._wanted_levels
        try:
            return self._desk.submit(request)
        except OrderRejectionError:
            memory.stop, memory.target = before
            raise

    def _want(self, signal: Signal) -> None:
        if signal.stop is not None:
            self.memory.stop = self._on_grid(signal.stop)
        if signal.target is not None:
            self.memory.target = self._on_grid(signal.target)

    def _on_grid(self, price: float) -> Decimal:
        return self.instrument.round_price(Decimal(repr(float(price))))

    # --- facts and orders --------------------------------------------------------------------------------------------

    def on_record(self, record: ev.Record) -> None:
        """Hear a fact about one of this bot's orders."""
        self._position.on_fact(record.event)

    def protect(self) -> None:
        """Bring protective orders in line with position and wanted levels; changes nothing that is right already."""
        self._position.protect()

    def close(self, reason: str) -> None:
        """Close the whole position: working orders first, so that nothing is sold twice, then a market order.

        Raises:
            StrategyError: Risk refuses to let it be closed, again and again.
        """
        self._position.close(reason)

    def reconsider(self, reason: str) -> str:
        """Judge the signal behind the position anew at the present price: beyond its stop or target it is closed.

        What is kept stays protected, and the strategy decides on it at its next bar.

        Returns:
            What was decided, in words.

        Raises:
            StrategyError: Risk refuses to let it be closed, again and again.
        """
        held, memory = self.quantity, self.memory
        if not held:
            return "what was executed is too small to be traded"
        quote = self._quotes.quote(self.instrument.id)
        price = quote.mark if quote is not None else None
        if price is None:
            return "kept: there is no price to judge it by"
        sign = 1 if held > 0 else -1
        beyond_stop = memory.stop is not None and (price - memory.stop) * sign <= 0
        beyond_target = memory.target is not None and (price - memory.target) * sign >= 0
        if not beyond_stop and not beyond_target:
            return f"kept: at {price.normalize():f} the signal still holds"
        self.close(reason)
        return f"closed: {price.normalize():f} is beyond its {'stop' if beyond_stop else 'target'}"

    def cancel_all(self, reason: str) -> None:
        """Cancel every open order of this bot."""
        self._position.withdraw(reason)
        self._position.cancel(self.orders(), reason)

    def cancel_entries(self, reason: str) -> None:
        """Cancel its orders that could open or enlarge a position."""
        self._position.withdraw(reason)
        self._position.cancel(self._position.entering(), reason)

    def _decision(self, reason: str) -> Decision:
        return Decision(reason=reason, strategy=self._strategy, params_hash=self._params_hash or None)

    # --- memory ------------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """The bot's memory, the strategy's included.

        Raises:
            StrategyError: The strategy's memory holds something that cannot be saved.
        """
        self.memory.runner = self.runner.save()
        return msgspec.msgpack.encode(self.memory)

    def restore(self, body: bytes, *, memory_only: bool = False) -> None:
        """Take a saved memory back: first the levels of the position, then what the strategy remembers.

        Args:
            body: What `save` returned.
            memory_only: Leave the indicators to a new warm-up, as after a gap in the bars.

        Raises:
            StrategyError: It cannot be read, or does not fit this strategy (the levels are taken back all the same).
        """
        try:
            memory = msgspec.msgpack.decode(body, type=BotMemory)
        except msgspec.MsgspecError as error:
            raise StrategyError(
                f"The memory of the bot {self.owner} cannot be read: {error}. Start it anew."
            ) from error
        self._position.memory = memory
        self.runner.restore(memory.runner, memory_only=memory_only)


_FLAT = Holding()
_Standing = tuple[tuple[tuple[Decimal, Decimal, int], ...], Decimal]
"""A position's lots (quantity, price, time) and its realised profit."""
_NOTHING: _Standing = ((), Decimal(0))


def is_sound(body: bytes) -> bool:
    """Whether a saved memory can be read, as far as can be told without its strategy."""
    try:
        memory = msgspec.msgpack.decode(body, type=BotMemory)
        if memory.runner:
            msgspec.msgpack.decode(memory.runner, type=dict)
    except msgspec.MsgspecError:
        return False
    return True
