"""An engine's process with a tiny engine and a tiny app, to be started by the launcher in tests.

The engine's heart beats every 5 ms on the shared loop and measures by how much each beat comes late; what it and the
app have seen is written to `stub.json` in the home folder.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.widgets import Static

from console.driver import QuarterdeckDriver, TerminalLease, driver_for
from console.embedded import serve
from console.ending import ExitIntent
from console.hosted import HostedApp
from console.output import Patience
from tests.kit.stub_engine import StubEngine

if TYPE_CHECKING:
    from textual import events


class StubApp(HostedApp):
    """Changes every cell of the screen many times a second."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "#page { width: 100%; height: 100%; }"

    def __init__(self, engine: StubEngine, lease: TerminalLease, flood: bool) -> None:
        super().__init__(driver_class=driver_for(lease))
        self._engine = engine
        self._flood = flood

    def compose(self) -> Any:
        yield Static(id="page", markup=False)

    def on_mount(self) -> None:
        self.set_interval(0.02, self._draw)

    def _draw(self) -> None:
        self._engine.seen["frames"] += 1
        assert isinstance(self._driver, QuarterdeckDriver)
        self._engine.seen["held"] += self._driver.holds_drawing
        count = self._engine.seen["frames"]
        line = f"frame {count:06d} " if self._flood else f"keys {self._engine.seen['keys']} "
        width, height = self.size
        page = "\n".join((line + f"row {row:03d} " * 40)[:width] for row in range(height))
        self.query_one("#page", Static).update(page, layout=False)

    def on_resize(self, event: events.Resize) -> None:
        self._engine.seen["size"] = [event.size.width, event.size.height]

    async def on_key(self, event: events.Key) -> None:
        self._engine.seen["keys"] += event.character or ""
        match event.character:
            case "q":
                self.exit(ExitIntent.DETACH)
            case "s":
                self.exit(ExitIntent.STOP)
            case "c":
                raise ValueError("the stub app crashes")
            case "e":
                sys.exit("a widget asks the process to exit")
            case "h":
                await asyncio.Event().wait()
            case "f":
                self._flood = not self._flood


def main() -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--launcher", type=int, required=True)
    parser.add_argument("--fail", default="")
    parser.add_argument("--flood", action="store_true")
    parser.add_argument("--clock-factor", type=float, default=1.0, help="how many times faster silence passes")
    parser.add_argument("--teardown", type=float, default=5.0, help="seconds the app has to end")
    parser.add_argument("--watched", action="store_true", help="have a watchdog once the console has ended")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    patience = Patience(clock=lambda: time.monotonic() * options.clock_factor, check_every=0.02)
    return serve(
        options.home,
        options.launcher,
        lambda: (
            lambda: StubEngine(options.home, options.fail),
            lambda engine, lease: StubApp(engine, lease, options.flood),
        ),
        patience,
        options.teardown,
        watched=options.watched,
    )


if __name__ == "__main__":
    sys.exit(main())
