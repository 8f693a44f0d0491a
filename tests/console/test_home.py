"""The home folder is found in one order, made for its owner alone, and refused by a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.home import command_line, default_home, prepare_home, resolve_home
from engine.errors import ConfigurationError


def test_what_was_said_wins_over_the_environment_and_that_over_the_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "named"))
    assert resolve_home(tmp_path / "said") == tmp_path / "said"
    assert resolve_home() == tmp_path / "named"
    monkeypatch.delenv("QUARTERDECK_HOME")
    assert resolve_home() == default_home()


def test_a_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_home(Path("here")) == tmp_path / "here"


def test_it_is_made_for_its_owner_alone_with_the_folders_above_it(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "a" / "b")
    assert home.stat().st_mode & 0o777 == 0o700
    assert prepare_home(home) == home


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be used .*--home"):
        prepare_home(tmp_path / "file")


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write everywhere, so the system's answer is given here.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="may not be read and written"):
        prepare_home(tmp_path)


def test_a_command_names_the_home_only_where_it_is_not_the_one_that_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    assert command_line(tmp_path, "stop") == "quarterdeck stop"
    assert command_line(tmp_path / "my own", "stop") == f"quarterdeck --home '{tmp_path}/my own' stop"
