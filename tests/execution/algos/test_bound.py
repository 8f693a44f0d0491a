"""Parent orders beside a position: those that reduce it never turn it, and a bracket protects what it entered."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from engine.model.algos import BracketPlan, ParticipationPlan
from engine.model.ids import MANUAL, Currency
from engine.model.instrument import Instrument, InstrumentKind
from tests.execution.algos.yard import LIMITS, SELL, Yard
from tests.venues.paper.helpers import BTC, PAPER, make_instrument

SPOT = make_instrument(min_quantity="0.001")
PERPETUAL = msgspec.structs.replace(SPOT, kind=InstrumentKind.LINEAR_PERPETUAL, settle=Currency("USDT"))


@pytest.mark.parametrize("instrument", [SPOT, PERPETUAL])
def test_parents_that_reduce_one_position_never_turn_it_together(instrument: Instrument) -> None:
    yard = Yard(instrument=instrument, limits=LIMITS.changed({"allow_short": True})).holding("10")
    plan = ParticipationPlan(rate=D("0.5"), every_ns=10**9)
    for _ in range(3):
        yard.open(plan, side=SELL, quantity="10", reduce_only=True)
    for _ in range(40):
        yard.traded("100", "20")
        yard.step(1)
    assert yard.state.owned[MANUAL, PAPER, BTC].quantity == 0


def test_a_bracket_protects_what_it_entered_after_deposited_coins_were_sold_by_hand() -> None:
    yard = Yard()
    yard.desk.submit(yard.request(SELL, "10"))
    yard.open(BracketPlan(stop=D(95), target=D(110)))
    yard.step()
    assert yard.state.owned[MANUAL, PAPER, BTC].quantity == 0
    assert yard.told()[-2:] == ["sell stop_loss 10@95", "sell take_profit 10@110"]
