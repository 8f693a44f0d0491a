"""Panic without a journal: accounts are emptied at the venue itself, when the books cannot be opened any more.

Nobody knows then which orders and coins are ours, so all of them count, and no bot can be told from another. Every
request is written to `logs/panic.log` before it is sent; the next recovery finds what was executed at the venue and
halts until a person has looked.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from engine.control.panic_account import AccountEmptying, Heard
from engine.errors import QuarterdeckError, ValidationError
from engine.model.ids import symbol_of
from engine.risk.scopes import EVERYTHING, scope_kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from engine.clock import Clock
    from engine.control.panic import PanicReport
    from engine.model.account import Account
    from engine.model.ids import InstrumentId
    from engine.model.venue import Venue

__all__ = ["PanicLog", "Part", "empty_accounts"]

T = TypeVar("T")
AGAIN_S = 1.0
"""Seconds before a venue that failed is asked again."""


class Part(NamedTuple):
    """What of all venues is emptied; an empty name means all."""

    venue: str = ""
    account: str = ""
    symbol: str = ""
    """`BASE/QUOTE` anywhere, or an instrument with its venue."""

    @classmethod
    def of(cls, scope: str) -> Part:
        """Read a scope as a person writes it.

        Raises:
            ValidationError: It is a bot or a strategy, of which a venue knows nothing.
        """
        kind, name = scope_kind(scope)
        if kind == EVERYTHING:
            return cls()
        if kind not in cls._fields:
            raise ValidationError(
                f"Without the journal nobody knows what is of the {kind} {name}: name a venue, an account or a symbol."
            )
        return cls(**{kind: name if kind == "account" else name.upper()})

    def accounts(self, known: Sequence[Account]) -> list[Account]:
        """Those of a venue's accounts that are inside."""
        return [account for account in known if self.account in ("", account.id)]

    def covers(self, instrument: InstrumentId) -> bool:
        """Whether what is traded under an id is inside."""
        return self.symbol in ("", instrument, symbol_of(instrument))


class PanicLog:
    """What is about to be sent, a JSON object a line, on the disk before it is sent.

    Args:
        file: Where; its folder is made.
        clock: Stamps the lines.
        say: Told when the file cannot be written; every line goes there instead.
    """

    def __init__(self, file: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock, self._say = clock, say
        self._descriptor = -1
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        except OSError as error:
            say(f"{file} cannot be written ({error.strerror}); what is sent is written here.")

    def note(self, did: str, **facts: Any) -> None:
        """Write one line down."""
        line = json.dumps({"at": self._clock.now(), "did": did, **facts}, default=str)
        try:
            if self._descriptor < 0:
                raise OSError
            os.write(self._descriptor, line.encode() + b"\n")
            os.fsync(self._descriptor)
        except OSError:
            self._say(line)

    def close(self) -> None:
        """End."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


async def empty_accounts(
    venue: Venue,
    accounts: Sequence[Account],
    part: Part,
    *,
    clock: Clock,
    log: PanicLog,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
) -> None:
    """Cancel every open order of accounts at a venue, sell every coin, and close every position in derivatives.

    Where only a part of it is meant, what is outside is left. The accounts are emptied beside each other, and one that
    does not answer keeps no other from it. A coin is sold where it trades against the account's base currency.

    Raises:
        QuarterdeckError: The venue cannot be reached, or answers for none of the accounts; what was said until then was
            done.
    """
    heard = Heard()
    deadline = clock.monotonic() + int(wait_s * 1e9)
    try:
        # Starting is harmless where the connection stands, so that it may be done again like any question.
        await _persist(lambda: venue.start(heard.event, heard.market), clock, log, deadline)
        listed = await _persist(venue.instruments, clock, log, deadline)
        inside = [instrument for instrument in listed if part.covers(instrument.id)]
        emptied = [
            AccountEmptying(
                venue, account, inside, part.covers, not part.symbol, heard, clock, log, wait_s, say, report
            )
            for account in accounts
        ]
        ends = await asyncio.gather(*(one.run() for one in emptied), return_exceptions=True)
        failed = [(account, end) for account, end in zip(accounts, ends, strict=True) if end is not None]
        if len(failed) == len(accounts) and failed and isinstance(failed[0][1], QuarterdeckError):
            raise failed[0][1]
        for account, error in failed:
            problem = error.message if isinstance(error, QuarterdeckError) else f"{type(error).__name__}: {error}"
            say(f"{account.id} at {venue.id} could not be emptied: {problem}")
            report.left.append(f"whatever is in the account {account.id} at {venue.id}: {problem}")
    finally:
        report.closed += heard.words
        await venue.close()


async def _persist(ask: Callable[[], Awaitable[T]], clock: Clock, log: PanicLog, deadline: int) -> T:
    """Ask until there is an answer, while asking again can help: one failure of a network says nothing."""
    while True:
        try:
            return await ask()
        except QuarterdeckError as error:
            if not error.retryable or clock.monotonic() >= deadline:
                raise
            log.note("asked again", problem=error.message)
        await clock.sleep(AGAIN_S)
