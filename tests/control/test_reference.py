"""docs/operations.md is the table: `python -m tests.control.test_reference` writes it anew."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from engine.control.ops import all as all_operations
from engine.control.registry import OPERATIONS
from engine.control.topics import FACT_TOPICS, STATE_TOPICS
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = ROOT / "docs" / "operations.md"
HEAD = """# Operations and topics

Everything that a person or a program can do to an engine is an operation; everything that can be watched is a topic.
The console, the command line and every later door use this one table. It is made from the code:
`python -m tests.control.test_reference` writes it anew, and a test compares it.

A caller has a role: *viewer* looks, *trader* trades, *admin* sets limits and ends the engine; each includes those
before it. An operation that *changes* something may carry a request id chosen by the caller: a repeat with the same id
gets the first answer and does nothing more; after a restart of the engine it is refused rather than done again. Its
reply comes only when everything it booked is durable. *Confirm* is what a console asks before it calls. An *emergency*
operation never waits behind other work.
"""


def shown(value: Any) -> str:
    """A default as the page shows it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "{}" if value == {} else f"`{value}`"


def field_line(name: str, field: FieldInfo) -> str:
    """One field of a request."""
    if field.is_required():
        given = "required"
    else:
        given = "default " + shown(field.get_default(call_default_factory=True, validated_data={}))
    return f"- `{name}` ({given}): {field.description}"


def operations_page() -> str:
    """The page as it must be."""
    assert all_operations.__all__
    lines = [HEAD, "## Operations\n"]
    for name, entry in sorted(OPERATIONS.items()):
        marks = [entry.role.name.lower()]
        marks += ["changes"] if entry.mutates else []
        marks += ["confirm"] if str(entry.tier) != "free" else []
        marks += ["emergency"] if entry.emergency else []
        lines.append(f"### `{name}`\n\n{' '.join(entry.doc.split())} ({', '.join(marks)})\n")
        fields = [field_line(field, info) for field, info in entry.request.model_fields.items()]
        if fields:
            lines.append("\n".join(fields) + "\n")
    lines.append("## Topics\n")
    lines.append(
        "A topic of state begins with a snapshot and is sent anew when it differs, no more often than its interval; "
        "the newest wins.\n"
    )
    lines.append("| topic | shows | interval | filters |\n|---|---|---|---|")
    for name, topic in sorted(STATE_TOPICS.items()):
        filters = ", ".join(
            f"`{key}` (required)" if default is None else f"`{key}` ({default})"
            for key, default in topic.filters.items()
        )
        lines.append(f"| `{name}` | {topic.doc} | {topic.interval_s:g} s | {filters or 'none'} |")
    lines.append(
        "\nA topic of facts begins with what was told lately, goes on in order without a gap, and tells a fact only "
        "once it is durable; its numbers are those of the journal.\n"
    )
    lines.append("| topic | tells |\n|---|---|")
    lines += [f"| `{name}` | {doc} |" for name, doc in sorted(FACT_TOPICS.items())]
    return "\n".join(lines) + "\n"


def test_the_page_is_the_table() -> None:
    current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    assert current == operations_page(), "write it anew: python -m tests.control.test_reference"


if __name__ == "__main__":
    PAGE.write_text(operations_page(), encoding="utf-8")
    sys.exit()
