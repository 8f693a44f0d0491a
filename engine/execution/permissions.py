"""What is wrong with the permissions of a key, in words, and the look at them when a live account comes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.clock import Clock
    from engine.execution.guard import VenueGuard
    from engine.model.ids import AccountId
    from engine.model.venue import Permissions
    from engine.resilience.handler import ErrorHandler

__all__ = ["warnings_of", "watch_permissions"]

log = get_logger(__name__)

LOOK_S = 1.0
DAY_NS = 86_400 * 10**9
SOON_DAYS = 14
OFF_MS = 500.0
"""A clock that is further off than this is worth a word, milliseconds."""


def warnings_of(
    venue: str, permissions: Permissions, now: int, clock_offset_ms: float | None = None
) -> tuple[str, ...]:
    """What a person should do about a key, a sentence each.

    Args:
        venue: Where it is of.
        permissions: What the venue says.
        now: UTC nanoseconds.
        clock_offset_ms: The venue's clock minus ours; None where it is not known.
    """
    found = []
    if permissions.withdraw:
        found.append(
            f"The key may withdraw money. Quarterdeck never does: take that permission away at {venue}, so that "
            "whoever steals the key cannot either."
        )
    if not permissions.read:
        found.append(f"The key may not read the account; nothing can be done with it. Allow reading at {venue}.")
    if permissions.trade is False:
        found.append(
            f"The key may not trade: orders will be refused. Allow trading at {venue}, or use it to look only."
        )
    if permissions.ip_restricted is False:
        found.append(f"The key works from every address; bind it to this machine's at {venue}.")
    if permissions.expires is not None and permissions.expires - now < SOON_DAYS * DAY_NS:
        left = max(0, (permissions.expires - now) // DAY_NS)
        found.append(
            f"The key ends in {left} day{'' if left == 1 else 's'}; make a new one at {venue} and rotate."
            if permissions.expires > now
            else f"The key has ended; make a new one at {venue} and rotate."
        )
    if clock_offset_ms is not None and abs(clock_offset_ms) > OFF_MS:
        found.append(f"This machine's clock is {abs(clock_offset_ms):.0f} ms off; let it be set by NTP.")
    return tuple(found)


async def watch_permissions(
    venue: VenueGuard, account: AccountId, clock: Clock, errors: ErrorHandler, ready: Callable[[], bool]
) -> None:
    """Ask once, as soon as the venue can be asked, what the key of an account may do, and tell what is wrong with it.

    Args:
        venue: The venue, guarded.
        account: The account.
        clock: Paces the wait.
        errors: Tells people.
        ready: Whether the venue can be asked.
    """
    while not ready():
        await clock.sleep(LOOK_S)
    try:
        permissions = await venue.permissions(account)
    except JournalError:
        raise
    except QuarterdeckError as error:
        log.info("a venue does not tell what a key may do", venue=venue.id, problem=error.message)
        return
    for words in warnings_of(venue.id, permissions, clock.now()):
        errors.alert(Severity.MEDIUM, "keys", f"{account}: {words}")
