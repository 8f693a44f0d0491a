"""Proof that a private stream lives: what it told is held against answers, and one that fails is renewed.

Pings prove a connection, not that reports flow over it. Open orders are listed now and then, while there are any, and
every change that an answer shows has to be told by the stream as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from engine.venues.native.line import AccountLine
    from engine.venues.native.venue import NativeVenue

__all__ = ["prove"]

log = structlog.get_logger(__name__)

PROOF_S = 30.0
"""How often open orders are listed to prove that a private stream lives, while there are any."""
OVERDUE_S = 2.0
"""How often what the stream owes is looked at."""


async def prove(venue: NativeVenue, line: AccountLine) -> None:
    """Hold an account's private stream against answers, for as long as the task lives."""
    since = 0.0
    while True:
        await venue.clock.sleep(OVERDUE_S)
        since += OVERDUE_S
        if not line.up:
            continue
        try:
            if since >= PROOF_S and line.witness.follows:
                since = 0.0
                await venue.open_orders(line.account)
        except QuarterdeckError as error:
            log.info("the private stream cannot be proven now", venue=venue.id, problem=error.message)
        _judge(venue, line)


def _judge(venue: NativeVenue, line: AccountLine) -> None:
    silent = line.witness.overdue(venue.clock.now())
    if not silent or not line.up or line.stream is None:
        return
    log.error("the private stream does not tell what happens", venue=venue.id, account=line.account, orders=silent)
    venue.ask_to_compare()
    reason = f"it did not tell what became of {len(silent)} orders"
    line.stream.renew(reason)
    line.on_down(reason)
