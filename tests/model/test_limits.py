"""Limits have bounds that fit together, and a change is taken whole or not at all."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.errors import ConfigurationError
from engine.model.limits import RiskLimits


def test_limits_come_back_as_they_were_written() -> None:
    limits = RiskLimits(stale_market_s=2.5)
    assert RiskLimits.decode(limits.encode()) == limits
    assert limits.stale_market_ns == 2_500_000_000


def test_a_change_keeps_the_others() -> None:
    changed = RiskLimits().changed({"max_total_positions": "3", "position_size_pct": "0.03"})
    assert (changed.max_total_positions, changed.position_size_pct) == (3, D("0.03"))
    assert changed.max_drawdown_pct == RiskLimits().max_drawdown_pct


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_drawdown_pct": 5}, "max_drawdown_pct: Input should be less than or equal to 1"),
        ({"qqq": 1}, "qqq: no such limit; there are position_size_method, "),
        ({"max_position_per_symbol": 2}, "no such limit, did you mean max_positions_per_symbol?"),
        ({"position_size_pct": "0.5"}, "must not be above"),
        ({"breaker_drawdown_pct": "0.9"}, "softer stop would come last"),
        ({"max_daily_loss_pct": "NaN"}, "max_daily_loss_pct"),
    ],
)
def test_what_does_not_fit_changes_nothing_and_is_said(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was changed") as caught:
        RiskLimits().changed(changes)
    assert said in caught.value.message


def test_stored_limits_that_cannot_be_read_are_an_error_in_words() -> None:
    with pytest.raises(ConfigurationError):
        RiskLimits.decode(b'{"max_drawdown_pct": 7}')
