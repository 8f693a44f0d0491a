"""The outgoing half of a terminal, on a real pseudo-terminal whose other end reads when the test says so."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from typing import TYPE_CHECKING

import pytest

from console.output import Patience, TerminalOutput
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 64 * 1024
PIECE = b"x" * 4096


class Line:
    """A terminal's two ends and what its output reported."""

    def __init__(self) -> None:
        self.far, self.near = pty.openpty()
        tty.setraw(self.near)
        os.set_blocking(self.near, False)
        os.set_blocking(self.far, False)
        self.told: list[str] = []
        self.now = 0.0

    def output(self, limit: int = LIMIT) -> TerminalOutput:
        """The output under test."""
        return TerminalOutput(
            self.near,
            asyncio.get_running_loop(),
            on_behind=lambda: self.told.append("behind"),
            on_flowing=lambda dropped: self.told.append("flowing, dropped" if dropped else "flowing"),
            on_gone=self.told.append,
            limit=limit,
            patience=Patience(60.0, lambda: self.now, 0.001),
        )

    def read(self) -> bytes:
        """What has arrived."""
        try:
            return os.read(self.far, 1 << 16)
        except BlockingIOError:
            return b""

    async def read_until(self, word: str) -> bytes:
        """Read until that has been reported."""
        data = b""
        while word not in self.told:
            data += self.read()
            await asyncio.sleep(0.001)
        return data + await self.rest()

    async def rest(self) -> bytes:
        """Read until nothing comes; the kernel hands over what it holds in steps of its own."""
        data, silent = b"", 0
        while silent < 20:
            piece = self.read()
            data, silent = data + piece, 0 if piece else silent + 1
            await asyncio.sleep(0.001)
        return data

    async def brim(self) -> None:
        """Write past the output under test until the kernel takes nothing more, now and later."""
        refused = 0
        while refused < 20:
            try:
                os.write(self.near, PIECE)
                refused = 0
            except BlockingIOError:
                refused += 1
            await asyncio.sleep(0.001)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    for fd in (line.far, line.near):
        if fd >= 0:
            os.close(fd)


async def fill(output: TerminalOutput, line: Line) -> int:
    """Write until the terminal takes no more; returns the bytes written."""
    written = 0
    while "behind" not in line.told:
        output.write(PIECE)
        written += len(PIECE)
        await asyncio.sleep(0)
    # The kernel goes on moving some kilobytes to the far end by itself.
    for _ in range(5):
        assert output.write(PIECE)
    return written + 5 * len(PIECE)


async def test_what_is_written_in_one_turn_leaves_together_and_in_order(line: Line) -> None:
    output = line.output()
    for piece in (b"one ", b"two ", b"three"):
        assert output.write(piece)
    assert line.read() == b""
    await asyncio.sleep(0)
    assert await line.rest() == b"one two three"
    assert line.told == []


async def test_a_full_terminal_is_reported_and_nothing_is_lost_below_the_limit(line: Line) -> None:
    output = line.output()
    written = await fill(output, line)
    assert output.pending > 0
    read = await asyncio.wait_for(line.read_until("flowing"), 5)
    assert len(read) == written
    assert line.told == ["behind", "flowing"]
    assert not output.behind


async def test_above_the_limit_whole_pieces_are_dropped_and_reported_once(line: Line) -> None:
    output = line.output()
    written = await fill(output, line)
    taken = [output.write(PIECE) for _ in range(30)]
    assert output.pending <= LIMIT
    assert taken.count(False) == output.dropped > 0
    assert output.stalled
    assert not output.write(b"."), "a small piece must not overtake the large ones that were dropped"
    read = await asyncio.wait_for(line.read_until("flowing, dropped"), 5)
    assert len(read) == written + taken.count(True) * len(PIECE)
    assert line.told == ["behind", "flowing, dropped"]
    assert output.write(b"again")


async def test_many_pieces_in_one_turn_beyond_the_limit_recover_at_once(line: Line) -> None:
    output = line.output(limit=6000)
    assert [output.write(PIECE) for _ in range(2)] == [True, False]
    await asyncio.sleep(0)
    assert line.told == ["flowing, dropped"]
    assert not output.stalled


async def test_a_piece_larger_than_the_limit_is_taken_by_an_empty_buffer(line: Line) -> None:
    output = line.output(limit=100)
    assert output.write(PIECE)
    assert await line.rest() == PIECE


async def test_silence_counts_only_while_something_waits(line: Line) -> None:
    output = line.output()
    output.write(b"taken at once")
    await asyncio.sleep(0)
    line.now += 1000
    await asyncio.sleep(0.005)
    await fill(output, line)
    line.now += 59
    await asyncio.sleep(0.005)
    assert line.told == ["behind"]
    line.now += 1
    await eventually(lambda: len(line.told) == 2)
    assert line.told[1] == "it has taken nothing for 60 seconds"
    assert not output.write(b"after the end")


async def test_every_byte_taken_starts_the_silence_anew(line: Line) -> None:
    output = line.output()
    await fill(output, line)
    before = output.pending
    line.now += 50
    while output.pending == before:
        line.read()
        await asyncio.sleep(0.001)
    if output.behind:
        line.now += 50
        await asyncio.sleep(0.005)
    assert not [word for word in line.told if "nothing" in word]


async def test_a_closed_terminal_is_reported_once(line: Line) -> None:
    output = line.output()
    os.close(line.far)
    line.far = -1
    output.write(b"to nobody")
    await asyncio.sleep(0)
    assert len(line.told) == 1
    assert "it cannot be written" in line.told[0]
    assert not output.write(b"more")


async def test_last_words_of_a_full_terminal_replace_what_waits(line: Line) -> None:
    output = line.output()
    await fill(output, line)
    await line.brim()
    flushed: list[bool] = []

    def flush() -> None:
        flushed.append(True)
        while line.read():
            pass

    assert output.finish(b"good-bye", flush)
    assert flushed
    assert (await line.rest()).endswith(b"good-bye")
    assert not output.finish(b"twice", flush)


async def test_last_words_follow_what_was_written_before(line: Line) -> None:
    output = line.output()
    output.write(b"first ")
    assert output.finish(b"last", lambda: pytest.fail("there was room"))
    assert await line.rest() == b"first last"
