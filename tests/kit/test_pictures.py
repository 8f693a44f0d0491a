"""The documentation's pictures fetch nothing and show the screens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT
from tests.kit.pictures import PICTURES, main

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"dashboard": "Bots", "market": "Book", "portfolio": "Balances"}


def said(svg: str) -> str:
    """Return a picture's text."""
    ElementTree.fromstring(svg)
    return re.sub(r"<[^>]*>", " ", svg).replace("&#160;", " ")


def addresses(svg: str) -> list[str]:
    """Return what a viewer might fetch; the name of the format is none."""
    return re.findall(r"https?://[^\"' )]+|url\((?!#)[^)]*\)", svg.replace("http://www.w3.org/2000/svg", ""))


def test_pictures_are_made_and_fetch_nothing(tmp_path: Path) -> None:
    main([str(tmp_path)])
    for name in PICTURES:
        svg = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert addresses(svg) == []
        assert WORDS[name] in said(svg)


@pytest.mark.parametrize("name", PICTURES)
def test_the_documentation_has_every_picture(name: str) -> None:
    svg = (ROOT / "docs" / "screenshots" / f"{name}.svg").read_text(encoding="utf-8")
    assert addresses(svg) == []
    assert WORDS[name] in said(svg)
