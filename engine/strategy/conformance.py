"""What every strategy must keep to, as checks in plain words: for the built-in ones and for a person's own file.

Each check takes a `Case` (a strategy, parameters, a history) and raises StrategyError that says what is wrong and what
to do. `run_checks` asks them all, whatever becomes of one, and reports.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from engine.errors import ConfigurationError, StrategyError
from engine.model.candle import Bars
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.strategy.contract import Holding, Strategy
from engine.strategy.faults import THEIR_FAULTS, cause_text
from engine.strategy.params import ParamSpec, describe_params
from engine.strategy.practice import INSTRUMENT, Book, drive_batch, drive_live, walk_bars
from engine.strategy.runner import StrategyRunner
from engine.strategy.signals import LEVEL_COLUMNS, SIGNAL_COLUMNS, SignalStrategy
from engine.strategy.toolkit import Toolkit

if TYPE_CHECKING:
    from engine.model.candle import FloatArray
    from engine.strategy.loader import LoadedStrategy

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "CheckResult",
    "beyond",
    "bounds",
    "foreign_imports",
    "run_checks",
    "same_bits",
]

ALLOWED_IMPORTS = {
    "__future__", "collections", "dataclasses", "enum", "functools", "itertools", "math", "msgspec", "numpy",
    "operator", "pydantic", "statistics", "typing",
}  # fmt: skip
"""Beside the contract and the nouns; so a strategy's file does no input or output and needs nothing installed."""
RESTARTS = 40
"""Bars at which a restart is tried."""
CUTS = 8
"""Bars at which the future is changed."""


@dataclass(frozen=True)
class Case:
    """A strategy with parameters on a history.

    Attributes:
        loaded: The strategy.
        bars: The history.
        values: Parameters that differ from the defaults.
    """

    loaded: LoadedStrategy
    bars: Bars
    values: Mapping[str, object] = field(default_factory=dict)

    def make(self, **changes: object) -> Strategy:
        """An instance with the case's parameters, and those changed."""
        return self.loaded.build({**self.values, **changes})

    @property
    def timeframe(self) -> str:
        """Of the history."""
        return self.bars.timeframe

    def runner(self, **changes: object) -> StrategyRunner:
        """A new runner of a new instance."""
        return StrategyRunner(self.make(**changes), INSTRUMENT, timeframe=self.timeframe)


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one check."""

    check: str
    """What must hold, a sentence."""
    state: Literal["passed", "failed", "note"]
    """`note`: nothing is wrong, and there is something to know."""
    said: str = ""
    """What is wrong and what to do; empty when it passed."""
    history: str = ""
    """On which history; empty where none matters."""


@dataclass(frozen=True)
class Check:
    """One thing to hold."""

    words: str
    """What must hold, a sentence."""
    run: Callable[[Case], None]
    once: bool = False
    """Whether it does not depend on the history."""


# --- columns ---------------------------------------------------------------------------------------------------------


def _values(bars: Bars) -> tuple[FloatArray, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume


def same_bits(whole: Mapping[str, FloatArray], other: Mapping[str, FloatArray], rows: int) -> str:
    """Name of the first column that differs within the first rows, NaN counting as a value; empty when none does."""
    if whole.keys() != other.keys():
        return ", ".join(sorted(whole.keys() ^ other.keys()))
    for name, column in whole.items():
        if np.asarray(column)[:rows].tobytes() != np.asarray(other[name])[:rows].tobytes():
            return name
    return ""


def no_column_looks_ahead(case: Case) -> None:
    """Change the future at several bars: no value before them may change."""
    bars = case.bars
    whole = case.make().columns(bars, Toolkit())
    other = walk_bars(11, len(bars), bars.timeframe, start=int(bars.ts[0]))
    for cut in np.random.default_rng(1).integers(1, len(bars), CUTS).tolist():
        later = other.ts > bars.ts[cut - 1]
        future = zip(_values(bars), _values(other), strict=True)
        mixed = Bars(
            bars.timeframe,
            np.concatenate((bars.ts[:cut], other.ts[later])),
            *(np.concatenate((past[:cut], column[later] * 3.0)) for past, column in future),
        )
        changed = same_bits(whole, case.make().columns(mixed, Toolkit()), cut)
        if changed:
            raise StrategyError(
                f"The column {changed} changes when only later bars change (bar {cut}): it looks into the future. Use "
                "the functions of `ta` for every look at other bars, and never a negative shift."
            )


def columns_do_not_depend_on_chunks(case: Case) -> None:
    """Compute the columns in pieces, as a running bot does: every number must be the same."""
    bars, strategy, rng = case.bars, case.make(), np.random.default_rng(2)
    whole = case.make().columns(bars, Toolkit())
    for pieces in (1, 5, 60):
        cuts = [0, *sorted(rng.integers(0, len(bars) + 1, pieces).tolist()), len(bars)]
        parts: list[dict[str, FloatArray]] = []
        carry: dict[str, FloatArray] = {}
        for start, stop in pairwise(cuts):
            ta = Toolkit(carry)
            parts.append(strategy.columns(bars.slice(start, stop), ta))
            carry = ta.carry
        joined = {name: np.concatenate([part[name] for part in parts]) for name in whole}
        changed = same_bits(whole, joined, len(bars))
        if changed:
            raise StrategyError(
                f"The column {changed} has other values when the bars come in pieces, as they do live. It looks back "
                "by other means than `ta` (a shift, a cumulative sum, a mean of the whole array); use `ta` for that."
            )


def columns_are_known_after_warm_up(case: Case) -> None:
    """After `warmup` bars no column may be unknown."""
    strategy = case.make()
    warmup = strategy.warmup(case.timeframe)
    columns = strategy.columns(walk_bars(13, warmup + 50, case.timeframe), Toolkit())
    # A distance of no number means that there is none at that bar.
    may_be_none = LEVEL_COLUMNS if isinstance(strategy, SignalStrategy) else ()
    unknown = [
        name
        for name, column in columns.items()
        if name not in may_be_none and not np.isfinite(np.asarray(column)[warmup - 1 :]).all()
    ]
    if unknown:
        raise StrategyError(
            f"After the {warmup} bars that warmup() asks for, {', '.join(unknown)} is not known yet. Return a larger "
            "number from warmup(): the longest period of the indicators, added up where one is computed from another."
        )


def columns_hold_what_they_may(case: Case) -> None:
    """The columns that have a meaning for every signal strategy hold values that have one."""
    strategy = case.make()
    if not isinstance(strategy, SignalStrategy):
        return
    bars = case.bars
    columns = strategy.columns(bars, Toolkit())
    entry = np.nan_to_num(columns["entry"])
    if not set(np.unique(entry)) <= {-1.0, 0.0, 1.0}:
        raise StrategyError("The column entry holds other values than 1 (long), -1 (short) and 0.")
    bounds = {"confidence": 1.0, "size": 1.0, "entry_tag": float(len(strategy.entry_tags) - 1)}
    for name, high in bounds.items():
        values = columns.get(name, np.full(len(bars), SIGNAL_COLUMNS[name]))[entry != 0]
        if not ((values >= 0.0) & (values <= high)).all():
            raise StrategyError(f"Where it enters, the column {name} holds values outside 0 to {high:g}.")
    tags = columns.get("exit_tag", np.zeros(len(bars)))
    for name in ("exit_long", "exit_short"):
        left = columns.get(name, np.zeros(len(bars))) > 0
        if not ((tags[left] >= 0) & (tags[left] < len(strategy.exit_tags))).all():
            raise StrategyError("The column exit_tag holds a number that exit_tags has no name for.")


# --- signals ---------------------------------------------------------------------------------------------------------


def _first_difference(first: Sequence[Signal], second: Sequence[Signal]) -> str:
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return f"signal {index + 1} is `{_words(a)}` in one and `{_words(b)}` in the other"
    return f"there are {len(first)} signals in one and {len(second)} in the other"


def _words(signal: Signal) -> str:
    when = np.datetime64(signal.ts, "ns").astype("datetime64[m]")
    return f"{signal.action} {signal.direction} at {when}: {signal.reason}"


def _refuse_difference(first: Sequence[Signal], second: Sequence[Signal], why: str) -> None:
    if list(first) != list(second):
        raise StrategyError(
            f"{_first_difference(first, second)[:1].upper()}{_first_difference(first, second)[1:]}. {why}"
        )


def bulk_equals_live(case: Case) -> None:
    """A backtest and a running bot must get the same signals."""
    _refuse_difference(
        drive_batch(case.make, case.bars),
        drive_live(case.make, case.bars),
        "A backtest would not show what the bot does: keep what decide() remembers in `memory`, not on `self`, and let "
        "it depend on its row, the memory and the holding alone.",
    )


def sleeping_rows_change_nothing(case: Case) -> None:
    """Asking at rows where `wake` is 0 must give nothing."""
    _refuse_difference(
        drive_batch(case.make, case.bars),
        drive_batch(case.make, case.bars, every_row=True),
        "The column `wake` is 0 at a bar where decide() does something while flat; make it 1 there, or leave it out.",
    )


def restarts_change_nothing(case: Case) -> None:
    """Save and restore at random bars: the same signals must come."""
    restarts = set(np.random.default_rng(3).integers(0, len(case.bars), RESTARTS).tolist())
    _refuse_difference(
        drive_batch(case.make, case.bars),
        drive_live(case.make, case.bars, restart_at=restarts),
        "After a restart it goes on differently: everything it remembers belongs into its `Memory`.",
    )


def two_runs_are_the_same(case: Case) -> None:
    """Nothing may be random, or left over from a former run."""
    _refuse_difference(
        drive_batch(case.make, case.bars),
        drive_batch(case.make, case.bars),
        "Two runs on the same bars differ: it uses chance, a clock, or something that outlives the run.",
    )


def silent_while_warming_up(case: Case) -> None:
    """No signal before the warm-up is over."""
    warmup = case.make().warmup(case.timeframe)
    if drive_live(case.make, case.bars.slice(0, warmup - 1)):
        raise StrategyError("A signal comes before the warm-up is over.")


def _entries(case: Case, threshold: float) -> list[Signal]:
    signals = drive_batch(lambda: case.make(min_confidence=threshold), case.bars)
    return [signal for signal in signals if signal.action is SignalAction.ENTER]


def threshold_is_applied(case: Case) -> None:
    """Entries below `min_confidence` must be dropped."""
    everything = _entries(case, 0.0)
    if not everything:
        return
    threshold = min(float(np.median([signal.confidence for signal in everything])) + 0.01, 1.0)
    if any(signal.confidence < threshold for signal in _entries(case, threshold)):
        raise StrategyError(f"An entry below the confidence {threshold:.2f} is not dropped.")


def exits_trade_against_the_position(case: Case) -> None:
    """An exit must sell a long and buy a short back."""
    book, batch = Book(), case.runner().prepare(case.bars)
    bars = case.bars
    for index in range(len(bars)):
        book.bar(float(bars.open[index]), float(bars.high[index]), float(bars.low[index]))
        signal = batch.signal(index, book.holding())
        if signal is None:
            continue
        if signal.action is SignalAction.EXIT:
            wanted = SignalDirection.SELL if book.quantity > 0 else SignalDirection.BUY
            if signal.direction is not wanted:
                raise StrategyError(f"An exit trades with the position: {_words(signal)}.")
        book.take(signal)


# --- bad data --------------------------------------------------------------------------------------------------------


def no_bars_give_no_signals(case: Case) -> None:
    """Empty bars must give nothing, at the beginning and later."""
    runner = case.runner()
    nothing = case.bars.slice(0, 0)
    early = runner.on_bars(nothing, Holding())
    runner.warm_up(case.bars.slice(0, 200))
    if early or runner.on_bars(nothing, Holding()) or case.runner().prepare(nothing).wake:
        raise StrategyError("It gives signals without a bar.")


def impossible_bars_are_left_out(case: Case) -> None:
    """Bars that cannot be must change nothing."""
    bars = case.bars
    broken, rows = _broken(bars)
    good = np.setdiff1d(np.arange(len(bars)), rows)
    clean = Bars(bars.timeframe, bars.ts[good], *(column[good] for column in _values(bars)))
    runner = case.runner()
    found = [signal for i in range(len(bars)) for signal in runner.on_bars(broken.slice(i, i + 1), Holding())]
    _refuse_difference(
        found, case.runner().on_bars(clean, Holding()), "A bar with impossible values changes something."
    )
    if runner.broken != len(rows):
        raise StrategyError(f"{len(rows)} impossible bars were fed, {runner.broken} were left out.")


def _broken(bars: Bars) -> tuple[Bars, list[int]]:
    """The bars with some made impossible, each in another way, and which."""
    fields: dict[str, Any] = {"ts": bars.ts.copy()}
    fields |= {name: column.copy() for name, column in zip(("o", "h", "l", "c", "v"), _values(bars), strict=True)}
    rows = list(range(150, len(bars), 97))
    for count, row in enumerate(rows):
        match count % 7:
            case 0:
                fields["c"][row] = np.nan
            case 1:
                fields["h"][row] = fields["l"][row] / 2
            case 2:
                fields["l"][row] = -1.0
            case 3:
                fields["v"][row] = -5.0
            case 4:
                fields["o"][row] = np.inf
            case 5:
                fields["l"][row] = fields["o"][row] = fields["c"][row] = 0.0
            case _:
                fields["v"][row] = np.nan
    return Bars(bars.timeframe, *fields.values()), rows


def a_market_at_rest_is_left_alone(case: Case) -> None:
    """A price that never moves, without volume, gives no reason to trade."""
    bars = walk_bars(1, 1000, case.timeframe)
    flat = np.full(len(bars), 100.0)
    still = Bars(bars.timeframe, bars.ts, flat, flat, flat, flat, np.zeros(len(bars)))
    signals = drive_batch(case.make, still, every_row=True)
    if signals:
        raise StrategyError(
            f"It trades in a market that stands still, as after an outage: `{_words(signals[0])}`. Ask for a movement "
            "or some volume before an entry."
        )


# --- parameters and source -------------------------------------------------------------------------------------------


def values_out_of_bounds_are_refused(case: Case) -> None:
    """What lies outside the declared bounds must not be taken."""
    for spec in describe_params(case.loaded.cls):
        for value in beyond(spec):
            _must_refuse(case, spec.name, value)
    _must_refuse(case, "no_such_parameter", 1)


def _must_refuse(case: Case, name: str, value: object) -> None:
    try:
        case.loaded.build({name: value})
    except ConfigurationError as error:
        if name in error.message:
            return
        raise StrategyError(f"{name}={value!r} is refused without saying which parameter is wrong.") from error
    raise StrategyError(f"{name}={value!r} is taken although it is out of bounds.")


def it_runs_at_every_bound(case: Case) -> None:
    """The outermost values that are allowed must work."""
    bars = walk_bars(19, 400, case.timeframe)
    for spec in describe_params(case.loaded.cls):
        for value in bounds(spec):
            try:
                strategy = case.loaded.build({spec.name: value})
            except ConfigurationError:
                continue  # the bound of one parameter may contradict the default of another
            try:
                drive_batch(lambda strategy=strategy: strategy, bars)  # type: ignore[misc]
            except StrategyError as error:
                raise StrategyError(
                    f"With {spec.name}={value} it fails: {error.message} Narrow the parameter's bounds, or allow it."
                ) from error


def every_parameter_is_explained(case: Case) -> None:
    """Forms and documents show what a parameter is."""
    unexplained = [spec.name for spec in describe_params(case.loaded.cls) if not spec.help.endswith(".")]
    if unexplained:
        raise StrategyError(
            f"Without a sentence that says what they are: {', '.join(unexplained)}. Give each a `description` that "
            "ends in a full stop."
        )


def foreign_imports(path: str) -> set[str]:
    """Modules that a strategy's file imports and may not."""
    names = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    foreign = {name for name in names if name.partition(".")[0] not in ALLOWED_IMPORTS}
    return {name for name in foreign if not f"{name}.".startswith(("engine.model.", "engine.strategy."))}


def it_imports_the_contract_alone(case: Case) -> None:
    """A strategy needs the contract, the nouns, numpy, pydantic and small parts of the standard library."""
    foreign = foreign_imports(case.loaded.path)
    if foreign:
        raise StrategyError(
            f"It imports {', '.join(sorted(foreign))}. A strategy does no input or output and needs no more than "
            f"engine.strategy, engine.model and {', '.join(sorted(ALLOWED_IMPORTS - {'__future__'}))}."
        )


def memory_survives_being_saved(case: Case) -> None:
    """What is remembered must be the same after a save and a restore."""
    runner = case.runner()
    runner.on_bars(case.bars.slice(0, 300), Holding())
    other = case.runner()
    other.restore(runner.save())
    if other.memory != runner.memory or other.save() != runner.save():
        raise StrategyError("Its memory is not the same after it was saved and taken up; use plain fields in `Memory`.")


def beyond(spec: ParamSpec) -> list[object]:
    """Values that must be refused."""
    values: list[object] = ["north"] if spec.type in {"int", "float", "bool", "choice"} else []
    if spec.minimum is not None:
        values.append(spec.minimum if spec.exclusive_minimum else spec.minimum - 1)
    if spec.maximum is not None:
        values.append(spec.maximum if spec.exclusive_maximum else spec.maximum + 1)
    return [*values, float("nan")] if spec.type == "float" else values


def bounds(spec: ParamSpec) -> list[object]:
    """The outermost values that must be accepted."""
    low = [] if spec.minimum is None or spec.exclusive_minimum else [spec.minimum]
    high = [] if spec.maximum is None or spec.exclusive_maximum else [spec.maximum]
    return [*low, *high, *spec.choices, *([True, False] if spec.type == "bool" else [])]


# --- all of them -----------------------------------------------------------------------------------------------------

CHECKS: tuple[Check, ...] = (
    Check("It imports the contract and the nouns alone.", it_imports_the_contract_alone, once=True),
    Check("Every parameter is explained.", every_parameter_is_explained, once=True),
    Check("Values out of bounds are refused.", values_out_of_bounds_are_refused, once=True),
    Check("It runs at every bound of its parameters.", it_runs_at_every_bound, once=True),
    Check("All columns are known once it has warmed up.", columns_are_known_after_warm_up, once=True),
    Check("A market at rest is left alone.", a_market_at_rest_is_left_alone, once=True),
    Check("No column changes with what comes later.", no_column_looks_ahead),
    Check("Columns do not depend on how the history was cut.", columns_do_not_depend_on_chunks),
    Check("Columns that have a meaning hold what may stand in them.", columns_hold_what_they_may),
    Check("The same signals come in bulk and bar by bar.", bulk_equals_live),
    Check("Bars it says it sleeps at change nothing.", sleeping_rows_change_nothing),
    Check("A restart at any bar changes nothing.", restarts_change_nothing),
    Check("Two runs are the same.", two_runs_are_the_same),
    Check("It is silent while it warms up.", silent_while_warming_up),
    Check("Signals below the threshold are dropped.", threshold_is_applied),
    Check("An exit trades against the position.", exits_trade_against_the_position),
    Check("No bars give no signals.", no_bars_give_no_signals),
    Check("Impossible bars are left out.", impossible_bars_are_left_out),
    Check("Its memory survives being saved.", memory_survives_being_saved),
)
"""What must hold for every strategy that decides on bars."""

TRADES = "It trades."
Told = Callable[[float, str], None]


def run_checks(
    loaded: LoadedStrategy,
    histories: Mapping[str, Bars],
    values: Mapping[str, object] | None = None,
    tell: Told = lambda share, words: None,
) -> list[CheckResult]:
    """Ask every check on every history; one that fails does not hold up the others.

    Args:
        loaded: The strategy.
        histories: Bars by a name for a person; one at least.
        values: Parameters that differ from the defaults.
        tell: Hears the share done and what is next.

    Returns:
        A result a check and history, in the order of `CHECKS`, and at the end whether it trades at all.
    """
    names = list(histories)
    planned = [(check, name) for check in CHECKS for name in (names[:1] if check.once else names)]
    results = []
    for number, (check, name) in enumerate(planned):
        tell(number / len(planned), check.words.rstrip("."))
        case = Case(loaded, histories[name], values or {})
        said = _what_is_wrong(check.run, case)
        shown = "" if check.once else name
        results.append(CheckResult(check=check.words, state="failed" if said else "passed", said=said, history=shown))
    results.extend(_whether_it_trades(loaded, histories, values or {}))
    return results


def _what_is_wrong(check: Callable[[Case], None], case: Case) -> str:
    try:
        check(case)
    except (StrategyError, ConfigurationError) as error:
        return error.message
    except THEIR_FAULTS as error:  # a strategy's own code may raise anything
        return f"It fails: {cause_text(error).rstrip('.')}."
    return ""


def _whether_it_trades(
    loaded: LoadedStrategy, histories: Mapping[str, Bars], values: Mapping[str, object]
) -> Iterator[CheckResult]:
    for name, bars in histories.items():
        case = Case(loaded, bars, values)
        try:
            entries = sum(signal.action is SignalAction.ENTER for signal in drive_batch(case.make, bars))
        except (StrategyError, ConfigurationError):
            continue  # what is wrong has been said
        said = f"{entries} entr{'y' if entries == 1 else 'ies'} in {len(bars):,} bars."
        if not entries:
            said = f"No entry in {len(bars):,} bars; look at its conditions, or check it on another market."
        yield CheckResult(check=TRADES, state="passed" if entries else "note", said=said, history=name)
