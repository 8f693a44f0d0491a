"""Evaluates a universe's rule: which markets fulfil it, how they rank, and who enters or leaves, with hysteresis.

Plain functions of what is known at a moment: live that is what the venue says, in a backtest what stored candles said
then (`facts_from_bars`), so that a past universe holds no market that was not yet there, nor one chosen by what came
later.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.model.universe import MarketFacts, Seat, UniverseRule, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engine.model.candle import Bars
    from engine.model.market import Ticker

__all__ = [
    "NS_PER_DAY",
    "daily_volatility",
    "facts_from_bars",
    "facts_from_ticker",
    "judge",
    "needs_history",
    "seats_after",
]

NS_PER_DAY = 86_400_000_000_000


def judge(rule: UniverseRule, facts: Iterable[MarketFacts]) -> list[Verdict]:
    """What the rule says of each market: those that fulfil it by rank, then the others by name."""
    fit: list[tuple[MarketFacts, str]] = []
    unfit: list[tuple[MarketFacts, str]] = []
    for market in facts:
        reason = _why_not(rule, market)
        (unfit if reason else fit).append((market, reason))
    fit.sort(key=lambda pair: (-(pair[0].volume or Decimal(0)), pair[0].symbol))
    ranked = [Verdict(symbol=market.symbol, rank=rank, volume=market.volume) for rank, (market, _) in enumerate(fit, 1)]
    others = sorted(unfit, key=lambda pair: pair[0].symbol)
    return ranked + [Verdict(symbol=m.symbol, rank=0, reason=reason, volume=m.volume) for m, reason in others]


def _why_not(rule: UniverseRule, market: MarketFacts) -> str:
    if market.quote != rule.quote:
        return f"it is quoted in {market.quote}"
    if rule.kind not in ("any", market.kind):
        return f"it is a market of the kind {market.kind}"
    if not market.trading:
        return "the venue does not trade it, or is about to delist it"
    named = rule.names(market.symbol)
    return named or _unmeasured(rule, market) or _out_of_bounds(rule, market)


def _unmeasured(rule: UniverseRule, market: MarketFacts) -> str:
    """A market of which something is not known that the rule asks for is left out: nobody knows that it fits."""
    asked = {
        "volume": (market.volume, True),
        "price": (market.price, rule.min_price > 0 or rule.max_price is not None),
        "age": (market.age_days, rule.min_age_days > 0 or rule.max_age_days is not None),
        "spread": (_spread(market), rule.max_spread is not None),
        "volatility": (market.volatility, rule.min_volatility is not None or rule.max_volatility is not None),
        "change": (market.change, rule.min_change is not None or rule.max_change is not None),
    }
    missing = [name for name, (value, wanted) in asked.items() if wanted and value is None]
    return f"its {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not known" if missing else ""


def _spread(market: MarketFacts) -> Decimal | None:
    if market.bid is None or market.ask is None or market.ask <= 0:
        return None
    return (market.ask - market.bid) / market.ask


def _out_of_bounds(rule: UniverseRule, market: MarketFacts) -> str:
    age = None if market.age_days is None else Decimal(repr(float(market.age_days)))
    swing = None if market.volatility is None else Decimal(repr(float(market.volatility)))
    bounds: tuple[tuple[str, Decimal | None, Decimal | int | None, Decimal | int | None], ...] = (
        ("volume", market.volume, rule.min_volume, None),
        ("price", market.price, rule.min_price, rule.max_price),
        ("age in days", age, rule.min_age_days, rule.max_age_days),
        ("spread", _spread(market), None, rule.max_spread),
        ("volatility", swing, rule.min_volatility, rule.max_volatility),
        ("change", market.change, rule.min_change, rule.max_change),
    )
    for name, value, least, most in bounds:
        if value is None:
            continue
        if least is not None and value < least:
            return f"its {name} {float(value):g} is below {float(least):g}"
        if most is not None and value > most:
            return f"its {name} {float(value):g} is above {float(most):g}"
    return ""


def seats_after(rule: UniverseRule, verdicts: Sequence[Verdict], seats: Mapping[str, Seat]) -> dict[str, Seat]:
    """Who is a member after a refresh.

    One that does not fulfil the rule any more, or ranks beyond `top * leave_factor`, leaves at the `leave_after`-th
    such refresh in a row; one that the venue does not trade leaves at once. Free places are taken in the order of rank
    by markets of rank `top` or better.

    Args:
        rule: The rule.
        verdicts: What it says now, as `judge` gives it.
        seats: The members so far.
    """
    told = {verdict.symbol: verdict for verdict in verdicts}
    last = rule.top * rule.leave_factor
    kept: dict[str, Seat] = {}
    for symbol, seat in seats.items():
        verdict = told.get(symbol)
        if verdict is None or (not verdict.rank and verdict.reason.startswith("the venue does not trade")):
            continue
        low = 0 if 0 < verdict.rank <= last else seat.low + 1
        if low < rule.leave_after:
            kept[symbol] = msgspec.structs.replace(seat, low=low)
    for verdict in verdicts:
        if len(kept) >= rule.top or not 0 < verdict.rank <= rule.top:
            break
        kept.setdefault(verdict.symbol, Seat(symbol=verdict.symbol))
    return kept


def needs_history(rule: UniverseRule) -> int:
    """Daily candles that a refresh needs of each market; 0 when tickers alone tell."""
    days = 0
    if rule.min_volatility is not None or rule.max_volatility is not None:
        days = rule.volatility_days + 1
    if rule.min_age_days or rule.max_age_days is not None:
        days = max(days, rule.min_age_days + 1, (rule.max_age_days or 0) + 2)
    return days


def daily_volatility(closes: Sequence[float], days: int) -> float | None:
    """Standard deviation (of a sample) of the last `days` daily log returns; None where there are fewer."""
    if len(closes) < days + 1 or min(closes[-days - 1 :]) <= 0:
        return None
    return float(np.diff(np.log(np.asarray(closes[-days - 1 :], dtype=np.float64))).std(ddof=1))


def facts_from_ticker(
    symbol: str, quote: str, kind: str, ticker: Ticker | None, daily: Sequence[float] | None, days: int
) -> MarketFacts:
    """What is known of a market from its venue.

    Args:
        symbol: Its symbol.
        quote: Its quote currency.
        kind: `spot`, `perpetual`, or what else it is.
        ticker: The venue's figures of a day; None where it tells none, as of a market that does not trade.
        daily: Closes of its newest daily candles, oldest first; None where nobody asked.
        days: Days of which volatility is measured.
    """
    price = None if ticker is None else ticker.last or ticker.bid
    volume = None if ticker is None else ticker.quote_volume
    if ticker is not None and volume is None and ticker.base_volume is not None and price is not None:
        volume = ticker.base_volume * price
    opened = None if ticker is None else ticker.open
    change = None if price is None or not opened else (price / opened) - 1
    return MarketFacts(
        symbol=symbol,
        quote=quote,
        kind=kind,
        trading=ticker is not None,
        volume=volume,
        price=price,
        bid=None if ticker is None else ticker.bid,
        ask=None if ticker is None else ticker.ask,
        change=change,
        # As many days as there are candles: at least so old.
        age_days=None if daily is None else float(len(daily)),
        volatility=None if daily is None else daily_volatility(daily, days),
    )


def facts_from_bars(symbol: str, kind: str, bars: Bars, length: int, ts: int, days: int) -> MarketFacts:
    """What stored candles told of a market at a moment in the past; nothing after it is looked at.

    Spreads are not in candles, so a rule that asks for one admits nothing. A market whose last bar is older than a day
    counts as not traded.

    Args:
        symbol: Its symbol.
        kind: `spot` or `perpetual`.
        bars: Its candles from the first that is stored on, of a timeframe of a day or shorter.
        length: Nanoseconds of a bar.
        ts: The moment, UTC nanoseconds; a bar that closes at it is known.
        days: Days of which volatility is measured.
    """
    known = int(bars.ts.searchsorted(ts - length, side="right"))
    quote = symbol.partition("/")[2].partition(":")[0]
    if not known or ts - (int(bars.ts[known - 1]) + length) >= NS_PER_DAY:
        return MarketFacts(symbol=symbol, quote=quote, kind=kind, trading=False)
    first = int(bars.ts.searchsorted(ts - NS_PER_DAY, side="left"))
    day = slice(min(first, known - 1), known)
    close = float(bars.close[known - 1])
    traded = float((bars.volume[day] * bars.close[day]).sum())
    ends = [ts - step * NS_PER_DAY for step in range(days, -1, -1)]
    at = bars.ts[:known].searchsorted(np.array(ends) - length, side="right") - 1
    closes = [float(bars.close[index]) for index in at.tolist() if index >= 0]
    return MarketFacts(
        symbol=symbol,
        quote=quote,
        kind=kind,
        volume=Decimal(repr(round(traded, 8))),
        price=Decimal(repr(close)),
        change=Decimal(repr(round(close / float(bars.open[day.start]) - 1, 12))),
        age_days=(ts - int(bars.ts[0])) / NS_PER_DAY,
        volatility=daily_volatility(closes, days),
    )
