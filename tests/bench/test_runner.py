"""The runner finds the benchmarks, runs each in its own process, and prints one table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.bench import __main__ as runner
from tests.bench.table import Row, percentile

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MODULE = '''"""A benchmark."""
from __future__ import annotations
import os
from tests.bench.table import Row


def run() -> list[Row]:
    """Measure."""
    return [Row("process", str(os.getpid()), "<= 1", False)]
'''


def test_the_journal_is_among_the_benchmarks_and_the_tools_are_not() -> None:
    assert "journal" in runner.names()
    assert not {"table", "__main__", "test_runner"} & set(runner.names())


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["jurnal"]) == 2
    assert "journal" in capsys.readouterr().err


def test_a_module_is_measured_in_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    result = tmp_path / "rows.json"
    (tmp_path / "one.py").write_text(MODULE)
    monkeypatch.setattr("tests.bench.__path__", [str(tmp_path)])
    assert runner.names() == ["one"]
    runner.measure_here("one", result)
    assert '"<= 1", false' in result.read_text()
    sys.modules.pop("tests.bench.one")


def test_a_benchmark_that_breaks_is_a_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    [row] = runner.measure("no_such_benchmark")
    assert row.ok is False
    assert "exit code 1" in row.measured
    runner.show([Row("good", "1", "<= 2", True), Row("bad", "3", "<= 2", False), Row("note", "5")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[-1].strip() for line in lines if "+" not in line] == ["ok", "yes", "NO", ""]


def test_a_percentile_is_the_value_that_so_many_do_not_exceed() -> None:
    assert [percentile(range(1, 101), p) for p in (0, 50, 99, 100)] == [1, 51, 100, 100]
