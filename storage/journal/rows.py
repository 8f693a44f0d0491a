"""Rows of the live file and of its archive as one sequence, filtered."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.journal.archive import Archive, archive_folder
from storage.journal.damage import reading
from storage.journal.schema import connect, read_meta

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.journal.segment import ArchivedRow

__all__ = ["ALL", "Query", "Rows"]

_END = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which facts are wanted; what is empty does not filter."""

    kinds: tuple[str, ...] = ()
    """Names of event types, such as `OrderFilled`."""
    owner: str = ""
    """A bot's id, `manual`, or `external`: also the facts of its orders that name only the order."""
    subject: str = ""
    """A client order id or a bot's id."""
    correlation: str = ""

    def where(self) -> tuple[str, list[Any]]:
        """The part of the filter that SQL does, as a condition and its values."""
        parts: list[str] = []
        values: list[Any] = []
        if self.kinds:
            parts.append(f"kind IN ({', '.join('?' * len(self.kinds))})")
            values += self.kinds
        if self.subject:
            parts.append("subject = ? AND subject <> ''")
            values.append(self.subject)
        if self.correlation:
            parts.append("correlation = ?")
            values.append(self.correlation)
        return "".join(f" AND {part}" for part in parts), values

    def takes(self, row: ArchivedRow) -> bool:
        """The same for an archived row."""
        _, _, _, kind, subject, correlation, _ = row
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.subject or subject == self.subject)
            and (not self.correlation or correlation == self.correlation)
        )


ALL = Query()


class Rows:
    """Numbers and bodies of stored facts, wherever they are.

    The live file says up to where facts are archived: one look at it is one moment, and the archive never changes, so
    a fact that moves meanwhile is seen once. Owners are not looked at.

    Args:
        path: The journal's file, which must exist.
    """

    def __init__(self, path: Path) -> None:
        self.connection = connect(path, read_only=True)
        self.archive = Archive(archive_folder(path))
        self._archived = 0

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def last_seq(self) -> int:
        """Number of the newest fact; 0 when there is none."""
        with reading():
            found = self.connection.execute("SELECT max(seq) FROM events").fetchone()[0]
            return found or read_meta(self.connection).archived

    def after(self, after: int, until: int, query: Query, limit: int) -> list[tuple[int, bytes]]:
        """The next rows after a number, up to another (inclusive), oldest first."""
        found = self._archived_after(after, min(until, self._archived), query, limit)
        condition, values = query.where()
        statement = f"SELECT seq, body FROM events WHERE seq > ? AND seq <= ?{condition} ORDER BY seq LIMIT ?"  # noqa: S608 - only places
        while len(found) < limit and until > self._archived:
            seen, limit_here = max(after, self._archived), limit - len(found)
            with self._moment() as archived:
                if archived <= seen:
                    return found + self.connection.execute(statement, [seen, until, *values, limit_here]).fetchall()
            # Some have moved since the last look.
            found += self._archived_after(seen, min(until, archived), query, limit_here)
        return found

    def before(self, before: int, query: Query, limit: int) -> list[tuple[int, bytes]]:
        """The last rows before a number, newest first."""
        condition, values = query.where()
        statement = f"SELECT seq, body FROM events WHERE seq < ?{condition} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - only places
        with self._moment() as archived:
            found: list[tuple[int, bytes]] = self.connection.execute(statement, [before, *values, limit]).fetchall()
        if len(found) < limit:
            rows = self.archive.rows(
                0, min(archived, before - 1), query.takes, query.subject, query.kinds, backwards=True
            )
            found += [(row[0], row[6]) for row, _ in zip(rows, range(limit - len(found)), strict=False)]
        return found

    def count(self, query: Query) -> int:
        """Number of rows that match."""
        condition, values = query.where()
        with self._moment() as archived:
            statement = f"SELECT count(*) FROM events WHERE true{condition}"  # noqa: S608 - only places
            found: int = self.connection.execute(statement, values).fetchone()[0]
        if not query.subject and not query.correlation:
            for _, block in self.archive.blocks(0, archived, kinds=query.kinds):
                if block.last <= archived:
                    counts = block.kinds.items()
                    found += sum(count for kind, (count, _) in counts if not query.kinds or kind in query.kinds)
                else:
                    found += sum(1 for _ in self.archive.rows(block.first - 1, archived, query.takes))
            return found
        return found + sum(1 for _ in self.archive.rows(0, archived, query.takes, query.subject, query.kinds))

    def number_at(self, ts: int) -> int:
        """Number of the first fact that is not older than a time; one past the last when all are."""
        with self._moment() as archived:
            low, high = archived + 1, self.last_seq() + 1
            while low < high:
                middle = (low + high) // 2
                row = self.connection.execute("SELECT ts FROM events WHERE seq = ?", (middle,)).fetchone()
                low, high = (middle + 1, high) if row is not None and row[0] < ts else (low, middle)
        if archived and low == archived + 1:
            return self.archive.number_at(ts, archived)
        return low

    def thinned(self, kind: str, since: int, until: int, most: int) -> list[bytes]:
        """The last row of a kind in each of `most` equal parts of a time (UTC nanoseconds, inclusive), oldest first."""
        begin = self.number_at(since)
        with self._moment() as archived:
            first = self.connection.execute(
                "SELECT ts FROM events WHERE seq >= ? AND kind = ? AND ts >= ? ORDER BY seq LIMIT 1",
                (begin, kind, since),
            ).fetchone()
            older = next(self.archive.rows(begin - 1, archived, lambda row: row[3] == kind, kinds=(kind,)), None)
            start: int | None = older[1] if older is not None else first[0] if first is not None else None
            if start is None:
                return []
            part = max(0, until - start) // most + 1
            rows = self.connection.execute(
                "SELECT max(seq), (ts - ?) / ?, body FROM events WHERE seq >= ? AND kind = ? AND ts >= ? AND ts <= ? "
                "GROUP BY (ts - ?) / ?",
                (start, part, begin, kind, start, until, start, part),
            ).fetchall()
        found = {place: (seq, body) for seq, place, body in rows}
        for place, seq in self._thinned_archive(kind, begin, archived, start, until, part).items():
            found.setdefault(place, (seq, self.archive.at(seq)[6]))
        return [body for _, body in sorted(found.values())]

    def _thinned_archive(
        self, kind: str, begin: int, archived: int, start: int, until: int, part: int
    ) -> dict[int, int]:
        """Part of the time -> number of the last archived fact of the kind in it."""
        lasts: dict[int, int] = {}
        for _, block in self.archive.blocks(begin - 1, archived, kinds=(kind,)):
            if block.first_ts > until:
                break
            whole = begin <= block.first and block.last <= archived and block.last_ts <= until
            if whole and (block.first_ts - start) // part == (block.last_ts - start) // part:
                # All of it is in one part: its index knows the last one.
                lasts[(block.first_ts - start) // part] = block.kinds[kind][1]
                continue
            for row in self.archive.rows(max(begin, block.first) - 1, min(block.last, archived)):
                if row[3] == kind and row[1] <= until:
                    lasts[(row[1] - start) // part] = row[0]
        return lasts

    def life(self, client_id: str) -> list[bytes]:
        """Everything about one order, oldest first; what was booked before its intent is not looked for."""
        condition = "FROM events WHERE subject = ? AND subject <> '' ORDER BY seq"
        with self._moment() as archived:
            rows = self.connection.execute(f"SELECT seq, kind, body {condition}", (client_id,)).fetchall()
        if not archived or any(kind == "OrderIntended" for _, kind, _ in rows):
            return [body for _, _, body in rows]
        older: list[bytes] = []
        wanted = Query(subject=client_id).takes
        for row in self.archive.rows(0, archived, wanted, client_id, backwards=True):
            older.append(row[6])
            if row[3] == "OrderIntended":
                break
        return older[::-1] + [body for _, _, body in rows]

    def _archived_after(self, after: int, until: int, query: Query, limit: int) -> list[tuple[int, bytes]]:
        rows = self.archive.rows(after, until, query.takes, query.subject, query.kinds)
        return [(row[0], row[6]) for row, _ in zip(rows, range(limit), strict=False)]

    @contextmanager
    def _moment(self) -> Iterator[int]:
        """Statements that all see the same moment; gives the number of the last archived fact then."""
        with reading():
            self.connection.execute("BEGIN")
            try:
                self._archived = read_meta(self.connection).archived
                yield self._archived
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")
