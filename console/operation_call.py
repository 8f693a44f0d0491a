"""One operation for one command: over the engine's socket, or in the home folder alone where no engine is needed.

A changing call carries a request id. When the connection ends after it was sent, nobody here knows whether it was done:
the command says so, with the id under which asking again is safe, and ends with a status of its own.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import TYPE_CHECKING, Any

import click

from console.home import command_line
from engine.control.exit_codes import OUTCOME_UNKNOWN, ExitCode
from engine.control.views import JobRow
from engine.errors import EngineNotRunningError, QuarterdeckError
from engine.model.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from engine.control.client import SocketLink
    from engine.control.link import EngineLink
    from engine.control.registry import Operation

__all__ = ["OutcomeUnknown", "fresh_request_id", "perform", "reach"]

WAIT_S = 20.0
"""How long one question for a job's state may take; the engine answers at its end or after this."""


class OutcomeUnknown(click.ClickException):
    """A changing request was sent and no answer came."""

    exit_code = int(ExitCode.UNKNOWN)


def fresh_request_id() -> str:
    """A request id nobody has used."""
    return secrets.token_hex(10)


def reach(home: Path) -> AbstractAsyncContextManager[SocketLink]:
    """A link to the engine of a home folder for the time of a command.

    Raises:
        EngineNotRunningError: None runs there, or it does not answer.
    """
    import logging

    from engine.control.client import open_link

    # What the link notes on its way is not for the terminal: the command says itself what came of it.
    logging.getLogger().addHandler(logging.NullHandler())
    return open_link(home)


def perform(
    home: Path, entry: Operation, params: Mapping[str, Any], request_id: str | None = None, *, follow: bool = False
) -> Any:
    """Do an operation and return its reply.

    Args:
        home: Home folder of the engine.
        entry: What to do.
        params: Fields of its request.
        request_id: Under which a changing operation is known; None for one that changes nothing.
        follow: Wait for the end of the job that it begins, telling a person how far it is.

    Raises:
        EngineNotRunningError: There is no engine; nothing was sent.
        OutcomeUnknown: The connection ended after a changing request was sent.
        QuarterdeckError: What the operation refuses with.
    """
    return asyncio.run(_perform(home, entry, params, request_id, follow=follow))


async def _perform(
    home: Path, entry: Operation, params: Mapping[str, Any], request_id: str | None, *, follow: bool
) -> Any:
    if entry.offline and not _running(home):
        return await _alone(home, entry, params)
    async with reach(home) as link:
        try:
            reply = await link.call(entry.name, params, request_id=request_id)
        except EngineNotRunningError as error:
            if error.error_code != OUTCOME_UNKNOWN:
                raise
            if not entry.mutates:
                raise EngineNotRunningError(f"The engine went before it answered {entry.name}.") from error
            raise OutcomeUnknown(_unknown(home, entry, request_id)) from error
        if follow and isinstance(reply, JobRow):
            return await _followed(link, reply)
        return reply


def _running(home: Path) -> bool:
    from engine.control.lock import find_holder

    return find_holder(home) is not None


async def _alone(home: Path, entry: Operation, params: Mapping[str, Any]) -> Any:
    """Without an engine; a job is waited for, since it lives no longer than this command."""
    from console.home import prepare_home
    from console.offline_call import do_job
    from engine.control.offline import offline

    async with offline(prepare_home(home)) as host:
        if entry.starts_job:
            return await do_job(host, entry.name, params)
        return await host.call(entry.name, params)


async def _followed(link: EngineLink, job: JobRow) -> JobRow:
    watched = sys.stderr.isatty()
    while job.state in ("queued", "running"):
        # With somebody looking, in short steps, so that the progress moves.
        job = await link.call("jobs.get", {"id": job.id, "wait": 0.5 if watched else WAIT_S})
        if watched:
            click.echo(f"\r\x1b[2K{job.progress:4.0%} {clean(job.message)}", nl=False, err=True)
    if watched:
        click.echo("\r\x1b[2K", nl=False, err=True)
    if job.state != "done":
        raise QuarterdeckError(clean(job.message) or f"The job was {job.state}.")
    return job


def _unknown(home: Path, entry: Operation, request_id: str | None) -> str:
    again = command_line(home, f"{entry.name.replace('.', ' ').replace('_', '-')} … --request-id {request_id}")
    return (
        f"The connection ended before the engine answered, so whether {entry.name} was done is not known. It was sent "
        f"under the request id {request_id}: give the same command with that id, and it is done at most once.\n{again}"
    )
