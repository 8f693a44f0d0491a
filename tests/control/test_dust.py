"""Dust: fees taken out of what was bought leave rests; they are listed and valued, and count as no positions."""

from __future__ import annotations

from decimal import Decimal as D
from functools import partial
from typing import TYPE_CHECKING

import pytest

from engine.model.order import OrderStatus
from engine.venues.paper import settings as paper_settings
from tests.control.house import BTC, deck

if TYPE_CHECKING:
    from pathlib import Path

    from tests.control.house import Deck


@pytest.fixture(autouse=True)
def fees_of_what_is_received(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper venue takes its fees as Binance spot does."""
    received = partial(paper_settings.PaperSettings, fee_currency=paper_settings.FeeCurrency.RECEIVED)
    monkeypatch.setattr(paper_settings, "PaperSettings", received)


async def trade(on: Deck, side: str, quantity: str) -> None:
    row = await on.call("orders.place", instrument=BTC, side=side, quantity=quantity)
    await on.reaches(row, OrderStatus.FILLED)


async def test_a_rest_after_fees_is_dust_and_no_position(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await trade(on, "buy", "0.001")
        (position,) = await on.call("portfolio.positions")
        assert D("0.00099") < position.quantity < D("0.001"), "the fee came out of it"
        assert await on.call("portfolio.dust") == []
        await trade(on, "sell", "0.00099")
        (row,) = await on.call("portfolio.dust")
        assert (row.currency, row.owner_name, row.instrument) == ("BTC", "manual", BTC)
        assert row.quantity == position.quantity - D("0.00099")
        assert row.reason == "below the smallest order of 0.00001"
        mark = on.engine.mark(row.instrument)
        assert mark is not None
        assert D("0.9") < row.value / (row.quantity * mark) < D("1.1")
        assert await on.call("portfolio.positions") == []
        assert (await on.call("engine.status")).open_positions == 0
        assert (await on.call("portfolio.overview")).open_positions == 0
        assert await on.call("portfolio.close_all") == [], "there is nothing to close"
        assert [one.quantity for one in await on.call("portfolio.dust", account="paper")] == [row.quantity]
        assert await on.call("portfolio.dust", account="other") == []


async def test_a_panic_is_done_though_dust_is_left_and_lists_it(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await trade(on, "buy", "0.001")
        await trade(on, "sell", "0.00099")
        (stop,) = (await on.call("risk.emergency_stop", reason="fire")).stops
        assert (stop.done, stop.orders, stop.positions) == (True, 0, 0)
        (left,) = stop.unclosable
        assert (left.instrument, left.final, left.reason) == (BTC, True, "below the smallest order of 0.00001")
