"""A freqtrade strategy, read as a tree and never run: its attributes, its columns and conditions as a file of ours."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.control.moving.columns import Columns, UnknownCode, text_of
from engine.control.moving.reading import MISSING, class_values, classes_of, literal, read_tree
from engine.model.candle import timeframe_ns

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.moving.plan import MovePlan

__all__ = ["CALLBACKS", "TheirStrategy", "find_strategies", "snake", "write_strategy"]

MINUTE_NS = 60_000_000_000
_ENTRY = {"enter_long": "long", "buy": "long", "enter_short": "short"}
_EXIT = {"exit_long": "long", "sell": "long", "exit_short": "short"}
_POPULATE = {
    "populate_indicators": "indicators",
    "populate_entry_trend": "entry",
    "populate_buy_trend": "entry",
    "populate_exit_trend": "exit",
    "populate_sell_trend": "exit",
}
CALLBACKS = {
    "custom_stoploss": "Write it as `custom_stop(row, memory, holding)`: it returns a price and never loosens.",
    "custom_exit": "Write it as `custom_exit(row, memory, holding)`: it returns the reason, or an empty text.",
    "custom_sell": "Write it as `custom_exit(row, memory, holding)`: it returns the reason, or an empty text.",
    "custom_roi": "Write it as `custom_exit`, or as steps in `rules()`.",
    "adjust_trade_position": "Write it as `adjust_position(row, memory, holding)`, or as the column `add_distance`.",
    "confirm_trade_entry": "Put the condition into the column `entry`; what needs the book belongs to `execution`.",
    "confirm_trade_exit": "An exit is never held back here; put the condition into the exit column.",
    "custom_entry_price": "Choose how entries are executed: `bots create --execution algorithm=chase` or `peg`.",
    "custom_exit_price": "Exits go at the market, targets rest as limit orders; there is no other price.",
    "custom_stake_amount": "Write the column `size`, a factor of the usual position size from 0 to 1.",
    "leverage": "Set it with `quarterdeck margin set`; a bot's own limit is `--risk max_leverage=`.",
    "informative_pairs": "A higher timeframe of the same market is `ta.higher(bars, '1h')`; no others are seen.",
    "order_filled": "There is no hook at a fill; `custom_exit` and `custom_stop` are asked at every close.",
    "check_entry_timeout": "Entries are market orders, or parent orders with a duration: see `--execution`.",
    "check_exit_timeout": "Exits are market orders and do not wait.",
    "adjust_entry_price": "`--execution algorithm=chase` moves an entry's price by itself.",
    "adjust_exit_price": "Exits are market orders and do not wait.",
    "adjust_order_price": "`--execution algorithm=chase` moves an entry's price by itself.",
    "bot_start": "There is no such hook; a strategy reads no clock, no file and no network.",
    "bot_loop_start": "There is no such hook; a strategy reads no clock, no file and no network.",
    "version": "The attribute `version` says it.",
    "plot_annotations": "Charts show the columns by themselves.",
    "feature_engineering_expand_all": "Models are not part of a strategy file here.",
    "feature_engineering_standard": "Models are not part of a strategy file here.",
    "set_freqai_targets": "Models are not part of a strategy file here.",
}
"""Their callback -> what to do instead."""
_PARAMETERS = {"IntParameter": "int", "DecimalParameter": "float", "RealParameter": "float", "BooleanParameter": "bool"}


def snake(name: str) -> str:
    """A class name as a strategy's name of ours."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    text = re.sub(r"[^a-z0-9_]", "_", text)[:48].strip("_")
    return text if text[:1].isalpha() else f"s_{text}"[:48]


@dataclass
class TheirStrategy:
    """What is read of one class."""

    name: str
    file: Path
    values: dict[str, Any]
    """Attributes that are plain values."""
    params: dict[str, tuple[str, Any, Any, Any]]
    """Their parameters: type, default, least and largest value."""
    methods: dict[str, ast.FunctionDef] = field(default_factory=dict)
    line: int = 0

    def where(self, node: ast.AST | None = None) -> str:
        """File and line."""
        return f"{self.file.name}:{getattr(node, 'lineno', self.line)}"


def find_strategies(files: list[Path]) -> list[TheirStrategy]:
    """Every class of these files that inherits IStrategy, or looks like a strategy of theirs.

    Raises:
        DataError: A file cannot be read.
    """
    found = []
    for file in files:
        for node in classes_of(read_tree(file)):
            methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
            bases = {text_of(base).rpartition(".")[2] for base in node.bases}
            if "IStrategy" in bases or {"populate_entry_trend", "populate_buy_trend"} & methods.keys():
                found.append(_read(node, methods, file))
    return found


def _read(node: ast.ClassDef, methods: dict[str, ast.FunctionDef], file: Path) -> TheirStrategy:
    values: dict[str, Any] = {}
    params: dict[str, tuple[str, Any, Any, Any]] = {}
    for name, value in class_values(node).items():
        plain = literal(value, values)
        if plain is not MISSING:
            values[name] = plain
        elif isinstance(value, ast.Call):
            found = _parameter(value)
            if found is not None:
                params[name] = found
    return TheirStrategy(node.name, file, values, params, methods, node.lineno)


def _parameter(node: ast.Call) -> tuple[str, Any, Any, Any] | None:
    kind = _PARAMETERS.get(text_of(node.func).rpartition(".")[2])
    named = {keyword.arg: literal(keyword.value) for keyword in node.keywords}
    if kind is None or named.get("default", MISSING) is MISSING:
        return None
    places = [literal(part) for part in node.args]
    low = named.get("low", places[0] if places else None)
    high = named.get("high", places[1] if len(places) > 1 else None)
    return kind, named["default"], low, high


# --- conditions ------------------------------------------------------------------------------------------------------


class _Body:
    """The statements of the three populate methods, one after the other."""

    def __init__(self, theirs: TheirStrategy, plan: MovePlan) -> None:
        numbers = {name: value for name, value in theirs.values.items() if isinstance(value, int | float)}
        self.columns = Columns(set(), set(theirs.params), numbers)
        self.signals: dict[str, list[tuple[str, str]]] = {"entry long": [], "entry short": []}
        self.signals |= {"exit long": [], "exit short": []}
        self.failed = False
        self._theirs, self._plan = theirs, plan
        self._lists: dict[str, list[ast.expr]] = {}

    def read(self, method: ast.FunctionDef, part: str) -> None:
        """Take in one method."""
        arguments = [one.arg for one in method.args.args if one.arg != "self"]
        self.columns.frames.add(arguments[0] if arguments else "dataframe")
        for statement in method.body:
            try:
                self._statement(statement, part)
            except UnknownCode as unknown:
                self._leave(unknown, statement, part)

    def _leave(self, unknown: UnknownCode, statement: ast.stmt, part: str) -> None:
        # An indicator that nothing needs may be missing; a condition may not.
        self.failed = self.failed or part != "indicators"
        todo = "Write the column by hand: docs/strategies.md lists the indicators."
        self._plan.leave(text_of(unknown.node), self._theirs.where(statement), unknown.why, todo)

    def _statement(self, node: ast.stmt, part: str) -> None:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Return() | ast.Pass():
                return
            case ast.Assign(targets=[target]):
                self._assign(target, node.value, part)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[item])):
                self._lists.setdefault(name, []).append(item)
            case ast.If(test=ast.Name(id=name)) if name in self._lists:
                for inner in node.body:
                    self._statement(inner, part)
            case _:
                raise UnknownCode(node, "such a statement cannot be translated")

    def _assign(self, target: ast.expr, value: ast.expr, part: str) -> None:
        column = self.columns.knows_column(target)
        if column in _ENTRY or column in _EXIT:
            if literal(value) == 0:
                return
            self._signal(column, self._condition(value), "")
        elif column:
            self.columns.set_column(column, value)
        elif isinstance(target, ast.Name):
            if isinstance(value, ast.List):
                self._lists[target.id] = list(value.elts)
            else:
                self.columns.set_local(target.id, value)
        elif not self._located(target, value):
            raise UnknownCode(target, f"a {part} is set in a way that is not known")

    def _located(self, target: ast.expr, value: ast.expr) -> bool:
        """`frame.loc[condition, 'enter_long'] = 1`, with or without a tag."""
        if not (isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute)):
            return False
        if target.value.attr != "loc" or not isinstance(target.slice, ast.Tuple) or len(target.slice.elts) != 2:
            return False
        condition, names = target.slice.elts[0], literal(target.slice.elts[1])
        given = literal(value)
        names = names if isinstance(names, list) else [names]
        given = given if isinstance(given, list) else [given] * len(names)
        tags = [
            str(one) for name, one in zip(names, given, strict=False) if name in ("enter_tag", "exit_tag", "buy_tag")
        ]
        columns = [str(name) for name in names if name in _ENTRY or name in _EXIT]
        if columns and 0 in given[: len(columns)]:
            return True
        for column in columns:
            self._signal(column, self._condition(condition), tags[0] if tags else "")
        return bool(columns)

    def _condition(self, node: ast.expr) -> ast.expr:
        """A condition, or the list of conditions that `reduce` joins."""
        if isinstance(node, ast.Call) and text_of(node.func).rpartition(".")[2] == "reduce" and len(node.args) == 2:
            joined = node.args[1]
            both = "|" in text_of(node.args[0])
            if isinstance(joined, ast.Name) and self._lists.get(joined.id):
                parts = self._lists[joined.id]
                whole = parts[0]
                for part in parts[1:]:
                    whole = ast.BinOp(whole, ast.BitOr() if both else ast.BitAnd(), part)
                return self.columns.translate(whole)
        return self.columns.translate(node)

    def _signal(self, column: str, condition: ast.expr, tag: str) -> None:
        kind = "entry" if column in _ENTRY else "exit"
        side = _ENTRY.get(column) or _EXIT[column]
        text = ast.unparse(ast.fix_missing_locations(condition))
        self.signals[f"{kind} {side}"].append((text, tag or ("entry" if kind == "entry" else "exit signal")))


# --- the file --------------------------------------------------------------------------------------------------------


def write_strategy(theirs: TheirStrategy, settings: dict[str, Any], timeframe: str, plan: MovePlan) -> str:
    """The strategy as a file of ours; empty where its conditions cannot be translated, which `plan` then says.

    Args:
        theirs: The strategy.
        settings: Attributes of the configuration file, which go before those of the class.
        timeframe: Length of its bars.
        plan: Hears what was left.
    """
    body = _Body(theirs, plan)
    for name, part in _POPULATE.items():
        if name in theirs.methods:
            body.read(theirs.methods[name], part)
    _leave_methods(theirs, plan)
    for note in dict.fromkeys(body.columns.notes):
        plan.leave("MACD", theirs.where(), note, "Nothing, or a longer history.")
    if body.failed or not (body.signals["entry long"] or body.signals["entry short"]):
        plan.leave(
            f"the strategy {theirs.name}",
            theirs.where(),
            "its conditions were not translated as a whole, and half a strategy is another one",
            f"Begin with `quarterdeck strategies new {snake(theirs.name)} --template blank` and write what is left.",
        )
        return ""
    values = {**theirs.values, **settings}
    return _file(theirs, values, timeframe, body, rules_of(theirs, values, timeframe, plan))


def _leave_methods(theirs: TheirStrategy, plan: MovePlan) -> None:
    for name, method in theirs.methods.items():
        if name in _POPULATE or name.startswith("_"):
            continue
        todo = CALLBACKS.get(name, "Write what it does into the columns or the hooks of the strategy.")
        reason = (
            "code of a callback is not translated" if name in CALLBACKS else "a method of its own is not translated"
        )
        if not name.startswith("populate_"):
            plan.leave(f"{name}()", theirs.where(method), reason, todo)


def rules_of(theirs: TheirStrategy, values: dict[str, Any], timeframe: str, plan: MovePlan) -> dict[str, Any]:
    """Stop, trailing and the table of returns as fields of our position rules."""
    minutes = timeframe_ns(timeframe) / MINUTE_NS
    where = theirs.where()
    rules: dict[str, Any] = {}
    stop = values.get("stoploss")
    if isinstance(stop, int | float) and -1 < stop < 0:
        rules["stop_pct"] = abs(stop)
        plan.taken.append(f"The stop of {abs(stop):.1%} below the entry.")
    roi = values.get("minimal_roi")
    if isinstance(roi, dict):
        rules["roi"] = _roi(roi, minutes, where, plan)
    if values.get("trailing_stop") and isinstance(stop, int | float):
        rules |= _trailing(values, abs(stop), where, plan)
    return rules


def _roi(roi: dict[Any, Any], minutes: float, where: str, plan: MovePlan) -> tuple[tuple[int, float], ...]:
    steps: dict[int, float] = {}
    for after, share in sorted((int(after), float(share)) for after, share in roi.items()):
        bars = -(-after // minutes)
        if bars * minutes != after:
            plan.leave(f"minimal_roi {after} min", where, "no whole number of bars", f"It counts from bar {bars:g} on.")
        steps[int(bars)] = share
    # Theirs takes any profit at all at 100 % and more: nobody ever reaches it.
    steps = {bars: share for bars, share in steps.items() if -1 < share < 10}
    if steps:
        plan.taken.append("The ROI table, as steps by bars held.")
        plan.leave(
            "minimal_roi after fees", where, "theirs is the profit after fees, ours the distance from the entry price",
            "Add twice your fee to each step of `roi` in the file where it matters.",
        )  # fmt: skip
    return tuple(sorted(steps.items()))


def _trailing(values: dict[str, Any], stop: float, where: str, plan: MovePlan) -> dict[str, Any]:
    positive, offset = values.get("trailing_stop_positive"), float(values.get("trailing_stop_positive_offset") or 0.0)
    if positive is None:
        plan.taken.append(f"The trailing stop {stop:.1%} behind the best price.")
        return {"trail_pct": stop}
    if not values.get("trailing_only_offset_is_reached"):
        plan.leave(
            "trailing_stop before its offset", where,
            f"until the profit is {offset:.1%} theirs trails {stop:.1%} behind; ours is fixed until then",
            "Write it as `custom_stop` where it matters.",
        )  # fmt: skip
    plan.taken.append(
        f"The trailing stop {float(positive):.1%} behind the best price, from a profit of {offset:.1%} on."
    )
    return {"trail_pct": float(positive), "trail_from_pct": offset}


def _file(theirs: TheirStrategy, values: dict[str, Any], timeframe: str, body: _Body, rules: dict[str, Any]) -> str:
    title = re.sub(r"[^A-Za-z0-9]", "", theirs.name) or "Moved"
    shorts = bool(body.signals["entry short"]) and values.get("can_short") is True
    origin = re.sub(r"[^A-Za-z0-9_.-]", "_", theirs.file.name)
    lines = [
        f'"""{theirs.name}: taken over from {origin}; read it before you trust it with money."""',
        "", "from __future__ import annotations", "", "from typing import TYPE_CHECKING", "", "import numpy as np",
        "from pydantic import Field", "", "from engine.strategy.contract import StrategyParams",
        "from engine.strategy.signals import PositionRules, SignalStrategy", "", "if TYPE_CHECKING:",
        "    from engine.model.candle import Bars, FloatArray",
        "    from engine.strategy.toolkit import Toolkit", "", "",
        f"class {title}Params(StrategyParams):",
        '    """The parameters of the strategy."""', "",
    ]  # fmt: skip
    lines += [_field(name, *found) for name, found in theirs.params.items()]
    lines += [""] if theirs.params else []
    entry_tags, exit_tags = _tags(body, "entry", shorts=shorts), _tags(body, "exit", shorts=shorts)
    lines += [
        "",
        f"class {title}(SignalStrategy):",
        f'    """{theirs.name}, taken over."""', "",
        f'    name = "{snake(theirs.name)}"',
        f'    timeframe = "{timeframe}"',
        f"    Params = {title}Params",
        f"    entry_tags = {tuple(entry_tags)!r}",
        f"    exit_tags = {tuple(exit_tags)!r}", "",
        "    def warmup(self, timeframe: str) -> int:",
        '        """Bars that must have been seen before the first decision."""',
        f"        return {_warmup(values, body)}", "",
        "    def rules(self) -> PositionRules:",
        '        """What holds for every position."""',
        f"        return PositionRules({', '.join(f'{name}={value!r}' for name, value in rules.items())})", "",
        '    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:',
        '        """The columns and conditions."""',
    ]  # fmt: skip
    lines += [f"        {line}" for line in body.columns.lines]
    lines += [f"        {line}" for line in _signals(body, entry_tags, exit_tags, shorts=shorts)]
    return "\n".join(lines) + "\n"


def _field(name: str, kind: str, default: Any, low: Any, high: Any) -> str:
    bounds = "".join(
        f", {word}={value!r}" for word, value in (("ge", low), ("le", high)) if kind != "bool" and value is not None
    )
    return f'    {name}: {kind} = Field({default!r}{bounds}, description="Parameter {name}, taken over.")'


def _tags(body: _Body, kind: str, *, shorts: bool) -> list[str]:
    sides = ("long", "short") if shorts else ("long",)
    tags = [tag for side in sides for _, tag in body.signals[f"{kind} {side}"]]
    return list(dict.fromkeys(tags)) or ["entry" if kind == "entry" else "exit signal"]


def _warmup(values: dict[str, Any], body: _Body) -> str:
    said = values.get("startup_candle_count")
    parts = [part if part.isdigit() else f"int({part})" for part in body.columns.periods]
    whole = " + ".join(["1", *parts])
    return f"max({int(said)}, {whole})" if isinstance(said, int | float) and said > 0 else whole


def _signals(body: _Body, entry_tags: list[str], exit_tags: list[str], *, shorts: bool) -> list[str]:
    """The lines that turn conditions into signals; as theirs, contradicting ones of one bar enter nothing."""
    sides = ("long", "short") if shorts else ("long",)
    lines = ["entry_tag = np.zeros(len(bars))", "exit_tag = np.zeros(len(bars))"]
    for kind, tags in (("entry", entry_tags), ("exit", exit_tags)):
        for side in sides:
            flags = f"{'enter' if kind == 'entry' else 'leave'}_{side}"
            lines.append(f"{flags} = np.zeros(len(bars), dtype=bool)")
            for text, tag in body.signals[f"{kind} {side}"]:
                lines += [f"met = {text}", f"{flags} |= met"]
                lines += [f"{kind}_tag = np.where(met, {tags.index(tag)}.0, {kind}_tag)"]
    if shorts:
        lines.append("longs = enter_long & ~leave_long & ~enter_short")
        lines.append("shorts = enter_short & ~leave_short & ~enter_long")
        lines.append("entry = np.where(longs, 1.0, np.where(shorts, -1.0, 0.0))")
    else:
        lines.append("entry = np.where(enter_long & ~leave_long, 1.0, 0.0)")
    found = ['"entry": entry', '"entry_tag": entry_tag', '"exit_tag": exit_tag']
    found += [f'"exit_{side}": leave_{side}.astype(float)' for side in sides]
    return [*lines, f"return {{{', '.join(found)}}}"]
