"""The one line that is always there: mode, link, data age, engine lag, equity, halts, alerts, clock.

    status = StatusLine()
    status.show(mode="PAPER", link="embedded", feed_age_s=0.2, lag_ms=3.1, equity="10,012.40 USDT")
    status.show(clock="14:03:22 UTC")
    status.drain()

Every part has its fixed place, so that a new second costs a digit and nothing moves. When the line is too short the
less important parts leave first; mode, halts and clock never do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["Link", "Mode", "StatusLine", "StatusState", "status_rows"]

Mode = Literal["PAPER", "LIVE", "TESTNET", "BACKTEST", "REPLAY"]
Link = Literal["embedded", "attached", "lost", "replay"]
FEED_STALE_S = 2.0
FEED_LOST_S = 10.0
LAG_WARN_MS = 20.0
LAG_BAD_MS = 100.0


@dataclass(frozen=True, slots=True)
class StatusState:
    """What the status line says.

    ``feed_age_s`` is the age of the newest market data in seconds and ``lag_ms`` the engine loop's lag in
    milliseconds; None is unknown. ``halt`` is empty while trading is allowed, else the state's word (REDUCING,
    HALTED). ``armed`` is empty unless this console may send orders with real money, else the word and the time left.
    ``away`` names venues that are not online, ``locked`` those whose keys are locked. ``read_only`` says that this
    console may only look. ``screen`` and ``hint`` take what room is left.
    """

    mode: Mode = "PAPER"
    account: str = ""
    link: Link = "embedded"
    feed_age_s: float | None = None
    lag_ms: float | None = None
    equity: str = ""
    read_only: bool = False
    armed: str = ""
    halt: str = ""
    locked: str = ""
    away: str = ""
    alerts: int = 0
    clock: str = ""
    hint: str = ""


Part = tuple[int, list[tuple[str, str]]]
"""Priority (0 never leaves) and pieces of text with their ink."""


def age_text(seconds: float | None) -> str:
    """Return an age in a few cells: <1s, 1.4s, 14s, 3m, 2h; fresh data is not worth a moving digit."""
    if seconds is None:
        return "–"
    if seconds < 0.95:
        return "<1s"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    for limit, unit, size in ((100, "s", 1), (6000, "m", 60), (360000, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86400:.0f}d"


def _grade(value: float | None, warn: float, bad: float) -> str:
    if value is None or value >= bad:
        return "breach" if value is not None else "stale"
    return "warn" if value >= warn else "text"


def _parts(state: StatusState, glyphs: Glyphs) -> tuple[list[Part], list[Part]]:
    badge = "live" if state.mode in {"LIVE", "TESTNET"} else "paper"
    left: list[Part] = [(0, [(f" {state.mode} ", badge)])]
    if state.read_only:
        left.append((0, [(" READ-ONLY ", "halt")]))
    if state.armed:
        left.append((0, [(f" {clean(state.armed)} ", "live")]))
    if state.halt:
        left.append((0, [(f" {clean(state.halt)} ", "halt")]))
    if state.locked:
        left.append((0, [(f" {clean(state.locked)} LOCKED ", "halt")]))
    if state.away:
        left.append((1, [(f"{glyphs.warn} {clean(state.away)} away", "warn")]))
    if state.account:
        left.append((5, [(clean(state.account), "muted")]))
    link_ink = "breach" if state.link == "lost" else "ok"
    link_sign = glyphs.breach if state.link == "lost" else glyphs.dot
    left.append((1, [(f"{link_sign} {state.link:<8}", link_ink)]))
    # A link that is gone makes every age unknown: the last figure would look fresh.
    age = None if state.link == "lost" else state.feed_age_s
    left.append((2, [("feed ", "muted"), (f"{age_text(age):>4}", _grade(age, FEED_STALE_S, FEED_LOST_S))]))
    lag = "–" if state.lag_ms is None else f"{min(state.lag_ms, 999):.0f}ms"
    left.append((3, [("lag ", "muted"), (f"{lag:>5}", _grade(state.lag_ms, LAG_WARN_MS, LAG_BAD_MS))]))
    if state.equity:
        left.append((2, [("eq ", "muted"), (clean(state.equity), "strong")]))
    right: list[Part] = []
    if state.hint:
        right.append((6, [(clean(state.hint), "muted")]))
    if state.alerts:
        right.append((1, [(f"{glyphs.warn} {min(state.alerts, 99)}", "warn")]))
    right.append((0, [(clean(state.clock), "text")]))
    return left, right


def _width(parts: Sequence[Part]) -> int:
    return sum(sum(width_of(text) for text, _ in pieces) + 2 for _, pieces in parts)


def status_rows(state: StatusState, width: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the status line, parts in fixed places, the clock at the right end."""
    left, right = _parts(state, glyphs)
    while _width(left) + _width(right) - 2 > width:
        worst = max([*left, *right], key=lambda part: part[0])
        if worst[0] == 0:
            break
        (left if worst in left else right).remove(worst)
    line = LineBuilder(palette)
    used = 0
    for _, pieces in left:
        for text, ink in pieces:
            line.add(text, ink)
            used += width_of(text)
        line.add("  ", "text")
        used += 2
    room = width - used
    needed = max(0, _width(right) - 2)
    line.add(" " * max(0, room - needed), "text")
    for number, (_, pieces) in enumerate(right):
        if number:
            line.add("  ", "text")
        for text, ink in pieces:
            line.add(fit(text, min(width_of(text), max(0, room)), "left", glyphs.ellipsis), ink)
    return [line.strip(width)]


class StatusLine(LineWidget):
    """The status line; dock it at the top or the bottom of every screen."""

    DEFAULT_CSS: ClassVar[str] = """
    StatusLine { height: 1; background: $panel; }
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.state = StatusState()

    def show(self, **changes: Any) -> None:
        """Change some parts; the names are the fields of :class:`StatusState`.

        Raises:
            TypeError: A name is no field.
        """
        state = replace(self.state, **changes)
        if state != self.state:
            self.state = state
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the status line."""
        return status_rows(self.state, width, self.palette, self.glyphs)
