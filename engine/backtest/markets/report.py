"""What a run over several markets assumed, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.backtest.markets.tapes import EventTape, QuoteTape
from engine.backtest.markets.valuing import EQUAL_CURRENCIES
from engine.backtest.report import iso_time
from engine.model.instrument import InstrumentKind
from engine.risk.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from engine.backtest.markets.spec import MarketsSpec
    from engine.backtest.markets.tapes import Tape
    from engine.backtest.run import BacktestResult

__all__ = ["describe_markets"]

_FEW_TRADES = 30


def describe_markets(spec: MarketsSpec, tapes: Sequence[Tape], result: BacktestResult) -> dict[str, str]:
    """Everything a reader must know to judge a run; names that begin with `warning_` tell what flatters it."""
    begin, end = min(int(tape.ts[0]) for tape in tapes), max(int(tape.ts[-1]) for tape in tapes)
    settle = {tape.instrument.settle for tape in tapes}
    facts = {
        "data": (
            f"{'; '.join(tape.words for tape in tapes)}. From {iso_time(begin)} to {iso_time(end)}, on one time axis."
        ),
        "fills": _fills(tapes),
        "latency": _latency(spec),
        "fees": _fees(spec),
        "capital": (
            f"{plain(spec.capital)} {tapes[0].instrument.quote}, shared equally by the venues"
            + (f"; besides {', '.join(f'{plain(v)} {k}' for k, v in spec.balances.items())}" if spec.balances else "")
            + "."
        ),
        "risk": "Every order passes the risk gate with the limits of the run; breakers are judged every minute.",
        "end": (
            "What was still held when the data ended is valued at the middle of the last prices and is no closed trade."
            if result.forced_close
            else "No position was open when the data ended."
        ),
        "figures": (
            "The equity is all money and positions at the middle of the present prices. Ratios use the returns of UTC "
            "days, annualised on 365 days. The benchmark holds the first market."
        ),
    }
    if len(settle & EQUAL_CURRENCIES) > 1:
        facts["currencies"] = f"{', '.join(sorted(settle & EQUAL_CURRENCIES))} are counted as equal in value."
    return facts | _warnings(spec, tapes, result)


def _fills(tapes: Sequence[Tape]) -> str:
    parts = []
    if any(isinstance(tape, QuoteTape) for tape in tapes):
        parts.append(
            "On quotes a taking order gets what the best price shows; a resting one fills when the opposite quote "
            "reaches it, up to the size shown, or by trades behind everything shown when its price first became best"
        )
    if any(isinstance(tape, EventTape) for tape in tapes):
        parts.append(
            "On books a taking order walks the levels; a resting one waits behind what was shown at its price, which "
            "trades eat and cancels shrink in proportion"
        )
    return ". ".join(parts) + ". Own orders move nobody else."


def _latency(spec: MarketsSpec) -> str:
    tables: Sequence[tuple[str, Mapping[str, float]]] = (
        ("orders", spec.request_ms),
        ("answers", spec.report_ms),
        ("market data", spec.data_ms),
    )
    named = [
        f"{what} {', '.join(f'{ms:g} ms' + ('' if venue == '*' else f' at {venue}') for venue, ms in table.items())}"
        for what, table in tables
        if table
    ]
    return f"Under way: {'; '.join(named)}." if named else "Nothing is under way: orders and data arrive at once."


def _fees(spec: MarketsSpec) -> str:
    flat = f"{_percent(spec.maker_fee)} for resting orders, {_percent(spec.taker_fee)} for taking ones"
    tiers = "; ".join(
        f"from {plain(tier.volume)} on {_percent(tier.maker)} and {_percent(tier.taker)}" for tier in spec.fee_tiers
    )
    return f"{flat}{f'; by the volume of 30 days at each venue: {tiers}' if tiers else ''}."


def _percent(fraction: Decimal) -> str:
    return plain(fraction * 100) + " %"


def _warnings(spec: MarketsSpec, tapes: Sequence[Tape], result: BacktestResult) -> dict[str, str]:
    made = [str(tape.id) for tape in tapes if "made out of" in tape.words]
    perpetual = [t for t in tapes if t.instrument.kind is InstrumentKind.LINEAR_PERPETUAL]
    unfunded = [
        str(tape.id)
        for tape, source in zip(tapes, spec.markets, strict=True)
        if tape in perpetual and not source.funding
    ]
    checks = {
        "made_books": (bool(made), f"No book was recorded of {', '.join(made)}; spread and depth are made up."),
        "latency": (
            not spec.request_ms and not spec.data_ms,
            "Without latency every quote is met the moment it is made; no real order is.",
        ),
        "funding": (bool(unfunded), f"{', '.join(unfunded)} paid no funding, because no rates were given."),
        "few_trades": (
            len(result.trades) < _FEW_TRADES,
            f"{len(result.trades):,} trades: too few to tell skill from chance.",
        ),
        "breaker": (
            bool(result.halts),
            "".join(f"{iso_time(ts)}: {reason} " for ts, reason in result.halts[:1])
            + "Nobody resets a breaker in a run.",
        ),
    }
    return {f"warning_{name}": text for name, (holds, text) in checks.items() if holds}
