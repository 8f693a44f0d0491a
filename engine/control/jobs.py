"""Heavy work as jobs: one spawned process each, with progress over a pipe; cancelled by ending it, dying with us.

The event loop only reads lines from pipes. A worker is `python -m engine.control.worker`; it gets its task as JSON on
standard input and answers with one JSON object a line: `{"progress": 0.4, "message": "…"}`, at the end
`{"result": "id"}` or `{"error": "sentence"}`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections import OrderedDict
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
LINE_LIMIT = 1 << 20

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
        )


class Jobs:
    """All jobs of one home folder. Everything here runs on the event loop and returns at once."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
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
            ConflictError: The engine is stopping.
        """
        if self._closed:
            raise ConflictError("The engine is stopping; no job is started any more.")
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
        if job.state in (QUEUED, RUNNING):
            self._end(job, CANCELLED, "cancelled")
            if job.process is not None and job.process.returncode is None:
                job.process.terminate()
        return job.row()

    async def wait(self, job_id: str) -> JobRow:
        """Return when a job has ended. Cancelling the wait leaves the job alone."""
        job = self._find(job_id)
        await job.ended.wait()
        return job.row()

    async def close(self) -> None:
        """End all jobs."""
        self._closed = True
        for job in self._jobs.values():
            self.cancel(job.id)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

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
        job.state, job.message, job.result, job.finished = state, message, result, self._clock.now()
        if state == DONE:
            job.progress = 1.0
        job.ended.set()

    async def _run(self, job: _Job) -> None:
        async with self._places:
            if job.finished:
                return
            job.state = RUNNING
            try:
                await self._work(job)
            except OSError as error:
                log.warning("a job could not be run", job=job.id, problem=str(error))
                self._end(job, FAILED, f"The worker process could not be run: {error}.")
            finally:
                process = job.process
                if process is not None and process.returncode is None:
                    process.kill()
                    await process.wait()

    async def _work(self, job: _Job) -> None:
        process = job.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "engine.control.worker",
            job.kind,
            str(self._home),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise OSError("the worker has no pipes")
        complaints = asyncio.get_running_loop().create_task(process.stderr.read(), name=f"{job.id} errors")
        process.stdin.write(orjson.dumps(job.task))
        process.stdin.close()
        try:
            async for line in process.stdout:
                self._hear(job, line)
            code = await process.wait()
            said = (await complaints).decode(errors="replace").strip()
        finally:
            complaints.cancel()
        if not job.finished:
            log.error("a worker ended without a result", job=job.id, code=code, errors=said[-4000:])
            self._end(job, FAILED, f"The worker ended without a result (status {code}); the log has its last words.")

    def _hear(self, job: _Job, line: bytes) -> None:
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError:
            log.warning(
                "a worker said something that is no message", job=job.id, line=line[:200].decode(errors="replace")
            )
            return
        if "progress" in said:
            job.progress, job.message = float(said["progress"]), str(said.get("message", ""))
        elif "error" in said:
            self._end(job, FAILED, str(said["error"]))
        elif "result" in said:
            self._end(job, DONE, str(said.get("message", "")), str(said["result"]))
