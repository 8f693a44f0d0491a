"""How a command ends: five exit statuses that scripts may rely on, and which error means which.

0 done; 1 refused or failed; 2 the command line was misunderstood, nothing was sent; 3 there is no engine (or, for
whoever wants to start one, there is one already), nothing was done; 4 what was sent may or may not have been done.
"""

from __future__ import annotations

import enum

__all__ = ["MEANINGS", "OUTCOME_UNKNOWN", "ExitCode", "exit_code_of"]


OUTCOME_UNKNOWN = "outcome_unknown"
"""Code of an error after which nobody here knows whether the request was done."""


class ExitCode(enum.IntEnum):
    """Exit statuses of every command."""

    DONE = 0
    REFUSED = 1
    MISUNDERSTOOD = 2
    NO_ENGINE = 3
    UNKNOWN = 4


MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "Done. A changing command also means: what it booked is durable.",
    ExitCode.REFUSED: "Refused or failed; the sentence on standard error says why.",
    ExitCode.MISUNDERSTOOD: "The command line was misunderstood; nothing was sent.",
    ExitCode.NO_ENGINE: "No engine runs in this home folder (for who starts one: one does already). Nothing was done.",
    ExitCode.UNKNOWN: "The connection ended after a changing request was sent: it may or may not have been done. Ask "
    "again with the same request id, and it is done once.",
}
"""What each status promises, for documentation."""

_BY_KIND = {
    "engine_not_running": ExitCode.NO_ENGINE,
    "engine_running": ExitCode.NO_ENGINE,
    "unknown_outcome": ExitCode.UNKNOWN,
}


def exit_code_of(kind: str, error_code: str | None = None) -> ExitCode:
    """The exit status of an error by its `kind` and code; errors without a status of their own are refusals."""
    return ExitCode.UNKNOWN if error_code == OUTCOME_UNKNOWN else _BY_KIND.get(kind, ExitCode.REFUSED)
