"""Facts are put into words, and what is not worth telling is left out."""

from __future__ import annotations

import random
from decimal import Decimal as D
from typing import get_args

from engine import events as ev
from engine.control.present.activity import TOLD, activity
from engine.model.ids import ClientOrderId, Owner
from engine.state import EngineState
from tests.kit.histories import PROPERTY_MIX, HistoryMaker

SILENT = {
    "AccountOpened", "BotConfigured", "BotMemorySaved", "BotRestartPlanned", "EpochOpened", "EquityRecorded",
    "FillsCaughtUp", "FundingCaughtUp", "InstrumentDefined", "MarkOutRecorded", "MarkRecorded",
    "OrderAmendRequested", "OrderAmended",
    "OrderCancelRequested", "OrderSubmitted", "PeakRecorded", "PeriodBegan", "PoolsMeasured", "RiskMeasured",
    "TradeEnded", "Transferred",
}  # fmt: skip


def test_every_kind_of_fact_is_told_or_left_out_on_purpose() -> None:
    told = {kind.__name__ for kind in TOLD}
    assert told | SILENT == {kind.__name__ for kind in get_args(ev.Event)}
    assert not told & SILENT


def test_every_fact_of_any_history_can_be_said() -> None:
    maker = HistoryMaker(random.Random(5), bots=2, mix=PROPERTY_MIX, wanted_open=8)
    state = EngineState()
    said = []
    for record in maker.grow(4_000):
        state.apply(record)
        row = activity(state, record)
        if row is not None:
            said.append(row)
            assert row.text
            assert "  " not in row.text
            assert row.severity in ("info", "good", "warning", "critical")
            assert (row.seq, row.kind) == (record.seq, type(record.event).__name__)
    assert len(said) > 1_000


def test_words_carry_names_amounts_and_reasons() -> None:
    maker = HistoryMaker(random.Random(1), bots=1)
    state = maker.state
    bot = next(iter(state.bots))

    def say(event: ev.Event) -> str:
        row = activity(state, ev.Record(1, 1, 1, event))
        assert row is not None
        return f"{row.severity}: {row.text} [{row.owner}]"

    usdt = state.accounts[next(iter(state.accounts))].base_currency
    account = next(iter(state.accounts))
    assert say(ev.Deposited(account=account, currency=usdt, amount=D("1234.50"), reference="bank")) == (
        f"info: Deposited 1,234.5 USDT in {account} (bank) []"
    )
    assert say(ev.BotStateChanged(bot=bot, state="error", reason="no idea")).startswith("critical: Bot ")
    assert say(ev.OrderCanceled(client_id=ClientOrderId("Q1"), reason="asked", ts=1)) == (
        "info: Cancelled: order Q1 (asked) []"
    )
    assert say(ev.TradingStateChanged(scope="engine", state="active", reason="looked", actor="me")) == (
        "good: Trading is active: looked (by me) []"
    )
    assert say(ev.BotDeleted(bot=Owner("gone"))) == "info: Bot gone deleted []"
