"""A loop of conversions executed leg after leg, and the way back when one does not go through.

Each leg uses what the one before has really brought. A leg that is filled in part is tried again at its limit and then
across the spread; what still stands in a foreign currency, or is under way for too long, is brought back to the start
currency. A rest that cannot be brought back halts the loop, and a person must look. An order whose end is not known is
never replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from engine.strategy.arbitrage.legs import REFUSED_NS, LegPolicy, Phase
from engine.strategy.intents import Take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.strategy.views import MarketView, OwnFill

__all__ = ["ChainTrade", "Step"]


class Step(msgspec.Struct):
    """One conversion."""

    instrument: InstrumentId
    side: int
    """+1 buys the base with the quote currency, -1 sells it."""
    limit: float
    fee: float
    """Taker fee, as a fraction, that is kept free when buying."""
    amount: float = 0.0
    """What stands before it and is not converted, in the currency that goes in."""
    got: float = 0.0
    """What it has brought, fee taken off, in the currency that comes out."""


class ChainTrade(msgspec.Struct):
    """One loop under way; part of a strategy's memory.

    Attributes:
        number: Counts the loops of a bot, and names the orders.
        started: UTC nanoseconds.
        steps: Its conversions; the first takes and the last brings the start currency.
        put_in: Start currency that was set aside.
        expected: Profit that was seen before it was sent, start currency.
        at: Step under way.
        phase: Where that step stands.
        why: What has happened, in words.
    """

    number: int
    started: int
    steps: list[Step]
    put_in: float
    expected: float
    at: int = 0
    phase: Phase = Phase.SENT
    tried: int = 0
    attempts: int = 0
    open: str = ""
    opened: int = 0
    back: int = 0
    """Step of the order that is under way, plus one; negative for one that undoes it."""
    timed_out: bool = False
    late: bool = False
    why: str = ""
    not_before: int = 0
    """UTC nanoseconds before which nothing more is sent: a refusal is not answered in the same moment."""
    ended: int = 0
    """When it ended, UTC nanoseconds."""
    recovered: float = 0.0
    """Start currency that was brought back by undoing the first step."""

    def send(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        """The first order; none where it would be too small."""
        self.steps[0].amount = self.put_in
        return self._next(now, markets, policy)

    def owns(self, key: str) -> bool:
        """Whether an order of that key belongs to this loop."""
        return key.startswith(f"t{self.number}-")

    def on_fill(self, fill: OwnFill, market: MarketView) -> None:
        """Take in an execution of the order under way."""
        step = self.steps[abs(self.back) - 1]
        value = fill.quantity * fill.price
        base_fee = fill.fee if fill.fee_currency == market.base else 0.0
        quote_fee = fill.fee if fill.fee_currency == market.quote else 0.0
        buys = fill.side is OrderSide.BUY
        spent = value + quote_fee if buys else fill.quantity
        brought = fill.quantity - base_fee if buys else value - quote_fee
        if self.back > 0:
            step.amount -= spent
            step.got += brought
            if self.back < len(self.steps):
                self.steps[self.back].amount += brought
        else:
            # Undoing a step takes what stands before the next one.
            self.steps[abs(self.back)].amount -= spent
            self.recovered += brought

    def on_end(
        self,
        key: str,
        now: int,
        markets: Mapping[InstrumentId, MarketView],
        policy: LegPolicy,
        *,
        refused: bool = False,
    ) -> list[Take]:
        """The order has ended; what is to be sent next.

        After a refusal nothing is sent at once: what is refused now is refused in the same moment again.
        """
        if key != self.open:
            return []
        self.open = ""
        if refused:
            self.not_before = now + REFUSED_NS * 2 ** min(self.tried, 6)
        return self.on_time(now, markets, policy)

    def on_time(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        """Time has passed: go on where a market was missing or an order was refused."""
        if self.phase.ended or self.open or now < self.not_before:
            return []
        found = self._next(now, markets, policy)
        if self.phase.ended:
            self.ended = now
        return found

    def forget_open(self, working: Callable[[InstrumentId, str], bool]) -> None:
        """After a restart: an order that works no more has ended."""
        step = self.steps[abs(self.back) - 1] if self.back else None
        if self.open and step is not None and not working(step.instrument, self.open):
            self.open = ""

    @property
    def realised(self) -> float:
        """Start currency that came back less what was spent; what is still held elsewhere counts for nothing."""
        return self.steps[-1].got + self.recovered + self.steps[0].amount - self.put_in

    # --- inside ------------------------------------------------------------------------------------------------------

    def _next(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        if self.phase is not Phase.UNWIND and self.at and now - self.started > policy.within_ns:
            self.timed_out = True
            self._turn_back("the loop took too long")
        if self.phase is Phase.UNWIND:
            return self._bring_back(now, markets, policy)
        step = self.steps[self.at]
        market = markets[step.instrument]
        quantity = self._quantity(step, market, step.limit)
        if self.tried and (not quantity or self.at == 0):
            # What is left of the first step has never left the start currency.
            return self._go_on(now, markets, policy)
        if not self._another(policy):
            self._turn_back(f"leg {self.at + 1} was not filled")
            return self._bring_back(now, markets, policy)
        price = step.limit
        if self.phase is Phase.CROSS:
            if not market.ready:
                self.tried -= 1
                return []
            price = (market.ask if step.side > 0 else market.bid) * (1.0 + step.side * policy.cross_slippage)
            quantity = self._quantity(step, market, price)
        if not quantity:
            return self._go_on(now, markets, policy)
        return [self._order(self.at + 1, step.side, market, quantity, price, now, f"leg {self.at + 1}, {self.phase}")]

    def _another(self, policy: LegPolicy) -> bool:
        """Count one more attempt at the present step; False when it has had all of them."""
        most = {Phase.SENT: 1, Phase.RETRY: policy.retries, Phase.CROSS: policy.crosses}
        order = (Phase.SENT, Phase.RETRY, Phase.CROSS)
        while self.tried >= most[self.phase]:
            if self.phase is Phase.CROSS:
                return False
            self.phase, self.tried = order[order.index(self.phase) + 1], 0
        self.tried += 1
        return True

    def _go_on(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        """Begin the next step with what this one has brought."""
        if not self.steps[self.at].got:
            self.phase = Phase.DONE
            self.why = self.why or "nothing was filled"
            return []
        self.at, self.phase, self.tried = self.at + 1, Phase.SENT, 0
        if self.at == len(self.steps):
            self.phase, self.why = Phase.DONE, self.why or "filled"
            return []
        return self._next(now, markets, policy)

    def _turn_back(self, why: str) -> None:
        self.phase, self.tried, self.why = Phase.UNWIND, 0, why

    def _bring_back(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        """Bring one foreign amount back: what stands before the last step goes on, what is nearer to the start returns.

        In a loop of three every foreign currency has a market with the start currency; of a longer one what stands in
        the middle goes on, leg after leg.
        """
        for index in range(1, len(self.steps)):
            forward = index > 1 or len(self.steps) == 2
            step = self.steps[index] if forward else self.steps[0]
            market = markets[step.instrument]
            side = step.side if forward else -step.side
            if not market.ready:
                if self.steps[index].amount > 0.0:
                    return []
                continue
            price = (market.ask if side > 0 else market.bid) * (1.0 + side * policy.unwind_slippage)
            amount = self.steps[index].amount
            quantity = self._fit(amount, side, step.fee, market, price)
            if not quantity:
                continue
            self.tried += 1
            if self.tried > policy.unwinds * (len(self.steps) - 1):
                self.phase = Phase.HALTED
                self.why += f"; {amount:g} could not be brought back"
                return []
            return [self._order(index + 1 if forward else -index, side, market, quantity, price, now, "way back")]
        self.phase = Phase.DONE
        return []

    def _order(
        self, back: int, side: int, market: MarketView, quantity: float, price: float, now: int, why: str
    ) -> Take:
        self.attempts += 1
        self.open, self.opened, self.back = f"t{self.number}-{self.attempts}", now, back
        kind = OrderSide.BUY if side > 0 else OrderSide.SELL
        return Take(market.id, self.open, kind, quantity, price, reason=f"loop {self.number}: {why}")

    def _quantity(self, step: Step, market: MarketView, price: float) -> float:
        return self._fit(step.amount, step.side, step.fee, market, price)

    @staticmethod
    def _fit(amount: float, side: int, fee: float, market: MarketView, price: float) -> float:
        """Whole lots that an amount buys or is; 0 where that is too small for the market."""
        quantity = market.floor_quantity(amount / (price * (1.0 + fee)) if side > 0 else amount)
        return quantity if quantity > 0.0 and market.tradable(quantity, price) else 0.0
