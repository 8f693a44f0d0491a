"""A bot's own limits are only ever stricter, and reading them costs a look-up."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bots.config import BotConfig
from engine.errors import ConfigurationError
from engine.model.limits import RiskLimits
from engine.model.owner_limits import NO_TERMS, OwnerLimits, owner_limits, terms_of


def config(**more: object) -> BotConfig:
    return BotConfig.model_validate({"name": "a", "strategy": "quiet", "instrument": "SIM:BTC/USDT", **more})


def test_the_terms_are_read_from_the_journalled_configuration_and_kept() -> None:
    body = config(risk={"max_position_size_pct": 0.05, "max_total_positions": 2}, priority=8).encode()
    terms = terms_of(body)
    assert terms.risk == OwnerLimits(max_position_size_pct=D("0.05"), max_total_positions=2)
    assert terms.priority == 8
    assert terms_of(bytes(body)) is terms
    assert terms_of(b"nonsense") is NO_TERMS


def test_a_configuration_of_a_release_without_these_fields_still_decodes_and_may_trade_where_it_did() -> None:
    old = b'{"name":"a","strategy":"quiet","instrument":"SIM:BTC/USDT","timeframe":"1h","capital":"2000","params":{}}'
    found = BotConfig.decode(old)
    assert (found.mode, found.priority, found.isolation, found.risk) == ("live", 5, "task", {})
    assert config().mode == "paper"
    assert BotConfig.decode(config().encode()) == config()
    assert terms_of(old) == NO_TERMS


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": 1},
        {"max_position_size_pct": 0},
        {"max_total_positions": "many"},
        {"max_orders_per_second": -1},
        {"allow_short": True},
    ],
)
def test_limits_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        config(risk=wrong)


@pytest.mark.parametrize("wrong", [{"priority": 0}, {"priority": 11}, {"isolation": "thread"}, {"memory_mb": 63}])
def test_other_fields_have_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        config(**wrong)
    assert config(priority=1).priority == 1
    assert config(priority=10).priority == 10


FRACTIONS = st.decimals(min_value=D("0.001"), max_value=1, places=3)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "max_position_size_pct": FRACTIONS,
            "max_portfolio_exposure": FRACTIONS,
            "max_daily_loss_pct": FRACTIONS,
            "max_drawdown_pct": FRACTIONS,
            "max_orders_per_second": st.integers(1, 1000),
            "max_total_positions": st.integers(1, 1000),
            "stale_market_s": st.floats(0.1, 1000),
            "allow_short": st.just(value=False),
        },
    )
)
def test_whatever_a_bot_says_nothing_is_loosened(values: dict[str, object]) -> None:
    limits = RiskLimits(allow_short=True)
    own = owner_limits(values)
    merged = own.stricter(limits)
    assert limits.loosened_by(merged) == ()
    assert RiskLimits.model_validate(merged.model_dump()) == merged, "and they fit together"
    assert set(own.looser_than(limits)) == {n for n, v in own.named().items() if v > getattr(limits, n)}


def test_a_stored_configuration_that_is_no_object_is_an_error_in_words() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BotConfig.decode(b"[]")
