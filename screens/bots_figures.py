"""Bots in words: rows of the table, and the pages beside it. Pure functions of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.model.entries import BotState
from screens.dashboard_figures import state_cell
from screens.formats import DASH, age, at, clock, day, exact, percent
from screens.market_figures import HELD_WORDS, TYPE_WORDS
from screens.sheet import Line, wrap
from screens.where import HERE, WHERE, short_symbol
from widgets.live_table import Cell, Column
from widgets.table_cells import signed
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo
    from decimal import Decimal

    from engine.control.views import Activity, BotRow, FillRow, OrderRow, StrategyRow
    from engine.model.order import OrderSide
    from screens.where import Where
    from widgets.glyphs import Glyphs

__all__ = [
    "ACTIVE",
    "BOT_COLUMNS",
    "Look",
    "about_lines",
    "bot_cells",
    "event_lines",
    "moment",
    "order_lines",
    "param_lines",
]

ACTIVE = frozenset({BotState.STARTING, BotState.RUNNING, BotState.PAUSED, BotState.STOPPING, BotState.RECOVERING})
"""States in which a bot cannot be edited or deleted."""
BOT_COLUMNS = (
    Column("name", "Bot", 12, flex=True),
    Column("state", "State", 12),
    Column("strategy", "Strategy", 15, priority=5),
    Column("symbol", "Market", 9),
    WHERE,
    Column("timeframe", "Bar", 3, priority=3),
    Column("capital", "Capital", 9, align="right", priority=6),
    Column("position", "Position", 9, align="right", priority=1),
    Column("pnl", "P&L", 11, align="right"),
    Column("pnl_pct", "%", 8, align="right", priority=5),
    Column("signals", "Sig/ref", 7, align="right", priority=4),
    Column("last", "Last signal", 13, priority=7),
    Column("signalled", "Ago", 7, align="right", priority=7),
    Column("since", "Since", 7, align="right", priority=8),
    Column("beat", "Beat", 5, align="right", priority=2),
)
LABEL = 12


@dataclass(frozen=True, slots=True)
class Look:
    """How the person wants figures and times, and the signs in force."""

    money: Callable[..., str]
    glyphs: Glyphs
    zone: tzinfo
    now: int
    hidden: bool = False
    """Amounts are hidden."""

    def units(self, value: Decimal) -> str:
        """Return a quantity held, hidden while amounts are."""
        return self.money(value) if self.hidden else exact(value)


def _amount(value: Decimal | None, look: Look) -> Cell:
    if value is None:
        return Cell(DASH, "muted", "right", float("nan"))
    return signed(look.money(value), value, look.glyphs)


def bot_cells(row: BotRow, look: Look, where: Where = HERE) -> tuple[Cell, ...]:
    """Return a bot as a row of the table."""
    share = row.pnl_pct
    beat = row.heartbeat if row.state in ACTIVE else 0
    return (
        Cell(row.name),
        state_cell(row.state, look.glyphs),
        Cell(row.strategy, "muted"),
        Cell(short_symbol(row.instrument) if row.instrument else DASH),
        where.cell(row.instrument, row.account),
        Cell(row.timeframe, "muted"),
        Cell(look.money(row.capital), value=row.capital),
        Cell(look.units(row.position), value=row.position) if row.position else Cell(DASH, "faint", value=row.position),
        _amount(row.pnl, look),
        Cell(percent(share, signed=True), _ink(share), value=float("nan") if share is None else share),
        Cell(f"{row.signals}/{row.refusals}", "warn" if row.refusals else "text", value=row.signals),
        Cell(row.last_signal or DASH, "text" if row.last_signal else "faint"),
        Cell(age(row.last_signal_ts, look.now), "muted", value=row.last_signal_ts),
        Cell(age(row.since, look.now), "muted", value=row.since),
        Cell(age(beat, look.now), "muted" if beat else "faint", value=row.heartbeat),
    )  # fmt: skip


def _ink(value: float | Decimal | None) -> str:
    if value is None:
        return "muted"
    return "gain" if value > 0 else "loss" if value < 0 else "neutral"


def _line(label: str, *parts: tuple[str, str]) -> Line:
    return [(fit(label, LABEL), "muted"), *((clean(text), ink) for text, ink in parts)]


def moment(ns: int, look: Look) -> str:
    """Return the time of day of today's times, date and time of others."""
    return clock(ns, look.zone) if day(ns, look.zone) == day(look.now, look.zone) else at(ns, look.zone)


def _profit(value: Decimal | None, look: Look) -> tuple[str, str]:
    cell = _amount(value, look)
    return cell.text, cell.ink


def about_lines(row: BotRow, look: Look, width: int) -> list[Line]:
    """Return what a bot is and how it stands, why it failed first."""
    state = state_cell(row.state, look.glyphs)
    since = f"  since {moment(row.since, look)}, {age(row.since, look.now)}"
    lines: list[Line] = [[(state.text, state.ink), (since, "muted")]]
    if row.reason:
        reason_ink = {BotState.ERROR: "breach", BotState.STOPPED: "muted"}.get(row.state, "warn")
        lines += [[("  ", "text"), *line] for line in wrap(row.reason, max(10, width - 2), reason_ink)]
    version = f" {row.strategy_version}" if row.strategy_version else ""
    auto = "  starts with the engine" if row.autostart else ""
    units = look.units(row.position) if row.position else "none"
    lines += [
        _line("Strategy", (f"{row.strategy}{version}", "text")),
        _line("Market", (f"{row.instrument or DASH} {row.timeframe}", "text"), (auto, "muted")),
        _line("Capital", (f"{look.money(row.capital)} {row.currency}", "text")),
        _line("Position", (units, "strong" if row.position else "muted")),
        _line("P&L", _profit(row.pnl, look), (f"  {percent(row.pnl_pct, signed=True)}", "muted")),
        _line("Realised", _profit(row.realised, look), (f"  fees {look.money(row.fees)}", "muted")),
        _line("Unrealised", _profit(row.unrealised, look)),
        _line("Signals", (str(row.signals), "text"), (f"  refused {row.refusals}  fills {row.fills}", "muted")),
    ]
    if row.last_signal:
        ago = f"{age(row.last_signal_ts, look.now)} ago"
        first, *rest = wrap(f"{row.last_signal}, {ago}", max(10, width - LABEL)) or [[]]
        lines.append([(fit("Last signal", LABEL), "muted"), *first])
        lines += [[(" " * LABEL, "text"), *line] for line in rest]
    bar = moment(row.last_bar_ts, look)
    beat = f"  active {age(row.heartbeat, look.now)} ago" if row.heartbeat else ""
    return [*lines, _line("Last bar", (bar, "text"), (beat, "muted"))]


def _side(side: OrderSide, glyphs: Glyphs) -> tuple[str, str]:
    buy = side == "buy"
    return f"{glyphs.buy if buy else glyphs.sell} {side.value:<4}", "bid" if buy else "ask"


def order_lines(orders: Iterable[OrderRow], fills: Iterable[FillRow], look: Look) -> list[Line]:
    """Return a bot's open orders and its executions, the newest first."""
    lines: list[Line] = [[("Open orders", "title")]]
    for order in orders:
        price = order.price if order.price is not None else order.stop_price
        left = look.units(order.quantity - order.filled)
        lines.append([
            _side(order.side, look.glyphs),
            (f"{left:>9}", "text"),
            (f"{exact(price) if price is not None else 'market':>11}", "text"),
            (f" {TYPE_WORDS.get(order.type, order.type.value)}", "muted"),
            (f"  {HELD_WORDS}" if order.held else "", "warn"),
            (f"  {clean(order.reason)}", "faint"),
        ])  # fmt: skip
    if len(lines) == 1:
        lines.append([("none", "muted")])
    lines += [[], [("Fills", "title")]]
    count = len(lines)
    for fill in fills:
        lines.append([
            _side(fill.side, look.glyphs),
            (f"{look.units(fill.quantity):>9}", "text"),
            (f"{exact(fill.price):>11}", "text"),
            (f" {moment(fill.ts, look)[-8:-3]}", "muted"),
            (f"  fee {look.money(fill.fee, 4)} {clean(fill.fee_currency)}", "faint"),
        ])  # fmt: skip
    return lines if len(lines) > count else [*lines, [("none yet", "muted")]]


def _value_words(value: object) -> str:
    text = str(value)
    return {"True": "yes", "true": "yes", "False": "no", "false": "no", "": DASH}.get(text, text)


def param_lines(row: BotRow, strategy: StrategyRow | None, width: int) -> list[Line]:
    """Return every parameter with its value, those that were set marked; the declaration says what it is for."""
    if strategy is None:
        values = row.params.items()
        return [[(f"{clean(name):<20}", "muted"), (_value_words(value), "strong")] for name, value in values]
    lines: list[Line] = []
    label = max([len(param.name) for param in strategy.params], default=0) + 1
    for param in strategy.params:
        own = param.name in row.params
        value = _value_words(row.params.get(param.name, param.default))
        lines.append([
            (fit(clean(param.name), min(label, 22)), "muted"),
            (f"{fit(clean(value), 8)} ", "accent" if own else "text"),
            (clean(param.help), "faint"),
        ])  # fmt: skip
    unknown = [name for name in row.params if name not in {param.name for param in strategy.params}]
    for name in unknown:
        lines += wrap(f"{name} is set, but it is no parameter of {row.strategy}.", width, "warn")
    return lines or wrap("The strategy has no parameters.", width, "muted")


def event_lines(facts: Sequence[Activity], inks: dict[str, str], zone: tzinfo) -> list[Line]:
    """Return what happened, the newest first."""
    return [
        [(f"{clock(fact.ts, zone)} ", "muted"), (clean(fact.text), inks.get(fact.severity, "text"))]
        for fact in reversed(facts)
    ]
