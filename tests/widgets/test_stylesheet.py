"""Each source is parsed once with one set of variables, and anew with another."""

from __future__ import annotations

from typing import Any

import pytest
from textual.css.parse import parse as textuals_parse
from textual.css.stylesheet import StylesheetParseError

from widgets.stylesheet import KeptStylesheet


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were parsed, as often as they were."""
    seen: list[str] = []

    def parse(scope: str, css: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(css)
        return textuals_parse(scope, css, *args, **kwargs)

    monkeypatch.setattr("textual.css.stylesheet.parse", parse)
    return seen


def with_sources(count: int) -> KeptStylesheet:
    sheet = KeptStylesheet(variables={"ink": "red"})
    for number in range(count):
        sheet.add_source(f"#id{number} {{ color: $ink; }}")
    sheet.parse()
    return sheet


def test_one_more_source_is_all_that_is_parsed(parsed: list[str]) -> None:
    sheet = with_sources(200)
    parsed.clear()
    sheet.add_source("#late { color: $ink; }")
    assert len(sheet.rules) == 201
    assert parsed == ["#late { color: $ink; }"]


def test_parsing_again_with_the_same_variables_costs_nothing(parsed: list[str]) -> None:
    sheet = with_sources(100)
    parsed.clear()
    sheet.set_variables({"ink": "red"})
    sheet.reparse()
    assert parsed == []
    assert len(sheet.rules) == 100


def test_other_variables_are_taken(parsed: list[str]) -> None:
    sheet = with_sources(2)
    sheet.set_variables({"ink": "blue"})
    sheet.reparse()
    assert [str(rule.styles.color.rich_color.name) for rule in sheet.rules] == ["#0000ff", "#0000ff"]
    assert len(parsed) == 4


def test_a_broken_source_leaves_the_rules_as_they_were() -> None:
    sheet = with_sources(3)
    sheet.add_source("#broken { color: nothing-known; }")
    with pytest.raises(StylesheetParseError):
        sheet.reparse()
    assert len(sheet._rules) == 3


def test_a_copy_has_the_sources_and_variables() -> None:
    twin = with_sources(3).copy()
    twin.parse()
    assert isinstance(twin, KeptStylesheet)
    assert [rule.styles.color.rich_color.name for rule in twin.rules] == ["#ff0000"] * 3
