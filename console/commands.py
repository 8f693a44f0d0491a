"""The table of sub-commands: a name, where it lives, and the line that `--help` shows.

A command is imported when it is run, never to list it: whoever adds one adds a line here and a click command there. An
entry with a noun is a group that offers every operation of that noun; where it also has a target, the commands of that
group come first.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ALIASES", "COMMANDS", "DEFAULT", "CommandEntry"]


class CommandEntry(NamedTuple):
    """Where a sub-command is found and how it introduces itself."""

    target: str
    """`module:attribute` of a click command or group; empty for a group that is made of operations alone."""
    help: str
    """One sentence, shown in the list of commands."""
    noun: str = ""
    """Noun of the operations that the group offers."""


DEFAULT = "console.launcher:main"
"""What a call without a sub-command starts: a function of the `Invocation` that returns the exit status."""

COMMANDS: dict[str, CommandEntry] = {
    "status": CommandEntry("console.lifecycle:status", "Say whether an engine runs in this home folder."),
    "stop": CommandEntry("console.lifecycle:stop", "Stop the engine of this home folder."),
    "panic": CommandEntry("console.panic_command:panic", "Cancel and close everything, with or without the engine."),
    "attach": CommandEntry("console.attach:attach", "Open a console on the engine that runs in this home folder."),
    "engine": CommandEntry(
        "console.engine_commands:engine", "Start, stop, restart and look at an engine without a console.", "engine"
    ),
    "orders": CommandEntry("", "Place, change, cancel and list orders.", "orders"),
    "algos": CommandEntry("", "Trade an order in parts: start, pause, hasten, end and list algorithms.", "algos"),
    "portfolio": CommandEntry("", "Positions, balances and equity of the account.", "portfolio"),
    "bots": CommandEntry("", "Create, start, stop and list bots.", "bots"),
    "universe": CommandEntry(
        "console.universe_commands:universe", "Which markets a rule means, now or then.", "universe"
    ),
    "arbitrage": CommandEntry("", "What arbitrage there is between the markets that are followed.", "arbitrage"),
    "capital": CommandEntry("", "Pools, rebalancing, profit, money in and out, the ledger.", "capital"),
    "risk": CommandEntry("", "Halt and resume trading; limits, breakers, emergency stop.", "risk"),
    "margin": CommandEntry("", "Leverage and margin mode of perpetuals.", "margin"),
    "market": CommandEntry("", "Prices, books, trades and candles.", "market"),
    "instruments": CommandEntry("", "Search what can be traded, and choose what is watched.", "instruments"),
    "venues": CommandEntry("", "How the way to every venue is.", "venues"),
    "facts": CommandEntry("", "Read what happened, from the journal.", "facts"),
    "jobs": CommandEntry("", "Heavy work under way: list, look, cancel.", "jobs"),
    "health": CommandEntry("", "How the parts of the engine are.", "health"),
    "state": CommandEntry("", "Check the engine's state against venue and database; read the trail.", "state"),
    "recovery": CommandEntry("", "What the last starts found and did.", "recovery"),
    "watch": CommandEntry("console.topic_commands:watch", "Print what a topic says, a JSON object a line."),
    "clients": CommandEntry("", "Who is connected to the engine.", "clients"),
    "api": CommandEntry("", "Describe every operation, topic and error.", "api"),
    "trades": CommandEntry("", "List round trips.", "trades"),
    "quality": CommandEntry("", "What executions cost, how fast they were, why trades made what they made.", "quality"),
    "errors": CommandEntry("", "What went wrong, what repeats, what was done about it.", "errors"),
    "alerts": CommandEntry("", "List and acknowledge alerts.", "alerts"),
    "logs": CommandEntry("", "Read the newest lines of the logs.", "logs"),
    "replay": CommandEntry("console.replay_command:replay", "Look at any moment of the past, read-only."),
    "backtest": CommandEntry(
        "console.backtest_commands:backtest", "Run backtests on stored candles, show stored runs.", "backtests"
    ),
    "data": CommandEntry("console.data_commands:data", "Download, import, list, export and delete candles.", "data"),
    "import": CommandEntry(
        "console.moving_commands:import_from", "Move in from freqtrade, hummingbot or jesse.", "moving"
    ),
    "recordings": CommandEntry("", "Recordings of market data: list, delete, make candles of them.", "recordings"),
    "strategies": CommandEntry(
        "console.strategy_commands:strategies", "List, begin and check strategies.", "strategies"
    ),
    "live": CommandEntry("", "Trade real money: who has agreed, which console is armed.", "live"),
    "keys": CommandEntry("console.keys_commands:keys", "Keep the keys of accounts at exchanges.", "keys"),
    "venue": CommandEntry(
        "console.venue_commands:venue", "Check a venue; run the paper venue as a process of its own."
    ),
    "storage": CommandEntry("console.home_commands:storage", "Look after the report database."),
    "backup": CommandEntry(
        "console.backup_commands:backup", "Make, list, check and restore copies of the home folder."
    ),
    "doctor": CommandEntry("console.doctor_commands:doctor", "Check everything about this home folder."),
    "journal": CommandEntry(
        "console.journal_commands:journal", "Look into the journal, check it, write it out, repair it."
    ),
    "report": CommandEntry("console.report_commands:report", "Write reports for others, such as a tax office."),
    "config": CommandEntry("console.home_commands:config", "Show, check and change the settings.", "config"),
    "paths": CommandEntry("console.home_commands:paths", "Say where everything of this home folder is."),
}
"""Name to entry, in the order in which `--help` lists them."""

ALIASES = {"backtests": "backtest", "moving": "import"}
"""Other name -> name of the table, so that the noun of an operation is always a command as well."""
