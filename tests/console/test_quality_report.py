"""`report quality`, from what is typed to what is printed and what is on the disk."""

from __future__ import annotations

import csv
import logging
from typing import TYPE_CHECKING

import pytest

from console import cli
from tests.kit.quality_story import story
from tests.storage.journal.helpers import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("home")
    found.chmod(0o700)
    store(found / "journal.db", story())
    return found


@pytest.fixture
def _quiet_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], _quiet_logs: None) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--home", str(home), "report", "quality", *arguments])
        said = capsys.readouterr()
        code = ended.value.code
        return code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err

    return command


def test_a_line_for_each_group_says_what_it_cost(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = run()
    assert status == 0
    line = next(line for line in out.splitlines() if line.startswith("SIM")).split()
    assert line == ["SIM", "3", "423.40", "USDT", "5.60", "133.02", "65.32", "91.7%", "1,000", "1,500", "30", "+14.85"]
    assert "60 s after: +98.04 bps in favour" in out
    assert "300 s after" not in out, "what was not recorded is not told"


def test_all_figures_come_as_rows(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = run("--by", "type", "--csv")
    found = {row["name"]: row for row in csv.DictReader(out.splitlines())}
    assert status == 0
    assert list(found) == ["market", "limit"]
    assert (found["limit"]["shortfall"], found["limit"]["delay"], found["limit"]["fill_rate"]) == (
        "1.500",
        "0.750",
        "0.75",
    )
    assert found["market"]["mark_out_300s_bps"] == ""
    assert sum(float(row["profit"]) for row in found.values()) == pytest.approx(14.85)


@pytest.mark.parametrize(
    ("since", "orders"), [("2023-11-14 22:13:20", "3"), ("2023-11-14 22:13:22", "2"), ("2024-01-01", None)]
)
def test_only_orders_from_a_moment_on(run: Callable[..., tuple[int, str, str]], since: str, orders: str | None) -> None:
    status, out, _ = run("--since", since)
    assert status == 0
    if orders is None:
        assert out == "No orders are recorded in that time.\n"
    else:
        assert next(line for line in out.splitlines() if line.startswith("SIM")).split()[1] == orders


def test_a_file_is_written_and_never_over_another(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    file = tmp_path / "quality.csv"
    assert run("--csv", "--output", str(file)) == (0, "", "")
    assert file.read_text(encoding="utf-8").startswith("name,currency,orders")
    status, _, err = run("--output", str(file))
    assert status != 0
    assert "exists already" in err
    assert run("--output", str(file), "--force")[0] == 0


def test_what_cannot_be_understood_is_said(run: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = run("--since", "soon")
    assert status != 0
    assert "is no moment" in err
