"""The pictures of the documentation, made by the program itself: real screens over fixed data, as SVG.

python -m tests.kit.pictures            # writes docs/screenshots/*.svg; `make pictures` does the same
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from tests.conftest import ROOT
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink

__all__ = ["PICTURES", "main", "picture", "self_contained"]

PICTURES = ("dashboard", "market", "portfolio")
SIZE = (120, 40)
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
"""Fonts whose box drawing and braille signs meet; nothing is fetched."""


def self_contained(svg: str) -> str:
    """Return a picture that fetches nothing: the viewer's own fonts instead of web fonts."""
    svg = re.sub(r"\s*@font-face\s*{[^}]*}", "", svg)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: Fira Code, monospace", f"font-family: {FONTS}", svg)
    # Some viewers drop the blanks that a piece of text begins with, and with them its alignment.
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)


async def picture(screen: str, size: tuple[int, int] = SIZE) -> str:
    """Return one screen as SVG."""
    link = FakeLink()
    async with console(link, size=size, screen=screen) as deck:
        await deck.settle()
        for subscription in link.subscriptions:
            if subscription.topic == "facts.activity":
                subscription.deliver(tuple(link.data["activity"]), snapshot=True)
        for _ in range(3):
            await deck.settle()
        return self_contained(deck.app.export_screenshot(title="Quarterdeck"))


def main(arguments: list[str] | None = None) -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(prog="pictures", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "screenshots")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        (folder / f"{name}.svg").write_text(asyncio.run(picture(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
