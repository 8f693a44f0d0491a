"""The end of a log: read from behind, weighed by level, followed across rotation."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

from console import log_tail
from console.log_tail import last_lines, record_text, show_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest


def write(path: Path, *records: dict[str, object]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def record(number: int, level: str = "info") -> dict[str, object]:
    return {"event": f"event {number}", "level": level, "logger": "engine", "timestamp": "2026-01-02T03:04:05.678Z"}


def test_lines_come_from_the_last_to_the_first_whatever_the_size_of_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"line {number} " + "ü" * (number % 90) for number in range(200)]
    path = tmp_path / "log"
    path.write_text("\n".join(lines) + "\nthe last one without an end", encoding="utf-8")
    for block in (7, 64, 1 << 16):
        monkeypatch.setattr(log_tail, "BLOCK", block)
        with path.open("rb") as file:
            assert list(last_lines(file.fileno())) == ["the last one without an end", *reversed(lines)]


def test_a_record_is_a_sentence_with_its_fields_and_its_trace() -> None:
    said = record(1, "error") | {"pid": 7, "why": "no reason", "exception": "Traceback …"}
    assert record_text(said) == '2026-01-02 03:04:05 ERROR    event 1  pid=7 why="no reason"\nTraceback …'


def test_only_what_is_grave_enough_counts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, *(record(number, "error" if number % 10 == 0 else "info") for number in range(100)))
    shown: list[str] = []
    show_log(path, 3, "warning", shown.append)
    assert [text.split("event ")[1] for text in shown] == ["70", "80", "90"]
    shown.clear()
    show_log(path, 2, "DEBUG", shown.append, raw=True)
    assert [json.loads(text)["event"] for text in shown] == ["event 98", "event 99"]


def test_what_is_no_record_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('plain words\n["a", "list"]\n', encoding="utf-8")
    shown: list[str] = []
    show_log(path, 9, "critical", shown.append)
    assert shown == ["plain words", '["a", "list"]']


def test_following_goes_on_in_the_new_file_after_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    write(path, record(1))
    end = path.stat().st_size

    def rotate() -> None:
        write(path, record(3))
        path.rename(tmp_path / "log.1")
        write(path, record(4))

    steps: Iterator[Callable[[], None]] = iter([lambda: write(path, record(2)), rotate, lambda: write(path, record(5))])
    monkeypatch.setattr("time.sleep", lambda seconds: next(steps)())
    found = [json.loads(line)["event"] for line in islice(log_tail._new_lines(path, end), 4)]
    assert found == ["event 2", "event 3", "event 4", "event 5"]
