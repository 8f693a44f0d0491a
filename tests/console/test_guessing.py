"""A command that does not exist: the nearest ones are named, and nothing is run."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from console.cli import root


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["oders", "list"], "'orders'"), (["orders", "lst"], "'list'"), (["keys", "unlok"], "'unlock'")],
)
def test_the_nearest_command_is_named(typed: list[str], meant: str) -> None:
    result = CliRunner().invoke(root, typed)
    assert result.exit_code == 2
    assert f"Did you mean {meant}" in result.output


def test_a_word_that_is_near_to_nothing_is_only_refused() -> None:
    result = CliRunner().invoke(root, ["xyzzy"])
    assert result.exit_code == 2
    assert "No such command 'xyzzy'." in result.output
    assert "Did you mean" not in result.output
