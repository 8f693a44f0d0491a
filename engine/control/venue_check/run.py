"""Runs the checks of a venue one after the other, and cleans up behind them whatever happens."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

from engine.control.venue_check.looking import LIMITS, MARKET, PRIVATE
from engine.control.venue_check.report import CheckReport, CheckResult, Outcome, Redactor
from engine.control.venue_check.subject import CheckFailedError, CheckSkippedError, CheckWarning, Subject
from engine.control.venue_check.trading import TRADING, clean_up
from engine.errors import QuarterdeckError
from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["run_checks"]

log = get_logger(__name__)

_STARTS = "start"
_NEEDED = {"start", "online", "instruments"}
"""Without these nothing else can be checked."""


async def run_checks(
    subject: Subject,
    *,
    adapter: str,
    target: str,
    trade: bool = False,
    secrets: Iterable[str] = (),
    tell: Callable[[CheckResult], None] = lambda _: None,
) -> CheckReport:
    """Check a venue from its start to its end.

    Args:
        subject: The venue, not started yet; it is closed in the end.
        adapter: Its kind, for the report.
        target: Where its requests go, for the report.
        trade: Place orders too, each the least that the venue takes.
        secrets: What is never written.
        tell: Told of each check as it ends.
    """
    run = _Run(subject, Redactor([*secrets, subject.account or ""]), tell)
    begun = subject.clock.now()
    left: list[str] = []
    try:
        await run.all(trade)
    except asyncio.CancelledError:
        # A person has ended it: an order must not stay because nobody waited, and what is left must be said.
        run.interrupted()
    finally:
        left = await run.cleaned()
    return CheckReport(
        release=version("quarterdeck"),
        venue=subject.venue.id,
        adapter=adapter,
        target=target,
        instrument=subject.wanted,
        begun=begun,
        ended=subject.clock.now(),
        private=subject.account is not None,
        traded=bool(subject.placed),
        checks=tuple(run.results),
        leftovers=tuple(left),
    )


class _Run:
    def __init__(self, subject: Subject, redactor: Redactor, tell: Callable[[CheckResult], None]) -> None:
        self.subject = subject
        self.results: list[CheckResult] = []
        self._redactor = redactor
        self._tell = tell

    async def all(self, trade: bool) -> None:
        """Every check in turn; without a venue that is there the rest is left out."""
        trading = TRADING if trade else ()
        for name, about, check in ((_STARTS, "It can be reached", _start), *MARKET, *PRIVATE, *trading, LIMITS):
            await self._one(name, about, check)
            if name in _NEEDED and self.results[-1].outcome is Outcome.FAILED:
                return

    async def _one(self, name: str, about: str, check: Callable[[Subject], Awaitable[str]]) -> None:
        clock = self.subject.clock
        begun = clock.monotonic()
        outcome, words = await self._outcome(check)
        result = CheckResult(
            name=name, about=about, outcome=outcome, words=words, ms=round((clock.monotonic() - begun) / 1e6, 1)
        )
        self.results.append(result)
        self._tell(result)

    async def _outcome(self, check: Callable[[Subject], Awaitable[str]]) -> tuple[Outcome, str]:
        redact = self._redactor
        try:
            return Outcome.PASSED, redact.words(await check(self.subject))
        except CheckSkippedError as reason:
            return Outcome.SKIPPED, redact.words(str(reason))
        except CheckWarning as reason:
            return Outcome.WARNED, redact.words(str(reason))
        except CheckFailedError as error:
            return Outcome.FAILED, self._told(str(error))
        except QuarterdeckError as error:
            code = f" ({error.error_code})" if error.error_code else ""
            return Outcome.FAILED, self._told(f"{error.message}{code}")
        except Exception as error:
            log.exception("a check of a venue ended by a fault of its own")
            return Outcome.FAILED, self._told(f"A fault that nobody expected: {type(error).__name__}: {error}")

    def _told(self, words: str) -> str:
        self._redactor.own.update(self.subject.placed)
        return self._redactor.foreign(words)

    def interrupted(self) -> None:
        """Note that the check did not come to its end."""
        words = "The check was ended before its time; its orders were cancelled."
        self.results.append(
            CheckResult(name="interrupted", about="It was let finish", outcome=Outcome.FAILED, words=words, ms=0.0)
        )

    async def cleaned(self) -> list[str]:
        """Leave nothing behind, and close; a second wish to end it must be a hard one."""
        task = asyncio.get_running_loop().create_task(self._clean(), name="venue check clean up")
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                log.info("orders of the check are still being cancelled")
        return task.result()

    async def _clean(self) -> list[str]:
        left: list[str] = []
        try:
            if self.subject.placed:
                left = await clean_up(self.subject)
        finally:
            await self.subject.venue.close()
        return [self._told(words) for words in left]


async def _start(s: Subject) -> str:
    await s.venue.start(s.hear, s.see)
    able = s.venue.capabilities
    kinds = ", ".join(sorted(kind.value for kind in able.kinds))
    return f"The adapter connected; it trades {kinds}."
