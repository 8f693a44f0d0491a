"""The table of sub-commands: a name, where it lives, and the line that `--help` shows.

A command is imported when it is run, never to list it: whoever adds one adds a line here and a click command there.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "DEFAULT", "CommandEntry"]


class CommandEntry(NamedTuple):
    """Where a sub-command is found and how it introduces itself."""

    target: str
    """`module:attribute` of a click command or group."""
    help: str
    """One sentence, shown in the list of commands."""


DEFAULT = "console.launcher:main"
"""What a call without a sub-command starts: a function of the `Invocation` that returns the exit status."""

COMMANDS: dict[str, CommandEntry] = {
    "status": CommandEntry("console.lifecycle:status", "Say whether an engine runs in this home folder."),
    "stop": CommandEntry("console.lifecycle:stop", "Stop the engine of this home folder."),
    "backtest": CommandEntry(
        "console.backtest_commands:backtest", "Run backtests on stored candles, show stored runs."
    ),
    "data": CommandEntry("console.data_commands:data", "Import, list, export and delete candles."),
    "venue": CommandEntry("console.venue_commands:venue", "Run the paper venue as a process of its own."),
    "strategies": CommandEntry("console.home_commands:strategies", "List the strategies that can be used."),
    "storage": CommandEntry("console.home_commands:storage", "Look after the report database."),
    "config": CommandEntry("console.home_commands:config", "Show and check the settings."),
    "paths": CommandEntry("console.home_commands:paths", "Say where everything of this home folder is."),
}
"""Name to entry, in the order in which `--help` lists them."""
