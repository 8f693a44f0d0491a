"""The screen of backtests: from data and strategy to a run, its result, and two runs side by side."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.errors import ValidationError
from screens import backtest_figures as figures
from screens.form import Form
from screens.form_fields import PARAM
from screens.formats import day
from tests.kit import fake_data
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import MINUTE, NOW
from widgets.glyphs import UNICODE
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from tests.kit.deck import Console


async def form_of(deck: Console, *keys: str) -> Form:
    await deck.press(*keys)
    for _ in range(3):
        await deck.settle()
    deck.pass_guard()
    return deck.app.screen.query_one(Form)


async def replace(deck: Console, form: Form, name: str, text: str) -> None:
    """Write something else into a field."""
    form.go(name)
    await deck.settle()
    await deck.press("ctrl+u", *["minus" if char == "-" else char for char in text])


def text_of(lines: list[Any]) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


async def test_stored_runs_are_listed_and_the_chosen_one_is_shown() -> None:
    async with console(screen="backtests") as deck:
        page = deck.text()
        for what in ("Backtests · 3", "▲ +84.12 %", "✓ pass", "✗ fail", "Sharpe", "hold 27,261", "2022-11-30"):
            assert what in page


async def test_another_run_is_shown_when_the_cursor_rests_on_it() -> None:
    async with console(screen="backtests") as deck:
        deck.time.seconds += 1
        await deck.press("j")
        await deck.settle()
        assert "mean_reversion 1h" in deck.text()
        assert [call.params["id"] for call in deck.link.called("backtests.get")] == ["bt-0001", "bt-0002"]
        deck.time.seconds += 1
        await deck.press("k")
        assert len(deck.link.called("backtests.get")) == 2


async def test_an_answer_that_the_cursor_has_outrun_is_not_shown() -> None:
    async with console(screen="backtests") as deck:
        deck.time.seconds += 1
        with deck.link.held("backtests.get"):
            await deck.press("j")
            deck.time.seconds += 1
            await deck.press("j")
        await deck.settle()
        await deck.settle()
        assert "my_breakout 1h" in deck.text()


async def test_enter_opens_the_run_pages_turn_and_escape_returns() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("enter")
        assert "Backtests · 3" not in deck.text()
        await deck.press("v")
        assert "Trades · 40" in deck.text()
        assert "Left because" in deck.text()
        await deck.press("v")
        assert "0.10 % maker and taker" in deck.text()
        assert "fast_ma=20" in deck.text()
        await deck.press("escape")
        assert "Backtests · 3" in deck.text()


async def test_on_a_tall_terminal_everything_of_a_run_is_in_sight() -> None:
    async with console(size=(120, 40), screen="backtests") as deck:
        page = deck.text()
        for what in ("Backtests · 3", "Equity against holding", "Assumptions", "Trades · 40", "Profit factor"):
            assert what in page


async def test_without_candles_the_command_that_imports_them_is_named() -> None:
    async with console(FakeLink("empty"), screen="backtests") as deck:
        page = deck.text()
        assert "No runs yet. n runs one." in page
        assert "quarterdeck data import FILE" in page
        await deck.press("n")
        await deck.settle()
        assert "There are no candles to run on." in deck.text()
        assert "--timeframe 1h" in deck.text()


async def test_a_run_is_set_up_with_the_datas_days_and_the_strategys_parameters() -> None:
    async with console(screen="backtests") as deck:
        form = await form_of(deck, "n")
        first = next(row for row in fake_data.datasets() if row.timeframe == "1m")
        assert form.texts["start"] == day(first.start, UTC)
        assert form.texts["end"] == day(first.end, UTC)
        form.go("data")
        await deck.settle()
        await deck.press("right")
        assert "BINANCE BTC/USDT 1h" in deck.text()
        await replace(deck, form, "start", "2024-01-01")
        await replace(deck, form, f"{PARAM}fast_ma", "10")
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("backtests.run")
        assert call.params == {
            "strategy": "trend_following",
            "strategy_file": None,
            "params": {"fast_ma": 10},
            "venue": "BINANCE",
            "symbol": "BTC/USDT",
            "timeframe": "1h",
            "capital": "10000",
            "allow_short": False,
            "start": "2024-01-01",
            "maker_fee": "0.001",
            "taker_fee": "0.001",
        }
        assert "is under way" in deck.text()


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2020-01-01", "2026-01-01", "a day, 2022-09-13 to 2026-03-13"),
        ("2024-01-01", "2023-06-01", "must be after the first day"),
        ("2024-13-01", "2026-01-01", "a day such as 2024-12-31"),
    ],
)
async def test_days_outside_the_data_or_in_the_wrong_order_are_refused(start: str, end: str, said: str) -> None:
    async with console(screen="backtests") as deck:
        form = await form_of(deck, "a", "n")
        await replace(deck, form, "start", start)
        await replace(deck, form, "end", end)
        await deck.press("enter")
        assert said in deck.text()
        assert deck.link.called("backtests.run") == []


async def test_a_strategys_parameter_may_be_called_like_another_field() -> None:
    rows = fake_data.strategies()
    clash = msgspec.structs.replace(rows[0].params[0], name="capital")
    link = FakeLink()
    link.data["strategies.list"] = [msgspec.structs.replace(rows[0], params=(clash,))]
    async with console(link, screen="backtests") as deck:
        form = await form_of(deck, "n")
        await replace(deck, form, f"{PARAM}capital", "33")
        await deck.press("enter")
        await deck.settle()
        (call,) = link.called("backtests.run")
        assert call.params["capital"] == "10000"
        assert call.params["params"] == {"capital": 33}


async def test_a_refused_run_stays_in_its_form() -> None:
    async with console(screen="backtests") as deck:
        deck.link.refuse("backtests.run", ValidationError("There is nothing in the range of the run."))
        await form_of(deck, "n")
        await deck.press("enter")
        await deck.settle()
        assert "There is nothing in the range of the run." in deck.text()


async def test_a_job_shows_how_far_it_is_and_its_run_is_chosen_when_it_is_done() -> None:
    async with console(screen="backtests") as deck:
        assert "42 %" in deck.text()
        fresh = msgspec.structs.replace(fake_data.backtests()[1], id="bt-0009", strategy="fresh_one")
        deck.link.data["backtests.list"] = [*fake_data.backtests(), fresh]
        deck.link.finish("job-1", result="bt-0009", message="12 trades, +4.00%")
        for _ in range(3):
            await deck.settle()
        assert deck.screen.query_one("#runs", LiveTable).cursor_key == "bt-0009"
        assert "12 trades, +4.00%" in deck.text()


async def test_a_job_that_fails_says_why() -> None:
    async with console(screen="backtests") as deck:
        deck.link.finish("job-1", "failed", message="The strategy divided by zero.")
        await deck.settle()
        await deck.settle()
        assert "The strategy divided by zero." in deck.text()


async def test_the_running_job_is_cancelled_after_a_question() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("c")
        assert "42 % done" in deck.text()
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("jobs.cancel") == []
        await deck.press("y")
        await deck.settle()
        assert [call.params for call in deck.link.called("jobs.cancel")] == [{"id": "job-1"}]
        await deck.press("c")
        assert "No job is running." in deck.text()


async def test_a_run_is_deleted_after_a_question() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("D")
        assert "Delete the run trend_following BTC/USDT 1h" in " ".join(deck.text().replace("│", " ").split())
        deck.pass_guard()
        await deck.press("y")
        for _ in range(3):
            await deck.settle()
        assert "Backtests · 2" in deck.text()


async def test_candles_are_listed_deleted_and_run_on() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("a")
        for what in ("Candles · 3 sets", "BITFINEX", "1,036,800"):
            assert what in deck.text()
        await deck.press("j", "D")
        assert "Delete 30,668 candles of BINANCE ETH/USDT 1h" in deck.text()
        await deck.press("escape")
        form = await form_of(deck, "n")
        assert form.texts["data"] == "BINANCE|ETH/USDT|1h"


async def test_candles_are_imported_from_a_file() -> None:
    async with console(screen="backtests") as deck:
        form = await form_of(deck, "i")
        await deck.press(*"x.csv", "down", *"binance", "down", *"BTCUSDT", "enter")
        assert "base and quote with a slash" in deck.text()
        await replace(deck, form, "symbol", "BTC/USDT")
        await replace(deck, form, "timeframe", "one")
        await deck.press("enter")
        assert "one such as 1m" in deck.text()
        await replace(deck, form, "timeframe", "15m")
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("data.import")
        assert call.params == {
            "file": "x.csv",
            "venue": "binance",
            "symbol": "BTC/USDT",
            "timeframe": "15m",
            "replace": False,
        }


async def test_two_runs_are_compared_figure_by_figure() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("m")
        assert "◆ trend_following" in deck.text()
        await deck.press("j", "m")
        for _ in range(3):
            await deck.settle()
        page = deck.text()
        assert "Two runs side by side" in page
        assert "+84.12 % ✓" in page
        assert "-12.66 %" in page


async def test_months_and_odds_are_pages_of_a_run_that_has_them() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("enter", "v", "v", "v")
        await deck.until(lambda: "By side" in deck.text())
        page = deck.text()
        for what in ("Months and parts", "2021", "+31.0 %", "By side", "short"):
            assert what in page
        await deck.press("v")
        await deck.until(lambda: "Normal" in deck.text())
        page = deck.text()
        for what in ("1,000 paths a scenario, prices, seed 42.", "Normal", "The run", "99 % from"):
            assert what in page
        await deck.press("G")
        assert "80.0%" in deck.text()


async def test_a_run_without_them_says_which_key_makes_them() -> None:
    async with console(size=(120, 40), screen="backtests") as deck:
        deck.time.seconds += 1
        await deck.press("j", "v")
        for _ in range(3):
            await deck.settle()
        assert "the key Sheet makes it" in deck.text()
        await deck.press("r", "p")
        await deck.settle()
        assert [call.params for call in deck.link.called("backtests.tearsheet")] == [{"id": "bt-0002"}]
        assert [call.params for call in deck.link.called("backtests.montecarlo")] == [{"id": "bt-0002"}]
        assert "Tear sheet of bt-0002" in deck.text()


async def test_picked_runs_are_weighed_and_the_result_is_shown_when_it_is_there() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("W")
        assert "Pick two runs or more" in deck.text()
        await deck.press("space", "j", "space", "W")
        await deck.settle()
        (call,) = deck.link.called("backtests.compare")
        assert call.params == {"ids": ["bt-0001", "bt-0002"]}
        job = next(row for row in deck.link.data["jobs.list"] if row.title == "Comparison of 2 runs")
        deck.link.finish(job.id, result="an-0009", message="Choose one.")
        await deck.until(lambda: "Correlation" in deck.text())
        page = deck.text()
        for what in ("2 runs", "Choose trend_following bt-0001.", "Correlation", "equal: bt-0001 50%, bt-0002 50%"):
            assert what in page
        await deck.press("escape", "space")
        assert deck.text().count("◆") == 1


async def test_a_second_press_takes_the_mark_back() -> None:
    async with console(screen="backtests") as deck:
        await deck.press("m", "m")
        assert "◆" not in deck.text().splitlines()[4]
        assert not deck.dialog()


async def test_without_a_link_nothing_is_started() -> None:
    async with console(screen="backtests") as deck:
        deck.link.lose()
        await deck.press("n", "i", "D", "c")
        assert not deck.dialog()


async def test_a_hidden_screen_follows_nothing_and_misses_nothing() -> None:
    async with console(screen="backtests") as deck:
        assert "jobs.state" in deck.link.topics()
        await deck.press("4")
        assert "jobs.state" not in deck.link.topics()
        fresh = msgspec.structs.replace(fake_data.backtests()[1], id="bt-0009")
        deck.link.data["backtests.list"] = [fresh, *fake_data.backtests()]
        await deck.press("6")
        await deck.until(lambda: "Backtests · 4" in deck.text())


def test_figures_that_could_not_be_computed_are_dashes() -> None:
    view = fake_data.backtest(fake_data.backtests()[2])
    text = text_of(figures.metric_lines(view, 60, UNICODE))
    assert "–" in text
    assert "nan" not in text.lower()
    assert "None" not in text


@pytest.mark.parametrize(("width", "columns"), [(34, 1), (56, 2), (90, 3)])
def test_figures_stand_in_as_many_columns_as_fit(width: int, columns: int) -> None:
    lines = figures.metric_lines(fake_data.backtest(fake_data.backtests()[0]), width, UNICODE)
    titles = text_of(lines[2:3])
    assert sum(title in titles for title in figures.GROUPS) == columns
    assert max(len(text_of([line])) for line in lines) <= width


def test_every_assumption_is_printed_in_full_and_warnings_come_first() -> None:
    view = fake_data.backtest(fake_data.backtests()[0])
    long = "A sentence that goes on for much longer than a single line of the pane can hold, to its very end."
    view = msgspec.structs.replace(view, assumptions={"fills": long, "warning_few": "Only 3 trades."})
    lines = figures.assumption_lines(view, 40)
    assert text_of(lines[:1]) == "! Only 3 trades."
    assert " ".join(text_of(lines).split()).count("to its very end.") == 1
    assert max(len(text_of([line])) for line in lines[:8]) <= 40


def test_the_line_about_jobs_says_what_runs_what_waits_and_what_failed() -> None:
    jobs = fake_data.jobs()
    running = figures.job_parts(jobs, 0, NOW, UNICODE, "c")
    assert running is not None
    assert running.share == pytest.approx(0.42)
    assert running.tail[1] == "27m left"
    waiting = msgspec.structs.replace(jobs[0], id="job-9", state="queued")
    queued = figures.job_parts((waiting, *jobs), 0, NOW, UNICODE, "c")
    assert queued is not None
    assert "1 waiting" in queued.tail
    failed = figures.job_parts(jobs[1:], NOW - 56 * MINUTE, NOW, UNICODE, "c")
    assert failed is not None
    assert "There is no data of SOL/USDT." in failed.head
    assert figures.job_parts(jobs[1:], NOW, NOW, UNICODE, "c") is None
