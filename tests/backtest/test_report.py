"""What a run says it assumed, what it warns of, and its JSON."""

from __future__ import annotations

import json
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.backtest.report import describe_assumptions, fill_settings, iso_time, to_json
from engine.backtest.run import run_backtest
from engine.model.candle import Bars
from engine.venues.paper.settings import BAR_PRESETS, SlippageModel
from tests.backtest.helpers import FLAT, HOUR, START, enter, leave, make_bars, make_instrument, make_spec, scripted
from tests.kit.workloads import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.run import BacktestResult


def described(
    rows: Sequence[tuple[float, ...]] | Bars, history: int = 0, **more: Any
) -> tuple[dict[str, str], BacktestResult]:
    """Assumptions and result of a run that buys at the first bar and sells at the third."""
    spec = make_spec(**more)
    bars = rows if isinstance(rows, Bars) else make_bars(rows)
    instrument = make_instrument(margin=spec.allow_short)
    result = run_backtest(spec, scripted({0: enter(), 2: leave()}), instrument, bars)
    return describe_assumptions(spec, instrument, bars, result, history=history), result


def test_everything_that_was_assumed_is_said() -> None:
    said, _ = described([FLAT] * 5)
    assert said == {
        "data": "5 bars of 1h of SIM:BTC/USDT from 2023-11-15T00:00:00Z to 2023-11-15T05:00:00Z.",
        "road": "The event path: every order takes the way of a live one.",
        "gaps": "No bar is missing.",
        "warm_up": "The strategy decides from the first bar; what it sees of a bar ends with that bar's close.",
        "fills": "Fill rules quarterdeck: a decision at a bar's close meets the next bar, a market order its open. A "
        "stop over which the open has jumped fills at the open, else at its trigger.",
        "path": "Inside a bar the price goes open, the extreme nearer to the open (the low when equal), the other "
        "extreme, close.",
        "limit_orders": "A resting limit order fills on a bar only when the price goes at least one tick beyond it; "
        "one over which the open has jumped fills at the open, which is better.",
        "participation": "Own orders take at most 10 % of a bar's volume; the rest waits for the next bar.",
        "slippage": "Slippage of orders that take liquidity (square_root): 50 bps times the square root of the "
        "order's share of the bar's volume.",
        "half_spread": "A market order pays half a spread of 0.5 bps on top of the open.",
        "fees": "0.1 % of the value for resting orders, 0.1 % for taking ones, in quote currency.",
        "capital": "10,000 USDT; nothing is paid in or out.",
        "rules": "Prices in steps of 0.01 USDT, quantities in steps of 0.001 BTC.",
        "sizing": "An entry is sized at the decision by fixed percentage of the equity, by the strategy's "
        "position_size_pct, in whole lots.",
        "limits": "The gate allows 100 % of equity in a position and 100 % in all. A loss of 100 % in a day pauses "
        "entries for 24 hours, one of 100 % in a week halves them until the next; they end at 100 % in a month or "
        "100 % from the peak; at 100 % everything is closed.",
        "shorts": "What is not held cannot be sold: wishes to go short are left out.",
        "end": "No position was open when the data ended.",
        "figures": "Ratios use the returns of UTC days, annualised on 365 days, with a risk-free rate of 2 % a year. "
        "The benchmark buys the same capital at the first open and holds.",
        "warning_few_trades": "1 trade: too few to tell skill from chance.",
    }


def test_a_forced_close_a_history_and_a_fee_of_its_own_are_said() -> None:
    said, result = described([FLAT] * 2, history=250, maker_fee=D("-0.0001"), taker_fee=D("0.00075"))
    assert result.forced_close
    assert said["end"].startswith("The last trade was still open when the data ended: closed at the last close")
    assert said["warm_up"].startswith("250 bars before the first one warm the strategy up. The strategy decides from")
    assert said["fees"].startswith("-0.01 % of the value for resting orders, 0.075 % for taking ones")


def test_shorts_and_their_terms_are_said() -> None:
    said, _ = described([FLAT] * 5, allow_short=True)
    assert said["shorts"].startswith("Shorts are allowed")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("none", "(none): none."),
        ("fixed", "(fixed): 5 bps."),
        ("linear", "(linear): 50 bps times the order's share of the bar's volume."),
    ],
)
def test_the_slippage_model_is_named_with_its_size(model: str, words: str) -> None:
    said, _ = described([FLAT] * 5, slippage=model)
    assert said["slippage"].endswith(words)


@pytest.mark.parametrize("preset", sorted(BAR_PRESETS))
def test_a_preset_is_taken_as_it_is_unless_slippage_is_named(preset: str) -> None:
    assert fill_settings(make_spec(fills=preset)) == BAR_PRESETS[preset]
    named = fill_settings(make_spec(fills=preset, slippage="fixed"))
    assert named == BAR_PRESETS[preset].model_copy(update={"slippage": SlippageModel.FIXED})


@pytest.mark.parametrize(
    ("more", "warnings"),
    [
        ({}, set()),
        ({"slippage": "none"}, set()),
        ({"fills": "freqtrade"}, {"open_fill", "stop_price", "touch", "unlimited_size"}),
        ({"fills": "freqtrade", "slippage": "fixed"}, {"stop_price", "touch", "unlimited_size"}),
        ({"fills": "backtesting_py"}, {"open_fill", "touch", "unlimited_size"}),
        ({"maker_fee": D(0), "taker_fee": D(0)}, {"fees"}),
        ({"maker_fee": D("-0.0001")}, {"fees"}),
        ({"limits": GENEROUS.model_copy(update={"max_daily_loss_pct": D("0.0001")})}, {"breaker"}),
    ],
)
def test_what_flatters_a_run_is_warned_of(more: dict[str, Any], warnings: set[str]) -> None:
    said, _ = described([FLAT] * 5, **more)
    assert {name for name in said if name.startswith("warning_")} == {
        "warning_few_trades", *(f"warning_{name}" for name in warnings)
    }  # fmt: skip


def test_a_breaker_that_ended_all_entries_is_said_with_its_time() -> None:
    said, _ = described([FLAT] * 5, limits=GENEROUS.model_copy(update={"max_daily_loss_pct": D("0.0001")}))
    assert said["warning_breaker"].startswith("2023-11-15T02:00:00Z: Loss of the day of backtest: equity is 9,988.99")
    assert said["warning_breaker"].endswith("Nobody resets a breaker in a run, so nothing was entered afterwards.")


def test_missing_bars_and_bars_without_volume_are_counted() -> None:
    bars, kept = make_bars([*[FLAT] * 5, (*FLAT, 0.0)]), np.array([0, 1, 4, 5])
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    said, _ = described(Bars("1h", bars.ts[kept], *(column[kept] for column in columns)))
    assert said["gaps"] == "2 bars missing in 1 gap: skipped; orders wait for the next bar there is."
    assert said["warning_gaps"].startswith("2 of 6 bars are missing")
    assert said["warning_no_volume"] == "1 bar without volume, on which no order fills."


def test_one_object_holds_hash_assumptions_figures_and_trades() -> None:
    said, result = described([FLAT, (101, 101, 101, 101), *[FLAT] * 3])
    made = to_json(result, "abc", said)
    assert list(made) == ["hash", "assumptions", "metrics", "trades"]
    assert (made["hash"], made["assumptions"]) == ("abc", said)
    assert made["trades"] == [
        {
            "entry_time": "2023-11-15T01:00:00Z",
            "exit_time": "2023-11-15T03:00:00Z",
            "side": "buy",
            "entry_price": 101.12,
            "exit_price": 99.88,
            "quantity": 50.0,
            "fees": 10.05,
            # 50 units bought at 101.12 when 100 was the market, sold at 99.88 when 100 was
            "slippage": 62.0,
            "pnl": -72.05,
            "reason": "out",
            "entry_reason": "in",
            "excursion_for": 0.0,
            "excursion_against": pytest.approx(1 - 99.88 / 101.12),
        }
    ]
    assert made["metrics"]["trades"] == 1
    assert made["metrics"]["sharpe"] is None
    assert made["metrics"]["max_drawdown_start"] == "2023-11-15T01:00:00Z"
    assert made["metrics"]["max_drawdown_recovery"] is None
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_times_are_told_in_utc() -> None:
    assert iso_time(START) == "2023-11-15T00:00:00Z"
    assert iso_time(START + HOUR // 7) == "2023-11-15T00:08:34.285714Z"
