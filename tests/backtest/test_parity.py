"""A bot's past beside a backtest: what is the same, what differs and by what, and why one is missing."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from engine.backtest.parity import Leg, Past, RecordedTrade, Span, compare
from engine.backtest.trades import ClosedTrade
from engine.model.order import OrderSide

MINUTE = 60_000_000_000
ENDS = [n * MINUTE for n in range(1, 61)]
CLOSES = [100.0 + n for n in range(1, 61)]


def made(minute: int, price: str = "110", out: str = "112", **more: Any) -> ClosedTrade:
    values: dict[str, Any] = {
        "entry_time": minute * MINUTE, "exit_time": (minute + 5) * MINUTE, "side": OrderSide.BUY,
        "entry_price": D(price), "exit_price": D(out), "quantity": D(2), "fees": D("0.4"), "pnl": D("3.6"),
        "reason": "exit signal", "entry_reason": "entry",
    }  # fmt: skip
    return ClosedTrade(**(values | more))


def leg(minute: float, price: float, side: OrderSide = OrderSide.BUY, **more: Any) -> Leg:
    return Leg(ts=int(minute * MINUTE), price=price, side=side, **more)


def lived(minute: float, entry: float = 110.0, out: float | None = 112.0, **more: Any) -> RecordedTrade:
    sell = OrderSide.SELL
    leave = None if out is None else leg(minute + 5, out, sell, reason="exit signal")
    values: dict[str, Any] = {"side": OrderSide.BUY, "quantity": 2.0, "entry": leg(minute, entry), "exit": leave}
    values |= {"fees": 0.4, "pnl": None if out is None else 3.6}
    return RecordedTrade(**(values | more))


def changed(**legs: Leg) -> RecordedTrade:
    return msgspec.structs.replace(lived(10), **legs)


def put(past: Past, *trades: ClosedTrade) -> dict[str, Any]:
    return compare(past, trades, ENDS, CLOSES, MINUTE, "end of data")


def test_equal_trades_are_equal() -> None:
    report = put(Past(trades=[lived(10)]), made(10))
    (row,) = report["trades"]
    assert (row["state"], row["why"]) == ("equal", [])
    assert report["summary"]["worse_by"]["total"] == 0.0


def test_a_worse_price_is_split_into_what_was_recorded() -> None:
    # The bar of minute 10 closed at 110; the mark was 110.5 when the order went out, the ask 110.6, the fill 110.9.
    entry = leg(10.01, 110.9, sent=10 * MINUTE + 5, mark=110.5, touch=110.6)
    report = put(Past(trades=[changed(entry=entry)]), made(10, "110.2"))
    parts = report["trades"][0]["entry_price"]
    assert {name: round(parts[name], 9) for name in ("total", "fills", "latency", "spread", "slippage")} == {
        "total": 0.7, "fills": -0.2, "latency": 0.5, "spread": 0.1, "slippage": 0.3,
    }  # fmt: skip
    assert parts["unexplained"] == 0.0
    assert "latency +0.5" in report["trades"][0]["why"][0]
    assert report["summary"]["worse_by"]["total"] == pytest.approx(1.4), "of two units"


def test_what_was_not_recorded_is_said_and_not_guessed() -> None:
    entry = leg(10.01, 110.9, sent=10 * MINUTE + 5, mark=110.5)
    report = put(Past(trades=[changed(entry=entry)]), made(10, "110.2"))
    parts = report["trades"][0]["entry_price"]
    assert parts["not_recorded"] == ["slippage", "spread"]
    assert (parts["spread"], parts["slippage"]) == (None, None)
    assert parts["unexplained"] == pytest.approx(0.4)
    assert "not recorded" in report["trades"][0]["why"][0]


def test_a_sale_that_got_more_is_better_not_worse() -> None:
    report = put(Past(trades=[lived(10, out=113.0)]), made(10))
    assert report["trades"][0]["exit_price"]["total"] == pytest.approx(-1.0)


def test_an_order_that_rested_is_judged_by_its_trigger() -> None:
    out = leg(15, 107.5, OrderSide.SELL, reason="exit signal", trigger=108.0, sent=MINUTE, mark=90.0, touch=90.0)
    report = put(Past(trades=[changed(exit=out)]), made(10, out="107.9"))
    parts = report["trades"][0]["exit_price"]
    assert (parts["fills"], parts["slippage"]) == (pytest.approx(-0.1), pytest.approx(0.5))
    assert parts["unexplained"] == 0.0


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (Past(spans=[Span(start=9 * MINUTE, end=11 * MINUTE, kind="downtime", words="no engine was running")]),
         "downtime: no engine"),
        (Past(spans=[Span(start=0, end=2**62, kind="halt", words="breaker daily_loss")]), "halt: breaker daily_loss"),
        (Past(spans=[Span(start=0, end=2**62, kind="paused", words="the bot was paused")]), "paused: "),
        (Past(refusals=[(10 * MINUTE + 3, "max_position: too large")]), "refused: max_position"),
        (Past(signals=[(10 * MINUTE, "enter", "BUY entry")]), "not executed: the signal was raised (BUY entry)"),
        (Past(changes=[5 * MINUTE]), "configuration: "),
        (Past(), "no signal: none was recorded"),
        (Past(trades=[lived(2, out=None)]), "position: the bot still held"),
    ],
)  # fmt: skip
def test_a_trade_that_the_bot_did_not_make_has_a_reason(past: Past, words: str) -> None:
    report = put(past, made(10))
    missing = [row for row in report["trades"] if row["state"] == "missing"]
    assert [row["why"][0].startswith(words) for row in missing] == [True], missing
    assert report["summary"]["missing"] == 1
    assert report["summary"]["reasons"][words.partition(":")[0]] == 1


def test_a_trade_that_the_backtest_does_not_make_has_a_reason() -> None:
    still = put(Past(trades=[lived(13)], signals=[(13 * MINUTE, "enter", "")]), made(10))
    assert [row["state"] for row in still["trades"]] == ["missing", "extra"]
    assert still["trades"][1]["why"] == ["position: the backtest still held an earlier trade"]
    alone = put(Past(trades=[lived(30)]), made(10))
    assert "opened by hand" in alone["trades"][1]["why"][0]


def test_trades_are_paired_with_the_nearest_of_their_side() -> None:
    past = Past(trades=[lived(11, quantity=1.0), lived(10)])
    rows = put(past, made(10), made(11))["trades"]
    assert [row["recorded"]["entry_time"] // MINUTE for row in rows] == [10, 11]
    short = put(Past(trades=[lived(10)]), made(10, side=OrderSide.SELL))
    assert {row["state"] for row in short["trades"]} == {"missing", "extra"}


def test_an_open_end_is_said() -> None:
    (row,) = put(Past(trades=[lived(10, out=None)]), made(10))["trades"]
    assert "it is still open; the backtest has left" in row["why"]
    (row,) = put(Past(trades=[lived(10)]), made(10, reason="end of data"))["trades"]
    assert "the backtest still holds" in row["why"][0]
    (row,) = put(Past(trades=[lived(10, out=None)]), made(10, reason="end of data"))["trades"]
    assert row["state"] == "equal"
