"""The promise as a whole, with the product as it is: lose the terminal, lose the process, and lose nothing else."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.control.client import call
from engine.control.lock import find_holder, send_stop, wait_until_free
from storage.journal import Query, Reader
from tests.kit.terminal import Terminal, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BTC = "SIM:BTC/USDT"
QUARTERDECK = [sys.executable, "-c", "from console.cli import main; main()"]
PATIENCE_S = 60.0


@contextmanager
def terminal(home: Path, *words: str, size: tuple[int, int] = (120, 40)) -> Iterator[Terminal]:
    """The command on a terminal of its own."""
    found = Terminal([*QUARTERDECK, "--home", str(home), *words], size)
    try:
        yield found
    finally:
        found.close()


def shown(found: Terminal, *texts: str) -> None:
    """Wait until the screen says all of it."""
    found.until(lambda: all(text in found.text() for text in texts), PATIENCE_S)


def known(home: Path) -> tuple[list[Any], list[Any]]:
    """Bots and open orders, as far as they may not change by themselves."""
    bots = [(row.id, row.name, str(row.state)) for row in call(home, "bots.list")]
    orders = [(row.client_id, row.price, row.quantity, row.filled) for row in call(home, "orders.list")]
    return bots, orders


def told(home: Path) -> list[int]:
    """Numbers of everything in the event log."""
    numbers: list[int] = []
    while page := call(home, "facts.since", {"cursor": numbers[-1] if numbers else 1, "limit": 500}):
        numbers += [fact.seq for fact in page]
    return numbers


def test_the_terminal_goes_then_the_process_and_nothing_else(tmp_path: Path) -> None:
    try:
        with terminal(tmp_path) as first:
            shown(first, "PAPER", "embedded")
            for number in range(3):
                bot = {"name": f"bot-{number}", "strategy": "trend_following", "instrument": BTC, "capital": "500"}
                call(tmp_path, "bots.create", bot)
                call(tmp_path, "bots.start", {"bot": bot["name"]})
            book = call(tmp_path, "market.book", {"instrument": BTC, "depth": 1})
            price = book.bids[0][0] * 95 // 100 // book.tick * book.tick
            order = {"instrument": BTC, "side": "buy", "type": "limit", "quantity": "0.002"}
            call(tmp_path, "orders.place", order | {"price": f"{price / 10**book.price_scale:.2f}"})
            shown(first, "bot-2")
            before, log = known(tmp_path), told(tmp_path)
            pid = call(tmp_path, "engine.status").pid
            # The line drops: nobody says goodbye.
            first.hang_up()

        with terminal(tmp_path, "attach", size=(80, 24)) as second:
            shown(second, "PAPER", "attached", "bot-2")
            assert call(tmp_path, "engine.status").pid == pid
            assert known(tmp_path) == before
            assert told(tmp_path)[: len(log)] == log

            # The process is killed: the watchdog brings the engine back, and the console finds it by itself.
            os.kill(pid, signal.SIGKILL)
            until(lambda: (holder := find_holder(tmp_path)) is not None and holder.pid not in (0, pid), PATIENCE_S)
            shown(second, "attached", "bot-2")
            until(lambda: _answers(tmp_path), PATIENCE_S)
            assert call(tmp_path, "engine.status").pid != pid
            until(lambda: known(tmp_path) == before, PATIENCE_S)
            assert told(tmp_path)[: len(log)] == log
    finally:
        send_stop(tmp_path)
        assert wait_until_free(tmp_path, PATIENCE_S)
    reader = Reader(tmp_path / "journal.db")
    numbers = [record.seq for record in reader.records()]
    sent = [record.event.client_id for record in reader.records(query=Query(kinds=("OrderIntended",)))]  # type: ignore[union-attr]
    reader.close()
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(sent) == len(set(sent)) == 1


def _answers(home: Path) -> bool:
    from engine.errors import QuarterdeckError

    try:
        call(home, "engine.status")
    except QuarterdeckError:
        return False
    return True
