"""Golden runs: hand-made bars in, trades out, every price and fee worked out by hand.

Unless a test says otherwise: capital 10,000, an entry takes half the equity, every bar trades 1,000 units and own
orders at most a tenth of that, half a spread is 0.5 bps, slippage 50 bps times the root of the share of the volume, fee
0.1 %. An entry of 50 units at about 100 so costs 50 × √0.05 + 0.5 = 11.6803 bps, its stop or
target 11.1803 bps.
"""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.backtest.run import run_backtest
from engine.errors import DataError, DataValidationError, StrategyError
from engine.model.candle import Bars
from engine.strategy.contract import Holding, Wish
from tests.backtest.helpers import (
    FLAT,
    HOUR,
    START,
    enter,
    leave,
    make_bars,
    make_instrument,
    make_spec,
    play,
    same,
    scripted,
    told,
)
from tests.kit.workloads import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = tuple[float, ...]


def at(price: float) -> Row:
    """A bar in which nothing happens at a price."""
    return (price, price, price, price)


GOLDEN: list[tuple[str, Sequence[Row], Mapping[int, Wish], dict[str, Any], list[str]]] = [
    (
        "an entry meets the next open with half a spread and slippage, its stop the trigger with slippage",
        # 101 × 1.00116803 = 101.11797, up to the tick; 95 × 0.99888197 = 94.89379, down
        [FLAT, at(101), (100, 100, 94, 96), FLAT],
        {0: enter(stop=95)},
        {},
        ["buy 50 101.12→94.89 at 1→2.5 h, fees 9.8005, -321.3005: protective stop"],
    ),
    (
        "a stop that the open has jumped over fills at the open",
        [FLAT, at(101), (90, 92, 89, 91), FLAT],
        {0: enter(stop=95)},
        {},
        ["buy 50 101.12→89.89 at 1→2 h, fees 9.5505, -571.0505: protective stop"],
    ),
    (
        "a stop works inside the very bar of the entry",
        [FLAT, (101, 101, 90, 92), FLAT],
        {0: enter(stop=95)},
        {},
        ["buy 50 101.12→94.89 at 1→1.5 h, fees 9.8005, -321.3005: protective stop"],
    ),
    (
        "a stop that trails is moved at the close and works from the next bar on",
        [FLAT, FLAT, (100, 110, 100, 110), (110, 110, 103, 104), FLAT],
        {0: enter(stop=95), 2: Wish.protect("trail", stop=105.0)},
        {},
        ["buy 50 100.12→104.88 at 1→3.5 h, fees 10.25, +227.75: protective stop"],
    ),
    (
        "a target fills at its trigger with slippage and takes the stop with it",
        [FLAT, FLAT, (100, 108, 99, 107), (90, 90, 90, 90)],
        {0: enter(stop=95, target=106)},
        {},
        ["buy 50 100.12→105.88 at 1→2.5 h, fees 10.3, +277.7: take profit"],
    ),
    (
        "a target that the open has jumped over fills at the open",
        [FLAT, FLAT, (107, 108, 106.5, 107), FLAT],
        {0: enter(stop=95, target=106)},
        {},
        ["buy 50 100.12→106.88 at 1→2 h, fees 10.35, +327.65: take profit"],
    ),
    (
        "of stop and target in one bar the one nearer to the open is met first",
        [FLAT, FLAT, (102, 107, 94, 100), FLAT],
        {0: enter(stop=95, target=106)},
        {},
        ["buy 50 100.12→105.88 at 1→2.167 h, fees 10.3, +277.7: take profit"],
    ),
    (
        "the pessimist meets the stop first whatever is nearer, and pays no costs but fees",
        [FLAT, FLAT, (102, 107, 94, 100), FLAT],
        {0: enter(stop=95, target=106)},
        {"fills": "backtesting_py"},
        ["buy 50 100→95 at 1→2.083 h, fees 9.75, -259.75: protective stop"],
    ),
    (
        "an exit meets the next open with half a spread and slippage",
        [FLAT, FLAT, FLAT, (102, 103, 101, 102)],
        {0: enter(stop=95), 2: leave("time limit")},
        {},
        ["buy 50 100.12→101.88 at 1→3 h, fees 10.1, +77.9: time limit"],
    ),
    (
        "the opposite wish ends the position and opens nothing",
        [FLAT, FLAT, FLAT, (102, 103, 101, 102), FLAT],
        {0: enter(stop=95), 2: enter(-1, stop=110, reason="crossover down")},
        {},
        ["buy 50 100.12→101.88 at 1→3 h, fees 10.1, +77.9: crossover down"],
    ),
    (
        "levels make one trade of mean price, under one stop for the whole",
        # 25 at 100 × 1.00084057 up to 100.09; equity is then 10,095.24, a quarter of it 24.267 units at
        # 104 × 1.00082889 up to 104.09; all at 110 × 0.99884016 down to 109.87
        [FLAT, FLAT, at(104), at(104), at(110), at(110)],
        {0: enter(stop=95), 2: enter(stop=101), 4: leave()},
        {"size": 0.25},
        ["buy 49.267 102.060243774→109.87 at 1→5 h, fees 10.44116732, +374.32209268: out"],
    ),
    (
        "the raised stop of a pyramid closes all levels",
        # 49.267 units: 101 × (1 − 50 bps × √0.049267) = 100.88791, down
        [FLAT, FLAT, at(104), (104, 104, 100, 100.5)],
        {0: enter(stop=95), 2: enter(stop=101)},
        {"size": 0.25},
        ["buy 49.267 102.060243774→100.88 at 1→3.5 h, fees 9.99825699, -68.14532699: protective stop"],
    ),
    (
        "a thin market fills a tenth of its volume a bar, in and out",
        # 10 units a bar: 100 × (1 ± 0.00163114); the last 40 at the last close
        [FLAT] * 8,
        {0: enter(stop=95), 6: leave()},
        {"volume": 100.0},
        ["buy 50 100.17→99.966 at 1→8 h, fees 10.0068, -20.2068: end of data"],
    ),
    (
        "a stop that is reached ends what still waits to be bought",
        # 10 at 100.17 twice and 10 at 96.16, then the stop at 95 finds the bar's tenth used up
        [FLAT, FLAT, FLAT, (96, 96, 94, 95), *[FLAT] * 4],
        {0: enter(stop=95)},
        {"volume": 100.0},
        ["buy 30 98.8333333333→99.83 at 1→6 h, fees 5.9599, +23.9401: protective stop"],
    ),
    (
        "what is open at the end is closed at exactly the last close",
        [FLAT, FLAT, (100, 105, 100, 104.37)],
        {0: enter(stop=95)},
        {},
        ["buy 50 100.12→104.37 at 1→3 h, fees 10.2245, +202.2755: end of data"],
    ),
    (
        "a short sells at the next open below it and buys back above",
        [FLAT, FLAT, (99, 99, 90, 91), at(91)],
        {0: enter(-1, stop=110), 2: leave()},
        {"allow_short": True},
        ["sell 50 99.88→91.11 at 1→3 h, fees 9.5495, +428.9505: out"],
    ),
    (
        "the stop of a short lies above",
        # 110 × 1.00111803 = 110.12298, up to the tick
        [FLAT, FLAT, (101, 111, 101, 108), FLAT],
        {0: enter(-1, stop=110)},
        {"allow_short": True},
        ["sell 50 99.88→110.13 at 1→2.5 h, fees 10.5005, -523.0005: protective stop"],
    ),
    (
        "a short that is open at the end is bought back at the last close",
        [FLAT, FLAT, at(97)],
        {0: enter(-1, stop=110)},
        {"allow_short": True},
        ["sell 50 99.88→97 at 1→3 h, fees 9.844, +134.156: end of data"],
    ),
    (
        "without a stop of its own a position gets that of stop_loss_pct",
        # 2 % below 100
        [FLAT, FLAT, (99, 99, 97, 98), FLAT],
        {0: enter(stop=None)},
        {},
        ["buy 50 100.12→97.89 at 1→2.5 h, fees 9.9005, -121.4005: protective stop"],
    ),
    (
        "an entry is no larger than the limits allow",
        [FLAT] * 4,
        {0: enter()},
        {"limits": GENEROUS.model_copy(update={"max_position_size_pct": D("0.1")})},
        ["buy 9.794 100.06→100 at 1→4 h, fees 1.95938764, -2.54702764: end of data"],
    ),
    (
        "a market that opens beyond what the funds cover is bought as far as they go",
        # 95 units were wanted at 100; 10,000 / (110.18 × 1.001) = 90.669
        [FLAT, at(110), at(110), at(110)],
        {0: enter()},
        {"size": 0.95},
        ["buy 90.669 110.18→110 at 1→4 h, fees 19.96350042, -36.28392042: end of data"],
    ),
    (
        "a market without volume fills nothing",
        [FLAT] * 4,
        {0: enter()},
        {"volume": 0.0},
        [],
    ),
    (
        "two trades follow each other",
        [FLAT] * 8,
        {0: enter(), 2: leave("first"), 4: enter(), 6: leave("second")},
        {},
        [
            "buy 50 100.12→99.88 at 1→3 h, fees 10, -22: first",
            # half of 9,978 is 49.89 units at 100.12 and 99.88
            "buy 49.89 100.12→99.88 at 5→7 h, fees 9.978, -21.9516: second",
        ],
    ),
]


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "every step"])
@pytest.mark.parametrize(
    ("rows", "script", "more", "trades"), [case[1:] for case in GOLDEN], ids=[c[0] for c in GOLDEN]
)
def test_golden(
    rows: Sequence[Row], script: Mapping[int, Wish], more: dict[str, Any], trades: list[str], shortcuts: bool
) -> None:
    result = play(rows, script, shortcuts=shortcuts, **more)
    assert [told(trade) for trade in result.trades] == trades
    assert result.equity[-1] == pytest.approx(10_000 + float(sum(trade.pnl for trade in result.trades)), abs=1e-9)
    assert result.forced_close == any(text.endswith("end of data") for text in trades)


def test_equity_is_cash_and_units_at_each_close_after_the_start() -> None:
    result = play([FLAT, at(101), at(103), at(102), FLAT], {0: enter(), 2: leave()})
    # 50 units at 101.12 with a fee of 5.056; sold at 102 × 0.99883197, down to 101.88, with a fee of 5.094
    cash = 10_000 - 50 * 101.12 - 5.056
    end = cash + 50 * 101.88 - 5.094
    assert result.equity.tolist() == pytest.approx([10_000, 10_000, cash + 5050, cash + 5150, end, end])
    assert result.ts.tolist() == [START, *(START + HOUR * number for number in range(1, 6))]
    assert result.benchmark.tolist() == pytest.approx([10_000, 10_000, 10_100, 10_300, 10_200, 10_000])
    # held at the closes of the second and the third of five bars
    assert result.metrics["exposure"] == pytest.approx(0.4)


def test_the_strategy_is_told_what_it_holds_at_each_close() -> None:
    strategy = scripted({0: enter(), 2: leave()})
    seen: list[tuple[int, Holding]] = []
    strategy.seen = lambda number, holding: seen.append((number, holding))
    run_backtest(make_spec(shortcuts=False), strategy, make_instrument(), make_bars([FLAT] * 5))
    inside = Holding(50.0, 100.12)
    assert seen == [(0, Holding()), (1, inside), (2, inside), (3, Holding()), (4, Holding())]


def test_slippage_is_measured_from_the_close_of_the_decision_or_the_trigger() -> None:
    (trade,) = play([FLAT, at(101), (90, 92, 89, 91)], {0: enter(stop=95)}).trades
    assert trade.slippage == 50 * (D("101.12") - 100) + 50 * (95 - D("89.89"))
    (forced,) = play([FLAT, FLAT, at(103)], {0: enter()}).trades
    assert forced.slippage == 50 * D("0.12")


def test_excursions_are_the_farthest_moves_between_entry_and_exit() -> None:
    rows = [FLAT, (100, 104, 98, 101), (101, 110.132, 99, 105), (105, 150, 50, 100)]
    (long,) = play(rows, {0: enter(), 2: leave()}).trades
    # sold at the open of the last bar: what it did afterwards is not the trade's
    assert long.excursion_for == pytest.approx(110.132 / 100.12 - 1)
    assert long.excursion_against == pytest.approx(1 - 98 / 100.12)
    (short,) = play(rows, {0: enter(-1, stop=200), 2: leave()}, allow_short=True).trades
    assert short.excursion_for == pytest.approx(1 - 98 / 99.88)
    assert short.excursion_against == pytest.approx(110.132 / 99.88 - 1)


def test_a_stop_jumped_over_counts_what_it_cost_as_excursion() -> None:
    (trade,) = play([FLAT, at(101), (90, 120, 80, 91)], {0: enter(stop=95)}).trades
    assert trade.excursion_against == pytest.approx(1 - 89.89 / 101.12)
    assert trade.excursion_for == 0


# --- what is refused -------------------------------------------------------------------------------------------------


def test_wishes_to_sell_what_is_not_held_are_counted_and_change_nothing() -> None:
    result = play([FLAT] * 4, {0: enter(-1, stop=110), 2: enter(-1, stop=110)})
    assert (result.trades, result.orders, result.refusals) == ([], 0, {"not_sized": 2})
    assert set(result.equity.tolist()) == {10_000.0}


def test_an_entry_below_the_smallest_order_value_is_counted() -> None:
    result = play([FLAT] * 3, {0: enter()}, size=0.001, instrument=make_instrument(min_notional="20"))
    assert (result.trades, result.refusals) == ([], {"not_sized": 1})


def test_funds_run_out_and_the_rest_of_the_wishes_comes_to_nothing() -> None:
    result = play([FLAT] * 30, {number: enter() for number in range(25)}, size=0.4)
    (trade,) = result.trades
    spent = trade.entry_price * trade.quantity * D("1.001")
    assert D(9_990) < spent <= D(10_000)
    assert result.refusals["not_sized"] > 10


def test_the_loss_of_a_day_pauses_entries_for_24_hours_but_no_exit() -> None:
    limits = GENEROUS.model_copy(update={"max_daily_loss_pct": D("0.05")})
    # 50 units bought at 100.12 are worth 88 at the close of the third bar: equity 9,388.99
    rows = [FLAT, FLAT, *[at(88)] * 3, *[at(90)] * 30]
    script = {0: enter(), 2: enter(), 3: enter(), 4: leave(), 6: enter(), 26: enter(), 27: enter()}
    result = play(rows, script, limits=limits)
    first, second = result.trades
    assert told(first) == "buy 50 100.12→89.89 at 1→5 h, fees 9.5005, -521.0005: out"
    assert second.entry_time == START + 28 * HOUR
    assert result.refusals == {"reducing": 4, "halted": 4}
    assert [ts for ts, _ in result.halts] == [START + 3 * HOUR]
    assert result.halts[0][1].startswith("Loss of the day of backtest: equity is 9,388.99 USDT")


@pytest.mark.parametrize(
    ("closes", "trips"), [((100, 100, 96, 92), True), ((100, 100, 100, 96, 92), False)], ids=["one day", "two days"]
)
def test_the_bar_that_ends_at_midnight_belongs_to_the_day_before(closes: tuple[float, ...], trips: bool) -> None:
    # bars of half a day; each fall by 4 costs 50 units about 2 % of equity, together 4 %
    limits = GENEROUS.model_copy(update={"max_daily_loss_pct": D("0.035")})
    rows = [(before, before, close, close) for before, close in zip((100, *closes), closes, strict=False)]
    bars = make_bars([*rows, at(92)], timeframe="12h")
    result = run_backtest(make_spec("12h", limits=limits), scripted({0: enter()}), make_instrument(), bars)
    assert bool(result.halts) == trips


def test_the_hard_drawdown_closes_everything_at_the_next_open() -> None:
    limits = GENEROUS.model_copy(update={"max_drawdown_pct": D("0.15"), "breaker_drawdown_pct": D("0.15")})
    rows = [FLAT, FLAT, at(84), at(68), at(67), at(66), at(66)]
    result = play(rows, {0: enter(), 4: enter(), 5: enter()}, limits=limits)
    (trade,) = result.trades
    # tripped at the close of the fourth bar: 67 × 0.99883197 down to 66.92
    assert (trade.exit_time, trade.exit_price) == (START + 4 * HOUR, D("66.92"))
    assert trade.reason.startswith("emergency stop: Hard drawdown of backtest: equity is 8,388.99 USDT")
    assert result.refusals == {"halted": 2}
    assert len(result.halts) == 2


# --- what cannot be run ----------------------------------------------------------------------------------------------


def test_a_strategy_that_fails_ends_the_run_with_an_error_that_names_the_bar() -> None:
    strategy = scripted({0: enter()}, boom=3)
    with pytest.raises(StrategyError, match=r"2023-11-15 03:00:00 UTC: ZeroDivisionError: no luck") as caught:
        run_backtest(make_spec(), strategy, make_instrument(), make_bars([FLAT] * 5))
    assert caught.value.details["bar_ts"] == START + 3 * HOUR


def test_an_empty_range_is_said() -> None:
    with pytest.raises(DataError, match="no bars in that range"):
        play([], {})


def test_one_bar_gives_no_trade_and_flat_figures() -> None:
    result = play([(100, 110, 90, 105)], {0: enter()})
    assert (result.trades, result.bars, result.orders) == ([], 1, 1)
    assert result.equity.tolist() == [10_000, 10_000]
    assert result.metrics["total_return"] == 0
    assert result.metrics["sharpe"] is None


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ((100, 90, 95, 100), "contradict"),
        ((100, 100, -1, 100), "not positive"),
        ((100, float("nan"), 100, 100), "no finite number"),
        ((100, 100, 100, 100, -5), "negative volume"),
    ],
)
def test_an_impossible_bar_is_named_and_nothing_is_run(row: Row, fault: str) -> None:
    with pytest.raises(DataValidationError, match=rf"Row 1 of the 1h history .*{fault}"):
        play([FLAT, row, FLAT], {0: enter()})


def holed() -> Bars:
    """Six hours of which the third and the fourth are missing."""
    bars, kept = make_bars([FLAT] * 6), np.array([0, 1, 4, 5])
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars("1h", bars.ts[kept], *(column[kept] for column in columns))


def test_missing_bars_are_skipped_and_an_order_waits_for_the_next_there_is() -> None:
    result = run_backtest(make_spec(), scripted({1: enter()}), make_instrument(), holed())
    assert [told(trade) for trade in result.trades] == [
        "buy 50 100.12→100 at 4→6 h, fees 10.006, -16.006: end of data",
    ]
    assert result.ts.tolist() == [START + HOUR * number for number in (0, 1, 2, 5, 6)]


def test_missing_bars_end_the_run_where_that_is_wanted() -> None:
    with pytest.raises(
        DataError, match=r"^2 bars are missing in 1 gap, the longest \(2\) from 2023-11-15 02:00 UTC on"
    ) as caught:
        run_backtest(make_spec(gaps="fail"), scripted({}), make_instrument(), holed())
    assert caught.value.details == {"gaps": 1, "missing": 2}
    run_backtest(make_spec(gaps="fail"), scripted({}), make_instrument(), make_bars([FLAT] * 6))


# --- the same again --------------------------------------------------------------------------------------------------


def test_a_range_is_what_its_warm_up_makes_of_it() -> None:
    whole = make_bars([FLAT, FLAT, at(101), at(102), at(103)])
    history, bars = whole.slice(0, 2), whole.slice(2, 5)
    strategy = scripted({0: enter(), 2: enter()})
    result = run_backtest(make_spec(), strategy, make_instrument(), bars, history=history)
    assert result.warmup == 0
    assert result.bars == 3
    # the wish of the history's first bar is nobody's, the third bar's is met at the fourth's open
    assert [trade.entry_time for trade in result.trades] == [START + 3 * HOUR]


def test_a_run_repeats_exactly_and_progress_only_grows() -> None:
    rows = [(100, 103 + number % 5, 97 - number % 3, 100 + number % 2) for number in range(200)]
    script = {number: enter(stop=98.5) if number % 3 else leave() for number in range(200)}
    told_progress: list[float] = []
    first = play(rows, script)
    bars, instrument = make_bars(rows), make_instrument()
    again = run_backtest(make_spec(), scripted(script), instrument, bars, told_progress.append)
    assert same(first, again)
    assert told_progress == sorted(told_progress)
