"""What a run assumed, in sentences, and a run as one JSON object."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.candle import timeframe_ns
from engine.risk.words import plain
from engine.venues.paper.settings import BAR_PRESETS, BarFillSettings, BarPath, LimitGap, SlippageModel, StopGap
from storage.candle_sets import count_gaps

if TYPE_CHECKING:
    from engine.backtest.run import BacktestResult
    from engine.backtest.spec import BacktestSpec
    from engine.backtest.trades import ClosedTrade
    from engine.model.candle import Bars
    from engine.model.instrument import Instrument

__all__ = ["describe_assumptions", "fill_settings", "iso_time", "to_json", "trade_to_json"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("max_drawdown_start", "max_drawdown_trough", "max_drawdown_recovery")
"""Figures that are UTC nanoseconds."""
_FEW_TRADES = 30
"""With fewer, figures say more about chance than about the strategy."""
_BP = Decimal("0.0001")

_PATHS = {
    BarPath.ADAPTIVE: "open, the extreme nearer to the open (the low when equal), the other extreme, close",
    BarPath.FIXED_OHLC: "open, high, low, close",
    BarPath.PESSIMISTIC: "every stop that the bar's range reaches first, then open, nearer extreme, farther one, close",
}
_STOP_GAPS = {
    StopGap.OPEN: "at the open",
    StopGap.TRIGGER_IN_RANGE: "at its trigger when the bar's range holds it, else at the open",
    StopGap.TRIGGER: "at its trigger, as if there had been no gap",
}
_LIMIT_GAPS = {
    LimitGap.OPEN: "at the open, which is better",
    LimitGap.LIMIT: "at its limit",
    LimitGap.LIMIT_IN_RANGE: "at its limit when the bar's range holds it, else not at all",
}


def fill_settings(spec: BacktestSpec) -> BarFillSettings:
    """How bars fill orders in a run: the preset, with the specification's slippage model where it names one."""
    settings = BAR_PRESETS[spec.fills]
    if spec.slippage is None:
        return settings
    return settings.model_copy(update={"slippage": SlippageModel(spec.slippage)})


# --- assumptions -----------------------------------------------------------------------------------------------------


def describe_assumptions(
    spec: BacktestSpec, instrument: Instrument, bars: Bars, result: BacktestResult, *, history: int = 0
) -> dict[str, str]:
    """Everything a reader must know to judge a run, in sentences by name.

    Names that begin with `warning_` tell what flatters the result, or makes it say less than it seems to.

    Args:
        spec: What was run.
        instrument: What was traded.
        bars: The bars, at least one.
        result: What came of it.
        history: Bars before the first one from which the strategy warmed up.
    """
    settings = fill_settings(spec)
    return {
        **_data(spec, instrument, bars, result, history),
        **_fills(spec, settings),
        **_costs(spec, settings),
        **_account(spec, instrument),
        "end": _end(result),
        "figures": (
            "Ratios use the returns of UTC days, annualised on 365 days, with a risk-free rate of "
            f"{_percent(spec.risk_free_rate)} a year. The benchmark buys the same capital at the first open and holds."
        ),
        **_warnings(spec, settings, bars, result),
    }


def _data(
    spec: BacktestSpec, instrument: Instrument, bars: Bars, result: BacktestResult, history: int
) -> dict[str, str]:
    length = timeframe_ns(spec.timeframe)
    first, last = iso_time(int(bars.ts[0])), iso_time(int(bars.ts[-1]) + length)
    holes, missing = count_gaps(bars.ts, length)
    gaps = (
        f"{_count(missing, 'bar')} missing in {_count(holes, 'gap')}: skipped; orders wait for the next bar there is."
        if holes
        else "No bar is missing."
    )
    before = f"{_count(history, 'bar')} before the first one warm the strategy up. " if history else ""
    waits = (
        f"The first {_count(result.warmup, 'bar')} of the range are warm-up"
        if result.warmup
        else "The strategy decides from the first bar"
    )
    return {
        "data": f"{_count(len(bars), 'bar')} of {spec.timeframe} of {instrument.id} from {first} to {last}.",
        "road": (
            "The compiled kernel: one pass over the bars, with the trades of the event path."
            if spec.road == "kernel"
            else "The event path: every order takes the way of a live one."
        ),
        "gaps": gaps,
        "warm_up": f"{before}{waits}; what it sees of a bar ends with that bar's close.",
    }


def _fills(spec: BacktestSpec, settings: BarFillSettings) -> dict[str, str]:
    limit = "that it touches" if settings.touch else "only when the price goes at least one tick beyond it"
    share = settings.participation
    return {
        "fills": (
            f"Fill rules {spec.fills}: a decision at a bar's close meets the next bar, a market order its open. A stop "
            f"over which the open has jumped fills {_STOP_GAPS[settings.stop_gap]}, else at its trigger."
        ),
        "path": f"Inside a bar the price goes {_PATHS[settings.path]}.",
        "limit_orders": (
            f"A resting limit order fills on a bar {limit}; one over which the open has jumped fills "
            f"{_LIMIT_GAPS[settings.limit_gap]}."
        ),
        "participation": (
            "An order of any size fills whole."
            if share is None
            else f"Own orders take at most {_percent(share)} of a bar's volume; the rest waits for the next bar."
        ),
    }


def _costs(spec: BacktestSpec, settings: BarFillSettings) -> dict[str, str]:
    impact = f"{settings.impact_bps:g} bps times {{}} the order's share of the bar's volume"
    slippage = {
        SlippageModel.NONE: "none",
        SlippageModel.FIXED: f"{settings.fixed_bps:g} bps",
        SlippageModel.LINEAR: impact.format(""),
        SlippageModel.SQUARE_ROOT: impact.format("the square root of"),
    }[settings.slippage]
    return {
        "slippage": f"Slippage of orders that take liquidity ({settings.slippage}): {' '.join(slippage.split())}.",
        "half_spread": f"A market order pays half a spread of {settings.half_spread_bps:g} bps on top of the open.",
        "fees": (
            f"{_percent(spec.maker_fee)} of the value for resting orders, {_percent(spec.taker_fee)} for taking ones, "
            "in quote currency."
        ),
    }


def _account(spec: BacktestSpec, instrument: Instrument) -> dict[str, str]:
    limits, rules = spec.limits, instrument.current_rules
    least = f", worth {plain(rules.min_notional)} {instrument.quote} or more" if rules.min_notional else ""
    return {
        "capital": f"{plain(spec.capital)} {instrument.quote}; nothing is paid in or out.",
        "rules": (
            f"Prices in steps of {plain(rules.price_tick)} {instrument.quote}, quantities in steps of "
            f"{plain(rules.lot)} {instrument.base}{least}."
        ),
        "sizing": (
            f"An entry is sized at the decision by {limits.position_size_method.replace('_', ' ')} of the equity, by "
            "the strategy's position_size_pct, in whole lots."
        ),
        "limits": (
            ("Profile research: every limit is checked, and wide. " if spec.profile == "research" else "")
            + f"The gate allows {_percent(limits.max_position_size_pct)} of equity in a position and "
            f"{_percent(limits.max_portfolio_exposure)} in all. A loss of "
            f"{_percent(limits.max_daily_loss_pct)} in a day pauses entries for 24 hours, one of "
            f"{_percent(limits.max_weekly_loss_pct)} in a week halves them until the next; they end at "
            f"{_percent(limits.max_monthly_loss_pct)} in a month or {_percent(limits.breaker_drawdown_pct)} from the "
            f"peak; at {_percent(limits.max_drawdown_pct)} everything is closed."
        ),
        "shorts": (
            "Shorts are allowed and hold their proceeds and as much again; they pay no interest and no funding."
            if spec.allow_short
            else "What is not held cannot be sold: wishes to go short are left out."
        ),
    }


def _end(result: BacktestResult) -> str:
    if result.forced_close:
        return 'The last trade was still open when the data ended: closed at the last close, reason "end of data".'
    return "No position was open when the data ended."


def _warnings(spec: BacktestSpec, settings: BarFillSettings, bars: Bars, result: BacktestResult) -> dict[str, str]:
    _, missing = count_gaps(bars.ts, timeframe_ns(spec.timeframe))
    idle = int((bars.volume <= 0).sum())
    free = settings.slippage is SlippageModel.NONE and not settings.half_spread_bps
    checks = {
        "open_fill": (free, "Every market order gets exactly the open: no spread, no slippage. No real one does."),
        "stop_price": (
            settings.stop_gap is not StopGap.OPEN,
            "Stops fill at their price although the market jumped over it; real ones fill beyond.",
        ),
        "touch": (
            settings.touch,
            "A limit order fills as soon as its price is touched, as if it stood first in the queue.",
        ),
        "unlimited_size": (
            settings.participation is None,
            "Orders fill whole whatever the bar's volume.",
        ),
        "fees": (
            max(spec.maker_fee, spec.taker_fee) < 3 * _BP or min(spec.maker_fee, spec.taker_fee) < 0,
            "The fees are lower than what most accounts pay.",
        ),
        "gaps": (
            missing * 100 > len(bars),
            f"{missing:,} of {len(bars) + missing:,} bars are missing; what happened meanwhile is not known.",
        ),
        "no_volume": (
            idle > 0 and settings.participation is not None,
            f"{_count(idle, 'bar')} without volume, on which no order fills.",
        ),
        "breaker": (
            bool(result.halts),
            "".join(f"{iso_time(ts)}: {reason} " for ts, reason in result.halts[:1])
            + "Nobody resets a breaker in a run, so nothing was entered afterwards.",
        ),
        "few_trades": (
            len(result.trades) < _FEW_TRADES,
            f"{_count(len(result.trades), 'trade')}: too few to tell skill from chance.",
        ),
    }
    return {f"warning_{name}": text for name, (holds, text) in checks.items() if holds}


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _percent(fraction: float | Decimal) -> str:
    return plain(Decimal(repr(fraction) if isinstance(fraction, float) else fraction) * 100) + " %"


# --- JSON ------------------------------------------------------------------------------------------------------------


def iso_time(ts: int) -> str:
    """ISO 8601 in UTC, such as `2022-01-03T14:00:00Z`, of nanoseconds; parts of a second to the microsecond."""
    return (_EPOCH + timedelta(microseconds=ts // 1000)).isoformat().replace("+00:00", "Z")


def trade_to_json(trade: ClosedTrade) -> dict[str, Any]:
    """One round trip in plain values: times ISO 8601 in UTC, money as numbers in quote currency.

    `side` is that of the entry: `buy` for a long, `sell` for a short.
    """
    return {
        "entry_time": iso_time(trade.entry_time),
        "exit_time": iso_time(trade.exit_time),
        "side": str(trade.side),
        "entry_price": float(trade.entry_price),
        "exit_price": float(trade.exit_price),
        "quantity": float(trade.quantity),
        "fees": float(trade.fees),
        "slippage": float(trade.slippage),
        "pnl": float(trade.pnl),
        "reason": trade.reason,
        "entry_reason": trade.entry_reason,
        "excursion_for": trade.excursion_for,
        "excursion_against": trade.excursion_against,
    }


def to_json(result: BacktestResult, run_hash: str, assumptions: dict[str, str]) -> dict[str, Any]:
    """A run as one object of plain values: `hash`, `assumptions`, `metrics` and `trades`.

    Figures that could not be computed are null; times among them are ISO 8601.

    Args:
        result: What the run gave.
        run_hash: Its identity.
        assumptions: Of `describe_assumptions`.
    """
    metrics: dict[str, float | str | None] = dict(result.metrics)
    for name in _TIMES:
        value = result.metrics.get(name)
        metrics[name] = None if value is None else iso_time(int(value))
    return {
        "hash": run_hash,
        "assumptions": assumptions,
        "metrics": metrics,
        "trades": [trade_to_json(trade) for trade in result.trades],
    }
