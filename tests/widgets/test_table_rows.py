"""Rows keep their identity; the order is worked out on demand and only when something it depends on moved."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from widgets.table_cells import Cell, Column
from widgets.table_rows import Filter, TableRows

COLUMNS = [Column("bot", "Bot", 10), Column("pnl", "P&L", 10, align="right"), Column("note", "Note", 10)]


def row(name: str, pnl: float, note: str = "") -> list[Cell]:
    return [Cell(name), Cell(f"{pnl:.2f}", value=pnl), Cell(note)]


def filled(sort: tuple[str, bool] | None = None) -> TableRows:
    rows = TableRows(COLUMNS, sort)
    for name, pnl in (("a", 1.0), ("b", 3.0), ("c", 2.0)):
        rows.upsert(name, row(name, pnl))
    rows.arrange()
    return rows


def test_without_a_sort_rows_stand_as_they_came() -> None:
    assert list(filled().keys) == ["a", "b", "c"]


def test_rows_are_sorted_by_value_and_not_by_text() -> None:
    rows = TableRows(COLUMNS, ("pnl", True))
    rows.replace([("x", row("x", 9.0)), ("y", row("y", 10.0)), ("z", row("z", -1.0))])
    rows.arrange()
    assert list(rows.keys) == ["y", "x", "z"]


def test_numbers_decimals_texts_and_nan_can_be_sorted_together() -> None:
    rows = TableRows(COLUMNS, ("pnl", False))
    values: list[float | Decimal | str | None] = [2.5, Decimal("1.5"), "n/a", float("nan"), None]
    for index, value in enumerate(values):
        rows.upsert(str(index), [Cell("r"), Cell("zz", value=value), Cell("")])
    rows.arrange()
    assert list(rows.keys) == ["1", "0", "2", "4", "3"]


def test_an_equal_row_is_no_change() -> None:
    rows = filled()
    assert not rows.upsert("a", row("a", 1.0))
    assert rows.upsert("a", row("a", 1.5))
    assert not rows.structure_changed


def test_a_moved_value_makes_the_order_doubtful_only_in_the_sorted_column() -> None:
    rows = filled(("bot", False))
    rows.upsert("a", row("a", 99.0))
    assert not rows.order_doubtful
    rows = filled(("pnl", True))
    rows.upsert("a", row("a", 99.0))
    assert rows.order_doubtful
    assert list(rows.keys) == ["b", "c", "a"]
    assert rows.arrange()
    assert list(rows.keys) == ["a", "b", "c"]


def test_replacing_reports_the_keys_that_differ() -> None:
    rows = filled()
    assert rows.replace([("a", row("a", 1.0)), ("b", row("b", 4.0)), ("d", row("d", 0.0))]) == {"b", "d"}
    rows.arrange()
    assert list(rows.keys) == ["a", "b", "d"]
    assert "c" not in rows


def test_replacing_takes_the_given_order() -> None:
    rows = filled()
    rows.replace([("c", row("c", 2.0)), ("a", row("a", 1.0)), ("b", row("b", 3.0))])
    rows.arrange()
    assert list(rows.keys) == ["c", "a", "b"]


def test_removing_what_is_not_there_is_no_error() -> None:
    rows = filled()
    assert not rows.remove("zzz")
    assert rows.remove("a")
    assert rows.structure_changed


def test_a_filter_keeps_matches_and_an_inverse_one_the_rest() -> None:
    rows = TableRows(COLUMNS)
    for name, note in (("trend-1", "run"), ("mean-2", "run"), ("trend-3", "stop")):
        rows.upsert(name, row(name, 0.0, note))
    rows.filter = Filter("trd")
    rows.arrange()
    assert list(rows.keys) == ["trend-1", "trend-3"]
    rows.filter = Filter("trd", inverse=True)
    rows.arrange()
    assert list(rows.keys) == ["mean-2"]
    assert rows.total == 3


def test_the_filter_does_not_look_at_figures() -> None:
    rows = filled()
    rows.filter = Filter("3.00")
    rows.arrange()
    assert len(rows) == 0


def test_finding_goes_round_both_ways() -> None:
    rows = TableRows(COLUMNS)
    for name in ("trend-1", "mean-2", "trend-3"):
        rows.upsert(name, row(name, 0.0))
    rows.arrange()
    assert rows.find("trend", "trend-1", 1) == "trend-3"
    assert rows.find("trend", "trend-3", 1) == "trend-1"
    assert rows.find("trend", "trend-1", -1) == "trend-3"
    assert rows.find("trend", None, 1) == "trend-1"
    assert rows.find("nothing", "trend-1", 1) is None


operations = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.sampled_from("abcdef"), st.floats(allow_nan=True, allow_infinity=True)),
        st.tuples(st.just("remove"), st.sampled_from("abcdef"), st.just(0.0)),
        st.tuples(st.just("arrange"), st.just("a"), st.just(0.0)),
    )
)


@given(operations, st.sampled_from([None, ("pnl", True), ("bot", False)]))
def test_after_any_changes_every_row_is_shown_once_and_in_order(
    changes: list[tuple[str, str, float]], sort: tuple[str, bool] | None
) -> None:
    rows = TableRows(COLUMNS, sort)
    expected: dict[str, float] = {}
    for what, key, value in changes:
        if what == "upsert":
            rows.upsert(key, row(key, value))
            expected[key] = value
        elif what == "remove":
            rows.remove(key)
            expected.pop(key, None)
        else:
            rows.arrange()
    rows.arrange()
    assert sorted(rows.keys) == sorted(expected)
    assert [rows.place_of(key) for key in rows.keys] == list(range(len(rows)))
    if sort == ("pnl", True):
        finite = [expected[key] for key in rows.keys if expected[key] == expected[key]]
        assert finite == sorted(finite, reverse=True)
