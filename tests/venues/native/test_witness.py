"""The witness: what answers show and the private stream does not tell in time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.order import Liquidity, OrderSide
from engine.venues.native.line import AccountLine
from engine.venues.native.witness import GRACE_NS, Witness

if TYPE_CHECKING:
    from typing import Any

ORDER = ClientOrderId("a")
SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND


class _Venue:
    """As much of a venue as a line wants."""

    def venue_now(self) -> int:
        return NOW

    def private_moved(self, line: AccountLine) -> None: ...

    def tell(self, account: AccountId, event: ev.VenueEvent) -> None: ...


def filled(at: int) -> ev.OrderFilled:
    fill = Fill(
        venue=VenueId("V"),
        account=AccountId("main"),
        instrument=InstrumentId("V:BTC/USDT"),
        trade_id=TradeId("1"),
        venue_order_id=VenueOrderId("7"),
        client_id=ORDER,
        side=OrderSide.BUY,
        price=Decimal(100),
        quantity=Decimal(1),
        fee=Decimal(0),
        fee_currency=Currency("USDT"),
        liquidity=Liquidity.MAKER,
        ts=at,
    )
    return ev.OrderFilled(fill=fill)


def line() -> AccountLine:
    transport: Any = None
    venue: Any = _Venue()
    made = AccountLine(AccountId("main"), transport, venue)
    made.on_up()
    return made


def test_an_order_that_was_told_as_filled_is_owed_nothing_when_lists_no_longer_have_it() -> None:
    watched = line()
    accepted = ev.OrderAccepted(client_id=ORDER, venue_order_id=VenueOrderId("7"), ts=NOW + SECOND)
    watched.heard([accepted, filled(NOW + 2 * SECOND)])
    asked = NOW + 30 * SECOND
    watched.witness.listed([], asked, asked)
    assert watched.witness.overdue(asked + 2 * GRACE_NS) == []


def test_an_order_that_was_told_as_open_and_is_gone_from_lists_is_owed_its_end() -> None:
    witness = Witness()
    witness.began(NOW)
    witness.told(ORDER, NOW + SECOND, is_open=True)
    asked = NOW + 30 * SECOND
    witness.listed([], asked, asked)
    assert witness.overdue(asked + 2 * GRACE_NS) == [ORDER]
    witness.told(ORDER, NOW + 2 * SECOND, is_open=False)
    assert witness.overdue(asked + 2 * GRACE_NS) == []


def test_an_early_execution_does_not_answer_for_a_later_change() -> None:
    witness = Witness()
    witness.began(NOW)
    witness.answered(ORDER, NOW + 20 * SECOND, NOW + 20 * SECOND)
    witness.told(ORDER, NOW + 2 * SECOND, is_open=None)
    assert witness.overdue(NOW + 60 * SECOND) == [ORDER]
    witness.told(ORDER, NOW + 20 * SECOND, is_open=None)
    assert witness.overdue(NOW + 60 * SECOND) == []
