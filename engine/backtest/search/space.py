"""Where parameters are looked for: values on axes for a grid, ranges for an optimiser, and what of it is possible."""

from __future__ import annotations

import itertools
import math
import random
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

import msgspec

from engine.errors import ConfigurationError, ValidationError
from engine.strategy.params import describe_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.strategy.contract import StrategyBase
    from engine.strategy.params import ParamSpec

__all__ = [
    "MOST_CANDIDATES",
    "Axis",
    "Candidates",
    "LeftOut",
    "Range",
    "Value",
    "candidates",
    "parse_axis",
    "ranges_for",
]

Value = bool | int | float | str
MOST_CANDIDATES = 50_000
"""Most sets of parameters of one sweep; a larger grid is drawn from with `random`."""
MOST_VALUES = 10_000
LOG_FROM = 50.0
"""A range whose end is so many times its beginning is searched on a logarithmic scale."""
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one parameter, each once, in the order given."""

    name: str
    values: tuple[Value, ...]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Where an optimiser may look for one parameter: numbers from `low` to `high`, or one of `choices`."""

    name: str
    whole: bool = False
    """Whole numbers only."""
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def words(self) -> str:
        """The range as a person writes it."""
        if self.choices:
            return ",".join(str(choice) for choice in self.choices)
        return f"{self.low:g}:{self.high:g}" + (f":{self.step:g}" if self.step else "")

    def at(self, share: float) -> Value:
        """The value so far along the range, 0 to just below 1; every whole number or step gets an equal share."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        step = self.step or (1.0 if self.whole else None)
        if self.log:
            low, high = math.log(self.low), math.log(self.high + (1.0 if self.whole else 0.0))
            value = math.exp(low + share * (high - low))
            return min(int(value), int(self.high)) if self.whole else min(value, self.high)
        if step:
            count = math.floor((self.high - self.low) / step + 1e-9) + 1
            value = float(Decimal(repr(self.low)) + Decimal(repr(step)) * min(int(share * count), count - 1))
            return round(value) if self.whole else value
        return self.low + share * (self.high - self.low)


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A combination that the strategy's own rules refuse, and why."""

    params: dict[str, Value]
    reason: str


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep runs."""

    sets: tuple[dict[str, Value], ...]
    """Values of the varied parameters."""
    left_out: tuple[LeftOut, ...]
    of: int
    """Combinations of the whole grid."""


# --- reading what a person writes ------------------------------------------------------------------------------------


def _spec_of(cls: type[StrategyBase], name: str) -> ParamSpec:
    specs = {spec.name: spec for spec in describe_params(cls)}
    if name not in specs:
        # Says which there are, and which is near.
        parse_params(cls, {name: 0})
    return specs[name]


def _number(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValidationError(f"{name}: {text!r} is no number; write 5:50:5 (from, to, step) or 60,80,100.")
    return value


def _value(spec: ParamSpec, text: str) -> Value:
    text = text.strip()
    if spec.type == "bool":
        if text.lower() not in _WORDS:
            raise ValidationError(f"{spec.name} is true or false, not {text!r}.")
        return _WORDS[text.lower()]
    if spec.type in ("choice", "text"):
        return text
    number = _number(text, spec.name)
    if spec.type == "float":
        return float(number)
    if number != number.to_integral_value():
        raise ValidationError(f"{spec.name} takes whole numbers, not {text}.")
    return int(number)


def parse_axis(cls: type[StrategyBase], name: str, text: str) -> Axis:
    """The values of one parameter.

    Args:
        cls: The strategy.
        name: The parameter.
        text: `from:to:step`, both ends included, or values with commas between them.

    Raises:
        ConfigurationError: The strategy has no such parameter; the nearest is named.
        ValidationError: The text cannot be read.
    """
    spec = _spec_of(cls, name)
    if ":" not in text or spec.type not in ("int", "float"):
        values = [_value(spec, part) for part in text.split(",") if part.strip()]
    else:
        parts = text.split(":")
        if len(parts) != 3:
            raise ValidationError(f"{name}: write from:to:step, such as 5:50:5, not {text!r}.")
        low, high, step = (_number(part, name) for part in parts)
        if step <= 0 or high < low:
            raise ValidationError(
                f"{name}: {text} holds no values; the step is above 0 and the end not below the start."
            )
        count = int((high - low) / step) + 1
        if count > MOST_VALUES:
            raise ValidationError(
                f"{name}: {text} are {count:,} values; choose a larger step ({MOST_VALUES:,} at most)."
            )
        values = [_value(spec, str(low + step * number)) for number in range(count)]
    if not values:
        raise ValidationError(f"{name} needs at least one value, such as 5:50:5 or 60,80,100.")
    return Axis(name=name, values=tuple(dict.fromkeys(values)))


def _range(spec: ParamSpec, text: str) -> Range:
    whole = spec.type == "int"
    if spec.type not in ("int", "float") or ":" not in text:
        choices = tuple(dict.fromkeys(_value(spec, part) for part in text.split(",") if part.strip()))
        if not choices:
            raise ValidationError(f"{spec.name} needs a range, such as 5:50, or values, such as 10,20,30.")
        return Range(name=spec.name, choices=choices)
    parts = [float(_number(part, spec.name)) for part in text.split(":")]
    low, high = parts[0], parts[1]
    step = parts[2] if len(parts) == 3 else None
    if len(parts) > 3 or low >= high or (step is not None and step <= 0):
        raise ValidationError(f"{spec.name}: write from:to or from:to:step with from below to, not {text!r}.")
    if whole and any(part != int(part) for part in parts):
        raise ValidationError(f"{spec.name} takes whole numbers, not {text}.")
    return Range(name=spec.name, whole=whole, low=low, high=high, step=step, log=step is None and _wide(low, high))


def _wide(low: float, high: float) -> bool:
    return low > 0 and high / low >= LOG_FROM


def _own_range(spec: ParamSpec) -> Range | None:
    """The range that a parameter's declared bounds allow; None where they leave it open."""
    if spec.type == "bool":
        return Range(name=spec.name, choices=(False, True))
    if spec.type == "choice" and len(spec.choices) > 1:
        return Range(name=spec.name, choices=spec.choices)
    if spec.type not in ("int", "float") or spec.minimum is None or spec.maximum is None:
        return None
    low, high = float(spec.minimum), float(spec.maximum)
    whole = spec.type == "int"
    # An open end is left by one whole number, or by a thousandth of the range.
    edge = 1.0 if whole else (high - low) / 1000
    low += edge * spec.exclusive_minimum
    high -= edge * spec.exclusive_maximum
    return Range(name=spec.name, whole=whole, low=low, high=high, log=_wide(low, high)) if low < high else None


def ranges_for(cls: type[StrategyBase], asked: Mapping[str, str], fixed: Sequence[str] = ()) -> tuple[Range, ...]:
    """Where to look: what was asked, or else everything of the strategy's own that its bounds limit.

    Args:
        cls: The strategy.
        asked: Ranges by parameter as a person writes them; empty for all that can be searched.
        fixed: Parameters that are given and therefore not searched.

    Raises:
        ConfigurationError: The strategy has no such parameter.
        ValidationError: A range cannot be read, or there is nothing to search.
    """
    if asked:
        both = sorted(set(asked) & set(fixed))
        if both:
            raise ValidationError(f"{', '.join(both)}: give either a value or a range, not both.")
        return tuple(_range(_spec_of(cls, name), text) for name, text in asked.items())
    specs = [spec for spec in describe_params(cls) if spec.own and spec.name not in fixed]
    found = tuple(found for found in map(_own_range, specs) if found is not None)
    if not found:
        raise ValidationError(
            f"The strategy {cls.name} has no parameter with bounds of its own; give ranges to search."
        )
    return found


# --- what is possible ------------------------------------------------------------------------------------------------


def refusal(cls: type[StrategyBase], fixed: Mapping[str, Any], varied: Mapping[str, Value]) -> str:
    """Why the strategy refuses these parameters; empty when it takes them."""
    try:
        parse_params(cls, {**fixed, **varied})
    except ConfigurationError as error:
        faults = cast("Mapping[str, str]", error.details["faults"])
        return "; ".join(text if name == "together" else f"{name} {text}" for name, text in faults.items())
    return ""


def candidates(
    cls: type[StrategyBase], fixed: Mapping[str, Any], axes: Sequence[Axis], draw: int | None = None, seed: int = 42
) -> Candidates:
    """All combinations of the axes that the strategy takes, or so many drawn from them.

    Args:
        cls: The strategy.
        fixed: Its other parameters.
        axes: What varies.
        draw: How many possible ones to draw without repetition; None for all.
        seed: Seed of the draw.

    Raises:
        ValidationError: There are too many, or not one is possible.
    """
    total = math.prod(len(axis.values) for axis in axes)
    if draw is None and total > MOST_CANDIDATES:
        raise ValidationError(
            f"The grid has {total:,} combinations and a sweep at most {MOST_CANDIDATES:,}; use larger steps, or draw "
            "some of them with --random."
        )
    found: list[dict[str, Value]] = []
    left_out: list[LeftOut] = []
    for values in _combinations(axes, total, draw, seed):
        varied = dict(zip((axis.name for axis in axes), values, strict=True))
        reason = refusal(cls, fixed, varied)
        if reason:
            left_out.append(LeftOut(params=varied, reason=reason))
        else:
            found.append(varied)
        if draw is not None and len(found) == draw:
            break
    if not found:
        first = left_out[0].reason if left_out else "there are none"
        raise ValidationError(f"The strategy {cls.name} takes none of the {total:,} combinations: {first}.")
    return Candidates(sets=tuple(found), left_out=tuple(left_out), of=total)


def _combinations(axes: Sequence[Axis], total: int, draw: int | None, seed: int) -> Iterator[tuple[Value, ...]]:
    if draw is None:
        yield from itertools.product(*(axis.values for axis in axes))
        return
    rng, seen = random.Random(seed), set[int]()
    # Impossible ones are drawn too; twenty for each wanted one is enough to tell that hardly any is possible.
    tries = min(total, 20 * draw)
    numbers = rng.sample(range(total), tries) if total < 10_000_000 else (rng.randrange(total) for _ in range(tries))
    for number in numbers:
        if number in seen:
            continue
        seen.add(number)
        values: list[Value] = []
        for axis in reversed(axes):
            number, index = divmod(number, len(axis.values))
            values.append(axis.values[index])
        yield tuple(reversed(values))
