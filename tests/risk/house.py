"""A small trading house for the tests: real ledger, state, desk and risk department, and a market set by hand."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.clock import SimulatedClock
from engine.execution.desk import Desk
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import Decision, Liquidity, Order, OrderRequest, OrderSide, OrderType
from engine.model.risk import Quote, RefusalCode
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from storage.journal import MemoryJournal
from tests.kit.limits import loose

if TYPE_CHECKING:
    from engine.execution.effects import Effect
    from engine.model.limits import RiskLimits
    from engine.model.risk import Verdict

VENUE = VenueId("SIM")
PAPER = AccountId("paper")
USDT = Currency("USDT")
BTC, ETH, SOL, ETHBTC, PERP = (
    InstrumentId(f"SIM:{symbol}") for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT", "ETH/BTC", "BTC/USDT-PERP")
)
BOT, OTHER_BOT = Owner("bot1"), Owner("bot2")
BUY, SELL = OrderSide.BUY, OrderSide.SELL
SECOND = 1_000_000_000


def instrument(key: InstrumentId, tick: str, lot: str, **rules: Any) -> Instrument:
    """An instrument whose id says what it is."""
    symbol = key.partition(":")[2]
    base, _, quote = symbol.removesuffix("-PERP").partition("/")
    perpetual = symbol.endswith("-PERP")
    return Instrument(
        id=key,
        venue=VENUE,
        symbol=symbol,
        kind=InstrumentKind.LINEAR_PERPETUAL if perpetual else InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(InstrumentRules(valid_from=0, price_tick=D(tick), lot=D(lot), **rules),),
    )


INSTRUMENTS = (
    instrument(BTC, "0.01", "0.00001", min_notional=D(10), max_quantity=D(100), taker_fee=D("0.001")),
    instrument(ETH, "0.01", "0.0001", min_quantity=D("0.001"), min_notional=D(10)),
    instrument(SOL, "0.01", "0.01"),
    instrument(ETHBTC, "0.00001", "0.0001"),
    instrument(PERP, "0.1", "0.001"),
)


class House:
    """One account with 10,000 USDT, two bots with 2,000 each, BTC at 50,000, ETH at 2,500, SOL at 100."""

    def __init__(self, limits: RiskLimits | None = None, funds: str = "10000") -> None:
        self.clock = SimulatedClock()
        self.state = EngineState()
        self.journal = MemoryJournal(keep=True)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=1)
        self.markets: dict[InstrumentId, Quote] = {}
        self.outbox: list[Effect] = []
        self.trades = 0
        self.risk = RiskDepartment(self.ledger, self, limits or loose(), PAPER)
        self.gate = self.risk.gate
        self.desk = Desk(self.ledger, self.gate, self, ClientIds("abcdefgh", 1), self)
        self.risk.attach(self.desk)
        book = self.ledger.record
        book(ev.AccountOpened(account=Account(id=PAPER, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)))
        book(ev.Deposited(account=PAPER, currency=USDT, amount=D(funds)))
        for one in INSTRUMENTS:
            book(ev.InstrumentDefined(instrument=one))
        for owner in (BOT, OTHER_BOT):
            book(ev.BotCreated(bot=owner, name=owner, config=b"{}", capital=D(2000), currency=USDT))
        for key, price in ((BTC, "50000"), (ETH, "2500"), (SOL, "100"), (ETHBTC, "0.05"), (PERP, "50000")):
            self.price(key, price)

    def restart(self, limits: RiskLimits) -> None:
        """Risk and desk begin again with nothing but the booked facts."""
        self.risk = RiskDepartment(self.ledger, self, limits, PAPER)
        self.gate = self.risk.gate
        self.desk = Desk(self.ledger, self.gate, self, ClientIds("abcdefgh", 2), self)
        self.risk.attach(self.desk)

    # the house is its own market and outbox

    def quote(self, key: InstrumentId) -> Quote | None:
        return self.markets.get(key)

    def put(self, effect: Effect) -> None:
        self.outbox.append(effect)

    @property
    def now(self) -> int:
        return self.clock.now()

    def later(self, seconds: float) -> None:
        self.clock.set(self.now + int(seconds * SECOND))

    def price(self, key: InstrumentId, price: str | D) -> None:
        """A market without a spread, heard just now."""
        self.markets[key] = Quote(bid=D(price), ask=D(price), last=D(price), ts=self.now)

    def refresh(self) -> None:
        """All markets are heard again at their prices."""
        for key, quote in self.markets.items():
            self.markets[key] = msgspec.structs.replace(quote, ts=self.now)

    # orders

    def request(
        self, side: OrderSide, quantity: str | D, key: InstrumentId = BTC, owner: Owner = MANUAL, **more: Any
    ) -> OrderRequest:
        price = more.pop("price", None)
        stop = more.pop("stop_price", None)
        kind = more.pop("type", OrderType.MARKET if price is None else OrderType.LIMIT)
        return OrderRequest(
            account=more.pop("account", PAPER),
            instrument=key,
            owner=owner,
            side=side,
            type=kind,
            quantity=D(quantity),
            price=None if price is None else D(price),
            stop_price=None if stop is None else D(stop),
            decision=Decision(reason=more.pop("reason", "test")),
            **more,
        )

    def check(self, side: OrderSide, quantity: str | D, key: InstrumentId = BTC, **more: Any) -> Verdict:
        replaces = more.pop("replaces", None)
        return self.gate.check(self.request(side, quantity, key, **more), self.now, replaces)

    def codes(self, side: OrderSide, quantity: str | D, key: InstrumentId = BTC, **more: Any) -> list[RefusalCode]:
        return [refusal.code for refusal in self.check(side, quantity, key, **more).refusals]

    def submit(self, side: OrderSide, quantity: str | D, key: InstrumentId = BTC, **more: Any) -> Order:
        return self.desk.submit(self.request(side, quantity, key, **more))

    def accept(self, order: Order) -> Order:
        accepted = ev.OrderAccepted(
            client_id=order.client_id, venue_order_id=VenueOrderId(order.client_id), ts=self.now
        )
        self.desk.on_event(PAPER, accepted)
        return order

    def fill(
        self,
        order: Order,
        quantity: str | D | None = None,
        price: str | D | None = None,
        fee: str | D = "0",
        *,
        in_units: bool = False,
    ) -> None:
        """Execute an order, wholly unless a quantity is given, at its mark unless a price is given.

        The fee is taken in the quote currency, or of the units that are traded.
        """
        mark = self.markets[order.instrument].mark
        assert mark is not None
        instrument = self.state.instruments[order.instrument]
        self.trades += 1
        self.desk.on_event(
            PAPER,
            ev.OrderFilled(
                fill=Fill(
                    venue=VENUE,
                    account=PAPER,
                    instrument=order.instrument,
                    trade_id=TradeId(str(self.trades)),
                    venue_order_id=VenueOrderId(order.client_id),
                    client_id=order.client_id,
                    side=order.side,
                    price=mark if price is None else D(price),
                    quantity=order.remaining if quantity is None else D(quantity),
                    fee=D(fee),
                    fee_currency=instrument.base if in_units else instrument.quote,
                    liquidity=Liquidity.TAKER,
                    ts=self.now,
                )
            ),
        )

    def trade(self, side: OrderSide, quantity: str | D, key: InstrumentId = BTC, **more: Any) -> Order:
        """Submit an order and execute it wholly."""
        order = self.submit(side, quantity, key, **more)
        self.fill(order)
        return order

    def cancelled(self, order: Order) -> None:
        """The venue confirms a cancel."""
        self.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="asked", ts=self.now))

    def held(self, key: InstrumentId = BTC, owner: Owner = MANUAL) -> D:
        position = self.state.owned.get((owner, PAPER, key))
        return position.quantity if position is not None else D(0)

    def facts(self, *kinds: type) -> list[Any]:
        return [record.event for record in self.journal.records if isinstance(record.event, kinds)]
