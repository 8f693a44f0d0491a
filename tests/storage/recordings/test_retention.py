"""What makes place for newer recordings: by age and by quota, the oldest first, and never more than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.recordings.retention import Piece, Shelved, surplus


def _session(name: str, starts: list[int], sizes: list[int]) -> Shelved:
    pieces = [Piece(f"m/{start}", start, size) for start, size in zip(sorted(starts), sizes, strict=False)]
    return Shelved(name, pieces[0].start, pieces, pieces[-1].start)


@st.composite
def shelves(draw: st.DrawFn) -> list[Shelved]:
    """Some sessions one after the other, each of some pieces; the last one may be running."""
    found, time = [], 0
    for number in range(draw(st.integers(1, 6))):
        starts = []
        for _ in range(draw(st.integers(1, 6))):
            time += draw(st.integers(1, 50))
            starts.append(time)
        sizes = draw(st.lists(st.integers(1, 100), min_size=len(starts), max_size=len(starts)))
        found.append(_session(f"s{number}", starts, sizes))
    return draw(st.permutations(found))


@given(shelves(), st.booleans(), st.integers(1, 1500), st.integers(0, 600))
def test_quota_and_age(sessions: list[Shelved], recorded: bool, quota: int, oldest: int) -> None:
    running = max(sessions, key=lambda s: s.start).id if recorded else ""
    gone, cut = surplus(sessions, running, quota, oldest)
    left = [s for s in sessions if s not in gone]
    own = next((s for s in sessions if s.id == running), None)
    assert own is None or own in left
    kept_pieces = [piece for piece in own.pieces if piece not in cut] if own is not None else []
    total = sum(s.bytes for s in left if s.id != running) + sum(piece.bytes for piece in kept_pieces)

    # Within the quota, unless the newest piece of the running session alone is beyond it.
    assert total <= quota or (own is not None and kept_pieces == own.pieces[-1:] and len(left) == 1)
    # Nothing too old is left but what the running session still adds to.
    assert all(s.last >= oldest for s in left if s.id != running)
    # The oldest goes first, and of the running one only its beginning.
    assert all(a.last <= b.last for a in gone for b in left if b.id != running)
    assert own is None or cut == own.pieces[: len(cut)]
    assert own is None or len(cut) < len(own.pieces)
    # No more than needed: with the newest of what went, it would be too much or too old.
    if cut:
        following = kept_pieces[0].start
        assert total + cut[-1].bytes > quota or following < oldest
    elif gone:
        assert total + gone[-1].bytes > quota or gone[-1].last < oldest
    # What was looked after is well.
    if own is not None:
        own.pieces[:] = kept_pieces
    assert surplus(left, running, quota, oldest) == ([], [])


def test_within_quota_and_age_nothing_goes() -> None:
    sessions = [_session("a", [10, 20], [5, 5]), _session("b", [30], [5])]
    assert surplus(sessions, "b", 15, 20) == ([], [])
    assert [s.id for s in surplus(sessions, "b", 14, 20)[0]] == ["a"]
    assert [s.id for s in surplus(sessions, "", 15, 21)[0]] == ["a"]
