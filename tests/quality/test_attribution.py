"""Whatever happens, the parts of every profit add up to what the engine has booked."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.model.protections import ProtectionSettings
from engine.quality.tracker import Tracker
from engine.risk.locks import LockKeeper
from engine.state import EXTERNAL, EngineState
from tests.kit.histories import PROPERTY_MIX, HistoryMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

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


MIX = {"order": 22, "progress": 40, "cancel": 6, "amend": 3, "late": 5, "repeat": 4, "oco": 3, "funding": 3}


@pytest.mark.parametrize("seed", range(8))
def test_every_trade_comes_to_the_profit_that_the_engine_records_of_it(seed: int) -> None:
    records = HistoryMaker(random.Random(seed), bots=2, mix=MIX, wanted_open=6).grow(900)
    state, tracker, compared = EngineState(), Tracker(), 0
    seen: set[str] = set()
    locks = LockKeeper(state, ProtectionSettings(), lambda account, instrument: None, lambda account: None)
    for record in records:
        before = dict(tracker.trades)
        state.apply(record)
        tracker.hear(record)
        event = record.event
        if not isinstance(event, ev.OrderFilled) or event.fill.key in seen:
            continue
        seen.add(event.fill.key)
        for fact in locks.on_fill(event.fill, record.ts):
            if isinstance(fact, ev.TradeEnded):
                key = (fact.owner, fact.account, fact.instrument)
                state.trade_totals[key] = fact.total
                [ended] = [
                    trade
                    for trade in tracker.trades.values()
                    if trade.closed == record.ts and (trade.owner, trade.account, trade.instrument) == key
                ]
                assert ended.attribution.profit == fact.profit
                assert ended.id in before or ended.fills == 1
                compared += 1
    assert compared > 5
