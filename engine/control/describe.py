"""The control interface described by itself, in plain values: operations, topics, errors, exit statuses, types.

What is told here is what the doors do: everything is read from the tables that they use.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from engine import errors
from engine.control.exit_codes import MEANINGS, exit_code_of
from engine.control.ops import all as entered
from engine.control.protocol import CODES, DEAD_S, HEARTBEAT_S, HELLO_S, MAX_BYTES, PROTOCOL
from engine.control.registry import OPERATIONS
from engine.control.replies import FACTS, REPLIES, TOPICS
from engine.control.skew import ALLOWED
from engine.control.topic_table import FACT_FILTERS, FACT_TOPICS
from engine.control.topics import STATE_TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.control.registry import Operation

__all__ = ["describe", "described_errors"]

REFERENCE = "#/types/{name}"
_ENTERED = entered.__all__


def describe(noun: str | None = None) -> dict[str, Any]:
    """Everything that can be asked, watched and answered, as JSON Schema where values are described.

    Args:
        noun: Only operations and topics that begin with this; None for all.

    Returns:
        `protocol`, `release`, `limits`, `operations`, `topics`, `errors`, `exit_statuses` and the `types` that they
        refer to. Decimals are text, times are UTC nanoseconds.
    """
    operations = [entry for name, entry in sorted(OPERATIONS.items()) if _of(name, noun)]
    topics = [name for name in sorted({*STATE_TOPICS, *FACT_TOPICS}) if _of(name, noun)]
    kinds = [*(REPLIES[entry.name] for entry in operations), *(_data(topic) for topic in topics)]
    schemas, types = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    count = len(operations)
    return {
        "protocol": PROTOCOL,
        "release": version("quarterdeck"),
        "limits": {
            "hello_s": HELLO_S, "heartbeat_s": HEARTBEAT_S, "dead_s": DEAD_S, "message_bytes": MAX_BYTES,
        },
        "operations": [
            _operation(entry, schema) for entry, schema in zip(operations, schemas[:count], strict=True)
        ],
        "topics": [_topic(name, schema) for name, schema in zip(topics, schemas[count:], strict=True)],
        "errors": described_errors(),
        "exit_statuses": [
            {"status": int(code), "name": code.name.lower(), "meaning": text} for code, text in MEANINGS.items()
        ],
        "types": types,
    }  # fmt: skip


def described_errors() -> list[dict[str, Any]]:
    """Every error by its stable word, with its code on the wire and the exit status of a command that it ends."""
    found = sorted({getattr(errors, name) for name in errors.__all__}, key=lambda kind: kind.kind)
    return [
        {
            "kind": kind.kind,
            "title": kind.title,
            "code": next(CODES[family] for family in kind.__mro__ if family in CODES),
            "retryable": kind.retryable,
            "exit_status": int(exit_code_of(kind.kind)),
            "doc": " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()),
        }
        for kind in found
    ]


def _of(name: str, noun: str | None) -> bool:
    return noun is None or name.partition(".")[0] == noun


def _data(topic: str) -> Any:
    return FACTS[topic] if topic in FACTS else TOPICS[topic]


def _operation(entry: Operation, reply: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "doc": " ".join(entry.doc.split()),
        "since": entry.since,
        "role": entry.role.name.lower(),
        "mutates": entry.mutates,
        "tier": str(entry.tier),
        "emergency": entry.emergency,
        "offline": entry.offline,
        "across_protocols": entry.name in ALLOWED,
        "params": _untitled(entry.request.model_json_schema()),
        "reply": reply,
    }


def _topic(name: str, data: Any) -> dict[str, Any]:
    state = STATE_TOPICS.get(name)
    filters: Mapping[str, Any] = state.filters if state is not None else FACT_FILTERS[name]
    return {
        "name": name,
        "doc": state.doc if state is not None else FACT_TOPICS[name],
        "class": "state" if state is not None else "facts",
        "interval_s": state.interval_s if state is not None else None,
        "filters": {
            key: {"type": "integer" if isinstance(default, int) else "string", "required": default is None}
            | ({} if default in (None, "") else {"default": default})
            for key, default in filters.items()
        },
        "data": data,
    }


def _untitled(schema: Any) -> Any:
    """A schema without the titles that only repeat the names of fields."""
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if not _only_a_title(key, value)}
    return [_untitled(item) for item in schema] if isinstance(schema, list) else schema


def _only_a_title(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)


def nouns() -> Iterable[str]:
    """Every noun of operations and topics."""
    return sorted({name.partition(".")[0] for name in (*OPERATIONS, *STATE_TOPICS, *FACT_TOPICS)})
