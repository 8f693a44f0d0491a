"""What has happened but is not yet stored: reports and answers wait here for the commit that covers them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.venues.paper.orders import Report
    from engine.venues.paper.store import Batch, PaperStore

__all__ = ["Commits"]


class Commits:
    """At most one commit is under way; what happens meanwhile is taken together by the next one (group commit).

    So the waiting lists are as long as what the exchange does in one commit's time. Use it on one event loop.

    Args:
        store: Where batches go.
        make_batch: Encodes everything that changed since the last call.
        release: Gets the reports of a commit once it is durable, in order.
        fail: Called once, with the reason, when a commit failed; nothing is released any more.
    """

    def __init__(
        self,
        store: PaperStore,
        make_batch: Callable[[], Batch],
        release: Callable[[list[Report]], None],
        fail: Callable[[str], None],
    ) -> None:
        self._store = store
        self._make_batch = make_batch
        self._release = release
        self._fail = fail
        self._reports: list[Report] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._commit: asyncio.Future[None] | None = None
        self._failure = ""

    @property
    def idle(self) -> bool:
        """True when no report waits and no commit is under way."""
        return not self._reports and self._commit is None

    def keep(self, reports: Sequence[Report]) -> None:
        """Hold reports until the next commit is durable."""
        self._reports.extend(reports)

    def flush_reports(self) -> None:
        """Begin a commit if reports wait for one."""
        if self._reports:
            self.flush()

    def flush(self) -> None:
        """Begin a commit of all that has changed, unless one is under way: then the next one takes it."""
        if self._commit is not None or self._failure:
            return
        reports, self._reports = self._reports, []
        waiting, self._waiting = self._waiting, []
        batch = self._make_batch()
        self._commit = asyncio.wrap_future(self._store.submit(partial(self._store.commit, batch)))
        self._commit.add_done_callback(partial(self._done, reports, waiting))

    async def durable(self) -> None:
        """Return when all that has happened so far is stored.

        Raises:
            UnknownOutcomeError: It could not be stored.
        """
        if self._failure:
            raise UnknownOutcomeError(self._failure)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.flush()
        await future

    def abandon(self, reason: str) -> None:
        """Release nothing any more and let everybody who waits know."""
        self._failure = self._failure or reason
        for future in self._waiting:
            if not future.done():
                future.set_exception(UnknownOutcomeError(self._failure))
        self._waiting.clear()
        self._reports.clear()

    def _done(self, reports: list[Report], waiting: list[asyncio.Future[None]], commit: asyncio.Future[None]) -> None:
        self._commit = None
        if commit.cancelled() or (error := commit.exception()) is not None:
            reason = "the commit was cancelled" if commit.cancelled() else str(error)
            self._waiting += waiting
            self.abandon(reason)
            self._fail(reason)
            return
        self._release(reports)
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if self._reports or self._waiting:
            self.flush()
