"""OKX's account becomes balances, positions, funding and permissions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import ValidationError
from engine.model.ids import AccountId, Currency
from engine.model.venue import MarginMode, VenueBalance
from engine.venues.okx.account_data import (
    HEDGED,
    SIMPLE,
    parse_balances,
    parse_funding,
    parse_permissions,
    parse_position,
    parse_positions,
)
from engine.venues.okx.messages import (
    AssetRow,
    BalanceRow,
    BillRow,
    ConfigRow,
    CurrencyRow,
    Frame,
    PositionRow,
    decode,
    decode_rows,
)
from tests.venues.okx.recorded import fixtures, instrument

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.instrument import Instrument

MAIN = AccountId("main")
USDT = Currency("USDT")
SWAP = instrument("BTC-USDT-SWAP", multiplier="0.01")


def find(symbol: str) -> Instrument | None:
    return SWAP if symbol == "BTC-USDT-SWAP" else None


def test_margin_of_isolated_positions_is_held_and_locked(shared_data: Path) -> None:
    rows = decode_rows(fixtures(shared_data)["http_get_account_balance"], BalanceRow)
    (balance,) = parse_balances(rows, [])
    assert balance.currency == "USDT"
    # Equity 99.89469657 with an open loss of 0.0273.
    assert balance.total == Decimal("99.89469657000001") + Decimal("0.0273000000000002")
    assert balance.total - balance.locked == Decimal("94.42612990333333")


def test_the_stream_says_the_same_of_every_currency(shared_data: Path) -> None:
    frame = decode(fixtures(shared_data)["ws_account"], Frame)
    found = {b.currency: b for b in parse_balances(decode(frame.data, list[BalanceRow]), [])}
    assert found[USDT] == VenueBalance(currency=USDT, total=Decimal("100.52768569797846"), locked=Decimal(0))
    assert len(found) > 1


def test_the_funding_account_counts_but_cannot_pay_for_orders() -> None:
    trading = [BalanceRow(details=[CurrencyRow(ccy="USDT", eq="100", cash_bal="100", avail_bal="60")])]
    funding = [
        AssetRow(ccy="USDT", bal="50", avail_bal="50"),
        AssetRow(ccy="BTC", bal="2"),
        AssetRow(ccy="ETH", bal="0"),
    ]
    found = {b.currency: (b.total, b.locked) for b in parse_balances(trading, funding)}
    assert found == {"USDT": (Decimal(150), Decimal(90)), "BTC": (Decimal(2), Decimal(2))}


def test_open_profit_is_no_balance() -> None:
    trading = [BalanceRow(details=[CurrencyRow(ccy="USDT", eq="130", cash_bal="100", avail_bal="125", upl="30")])]
    (balance,) = parse_balances(trading, [])
    assert (balance.total, balance.locked) == (Decimal(100), Decimal(0))


def test_a_position_in_long_short_mode_is_refused_with_the_setting(shared_data: Path) -> None:
    rows = decode_rows(fixtures(shared_data)["http_get_positions"], PositionRow)
    assert rows[0].pos_side == "long"
    with pytest.raises(ValidationError, match="posMode") as refused:
        parse_positions(MAIN, find, rows)
    assert refused.value.message == HEDGED


def test_a_net_position_keeps_sign_mode_and_liquidation_price(shared_data: Path) -> None:
    (row,) = decode_rows(fixtures(shared_data)["http_get_positions"], PositionRow)
    isolated = parse_position(MAIN, SWAP, msgspec.structs.replace(row, pos_side="net", pos="-0.5"))
    assert isolated is not None
    assert (isolated.quantity, isolated.margin_mode, isolated.leverage) == (
        Decimal("-0.5"),
        MarginMode.ISOLATED,
        Decimal(10),
    )
    assert (isolated.entry_price, isolated.mark_price, isolated.liquidation_price) == (
        Decimal(10000),
        Decimal(10000),
        Decimal(9000),
    )
    assert (isolated.margin, isolated.maintenance) == (Decimal("0.5"), Decimal("0.1"))
    cross = msgspec.structs.replace(row, pos_side="net", mgn_mode="cross", margin="", imr="0.7", liq_px="")
    found = parse_position(MAIN, SWAP, cross)
    assert found is not None
    assert (found.margin_mode, found.margin, found.liquidation_price) == (MarginMode.CROSS, Decimal("0.7"), None)


def test_closed_and_foreign_positions_are_left_out(shared_data: Path) -> None:
    (row,) = decode_rows(fixtures(shared_data)["http_get_positions"], PositionRow)
    closed = msgspec.structs.replace(row, pos_side="net", pos="0")
    foreign = msgspec.structs.replace(row, inst_id="BTC-USD-SWAP")
    margin = msgspec.structs.replace(row, inst_type="MARGIN")
    assert parse_positions(MAIN, find, [closed, foreign, margin]) == []


def test_funding_that_was_paid_is_positive() -> None:
    bill = BillRow(
        bill_id="623950854533513219",
        inst_id="BTC-USDT-SWAP",
        ccy="USDT",
        ts="1695033476167",
        type="8",
        sub_type="173",
        bal_chg="0",
        pnl="-1.25",
    )
    paid = parse_funding(MAIN, find, bill)
    assert paid is not None
    assert (paid.id, paid.amount, paid.currency, paid.ts) == (
        "623950854533513219",
        Decimal("1.25"),
        "USDT",
        1_695_033_476_167_000_000,
    )
    earned = parse_funding(MAIN, find, msgspec.structs.replace(bill, pnl="", bal_chg="0.5", sub_type="174"))
    assert earned is not None
    assert earned.amount == Decimal("-0.5")
    assert parse_funding(MAIN, find, msgspec.structs.replace(bill, type="2")) is None
    assert parse_funding(MAIN, find, msgspec.structs.replace(bill, inst_id="BTC-USD-SWAP")) is None


def test_permissions_say_what_stands_in_the_way() -> None:
    good = ConfigRow(uid="1", acct_lv="2", pos_mode="net_mode", perm="read_only,trade", ip="203.0.113.4")
    found = parse_permissions(good)
    assert (found.read, found.trade, found.withdraw, found.derivatives) == (True, True, False, True)
    assert found.ip_restricted is True
    assert found.note == ""
    hedged = parse_permissions(msgspec.structs.replace(good, pos_mode="long_short_mode", perm="read_only,withdraw"))
    assert (hedged.trade, hedged.withdraw, hedged.derivatives, hedged.note) == (False, True, False, HEDGED)
    assert parse_permissions(msgspec.structs.replace(good, acct_lv="1", ip="")).note == SIMPLE
