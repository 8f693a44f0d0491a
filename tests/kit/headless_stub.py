"""A headless engine's process around the stub of `stub_engine`."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import sys
from pathlib import Path

from console.headless import ReadyLine, serve
from tests.kit.stub_engine import StubEngine


def main() -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--ready", type=int)
    parser.add_argument("--fail", default="")
    parser.add_argument("--watched", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    faulthandler.enable()
    line = ReadyLine(options.ready)
    return serve(options.home, lambda: StubEngine(options.home, options.fail), line, watched=options.watched)


if __name__ == "__main__":
    sys.exit(main())
