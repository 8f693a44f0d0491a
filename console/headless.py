"""The engine without a console, from imports to exit status: in the background, or under systemd.

    python -P -m console.headless --home HOME

It never loads what draws. Whoever started it hears `ready PID`, `running TEXT` (there is another engine) or
`error TEXT` on the descriptor of `--ready`; systemd and the watchdog are notified. What it prints goes to
`logs/process.log`.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from console.launch_line import encode
from console.process import ALREADY_RUNNING, FAILED, E, EngineProcess, drive, name_release
from engine.errors import EngineAlreadyRunningError, QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ReadyLine", "main", "serve"]

logger = logging.getLogger(__name__)

COLLECT_AFTER = (5000, 10, 10)


class ReadyLine:
    """Where the process says once how its start went; saying it twice, or to nobody, does nothing.

    Args:
        descriptor: The writing end of a pipe; None when nobody listens.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_inheritable(descriptor, False)

    def say(self, word: str, *rest: object) -> None:
        """Say the one word and close."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.write(descriptor, encode(word, *rest))
            os.close(descriptor)


def serve(
    home: Path,
    engine_factory: Callable[[], E],
    line: ReadyLine,
    *,
    watched: bool = True,
    guarded: bool = False,
    taking_over: bool = False,
) -> int:
    """Run an engine until it has stopped; a failure becomes a sentence for whoever started it, and in the log.

    Args:
        home: The home folder; it exists.
        engine_factory: Builds the engine; called with the lock held.
        line: Hears how the start went.
        watched: Whether a watchdog that is lost is started again.
        guarded: Whether a watchdog is started if none listens.
        taking_over: Whether the engine is taken over from the process that runs it.

    Returns:
        The exit status: 0 after an orderly stop, 3 when the home folder has an engine already, 1 after a failure.
    """
    gc.set_threshold(*COLLECT_AFTER)
    try:
        process = EngineProcess(
            engine_factory,
            home=home,
            release=name_release(),
            on_ready=lambda: line.say("ready", os.getpid()),
            watched=watched,
            guarded=guarded,
            taking_over=taking_over,
        )
        return drive(process.run())
    except QuarterdeckError as error:
        logger.exception("the engine's process ends")
        running = isinstance(error, EngineAlreadyRunningError)
        line.say("running" if running else "error", error.message)
        return ALREADY_RUNNING if running else FAILED
    except Exception as error:
        # The process's root: the trace goes to the log, the person gets a sentence.
        logger.exception("the engine's process ends")
        line.say("error", f"The engine could not go on ({type(error).__name__}: {error}). The log has the details.")
        return FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the product's engine in this process."""
    parser = argparse.ArgumentParser(prog="quarterdeck-engine", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--ready", type=int, help="descriptor that hears how the start went")
    parser.add_argument("--keys", type=int, help="descriptor with the keys that the process before has unlocked")
    parser.add_argument("--passphrase", type=int, help="descriptor from which the passphrase of the keys can be read")
    parser.add_argument("--guarded", action="store_true", help="start a watchdog if none listens")
    parser.add_argument("--take-over", action="store_true", help="take over from the engine that runs")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    # What a watchdog aborts because it hangs leaves a trace of every thread in its log.
    faulthandler.enable()
    line = ReadyLine(options.ready)
    # Not before the line stands: a faulty module must be a sentence as well.
    from engine.control.host import build_engine

    return serve(
        options.home,
        lambda: build_engine(options.home, keys=options.keys, passphrase=options.passphrase),
        line,
        guarded=options.guarded,
        taking_over=options.take_over,
    )


if __name__ == "__main__":
    sys.exit(main())
