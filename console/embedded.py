"""The engine's process as the launcher starts it: engine and console in one, from imports to exit status."""

from __future__ import annotations

import argparse
import dataclasses
import faulthandler
import gc
import importlib
import logging
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.driver import TerminalLease, driver_for
from console.host import run_embedded
from console.line_end import LauncherLine
from console.process import ALREADY_RUNNING, FAILED, E, drive, name_release
from console.stage import TEARDOWN_S, ConsoleApp
from engine.errors import EngineAlreadyRunningError, QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.output import Patience

__all__ = ["main", "parse", "serve"]

logger = logging.getLogger(__name__)

COLLECT_AFTER = (5000, 10, 10)
"""Of `gc.set_threshold`: the first figure lets more of what lives for a frame die before it is looked at twice."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read what the launcher says: `home`, `launcher` (a descriptor) and `scene`."""
    parser = argparse.ArgumentParser(prog="quarterdeck-embedded", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--launcher", type=int, required=True)
    parser.add_argument("--scene")
    return parser.parse_args(arguments)


def serve(
    home: Path,
    launcher: int,
    factories: Callable[[], tuple[Callable[[], E], Callable[[E, TerminalLease], ConsoleApp]]],
    patience: Patience | None = None,
    teardown_deadline: float = TEARDOWN_S,
    watched: bool = True,
) -> int:
    """Run engine and console on standard input's terminal; every failure becomes a sentence for the launcher.

    Args:
        home: The home folder; it exists.
        launcher: Descriptor of our end of the conversation.
        factories: Imports and gives the engine's and the app's factory. Called before anything starts, because
            importing takes longer than an event loop with a running engine may be held.
        patience: When a silent terminal counts as gone.
        teardown_deadline: Seconds that the app has to end before it is cancelled.
        watched: Whether a watchdog looks after the engine once the console has ended.

    Returns:
        The exit status: 0 after an orderly stop, 3 when the home folder has an engine already, 1 after a failure.
    """
    gc.set_threshold(*COLLECT_AFTER)
    line = LauncherLine(socket.socket(fileno=launcher))
    status = FAILED
    try:
        engine_factory, app_factory = factories()
        status = drive(
            run_embedded(
                engine_factory,
                app_factory,
                home=home,
                release=name_release(),
                terminal=sys.stdin.fileno(),
                launcher=line,
                patience=patience,
                teardown_deadline=teardown_deadline,
                watched=watched,
            )
        )
    except QuarterdeckError as error:
        logger.exception("the engine's process ends")
        line.say("error", error.message)
        status = ALREADY_RUNNING if isinstance(error, EngineAlreadyRunningError) else FAILED
    except Exception as error:
        # The process's root: the trace goes to the log, the person gets a sentence.
        logger.exception("the engine's process ends")
        line.say("error", f"Quarterdeck could not go on ({type(error).__name__}: {error}). The log has the details.")
    line.say("exit", status)
    line.close()
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the product's engine and console in this process."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    # What a watchdog aborts because it hangs leaves a trace of every thread in its log.
    faulthandler.enable()
    options = parse(arguments)

    def factories() -> tuple[Callable[[], Any], Callable[[Any, TerminalLease], ConsoleApp]]:
        app_class = importlib.import_module("console.app").QuarterdeckApp
        build_engine = importlib.import_module("engine.control.host").build_engine
        return (
            lambda: build_engine(options.home, {"scene": options.scene}),
            lambda engine, lease: make_app(app_class, engine, lease),
        )

    # A scene's folder is emptied at each start: nobody would want it restarted.
    return serve(options.home, options.launcher, factories, watched=options.scene is None)


def make_app(app_class: Any, host: Any, lease: TerminalLease) -> ConsoleApp:
    """Build the app as the settings of the engine's home want it; a scene of a market begins on that screen."""
    from console.preferences import Preferences

    wanted = host.settings.console
    lease.mouse = wanted.mouse
    lease.patience = dataclasses.replace(lease.patience, seconds=wanted.stall_seconds)
    preferences = Preferences(
        theme=wanted.theme,
        frames_per_second=wanted.frames_per_second,
        keys=wanted.keys,
        time_zone=wanted.time_zone,
        home=host.home,
        pictures=host.home / "pictures",
        screen="market" if (host.scene or "").startswith("market") else "dashboard",
    )
    app: ConsoleApp = app_class(host.link(), driver_class=driver_for(lease), preferences=preferences)
    return app


if __name__ == "__main__":
    sys.exit(main())
