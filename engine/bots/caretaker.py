"""Looks after the positions of bots that are not up: their protective orders stay in step with what is held.

A bot whose strategy failed, or that is not back yet after a restart, still has a position, and an order of it may
still fill. Here its protection goes on without it: nothing is opened, stops and targets follow every execution, and a
closing that had begun is brought to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from engine import events as ev
from engine.bots.events.unattended import Unattended
from engine.bots.protection import BotMemory, Protection
from engine.errors import JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.order import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.entries import BotEntry
    from engine.model.ids import AccountId, Owner
    from engine.model.instrument import Instrument
    from engine.model.risk import Quotes
    from engine.resilience.handler import ErrorHandler

__all__ = ["HEAL_NS", "Caretakers"]

log = get_logger(__name__)

HEAL_NS = 60_000_000_000
"""Time between two attempts at what was refused, in nanoseconds."""


class Care(Protocol):
    """What goes on for the positions of a bot that is not up."""

    memory: BotMemory

    def protect(self) -> None:
        """Bring orders in line with what is held."""

    def heal(self) -> None:
        """As `protect`, and try again what was refused."""

    def on_fact(self, event: ev.Event) -> None:
        """Hear a fact about one of its orders or positions."""

    def close(self, reason: str) -> None:
        """Close what is held."""


class Caretakers:
    """One protection for every bot that is not up and has something to be protected. Plain and synchronous.

    Args:
        ledger: Its state is what is held and open.
        desk: Takes orders.
        quotes: Present markets.
        errors: Hears of protections that fail.
    """

    def __init__(self, ledger: Ledger, desk: Desk, quotes: Quotes, errors: ErrorHandler) -> None:
        self._ledger = ledger
        self._desk = desk
        self._quotes = quotes
        self._errors = errors
        self._kept: dict[Owner, Care] = {}
        self._healed = 0

    @property
    def owners(self) -> frozenset[Owner]:
        """Whose positions are looked after here."""
        return frozenset(self._kept)

    def protects(self, owner: Owner) -> bool:
        """Whether the position of an owner is protected here, rather than left as it is."""
        return isinstance(self._kept.get(owner), Protection)

    def leave(self, entry: BotEntry, places: Sequence[tuple[Instrument, AccountId]], memory: BotMemory) -> None:
        """Leave the positions of a bot on books as they are, in all its markets; see `Unattended`."""
        self.take_over(entry.id, Unattended(entry.id, places, self._desk, self._ledger, self._quotes, memory))

    def take_over(self, owner: Owner, protection: Care) -> None:
        """Go on with the protection of a bot that has just failed."""
        self._kept[owner] = protection
        self._guarded(owner, protection.protect)

    def take(self, entry: BotEntry, account: AccountId, instrument: Instrument, default_stop: float) -> None:
        """Look after a bot of which only what is booked is known, as after a restart.

        Args:
            entry: The bot; its saved memory gives the wanted levels.
            account: Where it trades.
            instrument: What it trades.
            default_stop: Distance of a stop that nobody has named, as a fraction of the entry price.
        """
        if entry.id in self._kept:
            return

        def decision(reason: str) -> Decision:
            return Decision(reason=reason, strategy="")

        protection = Protection(
            entry.id, account, instrument, self._desk, self._ledger, self._quotes, default_stop, decision
        )
        try:
            protection.memory = msgspec.msgpack.decode(entry.memory, type=BotMemory)
        except msgspec.MsgspecError:
            # Nothing was saved, or it cannot be read: a resting stop tells the level, else the entry price does.
            log.info("a position is protected without the memory of its bot", bot=entry.id)
        self.take_over(entry.id, protection)

    def close(self, entry: BotEntry, strategy: str, reason: str) -> None:
        """Close a position that is looked after here.

        Args:
            entry: The bot.
            strategy: Name of its strategy.
            reason: Why, in words.
        """
        protection = self._kept.get(entry.id)
        if protection is None:
            return
        self._guarded(entry.id, lambda: protection.close(reason))
        if protection.memory.closing:
            # Saved at once: a restart in between goes on closing.
            self._ledger.record(
                ev.BotMemorySaved(
                    bot=entry.id,
                    strategy=strategy,
                    schema=entry.memory_schema,
                    memory=msgspec.msgpack.encode(protection.memory),
                    bar_ts=entry.memory_bar,
                )
            )

    def release(self, owner: Owner) -> None:
        """The bot is back, or a person has decided: nothing is done here any more."""
        self._kept.pop(owner, None)

    def clear(self) -> None:
        """Do nothing more for anybody."""
        self._kept.clear()

    def hear(self, owner: Owner, record: ev.Record) -> None:
        """Take in a fact about an order or position of an owner."""
        protection = self._kept.get(owner)
        if protection is not None:
            self._guarded(owner, lambda: protection.on_fact(record.event))

    def tick(self, now: int) -> None:
        """Try again what was refused, once a minute; `now` in UTC nanoseconds."""
        if self._kept and now - self._healed >= HEAL_NS:
            self._healed = now
            for owner, protection in tuple(self._kept.items()):
                self._guarded(owner, protection.heal)

    def _guarded(self, owner: Owner, call: Callable[[], None]) -> None:
        try:
            call()
        except JournalError as error:
            log.error("a protection waits: nothing can be booked", bot=owner, problem=error.message)
        except QuarterdeckError as error:
            self._errors.report(error, component="bots", operation="protect", bot=owner)
        except Exception as error:  # one position's protection may not keep the others' from being tried
            log.exception("a protection failed", bot=owner)
            self._errors.report(error, component="bots", operation="protect", bot=owner)
