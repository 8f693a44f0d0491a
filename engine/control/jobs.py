"""Heavy work as jobs: one spawned process each, with progress over a pipe; cancelled by ending it, dying with us.

The event loop only reads lines from pipes. A worker is `python -m engine.control.worker KIND HOME PARENT`; it gets its
task as JSON on standard input and answers with one JSON object a line: `{"progress": 0.4, "message": "…"}`, at the end
`{"result": "id", "message": "…", "report": {…}}` or `{"error": "sentence"}`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from engine.control.views import JobRow
from engine.errors import ConflictError, NotFoundError
from engine.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from engine.clock import Clock

__all__ = ["Jobs"]

log = get_logger(__name__)

AT_ONCE = 1
"""Workers that run at the same time; the engine keeps the other core."""
KEPT = 100
"""Jobs remembered after their end."""
WAITING = 50
"""Jobs that may wait for their turn; one more is refused."""
LINE_LIMIT = 1 << 20
SHOWN = 500
"""Characters of a message that are kept."""
LAST_WORDS = 4_000
"""Characters of a worker's standard error that are kept for the log."""
GONE_STEP_S = 0.02
"""How often it is looked whether a process has ended."""
GRACE_S = 2.0
"""How long a worker that shall end may take."""

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"


@dataclass(slots=True)
class _Job:
    id: str
    kind: str
    title: str
    task: dict[str, Any]
    started: int
    state: str = QUEUED
    progress: float = 0.0
    message: str = ""
    finished: int = 0
    result: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def row(self) -> JobRow:
        return JobRow(
            id=self.id,
            kind=self.kind,
            title=self.title,
            state=self.state,
            progress=self.progress,
            message=self.message,
            started=self.started,
            finished=self.finished,
            result=self.result,
            report=self.report,
        )


class Jobs:
    """All jobs of one home folder, run in the order in which they came.

    Everything here runs on the event loop and returns at once.

    Args:
        home: Home folder that the workers work in.
        clock: Gives the times of the rows.
        at_once: Workers that run at the same time.
    """

    def __init__(self, home: Path, clock: Clock, at_once: int = AT_ONCE) -> None:
        self._home = home
        self._clock = clock
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(at_once)
        self._closed = False

    def rows(self) -> list[JobRow]:
        """All remembered jobs, the newest first."""
        return [job.row() for job in reversed(self._jobs.values())]

    def get(self, job_id: str) -> JobRow:
        """One job.

        Raises:
            NotFoundError: There is none of that id.
        """
        return self._find(job_id).row()

    def start(self, kind: str, title: str, task: dict[str, Any]) -> JobRow:
        """Queue a job.

        Args:
            kind: What the worker shall do, such as `backtest`.
            title: What a person reads.
            task: Plain values for the worker.

        Raises:
            ConflictError: The engine is stopping, or too many jobs are waiting.
        """
        if self._closed:
            raise ConflictError("The engine is stopping; no job is started any more.")
        if sum(job.state == QUEUED for job in self._jobs.values()) >= WAITING:
            raise ConflictError(f"{WAITING} jobs are waiting already; wait for some to end, or cancel them.")
        job = _Job(f"job-{secrets.token_hex(4)}", kind, title, task, self._clock.now())
        self._jobs[job.id] = job
        self._forget_old()
        work = asyncio.get_running_loop().create_task(self._run(job), name=job.id)
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)
        return job.row()

    def cancel(self, job_id: str) -> JobRow:
        """End a job; one that has ended stays as it is.

        Raises:
            NotFoundError: There is none of that id.
        """
        job = self._find(job_id)
        if not job.finished:
            self._end(job, CANCELLED, "cancelled")
            if job.process is not None:
                _signal_group(job.process, signal.SIGTERM)
        return job.row()

    async def wait(self, job_id: str) -> JobRow:
        """Return when a job has ended. Cancelling the wait leaves the job alone."""
        job = self._find(job_id)
        await job.ended.wait()
        return job.row()

    async def close(self) -> None:
        """End all jobs and return when their processes are gone."""
        self._closed = True
        for job in self._jobs.values():
            self.cancel(job.id)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * GRACE_S)

    def _find(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id}; list the jobs to see their ids.")
        return job

    def _forget_old(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.finished]
        for job_id in ended[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[job_id]

    def _end(self, job: _Job, state: str, message: str, result: str = "") -> None:
        if job.finished:
            return
        job.state, job.message, job.result, job.finished = state, message[:SHOWN], result, self._clock.now()
        if state == DONE:
            job.progress = 1.0
        job.ended.set()

    # --- one worker --------------------------------------------------------------------------------------------------

    async def _run(self, job: _Job) -> None:
        async with self._places:
            if job.finished:
                return
            job.state, job.started = RUNNING, self._clock.now()
            try:
                await self._work(job)
            except Exception as error:
                # Whatever a worker does, its job ends and the next one has its turn.
                log.exception("a job could not be run", job=job.id)
                self._end(job, FAILED, f"The worker process could not be run: {error}.")
            finally:
                process = job.process
                if process is not None and process.returncode is None:
                    _signal_group(process, signal.SIGKILL)
                    await self._gone(process)

    def _command(self, kind: str) -> list[str]:
        # -P: a folder named `engine` where the person happens to be is none of ours.
        return [sys.executable, "-P", "-m", "engine.control.worker", kind, str(self._home), str(os.getpid())]

    async def _work(self, job: _Job) -> None:
        process = job.process = await asyncio.create_subprocess_exec(
            *self._command(job.kind),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            # A group of its own: ^C in a terminal is not meant for it, and what it starts ends with it.
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise OSError("the worker has no pipes")
        if job.finished:
            # Cancelled while it was being started.
            return
        process.stdin.write(orjson.dumps(job.task))
        process.stdin.close()
        loop = asyncio.get_running_loop()
        hearing = loop.create_task(self._listen(job, process.stdout), name=f"{job.id} hearing")
        complaints = loop.create_task(_last_words(process.stderr), name=f"{job.id} complaints")
        ended = loop.create_task(job.ended.wait(), name=f"{job.id} ended")
        gone = loop.create_task(self._gone(process), name=f"{job.id} gone")
        try:
            await asyncio.wait({hearing, ended, gone}, return_when=asyncio.FIRST_COMPLETED)
            # The pipe may still hold its last line, and a process that has said everything may still be leaving.
            await asyncio.wait({hearing, gone, complaints}, timeout=GRACE_S)
            if hearing.done():
                hearing.result()
            else:
                # Whatever holds the pipe open is still there, so the group's number is not another's yet.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            if not job.finished:
                said = complaints.result() if complaints.done() else ""
                log.error("a worker ended without a result", job=job.id, code=process.returncode, errors=said)
                self._end(job, FAILED, _how_it_ended(process.returncode))
        finally:
            for task in (hearing, complaints, ended, gone):
                task.cancel()

    @staticmethod
    async def _gone(process: asyncio.subprocess.Process) -> None:
        """Return when a process has ended; asyncio's own wait also waits for whoever else holds its pipes."""
        while process.returncode is None:  # noqa: ASYNC110 - nobody tells
            # Real time, whatever the engine's clock says: processes are real.
            await asyncio.sleep(GONE_STEP_S)

    async def _listen(self, job: _Job, pipe: asyncio.StreamReader) -> None:
        async for line in pipe:
            try:
                self._hear(job, orjson.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):
                said = line[:200].decode(errors="replace")
                log.warning("a worker said something that is no message", job=job.id, line=said)

    def _hear(self, job: _Job, said: dict[str, Any]) -> None:
        if job.finished:
            return
        if "error" in said:
            self._end(job, FAILED, str(said["error"]))
        elif "result" in said:
            job.report = dict(said.get("report", {}))
            self._end(job, DONE, str(said.get("message", "")), str(said["result"]))
        else:
            job.progress = min(max(float(said["progress"]), 0.0), 1.0)
            job.message = str(said.get("message", ""))[:SHOWN]


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Tell a worker and whatever it started; only while it is there, since its number may be given to others later."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


async def _last_words(pipe: asyncio.StreamReader) -> str:
    """Read everything and keep the end of it."""
    kept = b""
    while part := await pipe.read(1 << 16):
        kept = (kept + part)[-LAST_WORDS:]
    return kept.decode(errors="replace").strip()


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "The worker fell silent without a result and was ended; the log has its last words."
    if code == -signal.SIGKILL:
        return "The worker was killed before it had a result, by hand or because memory ran out; start it again."
    if code < 0:
        return f"The worker was ended by {signal.Signals(-code).name} before it had a result; start it again."
    return f"The worker ended without a result (status {code}); the log has its last words."
