"""The console begins on the dashboard, and a scene of a market on the market."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from console.app import QuarterdeckApp
from console.driver import TerminalLease
from console.embedded import make_app
from engine.config import Settings
from tests.kit.fake_link import FakeLink

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("scene", "screen"), [(None, "dashboard"), ("calm", "dashboard"), ("market-5hz", "market"), ("storm", "dashboard")]
)
def test_a_session_and_a_scene_begin_on_their_screen(tmp_path: Path, scene: str | None, screen: str) -> None:
    host = SimpleNamespace(settings=Settings(), scene=scene, link=FakeLink, home=tmp_path)

    app = make_app(QuarterdeckApp, host, TerminalLease(0, lambda reason: None))

    assert isinstance(app, QuarterdeckApp)
    assert app.current_mode == screen
