"""The paper venue's own durable store: one SQLite file in the home folder, apart from the engine's journal.

A commit holds everything that changed at the exchange since the last one, and the market's saved state of the same
moment: what is restored is one consistent cut. One thread does all writing; callers decide what may be said to the
outside only after `commit` has returned (write-ahead log, synchronous=FULL: it then survives a loss of power).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from engine.crash_points import crash_point
from engine.errors import StorageError
from engine.model.fill import Fill
from engine.model.venue import FundingPayment
from engine.venues.paper.accounts import AccountImage
from engine.venues.paper.changes import (
    Changes,
    Counters,
    ExchangeImage,
    PerpetualImage,
    StoredFill,
    StoredPayment,
)
from engine.venues.paper.core import ENDED_KEPT, FILLS_KEPT
from engine.venues.paper.orders import PaperOrder
from engine.venues.paper.owner import OwnerLock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import TypeVar

    from engine.model.ids import AccountId, ClientOrderId

    _T = TypeVar("_T")

__all__ = ["Batch", "PaperStore", "StoredVenue"]

_VERSION = 2
_SCHEMA = """
CREATE TABLE accounts (account TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
    account TEXT NOT NULL, client_id TEXT NOT NULL, number INTEGER NOT NULL, open INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (account, client_id)
) WITHOUT ROWID;
CREATE INDEX orders_by_number ON orders (open, number);
CREATE TABLE fills (number INTEGER PRIMARY KEY, account TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX fills_by_account ON fills (account, number);
CREATE TABLE meta (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
_FUNDING = """
CREATE TABLE funding (number INTEGER PRIMARY KEY, account TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX funding_by_account ON funding (account, number);
"""
"""What version 2 adds."""

_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_order = msgspec.msgpack.Decoder(PaperOrder)
_fill = msgspec.msgpack.Decoder(Fill)
_account = msgspec.msgpack.Decoder(AccountImage)
_payment = msgspec.msgpack.Decoder(FundingPayment)
_perpetuals = msgspec.msgpack.Decoder(tuple[PerpetualImage, ...])
_counters = msgspec.msgpack.Decoder(Counters)


class StoredVenue(msgspec.Struct, frozen=True):
    """What a store holds when it is opened."""

    image: ExchangeImage
    market: bytes | None
    """The market's saved state; None in a new store."""


class Batch(msgspec.Struct, frozen=True):
    """Rows of one commit, encoded, so that what they were made of may change again."""

    accounts: tuple[tuple[str, bytes], ...]
    orders: tuple[tuple[str, str, int, bool, bytes], ...]
    fills: tuple[tuple[int, str, bytes], ...]
    funding: tuple[tuple[int, str, bytes], ...]
    meta: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, changes: Changes, queues: Sequence[PaperOrder], market: bytes) -> Batch:
        """Encode what changed.

        Args:
            changes: What the exchange says has changed.
            queues: Orders whose place in a queue may have moved.
            market: The market's state of the same moment.
        """
        orders = {(o.command.account, o.command.client_id): o for o in (*queues, *changes.orders)}
        return cls(
            tuple((image.account, _encode(image)) for image in changes.accounts),
            tuple((account, name, o.seq, o.is_open, _encode(o)) for (account, name), o in orders.items()),
            tuple((stored.number, stored.fill.account, _encode(stored.fill)) for stored in changes.fills),
            tuple((stored.number, stored.payment.account, _encode(stored.payment)) for stored in changes.payments),
            (
                ("counters", _encode(changes.counters)),
                ("market", market),
                ("perpetuals", _encode(changes.perpetuals)),
            ),
        )


class PaperStore:
    """The file. All methods that touch it run on its own thread; `submit` gets them there.

    It has one owner at a time: a lock beside the file, held while it is open, keeps a second one out.

    Args:
        path: Where the file is, or shall be.
        program: What this process is, for whoever finds the file in use.
    """

    def __init__(self, path: Path, program: str = "an engine") -> None:
        self.path = path
        self._program = program
        self._lock: OwnerLock | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="paper-store")
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._lent: int | None = None
        """What SQLite counts of other connections' commits, while another process may open the file."""

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Run one of the methods below on the store's thread, after those submitted before.

        Raises:
            StorageError: The store is closed.
        """
        if self._closed:
            raise StorageError(f"The paper venue's file {self.path} is closed; make a new store to use it again.")
        return self._thread.submit(work)

    def open(self) -> StoredVenue:
        """Open or create the file and read what a venue goes on from.

        Raises:
            StorageError: The file cannot be used, or another process owns it.
        """
        try:
            self._lock = OwnerLock.acquire(self.path, self._program)
            self._connection = self._connect()
            name = secrets.token_hex(4).encode()
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('store', ?)", (name,))
            return self._read(self._connection)
        except (sqlite3.Error, msgspec.MsgspecError, OSError) as error:
            raise self._failure("be opened", error) from error

    def commit(self, batch: Batch) -> None:
        """Make a batch durable, all of it or nothing.

        Raises:
            StorageError: Nothing of it was kept.
        """
        connection = self._ready()
        crash_point("venue.commit")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self.write(connection, batch)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._failure("be written", error) from error
        crash_point("venue.committed")

    def write(self, connection: sqlite3.Connection, batch: Batch) -> None:
        """Write the rows of a batch inside a transaction."""
        put = connection.executemany
        put("INSERT OR REPLACE INTO accounts VALUES (?, ?)", batch.accounts)
        put("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)", batch.orders)
        put("INSERT INTO fills VALUES (?, ?, ?)", batch.fills)
        put("INSERT INTO funding VALUES (?, ?, ?)", batch.funding)
        put("INSERT OR REPLACE INTO meta VALUES (?, ?)", batch.meta)

    def lend(self) -> None:
        """Write nothing more until `take_back`: another process may open the file."""
        (self._lent,) = self._ready().execute("PRAGMA data_version").fetchone()
        self._release()

    def take_back(self) -> None:
        """Write again; nothing to do when nothing was lent.

        Raises:
            StorageError: Another process owns the file, or has written to it since.
        """
        if self._lent is None:
            return
        try:
            self._lock = OwnerLock.acquire(self.path, self._program)
        except OSError as error:
            raise self._failure("be used again", error) from error
        (version,) = self._connected().execute("PRAGMA data_version").fetchone()
        if version != self._lent:
            self._release()
            raise StorageError(
                f"Another process has used the paper venue's file {self.path} meanwhile; restart the engine."
            )
        self._lent = None

    def find_order(self, account: AccountId, client_id: ClientOrderId) -> PaperOrder | None:
        """An order of any age."""
        query = "SELECT body FROM orders WHERE account = ? AND client_id = ?"
        row = self._ready().execute(query, (account, client_id)).fetchone()
        return None if row is None else _order.decode(row[0])

    def find_fills(self, account: AccountId, after: int, limit: int) -> list[StoredFill]:
        """Fills of any age with a number above `after`, oldest first, at most `limit`."""
        query = "SELECT number, body FROM fills WHERE account = ? AND number > ? ORDER BY number LIMIT ?"
        rows = self._ready().execute(query, (account, after, limit)).fetchall()
        return [StoredFill(number, _fill.decode(body)) for number, body in rows]

    def find_payments(self, account: AccountId, after: int, limit: int) -> list[StoredPayment]:
        """Funding of any age with a number above `after`, oldest first, at most `limit`."""
        query = "SELECT number, body FROM funding WHERE account = ? AND number > ? ORDER BY number LIMIT ?"
        rows = self._ready().execute(query, (account, after, limit)).fetchall()
        return [StoredPayment(number, _payment.decode(body)) for number, body in rows]

    def close(self) -> None:
        """Finish what was submitted, close the file and end the thread; idempotent, not for the store's own thread."""
        if self._closed:
            return
        self._closed = True
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _connect(self) -> sqlite3.Connection:
        # For its owner's eyes only; SQLite gives its log files the mode of the database's file.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=5.0)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            # One script with its own transaction: a crash in between leaves an empty file, not half a schema.
            connection.executescript(f"BEGIN; {_SCHEMA} {_FUNDING} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version == 1:
            connection.executescript(f"BEGIN; {_FUNDING} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            connection.close()
            raise StorageError(
                f"The paper venue's file {self.path} is of version {version}, this release knows {_VERSION}; "
                "use the release that wrote it, or move the file away to start a new paper venue."
            )
        return connection

    @staticmethod
    def _read(connection: sqlite3.Connection) -> StoredVenue:
        def bodies(query: str, *args: object) -> list[bytes]:
            with closing(connection.execute(query, args)) as cursor:
                return [row[0] for row in cursor]

        meta: dict[str, bytes] = dict(connection.execute("SELECT name, body FROM meta").fetchall())
        ended = bodies("SELECT body FROM orders WHERE open = 0 ORDER BY number DESC LIMIT ?", ENDED_KEPT)
        fills = connection.execute("SELECT number, body FROM fills ORDER BY number DESC LIMIT ?", (FILLS_KEPT,))
        payments = connection.execute("SELECT number, body FROM funding ORDER BY number DESC LIMIT ?", (FILLS_KEPT,))
        image = ExchangeImage(
            accounts=tuple(_account.decode(body) for body in bodies("SELECT body FROM accounts")),
            open_orders=tuple(
                _order.decode(b) for b in bodies("SELECT body FROM orders WHERE open = 1 ORDER BY number")
            ),
            ended_orders=tuple(_order.decode(body) for body in reversed(ended)),
            fills=tuple(StoredFill(number, _fill.decode(body)) for number, body in reversed(fills.fetchall())),
            counters=_counters.decode(meta["counters"]) if "counters" in meta else Counters(),
            payments=tuple(
                StoredPayment(number, _payment.decode(body)) for number, body in reversed(payments.fetchall())
            ),
            perpetuals=_perpetuals.decode(meta["perpetuals"]) if "perpetuals" in meta else (),
            store=meta["store"].decode(),
        )
        return StoredVenue(image, meta.get("market"))

    def _ready(self) -> sqlite3.Connection:
        if self._lent is not None:
            raise StorageError(f"The paper venue's file {self.path} belongs to another process at present.")
        return self._connected()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"The paper venue's file {self.path} is not open.")
        return self._connection

    def _failure(self, what: str, error: Exception) -> StorageError:
        return StorageError(
            f"The paper venue's file {self.path} cannot {what}: {error}. Check disk space and permissions; nothing "
            "that is not stored was acknowledged."
        )
