"""How positions in derivatives stand: isolated by their own margin, in cross mode by the whole account."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.margin import MarginMode, MarginSetting, MarginTier
from engine.model.standing import Exposure, standings, used_margin

ISOLATED, CROSS = MarginMode.ISOLATED, MarginMode.CROSS
USDT = Currency("USDT")


def exposure(
    quantity: str, entry: str, mark: str | None, leverage: str = "10", mode: MarginMode = ISOLATED, base: str = "BTC"
) -> Exposure:
    instrument = Instrument(
        id=InstrumentId(f"SIM:{base}/USDT:USDT"), venue=VenueId("SIM"), symbol=f"{base}/USDT:USDT",
        kind=InstrumentKind.LINEAR_PERPETUAL, base=Currency(base), quote=USDT, settle=USDT, multiplier=D("0.1"),
        rules=(
            InstrumentRules(
                valid_from=0, price_tick=D("0.1"), lot=D(1),
                margin=(MarginTier(maintenance=D("0.01"), max_leverage=D(50)),),
            ),
        ),
    )  # fmt: skip
    cost = D(entry) * D(quantity) * D("0.1")
    setting = MarginSetting(D(leverage), mode)
    return Exposure(
        instrument=instrument, quantity=D(quantity), cost=cost, mark=None if mark is None else D(mark), setting=setting
    )


def test_an_isolated_position_stands_on_its_margin_alone() -> None:
    one = exposure("50", "100", "95")
    (standing,) = standings([one], D(10_000)).values()
    assert (standing.margin, standing.maintenance, standing.notional) == (D(50), D("4.75"), D(475))
    assert standing.ratio == D("4.75") / D(25)
    assert standing.liquidation == pytest.approx((D(500) - 50) / (D("0.1") * (50 - D("0.5"))), rel=D("1e-20"))
    (poor,) = standings([one], D(50)).values()
    assert poor == standing


def test_in_cross_mode_the_account_stands_for_all_and_isolated_margin_is_taken_out() -> None:
    btc, eth = exposure("50", "100", "95", mode=CROSS), exposure("-20", "100", "90", mode=CROSS, base="ETH")
    alone = exposure("10", "100", "100", base="SOL")
    found = standings([btc, eth, alone], D(200))
    equity = D(200) - alone.margin - 25 + 20
    needed = D("4.75") + D("1.8")
    for one in (btc, eth):
        assert found[one.instrument.id].ratio == pytest.approx(needed / equity)
    liquidation = found[btc.instrument.id].liquidation
    assert liquidation is not None
    at = D("0.1") * 50 * (liquidation - 95)
    left = equity + at
    assert left == pytest.approx(D("1.8") + liquidation * 5 * D("0.01"), rel=D("1e-9"))


def test_what_is_used_counts_margins_and_the_loss_in_cross_mode() -> None:
    assert used_margin([]) == 0
    assert used_margin([exposure("50", "100", "120")]) == D(50)
    assert used_margin([exposure("50", "100", "90", mode=CROSS)]) == D(45) + D(50)
    assert used_margin([exposure("50", "100", "120", mode=CROSS)]) == D(60)


def test_without_a_mark_nothing_is_claimed() -> None:
    isolated, cross = exposure("50", "100", None), exposure("50", "100", None, mode=CROSS, base="ETH")
    found = standings([isolated, cross], D(1000))
    assert found[isolated.instrument.id].ratio is None
    assert found[isolated.instrument.id].liquidation is not None
    assert found[cross.instrument.id].ratio is None
    assert found[cross.instrument.id].liquidation is None
    assert found[cross.instrument.id].margin == D(50)
