"""Where a row belongs: told in every table, heading and question, where there is more than one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.control.views import Place
from engine.model.account import TradingMode
from engine.model.ids import AccountId, VenueId
from engine.model.places import place_name
from screens.emergency import all_accounts
from screens.where import HERE, Where
from tests.kit.deck import FakeTime, console, make_app
from tests.kit.fake_link import FakeLink
from tests.kit.fake_places import places, spread
from tests.screens.test_account_snapshots import drawn
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kit.deck import Console


def place(venue: str, account: str) -> Place:
    return Place(venue=VenueId(venue), account=AccountId(account), mode=TradingMode.PAPER)


@pytest.mark.parametrize(
    ("known", "venue", "account", "told"),
    [
        ([("SIM", "paper")], "SIM", "paper", ""),
        ([], "SIM", "paper", ""),
        ([("SIM", "paper"), ("OKX", "main")], "OKX", "main", "OKX"),
        ([("OKX", "main"), ("OKX", "hedge")], "OKX", "hedge", "hedge"),
        ([("OKX", "main"), ("OKX", "hedge")], "OKX", "", ""),
        ([("OKX", "main"), ("OKX", "hedge"), ("SIM", "paper")], "OKX", "hedge", "OKX/hedge"),
        ([("OKX", "main"), ("OKX", "hedge"), ("SIM", "paper")], "SIM", "paper", "SIM"),
        ([("OKX", "main"), ("OKX", "hedge"), ("SIM", "paper")], "OKX", "", "OKX"),
        ([("OKX", ""), ("SIM", "paper")], "OKX", "", "OKX"),
    ],
)
def test_a_place_is_called_by_what_tells_it_from_the_others(
    known: list[tuple[str, str]], venue: str, account: str, told: str
) -> None:
    assert place_name(known, venue, account) == told


def test_the_column_is_there_only_for_more_than_one_place_and_as_wide_as_the_longest_name() -> None:
    assert (HERE.width, Where((place("SIM", "paper"),)).width) == (0, 0)
    assert Where((place("SIM", "paper"), place("OKX", "main"))).width == len("Venue")
    assert Where(places()).width == len("OKX/hedge")
    one = Where((place("OKX", "main"), place("OKX", "a-rather-long-name")))
    assert (one.title, one.width) == ("Account", 14)
    assert one.on("OKX:BTC/USDT", "main") == " in main"
    assert Where(places()).on("OKX:BTC/USDT", "main") == " on OKX/main"


def test_a_stop_of_everything_counts_the_accounts_and_says_which_are_real() -> None:
    status = FakeLink().data["engine.status"]
    assert all_accounts(status) == "the PAPER account"
    assert all_accounts(spread(FakeLink()).data["engine.status"]) == "all 3 accounts (LIVE, PAPER)"


def table(deck: Console, name: str) -> LiveTable:
    return deck.screen.query_one(f"#{name}", LiveTable)


async def test_with_one_place_no_table_has_the_column() -> None:
    async with console(size=(200, 50), screen="portfolio") as deck:
        assert all(
            not column.width
            for name in ("positions", "orders", "fills", "balances")
            for column in table(deck, name).columns
            if column.key == "where"
        )
        assert "Venue" not in deck.text()


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_every_table_of_the_portfolio_says_of_which_venue_and_account_its_rows_are(size: tuple[int, int]) -> None:
    async with console(spread(FakeLink()), size=size, screen="portfolio") as deck:
        if size[0] == 80:
            assert table(deck, "orders").table_text().count("OKX/") == 2
            await deck.press("v")
        for name in ("positions", "fills", "balances"):
            told = table(deck, name).table_text()
            assert "Venue" in told.splitlines()[0]
            assert {"SIM", "OKX/main", "OKX/hedge"} <= {cell for line in told.splitlines() for cell in line.split(",")}
        assert ("3 accounts" in deck.text()) is (size[0] > 80)


async def test_two_accounts_with_the_same_currency_are_two_balances() -> None:
    async with console(spread(FakeLink()), size=(140, 40), screen="portfolio") as deck:
        rows = [line for line in table(deck, "balances").table_text().splitlines() if line.startswith("USDT,")]
        assert len(rows) == 3


async def test_rows_are_sorted_and_filtered_by_where_they_belong() -> None:
    async with console(spread(FakeLink()), size=(140, 40), screen="portfolio") as deck:
        positions = table(deck, "positions")
        await deck.press("o", "o")
        assert positions.sorting == ("where", False)
        assert [line.split("\t")[1] for line in map(positions.row_text, positions.visible_keys)] == [
            "OKX/hedge", "OKX/main", "SIM", "SIM", "SIM",
        ]  # fmt: skip
        await deck.press("slash", *"hedge", "enter")
        assert len(positions.visible_keys) == 1


async def test_the_column_goes_when_the_places_do_and_takes_its_sorting_along() -> None:
    link = spread(FakeLink())
    async with console(link, size=(140, 40), screen="portfolio") as deck:
        table(deck, "positions").sorting = ("where", False)
        link.publish("engine.status", FakeLink().data["engine.status"])
        await deck.settle()
        assert "Venue" not in deck.text()
        assert table(deck, "positions").sorting is None


async def test_the_position_of_the_second_account_is_closed_there() -> None:
    async with console(spread(FakeLink()), size=(140, 40), screen="portfolio") as deck:
        positions = table(deck, "positions")
        positions.cursor_key = "manual OKX:BTC/USDT hedge"
        await deck.settle()
        await deck.press("x")
        assert "Buy 0.02 BTC/USDT on OKX/hedge at the market, reducing only." in deck.words()
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(deck.link.called("portfolio.close")))
        assert deck.link.called("portfolio.close")[0].params == {
            "instrument": "OKX:BTC/USDT", "owner": "manual", "account": "hedge",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("screen", "tables"),
    [("dashboard", ("markets", "bots", "positions")), ("bots", ("bots",)), ("market", ("orders",))],
)
async def test_the_other_screens_say_it_too(screen: str, tables: tuple[str, ...]) -> None:
    async with console(spread(FakeLink()), size=(140, 40), screen=screen) as deck:
        for name in tables:
            assert "Venue" in table(deck, name).table_text()


async def test_book_chart_and_line_of_a_market_name_its_venue() -> None:
    async with console(spread(FakeLink()), size=(140, 40), screen="market") as deck:
        page = deck.text()
        for words in ("BTC/USDT SIM  67,431", "Book BTC/USDT SIM", "BTC/USDT SIM 1m"):
            assert words in page


async def test_the_ticket_asks_for_the_account_and_says_whether_money_is_real() -> None:
    link = spread(FakeLink())
    async with console(link, screen="market") as deck:
        await deck.press("left_square_bracket")
        await deck.press("b")
        assert "LIVE · BUY BTC/USDT OKX" in deck.text()
        deck.app.screen.query_one("#account").focus()
        await deck.press("right")
        await deck.until(lambda: link.called("orders.preview") == [])
        deck.app.screen.query_one("#quantity").focus()
        await deck.press("0", ".", "0", "1")
        await deck.press("enter")
        await deck.until(lambda: bool(link.called("orders.preview")))
        await deck.until(lambda: "LIVE account hedge" in deck.words())
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(link.called("orders.place")))
        assert link.called("orders.place")[0].params["account"] == "hedge"


async def test_a_ticket_for_the_paper_account_is_not_drawn_as_real_beside_a_real_one() -> None:
    async with console(spread(FakeLink()), screen="market") as deck:
        await deck.press("b")
        assert "LIVE" not in deck.text().split("BUY BTC/USDT SIM")[0].splitlines()[-1]
        assert not deck.app.screen.has_class("-live")


async def test_a_new_bot_is_made_in_the_account_that_is_chosen() -> None:
    link = spread(FakeLink())
    async with console(link, size=(140, 40), screen="bots") as deck:
        deck.app.instrument = "OKX:BTC/USDT"
        await deck.press("n")
        page = deck.text()
        assert "BTC/USDT OKX" in page
        assert "Account" in page


def locked(link: FakeLink) -> FakeLink:
    """Nothing is known of the accounts at OKX, and nothing is held anywhere else."""
    link = spread(link)
    status = link.data["engine.status"]
    there = tuple(msgspec.structs.replace(one, known=one.venue != "OKX") for one in status.places)
    link.data["engine.status"] = msgspec.structs.replace(
        status, places=there, locked=("OKX",), away=("OKX",), equity=None, day_change=None
    )
    link.data["portfolio.overview"] = msgspec.structs.replace(
        link.data["portfolio.overview"],
        equity=None, exposure=None, exposure_pct=None, unrealised=None, day_change=None, day_change_pct=None,
        peak=None, drawdown_pct=None, open_positions=0, unvalued=("the account main", "the account hedge"),
    )  # fmt: skip
    for name in ("portfolio.positions", "orders.open"):
        link.data[name] = ()
    link.data["portfolio.balances"] = type(link.data["portfolio.balances"])()
    link.data["bots.list"] = []
    return link


@pytest.mark.parametrize("screen", ["dashboard", "portfolio"])
async def test_what_is_in_an_account_with_locked_keys_is_unknown_and_not_nothing(screen: str) -> None:
    async with console(locked(FakeLink()), screen=screen) as deck:
        page = deck.text()
        assert "OKX LOCKED" in page
        assert "Positions, not known: OKX" in page
        assert "Not known yet: positions of OKX." in page
        assert "No open positions" not in page
        assert "not known" in page
        assert "Exposure" in page
        assert "0.00" not in page


async def test_orders_and_balances_of_a_locked_account_are_unknown_too() -> None:
    async with console(locked(FakeLink()), size=(140, 40), screen="portfolio") as deck:
        page = deck.text()
        assert "Not known yet: balances of OKX." in page
        assert "Not known yet: orders of OKX." in page


@pytest.mark.parametrize("screen", ["dashboard", "portfolio"])
def test_pictures_of_locked_keys(snap_compare: Callable[..., bool], screen: str) -> None:
    link, time = locked(FakeLink()), FakeTime()
    app = make_app(link, time, screen=screen)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
@pytest.mark.parametrize("screen", ["dashboard", "portfolio", "market", "bots"])
def test_pictures_of_two_venues(snap_compare: Callable[..., bool], screen: str, size: tuple[int, int]) -> None:
    link, time = spread(FakeLink()), FakeTime()
    app = make_app(link, time, screen=screen)
    assert snap_compare(app, terminal_size=size, run_before=drawn(link, time))
