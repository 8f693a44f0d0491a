"""`report`, from what is typed to what is printed and what is on the disk."""

from __future__ import annotations

import csv
import logging
from typing import TYPE_CHECKING, NamedTuple

import pytest

from console import cli
from engine.capital.tax import report
from tests.capital.tax.diary import Diary
from tests.storage.journal.helpers import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIFO = (
    "sale,BTC,1,2026-01-10T01:00:00+01:00,2026-04-10T02:00:00+02:00,90,396,101,295,USDT,own,purchase,t3\n"
    "sale,BTC,0.5,2026-02-10T01:00:00+01:00,2026-04-10T02:00:00+02:00,59,198,151.5,46.5,USDT,own,"
    "purchase,t3\n"
)


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    diary = Diary().deposit("10000", "USDT")
    diary.at("2026-01-10").trade("buy", "1", "100", "1 USDT")
    diary.at("2026-02-10").trade("buy", "1", "300", "3 USDT")
    diary.at("2026-04-10").trade("sell", "1.5", "400", "6 USDT").deposit("1", "BNB")
    found = tmp_path_factory.mktemp("home")
    found.chmod(0o700)
    store(found / "journal.db", diary.records)
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
def run(home: Path, capsys: pytest.CaptureFixture[str], _quiet_logs: None) -> Callable[..., Said]:
    def command(*arguments: str, home: Path = home) -> Said:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--home", str(home), "report", "tax", *arguments])
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return command


def test_rows_are_printed_and_sums_are_told_beside_them(run: Callable[..., Said]) -> None:
    said = run("--year", "2026", "--timezone", "Europe/Berlin")
    assert (said.status, said.out.partition("\n")[2]) == (0, FIFO)
    assert "2 rows of 2026 (Europe/Berlin, fifo, USDT)." in said.err
    assert "sale              2 rows  proceeds 594.00  cost 252.50  gain +341.50" in said.err
    assert "look at: The cost of 1 BNB that came to own is not known here, nor is their worth then." in said.err
    assert "DOES NOT ADD UP" not in said.err


@pytest.mark.parametrize(
    ("method", "gain"), [("fifo", "341.50"), ("lifo", "240.50"), ("hifo", "240.50"), ("average", "291.00")]
)
def test_every_method_can_be_chosen(run: Callable[..., Said], method: str, gain: str) -> None:
    said = run("--year", "2026", "--method", method)
    assert f"together    gain +{gain} USDT" in said.err


def test_what_does_not_add_up_is_told_and_ends_with_a_status_of_its_own(
    run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_differences", lambda book, state: iter(["1 BTC is held and no lot explains it."]))
    said = run("--year", "2026")
    assert (said.status, said.out.count("\n")) == (1, 3), "the rows are there all the same"
    assert "DOES NOT ADD UP: 1 BTC is held and no lot explains it." in said.err


def test_a_file_is_written_whole_and_never_over_another(run: Callable[..., Said], tmp_path: Path) -> None:
    file = tmp_path / "tax.csv"
    said = run("--year", "2026", "--output", str(file))
    assert (said.status, said.out) == (0, "")
    assert f"2 rows of 2026 (UTC, fifo, USDT) are in {file}." in said.err
    written = file.read_text(encoding="utf-8")
    assert [row["gain"] for row in csv.DictReader(written.splitlines())] == ["295", "46.5"]
    said = run("--year", "2026", "--method", "lifo", "--output", str(file))
    assert said.status != 0
    assert "exists already" in said.err
    assert file.read_text(encoding="utf-8") == written
    assert run("--year", "2026", "--method", "lifo", "--output", str(file), "--force").status == 0
    assert file.read_text(encoding="utf-8") != written
    assert list(tmp_path.iterdir()) == [file]


def test_rates_of_a_file_value_another_currency(run: Callable[..., Said], tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    days = ("2024-12-31", "2026-01-10", "2026-02-10", "2026-04-10")
    rates.write_text("date,currency,rate\n" + "".join(f"{day},USDT,0.5\n" for day in days), encoding="utf-8-sig")
    said = run("--year", "2026", "--currency", "eur", "--rates", str(rates))
    sold = [row for row in csv.DictReader(said.out.splitlines()) if row["asset"] == "BTC"]
    assert [(row["gain"], row["currency"]) for row in sold] == [("147.5", "EUR"), ("23.25", "EUR")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--timezone", "Mars/Olympus"), "There is no time zone 'Mars/Olympus'"),
        (("--currency", "EUR"), "Nothing in the journal is in EUR"),
        (("--method", "best"), "'best' is not one of"),
        (("--year", "1066"), "1066 is not in the range"),
        (("--rates", "nowhere.csv"), "does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(
    run: Callable[..., Said], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    said = run("--year", "2026", *arguments, "--output", str(tmp_path / "tax.csv"))
    assert said.status != 0
    assert words in " ".join(said.err.split())
    assert (said.out, list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"date,currency,rate\n2026-01-01,USDT,much\n", "Line 2 of the rates cannot be used"),
        (b"\xff\xfe\x00", "it is not text in UTF-8"),
    ],
)
def test_rates_that_cannot_be_read_are_named(
    run: Callable[..., Said], tmp_path: Path, content: bytes, words: str
) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_bytes(content)
    said = run("--year", "2026", "--rates", str(rates))
    assert said.status != 0
    assert words in said.err
    assert said.out == ""


def test_a_place_that_cannot_be_written_is_named(run: Callable[..., Said], tmp_path: Path) -> None:
    said = run("--year", "2026", "--output", str(tmp_path / "no" / "tax.csv"))
    assert said.status != 0
    assert "cannot be written: No such file or directory." in said.err


def test_a_home_without_a_journal_is_named(run: Callable[..., Said], tmp_path: Path) -> None:
    said = run("--year", "2026", home=tmp_path)
    assert said.status != 0
    assert "There is no journal in" in said.err
