"""What is worth what, and what is done where nobody knows."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.capital.tax.prices import read_rates
from engine.errors import ValidationError
from tests.capital.tax.diary import Diary, moment, rows_of

EURO = {"USDT": [(20_454, D("0.9")), (20_460, D("0.8"))]}
"""2026-01-01 and 2026-01-07."""


def test_a_deposit_without_a_price_is_never_worth_zero() -> None:
    diary = Diary().at("2026-01-01").deposit("2", "BTC").at("2026-02-01").trade("sell", "1", "300")
    found = diary.report()
    (row,) = rows_of(found)
    assert (row["proceeds"], row["cost"], row["gain"], row["origin"]) == ("300", "", "", "deposit")
    assert (found.sums[0].rows, found.sums[0].unvalued, found.gain) == (1, 1, D(0))
    assert found.notes == ("The cost of 2 BTC that came to own is not known here, nor is their worth then.",)


def test_a_deposit_with_a_price_is_told_and_taken_at_it() -> None:
    diary = Diary().at("2026-01-01").mark("X:BTC/USDT", "100").deposit("2", "BTC")
    found = diary.at("2026-02-01").trade("sell", "1", "300").report()
    assert rows_of(found)[0]["cost"] == "100"
    assert found.notes == ("The cost of 2 BTC that came to own is not known here: taken as 200, their worth then.",)


def test_a_price_values_a_day_and_no_longer() -> None:
    diary = Diary().at("2026-01-01").mark("X:BTC/USDT", "100").at("2026-01-02").deposit("1", "BTC")
    diary.at("2026-01-02T00:00:01").deposit("1", "BTC")
    assert [note.partition("not known here")[2] for note in diary.report().notes] == [
        ": taken as 100, their worth then.", ", nor is their worth then.",
    ]  # fmt: skip


def test_what_is_heard_late_is_valued_by_the_prices_of_its_time() -> None:
    diary = Diary().at("2026-01-01").mark("X:BNB/USDT", "50").deposit("1", "BNB").trade("buy", "1", "100")
    diary.at("2026-01-20").mark("X:BNB/USDT", "90")
    diary.trade("sell", "1", "200", "0.1 BNB", ts=moment("2026-01-01T12:00"))
    assert [row["proceeds"] for row in rows_of(diary.report())] == ["195", "5"]


def test_a_fee_nobody_can_value_makes_the_gain_unknown_and_no_fee_does_not() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100", "0 BNB").trade("sell", "0.5", "300", "0 BNB")
    assert diary.report().gain == D(100)
    found = diary.trade("sell", "0.5", "300", "0.1 BNB").report()
    assert [row["gain"] for row in rows_of(found)] == ["100", ""]
    assert "What 0.5 BTC brought is not known: give a rate for that day." in found.notes


def test_funding_without_a_value_is_told() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100", "0.1 USDT", "X:BTC/USDT-PERP")
    found = diary.report(currency="EUR", rates={"GBP": [(20_454, D(1))]})
    assert [(row["proceeds"], row["gain"]) for row in rows_of(found)] == [("0", "")]


def test_rates_of_days_value_everything_in_another_currency() -> None:
    diary = Diary().at("2025-12-31").deposit("1000", "USDT").at("2026-01-01").trade("buy", "1", "100")
    diary.at("2026-01-08").trade("sell", "1", "200")
    found = diary.report(currency="EUR", rates=EURO)
    sold = next(row for row in rows_of(found) if row["asset"] == "BTC")
    assert (D(sold["proceeds"]), D(sold["cost"]), D(sold["gain"])) == (D(160), D(90), D(70))
    # The dollars themselves are an asset then, whose cost nobody knew before the first rate.
    spent = next(row for row in rows_of(found) if row["asset"] == "USDT")
    assert (D(spent["proceeds"]), spent["cost"]) == (D(90), "")
    assert found.differences == ()


def test_a_rate_is_used_for_a_week_and_not_before_its_day() -> None:
    diary = Diary().at("2025-12-31").deposit("1", "USDT").at("2026-01-14").deposit("1", "USDT")
    diary.at("2026-01-15").deposit("1", "USDT")
    notes = (
        *diary.report(currency="EUR", rates=EURO, year=2025).notes,
        *diary.report(currency="EUR", rates=EURO).notes,
    )
    assert [note.partition("not known here")[2] for note in notes] == [
        ", nor is their worth then.", ": taken as 0.8, their worth then.", ", nor is their worth then.",
    ]  # fmt: skip


def test_what_counts_as_cash_has_no_lots() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100").at("2026-01-08").trade("sell", "1", "200")
    (row,) = diary.report(currency="USD", cash=frozenset({"USDT"})).rows
    assert (row.asset, row.gain) == ("BTC", D(100))


# --- a file of rates -------------------------------------------------------------------------------------------------


def test_rates_are_read_and_sorted() -> None:
    lines = ["date,currency,rate", "2026-01-02, usdt ,0.91", "", "2026-01-01,USDT,0.92"]
    assert read_rates(lines) == {"USDT": [(20_454, D("0.92")), (20_455, D("0.91"))]}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "it lacks date, currency, rate"),
        (["date;currency;rate", "2026-01-01;USDT;1"], "it lacks date, currency, rate"),
        (["date,currency,rate", "2026-13-01,USDT,1"], "Line 2 of the rates"),
        (["date,currency,rate", "2026-01-01,USDT,1", "2026-01-02,USDT"], "Line 3 of the rates"),
        (["date,currency,rate", "2026-01-01"], "Line 2 of the rates"),
        (["date,currency,rate", "2026-01-01,USDT,0"], "the rate must be above zero"),
        (["date,currency,rate", "2026-01-01,USDT,NaN"], "must be a finite number"),
        (["date,currency,rate", "2026-01-01,,1"], "the currency is missing"),
        (["date,currency,rate", "2026-01-01,USDT,1", "2026-01-01,usdt,2"], "another rate of USDT for 2026-01-01"),
    ],
)
def test_rates_that_cannot_be_used_are_named(lines: list[str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read_rates(lines)
