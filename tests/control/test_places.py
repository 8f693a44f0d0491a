"""The run folder is its owner's alone, and a socket's path that is too long is refused with a way out."""

from __future__ import annotations

import re
import stat
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.control.build import build_id, release
from engine.control.places import (
    MOST_BYTES,
    control_socket,
    handover_socket,
    prepare_run_folder,
    run_folder,
    venue_socket,
)
from engine.errors import ConfigurationError, EngineError


def test_every_socket_has_its_name_in_the_run_folder(tmp_path: Path) -> None:
    names = {place(Path("/h")).name for place in (control_socket, handover_socket, venue_socket)}
    assert names == {"engine.sock", "handover.sock", "venue.sock"}
    assert control_socket(Path("/h")).parent == run_folder(Path("/h")) == Path("/h/run")


def test_a_path_that_no_socket_can_have_is_a_sentence_that_names_the_option() -> None:
    longest = Path("/" + "x" * (MOST_BYTES - len("//run/engine.sock")))
    assert len(str(control_socket(longest))) == MOST_BYTES
    with pytest.raises(ConfigurationError, match=r"has 101 bytes; a socket's may have at most 100.*--home") as caught:
        control_socket(longest.with_name("x" + longest.name))
    assert caught.value.details == {"bytes": 101, "most": 100}


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = prepare_run_folder(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    prepare_run_folder(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "what others may do is taken away"


def test_what_is_no_folder_of_ours_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    run_folder(tmp_path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="not a folder of yours"):
        prepare_run_folder(tmp_path)
    run_folder(tmp_path).unlink()
    run_folder(tmp_path).write_text("")
    with pytest.raises(EngineError, match="cannot be made"):
        prepare_run_folder(tmp_path)


def test_a_build_is_told_by_what_its_files_are() -> None:
    assert re.fullmatch("[0-9a-f]{12}", build_id())
    assert release() == version("quarterdeck")
