"""Verifies a start: the state against itself and against the venue, before anybody trades on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from engine import events as ev
from engine.logs import get_logger
from engine.model.account import TradingMode
from engine.model.entries import TradingState
from engine.model.verification import BALANCES, Finding, Grade
from engine.state.core import ENGINE_SCOPE
from engine.state.soundness import check_balances, check_orders, check_parents, check_positions
from storage.journal.recovery import Recovered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.execution.accounts import Accounts, Difference
    from engine.execution.inquiry import Tally
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.order import Order
    from engine.model.venue import Venue
    from engine.state import EngineState
    from storage.journal.engine_journal import Start

__all__ = ["ACTOR", "Recovery", "corruption", "halt_for", "in_pieces"]

log = get_logger(__name__)

ACTOR = "recovery"
PIECE = 250
"""Orders that are checked before the event loop gets its turn."""
Hold = Callable[[str, str, TradingState], None]
"""Holds trading: actor, reason, state."""


class Recovery:
    """Brings one account in line at the start, and says what that came to.

    Args:
        ledger: What is booked.
        accounts: Compares balances.
        start: What the journal's opening found, or what another process handed over.
        hold: Holds trading.
    """

    def __init__(self, ledger: Ledger, accounts: Accounts, start: Start, hold: Hold) -> None:
        self._ledger = ledger
        self._accounts = accounts
        opened = start if isinstance(start, Recovered) else None
        self._snapshot = opened.snapshot_seq if opened is not None else start.state.seq
        self._replayed = opened.replayed if opened is not None else 0
        self._hold = hold
        self._findings: list[Finding] = []
        self._notes: list[str] = list(opened.notes) if opened is not None else []
        self._began = ledger.clock.monotonic()

    async def settle_balances(self, venue: Venue, account: AccountId, *, known: bool, patient: bool = True) -> bool:
        """After all executions are booked, the venue's word on what is in the account is final.

        What executions do not explain in an account that was known before halts trading.

        Args:
            venue: Where the account is.
            account: Whose balances.
            known: Whether the account was known before.
            patient: Wait with what differs for as long as the venue may be late; else it is only looked at twice.

        Returns:
            Whether it is known what differs; where it is not, nothing is booked.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: Something cannot be booked.
        """
        found = await self._accounts.settle(venue, account, patient=patient)
        if found is None:
            return False
        for difference in found:
            self._accounts.take_over(account, difference, "the venue reports another balance after the restart")
            self._findings.append(_difference(difference))
        if found and known:
            differs = ", ".join(f"{d.currency} by {d.amount.normalize():+f}" for d in found)
            paper = self._ledger.state.accounts[account].mode is TradingMode.PAPER
            look = "Check that paper.db belongs to this journal" if paper else f"Look at {account} at {venue.id}"
            reason = (
                f"{venue.id} has other balances than the books ({differs}), unexplained by executions. "
                f"They were corrected, positions may still be wrong. {look}, then resume on Risk."
            )
            log.critical("the books differ from the venue; trading halts", problem=reason)
            halt_for(self._ledger.state, self._hold, reason)
        return True

    async def verify(self, account: AccountId, tally: Tally) -> ev.RecoveryVerified:
        """Check the state against itself, book the report of this start and halt where something cannot be.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        state = self._ledger.state
        flaws = [*check_balances(state), *check_positions(state), *check_parents(state)]
        flaws += await in_pieces(state, state.orders, working=True)
        flaws += await in_pieces(state, state.recent, working=False)
        if flaws:
            log.critical("the state contradicts itself", flaws=len(flaws), first=flaws[0].text)
            halt_for(state, self._hold, corruption(flaws))
        report = ev.RecoveryVerified(
            account=account,
            snapshot=self._snapshot,
            replayed=self._replayed,
            asked=len(tally.asked),
            adopted=tally.count(ev.OrderAdopted),
            canceled=len(tally.canceled),
            ended=tally.ended,
            fills=tally.count(ev.OrderFilled, ev.ExternalFillSeen),
            strangers=sum(order.account == account for order in state.external_orders.values()),
            duration_ms=round((self._ledger.clock.monotonic() - self._began) / 1e6, 3),
            verdict="halted" if state.trading_state() is TradingState.HALTED else "verified",
            findings=(*self._findings, *flaws[:20], *(_stopped(halt.client_id, halt.reason) for halt in tally.halts)),
            notes=tuple(self._notes),
        )
        self._ledger.record(report)
        return report


async def in_pieces(state: EngineState, orders: Mapping[ClientOrderId, Order], *, working: bool) -> list[Finding]:
    """Check many orders against the rules of their life, giving the event loop its turn."""
    found: list[Finding] = []
    rest = iter(list(orders.items()))
    while piece := list(islice(rest, PIECE)):
        # Some may have ended, or come back, in the meantime.
        found += check_orders(state, [item for item in piece if item[0] in orders], working=working)
        await asyncio.sleep(0)
    return found


def corruption(flaws: Sequence[Finding]) -> str:
    """Why trading halts when the state contradicts itself, and what to do."""
    more = f" There are {len(flaws) - 1} more." if len(flaws) > 1 else ""
    return (
        f"The state of the engine contradicts itself: {flaws[0].text}{more} Restart it, so that it is made anew from "
        "the journal, then look at positions and balances before you resume on Risk."
    )


def halt_for(state: EngineState, hold: Hold, reason: str) -> None:
    """Halt trading unless it is halted already."""
    if state.trading_state(ENGINE_SCOPE) is not TradingState.HALTED:
        hold(ACTOR, reason, TradingState.HALTED)


def _difference(difference: Difference) -> Finding:
    return Finding(
        check=BALANCES,
        subject=difference.currency,
        grade=Grade.FORCED,
        text=f"The venue has {difference.said:f} {difference.currency}, {difference.booked:f} were booked.",
        discrepancy=difference.fraction,
        correction="The venue's word was taken over.",
        before=str(difference.booked),
        after=str(difference.said),
    )


def _stopped(client_id: str, reason: str) -> Finding:
    return Finding(check="order_status_sync", subject=client_id, grade=Grade.FORCED, text=reason)
