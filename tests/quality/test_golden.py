"""Figures of one trade that were worked out by hand; see tests/kit/quality_story.py for what happened."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderStatus
from engine.quality import measures
from engine.quality.summary import summarise
from engine.quality.tracker import Tracker
from engine.state import EngineState
from tests.kit.quality_story import BOT, BTC, PAPER, story

if TYPE_CHECKING:
    from engine.model.quality import OrderQuality, TradeQuality

POOR = D("0.005")
MS = 1_000_000
START = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def told() -> tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]]:
    tracker = Tracker()
    for record in story():
        tracker.hear(record)
    orders, trades = tracker.take()
    return {order.client_id: order for order in orders}, trades


def test_each_order_links_decision_trade_position_and_profit(
    told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]],
) -> None:
    orders, [trade] = told
    buy, limit, rest = (orders[ClientOrderId(name)] for name in ("Q1", "Q2", "Q3"))
    assert {order.trade for order in orders.values()} == {trade.id}
    assert [buy.position_before, buy.position_after] == [0, 2]
    assert [limit.position_before, limit.position_after, limit.status] == [2, D("0.5"), OrderStatus.CANCELED]
    assert [rest.position_before, rest.position_after] == [D("0.5"), 0]
    assert (buy.strategy, buy.reason, buy.venue_order_id) == ("trend_following@1", "averages crossed", "vQ1")
    assert [trade.owner, trade.side, trade.entered, trade.exited] == [BOT, OrderSide.BUY, 2, 2]
    assert [trade.orders, trade.fills, trade.position] == [3, 3, 0]
    assert (trade.opened, trade.closed) == (START + 2_100 * MS, START + 402_500 * MS)


def test_profit_is_split_by_its_causes(told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]]) -> None:
    _, [trade] = told
    parts = trade.attribution
    # at the decisions: 1.5 x 111 + 0.5 x 109 - 2 x 100; at the sendings: 1.5 x 110.5 + 0.5 x 109 - 2 x 101
    assert [parts.signal, parts.timing, parts.execution, parts.fees] == [21, D("-2.75"), D("-2.85"), D("-0.55")]
    assert parts.profit == D("14.85")
    state = EngineState()
    for record in story():
        state.apply(record)
    booked = state.owned[BOT, PAPER, BTC.id]
    assert parts.profit == booked.realised - booked.fees - booked.funding


def test_shortfall_of_each_order(told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]]) -> None:
    orders, _ = told
    buy, limit, rest = (measures.shortfall(orders[ClientOrderId(name)]) for name in ("Q1", "Q2", "Q3"))
    assert buy is not None
    assert limit is not None
    assert rest is not None
    assert [buy.total, buy.delay, buy.trading, buy.base, buy.bps] == [4, 2, 2, 200, pytest.approx(200)]
    assert (limit.total, limit.delay, limit.trading) == (D("1.5"), D("0.75"), D("0.75"))
    assert [rest.total, rest.delay, rest.trading] == [D("0.1"), 0, D("0.1")]
    assert limit.bps == pytest.approx(1.5 / 166.5 * 10_000)


def test_the_timing_chain(told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]]) -> None:
    chain = told[0][ClientOrderId("Q1")].chain
    steps = (chain.signal, chain.intended, chain.durable, chain.sent, chain.acknowledged, chain.first_fill)
    assert [(ts - START) // MS for ts in steps] == [990, 1_000, 1_020, 1_050, 2_000, 2_100]
    assert chain.last_fill == chain.ended == START + 2_100 * MS
    # The exits say the same, but the signal has led to the entry.
    assert told[0][ClientOrderId("Q3")].chain.signal == 0


def test_mark_outs_are_what_was_recorded_and_nothing_else(
    told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]],
) -> None:
    buy = told[0][ClientOrderId("Q1")]
    assert measures.mark_out_bps(buy, 60) == pytest.approx(1 / 102 * 10_000)
    assert measures.mark_out_bps(buy, 300) is None
    assert buy.marks["300"].missing == 2
    assert measures.mark_out_bps(buy, 900) == pytest.approx(-1 / 102 * 10_000)
    assert told[0][ClientOrderId("Q2")].marks == {}


def test_scores_follow_their_rule(told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]]) -> None:
    orders, _ = told
    buy, limit, rest = (orders[ClientOrderId(name)] for name in ("Q1", "Q2", "Q3"))
    assert measures.slippage(buy) == pytest.approx(0.02)
    # 60 for a price four times too bad, 5 for half of two seconds, 10 for a market that went away
    assert measures.score(buy, 0.005) == pytest.approx(25)
    # not whole: a quarter of 20; no mark-out: 90 points could be lost
    assert measures.score(limit, 0.005) == pytest.approx(100 * (1 - (60 + 5 + 5) / 90))
    worse = 0.2 / 109
    assert measures.score(rest, 0.005) == pytest.approx(100 * (1 - (60 * worse / 0.005 + 5) / 90))
    known = [measures.score(order, 0.005) or 0 for order in (buy, limit, rest)]
    assert measures.trade_score(orders.values(), 0.005) == pytest.approx(
        (known[0] * 204 + known[1] * 165 + known[2] * 54.4) / 423.4
    )


def test_groups_add_up(told: tuple[dict[ClientOrderId, OrderQuality], list[TradeQuality]]) -> None:
    [venue] = summarise(told[0].values(), "venue", POOR)
    assert (venue.name, venue.currency, venue.orders, venue.executed, venue.measured) == ("SIM", "USDT", 3, 3, 3)
    assert (venue.shortfall, venue.delay, venue.trading) == (D("5.6"), D("2.75"), D("2.85"))
    assert venue.shortfall_bps == pytest.approx(5.6 / (200 + 166.5 + 54.5) * 10_000)
    assert [venue.signal, venue.timing, venue.execution, venue.fees] == [21, D("-2.75"), D("-2.85"), D("-0.55")]
    assert venue.profit == D("14.85")
    assert [venue.ended, venue.fill_rate] == [3, pytest.approx(2.75 / 3)]
    assert [venue.limits, venue.limits_whole, venue.limit_fill_rate] == [1, 0, pytest.approx(0.75)]
    assert venue.maker == pytest.approx(165 / 423.4)
    assert [venue.poor, venue.signal_ms, venue.durable_ms, venue.ack_ms] == [2, pytest.approx(10), 20, 1000]
    assert {mark.seconds: mark.bps is None for mark in venue.marks} == {60: False, 300: True, 900: False}
    by = {name: [group.name for group in summarise(told[0].values(), name, POOR)] for name in ("type", "bot", "parent")}
    assert by == {"type": ["market", "limit"], "bot": ["bot-1"], "parent": []}
