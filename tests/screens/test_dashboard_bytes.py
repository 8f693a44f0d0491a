"""What the dashboard costs on the line: at rest beside a market that moves, and with a position that moves."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from rich.color import ColorSystem

from console.app import QuarterdeckApp
from console.preferences import Preferences
from tests.kit.deck import FakeTime
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import NOW, NS
from tests.widgets.counting import Counted

if TYPE_CHECKING:
    from engine.control.views import TickerRow

HZ = 5
SECONDS = 20
BUDGET = 512
"""Bytes a second of a dashboard at rest."""


class CountedConsole(Counted, QuarterdeckApp):
    """The console on a terminal that counts."""


class Market:
    """Five markets that move twice a second, an engine that reports twice a second, and perhaps a position."""

    def __init__(self, link: FakeLink, *, held: bool) -> None:
        self.link, self.held = link, held
        self.random = random.Random("dashboard")
        self.frame = 0

    def step(self) -> None:
        self.frame += 1
        link, now = self.link, NOW + self.frame * NS // HZ
        if self.frame % 3 == 0:
            rows = tuple(self._moved(row, now) for row in link.data["market.tickers"])
            link.publish("market.tickers", rows)
            status = link.data["engine.status"]
            lag = float(self.random.choice((1, 2, 3, 12)))
            link.publish("engine.status", msgspec.structs.replace(status, now=now, lag_ms=lag))
        if self.held:
            move = Decimal(self.random.randint(-300, 300)) / 100
            account = link.data["portfolio.overview"]
            link.publish(
                "portfolio.overview",
                msgspec.structs.replace(account, equity=account.equity + move, day_change=account.day_change + move),
            )
            rows = link.data["portfolio.positions"]
            link.publish(
                "portfolio.positions",
                tuple(msgspec.structs.replace(row, unrealised=row.unrealised + move) for row in rows),
            )

    def _moved(self, row: TickerRow, now: int) -> TickerRow:
        ticks = self.random.choice((0, 0, 1, 3, 17)) * self.random.choice((-1, 1))
        last = (row.last or Decimal(0)) + ticks * Decimal("0.1")
        change = (row.change_pct or 0) + ticks * 0.00002
        return msgspec.structs.replace(row, last=last, change_pct=change, ts=now, spark=(*row.spark[:-1], float(last)))


async def cost(*, held: bool) -> float:
    """Return bytes a second of the dashboard, drawn by hand at its rate."""
    link, time = FakeLink(), FakeTime()
    app = CountedConsole(link, preferences=Preferences(), steady=time)
    app.console._color_system = ColorSystem.TRUECOLOR
    market = Market(link, held=held)
    async with app.run_test(size=(80, 24)) as pilot:
        deck = app.deck_screen
        assert deck is not None
        for _ in range(4):
            await pilot.pause()
            deck.paint()
        await pilot.pause()
        app.counter.take()
        for _ in range(SECONDS * HZ):
            time.seconds += 1 / HZ
            market.step()
            for _ in range(3):
                await asyncio.sleep(0)
            deck.paint()
            # Textual's frame timer runs on real time; the frame is wanted now.
            app.screen._on_timer_update()
            await pilot.pause()
        return len(app.counter.take()) / SECONDS


async def test_a_dashboard_at_rest_costs_half_a_kibibyte_a_second_at_most() -> None:
    spent = await cost(held=False)
    assert 50 < spent <= BUDGET, f"{spent:.0f} bytes/s"


async def test_a_dashboard_with_positions_that_move_stays_far_below_a_market() -> None:
    spent = await cost(held=True)
    assert spent <= 6 * BUDGET, f"{spent:.0f} bytes/s"
