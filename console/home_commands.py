"""The commands `storage`, `paths` and `config`: what a home folder holds and how it is set up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from console.home import prepare_home
from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation

__all__ = ["config", "paths", "storage"]


@click.group()
def storage() -> None:
    """Look after the report database."""


@storage.command()
@click.pass_obj
def migrate(invocation: Invocation) -> None:
    """Bring the database's schema up to date; a SQLite file is copied to `backups` first."""
    from engine.control.offline import migrate_storage

    done = asyncio.run(migrate_storage(prepare_home(invocation.home)))
    if done["before"] == done["after"]:
        say(f"{done['place']} is up to date (schema {done['after']}).")
        return
    say(f"{done['place']}: schema {done['before'] or 'none'} became {done['after']}.")
    if done["backup"]:
        say(f"A copy from before is at {done['backup']}.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def paths(invocation: Invocation, as_json: bool) -> None:
    """Say where everything of this home folder is."""
    from engine.control.offline import home_paths

    found = home_paths(invocation.home)
    if as_json:
        say_json(found)
        return
    for name, place in found.items():
        say(f"{name:<12}  {place}")


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show_config(invocation: Invocation, as_json: bool) -> None:
    """Show every setting in force, secrets masked."""
    from engine.control.offline import settings_values

    values = settings_values(invocation.home)
    if as_json:
        say_json(values)
        return
    for name, value in values.items():
        if isinstance(value, dict):
            for inner, content in value.items():
                say(f"{name}.{inner} = {content}")
        else:
            say(f"{name} = {value}")


@config.command()
@click.pass_obj
def check(invocation: Invocation) -> None:
    """Check all settings; every fault is listed with where it was found, and the exit status is 1."""
    from engine.control.offline import settings_values

    settings_values(invocation.home)
    say(f"The settings of {invocation.home} can be used.")


@config.command()
def schema() -> None:
    """Print the JSON Schema of all settings."""
    from engine.control.offline import settings_schema

    say_json(settings_schema())
