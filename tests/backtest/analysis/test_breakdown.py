"""Breakdowns by hand, months of an equity curve, and regimes that are the engine's."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from engine.backtest.analysis.breakdown import TradeFacts, breakdowns, monthly_returns, regime_labels, tag_of
from engine.model.adaptation import AdaptiveSettings
from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from engine.risk.regimes import read
from tests.backtest.analysis.test_bias import walk
from tests.backtest.helpers import HOUR


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def facts(entry: str, exit: str, pnl: float, **more: str) -> TradeFacts:
    return TradeFacts(
        entry=at(entry), exit=at(exit), side=OrderSide.SELL if more.get("side") else OrderSide.BUY, value=100.0,
        pnl=pnl, fees=0.1, symbol=more.get("symbol", "BTC/USDT"), tag=more.get("tag", "cross"),
        reason=more.get("reason", "target"),
    )  # fmt: skip


TRADES = [
    facts("2024-01-30T23:00", "2024-02-01T00:00", 5.0),
    facts("2024-02-05T10:00", "2024-02-05T12:00", -2.0, side="short", reason="stop 99.5"),
    facts("2024-02-06T10:30", "2024-02-07T09:00", 1.0, symbol="ETH/USDT", tag="pullback"),
]


def test_every_breakdown_adds_up_to_the_whole() -> None:
    found = breakdowns(TRADES)
    assert set(found) == {
        "month", "week", "day", "weekday", "hour", "symbol", "side", "entry_tag", "exit_reason"
    }  # fmt: skip
    for rows in found.values():
        assert sum(row["pnl"] for row in rows) == pytest.approx(4.0)
        assert sum(row["trades"] for row in rows) == 3


def test_groups_by_hand() -> None:
    found = breakdowns(TRADES, {"regime": lambda trade: "calm"})
    # What ends at midnight belongs to the day before.
    assert [(row["key"], row["pnl"]) for row in found["month"]] == [("2024-01", 5.0), ("2024-02", -1.0)]
    assert [row["key"] for row in found["week"]] == ["2024-W05", "2024-W06"]
    assert [row["key"] for row in found["day"]] == ["2024-01-31", "2024-02-05", "2024-02-07"]
    assert [row["key"] for row in found["hour"]] == ["10:00", "23:00"]
    assert [row["key"] for row in found["weekday"]] == ["0 Monday", "1 Tuesday"]
    assert [(row["key"], row["trades"]) for row in found["side"]] == [("long", 2), ("short", 1)]
    assert [row["key"] for row in found["exit_reason"]] == ["stop", "target"]
    row = found["regime"][0]
    assert row["key"] == "calm"
    assert row["win_rate"] == pytest.approx(2 / 3)
    assert row["profit_factor"] == 3.0
    assert row["mean_return"] == pytest.approx(0.04 / 3)
    assert (row["best"], row["worst"], row["fees"]) == (5.0, -2.0, pytest.approx(0.3))
    assert found["symbol"][1]["profit_factor"] is None
    assert breakdowns([])["month"] == []


@pytest.mark.parametrize(
    ("reason", "tag"),
    [
        ("z-score -2.31", "z-score"),
        ("crossover up, RSI 64", "crossover up, RSI"),
        ("level 2", "level"),
        ("crossover up: RSI 64", "crossover up"),
        ("protective stop", "protective stop"),
        ("", "not given"),
        ("+3.5 %", "not given"),
    ],
)
def test_a_tag_is_what_reasons_have_in_common(reason: str, tag: str) -> None:
    assert tag_of(reason) == tag


def test_months_by_hand() -> None:
    ts = np.array([at(text) for text in ("2024-01-30T00:00", "2024-01-31T00:00", "2024-02-01T00:00", "2024-02-02T00:00",
                                         "2024-03-02T00:00")])  # fmt: skip
    found = monthly_returns(ts, np.array([100.0, 110.0, 121.0, 100.0, 150.0]))
    assert [row["month"] for row in found] == ["2024-01", "2024-02", "2024-03"]
    assert [row["return"] for row in found] == pytest.approx([0.21, 100 / 121 - 1, 0.5])
    assert [row["days"] for row in found] == [2, 29, 1]
    assert monthly_returns(ts[:1], np.array([1.0])) == []


def test_regimes_are_those_that_the_engine_reads() -> None:
    bars = walk(400, seed=11)
    settings = AdaptiveSettings(history_bars=100)
    rows = [-1, 10, 90, 150, 233, 399]
    found = regime_labels(bars, rows, settings)
    assert found[:2] == ["not known", "not known"]
    for row, label in zip(rows[2:], found[2:], strict=True):
        reading = read(InstrumentId("SIM:BTC/USDT"), bars.slice(0, row + 1), settings)
        trend = {1: "trending up", -1: "trending down", 0: "ranging"}[reading.momentum]
        assert label == f"{reading.volatility} volatility, {trend}"
    assert bars.ts[1] - bars.ts[0] == HOUR
