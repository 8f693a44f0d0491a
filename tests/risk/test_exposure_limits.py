"""The limits on groups of positions, at their thresholds, and what a refusal carries."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.errors import DrawdownLimitError, OrderRejectionError, PositionLimitError, RiskManagementError
from engine.model.account import Account, TradingMode
from engine.model.asset_classes import OTHER, AssetClasses
from engine.model.ids import MANUAL, AccountId, Currency
from engine.model.limits import RiskLimits
from engine.model.risk import RefusalCode
from engine.risk.clusters import Clusters
from engine.risk.exposure import Exposure, Grouping
from engine.risk.rules_exposure import NAMES
from tests.kit.limits import loose
from tests.risk.house import (
    BOT,
    BTC,
    BUY,
    ETH,
    ETHBTC,
    OTHER_BOT,
    PAPER,
    PERP,
    SELL,
    SOL,
    USDT,
    VENUE,
    House,
    instrument,
)

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId

SPARE = AccountId("spare")


class Scripted:
    """Correlations as they are wanted; the rest is not known."""

    def __init__(self, **pairs: float) -> None:
        self.pairs = pairs

    def between(self, one: InstrumentId, other: InstrumentId) -> float | None:
        names = sorted(key.partition(":")[2].partition("/")[0] for key in (one, other))
        return self.pairs.get("_".join(names))


def house(correlations: Scripted | None = None, **limits: Any) -> House:
    """A house where only these limits are in the way; SOL has no fee, so one unit at 100 is worth 100."""
    made = House(loose(max_position_size_pct=D(1), max_portfolio_exposure=D(1), allow_short=True, **limits))
    if correlations is not None:
        made.risk.grouping.clusters._correlations = correlations
    return made


def limit_buys(made: House, quantity: str, key: InstrumentId = SOL, **more: Any) -> list[RefusalCode]:
    """Reasons against buying at the mark, which is then the worst price."""
    mark = made.markets[key].mark
    return made.codes(BUY, quantity, key, price=mark, **more)


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ("max_class_exposure", RefusalCode.CLASS_EXPOSURE),
        ("max_currency_exposure", RefusalCode.CURRENCY_EXPOSURE),
        ("max_venue_exposure", RefusalCode.VENUE_EXPOSURE),
        ("max_account_exposure", RefusalCode.ACCOUNT_EXPOSURE),
        ("max_concentration", RefusalCode.CONCENTRATION),
        ("max_portfolio_exposure", RefusalCode.EXPOSURE),
        ("max_position_size_pct", RefusalCode.POSITION_SIZE),
    ],
)
def test_at_the_limit_an_order_passes_and_a_lot_above_it_is_refused(limit: str, code: RefusalCode) -> None:
    made = House(loose(**{"max_position_size_pct": D(1), "max_portfolio_exposure": D(1), limit: D("0.15")}))
    made.trade(BUY, "5", SOL, price="100")
    assert limit_buys(made, "10") == []
    verdict = made.check(BUY, "10.01", SOL, price="100")
    assert [refusal.code for refusal in verdict.refusals] == [code]
    (refusal,) = verdict.refusals
    assert (refusal.name, D(refusal.limit), D(refusal.value)) == (limit, D(1500), D(1501))
    assert NAMES[code] == limit
    assert "at most 10 SOL can be added" in refusal.message


def test_a_bots_exposure_is_limited_and_that_of_a_person_is_free() -> None:
    made = house(max_strategy_exposure=D("0.05"))
    made.trade(BUY, "2", SOL, owner=BOT, price="100")
    assert limit_buys(made, "3", owner=BOT) == []
    assert limit_buys(made, "3.01", owner=BOT) == [RefusalCode.STRATEGY_EXPOSURE]
    assert limit_buys(made, "0.1", ETH, owner=BOT) == []
    assert limit_buys(made, "0.1201", ETH, owner=BOT) == [RefusalCode.STRATEGY_EXPOSURE]
    assert limit_buys(made, "3.01", owner=OTHER_BOT) == []
    assert limit_buys(made, "50", owner=MANUAL) == []


def test_a_bot_has_no_more_positions_than_allowed_and_a_person_has() -> None:
    made = house(max_positions_per_strategy=2)
    made.trade(BUY, "1", SOL, owner=BOT, price="100")
    assert limit_buys(made, "0.01", ETH, owner=BOT) == []
    made.submit(BUY, "0.01", ETH, owner=BOT, price="2500")
    assert limit_buys(made, "0.001", BTC, owner=BOT) == [RefusalCode.POSITIONS]
    assert limit_buys(made, "1", SOL, owner=BOT) == []
    assert limit_buys(made, "0.001", BTC, owner=OTHER_BOT) == []
    assert made.check(BUY, "0.001", BTC, owner=BOT, price="50000").refusals[0].name == "max_positions_per_strategy"


@pytest.mark.parametrize(
    ("limit", "code", "most"),
    [
        # Half of the account's 2,000 at 2x; of the 12,000 at its venue, where 100 are held elsewhere, likewise.
        ("max_account_exposure", RefusalCode.ACCOUNT_EXPOSURE, "20"),
        ("max_venue_exposure", RefusalCode.VENUE_EXPOSURE, "119"),
    ],
)
def test_an_account_and_a_venue_are_bounded_by_their_equity_times_leverage(
    limit: str, code: RefusalCode, most: str
) -> None:
    limits: dict[str, Any] = {limit: D("0.5")}
    made = house(max_leverage=D(2), max_positions_per_symbol=2, **limits)
    opened = Account(id=SPARE, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)
    made.ledger.record(ev.AccountOpened(account=opened))
    made.ledger.record(ev.Deposited(account=SPARE, currency=USDT, amount=D(2_000)))
    made.trade(BUY, "1", SOL, price="100")
    assert code not in limit_buys(made, most, account=SPARE)
    assert code in limit_buys(made, str(D(most) + D("0.01")), account=SPARE)


def test_classes_are_looked_up_by_symbol_then_base_and_the_rest_is_one_class() -> None:
    classes = AssetClasses({"SOL": "mine", "BTC/USDT": "special"})
    assert [classes.of(instrument(key, "1", "1")) for key in (BTC, ETH, SOL)] == ["special", "ether", "mine"]
    unknown = instrument(type(BTC)("SIM:QQQ/USDT"), "1", "1")
    assert classes.of(unknown) == AssetClasses().of(unknown) == OTHER


def test_a_currency_counts_deposits_and_derivatives_against_each_other() -> None:
    made = house(max_currency_exposure=D("0.5"))
    made.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D("0.1")))
    # 15,000 USDT of equity, 5,000 of it in BTC already: 2,500 are left, and a unit costs 50,050 with its fee.
    assert limit_buys(made, "0.04995", BTC) == []
    assert limit_buys(made, "0.04996", BTC) == [RefusalCode.CURRENCY_EXPOSURE]
    made.trade(SELL, "0.05", PERP)
    assert limit_buys(made, "0.0999", BTC) == []
    assert limit_buys(made, "0.09991", BTC) == [RefusalCode.CURRENCY_EXPOSURE]


# --- what moves together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("correlation", "counts"), [(0.7, True), (0.6999, False), (-0.7, False), (None, True)])
def test_what_correlates_from_the_threshold_on_or_is_not_known_counts_together(
    correlation: float | None, counts: bool
) -> None:
    pairs = {} if correlation is None else {"ETH_SOL": correlation}
    made = house(Scripted(**pairs), max_correlated_exposure=D("0.1"))
    made.trade(BUY, "0.2", ETH, price="2500")
    assert limit_buys(made, "5") == []
    found = limit_buys(made, "5.01")
    assert found == ([RefusalCode.CORRELATED_EXPOSURE] if counts else [])


def test_a_long_and_a_short_count_together_where_returns_are_opposed() -> None:
    made = house(Scripted(BTC_SOL=-0.9), max_correlated_exposure=D("0.1"))
    made.trade(SELL, "0.01", PERP)
    assert limit_buys(made, "5") == []
    assert limit_buys(made, "5.01") == [RefusalCode.CORRELATED_EXPOSURE]
    hedged = house(Scripted(BTC_SOL=0.9), max_correlated_exposure=D("0.1"))
    hedged.trade(SELL, "0.01", PERP)
    assert limit_buys(hedged, "5.01") == []


def test_one_instrument_alone_is_no_cluster_and_the_same_asset_twice_is() -> None:
    made = house(Scripted(), max_correlated_exposure=D("0.1"))
    assert limit_buys(made, "20") == []
    made.trade(BUY, "0.01", BTC, price="50000")
    assert made.codes(BUY, "0.009", PERP, price="50000") == []
    assert made.codes(BUY, "0.01", PERP, price="50001") == [RefusalCode.CORRELATED_EXPOSURE]


def test_concentration_is_told_as_an_index_too() -> None:
    made = house()
    picture = made.risk.picture
    grouping = Grouping.by(AssetClasses(), Clusters())
    picture.look()
    assert Exposure(picture, PAPER, grouping).concentration() is None
    made.trade(BUY, "5", SOL, price="100")
    made.trade(BUY, "0.2", ETH, price="2500")
    picture.look()
    assert Exposure(picture, PAPER, grouping).concentration() == D("0.5")


def test_owners_who_stand_against_each_other_still_count_as_each_may_leave() -> None:
    made = house(max_class_exposure=D("0.1"))
    made.trade(BUY, "0.016", PERP, owner=BOT)
    made.trade(SELL, "0.016", PERP)
    # Nothing is held on balance, and 800 would be as soon as either of them leaves.
    assert made.codes(BUY, "0.004", BTC, price="49000") == []
    assert made.codes(BUY, "0.0041", BTC, price="50000") == [RefusalCode.CLASS_EXPOSURE]


def test_a_bots_own_limits_bound_what_is_its_own_and_can_only_be_stricter() -> None:
    made = House(loose(max_position_size_pct=D("0.2")))
    config = b'{"risk": {"max_position_size_pct": "0.05", "max_portfolio_exposure": "0.08", "max_total_positions": 2}}'
    made.ledger.record(ev.BotConfigured(bot=BOT, config=config, capital=D(2000)))
    assert limit_buys(made, "5", owner=BOT) == []
    assert limit_buys(made, "5.01", owner=BOT) == [RefusalCode.POSITION_SIZE]
    assert limit_buys(made, "5.01", owner=OTHER_BOT) == []
    made.trade(BUY, "5", SOL, owner=BOT, price="100")
    # What others hold there is not the bot's.
    made.trade(BUY, "5", SOL, owner=OTHER_BOT, price="100")
    assert limit_buys(made, "0.12", ETH, owner=BOT) == []
    assert limit_buys(made, "0.1201", ETH, owner=BOT) == [RefusalCode.EXPOSURE]
    made.submit(BUY, "0.01", ETH, owner=BOT, price="2500")
    assert limit_buys(made, "0.001", BTC, owner=BOT) == [RefusalCode.POSITIONS]
    assert limit_buys(made, "0.001", BTC, owner=OTHER_BOT) == []


# --- what is refused carries its limit -------------------------------------------------------------------------------


def test_a_refused_order_raises_the_error_of_its_limit_with_limit_value_and_attempt() -> None:
    made = house(max_class_exposure=D("0.1"))
    with pytest.raises(PositionLimitError, match="more than 10 % of equity") as caught:
        made.submit(BUY, "10.01", SOL, price="100")
    assert isinstance(caught.value, RiskManagementError)
    assert isinstance(caught.value, OrderRejectionError)
    found: Any = caught.value.details["refusals"]
    (refusal,) = found
    assert (refusal["name"], D(refusal["limit"]), D(refusal["value"])) == ("max_class_exposure", D(1000), D(1001))


def test_a_loss_limit_raises_its_own_error_and_a_malformed_order_none_of_risk() -> None:
    made = house()
    made.ledger.record(
        ev.BreakerTripped(breaker="max_drawdown", scope=PAPER, value="0.16", threshold="0.15", reason="it fell")
    )
    with pytest.raises(DrawdownLimitError) as caught:
        made.submit(BUY, "1", SOL, price="100")
    assert caught.value.details["refusals"][0]["name"] == "max_drawdown_pct"  # type: ignore[index]
    with pytest.raises(OrderRejectionError) as formal:
        made.submit(SELL, "1", type(BTC)("SIM:NOPE/USDT"))
    assert not isinstance(formal.value, RiskManagementError)
    silent = house()
    silent.later(100)
    with pytest.raises(RiskManagementError) as stale:
        silent.submit(BUY, "1", SOL, price="100")
    assert not isinstance(stale.value, PositionLimitError | DrawdownLimitError)


@pytest.mark.parametrize("limit", ["max_class_exposure", "max_correlated_exposure", "max_positions_per_strategy"])
def test_the_new_limits_are_looser_when_they_are_larger(limit: str) -> None:
    before = RiskLimits()
    value = getattr(before, limit)
    after = before.changed({limit: value * 2})
    assert before.loosened_by(after) == (limit,)
    assert after.loosened_by(before) == ()


def test_other_quote_currencies_count_in_the_base_currency() -> None:
    made = house(max_class_exposure=D("0.15"))
    made.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D("0.2")))
    # 20,000 of equity, a tenth and a half of it in ether: 0.6 ETH at 0.05 BTC.
    assert made.codes(BUY, "1.2", ETHBTC, price="0.05") == []
    assert made.codes(BUY, "1.2001", ETHBTC, price="0.05") == [RefusalCode.CLASS_EXPOSURE]
