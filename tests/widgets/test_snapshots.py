"""Pictures of every widget, full and empty, in every kind of theme: 80x24, fixed data, no clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from textual.containers import Horizontal

from tests.widgets.counting import FakeMarket
from tests.widgets.market_scene import DashboardScene, MarketScene, Scene
from tests.widgets.showing import UNICODE, Showing, bars
from widgets.activity_log import ActivityLog, LogLine
from widgets.candle_chart import CandleChart, Marker, Overlay
from widgets.equity_curve import EquityCurve
from widgets.ladder import OrderLadder
from widgets.limit_bar import LimitBar
from widgets.line_widget import LineWidget
from widgets.live_table import Cell, Column, LiveTable
from widgets.metric import Metric
from widgets.sparkline import Sparkline
from widgets.status_line import StatusLine
from widgets.table_cells import signed
from widgets.trade_tape import TradeTape

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

Compare = Callable[..., bool]
Before = Callable[["Pilot[None]"], Awaitable[None]]


def drawn(*keys: str, fill: Callable[[App[Any]], None] | None = None) -> Before:
    """Return what is done before a picture: fill, draw, press, draw."""

    async def before(pilot: Pilot[None]) -> None:
        if fill is not None:
            fill(pilot.app)
        for widget in pilot.app.query(LineWidget):
            widget.drain()
        if keys:
            await pilot.press(*keys)
        await pilot.pause()

    return before


def table() -> LiveTable:
    shown = LiveTable(
        [
            Column("bot", "Bot", 14),
            Column("state", "State", 10, priority=1),
            Column("note", "Note", 12, priority=2, flex=True),
            Column("pnl", "P&L", 12, align="right"),
        ],
        title="Bots",
        empty="No bots. n = new, i = import",
        sort=("pnl", True),
    )
    for name, state, profit in (
        ("trend-1", "● running", 12.4),
        ("mean-2", "‖ paused", -3.25),
        ("漢字-bot", "✗ failed", 0.0),
        ("[red]x[/]", "○ stopped", 140.02),
    ):
        shown.upsert(
            name, [Cell(name), Cell(state, "muted"), Cell("a note"), signed(f"{abs(profit):.2f}", profit, UNICODE)]
        )
    return shown


def ladder() -> OrderLadder:
    market = FakeMarket()
    market.step()
    shown = OrderLadder(title="BTC/USDT")
    shown.update(**market.book())
    return shown


def chart() -> CandleChart:
    series = bars(150)
    shown = CandleChart(title="BTC/USDT 1m")
    shown.set_bars(series)
    average: list[float | None] = [None] * 19
    average += [sum(bar.close for bar in series[i - 19 : i + 1]) / 20 for i in range(19, 150)]
    shown.set_overlays([Overlay("MA20", average)])
    shown.set_markers([Marker(series[-30].time_ns, "entry"), Marker(series[-9].time_ns, "exit", buy=False)])
    return shown


def curve() -> EquityCurve:
    shown = EquityCurve()
    values = [10_000 + 3 * (bar.close - 67_400) for bar in bars(300, seed=5)]
    shown.set_values(values, first_label="1 Jan", last_label="30 Jun")
    return shown


def small() -> list[LineWidget]:
    status, spark, metric, log = StatusLine(), Sparkline(), Metric("Profit today"), ActivityLog()
    status.show(
        mode="LIVE",
        account="main",
        link="attached",
        feed_age_s=3.2,
        lag_ms=32.0,
        equity="10,012.40",
        halt="HALTED",
        alerts=3,
    )
    status.show(clock="14:03:22 UTC")
    spark.set_values([bar.close for bar in bars(60)])
    metric.show("▲ +12.40", "gain", note="+0.12 %")
    limits = []
    for label, share in (("Position size", 0.42), ("Daily loss", 0.86), ("Orders/s", 1.2), ("Exposure", None)):
        limits.append(LimitBar(label))
        limits[-1].show(share, "1 / 2")
    log.extend(
        LogLine("14:00:00", kind, f"a line of {kind}", ink) for kind, ink in (("FILL", "gain"), ("ALERT", "warn"))
    )
    return [status, metric, spark, *limits, log]


FULL: dict[str, Callable[[], list[LineWidget]]] = {
    "table": lambda: [table()],
    "ladder": lambda: [ladder()],
    "chart": lambda: [chart()],
    "curve": lambda: [curve()],
    "small": small,
}
EMPTY: dict[str, Callable[[], list[LineWidget]]] = {
    "tables": lambda: [
        LiveTable([Column("bot", "Bot", 12)], title="Bots", empty="No bots. n = new"),
        TradeTape(),
        OrderLadder(),
    ],
    "charts": lambda: [CandleChart(), EquityCurve(), ActivityLog()],
    "small": lambda: [StatusLine(), Metric("Equity"), Sparkline(), LimitBar("Daily loss")],
}


@pytest.mark.parametrize("name", FULL)
def test_full(snap_compare: Compare, name: str) -> None:
    assert snap_compare(Showing(*FULL[name]()), run_before=drawn(), terminal_size=(80, 24))


@pytest.mark.parametrize("name", EMPTY)
def test_empty(snap_compare: Compare, name: str) -> None:
    assert snap_compare(Showing(*EMPTY[name]()), run_before=drawn(), terminal_size=(80, 24))


def test_table_filtered(snap_compare: Compare) -> None:
    assert snap_compare(Showing(table()), run_before=drawn("slash", "b", "o"), terminal_size=(80, 24))


def test_ladder_with_cursor(snap_compare: Compare) -> None:
    assert snap_compare(Showing(ladder()), run_before=drawn("j", "j", "j"), terminal_size=(80, 24))


def test_chart_wide_with_crosshair(snap_compare: Compare) -> None:
    assert snap_compare(Showing(chart()), run_before=drawn("plus", "plus", "h", "h"), terminal_size=(80, 24))


@pytest.mark.parametrize("theme", ["quarterdeck-light", "high-contrast", "colour-blind", "asia-reversed", "ansi-dark"])
def test_theme(snap_compare: Compare, theme: str) -> None:
    app = Showing(Horizontal(ladder(), table()), chart(), theme=theme)
    assert snap_compare(app, run_before=drawn("j"), terminal_size=(80, 24))


def test_no_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Showing(Horizontal(ladder(), table()), chart())
    assert snap_compare(app, run_before=drawn("j"), terminal_size=(80, 24))


def test_plain_signs(snap_compare: Compare) -> None:
    app = Showing(Horizontal(ladder(), curve()), chart(), ascii_glyphs=True)
    assert snap_compare(app, run_before=drawn("j"), terminal_size=(80, 24))


@pytest.mark.parametrize("scene", [MarketScene, DashboardScene])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_scene(snap_compare: Compare, scene: type[Scene], size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, Scene)
        for _ in range(10):
            pilot.app.step()
        await pilot.pause()

    assert snap_compare(scene(), run_before=before, terminal_size=size)
