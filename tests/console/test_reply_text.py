"""Replies as a person reads them: of which account a row is, where they are not all of one."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from console.reply_text import show
from engine.control.views_margin import StandingView
from engine.control.views_orders import OrderPreview
from engine.model.ids import Currency, InstrumentId
from engine.model.margin import MarginMode
from engine.model.order import OrderSide, OrderType
from tests.kit import fake_data
from tests.kit.fake_link import FakeLink
from tests.kit.fake_places import spread

ROWS = ("orders.open", "orders.fills", "portfolio.positions", "portfolio.balances", "bots.list")


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_several_accounts_name_theirs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(list(spread(FakeLink()).data[name]))
    head, *rows = capsys.readouterr().out.splitlines()
    assert "account" in head
    assert any(" hedge " in f" {row} " for row in rows)
    assert any(" paper " in f" {row} " for row in rows)


def test_positions_tell_leverage_and_liquidation_where_one_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    row, *spot = fake_data.positions()
    show(spot)
    assert not {"leverage", "liquidation"} & set(capsys.readouterr().out.split())
    standing = StandingView(
        base_size=D("0.06"), leverage=D(5), mode=MarginMode.CROSS, margin=None, ratio=None,
        liquidation_price=D("54000.5"), liquidation_pct=None, funding=D(0), funding_rate=None, next_funding=None,
        index=None,
    )  # fmt: skip
    show([msgspec.structs.replace(row, standing=standing), *spot])
    head, first, second, *_ = capsys.readouterr().out.splitlines()
    assert {"leverage", "liquidation"} <= set(head.split())
    assert "54,000.5 USDT" in first
    assert first[head.index("leverage") : head.index("leverage") + 8].strip() == "5"
    assert second[head.index("leverage") : head.index("leverage") + 8].strip() == "–"


def test_a_mean_price_is_not_told_to_the_last_of_its_digits(capsys: pytest.CaptureFixture[str]) -> None:
    row = fake_data.positions()[0]
    show([msgspec.structs.replace(row, entry_price=D("64895.34664664664664664664665"))])
    assert " 64,895.34665 USDT " in capsys.readouterr().out


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_one_account_do_not_repeat_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(list(FakeLink().data[name]))
    assert "account" not in capsys.readouterr().out.splitlines()[0]


def test_an_amount_and_its_share_have_names_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    show(FakeLink().data["portfolio.overview"])
    names = [line.partition("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(set(names)) == len(names)
    assert {"exposure", "exposure %", "day change", "day change %", "drawdown"} <= set(names)


def test_leverage_is_a_factor_and_not_money(capsys: pytest.CaptureFixture[str]) -> None:
    preview = OrderPreview(
        instrument=InstrumentId("SIM:BTC/USDT:USDT"), side=OrderSide.BUY, type=OrderType.MARKET, quantity=D(1),
        price=None, stop_price=None, expected_price=D(60000), notional=D(600), fee=D(1), total=D(601),
        currency=Currency("USDT"), available=D(900), available_currency=Currency("USDT"), slippage_pct=None,
        passed=True, refusals=(), sentence="BUY 1 contracts", leverage=D(3), margin=D(200),
    )  # fmt: skip
    show(preview)
    rows = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert (rows["leverage"], rows["margin"]) == ("3x", "200 USDT")
