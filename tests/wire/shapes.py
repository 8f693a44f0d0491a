"""Shapes of messages: keys, nesting, string or number; and how the shape of one message differs from that of another.

A shape is made of the JSON value alone: an object by its keys, an array by the union of its elements, a leaf by its
kind. `null` fits anything, an empty array fits any array.
"""

from __future__ import annotations

from typing import Any

__all__ = ["differences", "kind"]


def kind(value: Any) -> str:
    """The kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def differences(
    ours: Any,
    recorded: Any,
    *,
    optional: frozenset[str] = frozenset(),
    added: frozenset[str] = frozenset(),
    path: str = "",
) -> list[str]:
    """What of a message of ours is not as in the recorded one; empty when their shapes agree.

    Args:
        ours: A decoded message that a simulator emitted.
        recorded: A decoded recorded message of the same kind.
        optional: Paths (such as `o.AP`) that the recorded message has and ours may lack.
        added: Paths that ours has although the recorded message lacks them, each of them known from elsewhere.
        path: Where the two values stand.
    """
    mine, theirs = kind(ours), kind(recorded)
    if "null" in (mine, theirs):
        return []
    if mine != theirs:
        return [f"{path or 'the message'} is a {mine}, recorded was a {theirs}"]
    if mine == "object":
        return _objects(ours, recorded, optional, added, path)
    if mine == "array":
        return _arrays(ours, recorded, optional, added, path)
    return []


def _objects(
    ours: dict[str, Any], recorded: dict[str, Any], optional: frozenset[str], added: frozenset[str], path: str
) -> list[str]:
    found = []
    for key in recorded:
        at = f"{path}.{key}".lstrip(".")
        if key not in ours:
            if at not in optional:
                found.append(f"{at} is missing")
        else:
            found += differences(ours[key], recorded[key], optional=optional, added=added, path=at)
    for key in ours:
        at = f"{path}.{key}".lstrip(".")
        if key not in recorded and at not in added:
            found.append(f"{at} was not recorded")
    return found


def _arrays(
    ours: list[Any], recorded: list[Any], optional: frozenset[str], added: frozenset[str], path: str
) -> list[str]:
    at = f"{path}[]"
    if not recorded or not ours:
        return []
    if all(kind(v) not in ("object", "array") for v in recorded) and path.endswith("[]"):
        # A row of a table, such as a candle or a level of a book: place by place.
        if len(ours) != len(recorded):
            return [f"{at} has {len(ours)} places, recorded were {len(recorded)}"]
        pairs = list(zip(ours, recorded, strict=True))
    else:
        pairs = [(value, _best(value, recorded)) for value in ours]
    found = [d for mine, theirs in pairs for d in differences(mine, theirs, optional=optional, added=added, path=at)]
    return list(dict.fromkeys(found))


def _best(value: Any, recorded: list[Any]) -> Any:
    """The recorded element most like ours, where an array holds several kinds (filters, orders and lists of them)."""
    return min(recorded, key=lambda other: _distance(value, other))


def _distance(ours: Any, other: Any) -> int:
    if isinstance(ours, dict) and isinstance(other, dict):
        same_type = ours.get("filterType") == other.get("filterType")
        return len(ours.keys() ^ other.keys()) + (0 if same_type else 1000)
    return 0 if kind(ours) == kind(other) else 10_000
