"""No order that passes can lead beyond a limit, whatever fills at whatever price; a longer run is a benchmark."""

from __future__ import annotations

import pytest

from tests.risk.worst_case import trade


@pytest.mark.parametrize("first", [1001, 1101, 1201])
def test_an_accountant_of_its_own_finds_no_limit_exceeded_and_every_breach_said(first: int) -> None:
    sessions = [trade(seed, 200) for seed in range(first, first + 3)]
    assert sum(trading.passed for trading in sessions) > 60
    assert sum(trading.told for trading in sessions) > 0
    assert len({reason for trading in sessions for reason in trading.bound}) > 8
