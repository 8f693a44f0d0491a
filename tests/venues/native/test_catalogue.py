"""The list of instruments: look-ups, and rules that change."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.errors import NotFoundError
from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.venues.native.catalogue import Catalogue


def instrument(base: str, tick: str = "0.01") -> Instrument:
    return Instrument(
        id=InstrumentId(f"BINANCE:{base}/USDT"),
        venue=VenueId("BINANCE"),
        symbol=f"{base}/USDT",
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency("USDT"),
        settle=Currency("USDT"),
        rules=(InstrumentRules(valid_from=0, price_tick=Decimal(tick), lot=Decimal("0.001")),),
    )


def filled(*bases: str) -> Catalogue:
    catalogue = Catalogue(VenueId("BINANCE"))
    catalogue.fill([(f"{base}USDT", instrument(base)) for base in bases], 5)
    return catalogue


def test_an_instrument_is_found_by_id_and_by_the_venues_symbol() -> None:
    catalogue = filled("BTC", "ETH")
    assert catalogue.get(InstrumentId("BINANCE:BTC/USDT")) is catalogue.by_symbol("BTCUSDT")
    assert catalogue.symbol(InstrumentId("BINANCE:ETH/USDT")) == "ETHUSDT"
    assert catalogue.by_symbol("XRPUSDT") is None


def test_an_unknown_one_is_refused_with_near_matches() -> None:
    with pytest.raises(NotFoundError, match="BINANCE:BTC/USDT"):
        filled("BTC").get(InstrumentId("BINANCE:BTC/USDC"))


def test_new_rules_hold_from_now_on_and_old_ones_stay() -> None:
    catalogue = filled("BTC", "ETH")
    changed = catalogue.fill([("BTCUSDT", instrument("BTC", "0.1")), ("ETHUSDT", instrument("ETH"))], 77)
    assert [i.id for i in changed] == ["BINANCE:BTC/USDT"]
    rules = catalogue.get(InstrumentId("BINANCE:BTC/USDT")).rules
    assert [(r.valid_from, r.price_tick) for r in rules] == [(0, Decimal("0.01")), (77, Decimal("0.1"))]


def test_the_same_list_again_changes_nothing() -> None:
    catalogue = filled("BTC")
    before = catalogue.get(InstrumentId("BINANCE:BTC/USDT"))
    assert catalogue.fill([("BTCUSDT", instrument("BTC"))], 9) == []
    assert catalogue.get(InstrumentId("BINANCE:BTC/USDT")) is before


def test_what_left_the_list_is_not_traded_but_still_understood() -> None:
    catalogue = filled("BTC", "LUNA")
    catalogue.fill([("BTCUSDT", instrument("BTC"))], 9)
    assert InstrumentId("BINANCE:LUNA/USDT") not in catalogue
    assert catalogue.by_symbol("LUNAUSDT") is not None


def test_scales_never_shrink() -> None:
    catalogue = filled("BTC")
    fresh = replace(instrument("BTC", "0.1"), price_scale=1)
    catalogue.fill([("BTCUSDT", fresh)], 9)
    assert catalogue.get(InstrumentId("BINANCE:BTC/USDT")).price_scale == 8


def test_what_is_halted_is_understood_and_not_offered() -> None:
    catalogue = filled("BTC")
    catalogue.remember([("LUNAUSDT", instrument("LUNA"))], foreign=["BTCUSDT_261225"])
    luna = InstrumentId("BINANCE:LUNA/USDT")
    assert luna not in catalogue
    with pytest.raises(NotFoundError):
        catalogue.symbol(luna)
    assert catalogue.symbol_of(luna) == "LUNAUSDT"
    assert catalogue.by_symbol("LUNAUSDT") is not None
    assert [catalogue.is_foreign(s) for s in ("BTCUSDT_261225", "LUNAUSDT", "XRPUSDT")] == [True, False, False]
