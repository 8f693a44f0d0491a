"""Derivatives against their venue: who bears funding, what differs in positions, and what is done about it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from engine import events as ev
from engine.errors import ExchangeConnectionError, NotFoundError
from engine.execution.accounts import Accounts
from engine.execution.derivatives import Derivatives
from engine.execution.funding import funding_fact
from engine.execution.positions import FOUND, Adopt, Agree, Wait, compare_positions
from engine.model.ids import InstrumentId, Owner
from engine.model.margin import MarginMode, MarginSetting
from engine.model.venue import Capabilities, FundingPayment, Venue, VenueBalance, VenuePosition
from engine.state import EXTERNAL
from tests.state.test_derivatives import ACCOUNT, PERPETUAL, USDT, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from engine.execution.inquiry import Inquiry
    from engine.ledger import Ledger
    from engine.resilience.handler import ErrorHandler

SECOND = 1_000_000_000
KEY, OTHER = PERPETUAL.id, InstrumentId("SIM:ETH/USDT:USDT")


def payment(amount: str, *, name: str = "p1", ts: int = 50, key: InstrumentId = KEY) -> FundingPayment:
    return FundingPayment(id=name, account=ACCOUNT, instrument=key, currency=USDT, amount=D(amount), ts=ts)


def position(quantity: str, *, key: InstrumentId = KEY, leverage: str = "1", mode: MarginMode = MarginMode.ISOLATED,
             entry: str = "100", mark: str = "110") -> VenuePosition:  # fmt: skip
    return VenuePosition(
        account=ACCOUNT, instrument=key, quantity=D(quantity), entry_price=D(entry), mark_price=D(mark),
        unrealised=D(0), leverage=D(leverage), margin_mode=mode, margin=D(1), maintenance=D(1), updated=1,
    )  # fmt: skip


# --- funding ---------------------------------------------------------------------------------------------------------


def test_funding_is_split_by_what_was_held_and_the_rest_goes_to_the_largest() -> None:
    fact = funding_fact(payment("1"), {Owner("a"): D(1), Owner("b"): D(1), Owner("c"): D(1)})
    shares = {part.owner: part.amount for part in fact.parts}
    assert fact.amount == D(1)
    assert fact.owner not in shares
    assert sorted([*shares.values(), fact.amount - sum(shares.values())]) == [
        D("0.33333333"), D("0.33333333"), D("0.33333334")
    ]  # fmt: skip
    again = funding_fact(payment("1"), {Owner("c"): D(1), Owner("b"): D(1), Owner("a"): D(1)})
    assert again == fact


def test_owners_on_both_sides_pay_each_other() -> None:
    fact = funding_fact(payment("2"), {Owner("a"): D(6), Owner("b"): D(-2)})
    assert fact.owner == "a"
    assert fact.parts == (ev.FundingPart(Owner("b"), D(-1)),)


@pytest.mark.parametrize("held", [{}, {Owner("a"): D(1), Owner("b"): D(-1)}], ids=["nobody", "nobody in sum"])
def test_funding_of_what_nobody_holds_is_nobodys(held: dict[Owner, D]) -> None:
    fact = funding_fact(payment("2"), held)
    assert (fact.owner, fact.parts) == (EXTERNAL, ())


# --- the table of positions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("booked", "said", "sure", "expected"),
    [
        ({}, [], {}, []),
        ({KEY: D(3)}, [position("3")], {}, []),
        ({KEY: D(3)}, [position("5")], {}, [Wait(KEY, D(2))]),
        ({KEY: D(3)}, [position("5")], {KEY: D(1)}, [Wait(KEY, D(2))]),
        ({KEY: D(3)}, [position("5")], {KEY: D(2)}, [(D(2), D(110))]),
        ({}, [position("-5")], {KEY: D(-5)}, [(D(-5), D(100))]),
        ({KEY: D(3)}, [], {KEY: D(-3)}, [(D(-3), D(90))]),
        ({OTHER: D(3)}, [], {OTHER: D(-3)}, [Wait(OTHER, D(-3))]),
    ],
    ids=["nothing", "agrees", "first", "changed since", "lasting", "unknown short", "gone", "gone without a price"],
)
def test_what_follows_from_positions(
    booked: dict[InstrumentId, D], said: list[VenuePosition], sure: dict[InstrumentId, D], expected: list[object]
) -> None:
    found = list(compare_positions(ACCOUNT, booked, {}, said, sure=list(sure.items()), marks={KEY: D(90)}, now=70))
    early = compare_positions(ACCOUNT, booked, {}, said, sure=[], marks={KEY: D(90)}, now=70)
    assert not [d for d in early if isinstance(d, Adopt)], "it may still be an execution that is late"
    shown = [(d.event.quantity, d.event.price) if isinstance(d, Adopt) else d for d in found]
    assert shown == expected
    assert all("resume on Risk" in d.halt and d.event.ts == 70 for d in found if isinstance(d, Adopt))


def test_what_is_found_at_a_first_start_is_adopted_at_once_and_halts_nothing() -> None:
    (found,) = compare_positions(ACCOUNT, {}, {}, [position("5")], sure=[], marks={}, now=7, opening=True)
    assert isinstance(found, Adopt)
    assert (found.halt, found.event.reason, found.event.price) == ("", FOUND, D(100))


def test_the_venues_leverage_and_mode_are_taken_over() -> None:
    said = [position("5", leverage="3", mode=MarginMode.CROSS)]
    (found,) = compare_positions(ACCOUNT, {KEY: D(5)}, {}, said, sure=[], marks={}, now=7)
    known = ev.MarginSet(account=ACCOUNT, instrument=KEY, leverage=D(3), mode=MarginMode.CROSS, adopted=True)
    assert found == Agree(known)
    booked = {KEY: MarginSetting(D(3), MarginMode.CROSS)}
    assert not list(compare_positions(ACCOUNT, {KEY: D(5)}, booked, said, sure=[], marks={}, now=7))


# --- carried out -----------------------------------------------------------------------------------------------------


class Far:
    """A venue of which only derivatives are asked."""

    id = PERPETUAL.venue
    capabilities = Capabilities(
        kinds=frozenset({PERPETUAL.kind}), order_types=frozenset(), times_in_force=frozenset(), post_only=True,
        reduce_only=True, amend=True, oco=True, lookup_by_client_id=True, candles=True,
        margin_modes=frozenset({MarginMode.ISOLATED}), max_leverage=D(20),
    )  # fmt: skip

    def __init__(self) -> None:
        self.payments: list[FundingPayment] = []
        self.said: list[VenuePosition] = []

    async def funding_since(self, _account: str, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        at = int(cursor or 0)
        page = self.payments[at : at + 2]
        return page, str(at + len(page)) if page else cursor

    async def positions(self, _account: str) -> Sequence[VenuePosition]:
        return self.said


class Books(House):
    """A ledger without a journal, its clock, and an inquiry that finds what is late by then."""

    failed = None
    time = 99
    late: tuple[int, Callable[[], None]] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.halts: list[str] = []

    @property
    def clock(self) -> Books:
        return self

    def now(self) -> int:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += round(seconds * SECOND)

    def record(self, event: ev.Event) -> None:
        self.book(event)

    async def catch_up(self, _venue: object, _account: str) -> str:
        if self.late is not None and self.time >= self.late[0]:
            self.late[1]()
            self.late = None
        return ""

    def halt(self, reason: str) -> None:
        self.halts.append(reason)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def far() -> Far:
    return Far()


def derivatives_of(books: Books, use: Callable[[Iterable[InstrumentId]], Awaitable[None]]) -> Derivatives:
    ledger, inquiry, errors = cast("Ledger", books), cast("Inquiry", books), cast("ErrorHandler", None)
    return Derivatives(ledger, inquiry, {KEY: D(100)}.get, {KEY: 60}.get, errors, use, books.halt)


@pytest.fixture
def derivatives(books: Books) -> Derivatives:
    async def use(instruments: Iterable[InstrumentId]) -> None:
        for instrument in instruments:
            raise NotFoundError(f"{instrument} is not traded.")

    return derivatives_of(books, use)


async def test_funding_is_fetched_once_and_split_as_it_was_held(
    derivatives: Derivatives, books: Books, far: Far
) -> None:
    books.trade("a", 3, "100", ts=10)
    books.trade("b", 1, "100", ts=60)
    far.payments = [payment("0.3", ts=50), payment("0.8", name="p2", ts=70), payment("1", name="p3", key=OTHER)]
    venue = cast("Venue", far)
    assert await derivatives.catch_up(venue, ACCOUNT) == 2
    assert {o: p.funding for (o, _, _), p in books.state.owned.items()} == {"a": D("0.9"), "b": D("0.2")}
    assert books.state.funding_cursors == {ACCOUNT: "3"}
    books.state.funding_cursors.clear()
    before = books.money
    assert await derivatives.catch_up(venue, ACCOUNT) == 0
    assert books.money == before == D("9998.9")


async def test_an_instrument_is_learnt_before_its_funding_is_passed_over(books: Books, far: Far) -> None:
    asked: list[InstrumentId] = []

    async def use(instruments: Iterable[InstrumentId]) -> None:
        for instrument in instruments:
            asked.append(instrument)
            books.state.instruments[instrument] = msgspec.structs.replace(PERPETUAL, id=instrument)

    learning = derivatives_of(books, use)
    far.payments = [payment("1", name="p3", key=OTHER)]
    assert await learning.catch_up(cast("Venue", far), ACCOUNT) == 1
    assert asked == [OTHER]


async def test_a_first_start_takes_over_positions_and_passes_over_old_funding(
    derivatives: Derivatives, books: Books, far: Far
) -> None:
    far.payments, far.said = [payment("1")], [position("5", leverage="2")]
    venue = cast("Venue", far)
    past = await derivatives.pass_over(venue, ACCOUNT, "")
    derivatives.open(venue, ACCOUNT, await derivatives.held(venue, ACCOUNT), past)
    assert books.owned() == {EXTERNAL: D(5)}
    assert books.state.margin(ACCOUNT, KEY).leverage == 2
    assert await derivatives.catch_up(cast("Venue", far), ACCOUNT) == 0
    assert books.money == 10_000
    assert derivatives.latest[ACCOUNT, KEY].quantity == 5
    assert books.halts == []


async def test_a_difference_is_taken_over_when_it_stays_beyond_the_delay(
    derivatives: Derivatives, books: Books, far: Far
) -> None:
    books.trade("a", 3, "100")
    far.said = [position("5")]
    venue = cast("Venue", far)
    for _ in range(3):
        assert await derivatives.compare(venue, ACCOUNT) == []
        assert not await derivatives.settle(venue, ACCOUNT, patient=False)
        assert derivatives.young(ACCOUNT) == ((KEY, D(2)),)
    books.time += 29 * SECOND
    assert await derivatives.compare(venue, ACCOUNT) == []
    assert books.owned() == {"a": D(3)}
    books.time += SECOND
    adopted = await derivatives.compare(venue, ACCOUNT)
    assert adopted is not None
    assert [one.event.quantity for one in adopted] == [D(2)]
    assert books.owned() == {"a": D(3), EXTERNAL: D(2)}
    assert await derivatives.settle(venue, ACCOUNT)
    far.said = [position("7")]
    assert await derivatives.compare(venue, ACCOUNT) == [], "the same once more has to last as well"


async def test_before_trading_a_difference_is_waited_for_and_an_execution_that_is_late_explains_it(
    derivatives: Derivatives, books: Books, far: Far
) -> None:
    books.trade("a", 3, "100")
    far.said = [position("5")]
    began = books.time
    # The venue has the position at once, and lists its execution half a minute later.
    books.late = (began + 25 * SECOND, lambda: books.trade("a", 2, "100"))
    assert await derivatives.settle(cast("Venue", far), ACCOUNT)
    assert (books.owned(), books.halts) == ({"a": D(5)}, [])
    assert books.time - began == 30 * SECOND
    books.late = None
    far.said = [position("9")]
    assert await derivatives.settle(cast("Venue", far), ACCOUNT)
    assert (books.owned(), books.time - began) == ({"a": D(5), EXTERNAL: D(4)}, 60 * SECOND)


async def test_while_too_much_is_executed_to_tell_nothing_is_known(
    derivatives: Derivatives, books: Books, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(_account: str) -> Sequence[VenuePosition]:
        books.trade("a", 1, "100")
        return []

    with monkeypatch.context() as patch:
        patch.setattr(far, "positions", busy)
        assert await derivatives.compare(cast("Venue", far), ACCOUNT) is None
        assert not await derivatives.settle(cast("Venue", far), ACCOUNT, patient=False)
        assert not await derivatives.settle(cast("Venue", far), ACCOUNT)
    far.said = [position(str(books.owned()["a"]))]
    assert await derivatives.settle(cast("Venue", far), ACCOUNT)


async def test_what_is_taken_over_halts_trading_whatever_fails_afterwards(
    derivatives: Derivatives, books: Books, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.state.instruments[OTHER] = msgspec.structs.replace(PERPETUAL, id=OTHER)
    answers = iter([[position("5")], [position("5"), position("1", key=OTHER)]])

    async def positions(_account: str) -> Sequence[VenuePosition]:
        for said in answers:
            return said
        raise ExchangeConnectionError("The venue is away.")

    monkeypatch.setattr(far, "positions", positions)
    assert await derivatives.compare(cast("Venue", far), ACCOUNT) == []
    books.time += 30 * SECOND
    with pytest.raises(ExchangeConnectionError):
        await derivatives.settle(cast("Venue", far), ACCOUNT)
    assert books.owned() == {EXTERNAL: D(5)}
    (reason,) = books.halts
    assert "where 0 are booked, and no execution explains it" in reason


class WithMoney(Far):
    """A venue that says what is in the account, too."""

    has = D(0)

    async def balances(self, _account: str) -> Sequence[VenueBalance]:
        return [VenueBalance(currency=USDT, total=self.has, locked=D(0))]


@pytest.mark.parametrize(("more", "taken_over"), [("0", True), ("1", False)])
async def test_profit_that_is_split_otherwise_because_an_execution_came_late_is_no_missing_money(
    derivatives: Derivatives, books: Books, more: str, taken_over: bool
) -> None:
    # It bought 2000 at 100, 2000 at 110 and sold 2000 at 120; the second purchase was heard of last.
    for contracts, price in ((2000, "100"), (-2000, "120"), (2000, "110")):
        books.trade("a", contracts, price)
    venue, accounts = WithMoney(), Accounts(cast("Ledger", books), cast("Inquiry", books), derivatives)
    venue.said, venue.has = [position("2000", entry="105")], books.money - 10 + D(more)
    found = await accounts.settle(cast("Venue", venue), ACCOUNT)
    assert found is not None
    assert bool(found) is not taken_over
    entry = books.state.positions[ACCOUNT, KEY].average_price()
    assert entry == (105 if taken_over else 110)
    assert (books.money == venue.has) is taken_over
    assert books.owned()["a"] == 2000
    if taken_over:
        books.trade("a", -2000, "110")
        assert books.money == venue.has + 10


def test_funding_is_asked_for_after_its_time_until_it_has_come(derivatives: Derivatives, books: Books) -> None:
    second = 1_000_000_000
    assert not derivatives._due(ACCOUNT, 10 * second)
    books.trade("a", 3, "100")
    assert not derivatives._due(ACCOUNT, 2 * second)
    assert derivatives._due(ACCOUNT, 4 * second)
    assert not derivatives._due(ACCOUNT, 5 * second)
    assert derivatives._due(ACCOUNT, 7 * second)
    asked = sum(derivatives._due(ACCOUNT, n * second) for n in range(8, 200))
    assert asked == 8
