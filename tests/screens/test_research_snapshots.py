"""Pictures of bots, risk and backtests with their forms: fixed data, a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from engine.model.account import TradingMode
from tests.kit import fake_keys
from tests.kit.deck import FakeTime, make_app
from tests.kit.fake_link import FakeLink
from tests.screens.test_market_snapshots import SIZES, drawn
from tests.screens.test_risk import stopped, tripped

Compare = Callable[..., bool]
SCREENS = ("bots", "risk", "backtests", "settings")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["full", "empty", "lost"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen(snap_compare: Compare, screen: str, kind: str, size: str) -> None:
    link, time = FakeLink("empty" if kind == "empty" else "full"), FakeTime()
    before = drawn(link, time, lost=kind == "lost")
    assert snap_compare(make_app(link, time, screen=screen), terminal_size=SIZES[size], run_before=before)


@pytest.mark.parametrize(
    ("screen", "keys"),
    [
        ("bots", "j j"),
        ("bots", "v v v"),
        ("bots", "n down down"),
        ("bots", "x"),
        ("bots", "w"),
        ("bots", "V"),
        ("risk", "e down ctrl+u 3"),
        ("risk", "x"),
        ("backtests", "n"),
        ("backtests", "enter v"),
        ("backtests", "enter v v v"),
        ("backtests", "enter v v v v"),
        ("backtests", "m j m"),
        ("backtests", "a"),
        ("settings", "a"),
        ("settings", "m"),
        ("settings", "t"),
    ],
)
def test_after_some_keys(snap_compare: Compare, screen: str, keys: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen=screen)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time, keys))


@pytest.mark.parametrize("keys", ["v", "v v"])
def test_pages_of_a_run_where_there_is_room(snap_compare: Compare, keys: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="backtests")
    assert snap_compare(app, terminal_size=(120, 40), run_before=drawn(link, time, keys))


@pytest.mark.parametrize("size", ["120x40", "80x24"])
@pytest.mark.parametrize("keys", ["w", "w j", "w j j", "s"])
def test_studies(snap_compare: Compare, keys: str, size: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="backtests")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=drawn(link, time, keys))


def test_risk_with_a_breaker_open(snap_compare: Compare) -> None:
    link, time = FakeLink(), FakeTime()
    link.data["risk.overview"] = tripped(emergency="2 orders and 1 position are left.")
    app = make_app(link, time, screen="risk")
    assert snap_compare(app, terminal_size=(120, 40), run_before=drawn(link, time))


@pytest.mark.parametrize(("size", "keys"), [((80, 24), ""), ((80, 24), "p"), ((120, 40), "")])
def test_risk_with_what_could_not_be_closed(snap_compare: Compare, size: tuple[int, int], keys: str) -> None:
    link, time = FakeLink(), FakeTime()
    link.data["risk.overview"] = stopped()
    app = make_app(link, time, screen="risk")
    assert snap_compare(app, terminal_size=size, run_before=drawn(link, time, keys))


@pytest.mark.parametrize("screen", SCREENS)
def test_without_colours_and_with_plain_signs(
    snap_compare: Compare, screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen=screen, ascii_glyphs=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


@pytest.mark.parametrize("screen", SCREENS)
def test_in_the_light(snap_compare: Compare, screen: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen=screen, theme="quarterdeck-light")
    assert snap_compare(app, terminal_size=(120, 40), run_before=drawn(link, time))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colour", ["colour", "none"])
def test_real_money_looks_like_nothing_else(
    snap_compare: Compare, size: str, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if colour == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    link, time = FakeLink(), FakeTime()
    link.data["live.status"] = fake_keys.live(fake_keys.armed())
    status = link.data["engine.status"]
    link.data["engine.status"] = msgspec.structs.replace(status, mode=TradingMode.LIVE, account="main")
    app = make_app(link, time, screen="settings")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=drawn(link, time))
