"""Studies on the screen of backtests: set up by a form, followed, shown as a page, deleted after a question."""

from __future__ import annotations

import msgspec
import pytest

from screens.form import Form
from screens.studies import StudiesDialog
from screens.study_figures import study_lines
from screens.study_forms import searched
from tests.kit import fake_studies
from tests.kit.deck import Console, console
from widgets.glyphs import UNICODE


async def opened(deck: Console, *keys: str) -> None:
    await deck.press(*keys)
    for _ in range(3):
        await deck.settle()
    deck.pass_guard()


def page_of(kind: str, width: int = 100) -> str:
    row = next(row for row in fake_studies.studies() if row.kind == kind)
    lines = study_lines(fake_studies.study(row), width, UNICODE)
    return "\n".join("".join(part for part, _ in line) for line in lines)


async def test_stored_studies_are_listed_and_the_chosen_one_is_shown() -> None:
    async with console(size=(120, 40), screen="backtests") as deck:
        await opened(deck, "w")
        page = deck.text()
        for what in ("Studies · 3", "walk-forward", "40/100", "Most stable region", "above zero with a probability"):
            assert what in page
        await opened(deck, "j", "j")
        assert "Test over training" in deck.text()
        asked = list(dict.fromkeys(call.params["id"] for call in deck.link.called("backtests.study")))
        assert asked == ["st-0001", "st-0002", "st-0003"]


async def test_a_study_is_deleted_after_a_question() -> None:
    async with console(screen="backtests") as deck:
        await opened(deck, "w", "D")
        assert "Delete the sweep of trend_following" in deck.text()
        await opened(deck, "y")
        assert deck.link.called("backtests.delete_study")[0].params == {"id": "st-0001"}
        assert "Studies · 2" in deck.text()


async def test_a_sweep_is_set_up_and_asked_for() -> None:
    async with console(screen="backtests") as deck:
        await opened(deck, "s")
        form = deck.app.screen.query_one(Form)
        form.go("search")
        await deck.settle()
        await deck.press(
            *["equals_sign" if char == "=" else "underscore" if char == "_" else char for char in "fast_ma=5"]
        )
        await opened(deck, "enter")
        await opened(deck, "enter")
        (call,) = deck.link.called("backtests.sweep")
        assert call.params["grid"] == {"fast_ma": "5"}
        assert (call.params["objectives"], call.params["min_trades"], call.params["seed"]) == (["sharpe"], 10, 42)
        assert call.params["strategy"]


async def test_a_finished_study_is_opened() -> None:
    async with console(screen="backtests") as deck:
        job = msgspec.structs.replace(
            deck.link.data["jobs.list"][0], id="job-9", kind="sweep", state="running", result=""
        )
        deck.link.publish("jobs.state", (job,))
        await deck.settle()
        deck.link.publish("jobs.state", (msgspec.structs.replace(job, state="done", result="st-0002", finished=1),))
        for _ in range(4):
            await deck.settle()
        assert isinstance(deck.app.screen, StudiesDialog)
        assert "optimise of trend_following" in deck.text()


def test_the_page_of_a_sweep_has_its_heat_map_and_what_was_left_out() -> None:
    page = page_of("sweep")
    assert "sharpe over fast_ma (across) and slow_ma (down)" in page
    assert "Left out: 1" in page
    assert page.index("above zero with a probability") < page.index("parameters") < page.index("Assumptions")


def test_the_page_of_two_objectives_marks_the_front_and_says_that_it_is_unfinished() -> None:
    page = page_of("optimise")
    assert page.count("front") == 2
    assert "Unfinished: 40 of 100" in page


def test_the_page_of_a_walk_has_windows_movement_and_ratio() -> None:
    page = page_of("walk_forward")
    for what in ("Tests stitched", "0.43 over 2 windows", "How the best parameters move", "27% of its range", "few"):
        assert what in page


def test_what_is_searched_is_read_from_one_field() -> None:
    assert searched("fast_ma=5:50:5  slow_ma=60,80") == {"fast_ma": "5:50:5", "slow_ma": "60,80"}
    assert searched("") == {}
    for wrong in ("fast_ma", "=5", "fast_ma=", "a=1 a=2"):
        with pytest.raises(ValueError, match=r"NAME=VALUES|twice"):
            searched(wrong)
