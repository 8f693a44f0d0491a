"""Leverage and margin on the screens: how a perpetual stands, the form that sets it, the ticket that tells it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.control.views_margin import MarginView, StandingView
from engine.model.ids import AccountId, InstrumentId
from engine.model.margin import MarginMode
from engine.model.order import OrderSide, OrderType
from screens.portfolio_figures import standing_words
from screens.ticket import preview_lines
from screens.where import short_symbol
from tests.kit import fake_data
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import NOW
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from engine.control.views import PositionRow

PERP = InstrumentId("SIM:BTC/USDT:USDT")
HOUR = 3_600_000_000_000


def perpetual_row(**more: object) -> PositionRow:
    standing = StandingView(
        base_size=D("-0.05"), leverage=D(5), mode=MarginMode.ISOLATED, margin=D("672.1"), ratio=0.021,
        liquidation_price=D("78900.5"), liquidation_pct=0.1701, funding=D("1.2"), funding_rate=0.0001,
        next_funding=NOW + 2 * HOUR, index=D("67400"),
    )  # fmt: skip
    row = fake_data.positions()[0]
    return msgspec.structs.replace(
        row, instrument=PERP, quantity=D(-50), standing=msgspec.structs.replace(standing, **more)
    )


def test_a_position_says_what_presses_most_first() -> None:
    words = standing_words(perpetual_row(), NOW)
    assert words == (
        "5x isolated · liq 78,900.5 +17.0 % · ratio 2.1 % · -0.05 BTC · margin 672.10 · funding -1.20 · "
        "next +0.0100 % in 2h 00m"
    )
    assert len(words.partition(" · margin")[0]) <= 64
    hidden = standing_words(perpetual_row(), NOW, private=True)
    assert "672" not in hidden
    assert "BTC" not in hidden
    assert "no liquidation" in standing_words(perpetual_row(liquidation_price=None), NOW)
    assert standing_words(fake_data.positions()[0], NOW) == ""


def test_a_perpetual_is_told_from_its_spot_pair_in_a_narrow_column() -> None:
    assert short_symbol(PERP) == "BTC-PERP"
    assert short_symbol(InstrumentId("SIM:BTC/USDT")) == "BTC/USDT"


@pytest.fixture
def link() -> FakeLink:
    found = FakeLink()
    found.data["portfolio.positions"] = (perpetual_row(), *fake_data.positions()[1:])
    found.data["margin.show"] = found.data["margin.set"] = MarginView(
        account=AccountId("paper"), instrument=PERP, leverage=D(5), mode=MarginMode.ISOLATED,
        modes=(MarginMode.CROSS, MarginMode.ISOLATED), most=D(20), limit=D(10),
    )  # fmt: skip
    return found


async def test_the_portfolio_tells_how_the_chosen_perpetual_stands_and_sets_its_leverage(link: FakeLink) -> None:
    async with console(link=link, size=(80, 24), screen="portfolio") as deck:
        table = deck.screen.query_one("#positions", LiveTable)
        table.focus()
        await deck.settle()
        page = deck.text()
        assert "BTC-PERP" in page
        assert "5x isolated · liq 78,900.5 +17.0 % · ratio 2.1 %" in page
        await deck.press("down")
        assert "5x isolated" not in deck.text()
        await deck.press("L")
        assert link.called("margin.show") == []
        await deck.press("up", "L")
        assert link.called("margin.show")[-1].params == {"instrument": PERP, "account": "paper"}
        page = deck.text()
        assert "Margin of SIM:BTC/USDT:USDT" in page
        assert "up to 20x" in page
        await deck.settle()
        deck.pass_guard()
        await deck.press("enter")
        await deck.settle()
        asked = link.called("margin.set")[-1]
        assert asked.params == {"instrument": PERP, "account": "paper", "leverage": "5", "mode": "isolated"}
        assert asked.request_id


def test_the_ticket_says_margin_leverage_and_liquidation_of_a_perpetual() -> None:
    from engine.control.views import OrderPreview

    preview = OrderPreview(
        instrument=PERP, side=OrderSide.SELL, type=OrderType.MARKET, quantity=D(50), price=None, stop_price=None,
        expected_price=D(67_000), notional=D(3_350), fee=D("1.675"), total=D("3348.3"), currency=fake_data.USDT,
        available=D(9_000), available_currency=fake_data.USDT, slippage_pct=0.0001, passed=True, refusals=(),
        sentence="", leverage=D(5), margin=D(670), liquidation_price=D("78900.5"),
    )  # fmt: skip
    text = "\n".join("".join(part[0] for part in line) for line in preview_lines(preview, ""))
    assert "Margin" in text
    assert "670.00 USDT" in text
    assert "5x, liq. 78,900.5" in text
    spot = msgspec.structs.replace(preview, leverage=None, margin=None, liquidation_price=None)
    assert "Brings" in "".join(part[0] for line in preview_lines(spot, "") for part in line)
