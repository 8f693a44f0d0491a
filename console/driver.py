"""Textual's driver for a terminal that must never be able to stop the engine.

Console and engine share one event loop. Textual's own driver hands its output to a thread through a small queue that
blocks the loop when the terminal stops reading, and joins that thread at the end; this one writes from the loop,
without waiting, and has no threads:

- while the terminal is behind, drawing pauses and what changes is drawn once when it has caught up;
- when the buffer was full and something was dropped, one full repaint follows;
- a closed terminal, or one that has been silent for too long, is reported to the lease and nothing else happens.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from codecs import getincrementaldecoder
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.app import ScreenError
from textual.driver import Driver
from textual.drivers.linux_driver import (
    KITTY_DISAMBIGUATE_ESCAPE_CODES,
    KITTY_REPORT_ALL_KEYS,
    KITTY_REPORT_ASSOCIATED_TEXT,
    LinuxDriver,
)
from textual.geometry import Size

from console.output import BUFFER_LIMIT, Patience, TerminalOutput
from console.terminal import RESTORE_SCREEN, Terminal, window_size
from widgets.shadow import ShadowedApp

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from textual.app import App
    from textual.message import Message

__all__ = ["QuarterdeckDriver", "TerminalLease", "driver_for"]

logger = logging.getLogger(__name__)

# Bytes a turn: to understand 4096 single keys takes 25 ms, which a loop that trades may not be held.
READ_SIZE = 512
# A paste of megabytes stays in the kernel until the app has worked off this many messages.
INPUT_QUEUE_LIMIT = 500
INPUT_PAUSE_S = 0.02
# A lone escape becomes a key when nothing has followed it for this long.
ESCAPE_WAIT_S = constants.ESCAPE_DELAY + 0.02
KITTY_FLAGS = KITTY_DISAMBIGUATE_ESCAPE_CODES | KITTY_REPORT_ALL_KEYS | KITTY_REPORT_ASSOCIATED_TEXT


@dataclass
class TerminalLease:
    """A terminal that the process may use until it is gone; outlives the app that draws on it."""

    fd: int
    """The terminal as inherited."""
    on_gone: Callable[[str], None]
    """Called with a reason, at most once per app, when the terminal is closed or silent for too long."""
    on_ready: Callable[[], None] = lambda: None
    """Called when the terminal has been prepared for drawing."""
    patience: Patience = field(default_factory=Patience)
    """When silence means that the terminal is gone."""
    buffer_limit: int = BUFFER_LIMIT
    """Bytes that may wait for the terminal."""
    mouse: bool = True
    """Whether the terminal is asked to report the mouse."""
    restored: bool = True
    """Whether the terminal has been given back whole; False as long as a console draws on it."""
    driver: QuarterdeckDriver | None = None
    """Who draws at present."""

    def take_back(self) -> None:
        """End drawing now, without the app's help; never waits."""
        if self.driver is not None:
            self.driver.stop_application_mode()
            self.driver.close()


def driver_for(lease: TerminalLease) -> type[QuarterdeckDriver]:
    """The driver class for `App(driver_class=...)` that draws on this terminal."""
    return type("LeasedDriver", (QuarterdeckDriver,), {"lease": lease})


class QuarterdeckDriver(LinuxDriver):
    """Draws and reads on the lease's terminal, from the event loop and without ever waiting for it."""

    lease: ClassVar[TerminalLease]

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        # Textual's own constructor takes the standard streams and installs handlers that stop the whole process.
        Driver.__init__(
            self, app, debug=debug, mouse=mouse and self.lease.mouse, size=size or window_size(self.lease.fd)
        )
        self.fileno = self.lease.fd
        self.input_tty = True
        self._in_band_window_resize = False
        self._mouse_pixels = False
        self._must_signal_resume = False
        self._terminal: Terminal | None = None
        self._output: TerminalOutput | None = None
        self._pause = ExitStack()
        self._held = False
        self._missed_display = False
        self._reading = False
        self._resume_reading: asyncio.TimerHandle | None = None
        self._escape_timer: asyncio.TimerHandle | None = None
        self._thread = threading.get_ident()

    # --- what Textual asks of a driver

    @property
    def can_suspend(self) -> bool:
        """Never: stopping the process would stop the engine."""
        return False

    def write(self, data: str) -> None:
        """Queue output; it is dropped when the terminal is gone or the buffer is full."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.write, data)
        elif self._output is not None:
            self._output.write(data.encode("utf-8", "replace"))

    def send_message(self, message: Message) -> None:
        """Hand a message to the app."""
        self._app.post_message(message)

    def open_url(self, url: str, new_tab: bool = True) -> None:
        """Do nothing: a browser would be opened by the engine's process, and a text browser on its terminal."""
        logger.info("not opening a browser from the engine's process")

    def start_application_mode(self) -> None:
        """Open the terminal, prepare it for drawing and begin to read.

        Raises:
            OSError: The terminal is gone.
        """
        terminal = self._terminal = Terminal(self.lease.fd)
        self.fileno = terminal.fd
        self._output = TerminalOutput(
            terminal.fd,
            self._loop,
            on_behind=self._pause_drawing,
            on_flowing=self._resume_drawing,
            on_gone=self._gone,
            limit=self.lease.buffer_limit,
            patience=self.lease.patience,
        )
        self.lease.driver = self
        self.lease.restored = False
        # The handler first: a change between looking and listening would be missed.
        self._loop.add_signal_handler(signal.SIGWINCH, self._send_size)
        self._send_size()
        self.write("\x1b[?1049h")
        terminal.raw(keep_signals=bool(os.environ.get("TEXTUAL_ALLOW_SIGNALS")))
        self.write("\x1b[?25l\x1b[?1004h")
        if not constants.DISABLE_KITTY_KEY:
            self.write(f"\x1b[>{KITTY_FLAGS}u")
        self._start_reading()
        self._request_terminal_sync_mode_support()
        self._enable_bracketed_paste()
        self._disable_line_wrap()
        self._enable_mouse_support()
        self.lease.on_ready()

    def disable_input(self) -> None:
        """Stop reading; a second call does nothing."""
        self._stop_reading()
        for timer in (self._escape_timer, self._resume_reading):
            if timer is not None:
                timer.cancel()
        if self._terminal is not None and not self._loop.is_closed():
            self._loop.remove_signal_handler(signal.SIGWINCH)

    def stop_application_mode(self) -> None:
        """Give the terminal back as far as it takes the words for it; never waits."""
        self.disable_input()
        output, self._output = self._output, None
        if output is None or self._terminal is None:
            return
        self.lease.restored = output.finish(RESTORE_SCREEN, self._terminal.drop_output)
        self._pause.close()
        self._terminal.close()
        self._terminal = None

    def close(self) -> None:
        """Forget the lease."""
        if self.lease.driver is self:
            self.lease.driver = None

    # --- drawing

    def displayed(self) -> None:
        """Told by the app after each display: one that came while drawing was held never reached the terminal."""
        self._missed_display = self._missed_display or self._held

    @property
    def holds_drawing(self) -> bool:
        """Whether drawing waits for the terminal to catch up."""
        return self._held

    def _pause_drawing(self) -> None:
        self._held = True
        self._pause.enter_context(self._app.batch_update())

    def _resume_drawing(self, dropped: bool) -> None:
        self._missed_display = self._missed_display or dropped
        self._app.call_later(self._redraw)

    def _redraw(self) -> None:
        if self._output is None or self._output.behind:
            # It fell behind again before the app came to draw; what is owed stays owed.
            return
        self._pause.close()
        repaint, self._held, self._missed_display = self._missed_display, False, False
        with suppress(ScreenError):
            if repaint:
                # The end of a synchronised update may be among what was dropped.
                self.write("\x1b[?2026l")
                self._repaint()
            else:
                self._app.screen.check_idle()

    def _repaint(self) -> None:
        # An app that sends only differences must forget what it believes the terminal shows.
        if isinstance(self._app, ShadowedApp):
            self._app.forget_terminal()
        else:
            self._app.screen.refresh()

    # --- the terminal's size

    def _get_terminal_size(self) -> tuple[int, int]:
        return window_size(self.fileno)

    def _send_size(self) -> None:
        self._size = self._get_terminal_size()
        size = Size(*self._size)
        self.send_message(events.Resize(size, size))

    # --- reading

    def _start_reading(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parser = XTermParser(self._debug)
        self._listen()

    def _listen(self) -> None:
        if self._terminal is not None and not self._reading:
            self._loop.add_reader(self._terminal.fd, self._read)
            self._reading = True

    def _stop_reading(self) -> None:
        if self._reading and self._terminal is not None:
            self._loop.remove_reader(self._terminal.fd)
        self._reading = False

    def _read(self) -> None:
        if self._app.message_queue_size > INPUT_QUEUE_LIMIT:
            self._stop_reading()
            self._resume_reading = self._loop.call_later(INPUT_PAUSE_S, self._listen)
            return
        try:
            data = os.read(self.fileno, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._gone(f"it cannot be read ({error.strerror})")
            return
        if not data:
            self._gone("it was closed")
            return
        text = self._decode(data)
        self._parse(lambda: self._parser.feed(text) if text else ())
        if self._escape_timer is not None:
            self._escape_timer.cancel()
        self._escape_timer = self._loop.call_later(ESCAPE_WAIT_S, self._parse, lambda: self._parser.tick())

    def _parse(self, step: Callable[[], Any]) -> None:
        try:
            for message in step():
                self.process_message(message)
        except Exception:
            # Whatever arrives on a line must not be able to end the console: start afresh after it.
            logger.exception("terminal input could not be understood")
            self._parser = XTermParser(self._debug)

    def _gone(self, reason: str) -> None:
        self.disable_input()
        if self._output is not None:
            self._output.close()
        self.lease.on_gone(reason)
