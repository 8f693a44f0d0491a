"""Quality: orders put together, trades by the causes of their profit, one trade whole, on small and large terminals."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D

import msgspec
import pytest

from engine.errors import StorageError
from screens.base import DeckScreen
from tests.kit.deck import Console, FakeTime, console, make_app
from tests.kit.fake_link import FakeLink
from tests.kit.fake_quality import detail, quality_data, report
from tests.screens.test_market_snapshots import SIZES, drawn

Compare = Callable[..., bool]


def link() -> FakeLink:
    fake = FakeLink()
    fake.data.update(quality_data())
    return fake


async def shown(deck: Console) -> None:
    """Everything that the screen asks for has come."""
    await deck.until(lambda: "OKX" in deck.words() and "trend-1" in deck.words())
    await deck.settle()


@pytest.mark.parametrize("size", SIZES)
def test_the_screen(snap_compare: Compare, size: str) -> None:
    fake, time = link(), FakeTime()
    app = make_app(fake, time, screen="quality")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=drawn(fake, time, "j"))


@pytest.mark.parametrize("size", SIZES)
def test_one_trade(snap_compare: Compare, size: str) -> None:
    fake, time = link(), FakeTime()
    app = make_app(fake, time, screen="quality")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=drawn(fake, time, "j enter"))


async def test_its_key_shows_it_and_the_bar_names_it() -> None:
    async with console(link(), size=(80, 24), screen="dashboard") as deck:
        await deck.press("8")
        await shown(deck)
        words = deck.words()
        assert "8 Quality" in words
        assert "Quality by venue" in words
        assert "OKX 1,204 -0.65" in words


async def test_orders_are_put_together_otherwise_and_over_another_time() -> None:
    fake = link()
    async with console(fake, size=(80, 24), screen="quality") as deck:
        await shown(deck)
        fake.data["quality.summary"] = report("symbol")
        await deck.press("v")
        await deck.until(lambda: fake.called("quality.summary")[-1].params["by"] == "symbol")
        await deck.press("t", "t")
        await deck.until(lambda: "since" not in fake.called("quality.summary")[-1].params)
        await deck.settle()
        assert "Quality by market · all time" in deck.words()
        await deck.press("V")
        await deck.until(lambda: fake.called("quality.summary")[-1].params["by"] == "venue")


async def test_records_are_read_again_by_themselves() -> None:
    fake = link()
    async with console(fake, size=(80, 24), screen="quality") as deck:
        await shown(deck)
        before = len(fake.called("quality.trades"))
        deck.time.seconds += 16
        await deck.until(lambda: len(fake.called("quality.trades")) > before)


async def test_a_trade_tells_its_chain_its_costs_and_the_market_afterwards() -> None:
    async with console(link(), size=(80, 24), screen="quality") as deck:
        await shown(deck)
        await deck.press("j", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        words = deck.words()
        for said in (
            "Profit +14.8500 USDT", "signal +21.0000 timing -2.7500 execution -2.8500 fees -0.5500",
            "decision 100 arrival 101 mean 102", "cost +4.0000 USDT (+200.00 bps), of it delay +2.0000",
            "intent +10ms durable +30ms sent +60ms answer +1,010ms fill +1,110ms",
            "market after 1 min +98.04 bps 5 min not recorded 15 min -98.04 bps",
        ):  # fmt: skip
            assert said in words, words


async def test_privacy_hides_amounts_and_not_shares() -> None:
    async with console(link(), size=(80, 24), screen="quality") as deck:
        await deck.press("ctrl+o")
        await deck.settle()
        assert "+14.85" not in deck.words()
        assert "-0.65" in deck.words()


async def test_what_is_missing_is_said() -> None:
    fake = link()
    fake.data["quality.trade"] = msgspec.structs.replace(
        detail(), unmeasured=D(2), complete=False, also=("trade-3",), other_fees={"BNB": D("0.001")}
    )
    fake.data["quality.summary"] = msgspec.structs.replace(report(), complete=False, behind=1_500)
    async with console(fake, size=(120, 40), screen="quality") as deck:
        await shown(deck)
        assert "the newest orders alone, 1,500 facts behind" in deck.words()
        await deck.press("enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.press("G")
        await deck.settle()
        words = deck.words()
        assert "Orders or executions beyond the first 200 are not shown." in words
        assert "Also: trade-3" in words


async def test_without_the_records_it_says_why() -> None:
    fake = link()
    fake.refuse("quality.summary", StorageError("The report database cannot be opened."))
    fake.refuse("quality.trades", StorageError("The report database cannot be opened."))
    async with console(fake, size=(80, 24), screen="quality") as deck:
        await deck.until(lambda: "The report database cannot be opened." in deck.words())


async def test_in_the_past_nothing_is_asked_and_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = link()
    monkeypatch.setattr(DeckScreen, "past", property(lambda _: True))
    async with console(fake, size=(80, 24), screen="quality") as deck:
        await deck.until(lambda: "Quality · recorded for the present alone" in deck.words())
        assert not fake.called("quality.summary")
