"""Capital given to bots never exceeds what the account is worth."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.capital.allocation import check_allocation, unallocated
from engine.errors import CapitalManagementError, InsufficientCapitalError, ValidationError
from engine.model.entries import BotEntry
from engine.model.ids import Currency, Owner


def bot(name: str, capital: str) -> BotEntry:
    return BotEntry(id=Owner(name), name=name, config=b"", capital=D(capital), currency=Currency("USDT"), created=0)


def test_what_is_left_is_equity_less_what_was_given() -> None:
    bots = [bot("a", "2000"), bot("b", "3000.5")]
    assert unallocated(D(10000), bots) == D("4999.5")
    assert unallocated(D(10000), bots, without=Owner("b")) == 8000
    assert unallocated(D(1000), bots) == D("-4000.5")


def test_no_more_than_that_is_given() -> None:
    check_allocation(D(8000), D(8000))
    with pytest.raises(InsufficientCapitalError, match=r"more than the 8,000\.00 that no other bot has") as caught:
        check_allocation(D("8000.01"), D(8000))
    assert caught.value.details == {"wanted": "8000.01", "free": "8000"}
    with pytest.raises(InsufficientCapitalError, match=r"more than the 0\.00"):
        check_allocation(D(1), D(-5))


@pytest.mark.parametrize("wanted", ["0", "-1", "NaN", "Infinity"])
def test_capital_is_above_zero(wanted: str) -> None:
    with pytest.raises(ValidationError, match="above zero"):
        check_allocation(D(wanted), D(10000))


def test_an_account_that_cannot_be_valued_gives_nothing() -> None:
    with pytest.raises(CapitalManagementError, match="cannot be valued"):
        check_allocation(D(1), None)
