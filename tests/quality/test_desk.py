"""The market after executions is noted when it is due, across restarts, and never made up for; poor ones are told."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.control.history_rows import told_of
from engine.ledger import Ledger
from engine.model.algos import MarketPlan, ParentStatus
from engine.model.ids import ClientOrderId, ParentId, TradeId
from engine.model.order import Decision, OrderSide, OrderType
from engine.model.quality_settings import QualitySettings
from engine.model.risk import Quote
from engine.quality.desk import AT_ONCE, LATE_NS, QualityDesk
from engine.state import EngineState
from engine.state.quality import PENDING
from storage.journal import MemoryJournal
from storage.tables.words import Severity
from tests.kit.quality_story import BOT, BTC, PAPER, story

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId

S = 1_000_000_000
START = 1_700_000_000 * S
BOUGHT = START + 2_100_000_000
STALE = 10 * S


class Market:
    """One market that a test moves."""

    def __init__(self) -> None:
        self.bid: D | None = D("102.9")
        self.ask: D | None = D("103.1")
        self.ts = 0
        self.there = True

    def quote(self, _instrument: InstrumentId) -> Quote | None:
        return Quote(self.bid, self.ask, None, self.ts) if self.there else None


class House:
    """A ledger with the beginning of the story, up to its first execution."""

    def __init__(self, state: EngineState | None = None, now: int = BOUGHT) -> None:
        self.clock = SimulatedClock(now)
        self.state = state or EngineState()
        if state is None:
            for record in story():
                if isinstance(record.event, ev.MarkOutRecorded):
                    break
                self.state.apply(record)
        self.journal = MemoryJournal(keep=True, seq=self.state.seq)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=1)
        self.market = Market()
        self.desk = QualityDesk(self.ledger, self.market, QualitySettings(), lambda: STALE)

    def tick(self, now: int) -> list[ev.MarkOutRecorded]:
        """Let the clock show a time, the market be fresh then, and look."""
        self.clock.set(now)
        self.market.ts = now
        before = len(self.journal.records)
        self.desk.tick(now)
        return [r.event for r in self.journal.records[before:] if isinstance(r.event, ev.MarkOutRecorded)]

    def poor(self) -> list[ev.PoorExecution]:
        """What was told of poor executions."""
        return [r.event for r in self.journal.records if isinstance(r.event, ev.PoorExecution)]


def test_a_market_is_noted_at_its_time_and_not_before() -> None:
    house = House()
    assert house.tick(BOUGHT + 60 * S - 1) == []
    [fact] = house.tick(BOUGHT + 60 * S)
    assert (fact.client_id, fact.fill_ts, fact.last) == ("Q1", BOUGHT, False)
    assert [(mark.horizon, mark.mid, mark.ts) for mark in fact.marks] == [(60 * S, D(103), BOUGHT + 60 * S)]
    assert house.tick(BOUGHT + 61 * S) == []
    [later] = house.tick(BOUGHT + 300 * S)
    [last] = house.tick(BOUGHT + 900 * S)
    assert [mark.horizon // S for fact in (later, last) for mark in fact.marks] == [300, 900]
    assert (later.last, last.last) == (False, True)
    assert house.state.mark_outs == {}


@pytest.mark.parametrize(
    ("late", "known"), [(LATE_NS, True), (LATE_NS + 1, False)], ids=["just in time", "a nanosecond too late"]
)
def test_what_is_looked_at_too_late_is_not_recorded(late: int, known: bool) -> None:
    house = House()
    [fact] = house.tick(BOUGHT + 60 * S + late)
    assert (fact.marks[0].mid is not None) is known


@pytest.mark.parametrize("why", ["one side", "no market", "stale"])
def test_a_market_that_is_not_known_then_is_not_made_up(why: str) -> None:
    house = House()
    if why == "one side":
        house.market.ask = None
    house.market.there = why != "no market"
    now = BOUGHT + 60 * S
    house.clock.set(now)
    house.market.ts = now - (STALE + 1 if why == "stale" else 0)
    house.desk.tick(now)
    [record] = house.journal.records
    assert isinstance(record.event, ev.MarkOutRecorded)
    assert [(mark.horizon, mark.mid) for mark in record.event.marks] == [(60 * S, None)]
    assert house.desk.tick(now + S) == 0, "what was not known then is not asked for again"


def test_what_waits_survives_a_restart_and_what_came_due_meanwhile_is_not_recorded() -> None:
    before = House()
    before.tick(BOUGHT + 60 * S)
    stored = list(before.state.sections())
    again = EngineState.from_sections(stored)
    assert again.state_hash() == before.state.state_hash()
    house = House(again, BOUGHT + 400 * S)
    [fact] = house.tick(BOUGHT + 400 * S)
    assert [(mark.horizon // S, mark.mid) for mark in fact.marks] == [(300, None)]
    [last] = house.tick(BOUGHT + 900 * S)
    assert [(mark.horizon // S, mark.mid) for mark in last.marks] == [(900, D(103))]
    assert last.last
    assert house.state.mark_outs == {}


def test_after_a_long_stop_each_execution_takes_one_fact_and_a_step_only_so_many() -> None:
    house = House()
    for number in range(AT_ONCE + 5):
        buy(house, f"B{number}", at=BOUGHT + number)
    told = house.tick(BOUGHT + 3_600 * S)
    assert len(told) == AT_ONCE
    assert all(fact.last and [mark.mid for mark in fact.marks] == [None, None, None] for fact in told)
    assert len(house.tick(BOUGHT + 3_601 * S)) == 6
    assert house.state.mark_outs == {}


def test_only_so_many_executions_wait() -> None:
    house = House()
    for number in range(PENDING + 3):
        buy(house, f"B{number}", at=BOUGHT + number)
    assert len(house.state.mark_outs) == PENDING
    assert f"Q1@{BOUGHT}" not in house.state.mark_outs


def buy(
    house: House, name: str, at: int, *, price: str = "102", decided: str = "102", sent: str = "102",
    parent: ParentId | None = None, stop: str | None = None,
) -> None:  # fmt: skip
    """An order of 0.01 that is executed at once."""
    house.clock.set(max(at, house.clock.now()))
    key, quantity = ClientOrderId(name), D("0.01")
    house.ledger.record(
        ev.OrderIntended(
            client_id=key, account=PAPER, instrument=BTC.id, owner=BOT, side=OrderSide.BUY,
            type=OrderType.MARKET if stop is None else OrderType.STOP_LOSS, quantity=quantity,
            reserve_currency=BTC.quote, reserve_unit=D(1), decision=decision(decided), parent=parent,
            stop_price=None if stop is None else D(stop),
        )
    )  # fmt: skip
    house.ledger.record(ev.OrderSubmitted(client_id=key, best_bid=D(sent) - 1, best_ask=D(sent) + 1))
    execute(house, key, price, at)


def execute(house: House, key: ClientOrderId, price: str, at: int) -> None:
    """The whole of an order of 0.01 is executed."""
    model = next(r.event.fill for r in story() if isinstance(r.event, ev.OrderFilled))
    fill = msgspec.structs.replace(
        model, client_id=key, trade_id=TradeId(f"t{key}"), quantity=D("0.01"), price=D(price), ts=at
    )
    house.ledger.record(ev.OrderFilled(fill=fill))


def decision(middle: str) -> Decision:
    return Decision(reason="test", best_bid=D(middle) - 1, best_ask=D(middle) + 1)


@pytest.mark.parametrize(("price", "told"), [("100.5", False), ("100.51", True), ("99", False)])
def test_an_execution_that_is_worse_than_the_limit_is_told_once(price: str, told: bool) -> None:
    house = House()
    buy(house, "B1", at=BOUGHT, price=price, decided="100", sent="100")
    found = house.poor()
    assert bool(found) is told
    if not told:
        return
    [poor] = found
    assert [poor.subject, poor.slippage, poor.limit, poor.price] == ["B1", D("0.0051"), D("0.005"), 100]
    assert (poor.cost, poor.currency) == (D("0.0051"), "USDT")
    alert = told_of(poor)
    assert alert is not None
    assert alert[:3] == ("execution", Severity.MEDIUM, "A poor execution in BTC/USDT")
    assert "0.51% worse than 100, which cost 0.0051 USDT; 0.50% is accepted" in alert[3]
    again = next(r.event for r in house.journal.records if isinstance(r.event, ev.OrderFilled))
    house.ledger.record(again)
    assert len(house.poor()) == 1


def test_a_part_of_a_parent_is_judged_by_the_market_at_its_sending_and_the_parent_by_its_decision() -> None:
    house = House()
    parent = ParentId("market-1")
    house.ledger.record(
        ev.ParentOpened(
            parent=parent, account=PAPER, instrument=BTC.id, owner=BOT, side=OrderSide.BUY, quantity=D("0.01"),
            plan=MarketPlan(), decision=decision("100"),
        )
    )  # fmt: skip
    buy(house, "B1", at=BOUGHT, price="103", decided="100", sent="103", parent=parent)
    assert house.poor() == []
    house.ledger.record(ev.ParentEnded(parent=parent, status=ParentStatus.DONE, reason=""))
    [poor] = house.poor()
    assert [poor.subject, poor.price, poor.slippage] == [parent, 100, D("0.03")]


def test_a_stop_is_judged_by_its_trigger() -> None:
    house = House()
    buy(house, "B1", at=BOUGHT, price="120.3", decided="100", sent="100", stop="120")
    assert house.poor() == []
    buy(house, "B2", at=BOUGHT, price="121", decided="100", sent="100", stop="120")
    [poor] = house.poor()
    assert [poor.subject, poor.price] == ["B2", 120]


def test_without_a_known_price_nothing_is_judged() -> None:
    house = House()
    key = ClientOrderId("B1")
    house.ledger.record(
        ev.OrderIntended(
            client_id=key, account=PAPER, instrument=BTC.id, owner=BOT, side=OrderSide.BUY, type=OrderType.MARKET,
            quantity=D("0.01"), reserve_currency=BTC.quote, reserve_unit=D(1), decision=Decision(reason="blind"),
        )
    )  # fmt: skip
    execute(house, key, "500", BOUGHT)
    assert house.poor() == []
