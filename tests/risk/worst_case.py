"""Random trading of a person and two bots, every step of it judged by an accountant of its own.

After every order that passes, each resting or in-flight order counts as filled at its worst allowed price, and no limit
may be exceeded that the order adds to. After every price the accountant says which limits are exceeded by what is held
and ordered, and the engine must have said the same. `python -m tests.bench random_orders` does 100,000 orders.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal as D
from typing import TYPE_CHECKING

from engine import events as ev
from engine.clock import SimulatedClock
from engine.errors import ConflictError, OrderRejectionError
from engine.execution.desk import Desk
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import TradeId, VenueId, VenueOrderId
from engine.model.limits import RiskLimits
from engine.model.order import Liquidity, OrderType
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from storage.journal import MemoryJournal
from tests.risk.accountant import (
    AWAY,
    CLASSES,
    COUNTS,
    EPSILON,
    FEE,
    FUNDS,
    MARKETS,
    OWNERS,
    PLACES,
    SPARE,
    Accountant,
    Known,
    Sent,
    worst_price,
)  # fmt: skip
from tests.risk.house import BOT, BUY, OTHER_BOT, PAPER, SELL, USDT, House

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.order import Order

__all__ = ["SESSION", "Trading", "trade"]

SESSION = 500
"""Orders of one session."""


class Trading(House):
    """A person and two bots trade at random in three accounts at two venues; the accountant looks on."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.limits = rng, limits_of(rng)
        self.clock, self.state, self.journal = SimulatedClock(), EngineState(), MemoryJournal(keep=True)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=1)
        self.markets, self.outbox, self.trades = {}, [], 0
        book = self.ledger.record
        for account, venue in PLACES.items():
            opened = Account(id=account, venue=VenueId(venue), mode=TradingMode.PAPER, base_currency=USDT)
            book(ev.AccountOpened(account=opened))
            book(ev.Deposited(account=account, currency=USDT, amount=FUNDS[account]))
        for instrument, price in MARKETS:
            book(ev.InstrumentDefined(instrument=instrument))
            self.price(instrument.id, price)
        for owner in (BOT, OTHER_BOT):
            book(ev.BotCreated(bot=owner, name=owner, config=b"{}", capital=D(5000), currency=USDT))
        self.risk = RiskDepartment(self.ledger, self, self.limits, PAPER, correlations=Known())
        self.gate = self.risk.gate
        self.desk = Desk(self.ledger, self.gate, self, ClientIds("abcdefgh", 1), self)
        self.risk.attach(self.desk)
        self.accountant = Accountant(
            {instrument.id: instrument for instrument, _ in MARKETS},
            {instrument.id: price for instrument, price in MARKETS},
            dict(FUNDS),
        )
        self.passed = self.asked = self.groups = self.told = 0
        self.bound: Counter[str] = Counter()
        """How often each reason kept an order out."""

    def step(self) -> None:
        """One thing happens."""
        work: tuple[Callable[[], None], ...] = (self.order, self.amend, self.execute, self.end, self.move)
        self.rng.choices(work, (10, 2, 8, 6, 4))[0]()

    # --- orders

    def order(self) -> None:
        """Somebody wants something."""
        rng = self.rng
        account = rng.choice((PAPER, PAPER, SPARE, AWAY))
        instrument = rng.choice([one for one, _ in MARKETS if one.venue == PLACES[account]])
        mark = self.accountant.marks[instrument.id]
        side, kind = rng.choice((BUY, BUY, SELL)), rng.choice((OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS))
        near = (mark * D(rng.randrange(920, 1081)) / 1000).quantize(D("0.01"))
        value = D(rng.choice((5, 50, 200, 500, 1000, 2500))) * D(rng.randrange(50, 150)) / 100
        quantity = instrument.floor_quantity(value / (mark * instrument.multiplier))
        if rng.random() < 0.05:
            self.groups += 1
        request = self.request(
            side, max(quantity, instrument.current_rules.lot), instrument.id, rng.choice(OWNERS), type=kind,
            price=near if kind is OrderType.LIMIT else None, stop_price=near if kind is OrderType.STOP_LOSS else None,
            account=account, oco_group=f"g{self.groups}" if rng.random() < 0.1 else None,
        )  # fmt: skip
        self.asked += 1
        before, shrinks = self.accountant.uses(self.limits), self.accountant.shrinks(request)
        try:
            order = self.desk.submit(request)
        except OrderRejectionError as error:
            self.bound.update(error.details["codes"])  # type: ignore[call-overload]
            return
        self.passed += 1
        price, stop = request.price, request.stop_price
        worst = worst_price(kind, side, price, stop, mark) * instrument.multiplier * (1 + FEE)
        sent = Sent(account, instrument, request.owner, side, request.quantity, worst, request.oco_group or "")
        self.accountant.orders[order.client_id] = sent
        self.judge(
            before, f"{side} {request.quantity} {instrument.id} {kind} of {request.owner} in {account}", shrinks=shrinks
        )
        if rng.random() < 0.7:
            accepted = ev.OrderAccepted(
                client_id=order.client_id, venue_order_id=VenueOrderId(order.client_id), ts=self.now
            )
            self.desk.on_event(account, accepted)

    def amend(self) -> None:
        """An order is to become larger or dearer; the venue agrees at once."""
        orders = [o for o in self.state.orders.values() if o.price is not None and o.oco_group is None and o.is_open]
        if not orders:
            return
        order, rng = self.rng.choice(orders), self.rng
        lot = self.state.instruments[order.instrument].current_rules.lot
        quantity = order.filled + max(lot, (order.remaining * D(rng.randrange(50, 200)) / 100 // lot) * lot)
        price = (self.accountant.marks[order.instrument] * D(rng.randrange(950, 1051)) / 1000).quantize(D("0.01"))
        before, sent = self.accountant.uses(self.limits), self.accountant.orders[order.client_id]
        rest = self.request(
            order.side, quantity - order.filled, order.instrument, order.owner, account=order.account, price=price
        )
        shrinks = self.accountant.shrinks(rest, order.client_id)
        try:
            self.desk.amend(order.client_id, quantity=quantity, price=price)
        except (OrderRejectionError, ConflictError):
            return
        # Until the venue has answered the larger of both counts.
        wanted = quantity - order.filled
        unit = price * sent.instrument.multiplier * (1 + FEE)
        sent.left, sent.worst = max(sent.left, wanted), max(sent.worst, unit)
        self.judge(before, f"amended {order.client_id} to {quantity} at {price}", shrinks=shrinks)
        answer = ev.OrderAmended(client_id=order.client_id, quantity=quantity, price=price, ts=self.now)
        self.desk.on_event(order.account, answer)
        sent.left, sent.worst = wanted, unit

    def judge(self, before: dict[tuple[str, str], tuple[D, D]], what: str, *, shrinks: bool = False) -> None:
        """No limit is exceeded that the order has added to.

        Exits always pass. Whoever closes by hand what a bot holds in a derivative has an entry of their own there,
        against it, and each counts on its side: so they are left out here.
        """
        if shrinks:
            return
        for (limit, scope), (used, most) in self.accountant.uses(self.limits).items():
            was = before.get((limit, scope), (D(0), D(0)))[0]
            assert used <= most + EPSILON or used <= was + EPSILON, (
                f"{what}: {limit} of {scope or 'all'} can come to {used} (before {was}), above {most}"
            )

    def execute(self) -> None:
        """An open order is executed, wholly or in part, at a price that it allows; its group ends."""
        orders = list(self.state.orders.values())
        if orders:
            self._execute(self.rng.choice(orders))

    def _execute(self, order: Order, share: float | None = None) -> None:
        instrument, rng = self.state.instruments[order.instrument], self.rng
        lot = instrument.current_rules.lot
        lots = int(order.remaining / lot)
        for sibling in self.state.siblings(order):
            self.ended(sibling)
        quantity = lot * max(1, int(lots * (rng.random() if share is None else share)))
        price = self._price(order)
        fee = quantity * price * instrument.multiplier * FEE
        self.trades += 1
        fill = Fill(
            venue=instrument.venue, account=order.account, instrument=order.instrument,
            trade_id=TradeId(str(self.trades)), venue_order_id=VenueOrderId(order.client_id),
            client_id=order.client_id, side=order.side, price=price, quantity=quantity, fee=fee,
            fee_currency=USDT, liquidity=Liquidity.TAKER, ts=self.now,
        )  # fmt: skip
        self.desk.on_event(order.account, ev.OrderFilled(fill=fill))
        self.accountant.filled(order.client_id, quantity, price, fee)

    def _price(self, order: Order) -> D:
        """A price that the order allows, up to the worst."""
        mark = self.accountant.marks[order.instrument]
        if order.price is not None:
            return min(mark, order.price) if order.side is BUY else max(mark, order.price)
        best, most = (order.stop_price, 50) if order.stop_price is not None else (order.decision.mark or mark, 20)
        return best * (1000 + order.side.sign * self.rng.randrange(most + 1)) / 1000

    def end(self) -> None:
        """An order is cancelled."""
        orders = list(self.state.orders.values())
        if orders:
            self.ended(self.rng.choice(orders))

    def ended(self, order: Order) -> None:
        """The venue says that an order has ended."""
        self.desk.on_event(order.account, ev.OrderCanceled(client_id=order.client_id, reason="asked", ts=self.now))
        self.accountant.orders.pop(order.client_id, None)

    # --- prices

    def move(self) -> None:
        """A price moves: what is exceeded now is said within this update."""
        rng = self.rng
        symbol = rng.choice(list(CLASSES))
        factor = D(rng.choice((850, 950, 990, 1010, 1050, 1150))) / 1000
        keys = [key for key in self.accountant.instruments if self.accountant.instruments[key].base == symbol]
        start = next(price for instrument, price in MARKETS if instrument.base == symbol)
        mark = (self.accountant.marks[keys[0]] * factor).quantize(D("0.01"))
        if not start / 3 < mark < start * 3:
            return
        self.later(1.0)
        self.refresh()
        for key in keys:
            self.price(key, mark)
            self.accountant.marks[key] = mark
        counts = {key for _, key in self.accountant.lines()} & set(keys)
        for key in keys:
            self.risk.heard(key, self.now)
        if counts:
            self.compare()

    def compare(self) -> None:
        """Exceeded limits are told; those that are clearly kept are not."""
        said, uses = self.state.breaches, self.accountant.uses(self.limits)
        for (limit, scope), (used, most) in uses.items():
            if used > most + EPSILON and limit not in COUNTS:
                assert (limit, scope) in said, f"{limit} of {scope or 'all'} is at {used}, above {most}: nothing said"
            elif used < most * D("0.98"):
                assert (limit, scope) not in said, f"{limit} of {scope or 'all'}: {used}, below {most}, is still said"
        assert set(said) <= set(uses)
        self.told += len(said)

    # --- every order of fills

    def drain(self) -> None:
        """Everything open fills in any order, piece by piece: limits of quantities hold after each of them."""
        before = self.accountant.uses(self.limits)
        while self.state.orders:
            self._execute(self.rng.choice(list(self.state.orders.values())), self.rng.choice((0.5, 1.0)))
            for (limit, scope), (used, most) in self.accountant.uses(self.limits).items():
                if limit in COUNTS:
                    allowed = max(most, before.get((limit, scope), (D(0), most))[0])
                    assert used <= allowed, f"{limit} of {scope or 'all'}: {used} above {most}"
            for balances in self.state.balances.values():
                assert all(balance.free >= -EPSILON for balance in balances.values())


def limits_of(rng: random.Random) -> RiskLimits:
    """Limits of which now this one and now that one is the tightest."""

    def share(*percents: int) -> D:
        return D(rng.choice(percents)) / 100

    return RiskLimits(
        max_position_size_pct=share(10, 20, 50),
        max_total_positions=rng.randint(5, 16),
        max_positions_per_symbol=rng.randint(1, 4),
        max_positions_per_strategy=rng.randint(2, 5),
        max_portfolio_exposure=share(30, 60, 95),
        max_account_exposure=share(30, 60, 100),
        max_venue_exposure=share(20, 50, 100),
        max_strategy_exposure=share(10, 20, 100),
        max_class_exposure=share(15, 25, 100),
        max_currency_exposure=share(10, 25, 100),
        max_correlated_exposure=share(15, 30, 60),
        max_concentration=share(20, 40, 100),
        max_daily_loss_pct=D(1),
        max_weekly_loss_pct=D(1),
        max_monthly_loss_pct=D(1),
        breaker_drawdown_pct=D(1),
        max_drawdown_pct=D(1),
        price_band_pct=D("0.5"),
        max_orders_per_second=1000,
        max_orders_per_minute=60_000,
        allow_short=True,
    )


def trade(seed: int, orders: int) -> Trading:
    """One random session with at least so many orders, every one of them judged; raises where a limit is exceeded."""
    trading = Trading(random.Random(seed))
    while trading.asked < orders:
        trading.step()
        if trading.rng.random() < 0.01:
            trading.drain()
    trading.drain()
    return trading
