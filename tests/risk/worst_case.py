"""Random trading beside an accountant who knows nothing of the gate: `python -m tests.risk.worst_case [ORDERS]`.

The accountant keeps positions, cash and open orders from what was sent and filled alone, and adds everything up anew
each time: no sum of the engine's, no index, no cache. After every order that passes it counts each resting or in-flight
order as filled at its worst allowed price, and no limit may be exceeded that the order adds to. After every price it
says which limits are exceeded by what is held and ordered, and the engine must have said the same.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
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
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId, symbol_of
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.limits import RiskLimits
from engine.model.order import Liquidity, OrderSide, OrderType
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from storage.journal import MemoryJournal
from tests.risk.house import BOT, BUY, OTHER_BOT, PAPER, SELL, USDT, House

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.model.order import Order, OrderRequest

__all__ = ["Accountant", "Trading", "trade"]

SPARE, AWAY = AccountId("spare"), AccountId("away")
ALT = VenueId("ALT")
FUNDS = {PAPER: D(10_000), SPARE: D(4_000), AWAY: D(6_000)}
OWNERS = (MANUAL, BOT, OTHER_BOT)
FEE = D("0.001")
CORRELATED = {
    ("BTC", "ETH"): 0.8,
    ("BTC", "SOL"): 0.3,
    ("ETH", "SOL"): 0.7,
    ("BTC", "LINK"): -0.75,
    ("SOL", "XMR"): 0.69,
}
"""Of all other pairs nobody knows anything."""
CLASSES = {"BTC": "bitcoin", "ETH": "ether", "SOL": "platform", "LINK": "finance", "XMR": "payment", "ZZZ": "other"}
SESSION = 500
"""Orders of one session."""
COUNTS = ("max_total_positions", "max_positions_per_strategy", "max_positions_per_symbol")
EPSILON = D("0.000001")
"""Room for the last digits of sums that are added up in another order."""


def _market(symbol: str, venue: str, price: str, lot: str, *, perpetual: bool = False) -> tuple[Instrument, D]:
    rules = InstrumentRules(valid_from=0, price_tick=D("0.01"), lot=D(lot), taker_fee=FEE)
    instrument = Instrument(
        id=InstrumentId(f"{venue}:{symbol}/USDT{':USDT' if perpetual else ''}"),
        venue=VenueId(venue),
        symbol=f"{symbol}/USDT{':USDT' if perpetual else ''}",
        kind=InstrumentKind.LINEAR_PERPETUAL if perpetual else InstrumentKind.SPOT,
        base=Currency(symbol),
        quote=USDT,
        settle=USDT,
        rules=(rules,),
        multiplier=D("0.01") if perpetual else D(1),
    )
    return instrument, D(price)


MARKETS = (
    _market("BTC", "SIM", "50000", "0.00001"),
    _market("ETH", "SIM", "2500", "0.0001"),
    _market("SOL", "SIM", "100", "0.001"),
    _market("BTC", "SIM", "50000", "0.1", perpetual=True),
    _market("LINK", "SIM", "20", "0.1", perpetual=True),
    _market("XMR", "ALT", "150", "0.001"),
    _market("ZZZ", "ALT", "3", "0.1"),
    _market("ETH", "ALT", "2500", "0.1", perpetual=True),
)
PLACES = {PAPER: "SIM", SPARE: "SIM", AWAY: "ALT"}


class Known:
    """Scripted correlations."""

    def between(self, one: InstrumentId, other: InstrumentId) -> float | None:
        """That of their base currencies."""
        first, second = (key.partition(":")[2].partition("/")[0] for key in (one, other))
        return correlation(first, second)


def correlation(first: str, second: str) -> float | None:
    """Of two currencies; None where nobody knows."""
    if first == second:
        return 1.0
    return CORRELATED.get((first, second), CORRELATED.get((second, first)))


@dataclass
class Sent:
    """An order as the accountant noted it."""

    account: AccountId
    instrument: Instrument
    owner: Owner
    side: OrderSide
    left: D
    worst: D
    """What one unit may cost at most, or is sold for at least as far as is known, fee included."""
    group: str = ""


def worst_price(kind: OrderType, side: OrderSide, price: D | None, stop: D | None, market: D) -> D:
    """The worst price at which a venue lets an order of this kind fill, for one that is bought or sold short."""
    if price is not None:
        return price
    if stop is not None:
        return stop * D("1.05") if side is BUY else stop
    return market * D("1.02") if side is BUY else market


@dataclass
class Accountant:
    """Positions, cash and orders from what was sent and filled alone."""

    instruments: dict[InstrumentId, Instrument]
    marks: dict[InstrumentId, D]
    cash: dict[AccountId, D]
    held: dict[tuple[Owner, AccountId, InstrumentId], D] = field(default_factory=dict)
    spent: dict[tuple[AccountId, InstrumentId], D] = field(default_factory=dict)
    """Signed cost of derivatives, from which their profit follows."""
    orders: dict[str, Sent] = field(default_factory=dict)

    def filled(self, client_id: str, quantity: D, price: D, fee: D) -> None:
        """An order was executed."""
        order = self.orders[client_id]
        signed = quantity if order.side is BUY else -quantity
        key = (order.owner, order.account, order.instrument.id)
        self.held[key] = self.held.get(key, D(0)) + signed
        value = signed * price * order.instrument.multiplier
        if order.instrument.kind is InstrumentKind.SPOT:
            self.cash[order.account] -= value
        else:
            line = (order.account, order.instrument.id)
            self.spent[line] = self.spent.get(line, D(0)) + value
        self.cash[order.account] -= fee
        order.left -= quantity
        if not order.left:
            del self.orders[client_id]

    # --- sums, each from the beginning

    def equity(self, account: AccountId | None = None) -> D:
        """Of one account, or of all."""
        total = D(0)
        for one, cash in self.cash.items():
            if account not in (None, one):
                continue
            total += cash
            for (_, holder, key), quantity in self.held.items():
                if holder == one:
                    total += quantity * self.marks[key] * self.instruments[key].multiplier
            for (holder, _), spent in self.spent.items():
                total -= spent if holder == one else D(0)
        return total

    def shrinks(self, request: OrderRequest) -> bool:
        """Whether an order is no larger than what its account holds the other way."""
        line = (request.account, request.instrument)
        net = sum((quantity for (_, *held), quantity in self.held.items() if tuple(held) == line), D(0))
        return net * request.side.sign < 0 and request.quantity <= abs(net)

    def lines(self) -> set[tuple[AccountId, InstrumentId]]:
        """Where something is held or ordered."""
        found = {key[1:] for key, quantity in self.held.items() if quantity}
        return found | {(order.account, order.instrument.id) for order in self.orders.values()}

    def sides(self, account: AccountId, key: InstrumentId, owner: Owner | None = None) -> tuple[D, D]:
        """The most that can be held long and short if everything of one side fills at its worst."""
        instrument, mark = self.instruments[key], self.marks[key]
        unit = mark * instrument.multiplier
        owners = {who for who, *line in self.held if tuple(line) == (account, key)}
        owners |= {o.owner for o in self.orders.values() if (o.account, o.instrument.id) == (account, key)}
        long = short = D(0)
        if instrument.kind is InstrumentKind.SPOT and owner is None:
            net = sum((self.held.get((who, account, key), D(0)) for who in owners), D(0))
            buys, above = self._working(account, key, None, BUY, unit)
            most = max(net + buys, D(0))
            return (most * unit + above if most else D(0)), D(0)
        for who in owners if owner is None else {owner}:
            net = self.held.get((who, account, key), D(0))
            buys, above = self._working(account, key, who, BUY, unit)
            most = max(net + buys, D(0))
            long += most * unit + above if most else D(0)
            if instrument.kind is InstrumentKind.SPOT:
                continue
            sells, above = self._working(account, key, who, SELL, unit)
            most = max(sells - net, D(0))
            short += most * unit + above if most else D(0)
        return long, short

    def _working(
        self, account: AccountId, key: InstrumentId, owner: Owner | None, side: OrderSide, unit: D
    ) -> tuple[D, D]:
        """Open quantity of a side, of each group its largest member, and what it may cost beyond the mark."""
        groups: dict[str, list[Sent]] = {}
        for name, order in self.orders.items():
            if (order.account, order.instrument.id, order.side) == (account, key, side) and owner in (
                None,
                order.owner,
            ):
                groups.setdefault(f"{order.owner}|{order.group}" if order.group else name, []).append(order)
        quantity = above = D(0)
        for members in groups.values():
            quantity += max(order.left for order in members)
            above += max(order.left * max(order.worst - unit, D(0)) for order in members)
        return quantity, above

    def values(self) -> dict[tuple[AccountId, InstrumentId], tuple[D, D]]:
        """Every line's two sides."""
        return {line: self.sides(*line) for line in self.lines()}

    def in_currency(self, currency: str) -> D:
        """What depends on the price of a coin."""
        up = down = D(0)
        for account, key in self.lines():
            instrument = self.instruments[key]
            if instrument.base != currency:
                continue
            unit = self.marks[key] * instrument.multiplier
            net = sum((q for (_, *line), q in self.held.items() if tuple(line) == (account, key)), D(0)) * unit
            up += net + self._worth(account, key, BUY)
            down += net - self._worth(account, key, SELL)
        return max(up, -down, D(0))

    def _worth(self, account: AccountId, key: InstrumentId, side: OrderSide) -> D:
        unit = self.marks[key] * self.instruments[key].multiplier
        quantity, above = self._working(account, key, None, side, unit)
        spot_sale = side is SELL and self.instruments[key].kind is InstrumentKind.SPOT
        return quantity * unit + (D(0) if spot_sale else above)

    def clusters(self, threshold: D) -> D:
        """The largest sum of what moves together."""
        longs: dict[InstrumentId, D] = {}
        shorts: dict[InstrumentId, D] = {}
        for (_, key), (long, short) in self.values().items():
            longs[key] = longs.get(key, D(0)) + long
            shorts[key] = shorts.get(key, D(0)) + short
        most = D(0)
        for one in longs:
            for mine, other in ((longs, shorts), (shorts, longs)):
                total, members = D(0), 0
                for key in longs:
                    known = correlation(self.instruments[one].base, self.instruments[key].base)
                    if known is None:
                        value = max(longs[key], shorts[key])
                    elif known >= float(threshold):
                        value = mine[key]
                    elif known <= -float(threshold):
                        value = other[key]
                    else:
                        value = D(0)
                    total += value
                    members += value > 0
                if members > 1:
                    most = max(most, total)
        return most

    def counts(self) -> Iterator[tuple[str, str, D]]:
        """How many positions there can be: by what order of fills whatever."""
        taken: dict[Owner, set[tuple[AccountId, InstrumentId]]] = {owner: set() for owner in OWNERS}
        lines = set()
        for account, key in self.lines():
            instrument = self.instruments[key]
            lot = instrument.current_rules.lot
            unit = self.marks[key] * instrument.multiplier
            spot = instrument.kind is InstrumentKind.SPOT
            long = short = net = D(0)
            for owner in OWNERS:
                held = self.held.get((owner, account, key), D(0))
                buys, sells = (self._working(account, key, owner, side, unit)[0] for side in (BUY, SELL))
                long, short = long + max(held + buys, D(0)), short + max(sells - held, D(0))
                net += held + buys
                if held + buys >= lot or (not spot and sells - held >= lot):
                    taken[owner].add((account, key))
            if (max(net, D(0)) if spot else max(long, short)) >= lot:
                lines.add((account, key))
        yield "max_total_positions", "", D(len(lines))
        for owner, symbol in {(owner, symbol_of(key)) for owner, found in taken.items() for _, key in found}:
            same = sum(symbol_of(key) == symbol for _, key in taken[owner])
            yield "max_positions_per_symbol", f"{owner}|{symbol}", D(same)
        for owner, found in taken.items():
            if owner != MANUAL:
                yield "max_positions_per_strategy", owner, D(len(found))

    def uses(self, limits: RiskLimits) -> dict[tuple[str, str], tuple[D, D]]:
        """(limit, what of) -> used and most, of everything there is."""
        values = {line: max(sides) for line, sides in self.values().items()}
        whole, stretched = self.equity(), self.equity() * limits.max_leverage
        found: dict[tuple[str, str], tuple[D, D]] = {}
        for (account, key), value in values.items():
            found["max_position_size_pct", f"{account}|{key}"] = (
                value,
                limits.max_position_size_pct * self.equity(account),
            )
        for account in self.cash:
            used = sum((v for (holder, _), v in values.items() if holder == account), D(0))
            most = limits.max_account_exposure * limits.max_leverage * self.equity(account)
            found["max_account_exposure", account] = (used, most)
        found["max_portfolio_exposure", ""] = (sum(values.values(), D(0)), limits.max_portfolio_exposure * stretched)
        for venue in ("SIM", "ALT"):
            used = sum((v for (_, key), v in values.items() if key.startswith(venue)), D(0))
            found["max_venue_exposure", venue] = (used, limits.max_venue_exposure * stretched)
        for name in set(CLASSES.values()):
            used = sum((v for (_, key), v in values.items() if CLASSES[self.instruments[key].base] == name), D(0))
            found["max_class_exposure", name] = (used, limits.max_class_exposure * whole)
        for currency in CLASSES:
            found["max_currency_exposure", currency] = (
                self.in_currency(currency),
                limits.max_currency_exposure * whole,
            )
        used = self.clusters(limits.correlation_threshold)
        found["max_correlated_exposure", ""] = (used, limits.max_correlated_exposure * whole)
        by_instrument: dict[InstrumentId, D] = {}
        for (_, key), value in values.items():
            by_instrument[key] = by_instrument.get(key, D(0)) + value
        used = sum(sorted(by_instrument.values())[-3:], D(0))
        found["max_concentration", ""] = (used, limits.max_concentration * whole)
        for owner in (BOT, OTHER_BOT):
            used = sum((max(self.sides(*line, owner)) for line in values), D(0))
            found["max_strategy_exposure", owner] = (used, limits.max_strategy_exposure * whole)
        for limit, scope, used in self.counts():
            found[limit, scope] = (used, D(getattr(limits, limit)))
        return found


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
            self.bound.update(error.details["codes"])
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
        try:
            self.desk.amend(order.client_id, quantity=quantity, price=price)
        except (OrderRejectionError, ConflictError):
            return
        # Until the venue has answered the larger of both counts.
        wanted = quantity - order.filled
        unit = price * sent.instrument.multiplier * (1 + FEE)
        sent.left, sent.worst = max(sent.left, wanted), max(sent.worst, unit)
        self.judge(before, f"amended {order.client_id} to {quantity} at {price}")
        answer = ev.OrderAmended(client_id=order.client_id, quantity=quantity, price=price, ts=self.now)
        self.desk.on_event(order.account, answer)
        sent.left, sent.worst = wanted, unit

    def judge(self, before: dict[tuple[str, str], tuple[D, D]], what: str, *, shrinks: bool = False) -> None:
        """No limit is exceeded that the order has added to.

        Whoever closes by hand what a bot holds in a derivative has an entry of their own there, against it.
        """
        for (limit, scope), (used, most) in self.accountant.uses(self.limits).items():
            if shrinks and limit == "max_positions_per_symbol":
                continue
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


def main(orders: int) -> None:
    """Print what came of so many orders."""
    began, seed, reasons = time.perf_counter(), 0, Counter[str]()
    asked = passed = told = 0
    while asked < orders:
        seed += 1
        trading = trade(seed, min(SESSION, orders - asked))
        asked, passed, told = asked + trading.asked, passed + trading.passed, told + trading.told
        reasons.update(trading.bound)
        if seed % 20 == 0:
            print(f"{asked:,} orders, {passed:,} passed, {time.perf_counter() - began:.0f} s", flush=True)
    print(
        f"{asked:,} orders in {seed} sessions, {passed:,} passed, {told:,} times a breach was said; no limit exceeded."
    )
    for reason, count in reasons.most_common():
        print(f"{count:>8,}  {reason}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
