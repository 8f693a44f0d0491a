"""Launcher and engine process understand each other however the bytes arrive."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from console.launch_line import MAX_LINE, Words, encode
from console.line_end import LauncherLine
from tests.kit.waiting import eventually

words = st.lists(st.tuples(st.sampled_from(["ready", "error", "detached"]), st.text(max_size=50)), max_size=5)


@given(said=words, cut=st.integers(1, 20))
def test_words_arrive_whole_in_order_and_on_one_line_however_they_are_cut(
    said: list[tuple[str, str]], cut: int
) -> None:
    data = b"".join(encode(word, rest) for word, rest in said)
    assert data.count(b"\n") == len(said)
    understood = Words()
    heard = [pair for start in range(0, len(data), cut) for pair in understood.feed(data[start : start + cut])]
    assert [word for word, _ in heard] == [word for word, _ in said]
    for (_, before), (_, after) in zip(said, heard, strict=True):
        assert after.split() == before.encode("utf-8", "replace").decode("utf-8", "replace").split()


def test_a_line_that_never_ends_does_not_grow_without_bound() -> None:
    understood = Words()
    for _ in range(10):
        assert understood.feed(b"x" * MAX_LINE) == []
    ((word, _),) = understood.feed(b"\n")
    assert len(word) == MAX_LINE
    assert len(encode("error", "y" * 10 * MAX_LINE)) == MAX_LINE


async def test_the_process_hears_a_hang_up_and_the_end_of_the_launcher() -> None:
    ours, theirs = socket.socketpair()
    line = LauncherLine(theirs)
    heard: list[str] = []
    line.listen(asyncio.get_running_loop(), heard.append)
    ours.send(encode("hup"))
    await eventually(lambda: heard)
    ours.close()
    await eventually(lambda: len(heard) == 2)
    assert heard == ["it hung up", "the launcher is gone"]
    line.say("exit", 0)
    line.close()
    line.close()


async def test_speaking_to_a_launcher_that_does_not_listen_never_waits() -> None:
    ours, theirs = socket.socketpair()
    line = LauncherLine(theirs)
    for _ in range(2000):
        line.say("error", "z" * 1000)
    line.close()
    ours.close()
