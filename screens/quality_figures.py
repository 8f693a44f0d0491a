"""Execution quality in words: rows of groups and trades, and one trade with everything it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.ids import InstrumentId, symbol_of
from screens.formats import DASH, MASK, age, at, exact, number, percent
from screens.sheet import Line, wrap
from screens.where import short_symbol
from widgets.live_table import Cell, Column
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from decimal import Decimal

    from engine.control.views_quality import OrderScore, TradeDetail, TradeScore
    from engine.model.quality import Attribution, Chain, GroupQuality

__all__ = ["GROUP_COLUMNS", "TRADE_COLUMNS", "detail_lines", "group_cells", "trade_cells"]

GROUP_COLUMNS = (
    Column("name", "Name", 14, flex=True),
    Column("orders", "Orders", 6, align="right"),
    Column("value", "Value", 15, align="right", priority=4),
    Column("cost", "Cost bps", 8, align="right"),
    Column("delay", "Delay", 7, align="right", priority=3),
    Column("fill", "Filled", 7, align="right"),
    Column("ack", "Ack ms", 7, align="right", priority=2),
    Column("first", "1st fill", 8, align="right", priority=5),
    Column("after", "After bps", 9, align="right", priority=1),
    Column("poor", "Poor", 4, align="right", priority=6),
    Column("score", "Score", 5, align="right"),
    Column("profit", "Profit", 12, align="right", priority=3),
)
TRADE_COLUMNS = (
    Column("opened", "Opened", 16, priority=2),
    Column("market", "Market", 9),
    Column("side", "Side", 5),
    Column("owner", "Owner", 9, flex=True),
    Column("how", "How", 14, priority=6),
    Column("profit", "Profit", 11, align="right"),
    Column("signal", "Signal", 10, align="right", priority=4),
    Column("timing", "Timing", 9, align="right", priority=4),
    Column("execution", "Execution", 9, align="right", priority=3),
    Column("fees", "Fees", 8, align="right", priority=3),
    Column("slip", "Slip bps", 9, align="right", priority=1),
    Column("score", "Score", 5, align="right"),
)
GOOD, FAIR = 80.0, 50.0
"""From which score on an execution is drawn as good, and as fair."""
WIDTH = 70
NS_PER_MS = 1_000_000
SENT = 4
"""Steps of a chain that are ours; those after it are the venue's."""


def _score_ink(score: float | None) -> str:
    if score is None:
        return "muted"
    return "ok" if score >= GOOD else "text" if score >= FAIR else "warn"


def _score(score: float | None) -> Cell:
    return Cell(DASH if score is None else f"{score:.0f}", _score_ink(score), value=score)


def _bps(value: float | None, *, cost: bool = True) -> Cell:
    """Basis points: drawn as a gain or a loss, whichever sign that has."""
    if value is None:
        return Cell(DASH, "muted")
    worse = value > 0 if cost else value < 0
    ink = "text" if abs(value) < 0.005 else "loss" if worse else "gain"
    return Cell(number(value, 2, signed=True), ink, value=value)


def _money(value: Decimal, *, hidden: bool) -> Cell:
    ink = "gain" if value > 0 else "loss" if value < 0 else "muted"
    return Cell(MASK if hidden else number(value, signed=True), ink, value=value)


def group_cells(group: GroupQuality, target: Decimal, *, hidden: bool) -> list[Cell]:
    """A group's row; a fill rate below the target is a warning where limit orders made it."""
    after = next((mark for mark in reversed(group.marks) if mark.bps is not None), None)
    short = group.limit_fill_rate is not None and group.limit_fill_rate < float(target)
    name = symbol_of(InstrumentId(group.name)) if ":" in group.name else group.name
    return [
        Cell(clean(name), "strong"),
        Cell(f"{group.orders:,}", value=group.orders),
        Cell(MASK if hidden else f"{number(group.value, 0)} {group.currency}", "muted", value=group.value),
        _bps(group.shortfall_bps),
        _bps(group.delay_bps),
        Cell(percent(group.fill_rate, 0), "warn" if short else "text", value=group.fill_rate),
        Cell(number(group.ack_ms, 0), value=group.ack_ms),
        Cell(number(group.fill_ms, 0), value=group.fill_ms),
        _bps(None if after is None else after.bps, cost=False),
        Cell(str(group.poor) if group.poor else "", "warn", value=group.poor),
        _score(group.score),
        _money(group.profit, hidden=hidden),
    ]


def trade_cells(trade: TradeScore, zone: tzinfo, *, hidden: bool) -> list[Cell]:
    """A trade's row."""
    parts = trade.attribution
    long = trade.side == "buy"
    return [
        Cell(at(trade.opened, zone), "muted", value=trade.opened),
        Cell(clean(short_symbol(trade.instrument)), "strong"),
        Cell("long" if long else "short", "gain" if long else "loss"),
        Cell(clean(trade.owner_name)),
        Cell(clean(", ".join(name.replace("_", " ") for name in trade.algorithms)), "muted"),
        _money(trade.pnl, hidden=hidden) if trade.closed or trade.pnl else Cell("open", "muted"),
        _money(parts.signal, hidden=hidden),
        _money(parts.timing, hidden=hidden),
        _money(parts.execution, hidden=hidden),
        _money(parts.fees, hidden=hidden),
        Cell(
            number(trade.slippage_bps, 1, signed=True) + " !" * trade.poor,
            "warn" if trade.poor else "text",
            value=trade.slippage_bps,
        ),
        _score(trade.score),
    ]  # fmt: skip


def detail_lines(view: TradeDetail, zone: tzinfo, now: int, *, hidden: bool) -> list[Line]:
    """One trade: what it came to and why, then each of its orders with timing, cost and the market afterwards."""
    trade = view.trade
    side = "Long" if trade.side == "buy" else "Short"
    lasted = age(trade.opened, trade.closed or now)
    quantity = MASK if hidden else exact(trade.quantity)
    lines: list[Line] = [
        [
            (f"{side} {quantity} {clean(symbol_of(trade.instrument))}", "strong"),
            (f"  {clean(trade.owner_name)}, {clean(trade.account)}", "muted"),
        ],
        [
            (f"{at(trade.opened, zone)}, {'over after' if trade.closed else 'open for'} {lasted}", "text"),
            (f"  {clean(trade.id)}", "muted"),
        ],
        [
            ("Entry ", "muted"), (_price(trade.entry_price), "text"), ("  exit ", "muted"),
            (_price(trade.exit_price), "text"), ("  score ", "muted"),
            (DASH if trade.score is None else f"{trade.score:.0f}", _score_ink(trade.score)),
        ],
    ]  # fmt: skip
    lines += _attribution(trade.attribution, trade.currency, hidden)
    if view.other_fees:
        fees = ", ".join(f"{exact(fee)} {clean(currency)}" for currency, fee in view.other_fees.items())
        lines.append([("Fees beside: ", "muted"), (MASK if hidden else fees, "text")])
    if view.unmeasured:
        words = f"No price was recorded for the decisions over {exact(view.unmeasured)}; their profit counts as signal."
        lines += wrap(words, WIDTH, "warn")
    for group in view.parents:
        lines += [[], _parent(group, hidden)]
    for order in view.orders:
        lines += [[], *_order(order, zone, hidden)]
    lines += [[], [("Executions", "accent")]]
    for fill in view.fills:
        amount = MASK if hidden else exact(fill.quantity)
        lines.append([
            (f"{at(fill.ts, zone)} ", "muted"),
            (f"{fill.side:<4} ", "gain" if fill.side == "buy" else "loss"),
            (f"{amount} at {exact(fill.price)} {fill.liquidity}", "text"),
        ])  # fmt: skip
    if not view.complete:
        lines.append([("Orders or executions beyond the first 200 are not shown.", "muted")])
    if view.also:
        lines += [[], *wrap(f"Also: {', '.join(view.also)}", WIDTH, "muted")]
    return lines


def _price(value: Decimal | None) -> str:
    return DASH if value is None else exact(round(value, 8))


def _attribution(parts: Attribution, currency: str, hidden: bool) -> list[Line]:
    lines: list[Line] = [[("Profit ", "muted"), _piece(parts.profit, hidden), (f" {clean(currency)}", "muted")]]
    row: Line = [("  = ", "muted")]
    named = (
        ("signal", parts.signal), ("timing", parts.timing), ("execution", parts.execution), ("fees", parts.fees),
        ("funding", parts.funding),
    )  # fmt: skip
    for name, value in named:
        if value or name != "funding":
            row += [(f"{name} ", "muted"), _piece(value, hidden), ("  ", "text")]
    return [*lines, row]


def _piece(value: Decimal, hidden: bool) -> tuple[str, str]:
    ink = "gain" if value > 0 else "loss" if value < 0 else "text"
    return MASK if hidden else number(value, 4, signed=True), ink


def _parent(group: GroupQuality, hidden: bool) -> Line:
    cost = MASK if hidden else number(group.shortfall, 4, signed=True)
    return [
        (f"Parent order {clean(group.name)}  ", "accent"),
        (f"{group.orders:,} orders, shortfall {cost} {clean(group.currency)}", "text"),
        (f" ({number(group.shortfall_bps, 2, signed=True)} bps)", "muted"),
    ]


def _order(found: OrderScore, zone: tzinfo, hidden: bool) -> Iterator[Line]:
    order = found.order
    done = MASK if hidden else f"{exact(order.filled)} of {exact(order.quantity)}"
    how = clean((order.algorithm or order.type).replace("_", " "))
    yield [
        (f"{order.side} {how} ", "accent"), (f"{done} {order.status.replace('_', ' ')}  ", "text"),
        (clean(order.client_id), "muted"),
    ]  # fmt: skip
    if order.reason:
        yield [(f"  {fit(clean(order.reason), WIDTH - 2).rstrip()}", "muted")]
    yield [
        ("  decision ", "muted"), (_price(order.decision), "text"), (" arrival ", "muted"),
        (_price(order.arrival), "text"), (" mean ", "muted"), (_price(order.average), "text"),
    ]  # fmt: skip
    cost = MASK if hidden else number(found.shortfall, 4, signed=True)
    delay = MASK if hidden else number(found.delay, 4, signed=True)
    yield [
        ("  cost ", "muted"),
        (f"{cost} {clean(order.currency)} ({number(found.shortfall_bps, 2, signed=True)} bps)", "text"),
        (f", of it delay {delay}", "muted"),
        ("  score ", "muted"),
        (DASH if found.score is None else f"{found.score:.0f}", _score_ink(found.score)),
    ]
    yield from _chain(order.chain, zone)
    marks: Line = [("  market after ", "muted")]
    for key, bps in found.mark_outs.items():
        text = "not recorded" if bps is None else f"{number(bps, 2, signed=True)} bps"
        ink = "muted" if bps is None else "gain" if bps > 0 else "loss" if bps < 0 else "text"
        marks += [(f"{_span(int(key))} ", "muted"), (f"{text}  ", ink)]
    if found.mark_outs:
        yield marks


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _chain(chain: Chain, zone: tzinfo) -> list[Line]:
    """Each step as milliseconds after the first that was recorded; what was not recorded is a dash."""
    steps = (
        ("signal", chain.signal), ("intent", chain.intended), ("durable", chain.durable), ("sent", chain.sent),
        ("answer", chain.acknowledged), ("fill", chain.first_fill), ("last", chain.last_fill),
    )  # fmt: skip
    start = next((ts for _, ts in steps if ts), 0)
    lines: list[Line] = [[("  ", "muted")], [("  ", "muted")]]
    for place, (name, ts) in enumerate(steps):
        words = DASH if not ts else at(ts, zone)[-5:] if ts == start else f"+{(ts - start) // NS_PER_MS:,}ms"
        lines[place >= SENT] += [(f"{name} ", "muted"), (f"{words} ", "text" if ts else "faint")]
    return lines
