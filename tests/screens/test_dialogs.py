"""Dialogs ask once, take no key that was not meant for them, and stay until it is known what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ConflictError
from screens.dialogs import ConfirmDialog, Dialog, ErrorDialog, SheetDialog
from screens.finder import Choice, rank
from screens.options import Option, OptionsDialog
from screens.sheet import wrap
from tests.kit.deck import console
from widgets.table_cells import Cell

if TYPE_CHECKING:
    from tests.kit.deck import Console


async def push(deck: Console, dialog: Dialog[Any], results: list[Any] | None = None) -> None:
    """Show a dialog; what it ends with is appended to the results."""
    found = results if results is not None else []
    deck.app.push_screen(dialog, found.append)
    await deck.settle()


async def test_a_harmless_question_takes_enter_and_a_dangerous_one_only_y() -> None:
    async with console(screen="backtests") as deck:
        for danger, keys in ((False, "enter"), (True, "y")):
            results: list[Any] = []
            await push(deck, ConfirmDialog("Sure?", "It will be done.", danger=danger), results)
            deck.pass_guard()
            if danger:
                await deck.press("enter", "space")
                assert results == []
            await deck.press(keys)
            assert results == [True]


async def test_esc_is_heard_at_once() -> None:
    async with console(screen="backtests") as deck:
        results: list[Any] = []
        await push(deck, ConfirmDialog("Sure?", "It will be done."), results)
        await deck.press("escape")
        assert results == [None]


async def test_a_typed_word_must_be_the_word() -> None:
    async with console(screen="backtests") as deck:
        results: list[Any] = []
        await push(deck, ConfirmDialog("Sure?", "It will be done.", word="FLATTEN"), results)
        deck.pass_guard()
        await deck.press(*"flat", "enter")
        assert "That is not FLATTEN." in deck.words()
        await deck.press(*"ten", "enter")
        assert results == [True]


async def test_what_is_done_is_shown_while_it_is_under_way_and_done_once() -> None:
    async with console(screen="backtests") as deck:
        gate, calls, results = asyncio.Event(), [], []  # type: ignore[var-annotated]  # lists of whatever comes

        async def run() -> str:
            calls.append(1)
            await gate.wait()
            return "done"

        await push(deck, ConfirmDialog("Sure?", "It will be done.", run=run, busy="Working…"), results)
        deck.pass_guard()
        await deck.press("enter", "enter", "y", "escape")
        assert "Working…" in deck.words()
        assert calls == [1]
        gate.set()
        await deck.settle()
        assert results == ["done"]


async def test_a_refusal_stays_in_the_dialog_and_can_be_tried_again() -> None:
    async with console(screen="backtests") as deck:
        answers: list[Any] = [ConflictError("The bot is just starting. Wait a moment."), "fine"]
        results: list[Any] = []

        async def run() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        await push(deck, ConfirmDialog("Sure?", "It will be done.", run=run), results)
        deck.pass_guard()
        await deck.press("enter")
        assert "The bot is just starting." in deck.words()
        await deck.press("enter")
        assert results == ["fine"]


async def test_a_mistake_in_what_is_done_is_reported_and_ends_the_question() -> None:
    async with console(screen="backtests") as deck:

        async def run() -> None:
            raise KeyError("oops")

        await push(deck, ConfirmDialog("Sure?", "It will be done.", run=run))
        deck.pass_guard()
        await deck.press("enter")
        assert any(isinstance(screen, ErrorDialog) for screen in deck.app.screen_stack)
        assert not any(isinstance(screen, ConfirmDialog) for screen in deck.app.screen_stack)
        deck.app.failures.clear()


async def test_an_answer_is_chosen_by_its_letter_or_by_the_cursor() -> None:
    options = [Option("one", "a", "First"), Option("two", "b", "Second"), Option("three", "d", "Third", danger=True)]
    async with console(screen="backtests") as deck:
        for keys, chosen in (
            ("b", "two"),
            ("j enter", "two"),
            ("G enter", "three"),
            ("enter", "one"),
            ("escape", None),
        ):
            results: list[Any] = []
            await push(deck, OptionsDialog("Which?", [], options), results)
            await deck.press(*keys.split()[:-1])
            deck.pass_guard()
            await deck.press(keys.split()[-1])
            assert results == [chosen]


async def test_an_answer_typed_ahead_is_not_taken() -> None:
    async with console(screen="backtests") as deck:
        results: list[Any] = []
        await push(deck, OptionsDialog("Which?", [], [Option("one", "a", "First")]), results)
        await deck.press("a", "enter")
        assert results == []


async def test_the_text_of_a_dialog_can_be_copied() -> None:
    async with console(screen="backtests") as deck:
        await push(deck, ErrorDialog("Oops", "It broke.", "line one\nline two"))
        await deck.press("ctrl+y")
        assert deck.app.clipboard == "It broke.\nline one\nline two"


async def test_a_page_is_scrolled_with_the_usual_keys() -> None:
    async with console(screen="backtests") as deck:
        await push(deck, SheetDialog("Page", [[(f"line {number}", "text")] for number in range(100)]))
        assert "line 0 " in deck.text()
        await deck.press("G")
        assert "line 99" in deck.text()
        await deck.press("ctrl+u", "k", "g")
        assert "line 0 " in deck.text()


async def test_f1_explains_the_dialog_one_is_in() -> None:
    async with console(screen="market") as deck:
        await deck.press("b", "f1")
        page = deck.words()
        assert "The amount is in base units" in page
        assert "Show exactly what would be sent." in page
        assert "Show the bots." not in page, "what does not work here is not offered"
        await deck.press("escape")
        assert deck.dialog() == "TicketDialog"


@pytest.mark.parametrize(
    ("typed", "title", "points"),
    [
        ("", "Risk", 0),
        ("risk", "Risk", 0),
        (":ri", "Risk", 1),
        ("btc", "ETH/BTC", 2),
        ("ticket", "Buy", 3),
        ("ebt", "ETH/BTC", 4),
        ("xyz", "Risk", None),
    ],
)
def test_what_fits_better_comes_first(typed: str, title: str, points: int | None) -> None:
    more = "Open a ticket to buy." if title == "Buy" else ""
    assert rank(typed, Choice("key", (Cell(title),), title, more)) == points


def test_a_paragraph_is_broken_between_words() -> None:
    assert wrap("one two  three\nfour", 9, "muted") == [
        [("one two", "muted")],
        [("three", "muted")],
        [("four", "muted")],
    ]
    assert wrap("", 9) == []
