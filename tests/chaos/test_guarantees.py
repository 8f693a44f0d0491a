"""The pages of guarantees and of failures name only what there is."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

PAGE, FAILURES = ((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("guarantees", "failures"))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::([\w*]+)`", PAGE + FAILURES)))
PLACES = sorted(set(re.findall(r"`((?:engine|storage|console|tests)/[\w/]*(?:\.\w+)?)`", PAGE + FAILURES)))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    wanted = r"test_\w+" if name == "*" else re.escape(name)
    assert re.search(rf"^\s*(async )?def {wanted}\(", source, re.MULTILINE)


@pytest.mark.parametrize("place", PLACES)
def test_each_module_that_is_named_is_there(place: str) -> None:
    assert (ROOT / place).exists()


def test_everything_that_wires_do_names_a_test() -> None:
    section = FAILURES.partition("## What wires do")[2].partition("\n## ")[0]
    rows = [
        line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ") and "what happens" not in line
    ]
    assert len(rows) >= 15
    for what, done, seen, test in rows:
        assert "::" in test, what
        assert done.strip(), what
        assert seen.strip(), what


def test_every_promise_names_a_test_and_a_module() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ") and "promise" not in line]
    assert len(rows) >= 18
    for promise, keeper, test, shown in rows:
        assert "`" in keeper, promise
        assert "::" in test, promise
        assert shown.strip(), promise
