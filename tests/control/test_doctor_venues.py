"""The doctor tells of every exchange how it is traded, and what is missing before it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.doctor import diagnose
from engine.control.live.consent import Consents
from engine.keys.entry import KeyEntry
from engine.keys.sealed import SealedFile, sealed_path
from engine.model.ids import AccountId, VenueId
from tests.wire.certificates import make_authority

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.finding import Finding

SETTINGS = """
[venues.okx]
[venues.binance]
mode = "live"
testnet = true
accounts = ["main"]
"""
BINANCE, MAIN = VenueId("BINANCE"), AccountId("test-main")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    config = home / "config.toml"
    config.write_text(SETTINGS)
    config.chmod(0o600)
    sealed = SealedFile(sealed_path(home))
    sealed.create("a long passphrase of a test")
    sealed.put(KeyEntry(venue=BINANCE, account=MAIN, key="k" * 20, secret="s" * 20))
    Consents(home).give(load_settings(home, {}).venues["binance"], MAIN, "BINANCE/test-main", "me", SystemClock().now())
    return home


def of(home: Path, name: str) -> list[Finding]:
    return [finding for finding in diagnose(home) if finding.name == name]


def test_it_says_how_each_is_traded_and_finds_keys_without_unlocking_them(home: Path) -> None:
    words = [finding.words for finding in of(home, "venue")]
    assert words == [
        "OKX is traded on paper, at live prices: paper-okx.",
        "BINANCE is traded live, at its testnet: test-main.",
    ]
    for name in ("keys", "consent", "files"):
        assert [finding.state for finding in of(home, name)] == ["ok"], name


def test_it_says_what_an_account_lacks(home: Path) -> None:
    SealedFile(sealed_path(home)).remove("BINANCE/test-main")
    Consents(home).withdraw(BINANCE, MAIN)
    (keys,), (consent,) = of(home, "keys"), of(home, "consent")
    assert (keys.state, keys.advice) == ("warning", "quarterdeck keys add binance test-main")
    assert (consent.state, consent.advice) == ("warning", "quarterdeck live consent test-main")


def test_consent_to_the_testnet_is_none_to_real_money(home: Path) -> None:
    (home / "config.toml").write_text(
        SETTINGS.replace("testnet = true", "testnet = false\n").replace('["main"]', '["test-main"]')
    )
    (consent,) = of(home, "consent")
    assert consent.state == "warning"


@pytest.mark.parametrize("file", ["keys.sealed", "live.json", "paper-OKX.db"])
def test_others_may_not_read_what_is_private(home: Path, file: str) -> None:
    (home / file).touch()
    (home / file).chmod(0o644)
    (found,) = of(home, "files")
    assert (found.state, found.advice) == ("warning", f"chmod 600 {home / file}")


def test_a_key_file_that_cannot_be_read_is_a_failure(home: Path) -> None:
    sealed_path(home).write_bytes(b"{")
    (found,) = of(home, "keys")
    assert found.state == "failed"
    assert "is damaged" in found.words


def test_a_file_of_authorities_is_read(home: Path, tmp_path: Path) -> None:
    authority = make_authority(tmp_path).ca_file
    for file, state in ((authority, "ok"), (home / "none.pem", "failed"), (home / "config.toml", "failed")):
        (home / "config.toml").write_text(f'[venues.okx]\nca_file = "{file}"\n')
        (found,) = of(home, "venue")
        assert found.state == state, found
