"""`python -m tests.wire --venue binance`: a simulated venue as a process of its own, in real time.

Prints one line of JSON when it is open: addresses, the file of its certificate authority, keys, instruments. It ends on
SIGTERM or SIGINT; `--dump FILE` then writes the exchange's ledger there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from tests.wire.certificates import make_authority
from tests.wire.dump import dump
from tests.wire.venues import VENUES, make_simulator

if TYPE_CHECKING:
    from tests.wire.simulator import Simulator


def description(simulator: Simulator, ca_file: Path | None) -> dict[str, Any]:
    """What a client needs to know, as plain JSON values."""
    return {
        "venue": simulator.exchange.venue,
        "addresses": simulator.addresses,
        "ca_file": None if ca_file is None else str(ca_file),
        "keys": [
            {"account": k.account, "key": k.key, "secret": k.secret, "passphrase": k.passphrase}
            for k in simulator.exchange.keys.all()
        ],
        "instruments": sorted(simulator.exchange.instruments),
    }


async def serve(options: argparse.Namespace) -> Simulator:
    """Run the simulator until a signal; gives it, stopped."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = make_simulator(options.venue, SystemClock(), seed=options.seed, rate=options.rate)
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        authority = None if options.plain else make_authority(Path(options.folder or folder))
        await simulator.start(authority, options.port)
        ca_file = None if authority is None else authority.ca_file
        sys.stdout.write(json.dumps(description(simulator, ca_file)) + "\n")
        sys.stdout.flush()
        await stop.wait()
        await simulator.stop()
    return simulator


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.wire", description=__doc__)
    parser.add_argument("--venue", choices=sorted(VENUES), required=True)
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    parser.add_argument("--plain", action="store_true", help="http and ws instead of TLS")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=10.0, help="book updates per second and instrument")
    parser.add_argument("--folder", help="where the certificate files go; a temporary folder by default")
    parser.add_argument("--dump", help="file for the exchange's ledger at the end")
    options = parser.parse_args()
    simulator = asyncio.run(serve(options))
    if options.dump:
        Path(options.dump).write_text(json.dumps(dump(simulator.exchange)))


if __name__ == "__main__":
    main()
