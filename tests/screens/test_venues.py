"""Venues on screen: who is away is seen at once, and any of their markets can be added and taken away."""

from __future__ import annotations

import msgspec

from engine.model.ids import InstrumentId
from screens.venues import waiting_words
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_venues import found


async def test_health_shows_every_venue_and_what_is_wrong_with_it() -> None:
    async with console(FakeLink(), size=(100, 40)) as deck:
        await deck.press("ctrl+p", *"health", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        words = deck.words()
        assert "SIM online 4/4 live age 0.2s 12ms clock -3ms limits 24%" in words
        assert "OKX offline 0/4 live" in words
        for wrong in (
            "OKX cannot be reached: nobody answers.",
            "public 1 is down: the connection was refused",
            "what is in paper-okx is not known",
        ):
            assert wrong in words


async def test_a_venue_that_is_away_is_named_on_the_status_line() -> None:
    link = FakeLink()
    link.data["engine.status"] = msgspec.structs.replace(link.data["engine.status"], away=("OKX",))
    async with console(link, size=(100, 30)) as deck:
        await deck.until(lambda: "OKX away" in deck.words())


async def test_a_market_is_found_among_all_of_a_venue_and_kept() -> None:
    link = FakeLink()
    known = link.data["instruments.list"]
    link.data["instruments.search"] = [found(), found("SOLV/USDT")]
    link.data["instruments.watch"] = msgspec.structs.replace(
        known[0], id="OKX:SOL/USDT", symbol="SOL/USDT", venue="OKX"
    )
    async with console(link, size=(100, 30), screen="market") as deck:
        await deck.press("+", *"sol")
        await deck.until(lambda: "OKX" in deck.words() and "SOLV/USDT" in deck.words())
        assert link.called("instruments.search")[-1].params["query"] == "sol"
        link.data["instruments.list"] = [*known, link.data["instruments.watch"]]
        await deck.press("enter")
        await deck.until(lambda: bool(link.called("instruments.watch")))
        assert link.called("instruments.watch")[0].params == {"instrument": "OKX:SOL/USDT"}
        await deck.until(lambda: deck.app.instrument == "OKX:SOL/USDT")


async def test_a_market_is_taken_away_and_a_refusal_is_told() -> None:
    link = FakeLink()
    link.data["instruments.unwatch"] = "SIM:BTC/USDT is not watched any more."
    async with console(link, size=(100, 30), screen="market") as deck:
        await deck.press("-")
        await deck.until(lambda: bool(link.called("instruments.unwatch")))
        await deck.until(lambda: "is not watched any more" in deck.words())


async def test_a_market_that_waits_for_its_venue_says_which_and_why() -> None:
    link = FakeLink()
    sim, away = link.data["venues.list"]
    link.data["instruments.list"], link.data["market.tickers"] = [], ()
    link.data["venues.list"] = [away]
    async with console(link, size=(100, 30), screen="market") as deck:
        assert "No market yet. OKX cannot be reached: nobody answers." in deck.words()
        link.data["venues.list"] = [sim]
        deck.time.seconds += 6
        await deck.until(lambda: "No market yet. + adds one." in deck.words())


def test_what_is_waited_for_is_the_venue_of_the_chosen_instrument() -> None:
    sim, away = FakeLink().data["venues.list"]
    assert waiting_words(None, "", "+") == "No market yet. Waiting for the engine."
    assert waiting_words([sim, away], "SIM:BTC/USDT", "+") == "SIM:BTC/USDT: waiting for its market."
    assert waiting_words([sim, away], "OKX:BTC/USDT", "+").endswith("OKX cannot be reached: nobody answers.")
    locked = msgspec.structs.replace(away, reason="", state="locked")
    assert waiting_words([locked], "", "+") == "No market yet. OKX is locked."


async def test_a_perpetual_is_found_by_the_name_that_is_shown() -> None:
    link = FakeLink()
    instrument, ticker = link.data["instruments.list"][0], link.data["market.tickers"][0]
    perpetual = InstrumentId("SIM:BTC/USDT:USDT")
    replace = msgspec.structs.replace
    link.data["instruments.list"] += [replace(instrument, id=perpetual, symbol="BTC/USDT:USDT")]
    link.data["market.tickers"] += (replace(ticker, instrument=perpetual, symbol="BTC/USDT:USDT"),)
    async with console(link, size=(100, 30), screen="market") as deck:
        await deck.press("i", *"btc-perp")
        words = deck.words()
        assert "Nothing of that name" not in words
        assert words.count("BTC-PERP") == 1
        await deck.press("escape", "ctrl+p", *"btc-perp")
        assert "BTC/USDT:USDT" in deck.words()
