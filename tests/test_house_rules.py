"""Rules of the house that neither the linter nor the type checker can see."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("console", "engine", "screens", "widgets", "storage", "strategies", "themes", "tests")
MAX_MODULE_LINES = 600
MAX_FUNCTION_LINES = 80
MAX_CLASS_LINES = 400

CLOCK_CALLS = re.compile(
    r"^(time\.(time|monotonic|perf_counter|localtime|gmtime)(_ns)?"
    r"|(datetime\.)*(datetime|date)\.(now|utcnow|today)"
    r"|(asyncio\.get_(running|event)_loop\(\)|self\._?loop|loop)\.time)$"
)
CLOCK_ENDS = re.compile(r"^(time|monotonic|perf_counter|localtime|gmtime)(_ns)?$|^(now|utcnow|today)$")
CLOCK_NAMES = {"time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}}
# an error is stamped where it is born, outside any simulated time
CLOCK_READERS = {"engine/clock.py", "engine/errors.py"}

MODE_NAMES = re.compile(r"^(is_)?(back_?test(ing)?|live|paper|simulat(ed|ion))(_mode)?$")
FLOOR_ZERO_FORBIDDEN = {
    "asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "threading", "time", "uuid",
}  # fmt: skip


def modules(*packages: str) -> list[Path]:
    """Every Python file of these packages, the generated migrations left out."""
    found = (path for package in packages for path in sorted((ROOT / package).rglob("*.py")))
    return [path for path in found if "migrations/versions" not in path.as_posix()]


def label(path: Path) -> str:
    """The path as it is written in the rules."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> set[tuple[str, str]]:
    """Top-level package and name of everything that the module imports."""
    names: set[tuple[str, str]] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {(alias.name.partition(".")[0], "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {(node.module.partition(".")[0], alias.name) for alias in node.names}
    return names


def clock_reads(path: Path) -> list[str]:
    """Every place where the module asks the machine for the time."""
    found = [
        f"{label(path)}:{node.lineno} {ast.unparse(node)}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and CLOCK_ENDS.match(node.attr) and CLOCK_CALLS.match(ast.unparse(node))
    ]
    found += [f"{label(path)} from {m} import {n}" for m, n in imported(path) if n in CLOCK_NAMES.get(m, ())]
    return found


def test_only_the_clock_reads_the_time() -> None:
    readers = [path for path in modules("engine", "storage", "strategies") if label(path) not in CLOCK_READERS]
    assert [read for path in readers for read in clock_reads(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "time.time()",
        "time.monotonic_ns()",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "loop.time()",
        "asyncio.get_event_loop().time()",
        "asyncio.get_running_loop().time()",
    ],
)
def test_the_search_for_clock_reads_finds(line: str) -> None:
    calls = (node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Attribute))
    assert any(CLOCK_CALLS.match(ast.unparse(call)) for call in calls)


def test_risk_execution_and_strategies_do_not_ask_in_which_mode_they_run() -> None:
    asked = []
    for path in modules("engine/risk", "engine/execution", "strategies"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.If | ast.IfExp | ast.While):
                names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
                names |= {n.attr for n in ast.walk(node.test) if isinstance(n, ast.Attribute)}
                asked += [f"{label(path)}:{node.lineno} {name}" for name in names if MODE_NAMES.match(name.lower())]
    assert asked == []


def test_floor_zero_does_no_input_or_output_reads_no_clock_and_draws_no_lots() -> None:
    paths = modules("engine/model") + [ROOT / "engine" / f"{name}.py" for name in ("events", "state", "errors")]
    present = [path for path in paths if path.exists()]
    found = {label(path): {name for name, _ in imported(path)} & FLOOR_ZERO_FORBIDDEN for path in present}
    assert {path: names for path, names in found.items() if names} == {}


def test_no_task_is_started_without_an_owner() -> None:
    bare = [
        f"{label(path)}:{node.lineno}"
        for path in modules("engine", "storage", "strategies")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"asyncio.create_task", "asyncio.ensure_future"}
    ]
    assert bare == []


def test_a_module_has_at_most_600_lines() -> None:
    lengths = {label(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(*PACKAGES)}
    too_long = {path for path, lines in lengths.items() if lines > MAX_MODULE_LINES}
    assert too_long == set()


def test_functions_and_classes_stay_within_a_readable_length() -> None:
    long = []
    for path in modules(*PACKAGES):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                cap = MAX_CLASS_LINES if isinstance(node, ast.ClassDef) else MAX_FUNCTION_LINES
                first = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.lineno
                lines = (node.end_lineno or node.lineno) - first + 1
                long += [f"{label(path)}:{node.lineno} {node.name}: {lines} lines"] if lines > cap else []
    assert long == []


def test_every_module_says_its_idea_first() -> None:
    assert [label(path) for path in modules(*PACKAGES) if not ast.get_docstring(tree(path))] == []


def test_every_room_of_the_engine_stands_on_a_floor() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["id"] == "floors")
    placed = set(re.findall(r"engine\.(\w+)", " ".join(floors["layers"])))
    rooms = {p.stem for p in (ROOT / "engine").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - {"__init__"} - placed == set()


def test_no_index_address_is_in_the_pins() -> None:
    for pins in sorted((ROOT / "requirements").glob("*.txt")):
        text = pins.read_text(encoding="utf-8")
        assert "://" not in text, pins.name
        assert "--hash=sha256:" in text, pins.name
