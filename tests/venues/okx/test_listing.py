"""OKX's lists of instruments become instruments with their rules; what is not offered is left out."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.model.instrument import Instrument, InstrumentKind
from engine.venues.okx.listing import Fees, parse_fees, parse_instrument, parse_instruments, parse_tiers
from engine.venues.okx.messages import FeeGroup, FeeRow, InstrumentRow, TierRow, decode_rows
from tests.venues.okx.recorded import NOW, OKX, captures, fixtures

if TYPE_CHECKING:
    from pathlib import Path


def listed(body: bytes, **more: Any) -> dict[str, Instrument]:
    rows = decode_rows(body, InstrumentRow)
    return dict(parse_instruments(OKX, rows, more.get("fees", Fees()), more.get("tiers", {}), NOW))


def swap(**changes: str) -> InstrumentRow:
    row = InstrumentRow(
        inst_id="BTC-USDT-SWAP",
        inst_type="SWAP",
        state="live",
        settle_ccy="USDT",
        ct_type="linear",
        ct_val="0.01",
        ct_mult="1",
        ct_val_ccy="BTC",
        uly="BTC-USDT",
        inst_family="BTC-USDT",
        tick_sz="0.1",
        lot_sz="0.01",
        min_sz="0.01",
        max_lmt_sz="100000000",
        max_mkt_sz="12000",
    )
    return msgspec.structs.replace(row, **changes)


def test_a_linear_swap_counts_contracts_of_its_size(shared_data: Path) -> None:
    found = listed(fixtures(shared_data)["http_get_instruments_swap"])
    assert set(found) == {"ETH-USDT-SWAP", "BTC-USDT-SWAP"}
    eth = found["ETH-USDT-SWAP"]
    assert (eth.id, eth.symbol, eth.kind) == ("OKX:ETH/USDT:USDT", "ETH/USDT:USDT", InstrumentKind.LINEAR_PERPETUAL)
    assert (eth.base, eth.quote, eth.settle, eth.multiplier) == ("ETH", "USDT", "USDT", Decimal("0.1"))
    assert (eth.price_scale, eth.quantity_scale) == (2, 2)
    rules = eth.current_rules
    assert (rules.price_tick, rules.lot, rules.min_quantity) == (Decimal("0.01"), Decimal("0.01"), Decimal("0.01"))
    assert rules.max_quantity == 20_000
    assert rules.valid_from == NOW


def test_a_spot_pair_has_its_steps_and_the_default_fees(shared_data: Path) -> None:
    found = listed(fixtures(shared_data)["http_get_instruments_spot"])
    btc = found["BTC-USD"]
    assert (btc.id, btc.kind, btc.multiplier, btc.settle) == (
        "OKX:BTC/USD",
        InstrumentKind.SPOT,
        Decimal(1),
        "USD",
    )
    rules = btc.current_rules
    assert (rules.price_tick, rules.lot, rules.min_quantity) == (Decimal("0.1"), Decimal("1e-8"), Decimal("0.00001"))
    assert (btc.price_scale, btc.quantity_scale) == (1, 8)
    # The limit of market orders is in dollars, so it is none of quantity.
    assert rules.max_quantity == Decimal(9_999_999_999)
    assert (rules.maker_fee, rules.taker_fee) == (Decimal("0.0008"), Decimal("0.001"))
    assert rules.margin == ()


@pytest.mark.parametrize("name", ["http_get_instruments_futures", "http_get_instruments_margin"])
def test_dated_futures_and_margin_are_not_offered(shared_data: Path, name: str) -> None:
    assert listed(fixtures(shared_data)[name]) == {}


def test_of_every_recorded_list_all_spot_and_linear_swaps_are_found(shared_data: Path) -> None:
    lists = {url: body for kind, url, body in captures(shared_data) if kind == "http"}
    for url, body in lists.items():
        found, rows = listed(body), decode_rows(body, InstrumentRow)
        offered = {r.inst_id for r in rows if r.inst_type == "SPOT" or r.ct_type == "linear"}
        expected = offered if "instType=SPOT" in url or "instType=SWAP" in url else set()
        assert set(found) == expected, url
    spot = next(body for url, body in lists.items() if "instType=SPOT" in url)
    assert len(listed(spot)) > 300


@pytest.mark.parametrize(
    "changes",
    [
        {"ct_type": "inverse", "settle_ccy": "BTC"},
        {"settle_ccy": "USDC"},
        {"ct_val_ccy": "USDT"},
        {"ct_val": ""},
        {"tick_sz": ""},
        {"lot_sz": "0"},
        {"inst_type": "OPTION"},
    ],
)
def test_what_cannot_be_traded_here_is_left_out(changes: dict[str, str]) -> None:
    assert parse_instrument(OKX, swap(), Fees(), (), NOW) is not None
    assert parse_instrument(OKX, swap(**changes), Fees(), (), NOW) is None


def test_contract_multipliers_multiply() -> None:
    found = parse_instrument(OKX, swap(ct_val="100", ct_mult="10"), Fees(), (), NOW)
    assert found is not None
    assert found[1].multiplier == 1000


def test_fees_are_costs_and_the_narrowest_group_decides(shared_data: Path) -> None:
    spot = parse_fees(decode_rows(fixtures(shared_data)["http_get_trade_fee_response"], FeeRow))
    btc = listed(fixtures(shared_data)["http_get_instruments_spot"], fees=spot)["BTC-USD"].current_rules
    assert (btc.maker_fee, btc.taker_fee) == (Decimal("0.0008"), Decimal("0.001"))
    row = FeeRow(
        inst_type="SWAP",
        maker="-0.0009",
        taker="-0.0010",
        maker_u="0.00005",
        taker_u="-0.0003",
        fee_group=[FeeGroup(group_id="7", maker="-0.0001", taker="-0.0002")],
    )
    fees = spot | parse_fees([row])
    assert fees.of(swap()) == (Decimal("-0.00005"), Decimal("0.0003"))
    assert fees.of(swap(group_id="7")) == (Decimal("0.0001"), Decimal("0.0002"))
    assert fees.of(swap(group_id="8")) == (Decimal("-0.00005"), Decimal("0.0003"))


def test_margin_tiers_come_with_the_swaps_of_their_family(shared_data: Path) -> None:
    rows = [
        TierRow(inst_family="BTC-USDT", mmr="0.005", max_lever="75", min_sz="1001", max_sz="3000", tier="2"),
        TierRow(inst_family="BTC-USDT", mmr="0.004", max_lever="125", min_sz="0", max_sz="1000", tier="1"),
        TierRow(inst_family="ETH-USDT", mmr="0.01", max_lever="50", min_sz="0", max_sz="1000", tier="1"),
    ]
    found = listed(fixtures(shared_data)["http_get_instruments_swap"], tiers=parse_tiers(rows))
    tiers = found["BTC-USDT-SWAP"].current_rules.margin
    assert [(t.from_quantity, t.maintenance, t.max_leverage) for t in tiers] == [
        (Decimal(0), Decimal("0.004"), Decimal(125)),
        (Decimal(1001), Decimal("0.005"), Decimal(75)),
    ]
    recorded = decode_rows(fixtures(shared_data)["http_get_position_tiers"], TierRow)
    assert parse_tiers(recorded)[""][0].maintenance == Decimal("0.03")
