"""What the operations on execution quality answer of the story in `quality_story`, and of a longer list of trades."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec

from engine.control.present.quality import order_score, trade_score
from engine.control.views import FillRow
from engine.control.views_quality import QualityReport, TradeDetail, TradeScore, TradeScores
from engine.model.ids import MANUAL, InstrumentId, Owner
from engine.model.order import Liquidity, OrderSide
from engine.model.quality import Attribution
from engine.quality.summary import summarise
from engine.quality.tracker import Tracker
from tests.kit.fake_market import NOW
from tests.kit.quality_story import story

if TYPE_CHECKING:
    from engine.model.quality import GroupQuality, OrderQuality, TradeQuality

__all__ = ["detail", "quality_data", "report", "trades"]

POOR = D("0.005")
HOUR = 3_600_000_000_000


def _told() -> tuple[list[OrderQuality], TradeQuality]:
    tracker = Tracker()
    for record in story(NOW - 2 * HOUR):
        tracker.hear(record)
    orders, [trade] = tracker.take()
    return orders, trade


def _name(owner: str) -> str:
    return {"bot-1": "trend-1"}.get(owner, owner)


def report(by: str = "venue") -> QualityReport:
    """Orders put together; a venue with one limit order that was not whole, and one that is not known well."""
    orders, _ = _told()
    [own] = summarise(orders, by, POOR)
    other: GroupQuality = msgspec.structs.replace(
        own, name="OKX", orders=1_204, executed=1_180, poor=0, value=D("1843201.50"), shortfall=D("-120.25"),
        shortfall_bps=-0.65, delay_bps=0.1, fill_rate=0.981, limit_fill_rate=0.981, score=93.2, ack_ms=48.0,
        fill_ms=61.0, marks=own.marks[:1], signal=D(900), timing=D(-12), execution=D("132.25"), fees=D(-310),
    )  # fmt: skip
    return QualityReport(
        by=by, since=0, groups=(other, own), complete=True, poor_slippage=POOR, fill_rate_target=D("0.95"), behind=0
    )


def trades() -> TradeScores:
    """The trade of the story, one that is open, and one by hand of which no decision price was recorded."""
    orders, trade = _told()
    first = trade_score(trade, orders, _name, float(POOR))
    rows: list[TradeScore] = [
        msgspec.structs.replace(
            first, id="trade-91", opened=NOW - HOUR, closed=0, side=OrderSide.SELL, position=D("-0.4"), pnl=D(0),
            attribution=Attribution(), exit_price=None, slippage_bps=1.25, score=97.0, poor=False, orders=1,
            instrument=InstrumentId("SIM:ETH/USDT"), algorithms=("twap",),
        ),
        first,
        msgspec.structs.replace(
            first, id="trade-7", opened=NOW - 30 * HOUR, closed=NOW - 29 * HOUR, owner=MANUAL, owner_name="manual",
            pnl=D("-3.20"), attribution=Attribution(signal=D(-3), fees=D("-0.2")), slippage_bps=None, score=None,
            poor=False,
        ),
    ]  # fmt: skip
    return TradeScores(rows=tuple(rows), page=1, pages=1, total=len(rows))


def detail() -> TradeDetail:
    """The trade of the story as a whole."""
    orders, trade = _told()
    fills = tuple(
        FillRow(
            seq=0, ts=order.chain.first_fill, instrument=order.instrument, owner=Owner(order.owner),
            owner_name="trend-1", side=order.side, price=order.value / order.filled, quantity=order.filled,
            fee=order.fees[order.currency], fee_currency=order.currency,
            liquidity=Liquidity.MAKER if order.maker else Liquidity.TAKER, client_id=order.client_id,
            account=order.account,
        )
        for order in orders
    )  # fmt: skip
    return TradeDetail(
        trade=trade_score(trade, orders, _name, float(POOR)),
        other_fees={},
        unmeasured=D(0),
        orders=tuple(order_score(order, float(POOR)) for order in orders),
        parents=(),
        fills=fills,
        complete=True,
        also=(),
    )


def quality_data() -> dict[str, Any]:
    """Operation -> answer."""
    return {"quality.summary": report(), "quality.trades": trades(), "quality.trade": detail()}
