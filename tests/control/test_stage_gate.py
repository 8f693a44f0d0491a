"""An exchange that is open for orders of the least size: nobody gets more there, and every exit passes."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from engine.capital.currencies import Hedge
from engine.control.live.gate import LeastVenue, ReadOnlyVenue, held_to_stage
from engine.control.live.least import LEAST_HEADROOM, least_quantity
from engine.control.venue_check.report import CheckReport, CheckResult, Outcome, write_report
from engine.errors import ExchangeConnectionError, ValidationError
from engine.execution.emulation.terms import fitted
from engine.model.algos import IcebergPlan
from engine.model.ids import MANUAL, AccountId, ClientOrderId, Currency, InstrumentId
from engine.model.market import BookUpdate
from engine.model.order import Decision, OrderRequest, OrderSide, OrderStatus, OrderType
from engine.model.venue import AMEND_UNSUPPORTED, OrderCommand
from engine.venue_settings import VenueSettings
from engine.venue_unit import adapter_of
from tests.control.house import Deck, deck
from tests.kit.waiting import eventually
from tests.venues.paper.helpers import BTC, PAPER, SIM, make_instrument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from engine.model.instrument import Instrument
    from engine.model.venue import Capabilities, Venue

BUY, SELL = OrderSide.BUY, OrderSide.SELL
WHY = "SIM takes orders of the least size only."
LEAST = D("0.12")
"""A value of 10, with headroom, at 100."""


class Exchange:
    """A venue with one market at 100, that keeps what it was sent."""

    id = SIM

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = msgspec.structs.replace(capabilities, reduce_only=False, amend=True)
        self.sent: list[OrderCommand] = []
        self.asks: tuple[tuple[int, int], ...] = ((10_000, 1),)
        self.away = False
        self.instrument = make_instrument(min_notional="10")

    async def instruments(self) -> Sequence[Instrument]:
        return [self.instrument]

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        if self.away:
            raise ExchangeConnectionError("It is away.")
        bid = self.instrument.price_to_int(D(100))
        asks = tuple((bid, size) for _, size in self.asks)
        return BookUpdate(instrument, 0, 1, snapshot=True, bids=((bid, 1),), asks=asks)

    async def place(self, command: OrderCommand) -> None:
        self.sent.append(command)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


def order(side: OrderSide = BUY, quantity: D = LEAST, **more: Any) -> OrderCommand:
    kind = more.pop("type", OrderType.MARKET)
    return OrderCommand(
        client_id=ClientOrderId("q1"), account=PAPER, instrument=BTC, side=side, type=kind, quantity=quantity, **more
    )


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ({}, LEAST),
        ({"side": SELL}, LEAST),
        # One that rests far below the market is worth its own price; a buy above it costs the market's.
        ({"type": OrderType.LIMIT, "price": D(50)}, D("0.24")),
        ({"type": OrderType.LIMIT, "price": D(200)}, LEAST),
        ({"side": SELL, "type": OrderType.LIMIT, "price": D(200)}, D("0.06")),
        ({"side": SELL, "type": OrderType.LIMIT, "price": D(50)}, LEAST),
        # What waits for a price that is reached already is executed at the market.
        ({"type": OrderType.STOP_LOSS, "stop_price": D(1)}, LEAST),
        ({"type": OrderType.STOP_LOSS, "stop_price": D(200)}, D("0.06")),
    ],
)
async def test_an_order_of_the_least_size_passes_and_no_larger_one(on: Deck, more: dict[str, Any], most: D) -> None:
    exchange = Exchange(on.engine.venue.capabilities)
    held = LeastVenue(cast("Venue", exchange), lambda: False, WHY)
    await held.place(order(quantity=most, **more))
    with pytest.raises(ValidationError, match=f"that is {most:f} BTC, and this is") as refused:
        await held.place(order(quantity=most + D("0.001"), **more))
    assert refused.value.error_code == "unchecked"
    assert [command.quantity for command in exchange.sent] == [most]


async def test_what_only_reduces_or_closes_in_an_emergency_passes_whatever_its_size(on: Deck) -> None:
    exchange = Exchange(on.engine.venue.capabilities)
    held = LeastVenue(cast("Venue", exchange), lambda: False, WHY)
    exchange.away = True
    leaving = order(SELL, D(50), reduce_only=True)
    assert fitted(leaving, held.capabilities, {BTC: exchange.instrument}, None).reduce_only
    await held.place(leaving)
    await held.place(order(SELL, D(50), urgent=True))
    # The exchange itself does not know the word.
    assert [(command.quantity, command.reduce_only) for command in exchange.sent] == [(D(50), False)] * 2
    with pytest.raises(ValidationError, match="not known: It is away"):
        await held.place(order())
    exchange.away, exchange.asks = False, ()
    with pytest.raises(ValidationError, match="not known"):
        await held.place(order())


async def test_orders_are_replaced_and_not_changed_there(on: Deck) -> None:
    exchange = Exchange(on.engine.venue.capabilities)
    held = LeastVenue(cast("Venue", exchange), lambda: False, WHY)
    assert not held.capabilities.amend
    with pytest.raises(ValidationError, match="changes none in place") as refused:
        await held.amend(PAPER, ClientOrderId("q1"), quantity=D(50))
    assert refused.value.error_code == AMEND_UNSUPPORTED
    held.capabilities = msgspec.structs.replace(held.capabilities, oco=True)
    assert (exchange.capabilities.amend, exchange.capabilities.reduce_only) == (True, False)


async def test_a_check_that_passes_opens_it_at_once(on: Deck) -> None:
    exchange, opened = Exchange(on.engine.venue.capabilities), [False]
    held = LeastVenue(cast("Venue", exchange), lambda: opened[0], WHY)
    with pytest.raises(ValidationError):
        await held.place(order(quantity=D(5)))
    opened[0] = True
    await held.place(order(quantity=D(5)))
    assert len(exchange.sent) == 1


def test_an_exchange_is_held_to_what_its_checks_have_opened(tmp_path: Path) -> None:
    settings = VenueSettings(name="sim", kind="coinbase", mode="live", testnet=False)
    exchange = cast("Venue", object())
    assert isinstance(held_to_stage(tmp_path, settings, exchange), ReadOnlyVenue)
    for traded, kind in ((False, LeastVenue), (True, object)):
        check = CheckResult(name="online", about="It is online", outcome=Outcome.PASSED, words="It is.", ms=1.0)
        write_report(
            tmp_path,
            CheckReport(
                release="1",
                venue=settings.id,
                adapter=settings.kind,
                target="coinbase",
                instrument=InstrumentId("SIM:BTC/USDT"),
                begun=1,
                ended=2,
                private=True,
                traded=traded,
                checks=(check,),
            ),
        )
        assert type(held_to_stage(tmp_path, settings, exchange)) is kind


# --- by every way ----------------------------------------------------------------------------------------------------


def hold(on: Deck) -> LeastVenue:
    """Put the gate before the venue of a running engine, where it stands for an exchange."""
    guard = on.engine.guard
    held = LeastVenue(guard.inner, lambda: False, WHY)
    guard.inner = cast("Venue", held)
    assert adapter_of(guard.inner) is adapter_of(held.inner)
    return held


def wanted(on: Deck, quantity: D, side: OrderSide = BUY, **more: Any) -> OrderRequest:
    return OrderRequest(
        account=on.engine.account, instrument=BTC, owner=MANUAL, side=side, type=OrderType.MARKET, quantity=quantity,
        decision=Decision(reason="test"), **more,
    )  # fmt: skip


def hedge(on: Deck, quantity: D) -> None:
    plan = Hedge(
        account=on.engine.account, currency=Currency("BTC"), instrument=BTC, side=BUY, quantity=quantity,
        covers=quantity, value=D(1), exposure=0.5, after=0.1, reason="test",
    )  # fmt: skip
    assert on.engine.capital.send_hedge is not None
    on.engine.capital.send_hedge(plan)


def algorithm(on: Deck, quantity: D) -> None:
    price = on.engine.mark(BTC)
    assert price is not None
    on.engine.algos.open(wanted(on, quantity), IcebergPlan(display=quantity, price=price))


@pytest.mark.parametrize("way", [hedge, algorithm, lambda on, quantity: on.engine.desk.submit(wanted(on, quantity))])
async def test_no_way_leads_past_it(on: Deck, way: Callable[[Deck, D], None]) -> None:
    instrument, mark = on.engine.state.instruments[BTC], on.engine.mark(BTC)
    assert mark is not None
    await on.market(quantity="0.01")
    hold(on)
    most = least_quantity(instrument, mark, LEAST_HEADROOM)
    before = on.engine.state.owned[MANUAL, AccountId("paper"), BTC].quantity
    seen = set(on.engine.state.recent)
    way(on, most * 20)

    def refused() -> list[str]:
        recent = on.engine.state.recent
        return [recent[i].reason for i in recent if i not in seen and recent[i].status is OrderStatus.REJECTED]

    await eventually(lambda: bool(refused()))
    assert refused()[0].startswith(WHY)
    assert on.engine.state.owned[MANUAL, AccountId("paper"), BTC].quantity == before
    # What was bought before is larger than the least, and is sold all the same.
    on.engine.algos.cancel_matching(lambda parent: True, "the test is over")
    (row,) = await on.call("portfolio.close", owner="manual", instrument=BTC)
    await on.reaches(row, OrderStatus.FILLED)
