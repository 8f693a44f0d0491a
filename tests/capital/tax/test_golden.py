"""Small histories whose reports were computed by hand."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.model.ids import Currency, InstrumentId, Owner
from tests.capital.tax.diary import OTHER, OWN, PERP, Diary, moment, rows_of

if TYPE_CHECKING:
    from engine.capital.tax.lots import LotMethod
    from engine.capital.tax.report import TaxReport


def table(report: TaxReport) -> list[tuple[str, ...]]:
    """Kind, asset, quantity, day of acquisition, proceeds, cost and gain of every row, as plain as they can be said."""
    return [
        (row["kind"], row["asset"], *(_plain(row[name]) for name in ("quantity", "proceeds", "cost", "gain")),
         row["acquired"][:10])
        for row in rows_of(report)
    ]  # fmt: skip


def _plain(text: str) -> str:
    return f"{D(text).normalize():f}" if text else ""


def funding(amount: str, ts: int, payment: str = "", currency: str = "USDT") -> ev.FundingPaid:
    return ev.FundingPaid(
        account=OWN, instrument=InstrumentId(PERP), owner=Owner("manual"), currency=Currency(currency),
        amount=D(amount), rate=None, ts=ts, payment=payment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        ("fifo", [("1", "396", "101", "295", "2026-01-10"), ("0.5", "198", "151.5", "46.5", "2026-02-10")]),
        ("lifo", [("1", "396", "202", "194", "2026-03-10"), ("0.5", "198", "151.5", "46.5", "2026-02-10")]),
        ("hifo", [("1", "396", "303", "93", "2026-02-10"), ("0.5", "198", "101", "97", "2026-03-10")]),
        ("average", [("1", "396", "202", "194", "2026-01-10"), ("0.5", "198", "101", "97", "2026-02-10")]),
    ],
)
def test_each_method_gives_up_its_own_lots(method: LotMethod, rows: list[tuple[str, ...]]) -> None:
    diary = Diary().deposit("10000", "USDT")
    diary.at("2026-01-10").trade("buy", "1", "100", "1 USDT")
    diary.at("2026-02-10").trade("buy", "1", "300", "3 USDT")
    diary.at("2026-03-10").trade("buy", "1", "200", "2 USDT")
    diary.at("2026-04-10").trade("sell", "1.5", "400", "6 USDT")
    found = diary.report(method)
    assert table(found) == [("sale", "BTC", *values) for values in rows]
    assert (found.sums[0].proceeds, found.differences, found.notes) == (D(594), (), ())


@pytest.mark.parametrize(
    ("method", "costs"), [("fifo", ["100", "300"]), ("lifo", ["300", "100"]), ("average", ["200", "200"])]
)
def test_an_average_is_of_what_is_held_at_the_time(method: LotMethod, costs: list[str]) -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100").at("2026-01-02").trade("buy", "1", "300")
    diary.at("2026-01-03").trade("sell", "1", "500").trade("sell", "1", "500")
    assert [row[4] for row in table(diary.report(method))] == costs


def test_parts_that_cannot_be_divided_evenly_are_the_whole_together() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "3", "33.333333333333", "0.000000000001 USDT")
    for _ in range(3):
        diary.trade("sell", "1", "0.000000000003")
    for method in ("fifo", "average"):
        found = diary.report(method)
        assert {row["cost"][:10] for row in rows_of(found)} == {"33.3333333"}
        assert found.gain == D("0.000000000009") - D("100.000000000000")


def test_a_fee_in_the_base_is_fewer_units_bought_and_more_units_sold() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100", "0.01 BTC")
    diary.at("2026-01-02").trade("sell", "0.5", "200", "0.005 BTC")
    # 0.505 of 0.99 units cost 100 x 0.505 / 0.99.
    assert table(diary.report()) == [("sale", "BTC", "0.505", "100", "51.01010101", "48.98989899", "2026-01-01")]
    assert diary.report().differences == ()


def test_a_fee_in_a_third_asset_is_a_disposal_of_that_asset_and_a_cost_of_the_trade() -> None:
    diary = Diary().at("2026-01-01").mark("X:BNB/USDT", "50").deposit("1", "BNB")
    diary.at("2026-01-02").mark("X:BNB/USDT", "60").trade("buy", "1", "100", "0.1 BNB")
    diary.at("2026-01-03").mark("X:BNB/USDT", "70").trade("sell", "1", "200", "0.1 BNB")
    assert table(diary.report()) == [
        ("fee", "BNB", "0.1", "6", "5", "1", "2026-01-01"),
        ("sale", "BTC", "1", "193", "106", "87", "2026-01-02"),
        ("fee", "BNB", "0.1", "7", "5", "2", "2026-01-01"),
    ]


def test_a_rebate_in_a_third_asset_is_an_acquisition_of_it() -> None:
    diary = Diary().at("2026-01-01").mark("X:BNB/USDT", "50").trade("buy", "1", "100", "-0.1 BNB")
    diary.at("2026-01-02").trade("sell", "1", "100").trade("sell", "0.1", "80", instrument="X:BNB/USDT")
    assert table(diary.report()) == [
        ("sale", "BTC", "1", "100", "95", "5", "2026-01-01"),
        ("sale", "BNB", "0.1", "8", "5", "3", "2026-01-01"),
    ]


def test_coins_for_coins_are_a_disposal_and_an_acquisition_at_one_value() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100")
    diary.at("2026-01-02").mark("X:BTC/USDT", "150").trade("buy", "2", "0.1", "0.02 BTC", "X:ETH/BTC")
    diary.at("2026-01-03").mark("X:BTC/USDT", "200").trade("sell", "2", "0.2", "0.04 BTC", "X:ETH/BTC")
    diary.at("2026-01-04").trade("sell", "1.14", "300")
    assert table(diary.report()) == [
        ("exchange", "BTC", "0.22", "33", "22", "11", "2026-01-01"),
        ("sale", "ETH", "2", "72", "33", "39", "2026-01-02"),
        ("sale", "BTC", "0.78", "234", "78", "156", "2026-01-01"),
        ("sale", "BTC", "0.36", "108", "72", "36", "2026-01-03"),
    ]


def test_a_short_sale_counts_when_it_is_covered() -> None:
    diary = Diary().at("2025-12-30").trade("sell", "2", "300", "2 USDT")
    diary.at("2026-01-05").trade("buy", "0.5", "100").at("2026-01-06").trade("buy", "2.5", "200")
    assert diary.report(year=2025).rows == ()
    assert "they count when they are acquired" in diary.report(year=2025).notes[0]
    found = diary.at("2026-01-07").trade("sell", "1", "500").report()
    assert table(found) == [
        ("short", "BTC", "0.5", "149.5", "50", "99.5", "2026-01-05"),
        ("short", "BTC", "1.5", "448.5", "300", "148.5", "2026-01-06"),
        ("sale", "BTC", "1", "500", "200", "300", "2026-01-06"),
    ]
    assert found.differences == ()


def test_derivatives_and_funding_are_gains_of_their_moment() -> None:
    diary = Diary().at("2026-01-01").deposit("1000", "USDT").trade("buy", "2", "100", "0.2 USDT", PERP)
    diary.at("2026-01-02").book(funding("3", diary.now, "p1")).book(funding("3", diary.now, "p1"))
    diary.at("2026-01-03").book(funding("-1", diary.now, "p2"))
    diary.at("2026-01-04").trade("sell", "3", "150", "0.3 USDT", PERP)
    diary.at("2026-01-05").trade("buy", "1", "160", "0.1 USDT", PERP)
    found = diary.report()
    assert table(found) == [
        ("derivative", "USDT", "0", "0", "0.2", "-0.2", ""),
        ("funding", "USDT", "3", "0", "3", "-3", ""),
        ("funding", "USDT", "1", "1", "0", "1", ""),
        ("derivative", "USDT", "100", "100", "0.3", "99.7", ""),
        ("derivative", "USDT", "10", "-10", "0.1", "-10.1", ""),
    ]
    assert {one.kind: one.gain for one in found.sums} == {"derivative": D("89.4"), "funding": D(-2)}


def test_what_closing_by_an_adopted_position_pays_is_counted() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "2", "100", instrument=PERP)
    diary.at("2026-01-02").book(
        ev.PositionAdopted(
            account=OWN, instrument=InstrumentId(PERP), quantity=D(-1), price=D(130), ts=diary.now, reason="so it is"
        )
    )
    assert [row[:4] for row in table(diary.report())] == [("derivative", "USDT", "30", "30")]


def test_funding_and_interest_in_coins_are_income_and_give_up_lots() -> None:
    diary = Diary().at("2026-01-01").mark("X:BTC/USDT", "100")
    diary.book(funding("-1", diary.now, currency="BTC"))
    diary.at("2026-01-02").mark("X:BTC/USDT", "200")
    diary.book(ev.InterestCharged(account=OWN, currency=Currency("BTC"), amount=D("0.25"), ts=diary.now))
    assert table(diary.report()) == [
        ("funding", "BTC", "1", "100", "0", "100", ""),
        ("interest", "BTC", "0.25", "0", "50", "-50", ""),
        ("exchange", "BTC", "0.25", "50", "25", "25", "2026-01-01"),
    ]


# --- moves between own accounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_account", [False, True])
def test_a_transfer_is_no_sale_and_keeps_cost_and_date(by_account: bool) -> None:
    diary = Diary().at("2025-03-01").trade("buy", "1", "100").at("2026-01-01").transfer("0.4", "BTC")
    assert diary.report(by_account=by_account).rows == ()
    diary.at("2026-01-02").trade("sell", "0.4", "500", account=OTHER)
    found = diary.report(by_account=by_account)
    assert table(found) == [("sale", "BTC", "0.4", "200", "40", "160", "2025-03-01")]
    assert (found.differences, found.notes) == ((), ())
    assert rows_of(found)[0]["held_days"] == "307"


def test_accounts_kept_apart_give_up_their_own_units() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100").at("2026-01-02").trade("buy", "1", "200", account=OTHER)
    diary.at("2026-01-03").trade("sell", "1", "300", account=OTHER)
    assert [row[4] for row in table(diary.report())] == ["100"]
    assert [row[4] for row in table(diary.report(by_account=True))] == ["200"]


@pytest.mark.parametrize("arrived", [("1",), ("0.3", "0.7")])
def test_what_leaves_and_arrives_under_one_reference_keeps_cost_and_date(arrived: tuple[str, ...]) -> None:
    diary = Diary().at("2025-03-01").trade("buy", "1", "100").at("2026-01-01").withdraw("1", "BTC", reference="w1")
    diary.at("2026-01-02")
    for amount in arrived:
        diary.deposit(amount, "BTC", OTHER, reference="w1")
    found = diary.at("2026-01-03").trade("sell", "1", "500", account=OTHER).report(by_account=True)
    assert sum(row.cost or 0 for row in found.rows) == D(100)
    assert {row.acquired for row in found.rows} == {moment("2025-03-01")}
    assert found.differences == ()


def test_what_is_lost_on_the_way_is_told() -> None:
    diary = Diary().at("2025-03-01").trade("buy", "1", "100").at("2026-01-01").withdraw("1", "BTC", reference="w1")
    found = diary.deposit("0.99", "BTC", OTHER, reference="w1").report()
    assert found.notes == ("0.01 BTC of w1 left that did not arrive in other.",)
    assert (found.rows, found.differences) == ((), ())
