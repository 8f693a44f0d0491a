"""Whatever happens, the parts of every profit add up to what the engine has booked."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.quality.tracker import Tracker
from engine.state import EXTERNAL, EngineState
from tests.kit.histories import PROPERTY_MIX, HistoryMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import events as ev
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.quality import TradeQuality

ZERO = Decimal(0)


def followed(records: Sequence[ev.Record]) -> tuple[EngineState, Tracker, dict[str, TradeQuality]]:
    state, tracker, trades = EngineState(), Tracker(), dict[str, "TradeQuality"]()
    for record in records:
        state.apply(record)
        tracker.hear(record)
        trades.update({trade.id: trade for trade in tracker.take()[1]})
    return state, tracker, trades


@pytest.mark.parametrize("seed", range(30))
def test_the_parts_of_all_trades_are_what_every_owner_has_realised(seed: int) -> None:
    maker = HistoryMaker(random.Random(seed), bots=2, mix=PROPERTY_MIX, wanted_open=8)
    records = maker.grow(500)
    state, tracker, trades = followed(records)
    sums: dict[tuple[Owner, AccountId, InstrumentId], Decimal] = {}
    for trade in trades.values():
        key = (trade.owner, trade.account, trade.instrument)
        sums[key] = sums.get(key, ZERO) + trade.attribution.profit
    for key, position in state.owned.items():
        if key[0] == EXTERNAL:
            continue
        books = tracker.books(*key)
        assert books is not None
        own = books.filled
        assert (own.quantity, own.realised) == (position.quantity, position.realised)
        assert (own.fees, own.funding) == (position.fees, position.funding)
        assert sums.get(key, ZERO) - books.owed == position.realised - position.fees - position.funding
