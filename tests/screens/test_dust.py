"""The page of dust."""

from __future__ import annotations

from screens.dust import dust_lines
from tests.kit import fake_dust
from tests.kit.deck import console


async def test_dust_is_shown_with_value_and_reason() -> None:
    async with console(screen="portfolio") as deck:
        await deck.press("i")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        words = deck.words()
        for said in (
            "0.0008 ETH worth 2.81 revert-eth",
            "paper at SIM: worth less than the smallest order of 5 USDT",
            "0.000004 BTC worth – nobody's",
        ):
            assert said in words, words


def test_hidden_amounts_stay_hidden_and_nothing_is_said_to_be_nothing() -> None:
    hidden = "".join(text for line in dust_lines(fake_dust.dust(), hidden=True) for text, _ in line)
    assert "0.0008" not in hidden
    assert "2.81" not in hidden
    assert dust_lines([]) == [[("Everything that is held can be sold.", "muted")]]
