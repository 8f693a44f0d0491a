"""Fills on a live market: own orders laid over a level-2 book that others make, by price and time.

The feed's book does not know our orders, so two things are assumed and remembered:

- *Own consumption.* What a marketable order took from a displayed level stays taken until the feed sends that level
  anew. A market order stops at the collar; what is left is canceled.
- *Queue.* A resting order stands behind everything displayed at its price on arrival. Trades at the price eat that
  queue first and fill it then. When the level shrinks by more than its trades explain, others canceled; they are taken
  to have stood evenly before and behind us, so the queue before us shrinks in proportion to the level. What is added
  queues behind us. A trade through the price fills up to the traded size, an opposite quote at or through the price up
  to the displayed size, both at the limit.

Two own orders that meet execute against each other at the resting one's price under one trade id; the newer one is the
taker.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.market import BookUpdate, MarketTrade, OrderBook
from engine.model.order import Liquidity, OrderSide, OrderStatus, TimeInForce
from engine.venues.paper.settings import BookFillSettings, StopTrigger

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from engine.venues.paper.fill_model import Clearing
    from engine.venues.paper.orders import PaperOrder

__all__ = ["BookMatching"]


class BookMatching:
    """Fill model of one instrument on a level-2 book and public trades."""

    def __init__(self, instrument: Instrument, clearing: Clearing, settings: BookFillSettings) -> None:
        self.settings = settings
        self.book = OrderBook(instrument.id)
        self.last: int | None = None
        """Scaled price of the last public trade."""
        self.open = True
        """False while the feed says that the market is not live."""
        self._clearing = clearing
        self._resting: list[PaperOrder] = []
        self._waiting: list[PaperOrder] = []
        self._taken: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """What own orders took of displayed bids and asks, by scaled price."""
        self._traded: dict[int, int] = {}
        """What traded at prices with own resting orders since the level's last update."""
        self._collar = float(settings.collar_pct / Decimal(100))

    # --- FillModel ---------------------------------------------------------------------------------------------------

    def reference(self, *, buy: bool) -> int | None:
        """The best price a market order would meet, else the last trade; None when closed or unknown."""
        if not self.open:
            return None
        best = self.book.best_ask if buy else self.book.best_bid
        return best if best is not None else self.last

    def crosses(self, *, buy: bool, price: int) -> bool:
        """Whether the limit meets the opposite best price or an own resting order."""
        best = self.book.best_ask if buy else self.book.best_bid
        if best is not None and (price >= best if buy else price <= best):
            return True
        return any(
            o.buy is not buy and o.price is not None and (price >= o.price if buy else price <= o.price)
            for o in self._resting
        )

    def add(self, order: PaperOrder, now: int) -> None:
        """Execute what can be executed at once; the rest waits, rests or ends."""
        if order.waits:
            self._waiting.append(order)
            self._check_triggers(now)
        else:
            self._execute(order, now)

    def restore(self, order: PaperOrder) -> None:
        """Put an order back where it stood, its place in the queue included."""
        (self._waiting if order.waits else self._resting).append(order)

    def amended(self, order: PaperOrder, now: int, *, keeps_place: bool) -> None:
        """Take over new prices; a new price or a larger quantity goes to the back of the queue."""
        if order.waits:
            self._check_triggers(now)
        elif not keeps_place:
            self.remove(order)
            self._execute(order, now)

    def remove(self, order: PaperOrder) -> None:
        """Forget an order."""
        for orders in (self._resting, self._waiting):
            for index, candidate in enumerate(orders):
                if candidate is order:
                    del orders[index]
                    if all(other.price != order.price for other in self._resting):
                        self._traded.pop(order.price or 0, None)
                    return

    def working(self) -> list[PaperOrder]:
        """Resting and waiting orders, oldest first."""
        return sorted([*self._resting, *self._waiting], key=lambda order: order.seq)

    # --- the feed ----------------------------------------------------------------------------------------------------

    def on_book(self, update: BookUpdate) -> bool:
        """Follow the book and fill what it now crosses; False when a snapshot is needed (nothing changed)."""
        before = self._levels_before(update) if self._resting else {}
        if not self.book.apply(update):
            return False
        bids_taken, asks_taken = self._taken
        if update.snapshot:
            bids_taken.clear()
            asks_taken.clear()
        elif bids_taken or asks_taken:
            for price, _ in update.bids:
                bids_taken.pop(price, None)
            for price, _ in update.asks:
                asks_taken.pop(price, None)
        if before:
            self._shrink_queues(before)
        if self._resting:
            self._fill_crossed(update.ts)
        if self._waiting:
            self._check_triggers(update.ts)
        return True

    def on_trade(self, trade: MarketTrade) -> None:
        """Let a public trade eat queues, fill own resting orders and set off triggers."""
        self.last = trade.price
        if self._resting:
            self._trade_through(trade)
        if self._waiting:
            self._check_triggers(trade.ts)

    # --- taking ------------------------------------------------------------------------------------------------------

    def _execute(self, order: PaperOrder, now: int) -> None:
        """Walk the opposite side; what is left of the order ends, or rests behind what is displayed."""
        bound = order.price if order.price is not None else self._collar_price(buy=order.buy)
        if order.command.tif is TimeInForce.FOK and self._within(order, bound) < order.remaining:
            self._clearing.end(order, OrderStatus.EXPIRED, "FOK: not all of it could be filled at once", now)
            return
        if bound is not None:
            self._walk(order, bound, now)
        if not order.is_open or not order.remaining:
            return
        if order.command.tif is not TimeInForce.GTC:
            reason = f"{order.command.tif}: {'the rest was not filled' if order.filled else 'not filled at once'}"
            self._clearing.end(order, OrderStatus.EXPIRED, reason, now)
        elif order.price is None:
            within = f"nothing more within {self.settings.collar_pct} % of mid"
            reason = "the book is empty" if bound is None else within
            self._clearing.end(order, OrderStatus.CANCELED, reason, now)
        else:
            own_side, taken = self._side(OrderSide.BUY if order.buy else OrderSide.SELL)
            order.ahead = max(own_side.get(order.price, 0) - taken.get(order.price, 0), 0)
            self._resting.append(order)

    def _walk(self, order: PaperOrder, bound: int, now: int) -> None:
        """Take displayed and own opposite liquidity, best price first, until the bound or the order's end."""
        for price, displayed in self._opposite(order, bound):
            ahead_taken = 0
            for maker in [o for o in self._resting if o.buy is not order.buy and o.price == price]:
                # What is displayed before an own resting order trades first.
                part = self._take(order, price, min(displayed, max(maker.ahead - ahead_taken, 0)), now)
                ahead_taken += part
                displayed -= part
                if not order.is_open or not order.remaining:
                    break
                self._self_match(order, maker, price, now)
                if not order.is_open or not order.remaining:
                    break
            else:
                ahead_taken += self._take(order, price, displayed, now)
            for maker in self._resting:
                if maker.buy is not order.buy and maker.price == price:
                    maker.ahead = max(maker.ahead - ahead_taken, 0)
            if not order.is_open or not order.remaining:
                return

    def _take(self, order: PaperOrder, price: int, available: int, now: int) -> int:
        quantity = min(order.remaining, available)
        if quantity <= 0:
            return 0
        booked = self._clearing.fill(order, price, quantity, Liquidity.TAKER, now)
        taken = self._taken[1 if order.buy else 0]
        taken[price] = taken.get(price, 0) + booked
        return booked

    def _self_match(self, taker: PaperOrder, maker: PaperOrder, price: int, now: int) -> None:
        quantity = self._clearing.payable(taker, price, min(taker.remaining, maker.remaining))
        if quantity <= 0:
            self._clearing.end(taker, OrderStatus.CANCELED, "the balance does not cover the rest", now)
            return
        quantity = self._clearing.payable(maker, price, quantity)
        if quantity <= 0:
            self._clearing.end(maker, OrderStatus.CANCELED, "an own order met it without funds", now)
            return
        trade_id = self._clearing.new_trade_id()
        self._clearing.fill(maker, price, quantity, Liquidity.MAKER, now, trade_id)
        if taker.is_open:
            self._clearing.fill(taker, price, quantity, Liquidity.TAKER, now, trade_id)

    def _opposite(self, order: PaperOrder, bound: int) -> list[tuple[int, int]]:
        """What an order would meet up to a bound: (scaled price, displayed quantity not yet taken), best first."""
        side, taken = self._side(OrderSide.SELL if order.buy else OrderSide.BUY)
        own = {o.price for o in self._resting if o.buy is not order.buy and o.price is not None}
        levels: list[tuple[int, int]] = []
        for price, quantity in self.book.levels(OrderSide.BUY if order.buy else OrderSide.SELL):
            if price > bound if order.buy else price < bound:
                break
            levels.append((price, max(quantity - taken.get(price, 0), 0)))
        for price in own:
            if price not in side and (price <= bound if order.buy else price >= bound):
                levels.append((price, 0))
        levels.sort(reverse=not order.buy)
        return levels

    def _within(self, order: PaperOrder, bound: int | None) -> int:
        """Scaled quantity that could be had at once up to a bound."""
        if bound is None:
            return 0
        levels = self._opposite(order, bound)
        prices = {price for price, _ in levels}
        own = sum(o.remaining for o in self._resting if o.buy is not order.buy and o.price in prices)
        return sum(quantity for _, quantity in levels) + own

    def _collar_price(self, *, buy: bool) -> int | None:
        """The worst price of a market order; None without an opposite side."""
        bid, ask = self.book.best_bid, self.book.best_ask
        if bid is None and ask is None:
            return None
        mid = (bid + ask) / 2 if bid is not None and ask is not None else float(bid or ask or 0)
        return int(mid * (1 + self._collar)) if buy else -int(-mid * (1 - self._collar))

    def _side(self, side: OrderSide) -> tuple[dict[int, int], dict[int, int]]:
        """Displayed and taken quantities of one side of the book by scaled price."""
        if side is OrderSide.BUY:
            return self.book.bids, self._taken[0]
        return self.book.asks, self._taken[1]

    # --- resting -----------------------------------------------------------------------------------------------------

    def _trade_through(self, trade: MarketTrade) -> None:
        left = trade.quantity
        eaten = 0
        price = trade.price
        if any(o.price == price and o.buy is (trade.aggressor is OrderSide.SELL) for o in self._resting):
            self._traded[price] = self._traded.get(price, 0) + trade.quantity
        for order in self._by_priority():
            if left <= 0:
                break
            limit = order.price
            if not order.is_open or limit is None:
                continue
            if price < limit if order.buy else price > limit:
                left -= self._make(order, limit, left, trade.ts)
            elif price == limit and order.buy is (trade.aggressor is OrderSide.SELL):
                before = min(max(order.ahead - eaten, 0), left)
                eaten += before
                left -= before
                left -= self._make(order, limit, left, trade.ts)
        if eaten:
            for order in self._resting:
                if order.price == price:
                    order.ahead = max(order.ahead - eaten, 0)

    def _make(self, order: PaperOrder, price: int, available: int, ts: int) -> int:
        quantity = min(order.remaining, available)
        return self._clearing.fill(order, price, quantity, Liquidity.MAKER, ts) if quantity > 0 else 0

    def _by_priority(self) -> list[PaperOrder]:
        """Resting orders by price and time: the best bids and the best asks first."""
        return sorted(self._resting, key=lambda o: (-(o.price or 0) if o.buy else (o.price or 0), o.seq))

    def _fill_crossed(self, ts: int) -> None:
        """Fill resting orders that opposite quotes have reached, up to the displayed size."""
        bid, ask = self.book.best_bid, self.book.best_ask
        for order in self._by_priority():
            limit = order.price
            best = ask if order.buy else bid
            if limit is None or best is None or (best > limit if order.buy else best < limit) or not order.is_open:
                continue
            taken = self._taken[1 if order.buy else 0]
            for price, displayed in self.book.levels(OrderSide.BUY if order.buy else OrderSide.SELL):
                if (price > limit if order.buy else price < limit) or not order.is_open or not order.remaining:
                    break
                booked = self._make(order, limit, displayed - taken.get(price, 0), ts)
                taken[price] = taken.get(price, 0) + booked

    def _levels_before(self, update: BookUpdate) -> dict[tuple[bool, int], int]:
        """Displayed sizes, before an update, of the levels with own resting orders that it speaks of."""
        bids, asks = self.book.bids, self.book.asks
        own = {(o.buy, o.price) for o in self._resting if o.price is not None}
        if not update.snapshot:
            own &= {(True, p) for p, _ in update.bids} | {(False, p) for p, _ in update.asks}
        return {(buy, price): (bids if buy else asks).get(price, 0) for buy, price in own if price is not None}

    def _shrink_queues(self, before: dict[tuple[bool, int], int]) -> None:
        for order in self._resting:
            if order.price is None or (order.buy, order.price) not in before:
                continue
            now = (self.book.bids if order.buy else self.book.asks).get(order.price, 0)
            expected = before[order.buy, order.price] - self._traded.get(order.price, 0)
            if now < expected:
                # Rounded up: in doubt somebody is still before us.
                order.ahead = -(-order.ahead * now // expected)
            order.ahead = min(order.ahead, now)
        for _, price in before:
            self._traded.pop(price, None)

    # --- triggers ----------------------------------------------------------------------------------------------------

    def _check_triggers(self, now: int) -> None:
        for order in [o for o in self._waiting if self._reached(o)]:
            # An order set off before this one may have ended it.
            if order.is_open and order in self._waiting:
                self.remove(order)
                self._clearing.trigger(order, now)
                self._execute(order, now)

    def _reached(self, order: PaperOrder) -> bool:
        mode = self.settings.trigger
        stop = order.stop
        if stop is None or not self.open:
            return False
        best = self.book.best_ask if order.buy else self.book.best_bid
        prices = (
            self.last if mode is not StopTrigger.BEST else None,
            best if mode is not StopTrigger.LAST else None,
        )
        return any(p is not None and (p <= stop if order.falls else p >= stop) for p in prices)
