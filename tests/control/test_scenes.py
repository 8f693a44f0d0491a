"""A scene lives in a folder of its own; nothing else may ever be emptied by a scene's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.config import Settings
from engine.control.host import EngineHost
from engine.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["..", ".", "", "../..", "market", "/tmp", "market-5hz/.."])
def test_a_name_that_is_no_scene_is_refused_before_any_folder_is_touched(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "journal.db"
    precious.write_text("facts", encoding="utf-8")
    (tmp_path / "scenes").mkdir()
    with pytest.raises(NotFoundError, match="no scene"):
        EngineHost(tmp_path, Settings(), scene=name)
    assert precious.read_text(encoding="utf-8") == "facts"


def test_a_scene_of_the_table_gets_a_folder_below_the_home(tmp_path: Path) -> None:
    assert EngineHost(tmp_path, Settings(), scene="market-5hz").home == tmp_path / "scenes" / "market-5hz"
