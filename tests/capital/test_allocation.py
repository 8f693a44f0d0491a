"""Capital given to bots never exceeds what the account is worth."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.capital.allocation import check_allocation
from engine.errors import CapitalManagementError, InsufficientCapitalError, ValidationError


def test_no_more_than_that_is_given() -> None:
    check_allocation(D(8000), D(8000))
    with pytest.raises(
        InsufficientCapitalError, match=r"more than the 8,000\.00 that may still be given out"
    ) as caught:
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
