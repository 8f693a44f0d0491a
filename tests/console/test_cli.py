"""The command line answers at once and says where things live."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from console import cli
from console.commands import COMMANDS, DEFAULT, CommandEntry
from console.home import default_home
from engine.errors import ConfigurationError

HEAVY = ("textual", "rich", "numpy", "pandas", "pydantic", "msgspec", "sqlalchemy", "ccxt", "asyncio")


@click.command()
@click.pass_obj
def show_home(invocation: cli.Invocation) -> None:
    """Print the home folder."""
    click.echo(str(invocation.home))


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command `show` into the table."""
    monkeypatch.setitem(COMMANDS, "show", CommandEntry(f"{__name__}:show_home", "Print the home folder."))


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from console.cli import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: quarterdeck" in done.stdout
    assert "heavy: []" in done.stdout


def test_help_lists_every_command_of_the_table() -> None:
    listing = CliRunner().invoke(cli.root, ["--help"]).output
    for name, entry in COMMANDS.items():
        assert name in listing
        assert entry.help.split()[0] in listing


def test_every_line_of_the_table_leads_to_a_click_command() -> None:
    context = click.Context(cli.root)
    for name in COMMANDS:
        assert isinstance(cli.root.get_command(context, name), click.Command), name


def test_version_is_that_of_the_installed_project() -> None:
    assert CliRunner().invoke(cli.root, ["--version"]).output == "quarterdeck 2.0.0\n"


@pytest.mark.usefixtures("show")
def test_home_option_wins_over_the_environment(tmp_path: Path) -> None:
    wanted, other = tmp_path / "wanted", tmp_path / "other"
    runner = CliRunner(env={"QUARTERDECK_HOME": str(other)})
    assert runner.invoke(cli.root, ["--home", str(wanted), "show"]).output.strip() == str(wanted)
    assert runner.invoke(cli.root, ["show"]).output.strip() == str(other)


@pytest.mark.usefixtures("show")
def test_home_defaults_to_the_platforms_place_and_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUARTERDECK_HOME", raising=False)
    home = Path(CliRunner().invoke(cli.root, ["show"]).output.strip())
    assert home == default_home()
    assert home.is_absolute()
    assert not home.exists() or home.is_dir()


def test_an_unknown_command_is_refused_by_name() -> None:
    result = CliRunner().invoke(cli.root, ["no-such-command"])
    assert result.exit_code == 2
    assert "no-such-command" in result.output


@pytest.mark.usefixtures("show")
def test_without_a_command_the_console_is_started_with_the_invocation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[cli.Invocation] = []

    def start(invocation: cli.Invocation) -> int:
        started.append(invocation)
        return 3

    monkeypatch.setattr(cli, "load", lambda target: start if target == DEFAULT else None)
    result = CliRunner().invoke(cli.root, ["--home", str(tmp_path), "--scene", "market-5hz"])
    assert result.exit_code == 3
    assert started == [cli.Invocation(home=tmp_path, scene="market-5hz")]


def test_an_error_of_the_house_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(_invocation: cli.Invocation) -> int:
        raise ConfigurationError("settings.toml: unknown key `rsik`. Did you mean `risk`?")

    monkeypatch.setattr(cli, "load", lambda _target: start)
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == 1
    assert capsys.readouterr().err == (
        "Settings need a correction: settings.toml: unknown key `rsik`. Did you mean `risk`?\n"
    )
