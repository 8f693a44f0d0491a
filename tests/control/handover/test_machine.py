"""The two step machines: the way through, and at every step a peer that dies, is too slow, gives up or lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.control.handover.machine import Do, Identity, Patience, Predecessor, Send, Successor
from engine.control.handover.messages import (
    Final,
    Grant,
    Hello,
    Message,
    Page,
    Proof,
    Prove,
    Ready,
    Refused,
    Taken,
    Warm,
    Welcome,
    decode,
    encode,
)
from engine.errors import ConfigurationError
from engine.inheritance import Carried

if TYPE_CHECKING:
    from engine.control.handover.machine import Doing

S = 1_000_000_000
OLD = Identity(release="2.0.0", pid=100, journal_format=3, journal_id="abc", epoch=7)
NEW = Identity(release="2.1.0", pid=200, journal_format=3)
FINAL = Final(seq=12, digest="end", carried=Carried(), page=Page())


def sent(doings: list[Doing]) -> list[Message]:
    return [doing.message for doing in doings if isinstance(doing, Send)]


def others(doings: list[Doing]) -> list[Do]:
    return [doing for doing in doings if isinstance(doing, Do)]


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_both_sides_come_to_the_switch_together() -> None:
    old, new = Predecessor(OLD, 0), Successor(NEW, 0)
    (hello,) = sent(new.begin(0))
    (welcome,) = sent(old.receive(hello, 0))
    assert new.receive(welcome, 0) == [Do.WARM_UP]
    (warm,) = sent(new.warmed("abc", 9, 0))
    assert old.receive(warm, 0) == [Do.PROVE]
    assert new.receive(Page(), 0) == [Do.KEEP]
    (prove,) = sent(old.proven_at(10, "ten", 0))
    assert new.receive(prove, 0) == [Do.SHOW]
    assert new.asked == 10
    (proof,) = sent(new.shown("ten", 0))
    assert old.receive(proof, 0) == [Do.FREEZE]
    (final,) = sent(old.stood_still(FINAL, 0))
    assert new.receive(final, 0) == [Do.KEEP, Do.CONFIRM]
    (ready,) = sent(new.confirmed("end", 0))
    assert old.receive(ready, 0) == [Do.GRANT]
    assert new.receive(Grant(epoch=7), 0, descriptor=True) == [Do.TAKE]
    doings = new.taken(8)
    assert others(doings) == [Do.TRADE]
    assert old.receive(sent(doings)[0], 0) == [Do.LEAVE]
    assert old.over
    assert new.over
    assert (old.reason, new.reason) == ("", "")


# --- the predecessor at every step -----------------------------------------------------------------------------------

STEPS = ("greeting", "warming", "proving", "confirming", "granted")


def predecessor(step: str) -> Predecessor:
    """One that waits for the successor at a step."""
    machine = Predecessor(OLD, 0)
    if step == "greeting":
        return machine
    machine.receive(Hello(protocol=1, release="2.1.0", pid=200, journal_format=3), 0)
    if step == "warming":
        return machine
    machine.receive(Warm(journal_id="abc", seq=9), 0)
    machine.proven_at(10, "ten", 0)
    if step == "proving":
        return machine
    machine.receive(Proof(seq=10, digest="ten"), 0)
    machine.stood_still(FINAL, 0)
    if step == "confirming":
        return machine
    machine.receive(Ready(seq=12, digest="end"), 0)
    return machine


def ends_well(step: str, doings: list[Doing], machine: Predecessor) -> None:
    """The engine goes on: at once, or once it is certain that the other process is dead and took nothing."""
    if step == "granted":
        assert doings == [Do.SETTLE]
        assert not machine.over
        assert machine.settled(moved=False) == [Do.THAW, Do.CLOSE]
    else:
        assert (Do.THAW in doings) == (step == "confirming")
        assert doings[-1] is Do.CLOSE
        assert Do.LEAVE not in doings
        assert Do.GRANT not in doings
    assert machine.over
    assert machine.reason


@pytest.mark.parametrize("step", STEPS)
def test_a_successor_that_dies_leaves_the_engine_trading(step: str) -> None:
    machine = predecessor(step)
    ends_well(step, machine.lost("reset by peer"), machine)
    assert machine.lost("again") == []


@pytest.mark.parametrize("step", STEPS)
def test_a_successor_that_is_too_slow_leaves_the_engine_trading(step: str) -> None:
    machine = predecessor(step)
    assert machine.deadline is not None
    assert machine.tick(machine.deadline - 1) == []
    ends_well(step, machine.tick(machine.deadline), machine)
    assert "in time" in machine.reason


@pytest.mark.parametrize("step", STEPS)
def test_a_successor_that_gives_up_leaves_the_engine_trading(step: str) -> None:
    machine = predecessor(step)
    ends_well(step, machine.receive(Refused(reason="bad settings"), 1), machine)
    assert "bad settings" in machine.reason


LIES: dict[str, tuple[Message, ...]] = {
    "greeting": (Taken(epoch=8), Warm(journal_id="abc", seq=1)),
    "warming": (Ready(seq=12, digest="end"), Warm(journal_id="another", seq=9)),
    "proving": (Proof(seq=10, digest="eleven"), Proof(seq=9, digest="ten"), Taken(epoch=8)),
    "confirming": (Ready(seq=12, digest="start"), Ready(seq=11, digest="end"), Taken(epoch=8)),
    "granted": (Taken(epoch=9), Taken(epoch=7), Ready(seq=12, digest="end")),
}


@pytest.mark.parametrize(("step", "lie"), [(step, lie) for step, lies in LIES.items() for lie in lies])
def test_a_successor_that_lies_leaves_the_engine_trading(step: str, lie: Message) -> None:
    machine = predecessor(step)
    ends_well(step, machine.receive(lie, 1), machine)


def test_an_engine_that_cannot_stand_still_goes_on_and_says_why() -> None:
    machine = predecessor("proving")
    assert machine.receive(Proof(seq=10, digest="ten"), 0) == [Do.FREEZE]
    doings = machine.failed("Calls are under way.")
    assert others(doings) == [Do.THAW, Do.CLOSE]
    assert sent(doings) == [Refused(reason="Calls are under way.")]


def test_a_successor_that_had_opened_the_epoch_is_left_alone_whatever_it_says() -> None:
    machine = predecessor("granted")
    assert machine.lost("it was killed") == [Do.SETTLE]
    assert machine.settled(moved=True) == [Do.LEAVE]


def test_the_older_program_is_named_and_never_takes_a_newer_journal() -> None:
    machine = Predecessor(OLD, 0)
    doings = machine.receive(Hello(protocol=1, release="1.9.0", pid=200, journal_format=2), 0)
    (refused,) = sent(doings)
    assert isinstance(refused, Refused)
    assert "release 2.0.0, which is newer than 1.9.0" in refused.reason
    machine = Predecessor(OLD, 0)
    (refused,) = sent(machine.receive(Hello(protocol=2, release="3.0.0", pid=200, journal_format=3), 0))
    assert isinstance(refused, Refused)
    assert "running engine is older" in refused.reason


# --- the successor at every step -------------------------------------------------------------------------------------

TURNS = ("greeting", "asked", "standing", "granting")


def successor(turn: str) -> Successor:
    """One that waits for the running engine at a step."""
    machine = Successor(NEW, 0)
    machine.begin(0)
    if turn == "greeting":
        return machine
    welcome = Welcome(protocol=1, release="2.0.0", pid=100, journal_format=3, journal_id="abc", epoch=7)
    machine.receive(welcome, 0)
    machine.warmed("abc", 9, 0)
    if turn == "asked":
        return machine
    machine.receive(Prove(seq=10), 0)
    machine.shown("ten", 0)
    if turn == "standing":
        return machine
    machine.receive(FINAL, 0)
    machine.confirmed("end", 0)
    return machine


def gives_up(doings: list[Doing], machine: Successor) -> None:
    assert others(doings) == [Do.GIVE_UP, Do.CLOSE]
    assert machine.over
    assert machine.reason


@pytest.mark.parametrize("turn", TURNS)
def test_a_successor_gives_up_when_the_engine_is_lost_slow_or_refuses(turn: str) -> None:
    machine = successor(turn)
    gives_up(machine.lost("it has closed"), machine)
    machine = successor(turn)
    assert machine.deadline is not None
    gives_up(machine.tick(machine.deadline), machine)
    machine = successor(turn)
    gives_up(machine.receive(Refused(reason="not now"), 1), machine)
    assert machine.reason == "not now"
    machine = successor(turn)
    gives_up(machine.failed("The disk is full."), machine)


@pytest.mark.parametrize(
    ("turn", "lie"),
    [
        ("greeting", Prove(seq=1)),
        ("asked", Grant(epoch=7)),
        ("standing", Grant(epoch=7)),
        ("granting", Grant(epoch=6)),
        ("granting", Prove(seq=3)),
    ],
)
def test_a_successor_takes_nothing_from_an_engine_that_says_nonsense(turn: str, lie: Message) -> None:
    machine = successor(turn)
    gives_up(machine.receive(lie, 1, descriptor=True), machine)


def test_a_grant_without_the_lock_is_none() -> None:
    machine = successor("granting")
    gives_up(machine.receive(Grant(epoch=7), 1), machine)


def test_a_successor_that_comes_to_another_state_says_so_itself() -> None:
    machine = successor("standing")
    machine.receive(FINAL, 1)
    gives_up(machine.confirmed("another", 1), machine)
    assert "another state" in machine.reason


def test_a_newer_journal_refuses_an_older_successor() -> None:
    machine = Successor(NEW, 0)
    machine.begin(0)
    newer = Welcome(protocol=1, release="2.5.0", pid=100, journal_format=4, journal_id="abc", epoch=7)
    gives_up(machine.receive(newer, 1), machine)
    assert "release 2.5.0, which is newer than 2.1.0" in machine.reason


def test_once_it_has_the_epoch_nothing_ends_it() -> None:
    machine = successor("granting")
    assert machine.receive(Grant(epoch=7), 1, descriptor=True) == [Do.TAKE]
    assert machine.tick(10**15) == []
    machine.taken(8)
    assert machine.lost("the other side is gone") == []
    assert machine.receive(Refused(reason="too late"), 2) == []


def test_patience_is_the_callers() -> None:
    machine = Predecessor(OLD, 0, Patience(greeting=0.5))
    assert machine.deadline == S // 2


# --- the wire --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [Taken(epoch=8), FINAL, Refused(reason="no"), Warm(journal_id="abc", seq=3)])
def test_messages_come_back_as_they_were(message: Message) -> None:
    assert decode(encode(message)) == message


def test_what_is_no_message_is_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="cannot be understood"):
        decode(b"\x81\xa1m\xa4What")
