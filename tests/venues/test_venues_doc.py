"""docs/venues.md says what the adapters' tables say, and names only tests that there are."""

from __future__ import annotations

from tests.conftest import ROOT
from tests.kit.venues_doc import PAGE, SHOWN_BY, venues_page


def test_the_page_is_made_from_the_tables() -> None:
    current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    assert current == venues_page(), "write it anew: python -m tests.kit.venues_doc"


def test_every_test_it_names_is_there() -> None:
    assert [test for tests in SHOWN_BY.values() for test in tests if not (ROOT / test).is_file()] == []
