"""Replies of operations as a person reads them: tables and sheets with units, signs, grouped figures and UTC times.

The wire carries exact decimals as text and times as UTC nanoseconds; only here, as on the screens, do they become
words, through the same formatters.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console.offline_call import table
from console.plain import say
from console.reply_columns import COLUMNS, FACTORS, FRACTIONS, GAINS, MEANS, NAMES, TIMES, Column
from engine.control.views import BookView, TradesView
from engine.control.views_orders import ExitsPreview, OrderPreview
from engine.control.wire import encode
from engine.model.text import clean
from screens.formats import DASH, exact, number, percent, scaled

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence


__all__ = ["figure", "plain", "sentence_of", "show"]

PLAIN = (str, int, float, Decimal, bool, type(None))
RIGHT = (int, float, Decimal)
MEBIBYTE = 1 << 20
SHORT = Context(prec=10)
OLDEST_NS = 10**17
"""1973 in UTC nanoseconds: no count comes near it, so whatever its name, such a number is a time."""


def plain(reply: Any) -> Any:
    """A reply as the wire carries it: plain values, decimals as text, times as whole numbers."""
    return msgspec.json.decode(encode(reply))


def show(reply: Any) -> None:
    """Print a reply for a person."""
    match reply:
        case str():
            say(reply)
        case BookView():
            _show_book(reply)
        case ExitsPreview():
            for line in sentence_of(reply):
                say(line)
        case TradesView():
            _show_trades(reply)
        case msgspec.Struct():
            _show_sheet(reply)
        case list() | tuple():
            _show_rows(reply)
        case dict():
            _show_mapping(reply)
        case _:
            say(figure("", reply))


def sentence_of(preview: OrderPreview | ExitsPreview) -> list[str]:
    """What an order, or exits, would come to, in lines."""
    lines = [preview.sentence]
    if isinstance(preview, OrderPreview) and preview.total is not None:
        lines.append(f"  in all {exact(preview.total)} {preview.currency}, fee included")
    lines += [f"  risk would refuse it: {refusal.message}" for refusal in preview.refusals]
    return lines


# --- figures ---------------------------------------------------------------------------------------------------------


def figure(name: str, value: Any) -> str:
    """One value in words: how it is shown follows from its type and its field's name."""
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            return _number(name, value)
        case dict():
            return ", ".join(f"{key}={figure('', inner)}" for key, inner in value.items()) or DASH
        case list() | tuple():
            return ", ".join(figure(name, inner) for inner in value) or DASH
        case _:
            return str(value)


def _number(name: str, value: float | Decimal) -> str:
    signed = name in GAINS
    # An exposure in money is exact; as a share of equity it is a float.
    if (name in FRACTIONS and not (name == "exposure" and isinstance(value, Decimal))) or name.endswith("_pct"):
        return percent(value, signed=signed)
    if name in FACTORS:
        return f"{exact(value) if isinstance(value, Decimal) else f'{value:g}'}x"
    if name.endswith("progress"):
        return percent(value, 0)
    if isinstance(value, int):
        if name in TIMES or value >= OLDEST_NS:
            return time_text(value)
        if name in NAMES:
            return str(value)
        return f"{value / MEBIBYTE:,.1f} MiB" if name.endswith("bytes") else f"{value:,}"
    if name.endswith("_ms"):
        return f"{number(value, 1)} ms"
    if name in MEANS and isinstance(value, Decimal):
        value = SHORT.plus(value)
    text = exact(value) if isinstance(value, Decimal) else f"{value:,.10g}"
    return f"+{text}" if signed and value > 0 else text


def time_text(ns: int) -> str:
    """UTC nanoseconds to the second, labelled."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC" if ns else DASH


def _with_unit(row: Any, column: Column) -> str:
    text = figure(column.field, _value(row, column.field))
    if not column.unit or text == DASH:
        return text
    base, _, quote = str(getattr(row, "instrument", getattr(row, "id", ""))).partition(":")[2].partition("/")
    quote, derivative, _ = quote.partition(":")
    unit = {"base": "contracts" if derivative else base, "quote": quote}.get(column.unit) or str(
        getattr(row, column.unit, "")
    )
    return f"{text} {unit}".rstrip()


# --- tables and sheets -----------------------------------------------------------------------------------------------


def _show_rows(rows: Sequence[Any]) -> None:
    if not rows:
        say("There are none.")
    elif isinstance(rows[0], msgspec.Struct):
        _table(rows)
    else:
        for row in rows:
            say(figure("", row))


def _table(rows: Sequence[Any]) -> None:
    columns = [column for column in _columns(rows[0]) if _is_told(rows, column)]
    head = [_head(rows, column) for column in columns]
    table(head, [[_with_unit(row, column) for column in columns] for row in rows])


def _is_told(rows: Sequence[Any], column: Column) -> bool:
    values = {_value(row, column.field) for row in rows}
    return (len(values) > 1 or not column.if_differs) and (bool(values - {None}) or not column.if_any)


def _value(row: Any, field: str) -> Any:
    for part in field.split("."):
        row = None if row is None else getattr(row, part)
    return row


def _columns(row: Any) -> tuple[Column, ...]:
    known = COLUMNS.get(type(row).__name__)
    if known is not None:
        return known
    return tuple(Column(name) for name in row.__struct_fields__ if isinstance(getattr(row, name), PLAIN))


def _head(rows: Iterable[Any], column: Column) -> str:
    """The column's name; a leading space sets figures to the right."""
    values = [value for row in rows if (value := _value(row, column.field)) is not None]
    right = bool(values) and column.field not in TIMES
    right = right and all(isinstance(value, RIGHT) and not isinstance(value, bool) for value in values)
    return (" " if right else "") + (column.head or column.field.replace("_", " "))


def _show_sheet(view: Any) -> None:
    """Plain fields as lines, then each group of rows as a table of its own."""
    fields = {name: getattr(view, name) for name in view.__struct_fields__}
    rows = {name: value for name, value in fields.items() if _is_rows(value)}
    if "rows" in fields and "pages" in fields:
        _show_rows(fields["rows"])
        if not fields["total"]:
            return
        say(f"\npage {fields['page']} of {max(1, fields['pages'])}, {fields['total']:,} rows in all")
        return
    lines = [
        (_label(name, fields), _line(view, name, value))
        for name, value in fields.items()
        if name not in rows and not isinstance(value, msgspec.Struct)
    ]
    _lines(lines)
    for name, value in fields.items():
        if isinstance(value, msgspec.Struct):
            say(f"\n{name.replace('_', ' ')}")
            _show_sheet(value)
    for name, value in rows.items():
        say(f"\n{name.replace('_', ' ')}")
        _show_rows(value)


def _label(name: str, beside: Container[str]) -> str:
    """A field's name in words; what its figure says itself is left out, unless another field beside it is called so."""
    if name.endswith("_pct") and name.removesuffix("_pct") in beside:
        name = f"{name.removesuffix('_pct')} %"
    for ending in ("_ms", "_bytes", "_pct"):
        name = name.removesuffix(ending)
    return name.replace("_", " ")


def _line(view: Any, name: str, value: Any) -> str:
    known = {column.field: column for column in COLUMNS.get(type(view).__name__, ())}
    column = known.get(name, Column(name))
    if not column.unit and isinstance(value, Decimal) and (name == "exposure" or name not in FRACTIONS | FACTORS):
        # Money of a sheet is in the currency that the sheet names.
        currency = next((unit for unit in ("currency", "base_currency") if hasattr(view, unit)), "")
        column = Column(name, unit=currency)
    return _with_unit(view, column)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], msgspec.Struct)


def _lines(lines: Sequence[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in lines), default=0)
    for name, text in lines:
        click.echo(f"{clean(name):<{width}}  {clean(text)}")


def _show_mapping(values: dict[str, Any]) -> None:
    flat = [(str(name), figure(str(name), value)) for name, value in values.items() if isinstance(value, PLAIN)]
    _lines(flat)
    for name, value in values.items():
        if isinstance(value, dict):
            say(f"\n{name}")
            _lines([(f"  {key}", figure(str(key), inner)) for key, inner in value.items()])
        elif isinstance(value, list | tuple):
            say(f"\n{name}")
            for item in value:
                say(f"  {_item(item)}")


def _item(item: Any) -> str:
    """A described thing by its name and its words; anything else as it is."""
    if not isinstance(item, dict) or not item:
        return figure("", item)
    name = str(next(iter(item.values())))
    words = item.get("doc") or item.get("meaning")
    return f"{name:<24}  {words}" if words else figure("", item)


# --- books and trades ------------------------------------------------------------------------------------------------


def _show_book(book: BookView) -> None:
    """The ladder, asks above bids, each level with our own quantity in it."""
    say(f"{book.instrument} as of {time_text(book.ts)}" + ("" if book.live else " (not live)"))
    own: dict[int, int] = {}
    for level in book.own:
        own[level.price] = own.get(level.price, 0) + level.quantity

    def line(side: str, price: int, quantity: int) -> tuple[str, str, str, str]:
        ours = own.get(price)
        amount = scaled(quantity, book.quantity_scale, book.quantity_scale)
        mine = "" if ours is None else scaled(ours, book.quantity_scale, book.quantity_scale)
        return side, scaled(price, book.price_scale, book.price_scale), amount, mine

    rows = [line("ask", *level) for level in reversed(book.asks)] + [line("bid", *level) for level in book.bids]
    base, _, quote = str(book.instrument).partition(":")[2].partition("/")
    table(("side", f" price ({quote})", f" quantity ({base})", f" ours ({base})"), rows)


def _show_trades(view: TradesView) -> None:
    base, _, quote = str(view.instrument).partition(":")[2].partition("/")
    head = ("time", "aggressor", f" price ({quote})", f" quantity ({base})")
    rows = [
        (
            time_text(trade.ts),
            str(trade.aggressor),
            scaled(trade.price, view.price_scale, view.price_scale),
            scaled(trade.quantity, view.quantity_scale, view.quantity_scale),
        )
        for trade in view.trades
    ]
    table(head, rows)
