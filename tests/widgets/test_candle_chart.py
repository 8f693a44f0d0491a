"""The chart takes bars and ticks, keeps its grid, and moves its crosshair by key."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from tests.widgets.showing import MINUTE_NS, Showing, bars, seen
from widgets.candle_chart import KEPT, CandleChart, Marker, Overlay


async def test_without_bars_it_says_so() -> None:
    chart = CandleChart(empty="Loading.")
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        await pilot.press("h", "g", "escape")
        assert any("Loading." in line for line in seen(chart))


async def test_a_tick_replaces_the_forming_bar_or_begins_the_next() -> None:
    chart = CandleChart()
    series = bars(50)
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        chart.set_bars(series)
        chart.drain()
        await pilot.pause()
        chart.tick(series[-1])
        assert not chart.drain()
        chart.tick(series[-1]._replace(close=series[-1].close + 3))
        assert chart.drain()
        assert f"{series[-1].close + 3:,.2f}" in seen(chart)[0]
        chart.tick(series[-1]._replace(time_ns=series[-1].time_ns + MINUTE_NS, close=1.0, open=1.0, low=1.0))
        chart.drain()
        assert "C 1.00" in seen(chart)[0]
        chart.tick(series[0])
        assert not chart.drain()


async def test_bars_are_bounded() -> None:
    chart = CandleChart()
    series = bars(KEPT + 30)
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        chart.set_bars(series[:-20])
        chart.drain()
        await pilot.press("h")
        for bar in series[-20:]:
            chart.tick(bar)
        chart.drain()
        assert len(chart._bars) == KEPT
        assert chart.crosshair_bar == series[-21]


async def test_the_crosshair_moves_by_keys_and_hides() -> None:
    chart = CandleChart()
    series = bars(200)
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        chart.set_bars(series)
        chart.drain()
        await pilot.press("left", "left")
        assert chart.crosshair_bar == series[-2]
        await pilot.press("k")
        assert chart.crosshair_bar == series[-12]
        await pilot.press("right", "j")
        assert chart.crosshair_bar == series[-1]
        await pilot.press("g", "left")
        first = chart.crosshair_bar
        assert first is not None
        assert first.time_ns > series[0].time_ns
        await pilot.press("G")
        assert chart.crosshair_bar == series[-1]
        await pilot.press("escape")
        assert chart.crosshair_bar is None


async def test_the_crosshair_stays_on_its_candle_when_the_window_of_bars_slides() -> None:
    chart = CandleChart()
    series = bars(120)
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        chart.set_bars(series[:100])
        chart.drain()
        await pilot.press("left", "left")
        chart.set_bars(series[10:110])
        chart.drain()
        assert chart.crosshair_bar == series[98]
        chart.set_bars(bars(100, seed=9, start=3_000.0))
        chart.drain()
        assert chart.crosshair_bar is None


async def test_plus_and_minus_change_the_width_of_candles() -> None:
    chart = CandleChart()
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        chart.set_bars(bars(100))
        chart.drain()
        narrow = seen(chart)
        await pilot.press("plus", "plus", "plus")
        assert seen(chart) != narrow
        assert any("█" in line[:40] for line in seen(chart)[1:12])
        await pilot.press("minus", "minus")
        assert seen(chart) == narrow


async def test_overlays_markers_title_and_zone_are_drawn() -> None:
    chart = CandleChart(title="BTC/USDT 1m")
    series = bars(100)
    async with Showing(chart).run_test(size=(90, 24)) as pilot:
        chart.set_bars(series)
        chart.set_overlays([Overlay("MA20", [bar.close + 30 for bar in series])])
        chart.set_markers([Marker(series[-5].time_ns, "entry")])
        chart.drain()
        await pilot.pause()
        assert "BTC/USDT 1m" in seen(chart)[0]
        picture = "".join(seen(chart)[1:-1])
        assert any(0x2800 <= ord(char) <= 0x28FF for char in picture)
        assert "▲" in picture
        times = seen(chart)[-1]
        chart.set_zone(ZoneInfo("Asia/Kolkata"))
        chart.set_title("ETH/USDT 1m", decimals=3)
        chart.drain()
        assert seen(chart)[-1] != times
        assert "ETH/USDT 1m" in seen(chart)[0]
        chart.clear()
        chart.drain()
        assert any("No candles yet." in line for line in seen(chart))


async def test_a_trembling_price_leaves_the_grid_where_it_is() -> None:
    chart = CandleChart()
    series = bars(100)
    async with Showing(chart).run_test(size=(60, 20)) as pilot:
        chart.set_bars(series)
        chart.drain()
        await pilot.pause()
        scale = chart._view.scale
        for step in range(20):
            chart.tick(series[-1]._replace(close=series[-1].close + step % 5))
            chart.drain()
        assert chart._view.scale is scale
