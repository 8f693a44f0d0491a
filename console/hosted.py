"""The base of an app that runs inside the engine's process, where it must not print, trace or stop anything."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

from console.driver import QuarterdeckDriver
from console.ending import ExitIntent
from widgets.composing import SLICE_S
from widgets.shadow import ShadowedApp
from widgets.stylesheet import KeptStylesheet

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.message import Message

__all__ = ["HostedApp"]

SETTLED_S = (6.0, 30.0)
"""Seconds after the first screen by which most of what a session loads has been loaded."""


class HostedApp(ShadowedApp[ExitIntent]):
    """A Textual app that leaves with an `ExitIntent` and whose failure is a value, not a print-out.

    Args:
        driver_class: What `console.driver.driver_for` gives; None lets Textual choose, as in tests.
    """

    def __init__(self, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self.stylesheet = KeptStylesheet(variables=self.get_css_variables())

    @property
    def failure(self) -> Exception | None:
        """The exception that ended the app; None while it runs and after an orderly end."""
        return self._exception

    def on_ready(self) -> None:
        """Spare the collector of garbage what a session loads once and keeps: to look through it holds the loop."""
        if isinstance(self._driver, QuarterdeckDriver):
            for seconds in SETTLED_S:
                self.set_timer(seconds, gc.freeze, name="settled")

    async def _dispatch_message(self, message: Message) -> None:
        began = time.monotonic()
        await super()._dispatch_message(message)
        # Messages are worked off without a turn of the loop between them.
        if time.monotonic() - began > SLICE_S:
            await asyncio.sleep(0)

    def post_display_hook(self) -> None:
        """Tell the driver about each display, so that it knows which ones it held back."""
        if isinstance(self._driver, QuarterdeckDriver):
            self._driver.displayed()

    def _fatal_error(self) -> None:
        # Textual would print a trace with the values of local variables, secrets included; the host logs without them.
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()
