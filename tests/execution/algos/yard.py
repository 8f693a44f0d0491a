"""A paper exchange with a book, the real desk, risk gate and state, and parent orders over them, on simulated time."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.clock import SimulatedClock
from engine.execution.algos.offsets import Offsets
from engine.execution.algos.supervisor import Algos, Standing
from engine.execution.desk import Desk
from engine.execution.effects import CancelEffect, PlaceEffect
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.market.hub import MarketHub
from engine.model.account import Account, TradingMode
from engine.model.ids import MANUAL, AccountId, Currency
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from engine.venues.paper.fill_model import FillKind
from storage.journal import MemoryJournal
from tests.kit.limits import loose
from tests.venues.paper.helpers import BTC, PAPER, SIM, START, make_exchange, make_instrument, snapshot, trade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.errors import QuarterdeckError
    from engine.execution.effects import Effect
    from engine.model.algos import Parent, Plan
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits
    from engine.model.order import Order
    from engine.venues.paper.exchange import PaperExchange

__all__ = ["BUY", "SELL", "Yard"]

BUY, SELL = OrderSide.BUY, OrderSide.SELL
NS = 1_000_000_000
LIMITS = loose(
    max_position_size_pct=D("0.9"), max_orders_per_second=1000, max_orders_per_minute=60_000, price_band_pct=D("0.5")
)


class _Wire:
    """An outbox that calls the exchange at once, or does what the test wants instead."""

    def __init__(self, exchange: PaperExchange, clock: SimulatedClock) -> None:
        self.exchange = exchange
        self.clock = clock
        self.desk: Desk
        self.lose: Callable[[Effect], bool] = lambda effect: False
        """Whether the answer to an effect is lost."""
        self.refuse = ""
        """Code under which every new order is rejected; empty for none."""
        self.kept: list[tuple[AccountId, ev.VenueEvent]] = []
        self.places: list[PlaceEffect] = []

    def put(self, effect: Effect) -> None:
        now = self.clock.now()
        if isinstance(effect, PlaceEffect):
            self.places.append(effect)
            client_id = effect.command.client_id
            self.desk.submitted(client_id)
            if self.refuse:
                reason = "the venue does not want it"
                rejected = ev.OrderRejected(client_id=client_id, code=self.refuse, reason=reason, ts=now)
                self.desk.on_event(effect.command.account, rejected)
                return
            reports = list(self.exchange.place(effect.command, now))
        elif isinstance(effect, CancelEffect):
            reports = list(self.exchange.cancel(effect.account, effect.client_id, now))
        else:
            reports = list(
                self.exchange.amend(
                    effect.account,
                    effect.client_id,
                    now,
                    quantity=effect.quantity,
                    price=effect.price,
                    stop_price=effect.stop_price,
                )
            )
        if self.lose(effect):
            assert isinstance(effect, PlaceEffect)
            self.desk.unknown(effect.command.client_id, "the answer was lost")
            self.kept += reports
            return
        self.tell(reports)

    def tell(self, reports: Sequence[tuple[AccountId, ev.VenueEvent]]) -> None:
        for account, event in reports:
            self.desk.on_event(account, event)


class Yard:
    """Parent orders at work. `step` lets time pass, moves the market and lets every parent take its step."""

    def __init__(
        self,
        *,
        instrument: Instrument | None = None,
        limits: RiskLimits = LIMITS,
        can_amend: bool = True,
        adapts: bool = False,
        records: Sequence[ev.Record] = (),
        exchange: PaperExchange | None = None,
        clock: SimulatedClock | None = None,
    ) -> None:
        self.instrument = instrument or make_instrument(min_quantity="0.001")
        self.clock = clock or SimulatedClock(START)
        self.exchange = exchange or make_exchange(FillKind.BOOK, instrument=self.instrument)
        self.state = EngineState()
        self.journal = MemoryJournal(keep=True)
        for record in records:
            self.state.apply(record)
            self.journal.append(record)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=2 if records else 1)
        self.hub = MarketHub()
        self.hub.add(self.instrument)
        self.wire = _Wire(self.exchange, self.clock)
        self.risk = RiskDepartment(self.ledger, self.hub, limits, PAPER)
        self.desk = Desk(self.ledger, self.risk.gate, self.hub, ClientIds("abcdefgh", self.ledger.epoch), self.wire)
        self.wire.desk = self.desk
        self.risk.attach(self.desk)
        self.blocked = self.over = ""
        self.stopped: list[QuarterdeckError] = []
        self.algos = Algos(
            self.ledger,
            self.desk,
            self.hub,
            self.hub,
            standing=lambda parent, now: Standing(self.blocked, self.over),
            can_amend=lambda order: can_amend,
            on_stop=lambda parent, error: self.stopped.append(error),
            offsets=Offsets(self.ledger, 0.95) if adapts else None,
        )
        self._seq = 0
        if not records:
            account = Account(id=PAPER, venue=SIM, mode=TradingMode.PAPER, base_currency=Currency("USDT"))
            self.ledger.record(ev.InstrumentDefined(instrument=self.instrument))
            self.ledger.record(ev.AccountOpened(account=account))
            self.ledger.record(ev.Deposited(account=PAPER, currency=Currency("USDT"), amount=D(1_000_000)))
            self.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1_000)))
            self.market("99.99", "100.01")

    def again(self, *, adapts: bool = False) -> Yard:
        """Another process after this one was killed: the same exchange, nothing but the journal."""
        self.ledger.failed = "killed"
        other = Yard(
            instrument=self.instrument,
            records=self.journal.records,
            exchange=self.exchange,
            clock=self.clock,
            adapts=adapts,
        )
        book = self.hub.market(BTC).book
        other.hub.on_market(book.to_snapshot(), self.clock.now())
        assert other.state.state_hash() == self.state.state_hash()
        return other

    def holding(self, quantity: str) -> Yard:
        """The same after so much was bought by hand, which `told` leaves out."""
        self.desk.submit(self.request(BUY, quantity))
        self.wire.places.clear()
        return self

    # --- the market --------------------------------------------------------------------------------------------------

    def market(self, bid: str, ask: str, size: str = "500") -> None:
        """Another book of one level a side."""
        self._seq += 1
        now = self.clock.now()
        book = snapshot([(bid, size)], [(ask, size)], seq=self._seq, ts=now)
        self.hub.on_market(book, now)
        self.wire.tell(self.exchange.on_book(book))

    def traded(self, price: str, quantity: str, aggressor: str = "sell") -> None:
        """Somebody traded."""
        now = self.clock.now()
        one = trade(price, quantity, aggressor, ts=now)
        self.hub.on_market(one, now)
        self.wire.tell(self.exchange.on_trade(one))

    def step(self, seconds: float = 0.25) -> None:
        """Time passes, and every parent takes its step; the market is heard and stays."""
        self.clock.set(self.clock.now() + int(seconds * NS))
        market = self.hub.market(BTC)
        market.heard, market.version = self.clock.now(), market.version + 1
        self.algos.tick(self.clock.now())

    # --- parents -----------------------------------------------------------------------------------------------------

    def request(self, side: OrderSide = BUY, quantity: str = "10", **more: Any) -> OrderRequest:
        return OrderRequest(
            account=PAPER,
            instrument=BTC,
            owner=more.pop("owner", MANUAL),
            side=side,
            type=OrderType.MARKET,
            quantity=D(quantity),
            decision=Decision(reason="test"),
            **more,
        )

    def open(self, plan: Plan, side: OrderSide = BUY, quantity: str = "10", **more: Any) -> Parent:
        slippage = more.pop("max_slippage", None)
        return self.algos.open(self.request(side, quantity, **more), plan, max_slippage=slippage)

    def parent(self, parent: Parent) -> Parent:
        """The parent as this process knows it."""
        found = self.state.parent(parent.id)
        assert found is not None
        return found

    def children(self, parent: Parent) -> list[Order]:
        return self.state.children(parent.id)

    def told(self) -> list[str]:
        """All orders that were ever sent, as `side type quantity@price`."""
        found = []
        for effect in self.wire.places:
            order = effect.command
            at = order.price if order.price is not None else order.stop_price
            price = "" if at is None else f"@{at.normalize():f}"
            found.append(f"{order.side} {order.type} {order.quantity.normalize():f}{price}")
        return found

    def amended(self) -> list[str]:
        """All changes that were asked for, as `quantity@price`."""
        return [
            f"{'' if e.quantity is None else format(e.quantity.normalize(), 'f')}@"
            f"{'' if (at := e.price if e.price is not None else e.stop_price) is None else format(at.normalize(), 'f')}"
            for record in self.journal.records
            if isinstance(e := record.event, ev.OrderAmendRequested)
        ]
