"""The command `doctor`: everything of a home folder looked at, a line each, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.doctor import Finding

__all__ = ["doctor"]

SIGNS = {"ok": "ok     ", "warning": "WARNING", "failed": "FAILED ", "off": "-      "}


@click.command()
@click.option("--deep", is_flag=True, help="Also read through every fact and every database.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_context
def doctor(context: click.Context, deep: bool, as_json: bool) -> None:
    """Check everything about this home folder, with the engine running or dead; nothing is changed.

    The exit status is 1 when something has failed.
    """
    from dataclasses import asdict

    from engine.control.doctor import diagnose

    invocation: Invocation = context.obj

    def show(finding: Finding) -> None:
        say(f"{SIGNS[finding.state]}  {finding.name:<12} {finding.words}")
        if finding.advice:
            say(f"{'':<22} -> {finding.advice}")

    found = diagnose(invocation.home, deep=deep, told=(lambda _: None) if as_json else show)
    if as_json:
        say_json([asdict(finding) for finding in found])
    context.exit(1 if any(finding.state == "failed" for finding in found) else 0)
