"""The base of an app that runs inside the engine's process, where it must not print, trace or stop anything."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

from textual.notifications import Notification, Notify

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
SHORTEST_S = 0.05


class Notice(Notification):
    """A notification whose toast always has a moment to live.

    Textual asks whether the time is up, and a moment later how much of it is left. When it runs out in between, a timer
    of less than nothing would be counted off for ever, and the console would never answer again.
    """

    @property
    def time_left(self) -> float:
        """Seconds for the timer of a toast, never nothing."""
        return max(super().time_left, SHORTEST_S)

    @property
    def has_expired(self) -> bool:
        """True when no toast is to be made of it any more."""
        return super().time_left <= 0


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

    def on_notify(self, event: Notify) -> None:
        """Take what is to be shown before Textual does."""
        event.notification = Notice(**vars(event.notification))

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
