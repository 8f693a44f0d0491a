"""Both sides of a hand-over as plain step machines: messages and moments in, things to do out. No input or output here.

The one question that matters is who may write. It is decided by the journal's epoch alone, so neither machine ever has
to trust the other: before the lock is granted the predecessor simply goes on; after that it goes on only once the
successor is dead and the epoch is still its own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from engine.control.handover.messages import (
    PROTOCOL,
    Final,
    Grant,
    Hello,
    Page,
    Proof,
    Prove,
    Ready,
    Refused,
    Taken,
    Warm,
    Welcome,
)
from engine.venues.limits.coordinator import CoordinatorCarried

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.handover.messages import Message
    from engine.model.ids import VenueId

__all__ = ["Do", "Doing", "Identity", "Patience", "Predecessor", "Send", "Successor"]

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a side is."""

    release: str
    pid: int
    journal_format: int
    journal_id: str = ""
    epoch: int = 0
    protocol: int = PROTOCOL
    reached: tuple[VenueId, ...] = ()
    """Venues at which it trades and which answer."""
    pauses: CoordinatorCarried = field(default_factory=CoordinatorCarried)
    """Hosts that have asked it for a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that each step of the other side may take."""

    greeting: float = 2.0
    warming: float = 60.0
    """Imports, strategies and the journal: the engine trades on meanwhile."""
    proving: float = 15.0
    standing: float = 5.0
    """How long a successor waits for an engine that is about to stand still."""
    confirming: float = 1.0
    taking: float = 1.5


class Do(enum.Enum):
    """What the machine's owner has to do; each is answered by a method of the machine where it says so."""

    PROVE = "prove"
    """Predecessor: send what may travel early, then call `proven_at`."""
    FREEZE = "freeze"
    """Predecessor: stand still and book the end, then call `stood_still` or `failed`."""
    GRANT = "grant"
    """Predecessor: send the grant with the lock's descriptor; a failure is `lost`."""
    SETTLE = "settle"
    """Predecessor: make sure that the successor is dead, then call `settled` with whether the epoch moved."""
    THAW = "thaw"
    """Predecessor: go on as before."""
    LEAVE = "leave"
    """Predecessor: the successor has taken over; exit."""
    WARM_UP = "warm up"
    """Successor: make everything ready and follow the journal, then call `warmed` or `failed`."""
    KEEP = "keep"
    """Successor: take in the page just received."""
    SHOW = "show"
    """Successor: reach the number asked for, then call `shown` with the hash."""
    CONFIRM = "confirm"
    """Successor: reach the last fact and take in what travels, then call `confirmed` with the hash or `failed`."""
    TAKE = "take"
    """Successor: open the epoch and sign the lock, then call `taken` or `failed`."""
    TRADE = "trade"
    """Successor: the engine is ours."""
    GIVE_UP = "give up"
    """Successor: end; nothing was touched."""
    CLOSE = "close"
    """Both: end the conversation."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message."""

    message: Message


Doing: TypeAlias = Do | Send


class _Side:
    """What both sides have in common.

    Args:
        me: Who this side is.
        now: Nanoseconds of a steady clock.
        patience: How long the other side may take.
    """

    def __init__(self, me: Identity, now: int, patience: Patience | None = None) -> None:
        self.me = me
        self.patience = patience or Patience()
        self.reason = ""
        """Why there is no hand-over; empty while there may be one."""
        self.over = False
        self.deadline: int | None = None
        """Steady time at which `tick` must be called; None when the other side has nothing to do."""
        self.step = ""
        """What is waited for, in words."""

    def _await(self, now: int, seconds: float, step: str) -> None:
        self.deadline, self.step = now + int(seconds * NS_PER_S), step

    def _work(self, step: str) -> None:
        """It is our turn: the other side waits."""
        self.deadline, self.step = None, step

    def _end(self) -> None:
        self.over, self.deadline = True, None


class Predecessor(_Side):
    """The running engine's side."""

    def __init__(self, me: Identity, now: int, patience: Patience | None = None) -> None:
        super().__init__(me, now, patience)
        self.peer: Hello | None = None
        self.frozen = False
        self.granted = False
        self._proof: tuple[int, str] = (0, "")
        self._await(now, self.patience.greeting, "say who it is")
        self._expect: Callable[[Message, int], list[Doing]] = self._on_hello

    # --- inputs ------------------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: int) -> list[Doing]:
        """The successor has said something."""
        if self.over:
            return []
        if isinstance(message, Refused):
            return self._stop(f"The other process gave up: {message.reason}", say=False)
        return self._expect(message, now)

    def tick(self, now: int) -> list[Doing]:
        """Time has passed."""
        if self.over or self.deadline is None or now < self.deadline:
            return []
        return self._stop(f"The other process did not {self.step} in time.")

    def lost(self, why: str) -> list[Doing]:
        """The conversation has ended by itself."""
        return [] if self.over else self._stop(f"The other process is gone ({why}).", say=False)

    def failed(self, why: str) -> list[Doing]:
        """Something that this side had to do could not be done."""
        return [] if self.over else self._stop(why)

    def proven_at(self, seq: int, digest: str, now: int) -> list[Doing]:
        """Our own proof: the hash of our state at a number."""
        self._proof = (seq, digest)
        self._await(now, self.patience.proving, "prove its state")
        self._expect = self._on_proof
        return [Send(Prove(seq=seq))]

    def stood_still(self, final: Final, now: int) -> list[Doing]:
        """We stand still, our last fact is durable, and this is what travels."""
        self._proof = (final.seq, final.digest)
        self._await(now, self.patience.confirming, "reach the last fact")
        self._expect = self._on_ready
        return [Send(final)]

    def settled(self, *, moved: bool) -> list[Doing]:
        """The successor is dead; whether it had opened the next epoch before."""
        self._end()
        return [Do.LEAVE] if moved else [Do.THAW, Do.CLOSE]

    # --- steps -------------------------------------------------------------------------------------------------------

    def _on_hello(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Hello):
            return self._nonsense(message)
        if message.protocol != self.me.protocol:
            older = "running engine" if self.me.protocol < message.protocol else "new program"
            return self._stop(
                f"The {older} is older and hands over differently (release {self.me.release} runs, {message.release} "
                "wants to take over). Stop the engine and start the new one; orders and bots are kept."
            )
        if message.journal_format < self.me.journal_format:
            return self._stop(
                f"The journal is written by release {self.me.release}, which is newer than {message.release}: it "
                f"knows journals up to format {message.journal_format}, this one has {self.me.journal_format}. Start "
                "the newer release."
            )
        self.peer = message
        self._await(_now, self.patience.warming, "get ready")
        self._expect = self._on_warm
        welcome = Welcome(
            protocol=self.me.protocol,
            release=self.me.release,
            pid=self.me.pid,
            journal_format=self.me.journal_format,
            journal_id=self.me.journal_id,
            epoch=self.me.epoch,
            reached=self.me.reached,
            pauses=self.me.pauses,
        )
        return [Send(welcome)]

    def _on_warm(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Warm):
            return self._nonsense(message)
        if message.journal_id != self.me.journal_id:
            return self._stop("The other process follows another journal; start it with the same --home.")
        self._work("send what travels early")
        return [Do.PROVE]

    def _on_proof(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Proof):
            return self._nonsense(message)
        if (message.seq, message.digest) != self._proof:
            return self._stop(self._differs(message))
        self.frozen = True
        self._work("stand still")
        return [Do.FREEZE]

    def _on_ready(self, message: Message, now: int) -> list[Doing]:
        if not isinstance(message, Ready):
            return self._nonsense(message)
        if (message.seq, message.digest) != self._proof:
            return self._stop(self._differs(message))
        self.granted = True
        self._await(now, self.patience.taking, "take over")
        self._expect = self._on_taken
        return [Do.GRANT]

    def _on_taken(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Taken) or message.epoch != self.me.epoch + 1:
            return self._nonsense(message)
        self._end()
        return [Do.LEAVE]

    def _differs(self, message: Proof | Ready) -> str:
        return (
            f"Release {self.peer.release if self.peer else '?'} comes to another state at fact {message.seq} than "
            f"{self.me.release}, which goes on. Report this; to change the release all the same, stop the engine and "
            "start it again."
        )

    def _nonsense(self, message: Message) -> list[Doing]:
        return self._stop(f"The other process said {type(message).__name__} where it had to {self.step}.")

    def _stop(self, reason: str, *, say: bool = True) -> list[Doing]:
        self.reason = self.reason or reason
        if self.granted:
            # It may hold the lock and may be opening the epoch this very moment: only its death makes that certain.
            self.deadline = None
            return [Do.SETTLE]
        self._end()
        ending: list[Doing] = [Do.THAW] if self.frozen else []
        if say:
            ending.append(Send(Refused(reason=reason)))
        return [*ending, Do.CLOSE]


class Successor(_Side):
    """The side of the process that takes over."""

    def __init__(self, me: Identity, now: int, patience: Patience | None = None) -> None:
        super().__init__(me, now, patience)
        self.peer: Welcome | None = None
        self.page: Page | None = None
        """The page just received."""
        self.asked = 0
        """Number at which the hash is asked for."""
        self.final: Final | None = None
        self.held = False
        """Whether the lock has been given to us."""
        self._expect: Callable[[Message, int], list[Doing]] = self._on_welcome

    # --- inputs ------------------------------------------------------------------------------------------------------

    def begin(self, now: int) -> list[Doing]:
        """Say hello."""
        self._await(now, self.patience.greeting, "answer")
        me = self.me
        return [
            Send(Hello(protocol=me.protocol, release=me.release, pid=me.pid, journal_format=me.journal_format)),
        ]

    def receive(self, message: Message, now: int, *, descriptor: bool = False) -> list[Doing]:
        """The predecessor has said something; `descriptor` tells whether one came with it."""
        if self.over:
            return []
        if isinstance(message, Refused):
            return self._stop(message.reason, say=False)
        self.held = self.held or (isinstance(message, Grant) and descriptor)
        return self._expect(message, now)

    def tick(self, now: int) -> list[Doing]:
        """Time has passed."""
        if self.over or self.deadline is None or now < self.deadline:
            return []
        return self._stop(f"The running engine did not {self.step} in time; it keeps everything.")

    def lost(self, why: str) -> list[Doing]:
        """The conversation has ended by itself."""
        return [] if self.over else self._stop(f"The running engine ended the hand-over ({why}).", say=False)

    def failed(self, why: str) -> list[Doing]:
        """Something that this side had to do could not be done."""
        return [] if self.over else self._stop(why)

    def warmed(self, journal_id: str, seq: int, now: int) -> list[Doing]:
        """Everything is ready and the journal is followed."""
        self._await(now, self.patience.proving, "ask for the state's hash")
        self._expect = self._on_page
        return [Send(Warm(journal_id=journal_id, seq=seq))]

    def shown(self, digest: str, now: int) -> list[Doing]:
        """Our hash at the number asked for."""
        self._await(now, self.patience.standing, "stand still")
        self._expect = self._on_final
        return [Send(Proof(seq=self.asked, digest=digest))]

    def confirmed(self, digest: str, now: int) -> list[Doing]:
        """We have reached the last fact and have taken in what travels; this is our hash there."""
        assert self.final is not None
        if digest != self.final.digest:
            return self._stop(
                f"This program comes to another state at fact {self.final.seq} than the one that runs; it does not "
                "take over."
            )
        self._await(now, self.patience.standing, "give the lock")
        self._expect = self._on_grant
        return [Send(Ready(seq=self.final.seq, digest=digest))]

    def taken(self, epoch: int) -> list[Doing]:
        """The epoch is ours, and the lock says so: nothing that the predecessor says matters any more."""
        self._end()
        return [Send(Taken(epoch=epoch)), Do.TRADE]

    # --- steps -------------------------------------------------------------------------------------------------------

    def _on_welcome(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Welcome):
            return self._nonsense(message)
        if message.protocol != self.me.protocol:
            return self._stop(
                f"The running engine (release {message.release}) hands over differently than {self.me.release}. Stop "
                "it and start this one; orders and bots are kept."
            )
        if message.journal_format > self.me.journal_format:
            return self._stop(
                f"The journal is written by release {message.release}, which is newer than {self.me.release}. Start "
                "the newer release."
            )
        self.peer = message
        self._work("get ready")
        return [Do.WARM_UP]

    def _on_page(self, message: Message, now: int) -> list[Doing]:
        match message:
            case Page():
                self.page = message
                self._await(now, self.patience.proving, "ask for the state's hash")
                return [Do.KEEP]
            case Prove():
                self.asked = message.seq
                self._work("prove the state")
                return [Do.SHOW]
            case _:
                return self._nonsense(message)

    def _on_final(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Final):
            return self._nonsense(message)
        self.final, self.page = message, message.page
        self._work("reach the last fact")
        return [Do.KEEP, Do.CONFIRM]

    def _on_grant(self, message: Message, _now: int) -> list[Doing]:
        if not isinstance(message, Grant) or not self.held or self.peer is None or message.epoch != self.peer.epoch:
            return self._nonsense(message)
        self._work("take over")
        return [Do.TAKE]

    def _nonsense(self, message: Message) -> list[Doing]:
        return self._stop(f"The running engine said {type(message).__name__} where it had to {self.step}.")

    def _stop(self, reason: str, *, say: bool = True) -> list[Doing]:
        self.reason = self.reason or reason
        self._end()
        return [*([Send(Refused(reason=reason))] if say else []), Do.GIVE_UP, Do.CLOSE]
