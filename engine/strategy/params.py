"""Parameters of strategies: read from plain values, described for forms, options and documents, and hashed."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from pydantic import ValidationError as PydanticError

from engine.errors import ConfigurationError, ValidationError
from engine.strategy.faults import source_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from engine.strategy.contract import StrategyBase, StrategyParams

__all__ = ["ParamSpec", "ParamValue", "describe_params", "params_hash", "parse_params", "strategy_hash"]

ParamType = Literal["int", "float", "bool", "text", "choice"]
ParamValue = int | float | str | bool | None


class ParamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter as forms, command line options and documents show it."""

    name: str
    type: ParamType
    default: ParamValue
    """None only where the parameter may be left empty."""
    minimum: float | None = None
    """Smallest value; None where there is no bound."""
    maximum: float | None = None
    """Largest value; None where there is no bound."""
    exclusive_minimum: bool = False
    """True when the value must be above `minimum`, not at it."""
    exclusive_maximum: bool = False
    choices: tuple[str, ...] = ()
    """The allowed values of a choice, in the order declared."""
    optional: bool = False
    """True when None is allowed."""
    help: str = ""
    own: bool = True
    """False for the parameters that every strategy has."""

    @property
    def bounds(self) -> str:
        """The allowed values in words, such as `2 to 500`; empty where anything goes."""
        if self.choices:
            return ", ".join(self.choices)
        low = None if self.minimum is None else f"{'above ' if self.exclusive_minimum else ''}{self.minimum:g}"
        high = None if self.maximum is None else f"{'below ' if self.exclusive_maximum else ''}{self.maximum:g}"
        if low and high:
            return f"{low} to {high}"
        if low:
            return low if self.exclusive_minimum else f"{low} or more"
        return "" if high is None else high if self.exclusive_maximum else f"{high} or less"


def parse_params(cls: type[StrategyBase], values: Mapping[str, object]) -> StrategyParams:
    """Turn plain values (numbers, or texts as from a command line) into a strategy's parameters.

    Raises:
        ConfigurationError: A value is unknown, of the wrong type or out of bounds. All faults are listed in the message
            and, by parameter, in `details["faults"]`.
    """
    # pydantic takes true for 1; a person who writes it has mixed up two parameters.
    faults = {
        name: f"must be a number, got {str(values[name]).lower()}"
        for name, field in cls.Params.model_fields.items()
        if isinstance(values.get(name), bool) and field.annotation in {int, float}
    }
    try:
        params = cls.Params.model_validate(dict(values))
    except PydanticError as error:
        for detail in error.errors(include_url=False):
            name = ".".join(str(part) for part in detail["loc"]) or "together"
            faults.setdefault(name, _fault(detail, cls.Params.model_fields))
    except ValidationError as error:  # raised by a strategy's own check, such as that of a timeframe
        faults["together"] = error.message.rstrip(".")
    else:
        if not faults:
            return params
    listed = "; ".join(f"{name} {text}" for name, text in faults.items())
    raise ConfigurationError(
        f"Parameters of the strategy {cls.name} need a correction: {listed}.",
        details={"strategy": cls.name, "faults": faults},
    )


def _fault(detail: ErrorDetails, known: Mapping[str, object]) -> str:
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1, cutoff=0.5)
        return "is not known" + (f" (did you mean {near[0]}?)" if near else f" (there are {', '.join(known)})")
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    if not detail["loc"]:
        return text
    return f"{text[:1].lower()}{text[1:]}, got {detail['input']!r}"


def describe_params(cls: type[StrategyBase]) -> list[ParamSpec]:
    """Describe every parameter of a strategy, its own first, in the order declared."""
    from engine.strategy.contract import StrategyParams

    schema: dict[str, Any] = cls.Params.model_json_schema()
    shared = StrategyParams.model_fields
    specs = [
        _spec(name, entry, schema.get("$defs", {}), own=name not in shared)
        for name, entry in schema["properties"].items()
    ]
    return sorted(specs, key=lambda spec: not spec.own)


def _spec(name: str, entry: dict[str, Any], definitions: dict[str, Any], *, own: bool) -> ParamSpec:
    variants = [_resolved(part, definitions) for part in entry.get("anyOf", [entry])]
    optional = any(part.get("type") == "null" for part in variants)
    facts = next((part for part in variants if part.get("type") != "null"), {})
    choices = tuple(str(choice) for choice in facts.get("enum", ()))
    types: dict[str, ParamType] = {"integer": "int", "number": "float", "boolean": "bool"}
    low, high = facts.get("exclusiveMinimum"), facts.get("exclusiveMaximum")
    return ParamSpec(
        name=name,
        type="choice" if choices else types.get(facts.get("type", ""), "text"),
        default=entry.get("default"),
        minimum=facts.get("minimum", low),
        maximum=facts.get("maximum", high),
        exclusive_minimum=low is not None,
        exclusive_maximum=high is not None,
        choices=choices,
        optional=optional,
        help=entry.get("description", ""),
        own=own,
    )


def _resolved(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """An enumeration's schema stands apart and is referred to."""
    reference = part.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else part


def params_hash(strategy: StrategyBase) -> str:
    """Sixteen hexadecimal digits that stand for a strategy's name, version and every parameter value."""
    facts = {"name": strategy.name, "version": strategy.version, "params": strategy.params.model_dump(mode="json")}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def strategy_hash(cls: type[StrategyBase]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the file that a strategy was written in; empty without a file."""
    file = Path(source_file(cls))
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""
