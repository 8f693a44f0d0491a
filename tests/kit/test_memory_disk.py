"""Files of tests go into memory where there is room, and where a person wants them otherwise."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.kit import memory_disk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("TMPDIR")


def test_temporary_files_are_made_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_disk, "ROOM", 1)
    assert memory_disk.use(tmp_path)
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)


def test_a_place_that_a_person_named_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert not memory_disk.use(tmp_path)
    assert os.environ["TMPDIR"] == "/var/tmp"


def test_a_place_that_is_missing_or_too_small_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not memory_disk.use(tmp_path / "nowhere")
    monkeypatch.setattr(memory_disk, "ROOM", 1 << 62)
    assert not memory_disk.use(tmp_path)
    assert "TMPDIR" not in os.environ
