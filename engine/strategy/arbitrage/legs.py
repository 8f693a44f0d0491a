"""Both sides of an arbitrage sent at once, and what is done when they are not filled alike.

The legs go out together. When all have ended and one lags behind, the rest of it is tried again at its limit, then
across the spread; what still lags is unwound on the leading side. A rest that cannot be unwound halts the trade, and a
person must look. An order whose end is not known is never replaced: nothing is sent for it until its end is known.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from engine.strategy.intents import Take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.strategy.views import MarketView, OwnFill

__all__ = ["REFUSED_NS", "Leg", "LegPolicy", "PairTrade", "Phase"]


REFUSED_NS = 1_000_000_000
"""Pause after a refusal; it doubles with each attempt of a phase."""


class Phase(enum.StrEnum):
    """Where a trade stands."""

    SENT = "sent"
    RETRY = "retry"
    CROSS = "cross"
    UNWIND = "unwind"
    DONE = "done"
    HALTED = "halted"

    @property
    def ended(self) -> bool:
        """Whether nothing more is done by itself."""
        return self in (Phase.DONE, Phase.HALTED)


class LegPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how far a lagging leg is pursued."""

    retries: int = 1
    """Attempts at the leg's own limit."""
    crosses: int = 1
    """Attempts at the market, up to `cross_slippage`."""
    unwinds: int = 3
    """Attempts to undo the leading leg, up to `unwind_slippage`."""
    cross_slippage: float = 0.001
    unwind_slippage: float = 0.005
    within_ns: int = 1_000_000_000
    """Time from the start in which the lagging leg is pursued; later it is unwound."""


class Leg(msgspec.Struct):
    """One side."""

    instrument: InstrumentId
    side: int
    """+1 buys, -1 sells."""
    quantity: float
    limit: float
    filled: float = 0.0
    """What is left of it after unwinding, base units."""
    paid: float = 0.0
    """Value paid (positive) or received (negative), without fees, in the market's quote currency."""
    fees: float = 0.0
    """Quote currency."""
    open: str = ""
    """Key of the order that has not ended; empty when there is none."""
    opened: int = 0
    attempts: int = 0


class PairTrade(msgspec.Struct):
    """One arbitrage under way; part of a strategy's memory.

    Attributes:
        number: Counts the trades of a bot, and names the orders.
        started: UTC nanoseconds.
        legs: Its sides.
        expected: Profit that was seen before it was sent, in the currency of `worth`.
        worth: Value of one unit of each leg's quote currency in one common currency.
        phase: Where it stands.
        why: What has happened, in words.
    """

    number: int
    started: int
    legs: list[Leg]
    expected: float
    worth: list[float]
    phase: Phase = Phase.SENT
    tried: int = 0
    why: str = ""
    late: bool = False
    """Whether the person has been told that the end of an order is not known."""
    not_before: int = 0
    """UTC nanoseconds before which nothing more is sent: a refusal is not answered in the same moment."""
    ended: int = 0
    """When it ended, UTC nanoseconds."""

    # --- orders ------------------------------------------------------------------------------------------------------

    def send(self, now: int) -> list[Take]:
        """The first orders, all at once."""
        return [
            self._order(index, leg.side, leg.quantity, leg.limit, now, "first") for index, leg in enumerate(self.legs)
        ]

    def owns(self, key: str) -> bool:
        """Whether an order of that key belongs to this trade."""
        return key.startswith(f"a{self.number}-")

    def on_fill(self, fill: OwnFill, fee: float) -> None:
        """Take in an execution; `fee` in quote currency."""
        leg = self.legs[int(fill.key.split("-")[1])]
        sign = fill.side.sign
        leg.filled += sign * leg.side * fill.quantity
        leg.paid += sign * fill.quantity * fill.price
        leg.fees += fee

    def on_end(
        self,
        key: str,
        now: int,
        markets: Mapping[InstrumentId, MarketView],
        policy: LegPolicy,
        *,
        refused: bool = False,
    ) -> list[Take]:
        """An order has ended; what is to be sent next, when no other is still under way.

        After a refusal nothing is sent at once: what is refused now is refused in the same moment again.
        """
        leg = self.legs[int(key.split("-")[1])]
        if leg.open == key:
            leg.open = ""
        if refused:
            self.not_before = now + REFUSED_NS * 2 ** min(self.tried, 6)
        return self.on_time(now, markets, policy)

    def on_time(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        """Time has passed: go on where a market was missing or an order was refused."""
        if self.phase.ended or self.is_open or now < self.not_before:
            return []
        found = self._next(now, markets, policy)
        if self.phase.ended:
            self.ended = now
        return found

    def forget_open(self, working: Callable[[InstrumentId, str], bool]) -> None:
        """After a restart: an order that works no more has ended."""
        for leg in self.legs:
            if leg.open and not working(leg.instrument, leg.open):
                leg.open = ""

    def reopen(self) -> None:
        """An execution came after the end: what it has put out of balance is to be undone."""
        self.phase, self.tried, self.not_before = Phase.UNWIND, 0, 0

    @property
    def is_open(self) -> bool:
        """Whether an order is under way."""
        return any(leg.open for leg in self.legs)

    def overdue(self, now: int, after_ns: int) -> list[Leg]:
        """Legs whose order has been under way for longer than that."""
        return [leg for leg in self.legs if leg.open and now - leg.opened > after_ns]

    # --- what has come of it ---------------------------------------------------------------------------------------

    @property
    def realised(self) -> float:
        """Received less paid, fees taken off, in the common currency; a rest that is held counts for nothing."""
        return sum(-(leg.paid + leg.fees) * worth for leg, worth in zip(self.legs, self.worth, strict=True))

    @property
    def excess(self) -> float:
        """How much more the leading leg has done than the lagging one, base units."""
        return max(leg.filled for leg in self.legs) - min(leg.filled for leg in self.legs)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _order(self, index: int, side: int, quantity: float, price: float, now: int, why: str) -> Take:
        leg = self.legs[index]
        leg.attempts += 1
        leg.open, leg.opened = f"a{self.number}-{index}-{leg.attempts}", now
        return Take(
            leg.instrument,
            leg.open,
            OrderSide.BUY if side > 0 else OrderSide.SELL,
            quantity,
            price,
            reason=f"arbitrage {self.number}: {why}",
        )

    def _next(self, now: int, markets: Mapping[InstrumentId, MarketView], policy: LegPolicy) -> list[Take]:
        lag = min(range(len(self.legs)), key=lambda index: self.legs[index].filled)
        lead = max(range(len(self.legs)), key=lambda index: self.legs[index].filled)
        behind, ahead = markets[self.legs[lag].instrument], markets[self.legs[lead].instrument]
        if not self._matters((behind, self.legs[lag].limit), (ahead, self.legs[lead].limit)):
            self.phase, self.why = (
                Phase.DONE,
                self.why or ("filled" if self.legs[lead].filled else "nothing was filled"),
            )
            return []
        self._advance(now, policy)
        if self.phase is Phase.UNWIND:
            return self._unwind(lead, ahead, now, policy)
        if self.phase is Phase.HALTED:
            return []
        leg, quantity = self.legs[lag], behind.floor_quantity(self.excess)
        price = leg.limit
        if self.phase is Phase.CROSS:
            if not behind.ready:
                return []
            touch = behind.ask if leg.side > 0 else behind.bid
            price = touch * (1.0 + leg.side * policy.cross_slippage)
        if not behind.tradable(quantity, price):
            # Too small for the lagging market; the leading one may still take it back.
            self.phase, self.tried = Phase.UNWIND, 1
            return self._unwind(lead, ahead, now, policy)
        self.why = f"leg {lag} lagged"
        return [self._order(lag, leg.side, quantity, price, now, self.phase.value)]

    def _matters(self, *sides: tuple[MarketView, float]) -> bool:
        """Whether the difference can be traded at all, on either side; less than a lot is dust of rounding."""
        return any(market.tradable(market.floor_quantity(self.excess), market.mid or limit) for market, limit in sides)

    def _advance(self, now: int, policy: LegPolicy) -> None:
        """Go to the next phase when the present one has had its attempts."""
        order = (Phase.SENT, Phase.RETRY, Phase.CROSS, Phase.UNWIND, Phase.HALTED)
        most = {
            Phase.SENT: 0, Phase.RETRY: policy.retries, Phase.CROSS: policy.crosses, Phase.UNWIND: policy.unwinds
        }  # fmt: skip
        if self.phase in (Phase.SENT, Phase.RETRY, Phase.CROSS) and now - self.started > policy.within_ns:
            self.phase, self.tried = Phase.UNWIND, 0
        while self.phase is not Phase.HALTED and self.tried >= most[self.phase]:
            self.phase, self.tried = order[order.index(self.phase) + 1], 0
        self.tried += 1
        if self.phase is Phase.HALTED:
            self.why = f"{self.excess:g} could neither be completed nor unwound"

    def _unwind(self, lead: int, market: MarketView, now: int, policy: LegPolicy) -> list[Take]:
        """Undo on the leading side what the lagging one did not do."""
        leg, quantity = self.legs[lead], market.floor_quantity(self.excess)
        if not market.ready:
            # An attempt without a market is none.
            self.tried -= 1
            return []
        touch = market.bid if leg.side > 0 else market.ask
        if not market.tradable(quantity, touch):
            self.phase, self.why = Phase.HALTED, f"{self.excess:g} is too small to be unwound"
            return []
        self.why = "unwound"
        price = touch * (1.0 - leg.side * policy.unwind_slippage)
        return [self._order(lead, -leg.side, quantity, price, now, "unwind")]
