"""Panic: everything cancelled and closed without the engine that should have done it.

The engine is killed and its home folder taken over. An engine of our own then starts as after any crash (next epoch,
reconciliation with the venue), but halted from its first fact on and without bots, and its emergency stop cancels and
closes through the venue like any other: each step is journalled before it is sent, so nothing is done twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from engine import events as ev
from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.home_venues import meant_venue
from engine.control.notify import Notifier
from engine.control.panic_scope import check_scope
from engine.control.takeover import take_over
from engine.errors import JournalError, QuarterdeckError
from engine.model.decimals import ZERO
from engine.model.instrument import InstrumentKind
from engine.risk.scopes import EVERYTHING, Emergency, Scope, find_scope
from engine.state import EXTERNAL
from storage.journal.reader import Query

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.config import Settings
    from engine.control.host import EngineHost
    from engine.engine import Engine
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.venue_unit import VenuePlan

__all__ = ["PanicReport", "stop_directly"]

JOURNAL_KINDS = frozenset({"journal", "state_corruption", "state_consistency"})
"""Errors after which only the venue itself is left."""
LOOK_S = 0.1
PAGE = 500
START_S = 90.0
"""How long recovery may take; a venue alone is given 60 s to be there, to tell its orders, and to be compared."""


@dataclass
class PanicReport:
    """What became of everything that was open."""

    killed: tuple[int, ...] = ()
    """Process numbers of the engines that were killed."""
    cancelled: list[str] = field(default_factory=list)
    """Client ids of orders that were cancelled."""
    closed: list[str] = field(default_factory=list)
    """Executions of closing orders, in words."""
    left: list[str] = field(default_factory=list)
    """What is still open, in words."""
    foreign: list[str] = field(default_factory=list)
    """Orders of others at the venue, which were not touched, in words."""
    epoch: int = 0
    """Epoch of the journal under which it was done; 0 for without a journal."""

    @property
    def done(self) -> bool:
        """True when nothing of ours is open any more."""
        return not self.left


async def stop_directly(
    home: Path,
    reason: str,
    *,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
    scope: str = EVERYTHING,
    without_journal: bool = False,
) -> None:
    """Kill the engine of a home folder, cancel orders of ours, close positions; what was stopped stays halted.

    The engine is killed whatever the scope: what is outside of it is left as it is, and nobody looks after it until an
    engine is started.

    Args:
        home: Home folder.
        reason: Why, for the journal.
        wait_s: How long cancelling and closing may take.
        say: Hears every step as soon as it is done.
        scope: What is stopped, as `find_scope` reads it.
        report: Filled in as far as it came, also when an error ends it.
        without_journal: When the journal cannot be opened or written, empty the account at the venue all the same.

    Raises:
        ValidationError: The scope cannot be understood; nothing was done, and no engine killed.
        NotFoundError: There is nothing of the scope's name; likewise.
        QuarterdeckError: The folder cannot be taken over, the journal not be used, or the venue not be reached; what
            was said until then was done, and nothing else.
    """
    settings = load_settings(home, explicit=meant_venue(home))
    # A part that does not exist must not cost the engine that looks after all others.
    await asyncio.to_thread(check_scope, home, settings, scope, without_journal=without_journal)
    taken = await asyncio.to_thread(take_over, home, version("quarterdeck"))
    report.killed = taken.killed
    for pid in taken.killed:
        say(f"The engine (process {pid}) is killed.")
    say(f"The home folder {home} is taken over; no other engine can start in it meanwhile.")
    notifier = Notifier(home)
    try:
        # A watchdog would otherwise start another engine as soon as this process has ended.
        notifier.stopping()
        try:
            await _with_journal(home, settings, Emergency(reason, scope), wait_s, say, report)
        except QuarterdeckError as error:
            if not without_journal or error.kind not in JOURNAL_KINDS:
                raise
            say(f"The journal cannot be used: {error.message}")
            await _without_journal(home, settings, scope, wait_s, say, report)
    finally:
        notifier.stopping()
        notifier.close()
        taken.lock.release()


async def _with_journal(
    home: Path, settings: Settings, emergency: Emergency, wait_s: float, say: Callable[[str], None], report: PanicReport
) -> None:
    from engine.control.host import EngineHost

    host = EngineHost(home, settings, emergency=emergency)
    try:
        async with asyncio.timeout(START_S):
            await host.start()
        assert host.engine is not None
        report.epoch = host.engine.journal.epoch
        say(f"The journal is open (epoch {report.epoch}), {emergency.scope} is halted, the books agree with the venue.")
        await _close_everything(host.engine, emergency, wait_s, say, report)
        await _tell_what_was_done(host, report)
    except TimeoutError:
        if host.engine is not None:
            # Where a venue was in line, it has begun.
            scope = find_scope(emergency.scope, host.engine.state, host.engine.venues, host.engine.accounts)
            report.left += _orders(host.engine, scope) + _positions(host.engine, scope, set())
            await _tell_what_was_done(host, report)
        raise QuarterdeckError(
            f"Recovery took longer than {START_S:g} s. Until then {len(report.cancelled)} orders were cancelled and "
            f"{len(report.closed)} executions closed something; {len(report.left)} orders and positions are left."
        ) from None
    finally:
        await _end(host, say)


async def _without_journal(
    home: Path, settings: Settings, scope: str, wait_s: float, say: Callable[[str], None], report: PanicReport
) -> None:
    from engine.control.host import EngineHost
    from engine.control.panic_venue import PanicLog, Part, empty_accounts

    part = Part.of(scope)

    clock = SystemClock()
    log = PanicLog(home / "logs" / "panic.log", clock, say)
    say("Without it nobody knows what is ours: every open order there is cancelled, every coin sold.")
    problems: list[QuarterdeckError] = []
    try:
        host = EngineHost(home, settings)
        await host.vault.open(settings.keys.place)
        plans = await asyncio.to_thread(host.make_venues)
        wanted = [plan for plan in plans if part.venue in ("", plan.venue.id)]

        async def empty(plan: VenuePlan) -> None:
            try:
                await empty_accounts(
                    plan.venue,
                    part.accounts(plan.accounts),
                    part,
                    clock=clock,
                    log=log,
                    wait_s=wait_s,
                    say=say,
                    report=report,
                )
            except QuarterdeckError as error:
                # One that cannot be reached keeps no other from being emptied.
                say(f"{plan.venue.id} could not be emptied: {error.message}")
                report.left.append(f"whatever is at {plan.venue.id}: {error.message}")
                problems.append(error)

        await asyncio.gather(*(empty(plan) for plan in wanted))
        if problems and len(problems) == len(wanted):
            raise problems[0]
    finally:
        log.close()


async def _close_everything(
    engine: Engine, emergency: Emergency, wait_s: float, say: Callable[[str], None], report: PanicReport
) -> None:
    scope, reason = find_scope(emergency.scope, engine.state, engine.venues, engine.accounts), emergency.reason
    progress = engine.risk.emergency("panic", reason, scope)
    say(f"Open orders: {progress.orders}, positions to be closed: {progress.positions}.")
    end = engine.clock.monotonic() + int(wait_s * 1e9)
    while not progress.done and engine.clock.monotonic() < end and engine.ledger.failed is None:
        await engine.clock.sleep(LOOK_S)
        progress = engine.risk.emergency("panic", reason, scope)
    if engine.ledger.failed is not None:
        raise JournalError(f"{engine.ledger.failed} What was not sent until then is not sent any more.")
    await engine.journal.wait_durable(engine.ledger.seq)
    report.left += _orders(engine, scope) + [one.words for one in progress.left]
    known = {(one.owner, one.account, one.instrument) for one in progress.left}
    report.left += _positions(engine, scope, known) if progress.positions else []
    report.left += progress.problems
    report.foreign += [
        f"{order.side} order {key} in {order.instrument}" for key, order in engine.state.external_orders.items()
    ]


async def _tell_what_was_done(host: EngineHost, report: PanicReport) -> None:
    """Read what this start has cancelled and executed out of the journal: it began before anybody could listen."""
    context = host.context
    if context is None or context.reader is None:
        return
    (opened,) = await context.reader.latest(1, Query(kinds=("EpochOpened",)))
    if opened.epoch != context.need_engine().journal.epoch:
        # It had not come so far, and what an engine before did was not done now.
        return
    cursor = opened.seq
    while True:
        page = await context.reader.since(cursor, PAGE, Query(kinds=("OrderCanceled", "OrderFilled")))
        for record in page.records:
            match record.event:
                case ev.OrderCanceled() as event:
                    report.cancelled.append(str(event.client_id))
                case ev.OrderFilled(fill=fill):
                    verb = "sold" if fill.side.sign < 0 else "bought"
                    report.closed.append(f"{verb} {fill.quantity:f} of {fill.instrument} at {fill.price:f}")
                case _:
                    pass
        cursor = page.cursor
        if cursor >= page.last:
            return


def _orders(engine: Engine, scope: Scope) -> list[str]:
    return [
        f"order {order.client_id}: {order.side} {order.remaining:f} of {order.instrument} is {order.status}"
        for order in engine.state.orders.values()
        if scope.covers(engine.state, order.owner, order.account, order.instrument)
    ]


def _positions(engine: Engine, scope: Scope, known: set[tuple[Owner, AccountId, InstrumentId]]) -> list[str]:
    """What is held; deposited coins that were sold are no position, and those of others are not ours to close."""
    return [
        f"position of {key[0]}: {position.quantity:f} of {key[2]}"
        for key, position in engine.state.owned.items()
        if position.lots
        and key not in known
        and key[0] != EXTERNAL
        and scope.covers(engine.state, *key)
        and (position.quantity > ZERO or engine.state.instruments[key[2]].kind is not InstrumentKind.SPOT)
    ]


async def _end(host: EngineHost, say: Callable[[str], None]) -> None:
    try:
        await host.stop()
    except QuarterdeckError as error:
        say(f"The end was not in order: {error.message}")
