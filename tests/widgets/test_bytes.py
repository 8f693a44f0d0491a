"""What a moving screen costs on the line, counted at the driver, in truecolour at 80x24."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.color import ColorSystem
from textual.app import App

from tests.widgets.counting import Counted
from tests.widgets.market_scene import HZ, DashboardScene, MarketScene, Scene
from widgets.ladder import OrderLadder
from widgets.shadow import ShadowedApp

if TYPE_CHECKING:
    import pytest
    from textual.pilot import Pilot

SECONDS = 20


class CountedMarket(Counted, MarketScene):
    pass


class CountedDashboard(Counted, DashboardScene):
    pass


async def settle(app: Scene, pilot: Pilot[None]) -> None:
    """Let everything that was asked for be drawn, without waiting for Textual's frame timer."""
    await pilot.pause()
    app.screen._on_timer_update()
    await pilot.pause()


async def run(app: CountedMarket | CountedDashboard, seconds: int = SECONDS) -> list[int]:
    """Return the bytes of each step of a scene, after a settling second."""
    app.console._color_system = ColorSystem.TRUECOLOR
    frames = []
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        for step in range((seconds + 1) * HZ):
            app.step()
            await settle(app, pilot)
            size = len(app.counter.take())
            if step >= HZ:
                frames.append(size)
    return frames


def kib_per_second(frames: list[int]) -> float:
    return sum(frames) / len(frames) * HZ / 1024


async def test_the_whole_market_screen_stays_well_below_its_budget() -> None:
    frames = await run(CountedMarket())
    assert kib_per_second(frames) < 7.0
    assert max(frames) < 8 * 1024


async def test_an_idle_dashboard_costs_next_to_nothing() -> None:
    frames = await run(CountedDashboard())
    assert kib_per_second(frames) < 0.3
    assert frames.count(0) > len(frames) / 3


async def test_the_shadow_saves_five_parts_in_six(monkeypatch: pytest.MonkeyPatch) -> None:
    thrifty = await run(CountedMarket(), seconds=4)
    monkeypatch.setattr(ShadowedApp, "_display", App._display)
    plain = await run(CountedMarket(), seconds=4)
    assert sum(thrifty) * 6 < sum(plain)


async def test_a_step_in_which_nothing_changed_costs_no_byte() -> None:
    app = CountedMarket()
    async with app.run_test(size=(80, 24)) as pilot:
        app.step()
        await settle(app, pilot)
        app.counter.take()
        book = app.market.book()
        app.query_one(OrderLadder).update(**book)
        app.paint()
        await settle(app, pilot)
        app.counter.take()
        for _ in range(10):
            app.query_one(OrderLadder).update(**book)
            app.paint()
            await settle(app, pilot)
        assert app.counter.take() == b""


async def test_moving_the_cursor_costs_two_lines_and_not_a_screen() -> None:
    app = CountedMarket()
    app.console._color_system = ColorSystem.TRUECOLOR
    async with app.run_test(size=(80, 24)) as pilot:
        app.step()
        app.query_one(OrderLadder).focus()
        await pilot.press("j")
        await settle(app, pilot)
        app.counter.take()
        await pilot.press("j")
        await settle(app, pilot)
        assert 0 < len(app.counter.take()) < 600
