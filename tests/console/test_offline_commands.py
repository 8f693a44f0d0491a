"""The commands that need no engine, from what is typed to what is printed."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from console import cli
from console.offline_call import table
from console.plain import say_json
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = 1_640_995_200 * 1_000_000_000
"""2022-01-01 00:00 UTC."""
NAMES = ("--venue", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h")
RUN = ("backtest", "run", "--strategy", "trend_following", *NAMES)
TRADE_KEYS = {
    "entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "fees", "pnl", "reason",
}  # fmt: skip
BROKEN_STRATEGY = '''
from engine.strategy.contract import Strategy, Wish

class Fragile(Strategy):
    """Fails at its hundredth bar."""

    name = "fragile"

    def warmup(self, timeframe):
        return 1

    def columns(self, bars, ta):
        return {"place": (bars.ts - bars.ts[0]) / 3.6e12}

    def decide(self, row, memory, holding):
        print("words of a strategy")
        if row.place == 100:
            raise RuntimeError("the hundredth bar")
        return None
'''


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def _quiet_logs() -> Iterator[None]:
    """Commands send the process's records to files of their home; give the test run its own ways back."""
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
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def quarterdeck(home: Path, capsys: pytest.CaptureFixture[str], _quiet_logs: None) -> Callable[..., Said]:
    def run(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--home", str(home), *arguments])
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return run


def write_csv(path: Path, count: int = 3000, *, seed: int = 5) -> Path:
    bars = walk_bars(seed, count, "1h", start=START)
    columns = zip(bars.ts // 1_000_000, bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True)
    rows = (",".join([str(ts), *(repr(float(value)) for value in values)]) for ts, *values in columns)
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    return path


@pytest.fixture
def stored(quarterdeck: Callable[..., Said], home: Path) -> Callable[..., Said]:
    """The command of a home that has candles."""
    CandleStore(home / "candles").merge(
        CandleSet.of("binance", "BTC/USDT", "1h"), walk_bars(5, 3000, "1h", start=START)
    )
    return quarterdeck


# --- candles ---------------------------------------------------------------------------------------------------------


def test_an_import_reports_what_it_found(quarterdeck: Callable[..., Said], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "bars.csv")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:100], lines[99], *lines[102:], ""]))

    said = quarterdeck("data", "import", str(file), *NAMES)

    assert said.status == 0, said.err
    assert "bars.csv: CSV, times as milliseconds since 1970" in said.out
    assert "2,998 bars of binance BTC/USDT 1h from 2022-01-01 00:00 to 2022-05-06 00:00 UTC" in said.out
    assert "2,998  added" in said.out
    assert "1  duplicate rows dropped" in said.out
    assert "1  gaps, 2 bars missing" in said.out
    assert "from 2022-01-05 03:00 UTC: 2 bars" in said.out


def test_a_second_import_of_the_same_file_adds_nothing(stored: Callable[..., Said], tmp_path: Path) -> None:
    report = json.loads(stored("data", "import", str(write_csv(tmp_path / "bars.csv")), *NAMES, "--json").out)

    assert (report["added"], report["identical"], report["stored_rows"]) == (0, 3000, 3000)
    assert report["key"] == {"venue": "BINANCE", "symbol": "BTC/USDT", "timeframe": "1h"}


def test_a_broken_file_is_refused_in_a_sentence_and_leaves_nothing(
    quarterdeck: Callable[..., Said], tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "bars.csv", 50)
    lines = file.read_text().splitlines()
    ts, o, _, low, c, v = lines[20].split(",")
    file.write_text("\n".join([*lines[:20], f"{ts},{o},0.5,{low},{c},{v}", *lines[21:]]))

    said = quarterdeck("data", "import", str(file), *NAMES)

    assert said.status == 1
    assert said.out == ""
    assert "line 21: high 0.5 is below low" in said.err
    assert "No candles are stored yet" in quarterdeck("data", "list").out


def test_a_list_and_an_export_show_what_is_stored(stored: Callable[..., Said], tmp_path: Path) -> None:
    assert "3,000" in stored("data", "list").out
    listed = json.loads(stored("data", "list", "--json").out)
    assert [(row["venue"], row["symbol"], row["rows"], row["gaps"]) for row in listed] == [
        ("BINANCE", "BTC/USDT", 3000, 0)
    ]

    out = tmp_path / "out.csv"
    said = stored("data", "export", str(out), *NAMES, "--from", "2022-01-02", "--to", "2022-01-03")
    assert said.status == 0, said.err
    assert len(out.read_text().splitlines()) == 1 + 48, "a day named as the end counts whole"
    assert stored("data", "export", str(out), *NAMES).status == 1
    assert stored("data", "export", str(out), *NAMES, "--force").status == 0
    assert len(out.read_text().splitlines()) == 1 + 3000


def test_candles_are_deleted_only_when_that_is_confirmed(
    stored: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert stored("data", "delete", *NAMES).status == 1, "nobody was there to answer"
    assert "3,000" in stored("data", "list").out

    assert stored("data", "delete", *NAMES, "--yes").status == 0
    assert "No candles are stored yet" in stored("data", "list").out


# --- strategies of one's own ------------------------------------------------------------------------------------------


def test_a_strategy_is_begun_and_checked_on_stored_candles(stored: Callable[..., Said], home: Path) -> None:
    said = stored("strategies", "new", "night_owl", "--template", "breakout", "--no-check")
    assert said.status == 0, said.err
    file = home / "strategies" / "night_owl.py"
    assert str(file) in said.out
    assert "night_owl" in stored("strategies", "list").out
    again = stored("strategies", "new", "night_owl")
    assert (again.status, "already" in again.err) == (1, True), again.err

    source = file.read_text()
    assert "        return {\n" in source
    file.write_text(
        source.replace("        return {\n", '        return {\n            "later": bars.close[::-1].copy(),\n')
    )
    said = stored("strategies", "check", "night_owl", "--json")
    report = json.loads(said.out)
    assert said.status == 1
    assert report["histories"]["binance BTC/USDT 1h"] == 1500
    failed = {one["check"] for one in report["checks"] if one["state"] == "failed"}
    assert "No column changes with what comes later." in failed

    said = stored("strategies", "check", "night_owl", "--symbol", "XRP/USDT")
    assert said.status == 1
    assert "XRP/USDT" in said.err


# --- backtests -------------------------------------------------------------------------------------------------------


def test_a_run_prints_one_object_that_repeats_and_can_be_shown_again(stored: Callable[..., Said]) -> None:
    options = ("--from", "2022-01-01", "--to", "2022-05-05", "--param", "fast_ma=10", "--json")

    first, second = (stored(*RUN, *options) for _ in range(2))
    slow = stored(*RUN, *options, "--no-shortcuts")

    assert first.status == 0, first.err
    found, again = json.loads(first.out), json.loads(second.out)
    assert set(found) >= {"hash", "assumptions", "metrics", "trades"}
    assert found["trades"]
    for trade in found["trades"]:
        assert set(trade) >= TRADE_KEYS
        assert trade["entry_time"].endswith("Z")
        assert trade["side"] in ("buy", "sell")
        assert all(isinstance(trade[name], float) for name in ("entry_price", "exit_price", "quantity", "fees", "pnl"))
    gained = found["metrics"]["end_equity"] - 10_000
    assert gained == pytest.approx(sum(trade["pnl"] for trade in found["trades"]), abs=1e-6)
    assert found["params"]["fast_ma"] == 10
    for name in ("hash", "trades", "metrics", "assumptions"):
        assert again[name] == found[name] == json.loads(slow.out)[name]
    shown = json.loads(stored("backtest", "show", found["hash"][:10], "--json").out)
    assert shown["trades"] == found["trades"]


def test_a_run_tells_a_person_what_it_assumed_before_what_it_earned(
    stored: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")

    said = stored(*RUN, "--trades", "3")

    assert said.status == 0, said.err
    assert said.out.index("Assumptions") < said.out.index("Figures") < said.out.index("Trades (the last 3 of")
    assert "0.1 %" in said.out
    assert "bought and held" in said.out, "the curve is drawn where there is room"
    assert "\x1b" not in said.out
    assert "fast_ma=20" in said.out

    monkeypatch.setenv("COLUMNS", "50")
    assert "bought and held" not in stored("backtest", "list").out


def test_stored_runs_are_listed_exported_and_deleted(stored: Callable[..., Said], tmp_path: Path) -> None:
    assert "No backtest is stored yet" in stored("backtest", "list").out
    run_id = json.loads(stored(*RUN, "--json").out)["id"]

    assert run_id[:8] in stored("backtest", "list").out
    assert [row["id"] for row in json.loads(stored("backtest", "list", "--json").out)] == [run_id]
    csv = tmp_path / "trades.csv"
    assert stored("backtest", "export", run_id[:8], str(csv)).status == 0
    assert csv.read_text().startswith("number,instrument,entry_time,exit_time,side,entry_price,")
    assert stored("backtest", "delete", run_id[:8]).status == 0
    assert "No backtest is stored yet" in stored("backtest", "list").out
    gone = stored("backtest", "show", run_id[:8])
    assert gone.status == 1
    assert "There is no stored backtest" in gone.err


def test_a_strategy_file_of_the_persons_own_is_run_and_its_failure_names_the_bar(
    stored: Callable[..., Said], tmp_path: Path
) -> None:
    file = tmp_path / "fragile.py"
    file.write_text(BROKEN_STRATEGY)

    said = stored("backtest", "run", "--strategy", str(file), *NAMES, "--json")

    assert said.status == 1
    assert said.out == "", "what a strategy prints is not part of the result"
    assert "2022-01-05 04:00:00 UTC" in said.err
    assert "the hundredth bar" in said.err


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--param", "fast_maa=20"), 1, "did you mean fast_ma?"),
        (("--param", "fast_ma=200"), 1, "fast_ma (200) must be below slow_ma (50)"),
        (("--param", "fast_ma"), 2, "'fast_ma' is not NAME=VALUE"),
        (("--param", "fast_ma=2", "--param", "fast_ma=3"), 2, "fast_ma is given twice"),
        (("--symbol", "ETH/USDT"), 1, "there are some of binance BTC/USDT 1h"),
        (("--timeframe", "1x"), 1, "The timeframe '1x' is not known"),
        (("--from", "2030-01-01"), 1, "stored from 2022-01-01 00:00 to 2022-05-06 00:00 UTC"),
        (("--from", "2022-03-01", "--to", "2022-02-01"), 1, "the start must be before the end"),
        (("--from", "soon"), 1, "'soon' is no time"),
        (("--strategy", "trend_folowing"), 1, "did you mean trend_following?"),
        (("--strategy", "./nowhere.py"), 1, "nowhere.py cannot be read"),
        (("--limit", "max_position=1"), 1, "max_position"),
        (("--capital", "much"), 1, "must be a number, not 'much'"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(
    stored: Callable[..., Said], options: tuple[str, ...], status: int, told: str
) -> None:
    said = stored(*RUN, *options, "--json")

    assert said.status == status
    assert said.out == ""
    assert told in said.err


def test_a_reader_that_is_cut_off_gets_whole_json_or_none(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from console.cli import main; main()", "--home", str(home)]
    file = write_csv(tmp_path / "bars.csv", 200)

    done = subprocess.run([*command, "data", "import", str(file), *NAMES, "--json"], capture_output=True, check=True)

    assert json.loads(done.stdout)["bars"] == 200
    assert done.stderr == b""


# --- the home folder -------------------------------------------------------------------------------------------------


def test_strategies_are_listed_with_their_parameters_and_own_files(
    quarterdeck: Callable[..., Said], home: Path
) -> None:
    (home / "strategies").mkdir(parents=True)
    (home / "strategies" / "fragile.py").write_text(BROKEN_STRATEGY)

    said = quarterdeck("strategies", "list", "--params")
    rows: list[dict[str, Any]] = json.loads(quarterdeck("strategies", "list", "--json").out)

    assert "Fails at its hundredth bar." in said.out
    assert "2 to 500" in said.out
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert {"fragile", "grid", "mean_reversion", "trend_following"} <= set(names)


def test_storage_is_brought_up_to_date_and_says_so_once(quarterdeck: Callable[..., Said], home: Path) -> None:
    first, second = quarterdeck("storage", "migrate"), quarterdeck("storage", "migrate")

    assert "schema none became" in first.out
    assert "is up to date" in second.out
    assert (home / "quarterdeck.db").is_file()


def test_paths_name_what_is_in_the_home(quarterdeck: Callable[..., Said], home: Path) -> None:
    found = json.loads(quarterdeck("paths", "--json").out)

    assert found["home"] == str(home)
    assert all(place.startswith(str(home)) for place in found.values())
    assert str(home / "candles") in quarterdeck("paths").out
    assert not home.exists(), "asking where things are makes nothing"


def test_settings_are_shown_checked_and_described(quarterdeck: Callable[..., Said], home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[database]\npostgresql_password = "hunter22"\n')

    assert quarterdeck("config", "check").status == 0
    shown = quarterdeck("config", "show")
    assert "paper.seed = " in shown.out
    assert "hunter22" not in shown.out + quarterdeck("config", "show", "--json").out
    assert "properties" in json.loads(quarterdeck("config", "schema").out)

    (home / "config.toml").write_text("[paper]\nsed = 4\n")
    refused = quarterdeck("config", "check")
    assert refused.status == 1
    assert "paper.sed" in refused.err
    assert "paper.seed" in refused.err


def test_words_of_a_strategys_file_never_command_the_terminal(
    quarterdeck: Callable[..., Said], home: Path, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.py"
    evil.write_text(
        '"""Evil."""\nraise ValueError("boom \\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202eend")\n', encoding="utf-8"
    )
    said = quarterdeck("backtest", "run", "--strategy", str(evil), *NAMES)
    assert said.status == 1
    assert "boom end" in said.err
    assert not any(sign in said.err + said.out for sign in "\x1b\x07\x9b\u202e")
    refused = quarterdeck("data", "import", "no\x1b[2J\x9bsuch.csv", *NAMES)
    assert refused.status != 0
    assert not any(sign in refused.err for sign in "\x1b\x9b")


def test_json_keeps_what_a_terminal_would_obey_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"reason": "a\x1b[2J\x9b1m\u202e\U000e0001é"}
    say_json(data)
    out = capsys.readouterr().out
    assert not any(sign in out for sign in "\x1b\x9b\u202e\U000e0001")
    assert "é" in out
    assert json.loads(out) == data


def test_cells_of_a_table_are_clean_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", " n"), [("a\x1b[2Jb\n", "1"), ("abc", "22")])
    assert capsys.readouterr().out.splitlines() == ["name   n", "ab     1", "abc   22"]
