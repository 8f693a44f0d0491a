"""The signs widgets draw with: one set for terminals with Unicode fonts, one of plain ASCII.

Every colour that carries meaning has a sign here too, so that the screen reads the same without colour.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ASCII", "UNICODE", "Glyphs"]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One consistent set of one-cell signs.

    ``bar`` holds the fills of one cell from empty to full, left to right; ``column`` the same from bottom to top.
    ``thin`` is a narrow candle's cell by the state of its halves (0 nothing, 1 wick, 2 body): upper × 3 + lower;
    where there is no colour to tell them by, rising candles are drawn with ``hollow`` and ``thin_hollow``.
    """

    up: str
    down: str
    flat: str
    buy: str
    sell: str
    own: str
    last: str
    cursor: str
    ellipsis: str
    rule: str
    track: str
    wick: str
    body: str
    body_top: str
    body_bottom: str
    hollow: str
    stub_top: str
    stub_bottom: str
    doji: str
    cross_vertical: str
    cross_horizontal: str
    overlay: str
    axis: str
    tick: str
    entry: str
    exit: str
    marker: str
    ok: str
    warn: str
    breach: str
    follow: str
    dot: str
    bar: tuple[str, ...]
    column: tuple[str, ...]
    thin: tuple[str, ...]
    thin_hollow: tuple[str, ...]
    braille: bool


UNICODE = Glyphs(
    up="▲",
    down="▼",
    flat="·",
    buy="▲",
    sell="▼",
    own="◆",
    last="●",
    cursor="▸",
    ellipsis="…",
    rule="─",
    track="╌",
    wick="│",
    body="█",
    body_top="▀",
    body_bottom="▄",
    hollow="▒",
    stub_top="╵",
    stub_bottom="╷",
    doji="┼",
    cross_vertical="┊",
    cross_horizontal="┈",
    overlay="•",
    axis="│",
    tick="┤",
    entry="▲",
    exit="▼",
    marker="◂",
    ok="✓",
    warn="▲",
    breach="✗",
    follow="↓",
    dot="●",
    bar=(" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"),
    column=(" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"),
    thin=(" ", "╷", "╻", "╵", "│", "╽", "╹", "╿", "┃"),
    thin_hollow=(" ", "╷", "╻", "╵", "│", "╽", "╹", "╿", "╏"),
    braille=True,
)

ASCII = Glyphs(
    up="^",
    down="v",
    flat=".",
    buy="^",
    sell="v",
    own="*",
    last="o",
    cursor=">",
    ellipsis="~",
    rule="-",
    track=".",
    wick="|",
    body="#",
    body_top="#",
    body_bottom="#",
    hollow="O",
    stub_top="'",
    stub_bottom=".",
    doji="+",
    cross_vertical=":",
    cross_horizontal="-",
    overlay=".",
    axis="|",
    tick="+",
    entry="^",
    exit="v",
    marker="<",
    ok="=",
    warn="!",
    breach="X",
    follow="v",
    dot="o",
    bar=(" ", "#"),
    column=(" ", ".", ":", "#"),
    thin=(" ", ".", "#", "'", "|", "#", "#", "#", "#"),
    thin_hollow=(" ", ".", "O", "'", "|", "O", "O", "O", "O"),
    braille=False,
)
