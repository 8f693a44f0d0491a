"""From an operation's request to the options and arguments of its command, and from what was typed to the request."""

from __future__ import annotations

import enum
import types
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, get_args, get_origin

import click

from console.offline_call import Pair, pairs
from console.operation_shapes import POSITIONAL, PROMPTED, SHORTHANDS, SINGULAR
from engine.control.requests_research import moment
from engine.errors import QuarterdeckError
from engine.model.decimals import parse_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from engine.control.registry import Operation

__all__ = ["faults_of", "options_of", "request_of"]

TIMES = frozenset({"at", "start", "end", "since", "until"})
"""Whole numbers of these names are UTC nanoseconds, which a person writes as a day or an ISO time."""


class AmountType(click.ParamType[str]):
    """An exact decimal; it goes on as it was written."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, once it is a number."""
        try:
            parse_decimal(str(value), "an amount")
        except QuarterdeckError as error:
            self.fail(error.message, param, ctx)
        return str(value)


class MomentType(click.ParamType[int]):
    """A time in UTC: a day, an ISO time, or nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return UTC nanoseconds."""
        try:
            return int(moment(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class _Shape(NamedTuple):
    """What a field holds."""

    kind: Any
    """A plain type, an enumeration, or the choices of a literal."""
    optional: bool


def options_of(entry: Operation) -> list[click.Parameter]:
    """The arguments and options of an operation's command, arguments first, each named as its field."""
    places = POSITIONAL.get(entry.name, ())
    fields = entry.request.model_fields
    found: list[click.Parameter] = [_argument(name, fields[name]) for name in places]
    for short in SHORTHANDS.get(entry.name, ()):
        kind = AmountType() if _shape(fields[short.field]).kind is Decimal else None
        found.append(click.Option([short.option, _short_name(short.option)], type=kind, help=short.help))
    for name, info in fields.items():
        if name not in places and _shape(info).kind is not type(None):
            found.append(_option(name, info, asked=PROMPTED.get(entry.name) == name))
    return found


def request_of(entry: Operation, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were typed, as the operation takes them; what was left out stays the operation's to choose.

    Raises:
        UsageError: One thing was said twice.
    """
    values = {name: value for name, value in typed.items() if value is not None and value != ()}
    for short in SHORTHANDS.get(entry.name, ()):
        said = values.pop(_short_name(short.option), None)
        if said is None:
            continue
        for name, value in {short.field: said, **short.implies}.items():
            if name in values:
                raise click.UsageError(f"{short.option} says {name} already; leave one of them out.")
            values[name] = value
    for name, info in entry.request.model_fields.items():
        if name in values and _shape(info).kind is dict:
            values[name] = pairs(values[name])
    return values


def _short_name(option: str) -> str:
    return "short_" + option.strip("-").replace("-", "_")


def _argument(name: str, info: FieldInfo) -> click.Argument:
    several = _shape(info).kind in (dict, list)
    return click.Argument(
        [name], type=_type(name, info), required=info.is_required(), nargs=-1 if several else 1, metavar=_metavar(name)
    )


def _metavar(name: str) -> str:
    return {"limits": "NAME=VALUE...", "values": "NAME=VALUE...", "client_id": "ID"}.get(name, name.upper())


def _option(name: str, info: FieldInfo, *, asked: bool = False) -> click.Option:
    shape, help_text = _shape(info), _help(info)
    flag = name.replace("_", "-")
    if shape.kind is bool:
        default_off = info.default is False
        spelled = f"--{flag}" if default_off else f"--{flag}/--no-{flag}"
        return click.Option([spelled, name], is_flag=True, default=None, help=help_text)
    if shape.kind is dict or shape.kind is list:
        flag = SINGULAR.get(name, flag)
        return click.Option([f"--{flag}", name], type=_type(name, info), multiple=True, help=f"{help_text} Repeatable.")
    required = info.is_required() and not asked
    help_text += " Asked for when it is left out." if asked else ""
    return click.Option([f"--{flag}", name], type=_type(name, info), required=required, help=help_text)


def _help(info: FieldInfo) -> str:
    text = info.description or ""
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    if default is None or default is False or default in ((), {}, [], ""):
        return text
    return f"{text}  [default: {'yes' if default is True else default}]"


def _shape(info: FieldInfo) -> _Shape:
    kind, optional = info.annotation, False
    if get_origin(kind) in (Union, types.UnionType):
        inner = [part for part in get_args(kind) if part is not type(None)]
        optional = len(inner) < len(get_args(kind))
        kind = inner[0] if len(inner) == 1 else str
    return _Shape(get_origin(kind) if get_origin(kind) in (dict, list, tuple) else kind, optional)


def _type(name: str, info: FieldInfo) -> click.ParamType[Any]:
    kind = _shape(info).kind
    if kind is dict:
        return Pair()
    if kind is Decimal:
        return AmountType()
    if get_origin(kind) is Literal:
        return click.Choice([str(choice) for choice in get_args(kind)])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return click.Choice([str(choice.value) for choice in kind], case_sensitive=False)
    if kind is int and name in TIMES:
        return MomentType()
    if kind is int:
        low, high = _bounds(info)
        return click.IntRange(None if low is None else int(low), None if high is None else int(high))
    if kind is float:
        return click.FloatRange(*_bounds(info))
    return click.STRING


def _bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    low: Any = None
    high: Any = None
    for rule in info.metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
    return low, high


def faults_of(model: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    """What is wrong with these values, a line each; empty when they fit."""
    from pydantic import ValidationError

    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [f"{'.'.join(map(str, f['loc'])) or 'request'}: {f['msg'].removeprefix('Value error, ')}" for f in found]
    return []
