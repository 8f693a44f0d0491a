"""What is sent comes back equal, or is refused."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control import views
from engine.control.wire import check, decode, encode
from engine.errors import QuarterdeckError
from engine.model.ids import Currency, InstrumentId
from engine.model.order import OrderSide

ALL_VIEWS = [getattr(views, name) for name in views.__all__]


@pytest.mark.parametrize("kind", ALL_VIEWS, ids=lambda kind: kind.__name__)
def test_every_view_is_frozen_and_can_be_read_back_by_its_type(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    msgspec.json.Decoder(kind)
    assert kind.__doc__


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12), st.floats(allow_nan=False, allow_infinity=False))
def test_money_and_figures_survive_to_the_last_digit(amount: D, share: float) -> None:
    row = views.BalanceRow(currency=Currency("USDT"), free=amount, reserved=D(0), total=amount, value=None, share=share)
    found = decode(encode(row), views.BalanceRow)
    assert found == row
    assert str(found.free) == str(amount), "trailing zeros too"
    check([row, (row,)])


def test_what_is_no_view_of_that_kind_is_refused() -> None:
    with pytest.raises(QuarterdeckError, match="cannot be understood"):
        decode(b'{"currency": 5}', views.BalanceRow)


class Loses(msgspec.Struct, frozen=True):
    """Something that does not come back."""

    kept: int = 0

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("data", [Loses(1), [Loses(1)]])
def test_what_does_not_survive_is_noticed(data: Any) -> None:
    with pytest.raises(QuarterdeckError, match="does not survive"):
        check(data)


def test_plain_replies_survive() -> None:
    check("The engine is stopping.")
    check({"hash": "x", "metrics": {"sharpe": None}})
    check(())
    check(views.OwnLevel(side=OrderSide.BUY, price=1, quantity=2, client_ids=()))
    check(views.EquityPoint(ts=1, equity=1.5))
    assert encode([views.FeedRow(instrument=InstrumentId("SIM:BTC/USDT"), live=True, last=0, updates=0, gaps=0)])
