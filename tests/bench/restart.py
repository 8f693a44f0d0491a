"""Starting again after kill -9 on a journal of a million facts: until orders are taken, and the whole history folded.

The home is made once and kept in this folder's `out`: an engine opens a paper account, then facts are appended as it
would have booked them, a round trip at a time, so that the venue's file and the journal agree. The last snapshot is as
old as one can be, and the last facts are only in the write-ahead log, as a kill leaves them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from engine import events as ev
from engine.control.client import call
from engine.control.host import build_engine
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.order import Decision, Liquidity, OrderSide, OrderType
from storage.journal import Journal, JournalOptions, MoveRules, replay
from storage.journal.cut import cut
from storage.journal.mover import move
from tests.bench.table import OUT, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.state import EngineState

FACTS = 1_000_000
TAIL = 20_000
"""Facts after the newest snapshot: a snapshot's interval, and as many again while it was being cut."""
ROUNDS = 5
NO_SNAPSHOTS = JournalOptions(snapshot_every=0)
PAPER, BTC = AccountId("paper"), InstrumentId("SIM:BTC/USDT")
DONE = "made"


def run() -> list[Row]:
    """Measure everything of this module."""
    home = _home()
    ready, placed, used = zip(*(_restart(home) for _ in range(ROUNDS)), strict=True)
    path = home / "journal.db"
    began = time.perf_counter()
    whole = replay(path)
    took = time.perf_counter() - began
    snapshot = Journal.open(path, NO_SNAPSHOTS).recovered
    equal = whole.state_hash() == snapshot.state.state_hash()
    archived, same = _archived(home, whole)
    size = f"{whole.seq:,} facts, {len(whole.recent):,} recent orders"
    return [
        Row(
            f"restart after kill -9 until an order is taken ({size}, {snapshot.replayed:,} behind the snapshot)",
            f"best {min(placed):.2f} s, median {sorted(placed)[ROUNDS // 2]:.2f} s of {ROUNDS}",
            "<= 3 s",
            sorted(placed)[ROUNDS // 2] <= 3,
        ),
        Row("  until the engine says that it is ready", f"median {sorted(ready)[ROUNDS // 2]:.2f} s"),
        Row(
            "  processor time of all that, whatever else the machine does", f"median {sorted(used)[ROUNDS // 2]:.2f} s"
        ),
        Row(
            "full replay without snapshots",
            f"{took:.1f} s, {'the same' if equal else 'ANOTHER'} state hash",
            "<= 30 s, same hash",
            took <= 30 and equal,
        ),
        Row(
            "  the same with all but the last facts in the archive",
            f"{archived:.1f} s, {'the same' if same else 'ANOTHER'} state hash",
            "<= 30 s, same hash",
            archived <= 30 and same,
        ),
    ]


# --- the home --------------------------------------------------------------------------------------------------------


def _home() -> Path:
    """The home folder as a kill has left it; made anew when the code that makes it has changed."""
    kept = OUT / "restart-home"
    if not (kept / DONE).exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        asyncio.run(_first_start(kept))
        asyncio.run(_write(kept))
        (kept / DONE).touch()
    home = OUT / f"restart-{os.getpid()}"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(kept, home)
    return home


async def _first_start(home: Path) -> None:
    host = build_engine(home, {"backup.every_hours": 0})
    await host.start()
    await host.stop()


async def _write(home: Path) -> None:
    path, work = home / "journal.db", home / "work"
    work.mkdir()
    for name in ("journal.db", "journal.hwm"):
        (home / name).rename(work / name)
    journal = Journal.open(work / path.name, NO_SNAPSHOTS)
    epoch = journal.open_epoch()
    journal.start()
    seq = journal.durable_seq
    facts = _round_trips(journal.recovered.state, journal.meta.instance, epoch)
    for event in facts:
        seq += 1
        journal.append(ev.Record(seq, journal.recovered.state.meta.ts + seq * 1_000, epoch, event))
        if seq % 5_000 == 0:
            await journal.wait_durable(seq)
        if seq == FACTS - TAIL:
            await asyncio.to_thread(cut, work / path.name, 3)
        if seq >= FACTS and isinstance(event, ev.MarkRecorded):
            # Between two round trips: no order is open that the venue would have to be asked for.
            break
    await journal.wait_durable(seq)
    await asyncio.sleep(0.1)
    # Copied while it is open: what has not been copied back from the log stays there, as after a kill.
    for file in work.iterdir():
        if file.is_dir():
            shutil.copytree(file, home / file.name)
        elif not file.name.endswith("-shm"):
            shutil.copy2(file, home / file.name)
    await journal.close()
    shutil.rmtree(work)


def _round_trips(state: EngineState, instance: str, epoch: int) -> Iterator[ev.Event]:
    """Buying and selling the same again without a fee: nothing is left that the venue would not know."""
    yield ev.EpochOpened(epoch=epoch, instance=instance)
    quote = state.instruments[BTC].settle
    number, price, quantity = 0, Decimal("43000.50"), Decimal("0.00100")
    while True:
        for side in (OrderSide.BUY, OrderSide.SELL):
            number += 1
            client_id = ClientOrderId(f"Q{instance}0001bench{number:07d}")
            order_id = VenueOrderId(f"bench{number}")
            buying = side is OrderSide.BUY
            yield ev.OrderIntended(
                client_id=client_id,
                account=PAPER,
                instrument=BTC,
                owner=Owner("manual"),
                side=side,
                type=OrderType.LIMIT,
                quantity=quantity,
                price=price,
                reserve_currency=quote if buying else state.instruments[BTC].base,
                reserve_unit=price if buying else Decimal(1),
                decision=Decision(reason="a round trip", best_bid=price, best_ask=price, mark=price),
            )
            yield ev.OrderSubmitted(client_id=client_id)
            yield ev.OrderAccepted(client_id=client_id, venue_order_id=order_id, ts=number)
            yield ev.OrderFilled(
                fill=Fill(
                    venue=VenueId("SIM"),
                    account=PAPER,
                    instrument=BTC,
                    trade_id=TradeId(f"bench{number}"),
                    venue_order_id=order_id,
                    client_id=client_id,
                    side=side,
                    price=price,
                    quantity=quantity,
                    fee=Decimal(0),
                    fee_currency=quote,
                    liquidity=Liquidity.MAKER,
                    ts=number,
                )
            )
        yield ev.MarkRecorded(instrument=BTC, price=price, ts=number)


# --- measuring -------------------------------------------------------------------------------------------------------


def _restart(kept: Path) -> tuple[float, float, float]:
    """Seconds from starting the process to its word, to the answer to an order, and of processor time; then a kill."""
    home = kept.with_name(f"{kept.name}-run")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(kept, home)
    reading, writing = os.pipe()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "console.headless", "--home", str(home), "--ready", str(writing)],
        pass_fds=(writing,),
        stdout=subprocess.DEVNULL,
        stderr=(home / "errors.log").open("wb"),
        start_new_session=True,
        env={**os.environ, "QUARTERDECK_BACKUP_EVERY_HOURS": "0"},
    )
    os.close(writing)
    try:
        word = os.read(reading, 4096).decode()
        ready = time.perf_counter() - began
        assert word.startswith("ready"), word or (home / "errors.log").read_text()[-2_000:]
        signal.alarm(60)
        order = {"instrument": str(BTC), "side": "buy", "quantity": "0.001"}
        row = call(home, "orders.place", order)
        assert row.client_id
        placed = time.perf_counter() - began
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return ready, placed, (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    finally:
        signal.alarm(0)
        os.close(reading)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _archived(home: Path, whole: EngineState) -> tuple[float, bool]:
    path = home / "journal.db"
    move(path, MoveRules(hot_days=0, budget_bytes=1))
    began = time.perf_counter()
    state = replay(path)
    took = time.perf_counter() - began
    shutil.rmtree(home)
    return took, state.state_hash() == whole.state_hash()
