"""Expressions over a pandas frame of candles, translated into columns of ours; what is not known is said, not guessed.

Known: the frame's columns, numbers, comparisons, & | ~, + - * /, the parameters of the class, TA-Lib's SMA, EMA, DEMA,
TEMA, RSI, ADX, PLUS_DI, MINUS_DI, MFI, MOM, ROC, ATR, STDDEV, MAX, MIN, TRANGE,
BBANDS and MACD, `rolling(n).mean/std/max/min`, `shift(n)`, and
qtpylib's crossings, bollinger_bands and typical_price.
"""

from __future__ import annotations

import ast
import copy
from typing import Any

from engine.control.moving.reading import MISSING, literal

__all__ = ["BARS", "Columns", "UnknownCode", "text_of"]

BARS = ("open", "high", "low", "close", "volume")
_TALIB = {"ta", "talib", "abstract"}
_QTPYLIB = {"qtpylib", "qtpy", "indicators"}
_ONE_SERIES = {
    "SMA": ("sma", 30),
    "EMA": ("ema", 30),
    "RSI": ("rsi", 14),
    "MAX": ("highest", 30),
    "MIN": ("lowest", 30),
}
_DIRECTIONAL = {"ADX": 0, "PLUS_DI": 1, "MINUS_DI": 2}
_ROLLING = {"mean": "sma", "max": "highest", "min": "lowest"}
_COMPARED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_BANDS = {
    "upperband": "upper",
    "middleband": "mid",
    "lowerband": "lower",
    "upper": "upper",
    "mid": "mid",
    "lower": "lower",
}


class UnknownCode(Exception):
    """An expression that is not known; `node` is the part that is not."""

    def __init__(self, node: ast.AST, why: str) -> None:
        super().__init__(why)
        self.node = node
        self.why = why


def text_of(node: ast.AST, most: int = 70) -> str:
    """Code as a person reads it, cut off where it is long."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _code(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _call(name: str, *parts: ast.expr, **named: ast.expr) -> ast.expr:
    keywords = [ast.keyword(arg, value) for arg, value in named.items()]
    return ast.Call(ast.Attribute(ast.Name("ta"), name), list(parts), keywords)


class Columns:
    """The columns known so far, and the translation of what is built on them.

    Args:
        frames: Names of the frame in the code.
        params: Names of class attributes that are parameters of ours; others that are numbers.
        numbers: Class attributes that are plain numbers.

    Attributes:
        lines: Assignments of ours, in order.
        periods: Lengths that indicators look back, as code.
        notes: What is a little different, a sentence each.
    """

    def __init__(self, frames: set[str], params: set[str], numbers: dict[str, Any]) -> None:
        self.frames = frames
        self.params = params
        self.numbers = numbers
        self.lines: list[str] = []
        self.periods: list[str] = []
        self.notes: list[str] = []
        self._columns: dict[str, str] = {}
        self._groups: dict[str, dict[str, str]] = {}
        self._locals: dict[str, ast.expr] = {}

    # --- assignments -------------------------------------------------------------------------------------------------

    def set_column(self, name: str, value: ast.expr) -> None:
        """Take in `frame[name] = value`."""
        self._columns[name] = self._keep(name, self.translate(value))

    def set_local(self, name: str, value: ast.expr) -> None:
        """Take in `name = value`: bands and the like, or one series."""
        group = self._group(name, value)
        if group is not None:
            self._groups[name] = group
        else:
            self._locals[name] = _code(self._keep(name, self.translate(value)))

    def knows_column(self, node: ast.AST) -> str:
        """Name of the column that is written to by an assignment's target; empty for any other target."""
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in self.frames:
            found = literal(node.slice)
            return found if isinstance(found, str) else ""
        return ""

    def _keep(self, name: str, expression: ast.expr) -> str:
        plain = "c_" + "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name.lower())
        taken = {line.partition(" = ")[0] for line in self.lines}
        free = next(free for free in (plain, *(f"{plain}_{n}" for n in range(2, 10_000))) if free not in taken)
        self.lines.append(f"{free} = {ast.unparse(ast.fix_missing_locations(expression))}")
        return free

    # --- expressions -------------------------------------------------------------------------------------------------

    def translate(self, node: ast.expr) -> ast.expr:
        """The same over our bars.

        Raises:
            UnknownCode: A part of it is not known.
        """
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return copy.copy(node)
            case ast.Name() if node.id in self._locals:
                return self._locals[node.id]
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                return ast.BinOp(self._truth(node.left), node.op, self._truth(node.right))
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
                return ast.BinOp(self.translate(node.left), node.op, self.translate(node.right))
            case ast.UnaryOp(op=ast.Invert()):
                return ast.UnaryOp(node.op, self._truth(node.operand))
            case ast.UnaryOp(op=ast.USub()):
                return ast.UnaryOp(node.op, self.translate(node.operand))
            case ast.Compare(ops=[op], comparators=[right]) if isinstance(op, _COMPARED):
                return ast.Compare(self.translate(node.left), [op], [self.translate(right)])
            case ast.Subscript() | ast.Attribute():
                return self._series(node)
            case ast.Call():
                return self._called(node)
        raise UnknownCode(node, "it is not among what can be translated")

    def _truth(self, node: ast.expr) -> ast.expr:
        """A part of & | ~, which must be true or false."""
        found = self.translate(node)
        logical = isinstance(found, ast.Compare) or (
            isinstance(found, ast.BinOp) and isinstance(found.op, ast.BitAnd | ast.BitOr)
        )
        inverted = isinstance(found, ast.UnaryOp) and isinstance(found.op, ast.Invert)
        return found if logical or inverted else ast.Compare(found, [ast.NotEq()], [ast.Constant(0)])

    def _series(self, node: ast.Subscript | ast.Attribute) -> ast.expr:
        if isinstance(node, ast.Attribute):
            value = self._parameter(node)
            if value is not None:
                return value
            key: Any = node.attr
        else:
            key = literal(node.slice)
        holder = node.value
        if isinstance(holder, ast.Name) and isinstance(key, str):
            if holder.id in self._groups and key in self._groups[holder.id]:
                return _code(self._groups[holder.id][key])
            if holder.id in self.frames:
                if key in self._columns:
                    return _code(self._columns[key])
                if key in BARS:
                    return _code(f"bars.{key}")
                raise UnknownCode(node, f"the column {key} is not known")
        if isinstance(holder, ast.Call) and isinstance(key, str):
            group = self._group("part", holder)
            if group is not None and key in group:
                return _code(group[key])
        raise UnknownCode(node, "it is not among what can be translated")

    def _parameter(self, node: ast.Attribute) -> ast.expr | None:
        """`self.x.value` of a parameter, or `self.x` of a number."""
        inner = node.value if node.attr == "value" else node
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id in ("self", "cls"):
            if inner.attr in self.params:
                return _code(f"self.params.{inner.attr}")
            if inner.attr in self.numbers:
                return ast.Constant(self.numbers[inner.attr])
            raise UnknownCode(node, f"self.{inner.attr} is no parameter and no number")
        return None

    # --- calls -------------------------------------------------------------------------------------------------------

    def _called(self, node: ast.Call) -> ast.expr:
        target = node.func
        if not isinstance(target, ast.Attribute):
            if isinstance(target, ast.Name) and target.id in ("crossed_above", "crossed_below"):
                return self._crossed(target.id, node)
            raise UnknownCode(node, f"the function {text_of(target)} is not known")
        holder = target.value
        if isinstance(holder, ast.Name) and holder.id in _TALIB:
            return self._talib(target.attr, node)
        if isinstance(holder, ast.Name) and holder.id in _QTPYLIB:
            return self._qtpylib(target.attr, node)
        if target.attr == "shift":
            return self._shift(holder, node)
        if target.attr in ("mean", "std", "max", "min"):
            return self._rolling(target.attr, holder, node)
        if target.attr == "astype" and not isinstance(holder, ast.Name):
            return self.translate(holder)
        raise UnknownCode(node, f"the function {text_of(target)} is not known")

    def _argument(self, node: ast.Call, place: int, name: str, default: float | None) -> ast.expr:
        for keyword in node.keywords:
            if keyword.arg == name:
                return self._number(keyword.value)
        if len(node.args) > place:
            return self._number(node.args[place])
        if default is None:
            raise UnknownCode(node, f"{name} is missing")
        return ast.Constant(default)

    def _number(self, node: ast.expr) -> ast.expr:
        plain = literal(node)
        if isinstance(plain, int | float):
            return ast.Constant(plain)
        if isinstance(node, ast.Attribute):
            found = self._parameter(node)
            if found is not None:
                return found
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int" and node.args:
            return self._number(node.args[0])
        raise UnknownCode(node, "it is no number and no parameter")

    def _period(self, node: ast.Call, place: int, name: str, default: int | None) -> ast.expr:
        found = self._argument(node, place, name, default)
        self.periods.append(ast.unparse(found))
        return found

    def _first(self, node: ast.Call) -> ast.expr:
        """The series that a TA-Lib function works on: named, or the close of the frame."""
        if not node.args:
            raise UnknownCode(node, "it has no series")
        first = node.args[0]
        price = next((literal(keyword.value) for keyword in node.keywords if keyword.arg == "price"), "close")
        if isinstance(first, ast.Name) and first.id in self.frames:
            if price in BARS:
                return _code(f"bars.{price}")
            return self._series(ast.Subscript(first, ast.Constant(price)))
        return self.translate(first)

    def _is_frame(self, node: ast.Call) -> bool:
        return bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id in self.frames

    def _talib(self, name: str, node: ast.Call) -> ast.expr:
        if name in _ONE_SERIES:
            ours, default = _ONE_SERIES[name]
            return _call(ours, self._first(node), self._period(node, 1, "timeperiod", default))
        if name in ("ATR", "TRANGE") and self._is_frame(node):
            if name == "TRANGE":
                return _call("true_range", _code("bars"))
            return _call("atr", _code("bars"), self._period(node, 1, "timeperiod", 14))
        if name in _DIRECTIONAL and self._is_frame(node):
            period = self._period(node, 1, "timeperiod", 14)
            self.periods.append(ast.unparse(period))
            return ast.Subscript(_call("adx", _code("bars"), period), ast.Constant(_DIRECTIONAL[name]))
        if name == "MFI" and self._is_frame(node):
            return _call("mfi", _code("bars"), self._period(node, 1, "timeperiod", 14))
        if name in ("DEMA", "TEMA"):
            return self._again(name, self._first(node), self._period(node, 1, "timeperiod", 30))
        if name in ("MOM", "ROC"):
            series, period = self._first(node), self._period(node, 1, "timeperiod", 10)
            earlier = _call("previous", series, period)
            if name == "MOM":
                return ast.BinOp(series, ast.Sub(), earlier)
            share = ast.BinOp(ast.BinOp(series, ast.Div(), earlier), ast.Sub(), ast.Constant(1))
            return ast.BinOp(share, ast.Mult(), ast.Constant(100))
        if name == "STDDEV":
            found = _call("std", self._first(node), self._period(node, 1, "timeperiod", 5))
            return ast.BinOp(found, ast.Mult(), self._argument(node, 2, "nbdev", 1))
        raise UnknownCode(node, f"there is no indicator {name} among ours")

    def _again(self, name: str, series: ast.expr, period: ast.expr) -> ast.expr:
        """Averages of averages. Source: TA-Lib DEMA (2 a - b) and TEMA (3 a - 3 b + c)."""
        self.periods += [ast.unparse(period)] * (2 if name == "TEMA" else 1)
        one = _call("ema", series, period)
        two = _call("ema", one, period)
        if name == "DEMA":
            return ast.BinOp(ast.BinOp(ast.Constant(2), ast.Mult(), one), ast.Sub(), two)
        apart = ast.BinOp(ast.Constant(3), ast.Mult(), ast.BinOp(one, ast.Sub(), two))
        return ast.BinOp(apart, ast.Add(), _call("ema", two, period))

    def _qtpylib(self, name: str, node: ast.Call) -> ast.expr:
        if name in ("crossed_above", "crossed_below"):
            return self._crossed(name, node)
        if name == "typical_price" and self._is_frame(node):
            return _code("(bars.high + bars.low + bars.close) / 3")
        raise UnknownCode(node, f"qtpylib.{name} is not known")

    def _crossed(self, name: str, node: ast.Call) -> ast.expr:
        if len(node.args) != 2:
            raise UnknownCode(node, "a crossing has two series")
        pair = [self.translate(part) for part in node.args]
        self.periods.append("1")
        return ast.Compare(_call(name, *pair), [ast.Gt()], [ast.Constant(0)])

    def _shift(self, holder: ast.expr, node: ast.Call) -> ast.expr:
        bars = literal(node.args[0]) if node.args else literal(next((k.value for k in node.keywords), None))
        bars = 1 if bars is MISSING and not node.args and not node.keywords else bars
        if not isinstance(bars, int):
            raise UnknownCode(node, "the shift is no whole number")
        if bars < 0:
            raise UnknownCode(node, "it looks into the future; its backtests were too good")
        self.periods.append(str(bars))
        return _call("previous", self._as_number(self.translate(holder)), ast.Constant(bars))

    @staticmethod
    def _as_number(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Compare | ast.BinOp | ast.UnaryOp):
            return ast.BinOp(node, ast.Mult(), ast.Constant(1.0))
        return node

    def _rolling(self, name: str, holder: ast.expr, node: ast.Call) -> ast.expr:
        if not (isinstance(holder, ast.Call) and isinstance(holder.func, ast.Attribute)):
            raise UnknownCode(node, "only rolling(n) has such a function here")
        if holder.func.attr != "rolling":
            raise UnknownCode(node, f"{holder.func.attr} is not known")
        series, period = self.translate(holder.func.value), self._period(holder, 0, "window", None)
        if name == "std":
            return _call("std", series, period, ddof=ast.Constant(1))
        return _call(_ROLLING[name], self._as_number(series), period)

    # --- several series at once --------------------------------------------------------------------------------------

    def _group(self, name: str, node: ast.expr) -> dict[str, str] | None:
        """Bands and MACD, whose parts are taken by name; None for anything else."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return None
        holder = node.func.value
        library = holder.id if isinstance(holder, ast.Name) else ""
        if library in _TALIB and node.func.attr == "BBANDS":
            period = self._period(node, 1, "timeperiod", 5)
            ups = (self._argument(node, 2, "nbdevup", 2.0), self._argument(node, 3, "nbdevdn", 2.0))
            return self._bands(name, self._first(node), period, *ups, 0)
        if library in _QTPYLIB and node.func.attr == "bollinger_bands" and node.args:
            period, wide = self._period(node, 1, "window", 20), self._argument(node, 2, "stds", 2.0)
            return self._bands(name, self.translate(node.args[0]), period, wide, wide, 1)
        if library in _TALIB and node.func.attr == "MACD":
            return self._macd(name, node)
        return None

    def _bands(
        self, name: str, series: ast.expr, period: ast.expr, up: ast.expr, down: ast.expr, ddof: int
    ) -> dict[str, str]:
        mid = self._keep(f"{name}_mid", _call("sma", series, period))
        wide = self._keep(f"{name}_wide", _call("std", series, period, ddof=ast.Constant(ddof)))
        upper = self._keep(f"{name}_upper", ast.BinOp(_code(mid), ast.Add(), ast.BinOp(up, ast.Mult(), _code(wide))))
        lower = self._keep(f"{name}_lower", ast.BinOp(_code(mid), ast.Sub(), ast.BinOp(down, ast.Mult(), _code(wide))))
        parts = {"upper": upper, "mid": mid, "lower": lower}
        return {theirs: parts[ours] for theirs, ours in _BANDS.items()}

    def _macd(self, name: str, node: ast.Call) -> dict[str, str]:
        series = self._first(node)
        fast, slow = self._period(node, 1, "fastperiod", 12), self._period(node, 2, "slowperiod", 26)
        signal = self._period(node, 3, "signalperiod", 9)
        line = self._keep(f"{name}_line", ast.BinOp(_call("ema", series, fast), ast.Sub(), _call("ema", series, slow)))
        smooth = self._keep(f"{name}_signal", _call("ema", _code(line), signal))
        rest = self._keep(f"{name}_hist", ast.BinOp(_code(line), ast.Sub(), _code(smooth)))
        self.notes.append(
            "MACD: both averages begin at their own first bar here; the difference fades with the history."
        )
        return {"macd": line, "macdsignal": smooth, "macdhist": rest}
