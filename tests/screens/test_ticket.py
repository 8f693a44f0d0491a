"""The ticket: judged while one types, confirmed once after it was read, sent once however often Enter is pressed."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from textual import events

from engine.control.live.arming import NOT_ARMED
from engine.errors import AuthorizationError, EngineNotRunningError, OrderRejectionError
from engine.model.account import TradingMode
from screens.fields import ChoiceField
from screens.form import Form
from screens.order_dialogs import AmountInput
from screens.ticket import TicketDialog, preview_lines
from screens.ticket_algo import ALGO_FIELDS, WAYS, algo_params, fields_of
from tests.kit.deck import Console, console
from tests.kit.fake_link import FakeLink


async def ticket(deck: Console, side: str = "b", amount: str = "0.015") -> None:
    """Open a ticket and fill in the amount."""
    await deck.press(side, *amount)
    await preview(deck)


async def preview(deck: Console) -> None:
    """Wait until typing has paused and the engine has judged."""
    screen = deck.app.screen
    assert isinstance(screen, TicketDialog)
    await deck.until(lambda: not screen.pending)
    await deck.settle()


async def test_a_ticket_begins_at_the_best_price_of_its_own_side() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b")
        assert deck.link.called("orders.preview")[-1].params == {
            "instrument": "SIM:BTC/USDT", "side": "buy", "type": "limit", "quantity": Decimal("0.015"),
            "price": Decimal("67431.0"), "tif": "GTC",
        }  # fmt: skip
        await deck.press("escape")
        await ticket(deck, "s", "0.01")
        assert deck.link.called("orders.preview")[-1].params["price"] == Decimal("67431.1")


async def test_the_suggested_size_is_named_with_its_method_and_taken_by_a_key() -> None:
    async with console(screen="market") as deck:
        await deck.press("b")
        await preview(deck)
        await deck.until(lambda: "Suggested 0.00296" in deck.words())
        assert "By fixed percentage, base 2 % of equity." in deck.words()
        assert deck.link.called("orders.suggest_size")[-1].params == {"instrument": "SIM:BTC/USDT", "side": "buy"}
        await deck.press("ctrl+t")
        await preview(deck)
        assert deck.link.called("orders.preview")[-1].params["quantity"] == Decimal("0.00296")
        await deck.press("ctrl+b")
        await preview(deck)
        assert deck.link.called("orders.suggest_size")[-1].params["side"] == "sell"


async def test_the_ladders_cursor_gives_the_price() -> None:
    async with console(screen="market") as deck:
        await deck.press("j", "j", "j")
        await ticket(deck, "b")
        assert deck.link.called("orders.preview")[-1].params["price"] == Decimal("67430.6")


async def test_enter_on_a_level_joins_it() -> None:
    async with console(screen="market") as deck:
        await deck.press("j", "k", "enter")
        assert "SELL BTC/USDT" in deck.words()
        await deck.press("escape", "j", "enter")
        assert "BUY BTC/USDT" in deck.words()


async def test_cost_fee_and_verdict_follow_what_is_typed() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.01")
        assert "674.31 USDT" in deck.words()
        assert "The risk gate lets it pass." in deck.words()
        await deck.press("5")
        await preview(deck)
        assert "1,011.46 USDT" in deck.words()
        await deck.press("backspace", "backspace", "9")
        await preview(deck)
        assert "It needs more than the 1,736.10 USDT that are free." in deck.words()


async def test_typing_quickly_asks_once() -> None:
    async with console(screen="market") as deck:
        await deck.press("b")
        for key in "0.0151":
            await deck.pilot.press(key)
        await preview(deck)
        assert len(deck.link.called("orders.preview")) <= 2


async def test_an_amount_in_percent_is_sent_as_the_quantity_that_was_shown() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "50%")
        assert deck.link.called("orders.preview")[-1].params["percent"] == Decimal("0.5")
        await deck.press("enter")
        assert "Buy 0.01286 BTC" in deck.words()
        deck.pass_guard()
        await deck.press("enter")
        sent = deck.link.called("orders.place")[-1].params
        assert sent["quantity"] == Decimal("0.01286")
        assert "percent" not in sent


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0", "Write an amount above zero"),
        ("..", "Write an amount above zero"),
        ("150%", "More than 100% of the free funds cannot be used."),
        ("", "Write an amount first"),
    ],
)
async def test_an_amount_that_is_none_is_explained_and_not_sent(typed: str, said: str) -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", typed)
        await deck.press("enter")
        assert said in deck.words()
        assert deck.dialog() == "TicketDialog"


async def test_an_order_that_the_gate_refuses_cannot_be_reviewed() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "3")
        await deck.press("enter")
        assert deck.dialog() == "TicketDialog"
        assert "Not sent: risk refuses it." in [notice.message for notice in deck.app._notifications]
        assert deck.link.called("orders.place") == []


@pytest.mark.parametrize(
    ("turns", "kind", "field"),
    [(1, "market", None), (2, "stop_loss", "stop_price"), (3, "take_profit", "stop_price")],
)
async def test_each_type_asks_for_its_own_prices(turns: int, kind: str, field: str | None) -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.01")
        await deck.press("up", *["right"] * turns)
        await preview(deck)
        asked = deck.link.called("orders.preview")[-1].params
        assert asked["type"] == kind
        assert {name for name in asked if "price" in name} == ({field} if field else set())


async def test_the_price_moves_by_ticks_and_the_amount_by_lots() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.01")
        await deck.press("ctrl+up", "down", "ctrl+up", "ctrl+up", "pagedown")
        await preview(deck)
        asked = deck.link.called("orders.preview")[-1].params
        assert asked["quantity"] == Decimal("0.01001")
        assert asked["price"] == Decimal("67431.1")


async def test_side_and_conditions_can_be_changed_in_the_ticket() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.01")
        await deck.press("ctrl+b", "down", "down", "right", "down", "right")
        await preview(deck)
        asked = deck.link.called("orders.preview")[-1].params
        assert (asked["side"], asked["tif"], asked["post_only"]) == ("sell", "IOC", True)


def burst(deck: Console, *keys: str) -> None:
    """Give keys that arrive together."""
    for key in keys:
        deck.app.post_message(events.Key(key, {".": ".", "tab": "\t", "backspace": "\x7f"}.get(key, key[:1])))


async def test_keys_that_arrive_together_mean_what_they_would_one_by_one() -> None:
    async with console(screen="market") as deck:
        await deck.press("b")
        burst(deck, *"0.01", "tab", *["backspace"] * 8, *"64901", "backspace", "2", "tab", "right", "tab")
        burst(deck, *["tab"] * 4, "5")
        await deck.settle()
        await preview(deck)
        asked = deck.link.called("orders.preview")[-1].params
        # Whoever comes back to a field types over what stands in it.
        assert (asked["quantity"], asked["price"], asked["tif"]) == (Decimal(5), Decimal(64902), "IOC")


async def test_the_late_news_of_an_arrival_chooses_nothing_that_was_typed_meanwhile() -> None:
    async with console(screen="market") as deck:
        await deck.press("b")
        field = deck.app.focused
        assert isinstance(field, AmountInput)
        field.arrive()
        field.insert_text_at_cursor("0.0")
        field.post_message(events.Focus(from_app_focus=False))
        await deck.settle()
        burst(deck, "3")
        await deck.settle()
        assert field.value == "0.03"


# --- the one confirmation


async def test_enter_reviews_from_a_field_in_which_nothing_is_typed_as_well() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b")
        await deck.press("up")
        deck.pass_guard()
        await deck.press("enter")
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        assert not deck.link.called("orders.place")


async def test_the_question_shows_exactly_the_sentence_that_is_sent() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        await deck.press("enter")
        assert deck.dialog() == "ConfirmDialog"
        said = deck.words()
        assert "Buy 0.015 BTC at 67,431.0 USDT or better, about 1,011.46 USDT." in said
        assert "PAPER account" in said
        assert "1.0115 USDT" in said
        assert deck.link.called("orders.place") == []


async def test_keys_typed_ahead_never_confirm_what_was_not_yet_drawn() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        await deck.press("enter", "enter", "y", "enter")
        assert deck.dialog() == "ConfirmDialog"
        assert deck.link.called("orders.place") == []


async def test_a_question_that_no_frame_has_shown_takes_no_key_however_long_one_waits() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        with deck.app.batch_update():
            # As the driver does while a terminal has stopped reading.
            await deck.pilot.press("enter")
            await deck.pilot.pause()
            deck.time.seconds += 60
            await deck.pilot.press("enter", "y")
            await deck.pilot.pause()
            assert deck.link.called("orders.place") == []
        await deck.settle()
        await deck.press("enter")
        assert deck.link.called("orders.place") == []
        deck.pass_guard()
        await deck.press("enter")
        assert len(deck.link.called("orders.place")) == 1


async def test_enter_twice_sends_once() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        await deck.press("enter")
        deck.pass_guard()
        with deck.link.held("orders.place"):
            await deck.pilot.press("enter", "enter", "y")
            await deck.pilot.pause()
            assert "Sending…" in deck.words()
            await deck.press("escape")
            assert deck.dialog() == "ConfirmDialog", "what is under way is not left"
        await deck.settle()
        assert len(deck.link.called("orders.place")) == 1
        assert deck.dialog() == ""


async def test_enter_twice_at_once_at_the_review_asks_once_and_the_next_order_works() -> None:
    async with console(screen="market") as deck:
        for orders in (1, 2):
            await ticket(deck)
            for _ in range(2):
                deck.app.post_message(events.Key("enter", "\r"))
            await deck.settle()
            assert [type(screen).__name__ for screen in deck.app.stack()].count("ConfirmDialog") == 1
            deck.pass_guard()
            await deck.press("enter")
            assert len(deck.link.called("orders.place")) == orders
            assert deck.dialog() == ""


async def test_after_sending_the_order_is_in_the_table_and_u_cancels_it() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        await deck.press("enter")
        deck.pass_guard()
        await deck.press("enter")
        assert "0.015" in deck.text()
        assert "u: cancel it while it is open" in deck.text()
        await deck.press("u")
        assert [call.params for call in deck.link.called("orders.cancel")] == [{"client_id": "o2001"}]
        await deck.press("u")
        assert len(deck.link.called("orders.cancel")) == 1


async def test_after_ten_seconds_u_cancels_nothing() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        await deck.press("enter")
        deck.pass_guard()
        await deck.press("enter")
        deck.time.seconds += 11
        await deck.press("u")
        assert deck.link.called("orders.cancel") == []


async def test_a_refusal_is_shown_in_the_question_and_another_try_is_another_request() -> None:
    link = FakeLink()
    async with console(link, screen="market") as deck:
        await ticket(deck)
        link.refuse("orders.place", OrderRejectionError("The market is stale. Wait for a price."))
        await deck.press("enter")
        deck.pass_guard()
        await deck.press("enter")
        assert "The market is stale. Wait for a price." in deck.words()
        link.refuse("orders.place", None)
        await deck.press("enter")
        first, second = link.called("orders.place")
        assert first.request_id != second.request_id
        assert deck.dialog() == ""


async def test_when_nothing_is_known_of_the_first_try_the_same_request_asks_again() -> None:
    link = FakeLink()
    async with console(link, screen="market") as deck:
        await ticket(deck)
        link.refuse("orders.place", EngineNotRunningError("The link was lost on the way."))
        await deck.press("enter")
        deck.pass_guard()
        await deck.press("enter")
        assert "The link was lost on the way." in deck.words()
        link.refuse("orders.place", None)
        await deck.press("enter")
        first, second = link.called("orders.place")
        assert first.request_id == second.request_id is not None


async def test_enter_before_the_verdict_has_come_waits_for_it() -> None:
    async with console(screen="market") as deck:
        with deck.link.held("orders.preview"):
            await deck.press("b", *"0.01", "enter")
            assert deck.dialog() == "TicketDialog"
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        assert "Buy 0.01 BTC" in deck.words()


async def test_a_verdict_on_an_older_draft_is_not_confirmed() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.01")
        await deck.press("5", "enter")
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        assert "Buy 0.015 BTC" in deck.words()


async def test_leaving_the_ticket_sends_nothing() -> None:
    async with console(screen="market") as deck:
        await ticket(deck)
        await deck.press("escape")
        assert deck.dialog() == ""
        assert deck.link.called("orders.place") == []


async def test_an_operation_that_fails_is_explained_in_the_ticket() -> None:
    link = FakeLink()
    link.refuse("orders.preview", OrderRejectionError("There is no price yet."))
    async with console(link, screen="market") as deck:
        await ticket(deck)
        assert "There is no price yet." in deck.words()
        await deck.press("enter")
        assert deck.dialog() == "TicketDialog"


def test_the_lines_of_a_verdict_are_always_as_many() -> None:
    assert len(preview_lines(None, "")) == len(preview_lines(None, "a long sentence " * 9)) == 7


def live_link(**more: object) -> FakeLink:
    """An engine whose account is live."""
    link = FakeLink()
    status = link.data["engine.status"]
    link.data["engine.status"] = msgspec.structs.replace(status, mode=TradingMode.LIVE, account="main", **more)
    return link


async def test_an_order_that_is_refused_for_want_of_arming_stays_to_be_sent_again() -> None:
    link = live_link()
    link.refuse("orders.place", AuthorizationError("test-binance is not armed.", error_code=NOT_ARMED))
    async with console(link, screen="market") as deck:
        await ticket(deck, "b")
        await deck.press("enter")
        deck.pass_guard()
        await deck.press("enter")
        await deck.settle()
        assert deck.dialog() == "ArmForm"
        assert "test-binance is not armed." in deck.words()
        link.refuse("orders.place", None)
        deck.app.screen.query_one(Form).put("typed", "BINANCE/test-binance")
        deck.pass_guard()
        await deck.press("enter")
        await deck.settle()
        assert len(link.called("live.arm")) == 1
        assert deck.dialog() == "ConfirmDialog"
        assert "nothing was sent yet" in deck.words()
        assert len(link.called("orders.place")) == 1
        assert "ARMED 15:00" in deck.text().splitlines()[0]
        deck.pass_guard()
        await deck.press("enter")
        await deck.settle()
        first, second = link.called("orders.place")
        assert first.params == second.params
        assert first.request_id != second.request_id
        assert deck.dialog() == ""


@pytest.mark.parametrize(("testnet", "word"), [(False, "LIVE"), (True, "TESTNET")])
async def test_real_money_is_named_on_the_screen_and_on_the_ticket(testnet: bool, word: str) -> None:
    async with console(live_link(testnet=testnet), screen="market") as deck:
        assert deck.text().startswith(f" {word} ")
        assert deck.screen.has_class("-live")
        await ticket(deck, "b")
        assert f"{word} · BUY BTC/USDT" in deck.text()
        assert deck.app.screen.has_class("-live")
        await deck.press("enter")
        assert f"{word} account main" in deck.words()


# --- algorithms ------------------------------------------------------------------------------------------------------


async def by(deck: Console, way: str) -> TicketDialog:
    """Choose an algorithm in an open ticket."""
    screen = deck.app.screen
    assert isinstance(screen, TicketDialog)
    screen.query_one("#by", ChoiceField).value = way
    await preview(deck)
    return screen


async def test_a_ticket_by_an_algorithm_shows_its_expected_cost_and_starts_it_once() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.015")
        screen = await by(deck, "implementation_shortfall")
        screen.query_one("#urgency", AmountInput).value = "0.8"
        await deck.settle()
        await preview(deck)
        asked = deck.link.called("orders.estimate")[-1].params
        assert asked == {
            "instrument": "SIM:BTC/USDT", "side": "buy", "quantity": Decimal("0.015"), "urgency": 0.8,
            "duration_s": 1800.0, "slices": 10, "algorithm": "implementation_shortfall",
        }  # fmt: skip
        assert "At once ~0.123 %, shortfall ~0.041 % ± 0.21 %" in deck.words()
        assert "Best at paper" in deck.words()
        await deck.press("enter")
        assert "Buy 0.015 in SIM:BTC/USDT, by shortfall, over 30 min in 10 slices, urgency 0.8" in deck.words()
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(deck.link.called("algos.start")))
        (call,) = deck.link.called("algos.start")
        assert call.params == {
            "instrument": "SIM:BTC/USDT", "side": "buy", "quantity": Decimal("0.015"), "price": Decimal("67431.0"),
            "algorithm": "implementation_shortfall", "duration_s": 1800.0, "slices": 10, "urgency": 0.8,
        }  # fmt: skip
        assert call.request_id
        assert not deck.link.called("orders.place")


async def test_each_algorithm_has_the_fields_that_it_knows() -> None:
    async with console(screen="market") as deck:
        await ticket(deck, "b", "0.015")
        for way, _, _ in WAYS:
            screen = await by(deck, way)
            shown = {name for name in ALGO_FIELDS if screen.query_one(f"#row-{name}").display}
            assert shown == set(fields_of(way))


@pytest.mark.parametrize(
    ("way", "typed", "wrong"),
    [
        ("twap", {"slices": "2.5"}, "Slices: write a whole number."),
        ("twap", {"slices": "1001"}, "Slices: write at most 1000."),
        ("twap", {"minutes": "0"}, "Over: write a number above zero such as 30."),
        ("auto", {"urgency": "1.1"}, "Urgency: write at most 1."),
        ("pov", {"share": "101%"}, "Share: write at most 1."),
        ("vwap", {"slip": "100%"}, "Slip max: write at most 0.99."),
    ],
)
def test_parameters_out_of_their_range_are_said(way: str, typed: dict[str, str], wrong: str) -> None:
    assert algo_params(way, lambda name: typed.get(name, ALGO_FIELDS[name].first)) == wrong


def test_what_is_typed_becomes_the_request() -> None:
    typed = {"share": "5%", "slip": "0.5%", "display": "0.2", "urgency": "0"}

    def of(way: str) -> object:
        return algo_params(way, lambda name: typed.get(name, ALGO_FIELDS[name].first))

    slip = {"max_slippage": Decimal("0.005")}
    assert of("pov") == {"algorithm": "pov", "participation": Decimal("0.05"), "every_s": 5.0, **slip}
    assert of("iceberg") == {"algorithm": "iceberg", "display": Decimal("0.2"), **slip}
    assert of("auto") == {"algorithm": "auto", "urgency": 0.0, **slip}
