"""Measured risk on its screen: figures, what is missing, the mode in words, and the stress test."""

from __future__ import annotations

import msgspec
import pytest

from screens.risk_measures import measured_lines, stress_lines
from tests.kit import fake_risk
from tests.kit.deck import console
from tests.kit.fake_market import MINUTE, NOW


def text(lines: list[list[tuple[str, str]]]) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


def test_figures_regimes_and_adapted_values_are_said() -> None:
    page = text(measured_lines(fake_risk.metrics(), fake_risk.regimes(), NOW, 60))
    for what in (
        "VaR 95 %", "historical        3.12 %   7.03 %   4.61 %   9.87 %", "Cornish-Fisher         –   7.14 %",
        "A bad day costs 374.40, a worse one 553.20 USDT", "Drawdown 0.41 % now, 8.41 % deepest · Sharpe 1.34",
        "Largest BTC/USDT 66 %", "From 365 past days", "SIM:SOL/USDT; 92",
        "portfolio   elevated correlation", "BTC/USDT    high volatility, trending down",
        "ETH/USDT    low volatility, ranging (too old to adapt to)", "Size of an entry BTC/USDT 2.00 % → 1.20 %",
        "exposure 95.00 % → 76.00 % (elevated correlations)",
    ):  # fmt: skip
        assert what in page, page
    assert "ago" not in page


def test_old_metrics_say_so_and_problems_are_told() -> None:
    view = msgspec.structs.replace(fake_risk.metrics(), problem="The database is away.")
    page = text(measured_lines(view, None, NOW + 5 * MINUTE, 60))
    assert "measured 5m ago" in page
    assert "The database is away." in page


def test_nothing_measured_and_no_model_are_said_calmly() -> None:
    assert "measured a moment after the start" in text(measured_lines(None, None, NOW, 60))
    page = text(measured_lines(fake_risk.nothing_measured(), fake_risk.static(), NOW, 60))
    assert "—" not in page


def test_amounts_are_hidden_on_wish_and_shares_stay() -> None:
    page = text(measured_lines(fake_risk.metrics(), None, NOW, 60, hidden=True))
    assert "374" not in page
    assert "3.12 %" in page
    assert "980" not in text(stress_lines(fake_risk.stress(), hidden=True))


@pytest.mark.parametrize("width", [36, 60])
def test_every_line_fits(width: int) -> None:
    lines = measured_lines(fake_risk.metrics(), fake_risk.regimes(), NOW, width)
    assert max(len("".join(part for part, _ in line)) for line in lines if not line[0][0].startswith("Not")) < 76


async def test_measured_risk_is_a_page_of_its_own_where_there_is_little_room() -> None:
    async with console(screen="risk") as deck:
        assert "historical" not in deck.text()
        await deck.press("v", "v", "v")
        await deck.settle()
        page = deck.text()
        assert "historical" in page
        assert "Measured · dynamic" in page
        assert "Opens at" not in page
        await deck.press("v")
        assert "Opens at" in deck.text()
    async with console(size=(120, 40), screen="risk") as deck:
        await deck.settle()
        for what in ("Opens at", "historical", "What happened"):
            assert what in deck.text()


async def test_measured_risk_and_locks_take_turns_above_what_happened_where_breakers_stay() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        await deck.press("v")
        await deck.settle()
        page = deck.text()
        assert "historical" not in page
        for what in ("Opens at", "Nothing is locked.", "What happened"):
            assert what in page
        await deck.press("v")
        await deck.settle()
        assert "historical" in deck.text()


async def test_one_page_at_a_time_stands_beside_the_breakers_where_the_screen_is_low() -> None:
    pages = ("historical", "Nothing is locked.", "What happened")
    async with console(size=(120, 26), screen="risk") as deck:
        await deck.settle()
        for shown in (*pages, pages[0]):
            page = deck.text()
            assert "Opens at" in page
            assert [what for what in pages if what in page] == [shown]
            await deck.press("v")
            await deck.settle()


async def test_a_mode_that_has_no_model_says_so() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        deck.link.publish("risk.regimes", fake_risk.static())
        await deck.settle()
        await deck.settle()
        assert "Measured · no model: static" in deck.text()


async def test_a_stress_test_is_shown_with_what_it_breaks() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        await deck.press("t")
        await deck.settle()
        page = deck.text()
        for what in ("loses 980.42 USDT, 8.17 % of equity", "breaks: loss of the day", "not known", "gains 12.00 USDT"):
            assert what in page, page
