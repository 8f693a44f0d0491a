"""Settings of venues: what follows from a name alone, what is refused with which sentence, whose names stay apart."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.config import Settings, load_settings
from engine.errors import ConfigurationError
from engine.model.account import TradingMode
from engine.venue_settings import VenueSettings, is_loopback
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def load(home: Path, text: str, environ: Mapping[str, str] | None = None, **explicit: object) -> Settings:
    (home / "config.toml").write_text(text, encoding="utf-8")
    return load_settings(home, environ or {}, explicit)


def fault(home: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(home, text)
    return caught.value.message


def test_a_name_is_enough_and_means_paper_at_live_prices(tmp_path: Path) -> None:
    found = load(tmp_path, "[venues.binance]\n").venues["binance"]
    assert (found.id, found.kind, found.trading_mode) == ("BINANCE", "binance", TradingMode.PAPER)
    assert found.account_ids == ("paper-binance",)
    assert found.watched == ("BTC/USDT", "ETH/USDT")
    assert found.opening == {"USDT": Decimal(10_000)}


def test_each_adapter_has_symbols_and_money_of_its_own(tmp_path: Path) -> None:
    venues = load(tmp_path, "[venues.coinbase]\n[venues.binanceusdm]\n").venues
    assert (venues["coinbase"].valued_in, venues["coinbase"].watched) == ("USD", ("BTC/USD", "ETH/USD"))
    assert venues["binanceusdm"].watched[0] == "BTC/USDT:USDT"


def test_without_a_named_exchange_there_is_the_simulated_market_and_with_one_only_if_asked_for(tmp_path: Path) -> None:
    alone = load(tmp_path, "")
    assert (alone.simulated, alone.default_venue) == (True, "SIM")
    other = load(tmp_path, "[venues.okx]\n")
    assert (other.simulated, other.default_venue) == (False, "OKX")
    both = load(tmp_path, "[paper]\nenabled = true\n[venues.okx]\n")
    assert (both.simulated, both.default_venue) == (True, "SIM")
    asked = load(tmp_path, "[venues.okx]\n", venue="sim")
    assert (asked.simulated, asked.default_venue) == (True, "SIM")


@pytest.mark.parametrize("environ", [{}, {"QUARTERDECK_VENUE": "okx"}])
def test_a_venue_that_is_meant_by_its_adapters_name_needs_no_group(tmp_path: Path, environ: dict[str, str]) -> None:
    explicit = {} if environ else {"venue": "okx"}
    found = load(tmp_path, "[venues.binance]\ntimeout_s = 5\n", environ, **explicit)
    assert found.default_venue == "OKX"
    assert [venue.id for venue in found.venues.values()] == ["BINANCE", "OKX"]
    assert found.venues["binance"].timeout_s == 5


def test_a_stronger_source_changes_single_settings_of_a_venue(tmp_path: Path) -> None:
    text = "[venues.okx]\ntimeout_s = 5\n[venues.binance]\n"
    found = load(tmp_path, text, venues={"okx": {"latency_ms": 1.5}})
    assert (found.venues["okx"].timeout_s, found.venues["okx"].latency_ms) == (5, 1.5)
    assert "binance" in found.venues


def test_accounts_of_paper_testnet_and_money_never_share_a_name(tmp_path: Path) -> None:
    text = "[venues.okx]\nmode = '{}'\ntestnet = {}\naccounts = ['main', 'hedge']\n"
    names = [
        load(tmp_path, text.format(mode, testnet)).venues["okx"].account_ids
        for mode, testnet in (("paper", "true"), ("live", "true"), ("live", "false"))
    ]
    assert names == [
        ("paper-main", "paper-hedge"),
        ("test-main", "test-hedge"),
        ("main", "hedge"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[venues.okx]\nkind = 'okxx'\n", "the kind 'okxx' is not known, did you mean okx? there are binance"),
        ("[venues.kraken]\n", "venues.kraken: say which adapter kraken has; there are binance"),
        ("[venues.kraken]\nkind = 'ccxt'\n", "name the exchange as ccxt does"),
        ("[venues.okx]\nexchange = 'okx'\n", "only the kind ccxt has an exchange"),
        ("[venues.okx]\nadresses = {}\n", "venues.okx.adresses is not a setting. Did you mean venues.okx.addresses?"),
        ("[venues.okx]\naddresses = { rest = 'http://example.com' }\n", "is not encrypted (http), which is only"),
        ("[venues.okx]\naddresses = { public = 'ws://10.0.0.1:80' }\n", "write wss://"),
        ("[venues.okx]\naddresses = { rest = 'example.com' }\n", "the address rest is none"),
        ("[venues.coinbase]\nmode = 'live'\n", "set testnet = false for a read-only session there"),
        ("[venues.sim]\nkind = 'okx'\n", "is the built-in simulated market"),
        ("[venues.'o k']\nkind = 'okx'\n", "cannot be the name of a venue"),
        ("[venues.okx]\nsymbols = ['BTCUSDT']\n", "BTCUSDT is no symbol; write one such as BTC/USDT"),
        ("[venues.okx]\naccounts = ['Main Account']\n", "is no name of an account"),
        ("[venues.okx]\naccounts = ['a', 'a']\n", "two accounts have the same name"),
        (
            "[venues.okx]\naccounts = ['main']\n[venues.binance]\naccounts = ['main']\n",
            "several venues have an account paper-main",
        ),
        ("venue = 'kraken'\n[venues.okx]\n", "the venue 'kraken' is none of those named: OKX"),
        ("[paper]\nenabled = false\n", "there is nowhere to trade"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    assert said in fault(tmp_path, text)


def test_plain_addresses_are_allowed_on_this_machine_alone(tmp_path: Path) -> None:
    text = "[venues.coinbase]\nmode = 'live'\naddresses = { rest = 'http://127.0.0.1:8080', public = 'ws://[::1]:1' }\n"
    assert load(tmp_path, text).venues["coinbase"].on_loopback
    assert not any(is_loopback(address) for address in ("http://127.0.0.1.example.com", "wss://10.0.0.1", "nonsense"))


def test_every_setting_of_a_venue_is_in_the_document() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    table = page.partition("### Settings of a venue")[2].partition("\n**")[0]
    told = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.partition(" | ")[0])}
    assert told == {*VenueSettings.model_fields} - {"name"}
