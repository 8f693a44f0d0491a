"""A program that writes facts as fast as it can and says what is durable, until it is killed or its disk is full.

Usage: python -m tests.storage.journal.crash_child JOURNAL [most bytes in a file]
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import JournalError
from engine.events import MarkRecorded, OperatorActed, Record
from engine.model.ids import InstrumentId
from storage.journal import Journal, JournalOptions

if TYPE_CHECKING:
    from engine.errors import QuarterdeckError

OPTIONS = JournalOptions(snapshot_every=300, mark_interval_s=0.0, checkpoint_pages=50)


def say(*words: object) -> None:
    """Write a line at once; a pipe takes it whole."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def fact(seq: int, epoch: int) -> Record:
    """Some fact of changing size."""
    if seq % 3:
        event = MarkRecorded(instrument=InstrumentId(f"SIM:C{seq % 50}/USDT"), price=Decimal(seq) / 100, ts=seq)
        return Record(seq, seq, epoch, event)
    return Record(seq, seq, epoch, OperatorActed(actor="test", operation="burst", summary="x" * (seq % 700)))


async def main(path: Path) -> None:
    """Bursts of facts, an effect for each that is said only once the fact is durable."""
    journal = Journal.open(path, OPTIONS)
    epoch = journal.open_epoch()
    journal.start()
    failures: list[QuarterdeckError] = []
    journal.on_durable(lambda seq: say("durable", seq))
    journal.on_failure(failures.append)
    seq = journal.durable_seq
    say("recovered", seq)
    try:
        while True:
            for _ in range(1 + seq % 40):
                seq += 1
                journal.append(fact(seq, epoch))
            await journal.wait_durable(seq)
            say("effect", seq)
    except JournalError as error:
        say("refused", seq, error.error_code)
        await asyncio.sleep(0.01)
        say("failures", [type(failure).__name__ for failure in failures], journal.durable_seq)
        await journal.close()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        most = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    asyncio.run(main(Path(sys.argv[1])))
