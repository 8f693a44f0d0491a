"""Parent orders that may only reduce: what they promise together is bounded by the position when each part is sent."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from engine.model.algos import ParticipationPlan
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
