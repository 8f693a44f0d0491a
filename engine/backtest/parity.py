"""What a bot did beside what a backtest of the same time does: trade by trade where they differ, and why.

Both sides are round trips. They are paired by side and time; the difference of two prices is split into what was
recorded at the decision: the market at the bar's close, the mark and the book when the order was sent, the execution.
What was not recorded is None, never guessed.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import msgspec

from engine.model.order import OrderSide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.trades import ClosedTrade

__all__ = ["Leg", "Past", "RecordedTrade", "Span", "compare"]

NEAR_BARS = 2
"""Bars within which two trades of the same side are taken for the same one."""
NOT_RECORDED = "not recorded"


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a recorded trade: when and for how much, and what its order knew."""

    ts: int
    """UTC nanoseconds of the (first or last) execution."""
    price: float
    side: OrderSide
    reason: str = ""
    sent: int | None = None
    """UTC nanoseconds at which the order was decided; None where that was not recorded."""
    mark: float | None = None
    touch: float | None = None
    """The best price of the other side of the book at the decision."""
    trigger: float | None = None
    """Stop or limit price of an order that rested; its decision then says nothing of the market at the execution."""


class RecordedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A round trip of the bot; `exit` is None while it is open."""

    side: OrderSide
    quantity: float
    entry: Leg
    exit: Leg | None = None
    fees: float = 0.0
    pnl: float | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the bot could not trade, and why."""

    start: int
    end: int
    kind: str
    """`downtime`, `paused` or `halt`."""
    words: str


class Past(msgspec.Struct, kw_only=True):
    """Everything that was recorded of the bot in the window."""

    trades: list[RecordedTrade] = []
    spans: list[Span] = []
    refusals: list[tuple[int, str]] = []
    """When (UTC nanoseconds) an order was refused or rejected, and the words."""
    signals: list[tuple[int, str, str]] = []
    """Close of the bar, `enter` or `exit`, and the words."""
    changes: list[int] = []
    """When its configuration was changed."""


class Closes(msgspec.Struct, frozen=True):
    """Closes of the bars that the backtest read, by the end of each."""

    ends: list[int]
    values: list[float]

    def at(self, ts: int) -> float | None:
        """Close of the last bar that had ended."""
        found = bisect_right(self.ends, ts)
        return self.values[found - 1] if found else None


def compare(
    past: Past,
    tested: Sequence[ClosedTrade],
    ends: Sequence[int],
    closes: Sequence[float],
    length: int,
    end_reason: str,
) -> dict[str, Any]:
    """Put what was done beside what the backtest does.

    Args:
        past: What was recorded.
        tested: The backtest's round trips, in order of time.
        ends: End of each bar, ascending, UTC nanoseconds.
        closes: Its close.
        length: Nanoseconds of a bar.
        end_reason: Reason of a trade that the backtest closed only because its data ended.

    Returns:
        `summary` (counts, sums) and `trades`, one entry a pair, missing or extra trade, in order of time, in plain
        values.
    """
    bars = Closes(list(ends), list(closes))
    pairs, missing, extra = _paired(past.trades, tested, NEAR_BARS * length)
    rows = [_matched(live, test, bars, end_reason) for live, test in pairs]
    rows += [_missing(test, past, length) for test in missing]
    rows += [_extra(live, past, tested, length) for live in extra]
    rows.sort(key=lambda row: (row["entry_time"], row["state"]))
    return {"summary": _summary(rows, past, tested), "trades": rows}


def _paired(
    recorded: Sequence[RecordedTrade], tested: Sequence[ClosedTrade], near: int
) -> tuple[list[tuple[RecordedTrade, ClosedTrade]], list[ClosedTrade], list[RecordedTrade]]:
    """Each trade of the backtest with the nearest one of its side that no nearer one has taken."""
    options = sorted(
        (abs(live.entry.ts - test.entry_time), i, j)
        for i, test in enumerate(tested)
        for j, live in enumerate(recorded)
        if live.side is test.side and abs(live.entry.ts - test.entry_time) <= near
    )
    of_test: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in options:
        if i not in of_test and j not in taken:
            of_test[i] = j
            taken.add(j)
    pairs = [(recorded[j], tested[i]) for i, j in sorted(of_test.items())]
    missing = [test for i, test in enumerate(tested) if i not in of_test]
    return pairs, missing, [live for j, live in enumerate(recorded) if j not in taken]


# --- the same trade on both sides ------------------------------------------------------------------------------------


def _matched(live: RecordedTrade, test: ClosedTrade, bars: Closes, end_reason: str) -> dict[str, Any]:
    entry = _price_parts(live.entry, float(test.entry_price), bars)
    tested_open = test.reason == end_reason
    leave = None
    if live.exit is not None and not tested_open:
        leave = _price_parts(live.exit, float(test.exit_price), bars)
    why = _why_different(live, test, entry, leave, tested_open=tested_open)
    return {
        "state": "differs" if why else "equal",
        "why": why,
        "side": str(live.side),
        "entry_time": live.entry.ts,
        "recorded": _recorded(live),
        "tested": _tested(test),
        "delay_s": (live.entry.ts - test.entry_time) / 1e9,
        "quantity_difference": live.quantity - float(test.quantity),
        "fees_difference": live.fees - float(test.fees),
        "pnl_difference": None if live.pnl is None or tested_open else live.pnl - float(test.pnl),
        "entry_price": entry,
        "exit_price": leave,
    }


def _price_parts(leg: Leg, tested: float, bars: Closes) -> dict[str, Any]:
    """How much worse the execution was than the backtest's, per unit of quote currency a base unit, and by what.

    `fills` is how far the backtest's own price lies from the close (or the trigger) of the decision, `latency` how far
    the market went from the bar's close until the order was sent, `spread` from the mark to the best price, and
    `slippage` from there to the execution. The four add up to the whole wherever all are known.
    """
    sign = 1 if leg.side is OrderSide.BUY else -1
    total = sign * (leg.price - tested)
    parts: dict[str, float | None] = dict.fromkeys(("fills", "latency", "spread", "slippage"))
    if leg.trigger is not None:
        parts |= {"fills": sign * (leg.trigger - tested), "slippage": sign * (leg.price - leg.trigger)}
        parts |= {"latency": 0.0, "spread": 0.0}
    else:
        close = None if leg.sent is None else bars.at(leg.sent)
        parts["fills"] = None if close is None else sign * (close - tested)
        parts["latency"] = None if close is None or leg.mark is None else sign * (leg.mark - close)
        parts["spread"] = None if leg.touch is None or leg.mark is None else sign * (leg.touch - leg.mark)
        parts["slippage"] = None if leg.touch is None else sign * (leg.price - leg.touch)
    known = [value for value in parts.values() if value is not None]
    rest = total - sum(known)
    missing = sorted(name for name, value in parts.items() if value is None)
    return {"total": total, **parts, "unexplained": rest if missing else 0.0, NOT_RECORDED.replace(" ", "_"): missing}


def _why_different(
    live: RecordedTrade, test: ClosedTrade, entry: dict[str, Any], leave: dict[str, Any] | None, *, tested_open: bool
) -> list[str]:
    why = []
    for name, parts, price in (("entry", entry, test.entry_price), ("exit", leave, test.exit_price)):
        if parts is not None and abs(parts["total"]) > 1e-9 * float(price):
            why.append(f"{name} price: {_largest(parts)}")
    quantity = float(test.quantity)
    if abs(live.quantity - quantity) > 1e-9 * quantity:
        why.append("quantity: equity, lots or what was executed were not the same")
    if live.exit is None and not tested_open:
        why.append("it is still open; the backtest has left")
    elif live.exit is not None and tested_open:
        why.append(f"it was closed ({live.exit.reason or NOT_RECORDED}); the backtest still holds")
    elif live.exit is not None and _plain(live.exit.reason) != _plain(test.reason):
        why.append(f"closed by {live.exit.reason or NOT_RECORDED!r}, in the backtest by {test.reason!r}")
    return why


def _largest(parts: dict[str, Any]) -> str:
    """The parts in words, the largest first."""
    named = {name: parts[name] for name in ("fills", "latency", "spread", "slippage") if parts[name]}
    ranked = sorted(named.items(), key=lambda item: -abs(item[1]))
    words = ", ".join(f"{name} {value:+.8g}" for name, value in ranked) or "nothing recorded explains it"
    missing = parts[NOT_RECORDED.replace(" ", "_")]
    return f"{parts['total']:+.8g} ({words}{'; ' + ', '.join(missing) + ' ' + NOT_RECORDED if missing else ''})"


def _plain(reason: str) -> str:
    # A protective order is called after its kind live, and after what it did in a backtest.
    return reason.partition(":")[0].strip().lower().replace("stop loss", "stop")


# --- a trade on one side alone ---------------------------------------------------------------------------------------


def _missing(test: ClosedTrade, past: Past, length: int) -> dict[str, Any]:
    """A trade that the backtest makes and the bot did not."""
    return {
        "state": "missing",
        "why": [_why_missing(test, past, length)],
        "side": str(test.side),
        "entry_time": test.entry_time,
        "recorded": None,
        "tested": _tested(test),
    }


def _why_missing(test: ClosedTrade, past: Past, length: int) -> str:
    at = test.entry_time
    for span in past.spans:
        if span.start <= at < span.end:
            return f"{span.kind}: {span.words}"
    for trade in past.trades:
        if trade.entry.ts <= at and (trade.exit is None or trade.exit.ts > at):
            return "position: the bot still held an earlier trade"
    for ts, words in past.refusals:
        if at - length <= ts <= at + length:
            return f"refused: {words}"
    for ts, kind, words in past.signals:
        if kind == "enter" and at - length <= ts <= at + length:
            return f"not executed: the signal was raised ({words}) and no order followed; size or room allowed none"
    if any(ts <= at for ts in past.changes):
        return "configuration: it was changed before, and the backtest uses that of the beginning"
    return "no signal: none was recorded; candles or warm-up were not the same"


def _extra(live: RecordedTrade, past: Past, tested: Sequence[ClosedTrade], length: int) -> dict[str, Any]:
    """A trade that the bot made and the backtest does not."""
    at = live.entry.ts
    if any(test.entry_time <= at < test.exit_time for test in tested):
        why = "position: the backtest still held an earlier trade"
    elif any(ts <= at for ts in past.changes):
        why = "configuration: it was changed before, and the backtest uses that of the beginning"
    elif not any(kind == "enter" and at - 3 * length <= ts <= at for ts, kind, _ in past.signals):
        why = "no signal: the bot raised none there either; the position was taken over, or opened by hand"
    else:
        why = "no signal in the backtest: its candles, its warm-up or its risk were not the same"
    return {
        "state": "extra",
        "why": [why],
        "side": str(live.side),
        "entry_time": at,
        "recorded": _recorded(live),
        "tested": None,
    }


# --- plain values ----------------------------------------------------------------------------------------------------


def _recorded(trade: RecordedTrade) -> dict[str, Any]:
    leave = trade.exit
    return {
        "entry_time": trade.entry.ts,
        "exit_time": None if leave is None else leave.ts,
        "entry_price": trade.entry.price,
        "exit_price": None if leave is None else leave.price,
        "quantity": trade.quantity,
        "fees": trade.fees,
        "pnl": trade.pnl,
        "entry_reason": trade.entry.reason,
        "reason": None if leave is None else leave.reason,
    }


def _tested(trade: ClosedTrade) -> dict[str, Any]:
    return {
        "entry_time": trade.entry_time,
        "exit_time": trade.exit_time,
        "entry_price": float(trade.entry_price),
        "exit_price": float(trade.exit_price),
        "quantity": float(trade.quantity),
        "fees": float(trade.fees),
        "pnl": float(trade.pnl),
        "entry_reason": trade.entry_reason,
        "reason": trade.reason,
    }


def _summary(rows: Sequence[dict[str, Any]], past: Past, tested: Sequence[ClosedTrade]) -> dict[str, Any]:
    counts = {state: sum(row["state"] == state for row in rows) for state in ("equal", "differs", "missing", "extra")}
    sums: dict[str, float | None] = {}
    for name in ("total", "fills", "latency", "spread", "slippage"):
        found = [
            leg[name] * row["recorded"]["quantity"]
            for row in rows
            for leg in (row.get("entry_price"), row.get("exit_price"))
            if leg is not None and leg[name] is not None
        ]
        sums[name] = sum(found) if found else None
    reasons: dict[str, int] = {}
    for row in rows:
        if row["state"] in ("missing", "extra"):
            kind = row["why"][0].partition(":")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
    return {
        **counts,
        "recorded_trades": len(past.trades),
        "tested_trades": len(tested),
        "recorded_pnl": sum(trade.pnl or 0.0 for trade in past.trades),
        "tested_pnl": float(sum(trade.pnl for trade in tested)),
        "worse_by": sums,
        "reasons": reasons,
    }
