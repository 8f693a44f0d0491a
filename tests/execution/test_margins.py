"""Leverage and margin mode before anything is opened: asked once, set where nothing stands in the way, or refused."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from engine import events as ev
from engine.errors import (
    ExchangeBannedError,
    ExchangeConnectionError,
    ExchangeRateLimitError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.execution.margins import CHANGED, UNVERIFIED, Margins
from engine.model.ids import InstrumentId
from engine.model.margin import UNLEVERED, MarginMode, MarginSetting
from engine.model.venue import Capabilities, Venue, VenuePosition
from tests.state.test_derivatives import ACCOUNT, PERPETUAL, House

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.ledger import Ledger
    from engine.model.faults import Severity
    from engine.resilience.handler import ErrorHandler

KEY, OTHER = PERPETUAL.id, InstrumentId("SIM:ETH/USDT:USDT")
CROSS_20 = MarginSetting(D(20), MarginMode.CROSS)


def position(quantity: str, setting: MarginSetting = CROSS_20) -> VenuePosition:
    return VenuePosition(
        account=ACCOUNT, instrument=KEY, quantity=D(quantity), entry_price=D(100), mark_price=D(100), unrealised=D(0),
        leverage=setting.leverage, margin_mode=setting.mode, margin=D(1), maintenance=D(1), updated=1,
    )  # fmt: skip


class Far:
    """A venue that opens accounts at 20x in cross mode, as some do, and notes what it is asked."""

    id = PERPETUAL.venue
    capabilities = Capabilities(
        kinds=frozenset({PERPETUAL.kind}), order_types=frozenset(), times_in_force=frozenset(), post_only=True,
        reduce_only=True, amend=True, oco=True, lookup_by_client_id=True, candles=True,
        margin_modes=frozenset(MarginMode), max_leverage=D(20),
    )  # fmt: skip

    def __init__(self) -> None:
        self.holds = CROSS_20
        self.said: list[VenuePosition] = []
        self.asked: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.busy: set[str] = set()
        """What it refuses once, because it has been asked too much."""
        self.deaf = False
        """Whether it says "done" and does nothing."""

    async def _ask(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(0)
        if what in self.fails:
            raise self.fails[what]
        if what in self.busy:
            self.busy.remove(what)
            raise ExchangeRateLimitError("Too many requests.")

    async def margin(self, _account: str, _key: InstrumentId, _mode: MarginMode) -> MarginSetting:
        await self._ask("margin")
        return self.holds

    async def set_margin(self, _account: str, _key: InstrumentId, leverage: D, mode: MarginMode) -> None:
        await self._ask("set")
        if not self.deaf:
            self.holds = MarginSetting(leverage, mode)

    async def positions(self, _account: str) -> Sequence[VenuePosition]:
        await self._ask("positions")
        return self.said

    async def open_orders(self, _account: str) -> Sequence[Any]:
        await self._ask("orders")
        return ()


class Books(House):
    """A ledger without a journal, that also hears what a person is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.margins = Margins(cast("Ledger", self), cast("ErrorHandler", self))

    def subscribe(self, hear: Callable[[ev.Record], None]) -> None:
        self.hear = hear

    @property
    def seq(self) -> int:
        return self.state.seq

    def record(self, event: ev.Event) -> None:
        self.book(event)
        self.hear(ev.Record(seq=self.state.seq, ts=self.state.meta.ts, epoch=1, event=event))

    def alert(self, _severity: Severity, _source: str, message: str) -> None:
        self.told.append(message)

    def report(self, error: BaseException, **_more: Any) -> None:
        assert isinstance(error, Exception)

    @property
    def setting(self) -> MarginSetting:
        return self.state.margin(ACCOUNT, KEY)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def far() -> Far:
    return Far()


async def establish(books: Books, far: Far, judged: int | None = None) -> bool:
    at = books.seq if judged is None else judged
    return await books.margins.establish(cast("Venue", far), ACCOUNT, KEY, at)


async def test_a_flat_account_is_set_to_what_is_wanted_and_looked_at_again(books: Books, far: Far) -> None:
    assert await establish(books, far)
    assert far.holds == UNLEVERED
    assert far.asked == ["margin", "positions", "orders", "set", "margin"]
    assert not await establish(books, far)
    assert len(far.asked) == 5, "what is known is not asked again"
    assert books.setting == UNLEVERED
    assert books.told == []


async def test_many_first_orders_ask_once(books: Books, far: Far) -> None:
    await asyncio.gather(*(establish(books, far) for _ in range(5)))
    assert far.asked.count("set") == 1
    assert far.asked.count("margin") == 2


async def test_many_first_orders_fail_together_and_the_next_one_asks_anew(books: Books, far: Far) -> None:
    far.fails["margin"] = ExchangeConnectionError("It is away.")
    found = await asyncio.gather(*(establish(books, far) for _ in range(5)), return_exceptions=True)
    assert {getattr(error, "error_code", None) for error in found} == {UNVERIFIED}
    assert far.asked == ["margin"]
    far.fails.clear()
    assert await establish(books, far)


@pytest.mark.parametrize("step", ["margin", "positions", "orders", "set"])
@pytest.mark.parametrize("error", [UnknownOutcomeError("No answer."), ValidationError("No."), RuntimeError("odd")])
async def test_nothing_is_opened_while_any_step_fails(books: Books, far: Far, step: str, error: Exception) -> None:
    far.fails[step] = error
    for _ in range(2):
        with pytest.raises(ValidationError, match="was not sent") as refused:
            await establish(books, far)
        assert refused.value.error_code == UNVERIFIED
    assert books.setting == UNLEVERED


@pytest.mark.parametrize("step", ["margin", "positions", "orders", "set"])
async def test_a_venue_that_was_asked_too_much_is_asked_once_more(books: Books, far: Far, step: str) -> None:
    far.busy.add(step)
    assert await establish(books, far)
    assert books.setting == UNLEVERED
    assert far.holds == UNLEVERED
    far.fails[step] = ExchangeBannedError("Shut out.")
    far.holds, asked = CROSS_20, len(far.asked)
    books.margins.forget(ACCOUNT)
    with pytest.raises(ValidationError, match="was not sent"):
        await establish(books, far)
    assert far.asked[asked:].count(step) == 1


async def test_a_venue_that_only_says_done_is_not_believed(books: Books, far: Far) -> None:
    far.deaf = True
    with pytest.raises(ValidationError, match="stays at 20x cross"):
        await establish(books, far)


async def test_under_a_position_the_venues_setting_is_taken_over_and_told(books: Books, far: Far) -> None:
    far.said = [position("3")]
    judged = books.seq
    with pytest.raises(ValidationError, match="20x cross") as refused:
        await establish(books, far, judged)
    assert refused.value.error_code == CHANGED, "risk had judged it at another leverage"
    assert books.setting == CROSS_20
    assert books.state.wanted_margin(ACCOUNT, KEY) == UNLEVERED
    assert "set" not in far.asked
    (told,) = books.told
    assert "20x cross" in told
    # What risk judges from now on may leave; while flat in the books the venue is looked at each time.
    assert await establish(books, far)
    assert len(books.told) == 1
    far.said = []
    with pytest.raises(ValidationError, match="1x isolated"):
        await establish(books, far)
    assert await establish(books, far) is False
    assert (far.holds, books.setting, books.state.wishes) == (UNLEVERED, UNLEVERED, {})


async def test_after_a_loss_it_is_asked_again(books: Books, far: Far) -> None:
    await establish(books, far)
    far.holds = CROSS_20
    books.margins.forget(ACCOUNT)
    assert await establish(books, far)
    assert far.holds == UNLEVERED


async def test_a_loss_while_it_is_asked_leaves_it_unknown(books: Books, far: Far) -> None:
    asking = asyncio.ensure_future(establish(books, far))
    await asyncio.sleep(0)
    books.margins.forget(ACCOUNT)
    assert await asking
    assert await establish(books, far), "it is asked again"


async def test_a_leverage_that_somebody_else_sets_is_noticed(books: Books, far: Far) -> None:
    await establish(books, far)
    books.margins.leverage_moved(ACCOUNT, KEY, D(1))
    assert not await establish(books, far), "our own change told back is no news"
    far.holds = CROSS_20
    books.margins.leverage_moved(ACCOUNT, KEY, D(20))
    assert await establish(books, far)
    assert far.holds == UNLEVERED


async def test_a_position_that_somebody_opens_in_another_mode_is_noticed(books: Books, far: Far) -> None:
    await establish(books, far)
    books.margins.mode_moved(ACCOUNT, KEY, MarginMode.ISOLATED)
    assert not await establish(books, far), "it is as it is booked"
    far.holds, far.said = CROSS_20, [position("5")]
    judged = books.seq
    books.margins.mode_moved(ACCOUNT, KEY, MarginMode.CROSS)
    with pytest.raises(ValidationError, match="20x cross"):
        await establish(books, far, judged)
    assert books.setting == CROSS_20


async def test_a_change_that_nobody_tells_is_found_by_looking(books: Books, far: Far) -> None:
    await establish(books, far)
    await books.margins.review(cast("Venue", far), ACCOUNT)
    assert not await establish(books, far)
    far.holds = CROSS_20
    await books.margins.review(cast("Venue", far), ACCOUNT)
    assert await establish(books, far)
    assert far.holds == UNLEVERED


async def test_what_a_person_sets_is_booked_once_the_venue_holds_it(books: Books, far: Far) -> None:
    venue = cast("Venue", far)
    await books.margins.set(venue, ACCOUNT, KEY, D(5), MarginMode.CROSS)
    assert books.setting == far.holds == MarginSetting(D(5), MarginMode.CROSS)
    assert not await establish(books, far), "it was just looked at"
    far.fails["set"] = ValidationError("There is an open position.")
    with pytest.raises(ValidationError, match="open position"):
        await books.margins.set(venue, ACCOUNT, KEY, D(6), MarginMode.CROSS)
    assert books.setting.leverage == 5
    far.fails.clear()
    far.deaf = True
    with pytest.raises(QuarterdeckError, match="although it took 6x cross"):
        await books.margins.set(venue, ACCOUNT, KEY, D(6), MarginMode.CROSS)
    assert books.setting.leverage == 5
    assert await establish(books, far), "after a failure nothing is taken for known"


@pytest.mark.parametrize(
    ("key", "leverage", "modes", "words"),
    [
        (OTHER, "2", frozenset(MarginMode), "no derivative"),
        (KEY, "2", frozenset({MarginMode.ISOLATED}), "no cross margin"),
        (KEY, "21", frozenset(MarginMode), "1 to 20"),
        (KEY, "0.5", frozenset(MarginMode), "1 to 20"),
    ],
)
async def test_leverage_out_of_bounds_never_leaves(
    books: Books, far: Far, key: InstrumentId, leverage: str, modes: frozenset[MarginMode], words: str
) -> None:

    far.capabilities = msgspec.structs.replace(Far.capabilities, margin_modes=modes)
    with pytest.raises(ValidationError, match=words):
        await books.margins.set(cast("Venue", far), ACCOUNT, key, D(leverage), MarginMode.CROSS)
    assert far.asked == []
