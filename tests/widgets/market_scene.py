"""The dearest screen there is, with a made-up market: for the byte budget here, and by hand on a real terminal.

python -m tests.widgets.market_scene [market|dashboard]
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical

from tests.widgets.counting import FakeMarket
from tests.widgets.showing import MINUTE_NS, UNICODE, bars
from themes import DEFAULT_THEME, load_themes, variable_defaults
from widgets.activity_log import ActivityLog, LogLine
from widgets.candle_chart import CandleChart, Overlay
from widgets.equity_curve import EquityCurve
from widgets.ladder import OrderLadder
from widgets.limit_bar import LimitBar
from widgets.line_widget import LineWidget
from widgets.live_table import Cell, Column, LiveTable
from widgets.metric import Metric
from widgets.shadow import ShadowedApp
from widgets.status_line import StatusLine
from widgets.table_cells import signed
from widgets.trade_tape import TradeTape

if TYPE_CHECKING:
    from textual.app import ComposeResult

HZ = 5


class Scene(ShadowedApp[None]):
    """A screen that moves by steps of a fifth of a second."""

    ENABLE_COMMAND_PALETTE = False
    by_itself: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults(dark=self.current_theme.dark)

    def on_mount(self) -> None:
        for theme in load_themes():
            self.register_theme(theme)
        self.theme = DEFAULT_THEME
        self.begin()
        self.paint()
        if self.by_itself:
            self.set_interval(1 / HZ, self.step)

    def begin(self) -> None:
        """Fill the widgets once."""

    def feed(self) -> None:
        """Tell the widgets what a fifth of a second brought."""

    def step(self) -> None:
        """Let a fifth of a second pass, and draw."""
        self.steps += 1
        self.feed()
        self.tell_time()
        self.paint()

    def tell_time(self) -> None:
        second = self.steps // HZ
        clock = f"14:{second // 60 % 60:02}:{second % 60:02} UTC"
        self.query_one(StatusLine).show(
            clock=clock, feed_age_s=0.1 + self.steps % 2 / 10, lag_ms=1.0 + self.steps // 10 % 3
        )

    def paint(self) -> None:
        for widget in self.query(LineWidget):
            widget.drain(self.steps / HZ)


class MarketScene(Scene):
    """Status line, ladder, candle chart, tape and open orders: everything that moves at once."""

    CSS = """
    StatusLine { dock: top; }
    OrderLadder { width: 42; }
    CandleChart { height: 11; }
    TradeTape { height: 7; }
    """

    def compose(self) -> ComposeResult:
        yield StatusLine()
        with Horizontal():
            yield OrderLadder(title="BTC/USDT")
            with Vertical():
                yield CandleChart(title="BTC/USDT 1m")
                yield TradeTape()
                yield LiveTable(
                    [Column("o", "Order", 8), Column("s", "State", 6, flex=True), Column("p", "P&L", 10, align="right")]
                )

    def begin(self) -> None:
        self.market = FakeMarket()
        self.bars = bars(100)
        self.market.mid = int(self.bars[-1].close * 100)
        self.market.step()
        self.query_one(CandleChart).set_bars(self.bars)
        averages = [
            sum(bar.close for bar in self.bars[max(0, i - 19) : i + 1]) / min(20, i + 1) for i in range(len(self.bars))
        ]
        self.query_one(CandleChart).set_overlays([Overlay("MA20", averages)])
        self.query_one(StatusLine).show(equity="10,012.40 USDT", alerts=1)

    def feed(self) -> None:
        market = self.market
        market.step()
        self.query_one(OrderLadder).update(**market.book())
        self.query_one(TradeTape).push(market.trades)
        price = market.mid / 100
        last = self.bars[-1]
        if self.steps % (60 * HZ) == 0:
            last = last._replace(time_ns=last.time_ns + MINUTE_NS, open=price, high=price, low=price, volume=0.0)
        last = last._replace(
            close=price, high=max(last.high, price), low=min(last.low, price), volume=last.volume + 0.2
        )
        self.bars[-1] = last
        self.query_one(CandleChart).tick(last)
        for number in range(3):
            profit = (price - 67_300 - number) / 10
            cells = [Cell(f"ord-{number}"), Cell("OPEN", "muted"), signed(f"{abs(profit):.2f}", profit, UNICODE)]
            self.query_one(LiveTable).upsert(str(number), cells)


class DashboardScene(Scene):
    """Metrics, bots, limits, equity and log of an engine with nothing to do."""

    CSS = """
    StatusLine { dock: top; }
    #metrics { height: 5; }
    Metric { width: 1fr; height: 5; border: round $faint; }
    LimitBar { margin: 0 1; }
    """

    def compose(self) -> ComposeResult:
        yield StatusLine()
        with Horizontal(id="metrics"):
            for label in ("Equity", "Profit today", "Exposure", "Drawdown"):
                yield Metric(label)
        with Horizontal():
            with Vertical():
                yield LiveTable(
                    [Column("bot", "Bot", 10), Column("pnl", "P&L", 10, align="right")],
                    title="Bots",
                    empty="No bots. n = new",
                )
                yield LimitBar("Daily loss")
            with Vertical():
                yield EquityCurve()
                yield ActivityLog()

    def begin(self) -> None:
        self.query_one(EquityCurve).set_values([10_000 + index % 17 for index in range(200)])
        self.query_one(ActivityLog).extend(LogLine("14:00:00", "BOT", f"line {index}") for index in range(9))

    def feed(self) -> None:
        for metric, value in zip(self.query(Metric), ("10,012.40", "+12.40", "6,743.11", "-1.92 %"), strict=True):
            metric.show(value)
        self.query_one(LimitBar).show(0.42, "210 / 500")
        # Nothing trades, but marks still tremble by a cent now and then.
        profit = 12.4 + self.steps // (2 * HZ) % 3 / 100
        self.query_one(LiveTable).upsert("trend-1", [Cell("trend-1"), signed(f"{profit:.2f}", profit, UNICODE)])


SCENES: dict[str, type[Scene]] = {"market": MarketScene, "dashboard": DashboardScene}

if __name__ == "__main__":
    Scene.by_itself = True
    SCENES[sys.argv[1] if len(sys.argv) > 1 else "market"]().run()
