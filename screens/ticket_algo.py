"""By which algorithm a ticket's order is traded: its fields, what is asked for, and what it is expected to cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.model.order import OrderSide
from screens.algos import ALGO_WORDS
from screens.formats import exact, percent
from screens.order_dialogs import decimal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.views import OrderPreview
    from engine.control.views_execution import EstimateView

__all__ = ["ALGO_FIELDS", "WAYS", "algo_params", "algo_sentence", "estimate_asked", "estimate_words", "fields_of"]

HUNDRED = Decimal(100)
WAYS = [
    ("", "one order", "text"), ("auto", "what fits it", "text"), ("twap", "TWAP: equal slices", "text"),
    ("vwap", "VWAP: as the volume", "text"), ("implementation_shortfall", "shortfall: cost or risk", "text"),
    ("pov", "POV: share of volume", "text"), ("chase", "chase: step by step", "text"),
    ("peg", "peg: best price", "text"), ("iceberg", "iceberg: shows a part", "text"),
]  # fmt: skip
SCHEDULED = ("auto", "twap", "vwap", "implementation_shortfall")


class AlgoField(NamedTuple):
    """A parameter of an algorithm as the ticket asks for it."""

    label: str
    first: str
    """What stands in it at first."""
    example: str
    unit: str
    ways: tuple[str, ...]
    """The algorithms that know it."""


ALGO_FIELDS = {
    "minutes": AlgoField("Over", "30", "30", "min", ("twap", "vwap", "implementation_shortfall")),
    "slices": AlgoField("Slices", "10", "10", "", ("twap", "vwap", "implementation_shortfall")),
    "urgency": AlgoField("Urgency", "0.5", "0 to 1", "", ("auto", "implementation_shortfall")),
    "share": AlgoField("Share", "10%", "10%", "volume", ("vwap", "pov")),
    "every": AlgoField("Every", "5", "5", "s", ("pov", "chase", "peg")),
    "display": AlgoField("Shows", "", "0.01", "", ("iceberg",)),
    "slip": AlgoField("Slip max", "", "0.5% or –", "", tuple(way for way, _, _ in WAYS if way)),
}


LARGEST: dict[str, Decimal | int] = {
    "slices": 1000,
    "urgency": 1,
    "share": 1,
    "slip": Decimal("0.99"),
    "minutes": 10_080,
}
SENT: dict[str, tuple[str, Callable[[Decimal], Any]]] = {
    "minutes": ("duration_s", lambda value: float(value * 60)),
    "slices": ("slices", int),
    "urgency": ("urgency", float),
    "share": ("participation", Decimal),
    "every": ("every_s", float),
    "display": ("display", Decimal),
    "slip": ("max_slippage", Decimal),
}
"""Name of a field -> that of the request, and what is made of its figure."""


def fields_of(way: str) -> list[str]:
    """Names of the fields that an algorithm has."""
    return [name for name, field in ALGO_FIELDS.items() if way in field.ways]


def algo_params(way: str, typed: Callable[[str], str]) -> dict[str, Any] | str:
    """Return the parameters for `algos.start`, or what is still wrong with them.

    Args:
        way: The algorithm.
        typed: Text of a field of `ALGO_FIELDS` by its name.
    """
    found: dict[str, Any] = {"algorithm": way}
    for name in fields_of(way):
        field, text = ALGO_FIELDS[name], typed(name).strip()
        if not text and name in ("slip", "display"):
            continue
        value = decimal_of(text.removesuffix("%"))
        if value is None or (not value and name != "urgency"):
            return f"{field.label}: write a number above zero such as {field.example}."
        value = value / HUNDRED if text.endswith("%") else value
        if name in LARGEST and value > LARGEST[name]:
            return f"{field.label}: write at most {LARGEST[name]}."
        if name == "slices" and value != int(value):
            return "Slices: write a whole number."
        called, made = SENT[name]
        found[called] = made(value)
    return found


def estimate_asked(preview: OrderPreview, params: dict[str, Any]) -> dict[str, Any]:
    """Return what is asked of `orders.estimate` for the order of a preview."""
    asked: dict[str, Any] = {"instrument": preview.instrument, "side": preview.side.value, "quantity": preview.quantity}
    asked |= {name: params[name] for name in ("urgency", "duration_s", "slices") if name in params}
    if params["algorithm"] in SCHEDULED:
        asked["algorithm"] = params["algorithm"]
    return asked


def estimate_words(view: EstimateView, way: str) -> list[str]:
    """Return the expected cost at once and by the algorithm, and where the order would best go."""
    told = "At once: not known yet" if view.estimate is None else f"At once ~{percent(view.estimate.cost, 3)}"
    if way == "auto":
        told += f", better {ALGO_WORDS.get(view.algorithm, view.algorithm)}"
    elif way not in SCHEDULED:
        return [told, *_route(view)]
    if view.expected is not None and view.deviation is not None:
        name = "" if way == "auto" else f", {ALGO_WORDS[way]}"
        told += f"{name} ~{percent(view.expected, 3)} ± {percent(view.deviation, 2)}"
    return [told, *_route(view)]


def _route(view: EstimateView) -> list[str]:
    if len(view.route) < 2:
        return [f"Best at {view.route[0].account}" for _ in view.route]
    return ["Best shared: " + ", ".join(f"{leg.account} {percent(leg.share, 0)}" for leg in view.route)]


def algo_sentence(preview: OrderPreview, params: dict[str, Any]) -> str:
    """Return exactly what would be started."""
    way = params["algorithm"]
    words = [f"{'Buy' if preview.side is OrderSide.BUY else 'Sell'} {exact(preview.quantity)} in {preview.instrument}"]
    words.append("as fits it" if way == "auto" else f"by {ALGO_WORDS[way]}")
    if "duration_s" in params:
        words.append(f"over {params['duration_s'] / 60:g} min in {params['slices']} slices")
    if "participation" in params:
        words.append(f"at {'most ' if way == 'vwap' else ''}{percent(params['participation'], 1)} of the volume")
    if "urgency" in params:
        words.append(f"urgency {params['urgency']:g}")
    if preview.price is not None:
        words.append(f"at {exact(preview.price)} or better")
    if "max_slippage" in params:
        words.append(f"stopped at {percent(params['max_slippage'], 2)} slippage")
    return ", ".join(words) + "."
