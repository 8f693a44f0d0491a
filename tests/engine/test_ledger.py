"""The ledger books once, in order, and stops for good when state and journal could part."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.errors import JournalError, StateConsistencyError
from engine.ledger import Ledger
from engine.logs import operation
from engine.model.account import Account, TradingMode
from engine.model.ids import AccountId, Currency, VenueId
from engine.state import EngineState
from storage.journal import MemoryJournal

PAPER, USDT = AccountId("paper"), Currency("USDT")


def opened() -> ev.AccountOpened:
    account = Account(id=PAPER, venue=VenueId("SIM"), mode=TradingMode.PAPER, base_currency=USDT)
    return ev.AccountOpened(account=account)


def deposit(amount: str) -> ev.Deposited:
    return ev.Deposited(account=PAPER, currency=USDT, amount=Decimal(amount))


class House:
    """A ledger over memory."""

    def __init__(self) -> None:
        self.journal = MemoryJournal(keep=True)
        self.state = EngineState()
        self.ledger = Ledger(self.state, self.journal, SimulatedClock(), epoch=1)


class BrokenJournal(MemoryJournal):
    """Takes some facts and then fails in a way of its own."""

    def __init__(self, error: Exception, after: int) -> None:
        super().__init__(keep=True)
        self.error = error
        self.after = after

    def append(self, record: ev.Record) -> None:
        if record.seq > self.after:
            raise self.error
        super().append(record)


def test_a_fact_is_numbered_applied_and_journalled_in_one_step() -> None:
    house = House()
    assert house.ledger.record(opened()) == 1
    assert house.ledger.record(deposit("5"), "deposit-1") == 2
    assert house.state.balance(PAPER, USDT).total == 5
    assert [(r.seq, r.correlation) for r in house.journal.records] == [(1, ""), (2, "deposit-1")]
    assert house.ledger.seq == house.journal.durable_seq == 2
    again = EngineState()
    for record in house.journal.records:
        again.apply(record)
    assert again.state_hash() == house.state.state_hash()


def test_a_fact_carries_the_operation_that_led_to_it() -> None:
    house = House()
    with operation("orders.place-7"):
        house.ledger.record(opened())
    house.ledger.record(deposit("1"))
    assert [r.correlation for r in house.journal.records] == ["orders.place-7", ""]


def test_what_a_subscriber_records_is_told_after_the_fact_it_hears() -> None:
    house = House()
    first: list[int] = []
    second: list[int] = []

    def answers(record: ev.Record) -> None:
        first.append(record.seq)
        if record.seq == 1:
            house.ledger.record(deposit("1"))
            house.ledger.record(deposit("2"))
            assert house.ledger.seq == 3, "applied at once"
            assert first == [1], "but told later"

    house.ledger.subscribe(answers)
    house.ledger.subscribe(lambda record: second.append(record.seq))
    house.ledger.record(opened())
    assert first == second == [1, 2, 3]


def test_a_subscriber_may_leave_while_it_hears() -> None:
    house = House()
    heard: list[int] = []

    def once(record: ev.Record) -> None:
        heard.append(record.seq)
        house.ledger.unsubscribe(once)

    house.ledger.subscribe(once)
    house.ledger.record(opened())
    house.ledger.record(deposit("1"))
    assert heard == [1]


def test_a_fact_that_contradicts_the_state_is_not_booked() -> None:
    house = House()
    with pytest.raises(StateConsistencyError):
        house.ledger.record(deposit("1"))
    assert house.ledger.failed is None
    assert house.ledger.seq == 0
    assert house.ledger.record(opened()) == 1


@pytest.mark.parametrize("error", [JournalError("The disk is full."), StateConsistencyError("epoch"), OSError("gone")])
def test_a_journal_that_fails_after_the_fact_was_applied_halts_everything(error: Exception) -> None:
    house = House()
    house.ledger.journal = BrokenJournal(error, after=1)
    told: list[int] = []
    house.ledger.subscribe(lambda record: told.append(record.seq))
    house.ledger.record(opened())
    with pytest.raises(JournalError):
        house.ledger.record(deposit("1"))
    assert house.ledger.failed
    assert told == [1], "nobody acts on a fact that is not journalled"
    with pytest.raises(JournalError, match="Nothing can be booked"):
        house.ledger.record(deposit("1"))
    assert house.ledger.seq == 2, "the state does not move any further"


def test_a_fold_that_breaks_half_way_halts_everything() -> None:
    house = House()
    house.ledger.record(opened())
    too_fine = ev.Deposited(account=PAPER, currency=USDT, amount=Decimal("1e-70"))
    house.ledger.record(deposit("1e70"))
    with pytest.raises(JournalError, match="in doubt"):
        house.ledger.record(too_fine)
    assert house.ledger.failed is not None
    assert len(house.journal.records) == 2, "nothing doubtful was kept"


def test_one_subscriber_that_raises_keeps_nobody_from_hearing() -> None:
    house = House()
    heard: list[int] = []

    def breaks(record: ev.Record) -> None:
        if record.seq == 1:
            house.ledger.record(deposit("1"))
        raise LookupError(f"at {record.seq}")

    house.ledger.subscribe(breaks)
    house.ledger.subscribe(lambda record: heard.append(record.seq))
    with pytest.raises(LookupError, match="at 1"):
        house.ledger.record(opened())
    assert heard == [1, 2]
    house.ledger.unsubscribe(breaks)
    house.ledger.record(deposit("1"))
    assert heard == [1, 2, 3]


def test_a_handler_of_faults_hears_them_and_the_booking_succeeds() -> None:
    house = House()
    faults: list[tuple[int, str]] = []
    house.ledger.on_fault = lambda record, error: faults.append((record.seq, str(error)))

    def breaks(record: ev.Record) -> None:
        raise LookupError("no")

    house.ledger.subscribe(breaks)
    assert house.ledger.record(opened()) == 1
    assert faults == [(1, "no")]
