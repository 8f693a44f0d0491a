"""Two states that folded the same facts have the same digest, whatever was encoded ahead; others have not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given

from engine.state import EngineState
from engine.state.proof import StateProof
from tests.kit.histories import histories, session

if TYPE_CHECKING:
    from engine.events import Record


def folded(records: list[Record], *, ahead: int = 0) -> StateProof:
    """A proof that prepares so many orders after each fact."""
    state = EngineState()
    proof = StateProof(state)
    for record in records:
        state.apply(record)
        proof.hear(record)
        if ahead:
            proof.prepare(ahead)
    return proof


@given(histories())
def test_what_was_encoded_ahead_changes_nothing(records: list[Record]) -> None:
    assert folded(records, ahead=2).digest() == folded(records).digest()


def test_one_fact_more_is_another_digest() -> None:
    records = session(400)
    proof = folded(records[:-1])
    before = proof.digest()
    assert proof.digest() == before
    assert folded(records).digest() != before


def test_a_difference_in_one_recent_order_is_seen() -> None:
    records = session(400)
    proof = folded(records)
    before = proof.digest()
    state = EngineState()
    for record in records:
        state.apply(record)
    order = next(iter(state.recent.values()))
    order.filled += 1
    assert StateProof(state).digest() != before


def test_preparing_ends() -> None:
    records = session(2_000)
    proof = folded(records)
    steps = 0
    while proof.prepare(50):
        steps += 1
    assert steps > 2
    assert not proof.prepare(1)
