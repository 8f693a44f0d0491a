"""The command line of the operations table: `quarterdeck NOUN VERB` for every operation, made from its request.

Nothing here knows a single operation: options come from the request's fields, words from its docstring, what is asked
before sending from its tier. Commands written by hand under the same noun come first; the table adds what is left.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from console.guessing import GuessingGroup
from console.operation_shapes import NOT_COMMANDS, OF_ACCOUNTS, POSITIONAL, PREVIEWED, PROMPTED
from console.plain import say, say_json
from engine.control.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.cli import Invocation
    from engine.control.registry import Operation
    from engine.control.views import EngineStatus

__all__ = ["NounGroup"]


class NounGroup(GuessingGroup):
    """The operations of one noun as commands.

    Args:
        name: Of the command.
        noun: Before the dot of the operations' names.
        help: One sentence.
        by_hand: A group whose commands come first and are not made again.
    """

    def __init__(self, name: str, noun: str, help: str, by_hand: click.Group | None = None) -> None:
        super().__init__(name=name, help=help)
        self.noun = noun
        self._by_hand = by_hand

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands: those made by hand, then the operations."""
        known = list(self._by_hand.list_commands(ctx)) if self._by_hand is not None else []
        return known + [verb for verb in _verbs(self.noun) if verb not in known]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; dashes and underscores are the same."""
        if self._by_hand is not None:
            found = self._by_hand.get_command(ctx, cmd_name)
            if found is not None:
                return found
        entry = _verbs(self.noun).get(cmd_name.replace("_", "-"))
        return _command(entry) if entry is not None else None


def _table() -> dict[str, Operation]:
    from engine.control.ops import all as entered
    from engine.control.registry import OPERATIONS

    assert entered.__all__
    return OPERATIONS


def _verbs(noun: str) -> dict[str, Operation]:
    table = sorted(_table().items())
    found = {name: entry for name, entry in table if name.partition(".")[0] == noun and name not in NOT_COMMANDS}
    return {name.partition(".")[2].replace("_", "-"): entry for name, entry in found.items()}


def _command(entry: Operation) -> click.Command:
    from console.operation_options import options_of

    params = options_of(entry)
    if entry.starts_job:
        params.append(click.Option(["--follow"], is_flag=True, help="Wait until the job has ended."))
    if entry.mutates:
        text = "Id of this request; a repeat with the same one does nothing more and shows the first answer."
        params.append(click.Option(["--request-id", "request_id"], metavar="ID", help=text))
    if str(entry.tier) != "free":
        params.append(click.Option(["--yes", "agreed"], is_flag=True, help="Do not ask; for scripts."))
    params.append(click.Option(["--json", "as_json"], is_flag=True, help="Print exactly what the wire carries."))

    def run(**typed: Any) -> None:
        invocation: Invocation = click.get_current_context().obj
        _run(invocation, entry, typed)

    return click.Command(
        name=entry.name.partition(".")[2].replace("_", "-"), params=params, callback=run, help=_help(entry)
    )


def _help(entry: Operation) -> str:
    place = " ".join(f"{name.upper()}" for name in POSITIONAL.get(entry.name, ()))
    fields = entry.request.model_fields
    said = [f"{name.upper()}: {fields[name].description}" for name in POSITIONAL.get(entry.name, ())]
    return "\n\n".join([entry.doc, *(["\b\n" + "\n".join(said)] if place else [])])


# --- running ---------------------------------------------------------------------------------------------------------


def _run(invocation: Invocation, entry: Operation, typed: dict[str, Any]) -> None:
    from console.operation_call import fresh_request_id, perform
    from console.operation_options import faults_of, request_of

    as_json = typed.pop("as_json")
    agreed, follow = typed.pop("agreed", False), typed.pop("follow", False)
    request_id = typed.pop("request_id", None) or (fresh_request_id() if entry.mutates else None)
    params = request_of(entry, typed)
    asked = PROMPTED.get(entry.name)
    if asked is not None and asked not in params:
        from console.live_prompt import words_typed

        params[asked] = words_typed(invocation.home, params["account"])
    faults = faults_of(entry.request, params)
    if faults:
        raise click.UsageError("; ".join(faults) + ".")
    if str(entry.tier) != "free" and not agreed:
        _ask(invocation, entry, params)
    reply = perform(invocation.home, entry, params, request_id, follow=follow)
    from console.reply_text import plain, show

    if as_json:
        say_json(plain(reply))
    else:
        show(reply)
        if entry.name in OF_ACCOUNTS:
            _say_unknown(invocation)
    if getattr(reply, "ready", True) is False:
        # Scripts and supervisors ask by the status alone.
        click.get_current_context().exit(int(ExitCode.REFUSED))


def _say_unknown(invocation: Invocation) -> None:
    """Say of which accounts nothing is known, so that an empty list is not taken for an empty account."""
    from console.operation_call import perform

    status: EngineStatus = perform(invocation.home, _table()["engine.status"], {})
    unknown = [f"{place.venue}/{place.account}" for place in status.places if place.account and not place.known]
    if unknown:
        say(f"Not known yet, and not in this: what is in {', '.join(unknown)}. See `venues list`.", err=True)


def _ask(invocation: Invocation, entry: Operation, params: Mapping[str, Any]) -> None:
    """Show what will be sent, and go on only when a person agrees.

    Raises:
        ClickException: Nobody is there to be asked.
        Abort: The person did not agree.
    """
    if not sys.stdin.isatty():
        raise click.ClickException(
            f"{entry.name} asks before it is sent, and there is no terminal to ask on; nothing was sent. "
            "Say --yes when it shall be sent."
        )
    for line in _sent(invocation, entry, params):
        say(line, err=True)
    if str(entry.tier) == "confirm":
        click.confirm("Send it?", abort=True, err=True)
        return
    word = entry.name.partition(".")[2].replace("_", " ")
    if click.prompt(f"Type {word!r} to send it", err=True).strip().lower() != word:
        raise click.Abort


def _sent(invocation: Invocation, entry: Operation, params: Mapping[str, Any]) -> list[str]:
    from console.reply_text import figure, sentence_of

    request = entry.request.model_validate(dict(params)).model_dump(exclude_none=True)
    lines = [f"{entry.name} would be sent to the engine of {invocation.home}:"]
    lines += [f"  {name.replace('_', ' ')}: {figure(name, value)}" for name, value in request.items()]
    before = PREVIEWED.get(entry.name)
    if before is not None:
        from console.operation_call import perform

        asked = _table()[before]
        same = {name: value for name, value in params.items() if name in asked.request.model_fields}
        lines += sentence_of(perform(invocation.home, asked, same))
    return lines
