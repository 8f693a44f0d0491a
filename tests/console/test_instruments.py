"""The instruments that the console knows: a look at a strange one has the list read again, and never for ever."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec

from console.instruments import KnownInstruments
from engine.model.ids import InstrumentId
from engine.model.instrument import InstrumentKind
from tests.kit import fake_data, fake_market
from tests.kit.deck import console
from tests.kit.fake_exits import preview_exits
from tests.kit.fake_link import FakeLink
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from engine.control.views import InstrumentRow
    from tests.kit.deck import Console

PERP = InstrumentId("SIM:BTC/USDT:USDT")
ROWS = fake_market.instrument_rows()


def perpetual() -> InstrumentRow:
    """A perpetual of which a contract is a tenth of a coin."""
    return msgspec.structs.replace(
        ROWS[0], id=PERP, symbol="BTC/USDT:USDT", kind=InstrumentKind.LINEAR_PERPETUAL, multiplier=D("0.1")
    )


def held() -> FakeLink:
    """A link with a position in a perpetual that is not in the list of instruments."""
    link = FakeLink()
    link.data["portfolio.positions"] = (
        msgspec.structs.replace(fake_data.positions()[0], instrument=PERP, quantity=D("-0.2"), mark=D(67_000)),
    )
    return link


def test_a_strange_one_makes_the_list_due_and_is_asked_for_now_and_then_only() -> None:
    known = KnownInstruments()
    known.ask(0.0)
    known.take(ROWS)
    assert known.get(ROWS[0].id) == ROWS[0]
    assert not known.due(1.0)
    assert known.get(PERP) is None
    assert "" not in known
    assert known.due(1.0)
    known.ask(1.0)
    assert not known.due(1.5)
    known.take(ROWS)
    assert known.get(PERP) is None
    assert not known.due(9.0)
    assert known.due(11.0)
    known.take([*ROWS, perpetual()])
    assert not known.due(30.0)
    assert known[PERP].multiplier == D("0.1")


def test_a_list_that_differs_from_the_markets_is_due_and_a_lost_answer_is_not_waited_for() -> None:
    known = KnownInstruments()
    known.take(ROWS)
    known.compare(row.id for row in ROWS)
    assert not known.due(0.0)
    known.compare(row.id for row in ROWS[1:])
    assert known.due(0.0)
    known.ask(0.0)
    known.compare([PERP, *(row.id for row in ROWS[1:])])
    assert not known.due(0.5)
    assert known.due(2.0)


async def choose(deck: Console) -> None:
    deck.screen.query_one("#positions", LiveTable).focus()
    await deck.settle()


async def test_what_is_watched_elsewhere_counts_with_its_contract_in_stop_and_target() -> None:
    link = held()
    link.data["orders.preview_exits"] = lambda asked: msgspec.structs.replace(
        preview_exits(asked), quantity=D("0.2"), stop_price=D("68000"), target_price=None
    )
    row = link.data["portfolio.positions"][0]
    async with console(link, screen="portfolio") as deck:
        await choose(deck)
        await deck.press("p")
        await deck.until(lambda: deck.dialog() == "ExitsDialog")
        assert "+1.5 %, unknown USDT" in deck.words()
        await deck.press("escape")
        link.data["instruments.list"] = [*ROWS, perpetual()]
        link.publish("market.tickers", link.data["market.tickers"])
        deck.time.seconds += 11
        await deck.settle()
        await deck.settle()
        assert deck.app.instruments[PERP].multiplier == D("0.1")
        await deck.press("p")
        await deck.until(lambda: deck.dialog() == "ExitsDialog")
        made = (D(68_000) - row.entry_price) * D("-0.2") * D("0.1")
        assert f"+1.5 %, {made:.2f} USDT" in deck.words()


async def test_the_market_of_one_that_is_not_known_yet_shows_nothing_of_another() -> None:
    link = FakeLink()
    other = InstrumentId("SIM:ETH/USDT")
    link.data["portfolio.positions"] = (msgspec.structs.replace(fake_data.positions()[0], instrument=other),)
    link.data["instruments.list"] = [row for row in ROWS if row.id != other]
    async with console(link, size=(120, 40), screen="market") as deck:
        assert "Book BTC/USDT" in deck.text()
        await deck.press("3")
        await choose(deck)
        with link.held("instruments.list"):
            deck.time.seconds += 11
            await deck.press("m")
            page = deck.text()
            assert f"{other}: waiting for its market." in page
            assert "Book BTC/USDT" not in page
            assert "No book yet" in page
            link.data["instruments.list"] = ROWS
        await deck.settle()
        await deck.settle()
        assert "Book ETH/USDT" in deck.text()


async def test_one_that_is_not_watched_is_said_to_be_so() -> None:
    async with console(held(), screen="portfolio") as deck:
        await choose(deck)
        deck.time.seconds += 11
        await deck.press("m")
        await deck.settle()
        assert any(f"{PERP} is not watched" in note.message for note in deck.app._notifications)
        assert deck.app.instrument == ROWS[0].id
