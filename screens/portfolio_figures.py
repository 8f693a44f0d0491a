"""What the doors say about positions, balances and fills, made into rows of tables. Pure functions only."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from engine.model.ids import symbol_of
from engine.model.order import Liquidity, OrderSide
from screens.formats import DASH, MASK, age, clock, day, exact, number, percent
from screens.market_figures import price_text, side_cell
from screens.where import HERE, WHERE, short_symbol
from widgets.table_cells import Cell, Column, signed
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from engine.control.views import BalanceRow, FillRow, InstrumentRow, PositionRow
    from engine.model.ids import InstrumentId
    from screens.where import Where
    from widgets.glyphs import Glyphs

__all__ = [
    "BALANCE_COLUMNS",
    "FILL_COLUMNS",
    "POSITION_COLUMNS",
    "POSITION_STRIP",
    "amount_text",
    "balance_cells",
    "contract_of",
    "cover_words",
    "fill_cells",
    "position_cells",
    "position_key",
    "position_strip_cells",
    "position_words",
    "share_bar",
    "standing_words",
]

POSITION_COLUMNS = (
    Column("symbol", "Symbol", 8),
    WHERE,
    Column("side", "Side", 5, priority=5),
    Column("quantity", "Amount", 9, align="right"),
    Column("entry", "Entry", 10, align="right", priority=1),
    Column("mark", "Mark", 10, align="right", priority=1),
    Column("pnl", "P&L", 11, align="right"),
    Column("pct", "%", 9, align="right", priority=2),
    Column("value", "Value", 10, align="right", priority=3),
    Column("owner", "Owner", 10, flex=True),
    Column("stop", "Stop", 12, align="right", priority=4),
    Column("realised", "Realised", 10, align="right", priority=6),
    Column("fees", "Fees", 8, align="right", priority=8),
    Column("opened", "Open for", 8, align="right", priority=7),
)
POSITION_STRIP = (
    Column("symbol", "Symbol", 8),
    WHERE,
    Column("quantity", "Amount", 7, align="right"),
    Column("pnl", "P&L", 10, align="right"),
    Column("owner", "Owner", 11, flex=True),
    Column("pct", "%", 9, align="right", priority=1),
    Column("mark", "Mark", 10, align="right", priority=2),
    Column("entry", "Entry", 10, align="right", priority=3),
)
BALANCE_COLUMNS = (
    Column("currency", "Asset", 5),
    WHERE,
    Column("total", "Total", 10, align="right"),
    Column("reserved", "In orders", 10, align="right", priority=3),
    Column("free", "Free", 10, align="right", priority=4),
    Column("value", "Value", 10, align="right", priority=1),
    Column("share", "Share", 7, align="right"),
    Column("bar", "", 4, priority=2, flex=True),
)
FILL_COLUMNS = (
    Column("time", "Time", 8),
    Column("side", "Side", 6),
    Column("quantity", "Amount", 9, align="right"),
    Column("symbol", "Symbol", 8),
    WHERE,
    Column("price", "Price", 10, align="right"),
    Column("value", "Value", 10, align="right", priority=1),
    Column("fee", "Fee", 13, align="right", priority=2),
    Column("liquidity", "As", 5, priority=3),
    Column("owner", "Owner", 8, flex=True),
    Column("order", "Order", 10, priority=4),
)


def position_key(row: PositionRow) -> str:
    """Return what names a position: its owner, its instrument and its account."""
    return f"{row.owner} {row.instrument} {row.account}"


def _money(value: Decimal | None, *, private: bool, places: int = 2) -> Cell:
    return Cell(MASK if private and value is not None else number(value, places), value=value)


def _profit(value: Decimal | None, glyphs: Glyphs, *, private: bool) -> Cell:
    if value is None:
        return Cell(DASH, "muted")
    return signed(MASK if private else number(value, signed=True), value, glyphs)


def _percent(value: float | None) -> Cell:
    ink = "muted" if not value else "gain" if value > 0 else "loss"
    return Cell(percent(value, signed=True), ink, value=value)


def amount_text(value: Decimal, room: int) -> str:
    """Return a quantity with all of its decimals, or with as many as there is room for, never rounded up."""
    text = exact(value)
    if len(text) <= room:
        return text
    whole = len(f"{int(value):,}") + (value < 0 and int(value) == 0)
    step = Decimal(1).scaleb(-max(0, room - whole - 1))
    # Fees in kind leave amounts with a dozen decimals; who owns 0.0149… must not read 0.015.
    return exact(value.quantize(step, rounding=ROUND_DOWN))


def _amount(value: Decimal, room: int, *, private: bool) -> Cell:
    return Cell(MASK if private else amount_text(value, room), value=value)


def position_cells(
    row: PositionRow,
    instrument: InstrumentRow | None,
    glyphs: Glyphs,
    now: int,
    *,
    private: bool = False,
    where: Where = HERE,
) -> tuple[Cell, ...]:
    """Return an open position as a row of the positions table."""
    long = row.quantity > 0
    return (
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument, row.account),
        Cell("long" if long else "short", "bid" if long else "ask"),
        _amount(row.quantity, 9, private=private),
        Cell(price_text(row.entry_price, instrument), value=row.entry_price),
        Cell(price_text(row.mark, instrument), value=row.mark),
        _profit(row.unrealised, glyphs, private=private),
        _percent(row.unrealised_pct),
        _money(row.value, private=private),
        Cell(row.owner_name),
        _stop(row, instrument),
        _profit(row.realised, glyphs, private=private),
        _money(row.fees, private=private),
        Cell(age(row.opened, now), "muted", value=row.opened),
    )


def half_covered(row: PositionRow) -> bool:
    """Tell whether stops cover a part of a position only."""
    return row.stop_quantity is not None and row.stop_quantity < abs(row.quantity)


def _stop(row: PositionRow, instrument: InstrumentRow | None) -> Cell:
    price = price_text(row.stop_price, instrument)
    if half_covered(row):
        return Cell(f"! {price}", "warn", value=row.stop_price)
    return Cell(price, "muted" if row.stop_price is None else "text", value=row.stop_price)


def cover_words(row: PositionRow, *, private: bool = False) -> str:
    """Return how much of a position its stop covers where a part has none; empty for anything else."""
    if not half_covered(row):
        return ""
    return "stop for a part" if private else f"stop for {exact(row.stop_quantity)} of {exact(abs(row.quantity))}"


def standing_words(row: PositionRow, now: int, *, private: bool = False) -> str:
    """Return how a position in a derivative stands in one line, the most pressing first; empty for anything else."""
    standing = row.standing
    if standing is None:
        return ""
    parts = [f"{exact(standing.leverage)}x {standing.mode}"]
    if standing.liquidation_price is not None:
        parts.append(f"liq {exact(standing.liquidation_price)} {percent(standing.liquidation_pct, 1, signed=True)}")
    else:
        parts.append("no liquidation")
    if standing.ratio is not None:
        parts.append(f"ratio {percent(standing.ratio, 1)}")
    if not private:
        parts.append(f"{exact(standing.base_size)} {symbol_of(row.instrument).partition('/')[0]}")
        if standing.margin is not None:
            parts.append(f"margin {number(standing.margin)}")
        parts.append(f"funding {number(-standing.funding, signed=True)}")
    if standing.next_funding is not None and standing.next_funding > now:
        rate = "" if standing.funding_rate is None else f"{percent(standing.funding_rate, 4, signed=True)} "
        parts.append(f"next {rate}in {age(now, standing.next_funding)}")
    return " · ".join(parts)


def contract_of(instrument: InstrumentId, known: InstrumentRow | None) -> Decimal | None:
    """Return the base units of a contract, 1 for spot; None for a derivative that is not known yet."""
    if known is not None:
        return known.multiplier
    return None if ":" in symbol_of(instrument) else Decimal(1)


def position_strip_cells(
    row: PositionRow,
    instrument: InstrumentRow | None,
    glyphs: Glyphs,
    *,
    private: bool = False,
    where: Where = HERE,
) -> tuple[Cell, ...]:
    """Return an open position as a row of the dashboard's short list."""
    return (
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument, row.account),
        _amount(row.quantity, 7, private=private),
        _profit(row.unrealised, glyphs, private=private),
        Cell(row.owner_name, "muted"),
        _percent(row.unrealised_pct),
        Cell(price_text(row.mark, instrument), value=row.mark),
        Cell(price_text(row.entry_price, instrument), "muted", value=row.entry_price),
    )


def position_words(row: PositionRow, where: Where = HERE) -> str:
    """Return a position in words, for a sentence about it."""
    side = "long" if row.quantity > 0 else "short"
    return f"{side} {exact(abs(row.quantity))} {symbol_of(row.instrument)}{where.on(row.instrument, row.account)}"


def share_bar(share: float | None, width: int, glyphs: Glyphs) -> str:
    """Return a bar of `width` cells that is full at a share of 1."""
    if share is None or share <= 0 or width <= 0:
        return ""
    steps = len(glyphs.bar) - 1
    parts = max(1, round(min(1.0, share) * width * steps))
    full, rest = divmod(parts, steps)
    return glyphs.bar[-1] * full + (glyphs.bar[rest] if rest else "")


def balance_cells(
    row: BalanceRow, glyphs: Glyphs, bar: int, *, private: bool = False, where: Where = HERE
) -> tuple[Cell, ...]:
    """Return a currency as a row of the balances table; `bar` is the width of its share's bar."""
    known = row.share is not None
    return (
        Cell(row.currency, "strong"),
        Cell(clean(where.of_account(row.account)), "muted"),
        _amount(row.total, 10, private=private),
        _amount(row.reserved, 10, private=private) if row.reserved else Cell(DASH, "muted"),
        _amount(row.free, 10, private=private),
        _money(row.value, private=private) if row.value is not None else Cell("no price", "warn"),
        Cell(percent(row.share, 1), "text" if known else "muted", value=row.share),
        Cell(share_bar(row.share, bar, glyphs), "volume", value=row.share),
    )


def fill_cells(
    row: FillRow,
    instruments: Mapping[str, InstrumentRow],
    glyphs: Glyphs,
    zone: tzinfo,
    now: int,
    *,
    private: bool = False,
    where: Where = HERE,
) -> tuple[Cell, ...]:
    """Return an execution as a row of the fills table; those of other days show their date."""
    today = day(row.ts, zone) == day(now, zone)
    fee = MASK if private else f"{number(row.fee, 4)} {row.fee_currency}"
    known = instruments.get(row.instrument)
    contract = contract_of(row.instrument, known)
    value = None if contract is None else row.price * row.quantity * contract
    return (
        Cell(clock(row.ts, zone) if today else day(row.ts, zone)[2:], "muted", value=row.ts),
        side_cell(OrderSide(row.side), glyphs),
        _amount(row.quantity, 9, private=private),
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument, row.account),
        Cell(price_text(row.price, known), value=row.price),
        _money(value, private=private),
        Cell(fee, "muted", value=row.fee),
        Cell("maker" if row.liquidity is Liquidity.MAKER else "taker", "muted"),
        Cell(row.owner_name, "muted"),
        Cell(row.client_id, "faint"),
    )
