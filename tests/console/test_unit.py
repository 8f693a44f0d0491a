"""The systemd unit: what it says, where it is written, and what a person is told to do next."""

from __future__ import annotations

import configparser
import shlex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from console.cli import root
from console.home import default_home
from console.unit import unit_name, unit_path, unit_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def read(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(text)
    return found


def test_the_unit_promises_what_the_engine_keeps(tmp_path: Path) -> None:
    unit = read(unit_text(tmp_path))
    service = unit["Service"]
    wanted = {
        "Type": "notify",
        "WatchdogSec": "30",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "3",
        "KillMode": "mixed",
        "NoNewPrivileges": "yes",
        "UMask": "0077",
        "ExecReload": "/bin/kill -HUP $MAINPID",
    }
    assert {name: service[name] for name in wanted} == wanted
    assert (unit["Unit"]["StartLimitIntervalSec"], unit["Unit"]["StartLimitBurst"]) == ("600", "5")
    assert int(service["TimeoutStopSec"]) > 30
    command = shlex.split(service["ExecStart"])
    assert command[1:] == ["--home", str(tmp_path), "engine", "start", "--foreground"]
    assert unit["Install"]["WantedBy"] == "default.target"


def test_a_folder_with_signs_that_mean_something_to_systemd_is_written_so_that_they_do_not(tmp_path: Path) -> None:
    text = unit_text(tmp_path / 'my 100% "own" $home')
    assert '"' + str(tmp_path) + '/my 100%% \\"own\\" $$home"' in text


def test_the_usual_home_has_the_plain_name_and_another_one_its_own(tmp_path: Path) -> None:
    assert unit_name(default_home()) == "quarterdeck.service"
    assert unit_name(tmp_path / "my paper") == "quarterdeck-my-paper.service"


def test_it_is_written_once_and_not_over_something_else(tmp_path: Path, config: Path) -> None:
    arguments = ["--home", str(tmp_path / "one"), "engine", "install-unit"]
    first = CliRunner().invoke(root, arguments)
    assert first.exit_code == 0, first.output
    path = unit_path(tmp_path / "one")
    assert path.is_relative_to(config)
    assert path.read_text(encoding="utf-8") == unit_text(tmp_path / "one")
    for step in ("systemctl --user daemon-reload", "enable --now quarterdeck-one.service", "loginctl enable-linger"):
        assert step in first.output
    assert CliRunner().invoke(root, arguments).exit_code == 0
    path.write_text("[Unit]\n", encoding="utf-8")
    refused = CliRunner().invoke(root, arguments)
    assert refused.exit_code == 1
    assert "says something else" in refused.output
    assert CliRunner().invoke(root, [*arguments, "--force"]).exit_code == 0
    assert path.read_text(encoding="utf-8") == unit_text(tmp_path / "one")


def test_printing_writes_nothing(tmp_path: Path, config: Path) -> None:
    said = CliRunner().invoke(root, ["--home", str(tmp_path), "engine", "install-unit", "--print"])
    assert said.output == unit_text(tmp_path)
    assert not config.exists()
