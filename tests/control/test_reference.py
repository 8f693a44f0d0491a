"""docs/control-api.md is made from the tables: `python -m tests.control.test_reference` writes it anew."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest

from console import cli
from engine.control.describe import describe
from engine.control.registry import OPERATIONS
from engine.control.views import OrderRow
from tests.conftest import ROOT
from tests.control.reference_text import AFTER_TOPICS, HEAD

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = ROOT / "docs" / "control-api.md"


def shown(value: Any) -> str:
    """A default as the page shows it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "{}" if value == {} else "[]" if value == [] else f"`{value}`"


def field_line(name: str, field: FieldInfo) -> str:
    """One field of a request."""
    if field.is_required():
        given = "required"
    else:
        given = "default " + shown(field.get_default(call_default_factory=True, validated_data={}))
    return f"- `{name}` ({given}): {field.description}"


def reply_words(schema: dict[str, Any]) -> str:
    """What an operation answers with, in words."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if schema.get("type") == "array":
        return f"list of {reply_words(schema['items'])}"
    return {"string": "a sentence", "object": "an object"}.get(str(schema.get("type")), "anything")


def operation_lines(entry: dict[str, Any]) -> list[str]:
    """One operation."""
    marks = [entry["role"]]
    marks += ["changes"] if entry["mutates"] else []
    marks += ["confirm"] if entry["tier"] != "free" else []
    marks += ["emergency"] if entry["emergency"] else []
    marks += ["without an engine too"] if entry["offline"] else []
    lines = [f"### `{entry['name']}`\n\n{entry['doc']} ({', '.join(marks)}; replies {reply_words(entry['reply'])})\n"]
    fields = [field_line(name, info) for name, info in OPERATIONS[entry["name"]].request.model_fields.items()]
    return [*lines, "\n".join(fields) + "\n"] if fields else lines


def topic_line(topic: dict[str, Any]) -> str:
    """One topic as a row."""
    filters = ", ".join(
        f"`{key}` (required)" if known["required"] else f"`{key}` ({known.get('default', 'any')})"
        for key, known in topic["filters"].items()
    )
    data = reply_words(topic["data"])
    if topic["class"] == "facts":
        return f"| `{topic['name']}` | {topic['doc']} | {filters} | {data} |"
    return f"| `{topic['name']}` | {topic['doc']} | {topic['interval_s']:g} s | {filters or 'none'} | {data} |"


def control_page() -> str:
    """The page as it must be."""
    told = describe()
    lines = [HEAD.rstrip() + "\n"]
    lines.append("## Errors\n\n| kind | code | again? | exit status | what it means |\n|---|---|---|---|---|")
    lines += [
        f"| `{e['kind']}` | {e['code']} | {'yes' if e['retryable'] else 'no'} | {e['exit_status']} | {e['doc']} |"
        for e in told["errors"]
    ]
    lines.append("\n## Exit statuses of commands\n\n| status | meaning |\n|---|---|")
    lines += [f"| {e['status']} | {e['meaning']} |" for e in told["exit_statuses"]]
    lines.append("\n## Topics\n\n| topic of state | shows | interval | filters | data |\n|---|---|---|---|---|")
    lines += [topic_line(topic) for topic in told["topics"] if topic["class"] == "state"]
    lines.append("\n| topic of facts | tells | filters | data |\n|---|---|---|---|")
    lines += [topic_line(topic) for topic in told["topics"] if topic["class"] == "facts"]
    lines.append(f"\n{AFTER_TOPICS.strip()}\n\n## Operations\n")
    for entry in told["operations"]:
        lines += operation_lines(entry)
    return "\n".join(lines).rstrip() + "\n"


def test_the_page_is_the_table() -> None:
    current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    assert current == control_page(), "write it anew: python -m tests.control.test_reference"


EXAMPLES = re.findall(r"^quarterdeck (.+?)(?: {2,}#.*)?$", HEAD, re.M)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_a_command_can_be_typed(example: str) -> None:
    words = shlex.split(example.partition(" | ")[0])
    command: click.Command = cli.root
    while isinstance(command, click.Group):
        word, *words = words
        found = command.get_command(click.Context(command), word)
        assert found is not None, word
        command = found
    command.make_context("example", words)


def test_the_description_holds_schemas_of_what_is_asked_answered_and_watched() -> None:
    told = describe()
    assert [entry["name"] for entry in told["operations"]] == sorted(OPERATIONS)
    placing = next(entry for entry in told["operations"] if entry["name"] == "orders.place")
    assert (placing["role"], placing["mutates"], placing["tier"], placing["since"]) == ("trader", True, "confirm", 1)
    assert placing["params"]["required"] == ["instrument", "side", "quantity"]
    assert placing["params"]["properties"]["quantity"]["description"] == "Base units; contracts of a derivative."
    assert placing["reply"] == {"$ref": "#/types/OrderRow"}
    assert {*told["types"]["OrderRow"]["properties"]} == {*OrderRow.__struct_fields__}
    facts = next(topic for topic in told["topics"] if topic["name"] == "facts.activity")
    assert (facts["class"], facts["data"]) == ("facts", {"$ref": "#/types/Activity"})
    assert next(e for e in told["errors"] if e["kind"] == "engine_not_running")["exit_status"] == 3
    assert [e["status"] for e in told["exit_statuses"]] == [0, 1, 2, 3, 4]

    only = describe("orders")
    assert {entry["name"].partition(".")[0] for entry in (*only["operations"], *only["topics"])} == {"orders"}
    assert "BotRow" not in only["types"]


if __name__ == "__main__":
    PAGE.write_text(control_page(), encoding="utf-8")
    sys.exit()
