"""An accountant who knows nothing of the gate: positions, cash and open orders from what was sent and filled alone.

Every sum is made anew each time, and in the plainest way: no sum of the engine's, no index, no cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import TYPE_CHECKING

from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId, Owner, VenueId, symbol_of
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from tests.risk.house import BOT, BUY, OTHER_BOT, PAPER, SELL, USDT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.model.limits import RiskLimits
    from engine.model.order import OrderRequest, OrderSide, OrderType

__all__ = ["Accountant", "Known", "Sent", "worst_price"]

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

    def shrinks(self, request: OrderRequest, changes: str = "") -> bool:
        """Whether an order can only make a position smaller, whatever fills: its owner's; by hand, the account's.

        Args:
            request: The order, or what is to be left of one that is changed.
            changes: Id of that one.
        """
        line, manual = (request.account, request.instrument), request.owner == MANUAL
        mine = [
            quantity
            for (who, *at), quantity in self.held.items()
            if tuple(at) == line and (manual or who == request.owner)
        ]
        net = sum(mine, D(0))
        kept = {name: order for name, order in self.orders.items() if name != changes}
        others, _ = self._working(
            *line, None if manual else request.owner, request.side, self.marks[request.instrument], kept
        )
        return net * request.side.sign < 0 and others + request.quantity <= abs(net)

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
        self,
        account: AccountId,
        key: InstrumentId,
        owner: Owner | None,
        side: OrderSide,
        unit: D,
        orders: dict[str, Sent] | None = None,
    ) -> tuple[D, D]:
        """Open quantity of a side, of each group its largest member, and what it may cost beyond the mark."""
        groups: dict[str, list[Sent]] = {}
        for name, order in (self.orders if orders is None else orders).items():
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
