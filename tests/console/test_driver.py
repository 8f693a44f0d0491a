"""The driver under a small app, on a real pseudo-terminal in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import struct
import termios
from fcntl import ioctl
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Static

from console.driver import QuarterdeckDriver, TerminalLease, driver_for
from console.ending import ExitIntent
from console.hosted import HostedApp
from console.terminal import RESTORE_SCREEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual import events

COLUMNS, ROWS = 60, 20
MANY = 100


class PageApp(HostedApp):
    """Fills the screen with numbered rows and remembers what was typed."""

    CSS = "#page { width: 100%; height: 100%; }"
    ENABLE_COMMAND_PALETTE = False
    typed = ""
    keys = 0

    def compose(self) -> Any:
        yield Static("\n".join(f"row {row:03d}" for row in range(MANY)), id="page", markup=False)

    def on_key(self, event: events.Key) -> None:
        self.keys += 1
        self.typed += event.character if event.character and event.is_printable else f"<{event.key}>"


class Desk:
    """An app on a terminal whose far end the test holds."""

    def __init__(self, buffer_limit: int = 16 * 1024) -> None:
        self.far, self.near = pty.openpty()
        os.set_blocking(self.far, False)
        self.resize(COLUMNS, ROWS)
        self.gone: list[str] = []
        self.lease = TerminalLease(self.near, self.gone.append, buffer_limit=buffer_limit)
        self.app = PageApp(driver_for(self.lease))

    def resize(self, columns: int, rows: int) -> None:
        ioctl(self.far, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def driver(self) -> QuarterdeckDriver:
        driver = self.lease.driver
        assert driver is not None
        return driver

    def read(self) -> bytes:
        try:
            return os.read(self.far, 1 << 16)
        except OSError:
            return b""

    async def until(self, true: Callable[[], object], *, reading: bool = True) -> bytes:
        """Let the app run until the condition holds; returns what it wrote meanwhile."""
        data = b""
        async with asyncio.timeout(10):
            while not true():
                data += self.read() if reading else b""
                await asyncio.sleep(0.002)
        return data

    async def quiet(self) -> bytes:
        """Read until nothing comes for a while."""
        data, silent = b"", 0
        while silent < 25:
            piece = self.read()
            data, silent = data + piece, 0 if piece else silent + 1
            await asyncio.sleep(0.002)
        return data

    async def block(self) -> None:
        """Stop reading, and write until the app's drawing is held."""
        while not self.driver.holds_drawing:
            self.driver.write("\x1b[H" * 1000)
            await asyncio.sleep(0)
        # The kernel goes on moving some kilobytes to the far end by itself.
        self.driver.write("\x1b[H" * 3000)


@contextlib.asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[Desk]:
    """Run the desk's app until the block ends."""
    task = asyncio.create_task(desk.app.run_async())
    try:
        await desk.until(lambda: desk.lease.driver is not None and desk.app.is_running and desk.app.query("#page"))
        await desk.quiet()
        yield desk
    finally:
        desk.app.exit(ExitIntent.DETACH)
        await asyncio.wait_for(task, 10)
        for fd in {desk.far, desk.near} - {-1}:
            os.close(fd)


def rows_drawn(output: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"row (\d+)", output)]


async def test_the_shells_descriptor_stays_blocking() -> None:
    async with running(Desk()) as desk:
        assert os.get_blocking(desk.near)
        assert desk.driver.fileno != desk.near
        assert not os.get_blocking(desk.driver.fileno)


async def test_keys_arrive_in_order_and_a_lone_escape_is_a_key() -> None:
    async with running(Desk()) as desk:
        os.write(desk.far, "buy ½\x1b[A".encode())
        await desk.until(lambda: "<up>" in desk.app.typed)
        os.write(desk.far, b"\x1b")
        await desk.until(lambda: "<escape>" in desk.app.typed)
        assert desk.app.typed == "buy ½<up><escape>"


async def test_garbage_on_the_line_ends_neither_input_nor_app() -> None:
    async with running(Desk()) as desk:
        os.write(desk.far, b"\xff\xfe\x1b[99999999999999;1;1M\x1b[<M\x00\xc3")
        await desk.quiet()
        os.write(desk.far, b"z")
        await desk.until(lambda: "z" in desk.app.typed)


async def test_input_waits_in_the_kernel_while_the_app_is_busy() -> None:
    async with running(Desk()) as desk:
        most, data = 0, b"k" * 4_000

        def all_typed() -> bool:
            nonlocal most, data
            most = max(most, desk.app.message_queue_size)
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(desk.far, data) :]
            return desk.app.keys == 4_000

        await desk.until(all_typed)
        assert most < 500 + 512 + 100


async def test_what_changes_while_the_terminal_is_behind_is_drawn_once_when_it_has_caught_up() -> None:
    async with running(Desk()) as desk:
        await desk.block()
        page = desk.app.query_one("#page", Static)
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            page.update(f"{letter * 7}\n" * ROWS, layout=False)
            await asyncio.sleep(0.005)
        output = await desk.until(lambda: not desk.driver.holds_drawing) + await desk.quiet()
        assert re.findall(rb"Z+", output) == [b"Z" * 7] * ROWS
        assert b"YY" not in output


async def test_dropped_output_is_made_good_by_one_full_repaint() -> None:
    async with running(Desk()) as desk:
        await desk.block()
        desk.driver.write("dropped " * 4000)
        output = await desk.until(lambda: not desk.driver.holds_drawing) + await desk.quiet()
        assert b"dropped" not in output
        assert rows_drawn(output) == list(range(ROWS))


async def test_a_new_size_while_the_terminal_is_behind_is_drawn_when_it_has_caught_up() -> None:
    async with running(Desk()) as desk:
        await desk.block()
        desk.resize(COLUMNS, ROWS + 5)
        os.kill(os.getpid(), 28)
        await desk.until(lambda: desk.app.size.height == ROWS + 5, reading=False)
        await asyncio.sleep(0.01)
        output = await desk.until(lambda: not desk.driver.holds_drawing) + await desk.quiet()
        assert rows_drawn(output)[-ROWS - 5 :] == list(range(ROWS + 5))


async def test_a_closed_far_end_is_reported_and_ends_nothing_by_itself() -> None:
    async with running(Desk()) as desk:
        os.close(desk.far)
        desk.far = -1
        await desk.until(lambda: desk.gone, reading=False)
        desk.app.query_one("#page", Static).update("unseen")
        await asyncio.sleep(0.01)
        assert len(desk.gone) == 1
        assert desk.app.is_running


async def test_taking_the_terminal_back_from_a_blocked_screen_leaves_the_last_word_to_the_restore() -> None:
    async with running(Desk()) as desk:
        modes = termios.tcgetattr(desk.near)
        await desk.block()
        desk.lease.take_back()
        assert desk.lease.restored
        assert (await desk.quiet()).endswith(RESTORE_SCREEN)
        assert termios.tcgetattr(desk.near) != modes
        assert desk.lease.driver is None


async def test_the_app_cannot_suspend_the_process() -> None:
    async with running(Desk()) as desk:
        desk.app.action_suspend_process()
        assert not desk.driver.can_suspend
        with pytest.raises(Exception, match="not supported"), desk.app.suspend():
            pass
