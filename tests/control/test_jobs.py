"""Jobs: real processes, good and unruly ones; whatever they do, the next has its turn and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.clock import SystemClock
from engine.control import jobs as module
from engine.control.jobs import Jobs
from engine.errors import ConflictError, NotFoundError
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SAY = "import sys, json, time, os\ntask = json.load(sys.stdin)\ndef say(**m): print(json.dumps(m), flush=True)\n"
FOREVER = SAY + "say(progress=0.5, message=str(os.getpid()))\nwhile True: time.sleep(60)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
GOOD = SAY + "say(progress=0.25, message='a quarter')\nsay(result=task['id'], message='done', report={'n': 1})\n"


class Scripts(Jobs):
    """Jobs whose kind is the program of its worker."""

    started: list[str]

    def __init__(self, home: Path) -> None:
        super().__init__(home, SystemClock())
        self.started = []

    def _command(self, kind: str) -> list[str]:
        self.started.append(kind)
        return [sys.executable, "-S", "-c", kind]


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Scripts]:
    jobs = Scripts(home)
    try:
        yield jobs
    finally:
        await jobs.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    return True


async def pid_of(jobs: Jobs, job_id: str) -> int:
    """The worker's own number, once it has told it."""
    await eventually(lambda: jobs.get(job_id).message)
    return int(jobs.get(job_id).message)


async def test_a_job_tells_its_progress_while_it_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        job = jobs.start(FOREVER, "A title", {})
        assert (job.state, job.progress, job.finished) == ("queued", 0.0, 0)
        await pid_of(jobs, job.id)
        row = jobs.get(job.id)
        assert (row.state, row.progress, row.finished) == ("running", 0.5, 0)


async def test_what_a_worker_makes_is_in_its_row(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        row = await jobs.wait(jobs.start(GOOD, "A title", {"id": "bt-1"}).id)
        assert (row.state, row.progress, row.result) == ("done", 1.0, "bt-1")
        assert (row.message, row.report, row.title) == ("done", {"n": 1}, "A title")
        assert row.finished >= row.started


async def test_a_worker_that_refuses_is_quoted(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        row = await jobs.wait(jobs.start(SAY + "say(error='There are no candles.')", "t", {}).id)
        assert (row.state, row.message, row.result) == ("failed", "There are no candles.", "")


async def test_what_is_no_message_is_left_out(tmp_path: Path) -> None:
    noise = "print('hello')\nprint('[1, 2]')\nprint('{}')\nprint('{\"progress\": \"much\"}')\nprint('null')\n"
    async with running(tmp_path) as jobs:
        row = await jobs.wait(jobs.start(noise + GOOD, "t", {"id": "r"}).id)
        assert (row.state, row.result) == ("done", "r")


async def test_progress_stays_between_nothing_and_all(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        row = await jobs.wait(jobs.start(SAY + "say(progress=7)\nsay(error='end')", "t", {}).id)
        assert row.progress == 1.0


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit(3)", "ended without a result (status 3)"),
        ("raise RuntimeError", "ended without a result (status 1)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed before it had a result"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        (f"print('x' * {2 * module.LINE_LIMIT}, flush=True)", "could not be run"),
    ],
)
async def test_a_worker_that_ends_without_a_result_has_failed_in_words(
    tmp_path: Path, program: str, words: str
) -> None:
    async with running(tmp_path) as jobs:
        row = await jobs.wait(jobs.start(program, "t", {}).id)
        assert row.state == "failed"
        assert words in row.message
        assert (await jobs.wait(jobs.start(GOOD, "t", {"id": "next"}).id)).state == "done"


async def test_a_worker_that_cannot_be_started_has_failed_in_words(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        jobs._command = lambda kind: ["/nowhere/python"]  # type: ignore[method-assign]
        row = await jobs.wait(jobs.start("x", "t", {}).id)
        assert row.state == "failed"
        assert "could not be run" in row.message


async def test_a_flood_of_complaints_neither_blocks_nor_fills_memory(tmp_path: Path) -> None:
    program = "import sys\nfor _ in range(200): sys.stderr.write('x' * 50_000)\n" + GOOD
    async with running(tmp_path) as jobs:
        assert (await jobs.wait(jobs.start(program, "t", {"id": "r"}).id)).state == "done"


async def test_jobs_have_their_turn_in_order_one_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        first = jobs.start(FOREVER, "1", {})
        rest = [jobs.start(GOOD + f"# {number}", str(number), {"id": "r"}) for number in range(3)]
        await pid_of(jobs, first.id)
        assert [jobs.get(job.id).state for job in rest] == ["queued"] * 3
        jobs.cancel(first.id)
        for job in rest:
            await jobs.wait(job.id)
        assert jobs.started[1:] == [GOOD + f"# {number}" for number in range(3)]
        ends = [jobs.get(job.id).finished for job in rest]
        assert ends == sorted(ends)
        assert [row.id for row in jobs.rows()] == [job.id for job in reversed([first, *rest])]


async def test_a_cancelled_job_ends_at_once_and_its_process_soon(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        job = jobs.start(FOREVER, "t", {})
        pid = await pid_of(jobs, job.id)
        row = jobs.cancel(job.id)
        assert (row.state, row.message) == ("cancelled", "cancelled")
        assert row.finished > 0
        await eventually(lambda: not alive(pid))
        assert jobs.cancel(job.id) == row
        assert (await jobs.wait(jobs.start(GOOD, "t", {"id": "next"}).id)).state == "done"


async def test_a_waiting_job_is_cancelled_without_a_process(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        first, second = jobs.start(FOREVER, "1", {}), jobs.start(GOOD, "2", {})
        await pid_of(jobs, first.id)
        assert jobs.cancel(second.id).state == "cancelled"
        jobs.cancel(first.id)
        await jobs.wait(jobs.start(GOOD, "3", {"id": "r"}).id)
        assert len(jobs.started) == 2


async def test_a_job_cancelled_while_its_process_starts_leaves_none(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        job = jobs.start(FOREVER, "t", {})
        await eventually(lambda: jobs.started)
        jobs.cancel(job.id)
        assert (await jobs.wait(jobs.start(GOOD, "t", {"id": "next"}).id)).state == "done"
        process = jobs._jobs[job.id].process
        assert process is not None
        assert process.returncode is not None


async def test_a_worker_that_does_not_want_to_end_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    async with running(tmp_path) as jobs:
        job = jobs.start(STUBBORN, "t", {})
        pid = await pid_of(jobs, job.id)
        jobs.cancel(job.id)
        await eventually(lambda: not alive(pid))


async def test_a_worker_that_stays_after_its_result_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    async with running(tmp_path) as jobs:
        row = await jobs.wait(jobs.start(GOOD + "time.sleep(60)\n", "t", {"id": "r"}).id)
        assert row.state == "done"
        assert (await jobs.wait(jobs.start(GOOD, "t", {"id": "next"}).id)).state == "done"


async def test_what_a_worker_starts_neither_outlives_its_cancelling_nor_holds_up_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    child = "import subprocess\nchild = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
    told = SAY + child + "say(progress=0.5, message=str(child.pid))\n"
    async with running(tmp_path) as jobs:
        cancelled = jobs.start(told + "time.sleep(60)\n", "t", {})
        pid = await pid_of(jobs, cancelled.id)
        jobs.cancel(cancelled.id)
        await eventually(lambda: not alive(pid))
        # A child that holds the pipe open must not keep the job from ending.
        left = jobs.start(told, "t", {})
        pid = await pid_of(jobs, left.id)
        assert (await jobs.wait(left.id)).state == "failed"
        await eventually(lambda: not alive(pid))


async def test_a_worker_killed_from_outside_fails_its_job(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        job = jobs.start(FOREVER, "t", {})
        os.kill(await pid_of(jobs, job.id), signal.SIGKILL)
        row = await jobs.wait(job.id)
        assert row.state == "failed"
        assert "was killed" in row.message


async def test_closing_ends_everything_and_nothing_starts_afterwards(tmp_path: Path) -> None:
    jobs = Scripts(tmp_path)
    first, second = jobs.start(FOREVER, "1", {}), jobs.start(FOREVER, "2", {})
    pid = await pid_of(jobs, first.id)
    await jobs.close()
    assert not alive(pid)
    assert [jobs.get(job.id).state for job in (first, second)] == ["cancelled", "cancelled"]
    with pytest.raises(ConflictError, match="stopping"):
        jobs.start(GOOD, "3", {})


async def test_waiting_for_a_job_and_giving_up_leaves_it_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        job = jobs.start(FOREVER, "t", {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.005):
                await jobs.wait(job.id)
        await pid_of(jobs, job.id)
        assert jobs.get(job.id).state == "running"


async def test_only_so_many_jobs_wait_and_only_so_many_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    monkeypatch.setattr(module, "KEPT", 2)
    async with running(tmp_path) as jobs:
        first = jobs.start(FOREVER, "0", {})
        await pid_of(jobs, first.id)
        waiting = [jobs.start(GOOD, str(number), {"id": "r"}) for number in range(3)]
        with pytest.raises(ConflictError, match="3 jobs are waiting"):
            jobs.start(GOOD, "one too many", {})
        for job in (first, *waiting):
            jobs.cancel(job.id)
        last = jobs.start(GOOD, "last", {"id": "r"})
        assert [row.id for row in jobs.rows()] == [last.id, waiting[-1].id]


async def test_a_job_that_is_not_known_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as jobs:
        for ask in (jobs.get, jobs.cancel):
            with pytest.raises(NotFoundError, match="job-zzz"):
                ask("job-zzz")


async def test_a_chatting_job_never_holds_the_loop(tmp_path: Path) -> None:
    """Measured in processor time of the loop's thread, which other work on the machine does not disturb."""
    longest = 0

    async def beat() -> None:
        nonlocal longest
        before = time.thread_time_ns()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time_ns()
            longest, before = max(longest, now - before), now

    chat = SAY + "for n in range(2000): say(progress=n / 2000, message='bar %d' % n)\nsay(result='r')\n"
    async with running(tmp_path) as jobs:
        beating = asyncio.create_task(beat())
        for _ in range(3):
            assert (await jobs.wait(jobs.start(chat, "t", {}).id)).state == "done"
        beating.cancel()
    assert longest < 20_000_000
