"""Bots on a universe: a parent without a market of its own keeps one member bot for each market of its rule.

Members are bots like any other, booked, protected and brought back like them; the parent creates and starts them when
a market enters the universe, lets them wind down when it leaves (nothing is entered, what is held is looked after), and
deletes them once they are flat. A member's capital is a share of the parent's and returns to it.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.bots.roster import ACTIVE, holds
from engine.errors import ConflictError, HandoverError, JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.market.universe import judge, seats_after
from engine.model.entries import BotEntry, BotState
from engine.model.ids import Owner, instrument_id, venue_of
from engine.model.universe import Seat, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.bots.config import BotConfig
    from engine.bots.manager import BotManager
    from engine.bots.stopping import StopPolicy
    from engine.clock import Clock
    from engine.ledger import Ledger
    from engine.model.ids import InstrumentId, VenueId
    from engine.model.universe import MarketFacts, UniverseRule

__all__ = ["Family", "Universes", "family_of"]

log = get_logger(__name__)

SECOND_NS = 1_000_000_000
LOOK_S = 2.0
RETRY_S = 60.0
"""Pause after a refresh that failed."""
MOST_WORDS = 400
_CENT = Decimal("0.01")
WITH_UNIVERSE = "its universe is paused"
"""Reason of a member that is paused with its universe; what follows a colon is why."""
WINDING_DOWN = "its market left the universe; nothing is entered, what it holds is looked after"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What a booked configuration says about universes."""

    member_of: str = ""
    """Id of the parent; empty for a bot of its own."""
    universe: dict[str, object] | None = None


_ALONE = Family()


@lru_cache(maxsize=1024)
def family_of(config: bytes) -> Family:
    """The part of a booked configuration that is about universes."""
    try:
        return msgspec.json.decode(config, type=Family)
    except msgspec.MsgspecError:
        return _ALONE


class Universes:
    """The universes of an engine.

    Args:
        manager: Whose bots they are.
        ledger: What is booked about them.
    """

    def __init__(self, manager: BotManager, ledger: Ledger) -> None:
        self.facts: Callable[[VenueId, UniverseRule], Awaitable[Sequence[MarketFacts]]] | None = None
        """Tells what a venue's markets are like now; None where nobody does."""
        self.bring: Callable[[InstrumentId], Awaitable[None]] | None = None
        """Has the market of a new member kept."""
        self.verdicts: dict[Owner, list[Verdict]] = {}
        """What each rule said at its last refresh."""
        self.refreshed: dict[Owner, int] = {}
        """When that was, UTC nanoseconds."""
        self.problems: dict[Owner, str] = {}
        """Why the last refresh failed; absent where it did not."""
        self._manager = manager
        self._ledger = ledger
        self._due: dict[Owner, int] = {}
        self._low: dict[Owner, dict[str, int]] = {}

    # --- who belongs to whom -----------------------------------------------------------------------------------------

    @staticmethod
    def is_parent(entry: BotEntry) -> bool:
        """Whether a bot is a universe."""
        return family_of(entry.config).universe is not None

    @staticmethod
    def is_member(entry: BotEntry) -> bool:
        """Whether a bot belongs to a universe."""
        return bool(family_of(entry.config).member_of)

    def members(self, parent: BotEntry) -> list[BotEntry]:
        """The bots of a universe, oldest first, those that wind down included."""
        return [e for e in self._ledger.state.bots.values() if family_of(e.config).member_of == parent.id]

    def has_room(self, owner: Owner) -> bool:
        """Whether a member may open a position: a universe holds no more of them than its own limit says."""
        entry = self._ledger.state.bots.get(owner)
        parent = self._ledger.state.bots.get(Owner(family_of(entry.config).member_of)) if entry is not None else None
        if parent is None:
            return True
        most = self._manager.config(parent).own_limits.max_total_positions
        if most is None:
            return True
        others = (member.id for member in self.members(parent) if member.id != owner)
        return sum(holds(self._ledger.state, other) for other in others) < most

    # --- its life ----------------------------------------------------------------------------------------------------

    def start(self, parent: BotEntry) -> None:
        """Let a universe find its members from now on.

        Raises:
            ConflictError: Nobody tells what the markets are like.
        """
        if self.facts is None:
            raise ConflictError("A universe needs a venue that tells what its markets are like; none is here.")
        self._due.pop(parent.id, None)
        self._manager.move(parent, BotState.STARTING)
        self._manager.move(parent, BotState.RUNNING, "it looks for its members")

    def pause(self, parent: BotEntry, reason: str) -> None:
        """No new entries and no new members; positions stay protected."""
        for member in self.members(parent):
            if member.state is BotState.RUNNING:
                self._manager.pause(member, f"{WITH_UNIVERSE}: {reason}" if reason else WITH_UNIVERSE)
        self._manager.move(parent, BotState.PAUSED, reason)

    def resume(self, parent: BotEntry) -> None:
        """Go on with the members that were paused together with the universe.

        Those that a person, a rule or their own strategy has paused stay so, and those that wind down go on with it.
        """
        for member in self.members(parent):
            if member.state is BotState.PAUSED and member.reason.partition(":")[0] == WITH_UNIVERSE:
                self._manager.resume(member)
        self._manager.move(parent, BotState.RUNNING)
        self._due.pop(parent.id, None)

    def stop(self, parent: BotEntry, policy: StopPolicy, reason: str) -> None:
        """Stop every member, then the universe; flat members are deleted and their capital returns."""
        if parent.state not in ACTIVE:
            raise ConflictError(f"The bot {parent.name} is {parent.state}; there is nothing to stop.")
        for member in self.members(parent):
            if member.state in (*ACTIVE, BotState.ERROR) and member.state is not BotState.STOPPING:
                self._manager.stop(member, policy, reason)
        self._manager.move(parent, BotState.STOPPED, reason)
        self._clear(parent)

    def check_delete(self, parent: BotEntry) -> None:
        """Raise ConflictError while a universe has members."""
        self._clear(parent)
        left = [member.name for member in self.members(parent)]
        if left:
            raise ConflictError(
                f"The universe {parent.name} still has {', '.join(left[:5])}{' and more' if len(left) > 5 else ''}; "
                "stop it with `close`, and delete it when they are flat."
            )

    # --- refreshing --------------------------------------------------------------------------------------------------

    async def run(self, clock: Clock, may: Callable[[], bool]) -> None:
        """Refresh every running universe in its time, for as long as the engine runs."""
        while True:
            await clock.sleep(LOOK_S)
            if not may() or self._manager.asleep or self._manager.backlog.held:
                continue
            for parent in [entry for entry in self._ledger.state.bots.values() if self.is_parent(entry)]:
                await self._tend(parent, clock.now())

    async def _tend(self, parent: BotEntry, now: int) -> None:
        try:
            self._clear(parent)
            if parent.state is BotState.RUNNING and now >= self._due.get(parent.id, 0):
                await self.refresh(parent, now)
        except (JournalError, HandoverError) as error:
            log.error("a universe waits: nothing can be booked", bot=parent.id, problem=error.message)
        except Exception as error:  # nothing that happens to a universe may end the engine
            self._due[parent.id] = now + int(RETRY_S * SECOND_NS)
            words = error.message if isinstance(error, QuarterdeckError) else f"{type(error).__name__}: {error}"
            self.problems[parent.id] = words
            log.warning("a universe could not be refreshed", bot=parent.id, problem=words)
            self._manager.errors.report(error, component="bots", operation="refresh universe", bot=parent.id)

    async def refresh(self, parent: BotEntry, now: int) -> None:
        """Ask the venue, and let members come and go.

        Raises:
            ExchangeError: The venue does not answer; everything stays as it is.
        """
        config = self._manager.config(parent)
        rule = config.universe
        if rule is None or self.facts is None:
            return
        self._due[parent.id] = now + int(rule.refresh_s * SECOND_NS)
        venue = venue_of(instrument_id_of(config))
        verdicts = judge(rule, await self.facts(venue, rule))
        if parent.id not in self._ledger.state.bots or parent.state is not BotState.RUNNING:
            return
        self.problems.pop(parent.id, None)
        seats = seats_after(rule, verdicts, self._seats(parent))
        self._low[parent.id] = {symbol: seat.low for symbol, seat in seats.items()}
        await self._bring_in_line(parent, config, rule, seats)
        held = {self._symbol(member) for member in self.members(parent)}
        self.verdicts[parent.id] = [
            msgspec.structs.replace(
                verdict, member=verdict.symbol in seats, winding_down=verdict.symbol in held - seats.keys()
            )
            for verdict in verdicts
        ]
        self.refreshed[parent.id] = now
        self._say_members(parent, sorted(seats))

    def _say_members(self, parent: BotEntry, symbols: Sequence[str]) -> None:
        """Book who the members are, where that has changed."""
        words = f"{len(symbols)} member{'' if len(symbols) == 1 else 's'}: {', '.join(symbols)}"[:MOST_WORDS]
        if parent.state is BotState.RUNNING and parent.reason != words:
            self._manager.move(parent, BotState.RUNNING, words)

    def _seats(self, parent: BotEntry) -> dict[str, Seat]:
        low = self._low.get(parent.id, {})
        members = (m for m in self.members(parent) if m.reason != WINDING_DOWN)
        return {s: Seat(symbol=s, low=low.get(s, 0)) for s in (self._symbol(member) for member in members)}

    def _symbol(self, member: BotEntry) -> str:
        return self._manager.config(member).instrument.partition(":")[2]

    async def _bring_in_line(
        self, parent: BotEntry, config: BotConfig, rule: UniverseRule, seats: dict[str, Seat]
    ) -> None:
        members = {self._symbol(member): member for member in self.members(parent)}
        for symbol, member in members.items():
            if symbol not in seats:
                self._let_go(member)
            elif member.state is BotState.PAUSED and member.reason == WINDING_DOWN:
                self._manager.resume(member)
        self._clear(parent)
        for symbol in seats:
            if parent.state is not BotState.RUNNING:
                return
            if symbol not in members:
                await self._admit(parent, config, rule, symbol)

    def _let_go(self, member: BotEntry) -> None:
        """A market has left: nothing more is entered; flat, the member is stopped."""
        if member.state is BotState.RUNNING:
            self._manager.pause(member, WINDING_DOWN)
        if member.state is BotState.PAUSED and member.reason != WINDING_DOWN:
            self._manager.move(member, BotState.PAUSED, WINDING_DOWN)

    def _clear(self, parent: BotEntry) -> None:
        """Delete members that have wound down, or were stopped and hold nothing; their capital returns."""
        for member in self.members(parent):
            flat = not holds(self._ledger.state, member.id)
            if flat and member.state is BotState.PAUSED and member.reason == WINDING_DOWN:
                self._manager.stop(member, "cancel_orders", "its market left the universe")
            if flat and member.state is BotState.STOPPED:
                capital = member.capital
                self._manager.delete(member)
                self._give(parent, capital)

    def _give(self, parent: BotEntry, capital: Decimal) -> None:
        self._ledger.record(ev.BotConfigured(bot=parent.id, config=parent.config, capital=parent.capital + capital))

    async def _admit(self, parent: BotEntry, config: BotConfig, rule: UniverseRule, symbol: str) -> None:
        """Create and start the bot of a market that has entered; one that cannot be started does not hold up others."""
        instrument = instrument_id(venue_of(instrument_id_of(config)), symbol)
        if self.bring is not None:
            await self.bring(instrument)
        whole = parent.capital + sum((member.capital for member in self.members(parent)), Decimal(0))
        share = min((whole / rule.top).quantize(_CENT, ROUND_FLOOR), parent.capital)
        if share <= 0 or parent.state is not BotState.RUNNING:
            return
        own = {name: value for name, value in config.risk.items() if name != "max_total_positions"}
        wanted = config.model_copy(
            update={
                "name": member_name(parent.name, symbol),
                "instrument": str(instrument),
                "capital": share,
                "universe": None,
                "markets": (),
                "member_of": str(parent.id),
                "autostart": False,
                "risk": own,
            }
        )
        self._give(parent, -share)
        try:
            member = self._manager.create(wanted)
        except QuarterdeckError:
            self._give(parent, share)
            raise
        try:
            await self._manager.start(member)
        except (JournalError, HandoverError):
            raise
        except QuarterdeckError as error:
            log.warning("a member of a universe could not be started", bot=member.id, problem=error.message)
            self._manager.errors.report(error, component="bots", operation="start member", bot=member.id)
            self.problems[parent.id] = f"{member.name}: {error.message}"


def member_name(parent: str, symbol: str) -> str:
    """Name of a universe's member."""
    return f"{parent} {symbol.replace('/', '-').replace(':', '_')}"[:32]


def instrument_id_of(config: BotConfig) -> InstrumentId:
    """A configuration's instrument; of a universe it names the venue alone."""
    from engine.model.ids import InstrumentId

    return InstrumentId(config.instrument)
