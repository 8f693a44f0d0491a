"""Algorithms on Portfolio: their progress, and keys that pause, hasten and end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from screens.ticket import TicketDialog
from tests.kit.deck import Console, FakeTime, console, make_app
from tests.kit.fake_algos import parent_row, parent_rows
from tests.kit.fake_link import FakeLink
from tests.screens.test_account_snapshots import SIZES, drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from console.app import QuarterdeckApp
    from console.ending import ExitIntent


def link() -> FakeLink:
    fake = FakeLink()
    fake.data["algos.state"] = parent_rows()
    for verb in ("pause", "resume", "accelerate", "cancel"):
        fake.data[f"algos.{verb}"] = parent_row(pace=200)
    return fake


async def test_algorithms_are_counted_beside_the_orders_and_shown_by_a_key() -> None:
    async with console(link(), screen="portfolio", size=(120, 40)) as deck:
        assert "w 4 algorithms" in deck.words()
        await deck.press("w")
        assert "Algorithms at work 4" in deck.words()
        assert "its slice waits: the spread" in deck.words()
        await deck.press("w")
        assert "Open orders 5" in deck.words()


async def test_the_chosen_one_is_paused_resumed_and_hastened() -> None:
    async with console(link(), screen="portfolio") as deck:
        await deck.press("w", "space")
        assert deck.link.called("algos.pause")[-1].params == {"id": "twap-1042"}
        await deck.press("j", "j", "j", "space")
        assert deck.link.called("algos.resume")[-1].params == {"id": "pov-870"}
        await deck.press("f")
        assert deck.link.called("algos.accelerate")[-1].params == {"id": "pov-870", "factor": "2"}
        assert "It runs at 200% of its pace." in deck.words()
        await deck.press("F")
        assert deck.link.called("algos.accelerate")[-1].params["factor"] == "0.5"


async def test_its_end_is_asked_for_once() -> None:
    async with console(link(), screen="portfolio") as deck:
        await deck.press("w", "c")
        assert "Cancel: TWAP buy 1.5 BTC/USDT, 40 % of it done." in deck.words()
        deck.pass_guard()
        await deck.press("y")
        (call,) = deck.link.called("algos.cancel")
        assert call.params == {"id": "twap-1042"}
        assert call.request_id


async def test_without_the_pane_the_keys_say_where_algorithms_are() -> None:
    async with console(link(), screen="portfolio") as deck:
        await deck.press("space")
        assert "w shows algorithms; choose one." in deck.words()
        assert not deck.link.called("algos.pause")


@pytest.mark.parametrize("size", SIZES)
def test_the_pane(snap_compare: Callable[..., bool], size: str) -> None:
    fake, time = link(), FakeTime()
    before = drawn(fake, time, "w")
    assert snap_compare(make_app(fake, time, screen="portfolio"), terminal_size=SIZES[size], run_before=before)


def test_a_ticket_by_vwap(snap_compare: Callable[..., bool]) -> None:
    fake, time = link(), FakeTime()

    async def before(pilot: Pilot[ExitIntent]) -> None:
        await drawn(fake, time, "b 0 . 0 1 5 tab tab tab tab right right right")(pilot)
        deck = Console(cast("QuarterdeckApp", pilot.app), pilot, fake, time)
        screen = deck.app.screen
        assert isinstance(screen, TicketDialog)
        await deck.until(lambda: not screen.pending)
        await deck.settle()

    assert snap_compare(make_app(fake, time, screen="market"), terminal_size=SIZES["80x24"], run_before=before)
